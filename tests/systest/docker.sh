# shellcheck shell=bash disable=SC2154,SC2016,SC2015 # variables of scripts/systest; scripts for the host
# The Docker engine: its FORWARD policy drops, its containers leave by the fast router, a port of one is published. And what
# docs/engines/docker.md has it do: containers that leave by the slow one.

# shellcheck source=../tests/systest/lib/containers.sh
source "$scenarios/lib/containers.sh"

own() {
	check "$1: a container reaches out" "$LAB_WAN_FAST" host \
		"docker run --rm busybox nc -w 2 $LAB_SERVICE 80 </dev/null"
	check "$1: a published port" published at printer curl --silent --max-time 2 "http://$LAB_HOST:8080/"
}

# The image is what Debian's busybox is: there is no registry here.
images() {
	image_tar
	host "set -e; $docker_image"
	host 'docker run -d --restart=always -p 8080:80 --name web busybox httpd -f -p 80 -h /www >/dev/null'
}

# Its first start, so that it has images by then; what it does to a host stays until the reboot.
started() {
	images
}

boot
drops=yes
cycle docker 'systemctl reload docker'

# No container is left, and the bridge of the usual network has noticed that.
without_containers() {
	host 'docker rm -f web >/dev/null 2>&1'
	wait_for 30 host 'ip route show dev docker0 | grep -q linkdown' || fail "a container is left" "$(host 'docker ps -a')"
	look "$1"
}

# A container that shares the network of slow-net, or one with an attachment of its own, which the next run of nsnat collects.
readonly busy='nsnat|docker' clean='docker rm -f $(docker ps -aq); nsnat up third; nsnat down third'
start() {
	echo "{ docker run -d --name c$1 --network none busybox sleep 1000 &&
		nsnat -q attach \"\$(docker inspect -f {{.NetworkSettings.SandboxKey}} c$1)\" --to slow --id c$1; }"
}
finish() { echo "docker rm -f c$1"; }
killed() { echo "\$(docker inspect -f {{.State.Pid}} c$1)"; }
inside() {
	case $1 in
	slow-net | lasting) echo "docker run --rm --network container:slow-net busybox sh -c '$2'" ;;
	*) echo "docker exec c$1 sh -c '$2'" ;;
	esac
}
readonly serve='docker run -d --name web --network container:slow-net busybox httpd -f -p 80 -h /www >/dev/null'
other() { echo "docker run --rm busybox $1"; }

without_containers before-page
host 'nsnat up >/dev/null'
watch_jobs
host_and_others "without an attachment"
documented engines/docker.md docker
gets_out slow-net
host_and_others "beside containers that leave by another way"
host "docker rm -f web >/dev/null; $serve"
published 8080
host "systemctl restart slow-net; docker rm -f web >/dev/null; $serve"
published 8080
host 'docker rm -f web >/dev/null; systemctl disable --now slow-net 2>/dev/null
	mv /etc/systemd/system/slow-net.service /root; systemctl daemon-reload'
not_published 8080
all_well "after the attachment"
unwatch_jobs
check "nsnat down" '' host 'nsnat -q down'
without_containers after-page
same "after the attachment" before-page after-page

stopped docker.socket docker

# The engine is killed, and systemd starts it again. That ends all containers, and both units start theirs anew.
engine_killed() {
	local watched by_slow
	capture
	host "$lasting"
	gets_out slow-net
	host 'old=$(docker inspect -f {{.State.Pid}} slow-net); kill -9 $(systemctl show --property MainPID --value docker)
		echo $(nsenter -t $old -n busybox nc -w 2 198.51.100.80 80 </dev/null) >/run/meanwhile
		until [ "$(docker inspect -f {{.State.Pid}} slow-net 2>/dev/null || echo $old)" != $old ]; do sleep 0.1; done'
	check "docker is away: by which router" "$LAB_WAN_SLOW" host 'cat /run/meanwhile'
	gets_out slow-net
	check "docker killed: the work goes on" true host 'docker inspect -f {{.State.Running}} work'
	check "docker killed: the one attachment is known" 1 host "$are_up"
	by_slow_alone "docker killed"
}

# The unit again, and one with the work, as the page has it. Whoever shares its network has its way out.
lasting="cat >/etc/systemd/system/work.service <<'END'
[Unit]
Requires=slow-net.service
PartOf=slow-net.service
After=slow-net.service

[Service]
ExecStartPre=-docker rm -f work
ExecStart=docker run --rm --name work --network container:slow-net busybox sh -c '$sends'
ExecStop=docker stop work

[Install]
WantedBy=slow-net.service
END
mv /root/slow-net.service /etc/systemd/system; systemctl daemon-reload; systemctl enable -q docker slow-net work
systemctl start slow-net"
readonly ends='systemctl disable --now slow-net work'
host 'systemctl start docker'
many 10
engine_killed
lasting=true
rebooted
