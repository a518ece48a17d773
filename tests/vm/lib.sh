# shellcheck shell=bash disable=SC2016,SC2102 # shells inside; an address
#
# The first process of the machine (scripts/vm): makes routers around it, runs the scenario, ends the machine.
#
#   192.168.1.10 ─┬─ .1 fast ──┬─ inet: 203.0.113.100, and who asks 198.51.100.80 or 2001:db8:80::80 at port 80
#    the host     └─ .254 slow ┘  is told his address: 203.0.113.1 behind fast, 203.0.113.254 behind slow
#
#   lay_wires                  makes all this
#   serve_names SERVER ADDRESS a name server in inet, which knows no other address
#   check WHAT EXPECTED CMD..  CMD prints EXPECTED
#   who N, job N               what the host, or a job in `slow`, is told by IPv4 or IPv6; each waits
#                              as many seconds as `patience` says
#   counted ROUTER COUNTER     packets that it got from the LAN since it was asked last
#   everything                 all of the host that nsnat could leave something in

declare -i checks=0 failures=0

node() { ip netns exec "$@"; }

# wire DEVICE NODE SWITCH: a device of a node (none: the host) with its other end in a switch's port.
wire() {
	local name=$1 at=$2 switch=$3 port
	port=p$((++ports))
	ip link add "$port" netns "$switch" type veth peer name "$name" ${at:+netns "$at"}
	ip -n "$switch" link set "$port" master bridge0 up
	ip ${at:+-n "$at"} link set "$name" up
}

lay_wires() {
	local router
	declare -ig ports=0
	for router in lan fast slow-router inet; do
		ip netns add "$router"
		ip -n "$router" link set lo up
	done
	ip -n lan link add bridge0 type bridge
	ip -n lan link set bridge0 up
	ip -n inet link add bridge0 type bridge
	ip -n inet link set bridge0 up
	wire eth0 '' lan
	router fast 1
	router slow-router 254
	ip addr add 192.168.1.10/24 dev eth0
	ip addr add 2001:db8:1::10/64 dev eth0 nodad
	ip route add default via 192.168.1.1
	ip -6 route add default via 2001:db8:1::1
	ip -n inet addr add 203.0.113.100/24 dev bridge0
	ip -n inet addr add 2001:db8:f::100/64 dev bridge0 nodad
	ip -n inet addr add 198.51.100.80/32 dev lo
	ip -n inet addr add 2001:db8:80::80/128 dev lo nodad
	node inet socat TCP4-LISTEN:80,reuseaddr,fork SYSTEM:'echo $SOCAT_PEERADDR' &
	node inet socat TCP6-LISTEN:80,ipv6-v6only=1,reuseaddr,fork SYSTEM:'echo $SOCAT_PEERADDR' &
}

# router NAME NUMBER: counts what it gets from the LAN, the tunnel's packets and others.
router() {
	wire lan0 "$1" lan
	wire wan0 "$1" inet
	ip -n "$1" addr add "192.168.1.$2/24" dev lan0
	ip -n "$1" addr add "203.0.113.$2/24" dev wan0
	ip -n "$1" addr add "2001:db8:1::$2/64" dev lan0 nodad
	ip -n "$1" addr add "2001:db8:f::$2/64" dev wan0 nodad
	ip -n "$1" route add default via 203.0.113.100
	ip -n "$1" -6 route add default via 2001:db8:f::100
	node "$1" sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1
	node "$1" nft -f - <<-'END'
		table inet router {
			counter sealed { }
			counter plain { }
			counter names { }
			chain post { type nat hook postrouting priority 100; oifname "wan0" masquerade; }
			chain forward {
				type filter hook forward priority 0;
				iifname "lan0" meta l4proto esp counter name sealed
				iifname "lan0" udp dport 4500 counter name sealed
				iifname "lan0" tcp dport 80 counter name plain
				iifname "lan0" udp dport 53 counter name names
				iifname "lan0" tcp dport 53 counter name names
			}
		}
	END
}

# counted ROUTER COUNTER: packets since it was asked last.
counted() {
	node "$1" nft -j reset counter inet router "$2" | jq '.nftables[] | .counter? // empty | .packets'
}

serve_names() {
	ip -n inet addr show to "$1" | grep -q . || ip -n inet addr add "$1" dev bridge0
	node inet dnsmasq --conf-file=/dev/null --no-resolv --no-hosts --pid-file= --user=root --bind-interfaces --listen-address="$1" \
		--address="/www.example.test/$2"
}

# What settles by itself is left out.
settled() { "$PROJECT/scripts/lab.d/bin/settled"; }

everything() { bash "$PROJECT/tests/lab/lab/snapshot.sh"; }

ask() {
	local said
	case $1 in
	4) said=$(timeout "${patience-6}" "${@:2}" socat -u TCP4:198.51.100.80:80 - 2>/dev/null) ;;
	6) said=$(timeout "${patience-6}" "${@:2}" socat -u TCP6:[2001:db8:80::80]:80 - 2>/dev/null | sed 's/^\[//; s/\]$//; s/:0\+/:/g; s/::\+/::/') ;;
	esac
	echo "${said:-none}"
}

who() { ask "$1"; }

job() { ask "$1" nsnat exec slow; }

check() {
	local what=$1 expected=$2 said
	shift 2
	checks+=1
	printf -- '- %s (%d s)\n' "$what" "$SECONDS"
	said=$("$@" 2>&1) || said+=" (exit status $?)"
	[[ $said != "$expected" ]] || return 0
	failures+=1
	printf '%s: %s\n    expected: %s\n    was: %s\n' "${BASH_LINENO[0]}" "$what" "$expected" "$said"
}

wait_for() {
	local tries=300
	until "$@" 2>/dev/null; do
		((--tries)) || return 1
		sleep 0.2
	done
}

end() {
	((failures || !checks)) || echo "ok ($checks checks, Linux $(uname -r), nft $version)${measured:+: $measured}"
	sync
	echo o >/proc/sysrq-trigger
	# (A shell of its own: the machine may be gone before it has read a program.)
	read -rt 60 <> <(:) || :
}

export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LC_ALL=C.UTF-8
trap end EXIT
mount -t tmpfs tmpfs /run
mkdir -p /dev/pts /etc/nsnat
mount -t devpts devpts /dev/pts
mount -t cgroup2 cgroup2 /sys/fs/cgroup
for at in fd:fd stdin:fd/0 stdout:fd/1 stderr:fd/2; do
	ln -s "/proc/self/${at#*:}" "/dev/${at%:*}"
done
ip link set lo up
# An old one does not say it where its modules were taken away.
version=$(nft --version | sed 's/^nftables v\([^ ]*\).*/\1/')
NSNAT=$(sed 's/.*nsnat=\([^ ]*\).*/\1/' /proc/cmdline)
without=$(sed -n 's/.*without=\([^ ]*\).*/\1/p' /proc/cmdline)
PROJECT=$(sed 's/.*project=\([^ ]*\).*/\1/' /proc/cmdline)
export PROJECT
export -f settled
# The directory of the lab that a snapshot looks at is this one's own /etc.
mkdir -p /run/bin /run/lab/etc/upper
mount --bind /etc /run/lab/etc/upper
ln -s "$NSNAT" /run/bin/nsnat
PATH=/run/bin:$PATH
# shellcheck source=/dev/null # the scenario
source "$1"
