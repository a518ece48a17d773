# Becomes $SHELL with "(NAME) " before its prompt. Each shell reads its user's own start-up files first; the
# marker comes after them, because they set the prompt. $1 is the namespace, whose name needs no quoting.
shell=${SHELL:-/bin/sh}
if [ -t 2 ]; then
	echo "nsnat: in namespace $1; \"exit\" or Ctrl-D leads out again, \"nsnat which\" says where you are" >&2
fi
case ${shell##*/} in
bash)
	# bash takes its start-up file by name only; the descriptor is gone with the file when it has been read.
	exec 3<<-END
		[ -r ~/.bashrc ] && . ~/.bashrc
		PS1="($1) \$PS1"
	END
	exec "$shell" --rcfile /dev/fd/3 -i
	;;
zsh)
	exec "$shell" -i -c "PS1=\"($1) \$PS1\"; exec_zsh() { :; }; precmd() { case \$PS1 in \"($1) \"*) ;; *) PS1=\"($1) \$PS1\" ;; esac; }; exec \"$shell\" -i"
	;;
fish)
	exec "$shell" -i -C "functions -c fish_prompt nsnat_prompt; function fish_prompt; echo -n '($1) '; nsnat_prompt; end"
	;;
*)
	PS1="($1) ${PS1:-\$ }"
	export PS1
	exec "$shell" -i
	;;
esac
