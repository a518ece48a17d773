# shellcheck shell=bash
#
# A program in a namespace, by nsnat and by ip, and a namespace for one command.

# build_starts DIRECTORY: what measures, and a program that ends at once. Both run on any root.
build_starts() {
	musl-gcc -static -O2 -Wall -o "$1/starts" "$(dirname -- "${BASH_SOURCE[0]}")/../lab.d/starts.c"
	echo 'int main(void) { return 0; }' | musl-gcc -static -O2 -x c -o "$1/nothing" -
}

# Two commands that take turns by themselves (lab.d/starts.c): a shell that starts them would be much of the time.
starts() {
	local what=$1 times=$2 medians
	shift 2
	medians=$(/run/lab/starts "$times" "$@") || die "failed: $*"
	awk -v what="$what" '{ printf "%-36s %.2f (%.0f : %.0f us), %d KiB\n", what, $1 / $2, $1, $2, $3 }' <<<"$medians"
}

# own_starts TIMES: what both ways of starting add to the time of the program.
own_starts() {
	local ours bare
	ours=$(/run/lab/starts "$1" nsnat exec job -- "$nothing" : ip netns exec job "$nothing") || die "failed: exec"
	bare=$(/run/lab/starts "$1" "$nothing" : "$nothing") || die "failed: $nothing"
	awk -v what="exec's own : ip netns's own" \
		'{ printf "%-36s %.2f (%.0f : %.0f us)\n", what, ($1 - $4) / ($2 - $4), $1 - $4, $2 - $4 }' <<<"$ours $bare"
}

ephemeral() { nsnat exec --gateway "$LAB_SLOW" -- true; }

# The plan's lines, a command, and the way back.
ephemeral_by_hand() {
	bash -e /run/lab/lines
	ip netns exec hand true
	many=1 names=hand back_by_hand
}

bench_ephemeral() {
	local status=0
	mkdir -p /etc/nsnat
	printf '[namespace.hand]\ngateway = "%s"\n' "$LAB_SLOW" >/etc/nsnat/nsnat.toml
	nsnat plan --commands >/run/lab/lines || status=$?
	((status == 2)) || die "nsnat plan: exit status $status"
	for ((round = 0; round < rounds; round++)); do
		ratio "ephemeral : by hand" "${NSNAT_TURNS:-9}" ephemeral ephemeral_by_hand
	done
}

bench_exec() {
	local round each=${NSNAT_STARTS:-500} nothing=/run/lab/nothing true
	nsnat -q add job --gateway "$LAB_SLOW" --dns "$LAB_NEW"
	[[ -x $nothing ]] || build_starts /run/lab
	true=$(type -P true)
	for ((round = 0; round < rounds; round++)); do
		# Each so many times, the median.
		starts "exec : ip netns exec" "$each" nsnat exec job -- $nothing : ip netns exec job $nothing
		own_starts "$each"
		starts "exec : nsenter" "$each" nsnat exec job -- $nothing : nsenter --net=/run/netns/job $nothing
		starts "exec : ip netns, true(1)" $((each / 2)) nsnat exec job -- "$true" : ip netns exec job "$true"
	done
	nsnat -q remove job
	bench_ephemeral
}
