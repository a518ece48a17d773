# shellcheck shell=bash disable=SC2034,SC2154,SC2016,SC2015 # variables of scripts/systest; scripts for the host
#
# The words of lib/containers.sh by podman, whose network slow is of nsnat's.

start() { echo "podman run -d --name c$1 --network slow busybox sleep 1000"; }
finish() { echo "podman rm -f -t 0 c$1"; }
inside() { echo "podman exec c$1 sh -c '$2'"; }
killed() { echo "\$(podman inspect -f \"{{.State.ConmonPid}} {{.State.Pid}}\" c$1)"; }
other() { echo "podman run --rm --network podman busybox $1"; }
readonly clean='podman rm -fa -t 0' busy='podman|nsnat'

# Whatever of podman's is killed while it starts containers leaves network namespaces that podman itself knows nothing of; and
# containers in its storage, whose names it gives to no other one.
killed_at_start() {
	local watched by_slow
	look before-killed
	capture
	host 'set -- "while :; do nc -w 1 198.51.100.80 8443 </dev/null; sleep 0.1; done"
		podman run -d --name c31 --network slow busybox sh -c "$1"
		for n in $(seq 30); do timeout -s KILL 0.$((1 + n % 9)) podman run -d --name k$n --network slow busybox sh -c "$1" & done >/dev/null 2>&1
		wait; podman rm -fa -t 0; podman rm -fa -t 0; for name in $(ls /run/netns); do ip netns delete $name; done
		pkill -9 conmon; sleep 0.2; nsnat up slow; nsnat down slow' >/dev/null 2>&1
	look after-killed
	same "podman killed while it starts containers" before-killed after-killed
	by_slow_alone "podman killed while it starts containers"
}

# podman as a service, which a client asks. It is killed, and so is what looks after each container (conmon): the containers run on by
# their way, and are podman's as before when it is there again.
engine_killed() {
	local watched by_slow n
	look before-engine
	capture
	host "systemctl start podman.socket; for n in 1 2; do podman --url unix:///run/podman/podman.sock run -d --name c\$n --network slow busybox sh -c \"$sends\"; done >/dev/null
		systemctl kill -s KILL --kill-whom=main podman; pkill -9 -x conmon; true"
	check "podman is away" 0 host 'pgrep -cx "podman|conmon"; true'
	for n in 1 2; do gets_out $n; done
	host 'systemctl reset-failed podman.socket podman; systemctl restart podman.socket
		podman --url unix:///run/podman/podman.sock run -d --name c3 --network slow busybox sleep 1000 >/dev/null'
	gets_out 3
	check "podman killed: the containers are known" 3 host "$are_up"
	host "{ $clean || $clean; } >/dev/null 2>&1; systemctl stop podman.socket podman"
	look after-engine
	same "podman killed, its containers removed" before-engine after-engine
	by_slow_alone "podman killed"
}
