# shellcheck shell=bash
#
# Nodes, wires, addresses, routers. One `ip -batch` and one `nft -f` a node,
# the nodes in parallel: the time of a lab is the time of every test.

readonly lab_nodes=(lan wan fast slow third printer inet)

build_net() {
	host_defaults
	make_nodes
	lay_wires
	in_parallel configure_node "${lab_nodes[@]}"
	configure_host
}

# in_parallel FUNCTION ARG..: FUNCTION once for each ARG, all at once; fails when one fails.
in_parallel() {
	local what=$1 arg pid pids=()
	shift
	for arg in "$@"; do
		"$what" "$arg" &
		pids+=($!)
	done
	for pid in "${pids[@]}"; do
		wait "$pid"
	done
}

on() {
	local node=$1
	shift
	nsenter --net="/run/lab/net/$node" -- "$@"
}

# A new network namespace inherits IPv4 settings from the machine's first one
# (net.core.devconf_inherit_init_net): back to what a kernel boots with, but
# for rp_filter, which is strict as most distributions and the worst case for
# us. Devices copy `default` when they are made.
host_defaults() {
	local conf
	ip link set lo up
	echo 0 >/proc/sys/net/ipv4/ip_forward
	for conf in /proc/sys/net/ipv4/conf/{all,default,lo}; do
		set_conf "$conf" 1 rp_filter accept_redirects secure_redirects send_redirects shared_media
		set_conf "$conf" 0 forwarding accept_local route_localnet proxy_arp proxy_arp_pvlan \
			src_valid_mark arp_announce arp_filter arp_ignore arp_notify arp_accept \
			promote_secondaries log_martians disable_policy disable_xfrm bc_forwarding
	done
	for conf in /proc/sys/net/ipv6/conf/{all,default,lo}; do
		set_conf "$conf" 0 forwarding disable_ipv6
	done
	# Addresses at once; configure_host puts it back.
	echo 0 >/proc/sys/net/ipv6/conf/default/accept_dad
}

# set_conf DIR VALUE NAME..; a kernel without that setting has nothing to be set.
set_conf() {
	local dir=$1 value=$2 name
	shift 2
	for name in "$@"; do
		[[ ! -e $dir/$name ]] || echo "$value" >"$dir/$name"
	done
}

make_nodes() {
	touch "${lab_nodes[@]/#//run/lab/net/}" /run/lab/net/host
	mount --bind /proc/self/ns/net /run/lab/net/host
	in_parallel make_node "${lab_nodes[@]}"
}

make_node() {
	# shellcheck disable=SC2016 # expanded by the sh inside
	local script='
		cd /proc/sys/net
		for conf in ipv4/conf/all ipv4/conf/default; do echo 0 >$conf/rp_filter; done
		echo 0 >ipv6/conf/all/disable_ipv6
		echo 0 >ipv6/conf/default/accept_dad
		ip link set lo up'
	case $1 in
	# A switch has no voice of its own.
	lan | wan) script+='; echo 1 >ipv6/conf/default/disable_ipv6' ;;
	fast | slow | third) script+='; echo 1 >ipv4/ip_forward; echo 1 >ipv6/conf/all/forwarding' ;;
	esac
	unshare --net="/run/lab/net/$1" -- sh -euc "$script"
}

lay_wires() {
	local net=/run/lab/net
	# The host's own last: older kernels (Linux 6.1) take its names for taken in the others, too.
	ip -batch - <<-END
		link add lan0 netns $net/fast type veth peer name fast netns $net/lan
		link add lan0 netns $net/slow type veth peer name slow netns $net/lan
		link add eth0 netns $net/printer type veth peer name printer netns $net/lan
		link add wan0 netns $net/fast type veth peer name fast netns $net/wan
		link add wan0 netns $net/slow type veth peer name slow netns $net/wan
		link add wan0 netns $net/third type veth peer name third netns $net/wan
		link add eth0 netns $net/inet type veth peer name inet netns $net/wan
		link add eth0 type veth peer name host netns $net/lan
		link add eth1 type veth peer name lan0 netns $net/third
	END
}

configure_node() {
	# The first question for a neighbour may be lost while a switch's port comes up: ask
	# again soon, not after a second. Not on the host, which is to be as a kernel boots.
	# shellcheck disable=SC2016 # expanded by the sh inside
	on "$1" sh -euc 'for dir in /proc/sys/net/ipv[46]/neigh/*; do
		echo 20 >"$dir/retrans_time_ms"
		echo 100 >"$dir/mcast_solicit"
	done'
	case $1 in
	lan) configure_switch lan host fast slow printer ;;
	wan) configure_switch wan fast slow third inet ;;
	fast) configure_router fast "$LAB_FAST" "$LAB_FAST6" "$LAB_FAST_LL" "$LAB_WAN_FAST" "$LAB_WAN_FAST6" ;;
	slow) configure_router slow "$LAB_SLOW" "$LAB_SLOW6" "$LAB_SLOW_LL" "$LAB_WAN_SLOW" "$LAB_WAN_SLOW6" ;;
	third) configure_router third "$LAB_THIRD" "$LAB_THIRD6" "$LAB_THIRD_LL" "$LAB_WAN_THIRD" "$LAB_WAN_THIRD6" ;;
	printer) configure_printer ;;
	inet) configure_inet ;;
	esac
}

