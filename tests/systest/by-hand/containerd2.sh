# shellcheck shell=bash disable=SC2034,SC2154,SC2016 # variables of scripts/systest; scripts for the host
# containerd 2, which asks plugins for their STATUS, as a kubelet asks it: containerd2@trixie.
#
# Run by hand, because only Debian's unstable suite has it, which is another one each day: its package is unpacked over the one
# that is there.

# shellcheck source=../lib/containers.sh
source "$scenarios/lib/containers.sh"
# shellcheck source=../lib/containerd.sh
source "$scenarios/lib/containerd.sh"

prepare() {
	unstable
	containerd_asked_by_cri
	put /etc/containerd/config.toml <<-'END'
		version = 3
		[plugins."io.containerd.cri.v1.images".pinned_images]
		  sandbox = "localhost/busybox:1"
		[plugins."io.containerd.cri.v1.runtime"]
		  disable_cgroup = true
		  disable_apparmor = true
		  restrict_oom_score_adj = true
		  [plugins."io.containerd.cri.v1.runtime".cni]
		    bin_dirs = ["/opt/cni/bin"]
		    conf_dir = "/etc/cni/net.d"
	END
}

# By the apt of the root, before it boots. (A mirror may lag.)
unstable() {
	mv "$disk/etc/resolv.conf" "$work/resolv.conf"
	cp -L /etc/resolv.conf "$disk/etc/resolv.conf"
	sed 's/trixie/sid/' "$disk/etc/apt/sources.list" | put /etc/apt/sources.list.d/sid.list
	chroot "$disk" sh -euc 'apt-get -q -o Acquire::Check-Valid-Until=false update; cd /root; apt-get -q -o APT::Sandbox::User=root download containerd/sid
		dpkg -x containerd_*.deb /; rm containerd_*.deb' >"$work/unstable" 2>&1 || die_now "$(tail -n 5 "$work/unstable")"
	mv "$work/resolv.conf" "$disk/etc/resolv.conf"
}

# A pod whose shim was killed is not removed at once, and a kubelet asks again.
readonly clean='for n in $(seq 50); do cri remove && break; sleep 0.2; done'

boot
image_tar
host 'mkdir -p /opt/cni/bin; ln -s /usr/lib/cni/bridge /usr/lib/cni/host-local /opt/cni/bin/; cri image /tmp/image.tar >/tmp/docker.tar; systemctl start containerd
	for of in default k8s.io; do ctr -n $of images import --local /tmp/docker.tar; done >/dev/null 2>&1'
host 'containerd --version' | sed 's/^/note: /'
check "version 2" 2 host "containerd --version | sed -n 's/.* v\\{0,1\\}\\([0-9]*\\)\\.[0-9].*/\\1/p'"
documented engines/cni.md containerd
# A list of the version that has STATUS.
host 'sed -i s/1[.]0[.]0/1.1.0/ /etc/cni/net.d/10-slow.conflist; systemctl restart containerd; until cri ready >/dev/null 2>&1; do sleep 0.1; done'
check "with a network" True host 'cri ready | cut -d" " -f1'
host 'ip link set eth0 down'
check "where nothing gets out, the node is not ready, and says why" 'False: nothing gets out' host \
	'cri ready | sed -n "s/^\(False\) .*\(nothing gets out\).*/\1: \2/p"'
host "ip link set eth0 up; ip route replace default via $LAB_FAST dev eth0; ip address replace $LAB_HOST6/64 dev eth0 nodad
	ip -6 route replace default via $LAB_FAST6 dev eth0"
check "ready again" True host 'cri ready | cut -d" " -f1'
host "$(start 1)"
gets_out 1
host "$(finish 1)"
many 10
engine_killed
ports
# Killed with its pods. It comes back and calls neither DEL nor GC at once; the next run of nsnat collects what is left.
look before-crash
capture
host 'for n in 1 2 3; do cri run c$n; done; cri exec c1 nc -w 1 198.51.100.80 8443 </dev/null >/dev/null 2>&1
	systemctl kill -s KILL --kill-whom=all containerd; pkill -9 containerd-shim; pkill -9 -x sleep; systemctl restart containerd
	until cri ready >/dev/null 2>&1; do sleep 0.1; done; for name in $(ls /run/netns); do ip netns delete $name; done; nsnat up third; nsnat down third' >/dev/null 2>&1
check "nothing of them is known" 0 host "$are_up"
host "$clean 2>/dev/null"
look after-crash
same "containerd killed with all pods" before-crash after-crash
by_slow_alone "containerd killed with all pods"
behind_bridge
rebooted
