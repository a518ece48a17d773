# Becomes $SHELL with "(NAME) " before its prompt. The user's own start-up files are read as always, and first,
# because they set the prompt. $1 is the namespace, whose name needs no quoting anywhere.
#
# Each shell has another way to be told: bash and zsh read a start-up file that reads the user's and then marks;
# fish runs a command after its own; of the others, those that keep an inherited PS1 show it.
marker="($1) "
shell=${SHELL:-/bin/sh}
command -v "$shell" >/dev/null || shell=/bin/sh
if [ -t 2 ]; then
	echo "nsnat: in namespace $1; \"exit\" or Ctrl-D leads out again, \"nsnat which\" says where you are" >&2
fi
kind=${shell##*/}
# Where the host's zshenv sets ZDOTDIR whatever it was, zsh does not read what it is given below, and nothing would
# take that away.
# shellcheck disable=SC2016 # expanded by zsh
[ "$kind" != zsh ] || [ "$(ZDOTDIR=/nonexistent "$shell" -f -c 'echo $ZDOTDIR')" = /nonexistent ] || kind=other
case $kind in
bash)
	# The start-up file is a pipe that is gone when it has been read: nothing is left behind, nothing to clean up.
	# The prompt is marked before it is shown: themes set it anew each time.
	exec 9<<-END
		exec 9<&-
		[ -r ~/.bashrc ] && . ~/.bashrc
		nsnat_prompt() { [[ \$PS1 == *'$marker'* ]] || PS1='$marker'\$PS1; }
		if ((\${#PROMPT_COMMAND[@]} > 1)); then
			PROMPT_COMMAND+=(nsnat_prompt)
		else
			PROMPT_COMMAND=\${PROMPT_COMMAND:+\$PROMPT_COMMAND\$'\n'}nsnat_prompt
		fi
	END
	exec "$shell" --rcfile /dev/fd/9 -i
	;;
zsh)
	# zsh takes its start-up files from ZDOTDIR only. This one gives ZDOTDIR back before anything of the user's is
	# read.
	dir=$(mktemp -d) || exec "$shell" -i
	cat >"$dir/.zshenv" <<-END
		rm -- '$dir/.zshenv'; rmdir -- '$dir'
		if (( \$+NSNAT_ZDOTDIR )); then export ZDOTDIR=\$NSNAT_ZDOTDIR; else unset ZDOTDIR; fi
		unset NSNAT_ZDOTDIR
		[[ -r \${ZDOTDIR:-\$HOME}/.zshenv ]] && . \${ZDOTDIR:-\$HOME}/.zshenv
		nsnat_prompt() { [[ \$PS1 == *'$marker'* ]] || PS1='$marker'\$PS1; }
		typeset -ga precmd_functions
		precmd_functions+=(nsnat_prompt)
	END
	[ -z "${ZDOTDIR+set}" ] || export NSNAT_ZDOTDIR="$ZDOTDIR"
	ZDOTDIR=$dir exec "$shell" -i
	;;
fish)
	exec "$shell" -i -C "functions -c fish_prompt nsnat_prompt
		function fish_prompt; echo -n '$marker'; nsnat_prompt; end"
	;;
*)
	# What ENV names is read by these shells afterwards, and may set the prompt again; nothing can be done then.
	case $(id -u) in
	0) PS1="$marker${PS1:-# }" ;;
	*) PS1="$marker${PS1:-$ }" ;;
	esac
	export PS1
	exec "$shell" -i
	;;
esac
