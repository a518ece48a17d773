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
other() { echo "cri exec other sh -c '$1'"; }
inside() { echo "cri exec c$1 sh -c '$2'"; }
# The pod's shim, and what it looks after.
killed() { echo "\$(shim=\$(pgrep -f -- \"-id \$(cri id c$1) \"); echo \$shim; pgrep -P \$shim)"; }
readonly busy='nsnat'
# What a kubelet does after a boot. The pod sends from its first moment.
readonly lasting='cri run clasting'
ends=true again="systemctl start containerd; until cri ready 2>/dev/null | grep -q True; do sleep 0.1; done
	cri remove; cri run clasting -- sh -c '{ $sends; } >/dev/null 2>&1'"

# The engine alone is killed. Its pods go on, while it is away and afterwards, and end as ever.
engine_killed() {
	local watched by_slow
	look before-killed
	capture
	host "for n in 1 2; do cri run c\$n -- sh -c '{ $sends; } >/dev/null 2>&1'; done; echo $(killed 1) >/run/of-pod
		systemctl kill -s KILL --kill-whom=main containerd; systemctl stop containerd"
	check "containerd is away" 'cri: ready' host 'cri ready 2>&1 | grep -o "cri: ready"'
	check "containerd is away: by which router" "$LAB_WAN_SLOW" host \
		"nsenter -t \$(cut -d' ' -f2 /run/of-pod) -n busybox nc -w 2 $LAB_SERVICE 80 </dev/null"
	host 'systemctl start containerd; until cri ready 2>/dev/null | grep -q True; do sleep 0.1; done; cri run c3'
	for n in 1 2 3; do gets_out $n; done
	check "containerd killed: the pods are known" 3 host "$are_up"
	host "$clean"
	look after-killed
	same "containerd killed, its pods removed" before-killed after-killed
	by_slow_alone "containerd killed"
}

# A pod's port, by the runtime's own words.
ports() {
	host 'sed -i "s/\"egress\": \"slow\"/&, \"capabilities\": { \"portMappings\": true }/" /etc/cni/net.d/10-slow.conflist
		systemctl restart containerd; until cri ready 2>/dev/null | grep -q True; do sleep 0.1; done; cri run c8 8080:80'
	check "a program listens" '' host 'cri exec c8 httpd -p 80 -h /www'
	published 8080
	healthy "with a port"
	check "another pod with the port" 'port 8080/tcp of eth0 is published by attachment cni' host \
		'cri run c9 8080:80 2>&1 | grep -o "port 8080/tcp of eth0 is published by attachment cni"'
	host 'cri remove'
	not_published 8080
	check "with a port: nothing is left" '0' host "$are_up"
}

# both POD [ENTRY]: a pod of a network of bridge, with that entry behind it.
both() {
	put /etc/cni/net.d/05-both.conflist <<-END
		{ "cniVersion": "1.0.0", "name": "both", "plugins": [
		    { "type": "bridge", "bridge": "cni-both", "isGateway": true, "isDefaultGateway": true, "ipMasq": true,
		      "ipam": { "type": "host-local", "ranges": [[{ "subnet": "10.99.0.0/24" }]] } } ${2-}
		] }
	END
	host "systemctl restart containerd; until cri ready 2>/dev/null | grep -q True; do sleep 0.1; done; cri run $1"
}

# A pod whose interface is that of another plugin: it has that one's address, and leaves by nsnat. A pod of that plugin alone leaves as
# it did.
behind_bridge() {
	both other
	host_and_others "without a pod that leaves by another way"
	both c7 ', { "type": "nsnat", "egress": "slow", "except": ["10.96.0.0/12"] }'
	gets_out 7
	check "behind bridge: the address of the pod" 10.99.0.3 host 'cri address c7 | cut -d" " -f1'
	host_and_others "beside a pod that leaves by another way"
	host 'cri remove; rm /etc/cni/net.d/05-both.conflist'
	check "behind bridge: nothing is left" '0' host "$are_up"
}
