# shellcheck shell=bash
#
# How long nsnat watch takes to repair something, and to leave an uplink that failed.

# Of each: what is taken away, by which command; what tells of it, and the patterns of the lines by which it tells that it is gone
# and that it is there again.
# shellcheck disable=SC2016 # `healed` evaluates these texts.
readonly heals=(
	"a rule" 'ip rule del fwmark 0x1000000/0xff000000 lookup 213001' 'ip -o monitor rule'
	'Deleted *fwmark 0x1000000/0xff000000 lookup 213001*' '[0-9]*fwmark 0x1000000/0xff000000 lookup 213001*'
	"a setting" 'echo 0 >/proc/sys/net/ipv4/conf/eth0/forwarding' 'ip -o monitor netconf'
	'inet eth0 forwarding off*' 'inet eth0 forwarding on*'
	"an address" 'ip address del "$address" dev nsn-slow' 'ip -o monitor address'
	'Deleted *nsn-slow *inet 10.*' '[0-9]*nsn-slow *inet 10.*'
	"the table" 'nft delete table inet nsnat' 'nft monitor tables' 'delete table inet nsnat' 'add table inet nsnat'
	"the same, by one that stays connected" 'echo "delete table inet nsnat" >&8' 'nft monitor tables'
	'delete table inet nsnat' 'add table inet nsnat'
	"the ruleset" 'nft flush ruleset' 'nft monitor tables' 'delete table inet nsnat' 'add table inet nsnat'
	"a link" 'ip link set eth0 down; ip link set eth0 up' 'ip -o monitor link route'
	'[0-9]*: eth0@*' 'default via 192.168.1.254 dev eth0 table 213001*'
)

# between GONE BACK: of the lines that come in, the times from the last that is like GONE to the next that is like BACK.
between() {
	local line gone=
	while IFS= read -r line; do
		# shellcheck disable=SC2053 # They are patterns.
		if [[ $line == $1 ]]; then
			gone=$(now)
		elif [[ $gone && $line == $2 ]]; then
			echo $(($(now) - gone))
			gone=
		fi
	done
}

# healed BREAK MONITOR GONE BACK: 50 times. Repairs have a price, so there is time between them.
healed() {
	local i monitor times
	times=$(mktemp)
	# shellcheck disable=SC2086 # A command and its arguments.
	exec 3< <(exec stdbuf -oL $2)
	monitor=$!
	between "$3" "$4" <&3 >"$times" &
	sleep 0.2
	for ((i = 1; i <= 50; i++)); do
		eval "$1"
		until (($(wc -l <"$times") == i)); do sleep 0.05; done
		sleep 0.6
	done
	kill "$monitor"
	median <"$times"
}

