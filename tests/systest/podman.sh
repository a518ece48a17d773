# shellcheck shell=bash disable=SC2034,SC2154,SC2016,SC2015 # variables of scripts/systest; scripts for the host
# podman 5 of Debian 13, whose networks netavark makes, with plugins: what docs/engines/podman.md has it do, and many containers at once.

# shellcheck source=../tests/systest/lib/containers.sh
source "$scenarios/lib/containers.sh"
# shellcheck source=../tests/systest/lib/podman.sh
source "$scenarios/lib/podman.sh"

prepare() {
	containers_without_cgroups
	put /etc/containers/systemd/job.container.d/machine.conf <<-'END'
		[Container]
		PodmanArgs=--cgroups=disabled
	END
}

# refuses WORD COMMAND
refuses() {
	check "refused: $2" "$1" host "$2 2>&1 | grep -o '$1'"
}

# port_of NODE N: whether that node of the segment by eth1 gets in there.
port_of() {
	at "$1" timeout 1 bash -c ": >/dev/tcp/$LAB_HOST_THIRD/$2" 2>/dev/null && echo open || echo closed
}

# A unit of Quadlet.
readonly lasting="cat >/etc/containers/systemd/lasting.container <<'END'
[Container]
Image=localhost/busybox
ContainerName=clasting
Network=slow.network
PodmanArgs=--cgroups=disabled
Exec=sh -c '$sends'
[Install]
WantedBy=multi-user.target
END
systemctl daemon-reload; systemctl start lasting"
readonly ends='systemctl stop lasting; rm /etc/containers/systemd/lasting.container; systemctl daemon-reload'

boot
image_tar
host "podman import $image /tmp/image.tar busybox >/dev/null 2>&1"
check "podman uses netavark" netavark host 'podman info --format "{{.Host.NetworkBackend}}"'

host_and_others "without nsnat"
serve_on_host
documented engines/podman.md podman
refuses 'one of `egress`' 'podman network create -d nsnat bad'
refuses 'no namespace nowhere is declared' 'podman network create -d nsnat --opt egress=nowhere bad'
refuses 'the option `mtu` is not known' 'podman network create -d nsnat --opt egress=slow --opt mtu=1400 bad'
refuses '`subnets` is not supported' 'podman network create -d nsnat --opt egress=slow --subnet 10.1.0.0/24 bad'
refuses '`internal` is not supported' 'podman network create -d nsnat --opt egress=slow --internal bad'
published 8080
# podman keeps the port by a socket of its own, which nobody reads.
check "by another device" open port_of third 8080
refuses 'address already in use' 'podman run --rm --network slow -p 8080:80 busybox true'
host 'podman rm -f -t 0 web >/dev/null'
not_published 8080
check "by another device, afterwards" closed port_of third 8080
refuses '127.0.0.1: a port is published on the device' 'podman run --rm --network slow -p 127.0.0.1:8080:80 busybox true'
refuses '"sctp" is neither tcp nor udp' 'podman run --rm --network slow -p 8080:80/sctp busybox true'
refuses '`static_ips` is not supported' 'podman run --rm --network slow --ip 10.213.0.9 busybox true'
# A network whose containers leave by the slow router, and whose ports are asked by another uplink.
host "mkdir -p /etc/nsnat/conf.d; printf '[uplink.lan]\ngateway = \"$LAB_THIRD\"\n' >/etc/nsnat/conf.d/lan.toml"
refuses 'no uplink is called wan' 'podman network create -d nsnat --opt egress=slow --opt publish-by=wan page'
host 'podman network create -d nsnat --opt egress=slow --opt publish-by=lan page >/dev/null
	podman run -d --name page --network page -p 8090:80 busybox httpd -f -p 80 -h /www >/dev/null'
check "a port that is asked by another uplink" published asks third "$LAB_HOST_THIRD" 8090
check "which is not the way out of its container" "$LAB_WAN_SLOW" host 'podman exec page nc -w 2 '"$LAB_SERVICE"' 80 </dev/null'
healthy "with a port of another uplink"
host 'podman rm -f -t 0 page >/dev/null; podman network rm page >/dev/null; rm /etc/nsnat/conf.d/lan.toml
	rmdir --ignore-fail-on-non-empty /etc/nsnat/conf.d'
host 'podman network create -d nsnat --opt egress=third third >/dev/null'
refuses 'is the way out there already' 'podman run --rm --network slow --network third busybox true'
host "$(start 1) >/dev/null"
gets_out 1
check "inspect knows the addresses" '10.213.0.0 fd6e:736e:6174:1::ad5:0' host \
	'podman inspect c1 --format "{{range .NetworkSettings.Networks}}{{.IPAddress}} {{.GlobalIPv6Address}}{{end}}"'
host_and_others "beside a container that leaves by another way"
healthy "with a container"
host "$(finish 1) >/dev/null"
host_services 'podman run -d --name c9 --network work busybox sleep 1000'
refuses '"postgres" is no service of the host' 'podman network create -d nsnat --opt egress=slow --opt host=postgres bad'
many 30
killed_at_start
engine_killed
rebooted
