# shellcheck shell=bash disable=SC2034,SC2154,SC2016 # variables of scripts/systest; scripts for the host
#
# The words of lib/containers.sh by containerd, which is asked as a kubelet asks it (lib/cri). What removes all containers
# (`clean`) depends on the version.

# For `prepare`: who asks, and no network yet; and the configuration that containerd 1 reads.
containerd_asked_by_cri() {
	containers_without_cgroups
	put /usr/local/bin/cri 755 <"$scenarios/lib/cri"
	put /usr/local/bin/cri.proto <"$scenarios/lib/cri.proto"
	mkdir -p "$disk/etc/cni/net.d"
	rm -f "$disk"/etc/cni/net.d/*
}

containerd_1() {
	put /etc/containerd/config.toml <<-'END'
		version = 2
		[plugins."io.containerd.grpc.v1.cri"]
		  sandbox_image = "localhost/busybox:1"
		  disable_cgroup = true
		  disable_apparmor = true
		  restrict_oom_score_adj = true
		  [plugins."io.containerd.grpc.v1.cri".cni]
		    bin_dir = "/opt/cni/bin"
		    conf_dir = "/etc/cni/net.d"
	END
}

start() { echo "cri run c$1"; }
finish() { echo "cri remove c$1"; }
inside() { echo "cri exec c$1 sh -c '$2'"; }
# The pod's shim, and what it looks after.
killed() { echo "\$(shim=\$(pgrep -f -- \"-id \$(cri id c$1) \"); echo \$shim; pgrep -P \$shim)"; }
readonly busy='nsnat'
# What a kubelet does after a boot. The pod sends from its first moment.
readonly lasting='cri run clasting'
ends=true again="systemctl start containerd; until cri ready 2>/dev/null | grep -q True; do sleep 0.1; done
	cri remove; cri run clasting -- sh -c '{ $sends; } >/dev/null 2>&1'"
