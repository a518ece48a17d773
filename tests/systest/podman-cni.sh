# shellcheck shell=bash disable=SC2034,SC2154,SC2016,SC2015 # variables of scripts/systest; scripts for the host
# podman 4 of Debian 12, whose networks are plugins of CNI: what docs/engines/cni.md has it do, and many containers at once.

# shellcheck source=../tests/systest/lib/containers.sh
source "$scenarios/lib/containers.sh"
# shellcheck source=../tests/systest/lib/podman.sh
source "$scenarios/lib/podman.sh"

prepare() {
	containers_without_cgroups
	put /usr/local/bin/cnitool 755 <"$scenarios/lib/cnitool"
}

# The plugins bandwidth and tuning after nsnat: they do what they are for, and nsnat takes neither for a fault.
limited() {
	host 'cat >/etc/cni/net.d/30-limited.conflist <<-"END"
		{ "cniVersion": "1.0.0", "name": "limited", "plugins": [
		    { "type": "nsnat", "egress": "slow" },
		    { "type": "bandwidth", "ingressRate": 8000000, "ingressBurst": 80000, "egressRate": 8000000, "egressBurst": 80000 },
		    { "type": "tuning", "sysctl": { "net.ipv4.ip_default_ttl": "61" } }
		] }
	END
		podman run -d --name c1 --network limited busybox sleep 1000 >/dev/null'
	gets_out 1
	check "tuning" 61 host "$(inside 1 'cat /proc/sys/net/ipv4/ip_default_ttl')"
	check "bandwidth: in and out" 2 host 'tc qdisc show | grep -c "^qdisc tbf .* rate 8Mbit"'
	healthy "with a limit"
	host "$(finish 1) >/dev/null"
	check "bandwidth: its device went" '' host 'ip -br link show type ifb'
}

# The list of the specification's example, with nsnat in the place of its last plugin: its three requests by a runtime that is
# nothing but one, with the example's arguments.
by_cnitool() {
	local arguments='{ "mac": "00:11:22:33:44:66", "portMappings": [{ "hostPort": 8080, "containerPort": 80, "protocol": "tcp" }] }'
	local called="CNI_ARGS='IgnoreUnknown=1;argA=foo' CAP_ARGS='$arguments' cnitool"
	look before-cnitool
	host 'cat >/etc/cni/net.d/40-dbnet.conflist <<-"END"
		{ "cniVersion": "1.1.0", "cniVersions": ["0.3.1", "0.4.0", "1.0.0", "1.1.0"], "name": "dbnet", "plugins": [
		    { "type": "bridge", "bridge": "cni5", "keyA": ["some more", "plugin specific", "configuration"],
		      "ipam": { "type": "host-local", "subnet": "10.1.0.0/16", "gateway": "10.1.0.1", "routes": [{ "dst": "0.0.0.0/0" }] },
		      "dns": { "nameservers": ["10.1.0.1"] } },
		    { "type": "tuning", "capabilities": { "mac": true }, "sysctl": { "net.core.somaxconn": "500" } },
		    { "type": "nsnat", "egress": "slow", "capabilities": { "portMappings": true } }
		] }
	END
		ip netns add blue'
	check "cnitool: the result" '["1.0.0","cni5","eth0","nsnat0",["10.1.0.2/16",2],["10.1.0.1"]]' host \
		"$called add dbnet /run/netns/blue | jq -c '[.cniVersion, .interfaces[0,2,4].name, (.ips[] | [.address, .interface]), .dns.nameservers]'"
	check "cnitool: by which router" "$LAB_WAN_SLOW" host "ip netns exec blue busybox nc -w 2 $LAB_SERVICE 80 </dev/null"
	check "cnitool: the other plugins" '00:11:22:33:44:66 500' host \
		'echo $(ip -n blue -j link show dev eth0 | jq -r ".[].address") $(ip netns exec blue cat /proc/sys/net/core/somaxconn)'
	host 'ip netns exec blue busybox httpd -p 80 -h /tmp/image/www'
	published 8080
	check "cnitool: CHECK" '' host "$called check dbnet /run/netns/blue"
	host 'ip -n blue rule del pref 21302'
	check "cnitool: CHECK of what is broken" 101 host "$called check dbnet /run/netns/blue 2>/dev/null | jq .code"
	check "cnitool: DEL, and again" '' host "$called del dbnet /run/netns/blue; $called del dbnet /run/netns/blue"
	not_published 8080
	host 'rm /etc/cni/net.d/40-dbnet.conflist; ip link del cni5; ip netns pids blue | xargs kill; ip netns del blue'
	look after-cnitool
	same "cnitool" before-cnitool after-cnitool
}

