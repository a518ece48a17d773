# shellcheck shell=bash disable=SC2016 # names of strongSwan's
# strongSwan, real, with the kernel's ESP: a road warrior with a virtual address (table and rule 220), and a tunnel for all
# that has the host's own address, in both families. The host's packets go through the tunnel, by the fast router; the
# job's never do, before `nsnat up` has run neither, and by the slow router after it.

lay_wires
printf '[namespace.slow]\ngateway = ["192.168.1.254", "2001:db8:1::254"]\n' >/etc/nsnat/nsnat.toml
mkdir /run/vpn

# strongSwan looks for its way to the peer in all tables of the host, nsnat's too: nothing tells it to leave those out.
for end in host peer; do
	cat >/run/vpn/$end.conf <<-END
		charon {
			plugins {
				include /etc/strongswan.d/charon/*.conf
			}
		}
	END
done

# connection NAME LOCAL REMOTE WORDS CHILD: what is alike in all of them.
connection() {
	printf '%s {\nversion = 2\n%s\nlocal {\nauth = psk\nid = %s\n}\nremote {\nauth = psk\n%s\n}\nchildren {\n%s {\n%s\n}\n}\n}\n' \
		"$1" "${4//,/$'\n'}" "$2" "${3:+id = $3}" "$1" "$5"
}

{
	printf 'connections {\n'
	connection warrior host peer1 'remote_addrs = 203.0.113.100,vips = 0.0.0.0' 'remote_ts = 0.0.0.0/0'
	connection whole host peer2 'remote_addrs = 203.0.113.100' \
		$'local_ts = 192.168.1.10, 2001:db8:1::10\nremote_ts = 0.0.0.0/0, 2000::/3'
	printf '}\nsecrets {\nike {\nsecret = a\n}\n}\n'
} >/run/vpn/host.swanctl
{
	printf 'connections {\n'
	connection warrior peer1 '' 'local_addrs = 203.0.113.100,pools = virtual' 'local_ts = 0.0.0.0/0'
	connection whole peer2 '' 'local_addrs = 203.0.113.100' \
		$'local_ts = 0.0.0.0/0, 2000::/3\nremote_ts = 192.168.1.10, 2001:db8:1::10'
	printf '}\npools {\nvirtual {\naddrs = 10.77.0.1-10.77.0.9\n}\n}\nsecrets {\nike {\nsecret = a\n}\n}\n'
} >/run/vpn/peer.swanctl

# Two daemons: the peer's has a /run of its own.
nsenter --net=/run/netns/inet unshare -m bash -c 'cp -a /run/vpn /mnt; mount -t tmpfs tmpfs /run; cp -a /mnt/vpn /run
	STRONGSWAN_CONF=/run/vpn/peer.conf /usr/lib/ipsec/charon &
	until [[ -S /run/charon.vici ]]; do sleep 0.2; done
	swanctl --load-all --file /run/vpn/peer.swanctl; touch /mnt/ready; wait' >/run/vpn/peer.log 2>&1 &
STRONGSWAN_CONF=/run/vpn/host.conf /usr/lib/ipsec/charon >/run/vpn/host.log 2>&1 &
wait_for test -S /run/charon.vici || cat /run/vpn/host.log
wait_for test -e /mnt/ready || cat /run/vpn/peer.log
swanctl --load-all --file /run/vpn/host.swanctl >/run/vpn/said 2>&1 || cat /run/vpn/said

vpn() {
	timeout 60 swanctl "$@" >/run/vpn/said 2>&1 || { echo "swanctl $*" && tail -n 5 /run/vpn/said; }
}

# What strongSwan has made; ours have indexes of their own.
theirs() {
	ip -s xfrm policy | awk '/^src/ { line = $0 } /index/ && !/socket/ && $6 < 1845493760 { print line, $1, $2, $8 } /tmpl/'
	ip rule | grep '^220:'
	ip route show table 220 2>&1 || true
}

ours() { ip -s xfrm policy | awk '/index/ && $6 >= 1845493760' | wc -l; }

# scenario NAME HOST4 HOST6: what the host is told while the tunnel is there.
scenario() {
	local name=$1 host4=$2 host6=$3
	check "$name: up" 'slow: up, by eth0 via 192.168.1.254, 2001:db8:1::254' nsnat up
	check "$name: job without a tunnel" $'203.0.113.254\n2001:db8:f::254' eval 'job 4; job 6'
	vpn --initiate --child "$name"
	theirs >/run/vpn/before
	counted slow-router sealed >/dev/null
	counted fast sealed >/dev/null
	check "$name: host" "$host4"$'\n'"$host6" eval 'who 4; who 6'
	check "$name: the host's packets are in the tunnel, by the fast router" yes eval '(($(counted fast sealed) > 2)) && echo yes'
	check "$name: broken, by name" 'broken yes' eval \
		"nsnat status -o json | jq -r '.namespaces[] | \"\(.state) \(if .problems | tostring | test(\"IPsec policy|comes first\") then \"yes\" else \"no\" end)\"'"
	counted fast plain >/dev/null
	check "$name: before up, not by the tunnel" '' eval \
		'{ job 4; job 6; } | grep -vx -e none -e 203.0.113.254 -e 2001:db8:f::254 || true'
	nsnat -q up
	check "$name: healed" $'203.0.113.254\n2001:db8:f::254' eval 'job 4; job 6'
	check "$name: nothing else to do" '' nsnat -q plan
	check "$name: nothing of the job by the fast router" 0 counted fast plain
	check "$name: no tunnel by the slow router" 0 counted slow-router sealed
	check "$name: host, with the job" "$host4"$'\n'"$host6" eval 'who 4; who 6'
	check "$name: its own things" "$(</run/vpn/before)" theirs
	nsnat -q down
	check "$name: after down" "$(</run/vpn/before)" theirs
	check "$name: none of ours" 0 ours
	check "$name: host, after down" "$host4"$'\n'"$host6" eval 'who 4; who 6'
	nsnat -q up
	check "$name: there before nsnat" $'203.0.113.254\n2001:db8:f::254' eval 'job 4; job 6'
	vpn --terminate --ike "$name"
	nsnat -q up
	check "$name: ended" $'203.0.113.254\n203.0.113.1\n0' eval 'job 4; who 4; ours'
	nsnat -q down
}

scenario warrior 10.77.0.1 2001:db8:f::1
scenario whole 192.168.1.10 2001:db8:1::10
