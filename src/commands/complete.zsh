#compdef nsnat
# Completion of nsnat for zsh. nsnat itself says what can come next.

_nsnat() {
	local -a said found
	local line
	said=("${(@f)$(nsnat __complete -- "${(@Q)words[2,CURRENT]}" 2>/dev/null)}")
	case $said[1] in
	command*)
		# Another command line: words are counted from 0 there, and after the name of this program.
		local -i before=$((${said[1]#command } + 1))
		words=("${(@)words[before+1,-1]}")
		((CURRENT -= before))
		_normal
		;;
	files) _files ;;
	words)
		for line in "${(@)said[2,-1]}"; do
			found+=("${${line%%$'\t'*}//:/\\:}:${line#*$'\t'}")
		done
		_describe -t nsnat nsnat found
		;;
	esac
}

if [[ $funcstack[1] == _nsnat ]]; then
	_nsnat "$@"
else
	compdef _nsnat nsnat
fi
