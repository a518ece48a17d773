# shellcheck shell=bash
#
# What `bench big` plants on the host: what a big host has, and nsnat does not care for.

# scaled COUNT: that many, or the part of it in percent that NSNAT_BIG says.
scaled() {
	echo $(($1 * ${NSNAT_BIG:-100} / 100))
}

# A router with a full table.
plant_routes() {
	awk -v count="$(scaled 300000)" -v via="$LAB_FAST" 'BEGIN {
		for (i = 0; i < count; i++)
			printf "route add %d.%d.%d.0/24 via %s dev eth0 proto bird\n", 20 + i / 65536, i / 256 % 256, i % 256, via
	}' | ip -batch -
}
uproot_routes() { ip route flush table main proto bird; }

# Lists of countries, fail2ban, CrowdSec.
plant_rules() {
	awk -v addresses="$(scaled 100000)" -v rules="$(scaled 5000)" 'BEGIN {
		print "table inet others {\nset bad { type ipv4_addr; elements = {"
		for (i = 0; i < addresses; i++) printf "20.%d.%d.%d,", i / 65536, i / 256 % 256, i % 256
		print "}\n}\nchain in {\ntype filter hook input priority 10;"
		for (i = 0; i < rules; i++) printf "ip saddr 21.0.%d.%d drop\n", i / 256, i % 256
		print "}\n}"
	}' | nft -f -
}
uproot_rules() { nft delete table inet others; }

plant_flows() { python3 "$root/scripts/bench.d/flows.py" "$(scaled 200000)"; }
uproot_flows() { conntrack -F 2>/dev/null; }

plant_processes() {
	# shellcheck disable=SC2016 # It is perl.
	setsid perl -e 'for (1 .. $ARGV[0]) { fork or do { sleep 1 while 1 } } sleep 1 while 1' "$(scaled 5000)" &
	others=$!
	until (($(pgrep -c perl) >= $(scaled 5000))); do sleep 0.2; done
}
uproot_processes() {
	kill -KILL -- "-$others"
	wait "$others" 2>/dev/null || true
}

# Containers, each with a namespace and a link.
plant_links() {
	for ((i = 0; i < $(scaled 500); i++)); do
		printf 'netns add other%d\nlink add other%d type veth peer name eth0 netns other%d\nlink set other%d up\n' "$i" "$i" "$i" "$i"
	done | ip -batch -
}
uproot_links() {
	for ((i = 0; i < $(scaled 500); i++)); do printf 'netns del other%d\n' "$i"; done | ip -batch -
	until ! ip -br link | grep -q ^other; do sleep 0.1; done
}

big_up() { nsnat -q up; }
big_status() { nsnat status; }
big_add() { nsnat -q add more --gateway "$LAB_SLOW" --dns "$LAB_NEW"; }
big_dns() { nsnat -q dns slow set "$LAB_NEW"; }
big_dns_back() { nsnat -q dns slow set "$LAB_OLD"; }
big_remove() { nsnat -q remove more; }

# big_times: of each command, in microseconds.
big_times() {
	local i add=() remove=()
	for ((i = 0; i < 5; i++)); do
		add+=("$(took big_add)")
		remove+=("$(took big_remove)")
	done
	printf '%s\n' "${add[@]}" | median
	median_of 5 big_up true
	median_of 5 big_status true
	median_of 5 ephemeral true
	median_of 5 big_dns big_dns_back
	printf '%s\n' "${remove[@]}" | median
}

bench_big() {
	local host empty times
	mkdir -p /etc/nsnat
	printf '[namespace.slow]\ngateway = "%s"\ndns = "%s"\n' "$LAB_SLOW" "$LAB_OLD" >/etc/nsnat/nsnat.toml
	nsnat -q up
	printf '%-12s %10s %10s %10s %10s %10s %10s\n' "milliseconds" add up status ephemeral "dns set" remove
	mapfile -t empty < <(big_times)
	big_row nothing "${empty[@]}"
	for host in ${NSNAT_BIG_HOSTS:-routes rules flows processes links}; do
		"plant_$host"
		mapfile -t times < <(big_times)
		big_row "$host" "${times[@]}"
		"uproot_$host"
	done
}

# big_row WHAT TIME..: each with its ratio to that of the empty host. Then the worst of these, of what is not that host itself.
big_row() {
	local what=$1
	shift
	paste <(printf '%s\n' "$@") <(printf '%s\n' "${empty[@]}") | awk -v what="$what" '
		BEGIN { printf "%-12s", what }
		{ printf " %4.0f (%3.1f)", $1 / 1000, $1 / $2; if ($1 / $2 > worst) worst = $1 / $2 }
		END { printf "\n"; if (what != "nothing") printf "%-36s %.2f\n", what ", the worst : nothing", worst }
	'
}
