# shellcheck shell=bash disable=SC2034,SC2154,SC2016,SC2015 # variables of scripts/systest; scripts for the host
# The Docker engine with networks of nsnat's driver: what docs/engines/docker.md has it do, many containers at once, and what
# becomes of them when Docker or the driver is killed.

# shellcheck source=../tests/systest/lib/containers.sh
source "$scenarios/lib/containers.sh"

# Docker asks a server on the host's loopback out there; see below.
prepare() {
	put /etc/resolv.conf <<<"nameserver $LAB_OLD"
}

readonly busy='docker'
readonly clean='docker rm -f $(docker ps -aq)'
start() { echo "docker run -d --name c$1 --network slow busybox httpd -f -p 80 -h /www"; }
finish() { echo "docker rm -f c$1"; }
killed() { echo "\$(docker inspect -f {{.State.Pid}} c$1)"; }
other() { echo "docker run --rm busybox $1"; }
inside() {
	local name=$1
	[[ $name == web ]] || name=c$name
	echo "docker exec $name sh -c '$2'"
}

# refuses WORDS COMMAND
refuses() {
	check "refused: $2" "$1" host "$2 2>&1 | grep -o '$1' | head -n 1"
}

# main_pid UNIT: killed as the kernel does it where memory is short.
kill_unit() {
	host "kill -9 \$(systemctl show --property MainPID --value $1)"
}

# by CONTAINER ROUTER
by() {
	check "$1 leaves by $2" "$2" host "docker exec $1 nc -w 2 $LAB_SERVICE 80 </dev/null"
}

# The bridge of the usual network has noticed that no container is left.
without_containers() {
	wait_for 30 host 'ip route show dev docker0 | grep -q linkdown' || fail "a container is left" "$(host 'docker ps -a')"
	look "$1"
}

readonly lasting="systemctl enable docker nsnat-docker.socket 2>/dev/null
	docker run -d --restart always --name clasting --network slow busybox sh -c \"$sends\""
readonly ends=true

boot
image_tar
host "set -e; systemctl start docker; $docker_image"
host_and_others "without nsnat"
# (Docker's chains are in another order after a restart.)
host 'systemctl restart docker'
without_containers bare

serve_on_host
documented engines/docker.md docker-driver
gets_out web
check "names by Docker's own resolver" 192.0.2.53 host \
	"docker exec web nslookup -type=a job.example.test | sed -n 's/^Address: *\\(192[0-9.]*\\)\$/\\1/p'"
check "inspect knows the address" 10.213.0.0 host \
	'docker inspect web --format "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}"'
check "status knows the processes" httpd host 'nsnat ps web -o json | jq -r ".processes[].comm" 2>/dev/null || nsnat ps web | grep -o httpd | head -n 1'
published 8080
host_and_others "beside a container that leaves by another way"
healthy "with a container"
refuses 'port 8080/tcp of eth0 is published by attachment web' 'docker run --rm --network slow -p 8080:80 busybox true'
refuses '127.0.0.1: a port is published on the device' 'docker run --rm --network slow -p 127.0.0.1:8081:80 busybox true'
refuses 'without one port of the host' 'docker run --rm --network slow -p 80 busybox true'
refuses 'one of `egress`' 'docker network create -d nsnat bad'
refuses 'no namespace nowhere is declared' 'docker network create -d nsnat --opt egress=nowhere bad'
refuses 'the option `mtu` is not known' 'docker network create -d nsnat --opt egress=slow --opt mtu=1400 bad'
refuses '"postgres" is no service of the host' 'docker network create -d nsnat --opt egress=slow --opt host=postgres bad'
refuses 'an internal network has no way out' 'docker network create -d nsnat --opt egress=slow --internal bad'
refuses 'the option `ifname` is not known' 'docker run --rm --network name=slow,driver-opt=ifname=eth7 busybox true'

# A container goes from network to network while it runs, and may be in two.
host 'docker network create -d nsnat --ipam-driver null --opt egress=third third >/dev/null; docker network connect third web'
by web "$LAB_WAN_SLOW"
host 'docker network disconnect slow web'
by web "$LAB_WAN_THIRD"
host 'docker network connect slow web; docker network disconnect third web'
by web "$LAB_WAN_SLOW"
host 'docker rm -f web >/dev/null'
not_published 8080

# With an address of Docker's.
host 'docker network create -d nsnat --opt egress=slow --subnet 172.29.7.0/24 own >/dev/null
	docker run -d --name web --network own --ip 172.29.7.9 busybox httpd -f -p 80 -h /www >/dev/null'
gets_out web
check "its address" 172.29.7.9 host 'docker exec web ip -4 -o addr show dev eth0 | sed "s/.*inet \([0-9.]*\).*/\1/"'
host 'docker rm -f web >/dev/null; docker network rm own third >/dev/null'

host_services 'docker run -d --name c9 --network work busybox sleep 1000'
host 'docker network rm work >/dev/null'

# The host asks a server on its loopback: Docker would do so for a container, and the question would leave by the host's way.
put /etc/resolv.conf.loopback <<<'nameserver 127.0.0.53'
host 'cp /etc/resolv.conf.loopback /etc/resolv.conf'
refuses 'name a server with --dns' 'docker run --rm --network slow busybox true'
check "with a server" 192.0.2.53 host \
	"docker run --rm --network slow --dns $LAB_OLD busybox nslookup -type=a job.example.test | sed -n 's/^Address: *\\(192[0-9.]*\\)\$/\\1/p'"
host "echo nameserver $LAB_OLD >/etc/resolv.conf; rm /etc/resolv.conf.loopback"

# A sender, while Docker and the driver are killed. It starts again by itself, and no packet of it leaves by another router.
watched=$(lab_capture fast "port 8443 or port 853")
host "docker run -d --restart always --name web --network slow busybox sh -c 'while :; do nc -w 1 $LAB_SERVICE 8443 </dev/null; done' >/dev/null"
gets_out web
kill_unit nsnat-docker
gets_out web
host 'docker restart -t 0 web >/dev/null'
gets_out web
kill_unit docker
host 'systemctl reset-failed docker; systemctl start docker'
gets_out web
host 'systemctl reset-failed docker; systemctl restart docker'
gets_out web
host 'systemctl stop nsnat-docker.socket nsnat-docker; systemctl start nsnat-docker.socket; docker restart -t 0 web >/dev/null'
gets_out web
host 'docker kill web >/dev/null; docker rm -f web >/dev/null'
host "for i in 1 2 3; do echo control >/dev/udp/$LAB_SERVICE/853; done"
seen=$(captured "$watched")
checks+=2
grep -q '\.853: ' <<<"$seen" || fail "the capture on the fast router has not seen the host's own packet"
nothing_by fast "a sender" "$(grep '8443' <<<"$seen" || true)"

# (In a second suite fewer: what differs there is what the engine asks.)
many $([[ $name == *@* ]] && echo 10 || echo 50)

host 'docker network rm slow >/dev/null; systemctl disable --now nsnat-docker.socket nsnat-docker 2>/dev/null'
check "nothing is remembered" no host '[ -e /var/lib/nsnat ] || echo no'
without_containers after
same "after all containers" bare after

host 'systemctl enable -q --now nsnat-docker.socket; docker network create -d nsnat --ipam-driver null --opt egress=slow slow >/dev/null'
rebooted
