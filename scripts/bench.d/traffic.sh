# shellcheck shell=bash
#
# What packets cost: of names, of connections, and of transfers.

# latencies NAME SERVER: of some queries, in microseconds, a line each.
latencies() {
	nsnat exec "$1" -- /run/lab/latency "$2" 100
}

bench_dns() {
	local round i dir
	cc -O2 -Wall -o /run/lab/latency "$root/scripts/lab.d/latency.c"
	nsnat -q add rewritten --gateway "$LAB_SLOW" --dns "$LAB_NEW"
	nsnat -q add direct --gateway "$LAB_SLOW"
	for ((round = 0; round < rounds; round++)); do
		dir=$(mktemp -d)
		for ((i = 0; i < 30; i++)); do
			latencies rewritten "$LAB_OLD" >>"$dir/a"
			latencies direct "$LAB_NEW" >>"$dir/b"
		done
		in_units us "dns rewritten : direct" "$dir/a" "$dir/b"
	done
}

# in_units UNIT WHAT A B: the quotient of the medians of two files, with both.
in_units() {
	awk -v unit="$1" -v what="$2" -v a="$(median <"$3")" -v b="$(median <"$4")" \
		'BEGIN { printf "%-36s %.3f (%.0f : %.0f %s)\n", what, a / b, a, b, unit }'
}

# A namespace as somebody makes it who needs no more than that it works.
by_hand() {
	ip netns add hand
	ip link add hand0 type veth peer name eth0 netns hand
	ip addr add 10.99.0.1/30 dev hand0
	ip link set hand0 up
	ip -n hand addr add 10.99.0.2/30 dev eth0
	ip -n hand link set eth0 up
	ip -n hand route add default via 10.99.0.1
	ip route add default via "$LAB_SLOW" dev eth0 table 99
	ip rule add iif hand0 lookup 99
	sysctl -qw net.ipv4.conf.hand0.forwarding=1 net.ipv4.conf.eth0.forwarding=1
	nft 'table ip hand { chain post { type nat hook postrouting priority srcnat; iifname hand0 masquerade; }; }'
}

# segments NAME HOST-VETH MOST: of how many segments a packet may be put together, on both ends of a veth pair.
segments() {
	ip -n "$1" link set eth0 gso_max_segs "$3"
	ip link set "$2" gso_max_segs "$3"
}

# traffic FILES NAME HOST-VETH: one measure of each kind, appended to files that begin so.
traffic() {
	segments "$2" "$3" 65535
	ip netns exec "$2" /run/lab/stream connect "$LAB_SERVICE" 9000 1500 >>"$1-connections"
	ip netns exec "$2" /run/lab/stream send "$LAB_SERVICE" 9000 150000000 >>"$1-bulk"
	# Each segment a packet: nothing is put together on the way.
	segments "$2" "$3" 1
	ip netns exec "$2" /run/lab/stream send "$LAB_SERVICE" 9000 20000000 >>"$1-packets"
	/run/lab/stream connect "$LAB_SERVICE" 9000 1500 >>"$1-host"
}

# Beside nsnat's chains the other namespace would pay for these, too: so nsnat is down while that one is measured.
traffic_by_hand() {
	local round i dir
	for ((round = 0; round < rounds; round++)); do
		dir=$(mktemp -d)
		for ((i = 0; i < 9; i++)); do
			nsnat -q up
			traffic "$dir/a" job0 nsn-job0
			nsnat -q down
			traffic "$dir/b" hand hand0
		done
		for i in connections bulk packets; do in_units us "$i : by hand" "$dir/a-$i" "$dir/b-$i"; done
		in_units us "host's own : without" "$dir/a-host" "$dir/b-host"
	done
}

# traffic_of COUNT FILES: of the first of so many.
traffic_of() {
	local i
	many=$1
	declare_many
	nsnat -q up
	for ((i = 0; i < 9; i++)); do traffic "$2" job0 nsn-job0; done
	nsnat -q down
}

traffic_beside() {
	local round i dir
	for ((round = 0; round < rounds; round++)); do
		dir=$(mktemp -d)
		traffic_of "${NSNAT_MANY:-10000}" "$dir/a"
		traffic_of 1 "$dir/b"
		for i in connections bulk packets; do in_units us "$i beside : alone" "$dir/a-$i" "$dir/b-$i"; done
		in_units us "host's own beside : alone" "$dir/a-host" "$dir/b-host"
	done
}

bench_traffic() {
	cc -O2 -Wall -o /run/lab/stream "$root/scripts/lab.d/stream.c"
	at inet /run/lab/stream take 9000 >/dev/null 2>&1 &
	until [[ $(at inet ss -Hlnt 'sport = :9000') ]]; do sleep 0.05; done
	# First: what nsnat switches on, it switches off again, but what was on before.
	by_hand
	many=1
	declare_many
	nsnat -q up
	# The first ones fill caches.
	traffic /run/lab/first job0 nsn-job0
	traffic /run/lab/first hand hand0
	traffic_by_hand
	traffic_beside
}
