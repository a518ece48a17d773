# shellcheck shell=bash disable=SC2034,SC2154,SC2016,SC2015 # variables of scripts/systest; scripts for the host
# podman 4 of Debian 12, whose networks are plugins of CNI: what docs/engines/cni.md has it do, and many containers at once.

# shellcheck source=../tests/systest/lib/containers.sh
source "$scenarios/lib/containers.sh"
# shellcheck source=../tests/systest/lib/podman.sh
source "$scenarios/lib/podman.sh"

prepare() {
	containers_without_cgroups
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
host_services 'podman run -d --name c9 --network work busybox sleep 1000'
many 30
killed_at_start
rebooted