# A list of nsnat alone, whose version has GC and STATUS.
collected() {
	host 'cat >/etc/cni/net.d/45-alone.conflist <<-"END"
		{ "cniVersion": "1.1.0", "name": "alone", "plugins": [{ "type": "nsnat", "egress": "slow" }] }
	END
		for name in blue green; do ip netns add $name; cnitool add alone /run/netns/$name >/dev/null; done'
	check "cnitool: STATUS" '' host 'cnitool status alone'
	host 'rm /run/cnitool/alone/*"$(sha512sum <<</run/netns/green | head -c 20) eth0"'
	check "cnitool: GC" '' host 'cnitool gc alone'
	check "cnitool: of two, the one that is not known went" 1 host "$are_up"
	check "cnitool: by which router" "$LAB_WAN_SLOW" host "ip netns exec blue busybox nc -w 2 $LAB_SERVICE 80 </dev/null"
	host 'ip link set eth0 down'
	check "cnitool: STATUS where nothing gets out" 50 host 'cnitool status alone 2>/dev/null | jq .code'
	host "ip link set eth0 up; ip route replace default via $LAB_FAST dev eth0; ip address replace $LAB_HOST6/64 dev eth0 nodad
		ip -6 route replace default via $LAB_FAST6 dev eth0
		cnitool del alone /run/netns/blue"
	check "cnitool: nothing is left" '' host "$traces"
	host 'rm -r /etc/cni/net.d/45-alone.conflist /run/cnitool; ip netns del blue; ip netns del green'
}

readonly lasting="systemctl enable podman-restart 2>/dev/null
	podman run -d --restart always --name clasting --network slow busybox sh -c \"$sends\""
readonly ends=true

boot
image_tar
host "podman import $image /tmp/image.tar busybox >/dev/null 2>&1"
check "podman uses CNI" cni host 'podman info --format "{{.Host.NetworkBackend}}"'
# Its first container makes a bridge, which stays.
host_and_others "without nsnat"
serve_on_host
documented engines/cni.md podman-cni
published 8088
host 'podman rm -f -t 0 shop >/dev/null'
not_published 8088
host "$(start 1) >/dev/null"
gets_out 1
host_and_others "beside a container that leaves by another way"
healthy "with a container"
host "$(finish 1) >/dev/null"
check "a published port, behind bridge and portmap" published at printer curl --silent --max-time 2 "http://$LAB_HOST:8080/"
check "from where it does not leave" "$LAB_WAN_SLOW" host "podman exec web nc -w 2 $LAB_SERVICE 80 </dev/null"
check "a neighbour" published host 'busybox timeout 5 podman run --rm --network both busybox sh -c \
	"printf \"GET /index.html HTTP/1.0\r\n\r\n\" | nc -w 2 $(podman inspect web --format "{{.NetworkSettings.Networks.both.IPAddress}}") 80" | tail -n 1'
host 'podman rm -f -t 0 web >/dev/null; ip link del cni-both'
limited
by_cnitool
collected
host_services 'podman run -d --name c9 --network work busybox sleep 1000'
many 30
killed_at_start
engine_killed
rebooted