bench_heal() {
	local i watch address connected
	mkdir -p /etc/nsnat
	printf '[namespace.slow]\ngateway = "%s"\ndns = "%s"\n' "$LAB_SLOW" "$LAB_NEW" >/etc/nsnat/nsnat.toml
	nsnat watch >/run/lab/watch.log 2>&1 &
	watch=$!
	until grep -q ready /run/lab/watch.log; do sleep 0.1; done
	# shellcheck disable=SC2034 # The texts above name it.
	address=$(ip -4 -o address show dev nsn-slow | awk '{ print $4 }')
	mkfifo /run/lab/commands
	nft -i </run/lab/commands >/dev/null &
	connected=$!
	exec 8>/run/lab/commands
	for ((i = 0; i < ${#heals[@]}; i += 5)); do
		healed "${heals[@]:i+1:4}" |
			awk -v what="${heals[i]}" '{ printf "%-36s %.1f ms\n", what, $1 / 1000 }'
	done
	awk '/^(RssAnon|VmRSS)/ { print $1, $2, "kB" }' "/proc/$watch/status"
	kill "$watch" "$connected"
}

# What fails, how, and how that ends.
readonly failures=(
	"a link goes down" 'ip link set eth1 down' 'ip link set eth1 up'
	"a router is silent"
	'at third nft "add table netdev mute; add chain netdev mute in { type filter hook ingress device lan0 priority 0; policy drop; }"'
	'at third nft delete table netdev mute'
)

# first_packet FAIL: a job sends all the time; the time from the failure to its first packet by the slow router.
first_packet() {
	local watch job capture start line
	# What was learnt in the last round is forgotten.
	rm -f /run/nsnat/health.json
	nsnat watch >/run/lab/watch.log 2>&1 &
	watch=$!
	until ip route list table 213001 | grep -q "default via $LAB_THIRD"; do sleep 0.1; done
	# shellcheck disable=SC2016 # Expanded inside.
	nsnat exec job -- bash -c 'exec 9<> <(:); while :; do echo >/dev/udp/$LAB_SERVICE/7788; read -rt 0.002 -u 9; done' 2>/dev/null &
	job=$!
	exec 3< <(exec at slow tcpdump --immediate-mode -lntt -i lan0 udp dst port 7788 2>&1)
	capture=$!
	until read -ru 3 line && [[ $line == listening* ]]; do :; done
	# At any moment between two questions.
	sleep "0.$((RANDOM % 900 + 100))"
	start=$(now)
	eval "$1"
	read -ru 3 line
	line=${line%% *}
	echo $((${line/./} - start))
	kill "$job" "$capture" "$watch"
	wait "$job" "$watch" || true
}

bench_failover() {
	local i round
	mkdir -p /etc/nsnat
	cat >/etc/nsnat/nsnat.toml <<-END
		[uplink.a]
		dev = "eth1"
		gateway = "$LAB_THIRD"
		check = { interval = "200ms", fail = 2 }
		[uplink.b]
		dev = "eth0"
		gateway = "$LAB_SLOW"
		[namespace.job]
		uplink = ["a", "b"]
	END
	for ((i = 0; i < ${#failures[@]}; i += 3)); do
		for ((round = 0; round < 10; round++)); do
			first_packet "${failures[i + 1]}"
			eval "${failures[i + 2]}"
		done | sort -n | awk -v what="${failures[i]}" \
			'{ all[NR] = $1 / 1000 } END { printf "%-36s %.1f ms, %.1f at most\n", what, all[int((NR + 1) / 2)], all[NR] }'
	done
}

addresses_of_veths() { ip -4 -o address | grep -c 'nsn-job' || true; }

# All addresses of host veths are deleted, by one program.
burst() {
	ip -4 -o address | awk '$2 ~ /^nsn-job/ { print "address del", $4, "dev", $2 }' >/run/lab/burst
	ip -batch /run/lab/burst
}

burst_by_watch() {
	until (($(addresses_of_veths) == many)); do sleep 0.02; done
}

wake_ups() { cat "/proc/$1"/task/*/status | awk '/^voluntary/ { sum += $2 } END { print sum }'; }

# idle PID: of nsnat watch, when nothing happens.
idle() {
	local before
	sleep 2
	before=$(wake_ups "$1")
	sleep 10
	printf 'idle beside %d: %d wake-ups in 10 seconds, %d kB\n' "$many" $(($(wake_ups "$1") - before)) \
		"$(awk '/^RssAnon/ { print $2 }' "/proc/$1/status")"
}

bench_burst() {
	local round watch
	many=${NSNAT_MANY:-1000}
	declare_many
	nsnat -q up
	for ((round = 0; round < rounds; round++)); do
		burst
		took up_all >/run/lab/by-up
		: >/run/lab/watch.log
		nsnat watch >>/run/lab/watch.log 2>&1 &
		watch=$!
		until grep -q ready /run/lab/watch.log; do sleep 0.1; done
		((round)) || idle "$watch"
		burst
		took burst_by_watch >/run/lab/by-watch
		against "burst, watch : up" "$(cat /run/lab/by-watch)" "$(cat /run/lab/by-up)"
		kill "$watch"
		wait "$watch"
	done
}
