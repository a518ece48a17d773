# shellcheck shell=bash disable=SC2034,SC2154,SC2016,SC2015 # variables of scripts/systest; scripts for the host
# A node of Kubernetes, as far as one is to be had here: containerd, asked as a kubelet asks it, with a main plugin whose file looks like
# that of flannel; and what docs/engines/kubernetes.md puts there, by hand and by its manifest.

# shellcheck source=../tests/systest/lib/containers.sh
source "$scenarios/lib/containers.sh"
# shellcheck source=../tests/systest/lib/containerd.sh
source "$scenarios/lib/containerd.sh"

readonly net=/etc/cni/net.d
readonly own=$net/00-nsnat.conflist

prepare() {
	containerd_asked_by_cri
	containerd_1
	rm "$disk/etc/nsnat/nsnat.toml"
	ln -s /usr/local/share/nsnat "$disk/usr/share/nsnat"
	put /root/nsnat.yaml <"$project/docs/engines/kubernetes/nsnat.yaml"
	# What a cluster does for its services: 10.96.0.80 is the printer's web server, and 10.96.0.81 one of the node.
	put /root/services.nft <<-END
		table ip services { chain pre { type nat hook prerouting priority dstnat
			ip daddr 10.96.0.80 tcp dport 80 dnat to $LAB_PRINTER:80
			ip daddr 10.96.0.81 tcp dport 80 dnat to $LAB_HOST:8081; }; }
	END
}

