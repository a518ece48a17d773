# shellcheck shell=bash disable=SC2034,SC2154,SC2016,SC2015 # variables of scripts/systest; scripts for the host
# podman 4 of Debian 12, whose networks are plugins of CNI: what docs/engines/cni.md has it do, and many containers at once.

# shellcheck source=../tests/systest/lib/containers.sh
source "$scenarios/lib/containers.sh"

prepare() {
	containers_without_cgroups
}

start() { echo "podman run -d --name c$1 --network slow busybox sleep 1000"; }
finish() { echo "podman rm -f -t 0 c$1"; }
inside() { echo "podman exec c$1 sh -c '$2'"; }
killed() { echo "\$(podman inspect -f \"{{.State.ConmonPid}} {{.State.Pid}}\" c$1)"; }
other() { echo "podman run --rm busybox $1"; }
readonly clean='podman rm -fa -t 0' busy='podman|nsnat'

# Whatever of podman's is killed while it starts containers leaves network namespaces that podman itself knows nothing of.
killed_at_start() {
	look before-killed
	host 'for n in $(seq 30); do timeout -s KILL 0.$((1 + n % 9)) podman run -d --name c$n --network slow busybox sleep 1000 & done >/dev/null 2>&1
		wait; podman rm -fa -t 0; podman rm -fa -t 0; for name in $(ls /run/netns); do ip netns delete $name; done
		pkill -9 conmon; sleep 0.2; nsnat up slow; nsnat down slow' >/dev/null 2>&1
	look after-killed
	same "podman killed while it starts containers" before-killed after-killed
}

boot
image_tar
host 'podman import /tmp/image.tar busybox >/dev/null 2>&1'
check "podman uses CNI" cni host 'podman info --format "{{.Host.NetworkBackend}}"'
# Its first container makes a bridge, which stays.
host_and_others "without nsnat"
documented engines/cni.md podman-cni
host "$(start 1) >/dev/null"
gets_out 1
host_and_others "beside a container that leaves by another way"
healthy "with a container"
host "$(finish 1) >/dev/null"
many 30
killed_at_start
