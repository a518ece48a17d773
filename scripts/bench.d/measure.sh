# shellcheck shell=bash
#
# How long commands take, and two of them in turns.

# now: microseconds
now() {
	echo "${EPOCHREALTIME/[.,]/}"
}

# took CMD..: how long it took, in microseconds.
took() {
	local start
	start=$(now)
	"$@" >/dev/null || die "failed: $*"
	echo $(($(now) - start))
}

median() {
	sort -n | awk '{ all[NR] = $1 } END { print all[int((NR + 1) / 2)] }'
}

# paired TIMES A B: medians of A and of B, taking turns.
paired() {
	local times=$1 a=$2 b=$3 i dir
	dir=$(mktemp -d)
	for ((i = 0; i < times; i++)); do
		took "$a" >>"$dir/a"
		took "$b" >>"$dir/b"
	done
	median <"$dir/a"
	median <"$dir/b"
	rm -r "$dir"
}

# ratio WHAT TIMES A B
ratio() {
	local what=$1 medians
	shift
	mapfile -t medians < <(paired "$@")
	awk -v what="$what" -v a="${medians[0]}" -v b="${medians[1]}" 'BEGIN { printf "%-36s %.2f\n", what, a / b }'
}