# A main plugin writes its list, here with an MTU of that many bytes.
main_plugin() {
	echo "cat >$net/10-main.conflist <<-'END'
		{ \"name\": \"cbr0\", \"cniVersion\": \"0.3.1\", \"plugins\": [
		    { \"type\": \"bridge\", \"bridge\": \"cni0\", \"isDefaultGateway\": true, \"mtu\": $1, \"ipMasq\": true, \"hairpinMode\": true,
		      \"ipam\": { \"type\": \"host-local\", \"ranges\": [[{ \"subnet\": \"10.244.0.0/24\" }]] } },
		    { \"type\": \"portmap\", \"capabilities\": { \"portMappings\": true } }
		] }
		END"
}

# The image of the DaemonSet: what its Containerfile brings, from this machine.
node_image() {
	host 'set -e; root=/tmp/node; mkdir -p $root/{bin,usr/share/nsnat/kubernetes,proc,sys,dev,etc,tmp,run}; mkdir $root/var; ln -s ../bin $root/usr/bin; ln -s ../run $root/var/run; cp /bin/busybox $root/bin
		for name in sh cat cp mv mkdir rm ls sed sort head printf echo mount sleep env; do ln -s busybox $root/bin/$name; done
		cp /usr/local/bin/nsnat /usr/bin/jq $root/bin; cp /usr/local/share/nsnat/kubernetes/chain $root/usr/share/nsnat/kubernetes
		for library in $(ldd /usr/local/bin/nsnat /usr/bin/jq | grep -o "/[^ :]*\.so[^ :]*" | sort -u); do install -D -m 755 $library $root$library; done
		tar -C $root -cf /tmp/node.tar .; cri image /tmp/node.tar localhost/nsnat:1 >/tmp/node-image.tar; ctr -n k8s.io images import /tmp/node-image.tar >/dev/null 2>&1'
}

# A runtime reads a list again soon after it has changed; until then, a pod is of the list before. `pod N HOW`: until it is
# `chained`, with nsnat behind the main plugin, or `alone`.
pod() {
	host "until cri run c$1; [ \$(cri exec c$1 sh -c 'ip link show nsnat0 >/dev/null 2>&1 && echo chained || echo alone') = $2 ]; do cri remove c$1; sleep 0.1; done"
}

in_pod() {
	host "$(inside "$1" "nc -w 2 $2 $3 </dev/null") 2>&1"
}

# What is of the cluster is reached as before: services, pods, and the nodes' network; and the node reaches the pod.
in_cluster() {
	check "$1: a service of the cluster" "$LAB_HOST" in_pod "$1" 10.96.0.80 80
	check "$1: a service on the node" other in_pod "$1" 10.96.0.81 80
	check "$1: the nodes' network" "$LAB_HOST" in_pod "$1" "$LAB_PRINTER" 80
	host "$(inside "$1" 'httpd -p 8088 -h /www')"
	check "$1: the node reaches it" published host "busybox wget -qO - http://\$(cri address c$1 | cut -d' ' -f1):8088/index.html"
	check "$1: another pod reaches it" published host "cri exec c$2 /bin/busybox wget -qO - http://\$(cri address c$1 | cut -d' ' -f1):8088/index.html"
}

by() {
	check "$2: by which router" "$1" in_pod "$2" "$LAB_SERVICE" 80
}

by_hand() {
	documented engines/kubernetes.md kubernetes
	host 'systemctl start nsnat'
	check "the list of the main plugin is as it was" 2 host "jq '.plugins | length' $net/10-main.conflist"
	pod 2 chained
	by "$LAB_WAN_SLOW" 2
	names 2
	host_and_others "behind a main plugin"
	pod 3 chained
	in_cluster 2 3
	healthy "behind a main plugin"
	# Ports of pods are those of the main plugin, and answered by its way.
	host 'cri run c4 8080:80; cri exec c4 httpd -p 80 -h /www'
	passed_on fast 8080
	check "a port of a pod" published asks printer "$LAB_HOST" 8080
	check "a port of a pod, by the node's router" published asks inet "$LAB_WAN_FAST" 8080
	host "sh -e -c '/usr/share/nsnat/kubernetes/chain remove; /usr/share/nsnat/kubernetes/chain remove'"
	pod 5 alone
	by "$LAB_WAN_FAST" 5
	by "$LAB_WAN_SLOW" 2
	host 'cri remove'
	check "by hand: no pod is left" 1 host "$are_up"
	host 'systemctl stop nsnat; nsnat remove slow >/dev/null 2>&1; nsnat down >/dev/null 2>&1; rm -f /opt/cni/bin/nsnat /etc/nsnat/chain.json /etc/nsnat/nsnat.toml'
}

# What the chain says that cannot be added to a list: it changes nothing then.
chain_refuses() {
	local before
	before=$(host "cat $own")
	check "chain: $1" "$1" host "$2; /usr/share/nsnat/kubernetes/chain add /run/volumes/config/entry.json 2>&1 | grep -o '$1' | sort -u; $3"
	check "chain: $1: its list is as it was" "$before" host "cat $own"
}

of_a_list() {
	chain_refuses 'comes before' "cp $net/10-main.conflist $net/00-calico.conflist" "rm $net/00-calico.conflist"
	chain_refuses 'is of Multus' "echo '{\"type\":\"multus\"}' >$net/00-multus.conf" "rm $net/00-multus.conf"
	chain_refuses 'parse error' "cp $net/10-main.conflist /tmp/; head -c 100 /tmp/10-main.conflist >$net/10-main.conflist" "cp /tmp/10-main.conflist $net"
	chain_refuses 'a plugin without a type' "echo '{}' >$net/10-main.conflist" "cp /tmp/10-main.conflist $net"
	chain_refuses 'there is no file' 'mv /run/volumes/config/entry.json /tmp/' 'mv /tmp/entry.json /run/volumes/config'
}

by_manifest() {
	local watched by_slow
	host 'cri apply /root/nsnat.yaml localhost/nsnat:1'
	check "what is to run runs" 'chain watch' host 'cri parts nsnat'
	pod 2 chained
	pod 3 chained
	by "$LAB_WAN_SLOW" 2
	in_cluster 2 3
	check "status" 2 host 'cri exec nsnat/watch nsnat -o json status | grep -c "\"state\": *\"up\""'
	healthy "by the manifest"
	capture
	host "cri exec c2 sh -c '($sends) >/dev/null 2>&1 &'"
	# What somebody takes away is put back.
	host 'nft delete table inet nsnat'
	check "the table is there again" 1 host 'nft list tables | grep -c "inet nsnat"'
	by "$LAB_WAN_SLOW" 2
	by "$LAB_WAN_SLOW" 3
	# A pod whose runtime is killed with it: nobody calls DEL, and it is seen that it ended.
	host "place=\$(nsnat -o json status | jq -r --arg id \$(cri id c3 | head -c 12) '.namespaces[] | select(.name | contains(\$id)).attached.path')
		kill -9 $(killed 3); ip netns delete \${place##*/}"
	check "a pod that nobody takes away" 1 host 'cri exec nsnat/watch nsnat -o json status | grep -c "\"state\": *\"up\""'
	# The list is the main plugin's, with nsnat; also when that has changed.
	host "$(main_plugin 1450)
		until jq -e '.plugins[0].mtu == 1450' $own >/dev/null; do sleep 0.2; done"
	check "the main plugin's list has changed" 1450 host "jq '.plugins[0].mtu' $own"
	of_a_list
	# While it is replaced, pods start, and go where they should.
	host "cri remove nsnat; cri run c4"
	by "$LAB_WAN_SLOW" 4
	host 'cri apply /root/nsnat.yaml localhost/nsnat:1'
	by_slow_alone "by the manifest"
	# Without an entry there is no list; pods that run stay where they are.
	host ': >/run/volumes/config/entry.json'
	pod 5 alone
	by "$LAB_WAN_FAST" 5
	by "$LAB_WAN_SLOW" 4
	host 'for pod in c2 c3 c4 c5; do cri remove $pod; done'
	check "no pod is known" 0 host 'cri exec nsnat/watch nsnat -o json status | grep -c "\"state\": *\"up\""; true'
	host 'cri remove; rm -r /opt/cni/bin/nsnat /etc/nsnat/conf.d'
	check "by the manifest, and taken away: nothing is left" '' host 'nft list ruleset 2>/dev/null | grep nsnat; ip rule | grep 213; ip -6 rule | grep 213; ip -br link | grep ^nsn; true'
}

# ---- hard ends, on the node of the manifest, whose daemon runs all the time

readonly plugin=/opt/cni/bin/nsnat

# A kubelet asks again where a call failed.
start() { echo "until cri run c$1 2>/dev/null; do $(finish "$1"); done"; }
finish() { echo "until cri remove \"c$1\" 2>/dev/null; do :; done"; }
readonly clean="$(finish '*')"

# The plugin. Of its first calls each third is killed: after one millisecond, after two, and so on, which is at any moment of its work.
# But for the DEL of a pod whose ADD failed: containerd 1.7 does not ask again for that one, and what the main plugin has made stays.
killed_calls() {
	put "$plugin" 755 <<-'END'
		#!/bin/sh
		added=/run/added.$CNI_CONTAINERID calls=/run/calls.$CNI_COMMAND after=0
		[ "$CNI_COMMAND" = ADD ] || [ -e "$added" ] || exec nsnat
		exec 9>>"$calls"
		flock 9
		echo >&9
		n=$(wc -l <"$calls")
		exec 9>&-
		[ $((n % 3)) != 0 ] || [ $n -gt 75 ] || after=$(printf 0.%03d $((n / 3)))
		timeout --foreground -s KILL $after nsnat
		status=$?
		[ $status = 0 ] && touch "$added"
		[ $status != 137 ] || touch "/run/killed.$CNI_COMMAND.$n"
		exit $status
	END
}

# By IPv4, which is what the manifest's uplink has.
gets_out() {
	by "$LAB_WAN_SLOW" "$1"
	check "$1: the nodes' network" "$LAB_HOST" in_pod "$1" "$LAB_PRINTER" 80
}

# Calls of the plugin are killed, and what looks after the pods.
many_killed() {
	# (The bridge is up, because of a pod that is not nsnat's.)
	host "cri run other; cri apply /root/nsnat.yaml localhost/nsnat:1; until [ -e $own ]; do sleep 0.1; done"
	pod 1 chained
	host "$clean; mv $plugin /root"
	killed_calls
	many $([[ $name == *@* ]] && echo 20 || echo 10)
	check "calls of the plugin were killed" 'ADD DEL' host 'echo $(ls /run/killed.* | cut -d. -f2 | sort -u)'
	host "mv /root/nsnat $plugin"
}

boot
image_tar
host 'mkdir -p /opt/cni/bin; ln -s /usr/lib/cni/{loopback,bridge,host-local,portmap} /opt/cni/bin/; cri image /tmp/image.tar >/tmp/docker.tar
	systemctl start containerd; ctr -n k8s.io images import /tmp/docker.tar >/dev/null 2>&1'
node_image
serve_on_host
host "nft -f /root/services.nft; $(main_plugin 1500)
	until cri ready 2>/dev/null | grep -q True; do sleep 0.1; done; cri run other"
host_and_others "without nsnat"
by_hand
by_manifest
many_killed
engine_killed
ends='cri remove nsnat; rm /run/nsnat/watch' again+='; cri apply /root/nsnat.yaml localhost/nsnat:1'
rebooted
