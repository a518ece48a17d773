# Completion of nsnat for bash. nsnat itself says what can come next.

_nsnat() {
	local kind begun words=()
	COMPREPLY=()
	{
		read -r kind begun
		mapfile -t words
	} < <(nsnat __complete -- "${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null)
	case $kind in
	command) _nsnat_command "$((begun + 1))" ;;
	files) compopt -o default ;;
	words) COMPREPLY=("${words[@]%%$'\t'*}") ;;
	esac
}

# A command line that begins with word N: by that command's own completion, where bash-completion is there.
_nsnat_command() {
	if declare -F _command_offset >/dev/null; then
		_command_offset "$1"
	elif (($1 == COMP_CWORD)); then
		mapfile -t COMPREPLY < <(compgen -c -- "${COMP_WORDS[COMP_CWORD]}")
	else
		compopt -o default
	fi
}

complete -F _nsnat nsnat