configure_switch() {
	local node=$1 port
	shift
	{
		# No snooping: it would swallow neighbour discovery until it has learnt.
		echo "link add br0 type bridge stp_state 0 forward_delay 0 mcast_snooping 0"
		echo "link set br0 up"
		for port in "$@"; do
			echo "link set $port master br0 up"
		done
	} | on "$node" ip -batch -
}

# configure_router NODE LAN LAN6 LL WAN WAN6
configure_router() {
	on "$1" ip -batch - <<-END
		link set lan0 addrgenmode none
		link set lan0 up
		link set wan0 up
		address add $2/24 dev lan0
		address add $3/64 dev lan0
		address add $4/64 dev lan0
		address add $5/24 dev wan0
		address add $6/64 dev wan0
		route add default via $LAB_INET
		route add default via $LAB_INET6
	END
	on "$1" nft -f - <<-'END'
		table inet router {
			chain postrouting {
				type nat hook postrouting priority srcnat
				oifname "wan0" masquerade
			}
		}
	END
}

configure_printer() {
	on printer ip -batch - <<-END
		link set eth0 up
		address add $LAB_PRINTER/24 dev eth0
		address add $LAB_PRINTER6/64 dev eth0
		route add default via $LAB_FAST
		route add default via $LAB_FAST6
	END
}

# Routers masquerade, so the internet needs no way back but its own segment.
configure_inet() {
	{
		printf '%s\n' "link set eth0 up" \
			"address add $LAB_INET/24 dev eth0" "address add $LAB_INET6/64 dev eth0"
		printf 'address add %s/32 dev lo\n' "$LAB_SERVICE" "$LAB_OLD" "$LAB_NEW" "$LAB_SECOND"
		printf 'address add %s/128 dev lo\n' "$LAB_SERVICE6" "$LAB_OLD6" "$LAB_NEW6" "$LAB_SECOND6"
	} | on inet ip -batch -
	# https and DNS over TLS/QUIC anywhere: whoami again, so that a test can tell
	# "arrived, by this way" from "was refused".
	on inet nft -f - <<-END
		table inet services {
			chain prerouting {
				type nat hook prerouting priority dstnat
				meta nfproto ipv4 meta l4proto { tcp, udp } th dport { 443, 853 } dnat ip to $LAB_SERVICE:80
				meta nfproto ipv6 meta l4proto { tcp, udp } th dport { 443, 853 } dnat ip6 to [$LAB_SERVICE6]:80
			}
		}
	END
}

# Last, when the far ends are up: the host finds its carriers on.
configure_host() {
	local conf
	ip -batch - <<-END
		link set eth0 up
		link set eth1 up
		address add $LAB_HOST/24 dev eth0
		address add $LAB_HOST6/64 dev eth0 nodad
		address add $LAB_HOST_THIRD/24 dev eth1
		address add $LAB_HOST_THIRD6/64 dev eth1 nodad
		route add default via $LAB_FAST dev eth0
		route add default via $LAB_FAST6 dev eth0
	END
	# The kernel looks at accept_dad when it gets round to the address, not when it makes it.
	until_true "the host's addresses are not ready" no_tentative
	for conf in default eth0 eth1; do
		echo 1 >"/proc/sys/net/ipv6/conf/$conf/accept_dad"
	done
	in_parallel know_router "$LAB_FAST" "$LAB_SLOW" "$LAB_THIRD"
}

no_tentative() {
	[[ -z $(ip -6 address show tentative) ]]
}

# until_true WHAT CMD..: tries CMD until it succeeds; dies with WHAT after a minute, which only a machine in trouble needs.
until_true() {
	local what=$1 tries=6000
	shift
	until "$@"; do
		((--tries)) || die "$what"
		sleep 0.01
	done
}

# The first packets to a router would wait for up to a second, if the question for its
# link-layer address came before the switch's ports were up. Nobody listens on port 9.
know_router() {
	local tries=1000
	until ip neigh show to "$1" | grep -q lladdr; do
		((--tries)) || die "the router $1 does not answer"
		ip neigh flush to "$1"
		timeout 0.05 bash -c ": >/dev/tcp/$1/9" 2>/dev/null || true
	done
}
