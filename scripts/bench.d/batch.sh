# shellcheck shell=bash
#
# The lines of `nsnat plan --commands` as a careful program runs them: few programs, each with many lines.

# sort_lines DIR: the lines of standard input in files below DIR: those of the host in the order of their phases, those of
# each namespace by themselves.
sort_lines() {
	awk -v dir="$1" '
		function put(file, line) { print line >>(dir "/" file) }
		/^ip netns exec / { put("set/" $4, $NF); next }
		/^sysctl / { put("sysctls", $NF); next }
		/^ip -n / { name = $3; sub(/^ip -n [^ ]+ /, ""); put("in4/" name, $0); next }
		/^ip -6 -n / { name = $4; sub(/^ip -6 -n [^ ]+ /, ""); put("in6/" name, $0); next }
		/^ip -6 / { sub(/^ip -6 /, ""); put(/unreachable|rule/ ? "first6" : "last6", $0); next }
		/^ip / { sub(/^ip /, ""); put(/netns add|link add|alias|unreachable|rule/ ? "first4" : "last4", $0); next }
		{ put("table", $0) }
	'
}

# by_batch DIR
by_batch() {
	local file
	bash -e "$1/table"
	ip -batch "$1/first4"
	ip -6 -batch "$1/first6"
	for file in "$1"/set/*; do
		mapfile -t values <"$file"
		ip netns exec "${file##*/}" sysctl -qw "${values[@]}"
	done
	mapfile -t values <"$1/sysctls"
	sysctl -qw "${values[@]}"
	for file in "$1"/in4/*; do ip -n "${file##*/}" -batch "$file"; done
	for file in "$1"/in6/*; do ip -6 -n "${file##*/}" -batch "$file"; done
	ip -batch "$1/last4"
	ip -6 -batch "$1/last6"
}

up_all() { nsnat -q up; }
up_by_lines() { bash -e /run/lab/lines; }
up_by_batch() { by_batch /run/lab/batch; }
down_all() { nsnat -q down; }
down_by_hand() {
	local i
	for ((i = 0; i < many; i++)); do ip netns del "$names$i"; done
}

# declare_batch: what the configuration declares, as lines.
declare_batch() {
	local status=0
	declare_many
	rm -rf /run/lab/batch
	mkdir -p /run/lab/batch/{set,in4,in6}
	nsnat plan --commands >/run/lab/lines || status=$?
	((status == 2)) || die "nsnat plan: exit status $status"
	sort_lines /run/lab/batch </run/lab/lines
}

# turns WHAT TIMES A AFTER-A B AFTER-B: the quotient of the medians, both taking turns; what comes after is not counted.
turns() {
	local what=$1 times=$2 i dir
	dir=$(mktemp -d)
	for ((i = 0; i < times; i++)); do
		took "$3" >>"$dir/a"
		"$4"
		took "$5" >>"$dir/b"
		"$6"
	done
	against "$what" "$(median <"$dir/a")" "$(median <"$dir/b")"
	rm -r "$dir"
}

# floor_below WHAT TIMES: `up` by its floor, both taking turns.
floor_below() {
	local i dir
	dir=$(mktemp -d)
	for ((i = 0; i < $2; i++)); do
		took up_all >>"$dir/a"
		down_all
		floor >>"$dir/b"
	done
	against "$1" "$(median <"$dir/a")" "$(median <"$dir/b")"
	rm -r "$dir"
}

# bench_batch: many namespaces at once, and one.
bench_batch() {
	local round all=${NSNAT_MANY:-200}
	for ((round = 0; round < rounds; round++)); do
		many=1
		declare_batch
		turns "up of one : its lines" 9 up_all down_all up_by_lines back_by_hand
		floor_below "up of one : the floor" 9
		many=$all
		declare_batch
		turns "up of many : ip -batch" 1 up_all down_all up_by_batch back_by_hand
		turns "up of many : its lines" 1 up_all down_all up_by_lines back_by_hand
		floor_below "up of many : the floor" 3
		up_all
		# Both have to undo the same.
		turns "down : ip netns del" 1 down_all up_by_batch down_by_hand rest_by_hand
	done
}

# What is left when the namespaces are gone.
rest_by_hand() {
	local family i
	for family in -4 -6; do
		for i in $(ip $family rule | sed -n 's/^\(42[01][0-9]\):.*/\1/p'); do
			ip $family rule del pref "$i"
		done
		ip $family route flush table 213001 2>/dev/null || true
	done
	nft delete table inet nsnat
}

back_by_hand() {
	local i name
	for ((i = 0; i < many; i++)); do
		name=$names$i
		[[ $names != hand ]] || name=hand
		ip link del "nsn-$name"
		ip netns del "$name"
	done
	rest_by_hand
}
