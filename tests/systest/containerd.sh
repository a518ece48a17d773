# shellcheck shell=bash disable=SC2034,SC2154,SC2016,SC2015 # variables of scripts/systest; scripts for the host
# containerd, asked as a kubelet asks it (tests/systest/lib/cri): 1.6 in Debian 12, 1.7 in Debian 13.

# shellcheck source=../tests/systest/lib/containers.sh
source "$scenarios/lib/containers.sh"
# shellcheck source=../tests/systest/lib/containerd.sh
source "$scenarios/lib/containerd.sh"

prepare() {
	containerd_asked_by_cri
	containerd_1
}

readonly clean='cri remove'

# As after a crash: everything that runs of the engine is gone, and its plugins are not told.
crash() {
	local watched by_slow
	look before-crash
	capture
	host 'for n in 1 2 3; do cri run c$n; cri exec c$n sh -c "(while :; do nc -w 1 198.51.100.80 8443; sleep 0.1; done) </dev/null >/dev/null 2>&1 &"; done
		systemctl kill -s KILL --kill-whom=all containerd; pkill -9 containerd-shim
		pkill -9 -x sleep; systemctl restart containerd; until cri ready >/dev/null 2>&1; do sleep 0.1; done'
	host "$(start 4)"
	gets_out 4
	host "$clean"
	look after-crash
	same "containerd killed with all pods, started again, the pods removed" before-crash after-crash
	by_slow_alone "containerd killed with all pods"
	host 'for n in 1 2 3; do cri run c$n; done; systemctl kill -s KILL --kill-whom=all containerd; pkill -9 containerd-shim
		pkill -9 -x sleep; for name in $(ls /run/netns); do ip netns delete $name; done; nsnat up third; nsnat down third' >/dev/null
	look after-crash
	same "containerd killed with all pods, and never started again" before-crash after-crash
}

# A pod of a network that has chosen a service of the host. A runtime has one network at a time, and reads of another one soon after
# its file has changed; until then, a pod that is asked for is of the one before.
services() {
	local conf=/etc/cni/net.d/10-slow.conflist
	serve_on_host
	host_services "open() { nft list set inet nsnat host_ports | grep -o 5432 | wc -l; }; cp $conf /root
		sed -i 's|\"egress\": \"slow\"|&, \"host\": [\"5432/tcp\"]|' $conf; until cri run c9 && ((\$(open) == 1)); do cri remove c9; sleep 0.1; done
		cp /root/10-slow.conflist $conf; until cri run c8 && ((\$(open) == 1)); do cri remove c8; sleep 0.1; done; cri remove c8"
}

boot
image_tar
host 'mkdir -p /opt/cni/bin; ln -s /usr/lib/cni/bridge /usr/lib/cni/host-local /opt/cni/bin/; cri image /tmp/image.tar >/tmp/docker.tar; systemctl start containerd
	for of in default k8s.io; do ctr -n $of images import /tmp/docker.tar; done >/dev/null 2>&1'
check "without a network" False host 'cri ready | cut -d" " -f1'
documented engines/cni.md containerd
check "with a network" 'True' host 'cri ready | cut -d" " -f1'
host "$(start 1)"
gets_out 1
check "the engine knows the addresses" '10.213.0.0 fd6e:736e:6174:1::ad5:0' host 'cri address c1'
healthy "with a pod"
check "the host" "$LAB_WAN_FAST" host "busybox nc -w 2 $LAB_SERVICE 80 </dev/null"
host "$(finish 1)"
# (In the first suite fewer: what differs there is what the engine asks.)
many $([[ $name == *@* ]] && echo 30 || echo 10)
engine_killed
crash
ports
services
behind_bridge
rebooted
host 'sed -i "s/\"egress\": \"slow\"/\"egress\": \"nowhere\"/" /etc/cni/net.d/10-slow.conflist; systemctl restart containerd'
check "a way out that is not declared" 'no namespace nowhere is declared' host \
	'until cri ready | grep -q True; do sleep 0.1; done; cri run c9 2>&1 | grep -o "no namespace nowhere is declared"'
