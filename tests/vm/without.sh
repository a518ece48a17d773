# shellcheck shell=bash disable=SC2154 # variables of lib.sh
# built
# A kernel that was built without an option (scripts/vm --without). Where nsnat can do without, the main job works. Otherwise one
# line names the part and the option, everything is left as it was, and doctor has its code.

# missing: of these two options the kernel has the one that is asked for as the control.
missing() { zcat /proc/config.gz | grep -E "^CONFIG_(INET|$without)="; }

# The host has a device with an address, and a namespace is declared.
declare_one() {
	ip link add eth0 type dummy
	ip link set eth0 up
	ip addr add 192.168.1.10/24 dev eth0
	ip neigh add 192.168.1.254 lladdr 02:00:00:00:00:01 dev eth0
	printf '[namespace.slow]\ngateway = "192.168.1.254"\n' >/etc/nsnat/nsnat.toml
}

# codes: what doctor says, and what shows it.
codes() { nsnat doctor -o json 2>/dev/null | jq -r '.findings[] | .code, .evidence[]'; }

# refused TITLE: nothing is begun without that part.
refused() {
	local title=$1 line
	line="nsnat: kernel: Linux $(uname -r) has no $title
hint: boot a kernel that was built with that, such as one of a distribution"
	declare_one
	everything >/tmp/before
	check 'up' "$line (exit status 1)" told nsnat up
	check 'for one command' "$line (exit status 125)" told nsnat exec --gateway 192.168.1.254 -- true
	check 'doctor' "kernel-lacks"$'\n'"$title" codes
	check 'nothing is left' '' diff /tmp/before <(everything)
}

# told CMD..: what it says, without what it says only where it had begun.
told() {
	"$@" 2>&1 | grep -vx 'hint: everything is as it was before'
	return "${PIPESTATUS[0]}"
}

# by_ipv4: what the host has of IPv6 stays the host's.
by_ipv4() {
	lay_wires
	serve_names 203.0.113.53 192.0.2.53
	rmdir /etc/nsnat
	everything >/tmp/before
	check 'the host, by both families' $'203.0.113.1\n2001:db8:f::1' eval 'who 4; who 6'
	check 'add' 'slow: up, by eth0 via 192.168.1.254' nsnat add slow --gateway 192.168.1.254 --dns 203.0.113.53
	check 'a job' 203.0.113.254 job 4
	check 'by IPv6' none eval 'patience=6; job 6'
	for server in 8.8.8.8 127.0.0.53; do
		check "a job asks $server" 192.0.2.53 nsnat exec slow -- dig +short +tries=2 +time=5 "@$server" www.example.test
	done
	counted fast plain >/dev/null
	check 'nothing by the fast router' 0 eval 'patience=6; job 4 >/dev/null; job 6 >/dev/null; counted fast plain'
	check 'the host is counted' yes eval '[[ $(who 6) == 2001:db8:f::1 ]] && (($(counted fast plain) > 3)) && echo yes'
	check 'again' 'nothing to do' nsnat up
	check 'doctor' "kernel-lacks"$'\n''rules of routing of IPv6 (CONFIG_IPV6_MULTIPLE_TABLES)' codes
	check 'IPv6 is asked for' 'nsnat: namespace both: ipv6 = "nat", but this kernel has no rules of routing of IPv6 (CONFIG_IPV6_MULTIPLE_TABLES)
 |
 = hint: boot a kernel that was built with them, or use IPv4 alone: ipv6 = "auto"

nsnat: configuration: 1 problem; nothing was changed (exit status 2)' nsnat add both --gateway 192.168.1.254 --ipv6 nat
	check 'a gateway of IPv6' 'nsnat: namespace six: it has gateways of IPv6 alone, but this kernel has no rules of routing of IPv6 (CONFIG_IPV6_MULTIPLE_TABLES)
 |
 = hint: boot a kernel that was built with them, or use IPv4 alone: ipv6 = "auto"

nsnat: configuration: 1 problem; nothing was changed (exit status 2)' nsnat add six --gateway 2001:db8:1::254
	nft flush ruleset
	check 'flushed' none eval 'patience=6; job 4'
	check 'healed' 203.0.113.254 eval 'nsnat -q up; job 4'
	check 'removed' 'slow: down' nsnat remove slow
	check 'the host again' $'203.0.113.1\n2001:db8:f::1' eval 'who 4; who 6'
	check 'nothing is left' '' diff /tmp/before <(everything)
}

# without_ipsec: the main job; and the table does not ask about IPsec.
without_ipsec() {
	# shellcheck source=main.sh
	source "$PROJECT/tests/vm/main.sh"
	nsnat -q up
	check 'what asks about IPsec elsewhere' $'\t\toifgroup 7238510 goto dns_answer\n\t\tiif 0 goto of_the_host' eval \
		'nft list chain inet nsnat departures | grep -v "[{}]\|type filter"'
	check 'doctor' '' codes
	check 'down again' 'slow: down' nsnat down
}

check 'it is missing' CONFIG_INET=y missing
case $without in
NET_NS) refused 'network namespaces (CONFIG_NET_NS)' ;;
VETH) refused 'veth pairs (CONFIG_VETH, module veth)' ;;
NF_TABLES) refused 'nftables (CONFIG_NF_TABLES, module nf_tables)' ;;
NF_CONNTRACK_ZONES) refused 'zones of connection tracking (CONFIG_NF_CONNTRACK_ZONES)' ;;
IP_MULTIPLE_TABLES) refused 'rules of routing (CONFIG_IP_MULTIPLE_TABLES)' ;;
IPV6_MULTIPLE_TABLES) by_ipv4 ;;
XFRM) without_ipsec ;;
*) check 'what is known of that option' "$without" echo nothing ;;
esac
