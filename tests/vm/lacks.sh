# shellcheck shell=bash disable=SC2016 # a program's own variables
# What a kernel may lack is named: the part, the option it is built with, the module, the version, and what helps. Each is
# taken away (a module is hidden, a setting made, a capability dropped), `up` fails by it and leaves nothing, and doctor has
# its code. In the end all is back, and `up` works.

ip link add eth0 type dummy
ip link set eth0 up
ip addr add 192.168.1.10/24 dev eth0
ip neigh add 192.168.1.254 lladdr 02:00:00:00:00:01 dev eth0
printf '[namespace.slow]\ngateway = "192.168.1.254"\n' >/etc/nsnat/nsnat.toml
release=$(uname -r)
modules=/usr/lib/modules/$release

# unload: all of netfilter and veth, as far as nothing uses it.
unload() {
	local before='' now
	now=$(lsmod)
	while [[ $now != "$before" ]]; do
		before=$now
		awk '$3 == 0 && $1 ~ /^(nf|nft|xt|ip_set|veth)/ { print $1 }' <<<"$now" | xargs -r rmmod 2>/dev/null
		now=$(lsmod)
	done
}

# hidden MODULE CMD..: while the kernel cannot find this module.
hidden() {
	local file
	unload
	file=$(find "$modules" -name "$1.ko*")
	[[ -n $file ]] || { echo "no module $1" && return 1; }
	mv "$file" /root/
	"${@:2}"
	mv "/root/${file##*/}" "$file"
}

# told CMD..: what it fails by and what helps, without what follows from that.
told() {
	"$@" 2>&1 | grep -E '^(nsnat|hint): ' | grep -vx 'hint: everything is as it was before'
}

# helps CMD..: what helps. No more is said when it went back to what was.
helps() {
	local said
	said=$(told "$@")
	sed -n '/^hint: /p; /going back failed/p' <<<"$said"
	[[ $said == *hint:* ]] || echo "no hint, but: $said"
}

# refused: what `up` fails by; it leaves nothing.
refused() {
	told nsnat up
	[[ -z $(nsnat list --up 2>/dev/null) && ! -e /run/netns/slow ]] || echo "something is left"
}

# lacks MODULE TITLE: what is said without the module.
lacks() {
	check "without $1" "nsnat: kernel: Linux $release has no $2
hint: modprobe -a $1 says why they cannot be loaded; kernels of distributions have them" hidden "$1" refused
}

# What doctor says of the kernel.
examined() {
	nsnat doctor -o json 2>/dev/null | jq -r '.findings[] | select(.code == "kernel-lacks") | .evidence[]'
}

# A container with the right to configure networks, and no other.
check 'no CAP_SYS_ADMIN' 'hint: it takes CAP_SYS_ADMIN, which a container has only when it was started with it' helps setpriv --bounding-set -all,+net_admin,+net_raw,+dac_override --inh-caps -all,+net_admin nsnat up
check '/proc/sys is read-only' 'hint: /proc/sys is read-only here, as in a container that was not started as a privileged one' helps unshare -m sh -c 'mount --bind /proc/sys /proc/sys && mount -o remount,ro,bind /proc/sys && exec nsnat up'
check 'no network namespaces any more' 'hint: sysctl user.max_net_namespaces is the largest number of them' helps sh -c 'echo 0 >/proc/sys/user/max_net_namespaces; nsnat up'
echo 10000 >/proc/sys/user/max_net_namespaces
# No module brings these, so strace answers in the kernel's place, as one that was built without them does.
check 'no network namespaces' "nsnat: kernel: Linux $release has no network namespaces (CONFIG_NET_NS)
hint: boot a kernel that was built with that, such as one of a distribution" told \
	strace -qq -f -o /dev/null -e trace=unshare -e inject=unshare:error=EINVAL nsnat up
check 'nothing is left' '' eval 'nsnat down >/dev/null; nft list ruleset; ls /run/netns 2>/dev/null || true'

lacks nft_fib_inet '`fib` of nftables (CONFIG_NFT_FIB_INET, module nft_fib_inet)'
lacks nft_masq '`masquerade` of nftables (CONFIG_NFT_MASQ, module nft_masq)'
lacks nft_reject_inet '`reject` of nftables (CONFIG_NFT_REJECT, module nft_reject_inet)'
lacks nft_nat '`dnat` and `snat` of nftables (CONFIG_NFT_NAT, module nft_nat)'
lacks nft_chain_nat 'NAT of nftables (CONFIG_NFT_NAT, module nft_chain_nat)'
lacks nft_ct '`ct` of nftables (CONFIG_NFT_CT, module nft_ct)'
lacks nf_tables 'nftables (CONFIG_NF_TABLES, module nf_tables)'
lacks veth 'veth pairs (CONFIG_VETH, module veth)'
lacks nf_conntrack_netlink 'list of flows (CONFIG_NF_CT_NETLINK, module nf_conntrack_netlink)'
check 'doctor without nft_masq' '`masquerade` of nftables (CONFIG_NFT_MASQ, module nft_masq)' hidden nft_masq examined

check 'doctor without nf_tables' 'nftables (CONFIG_NF_TABLES, module nf_tables)' hidden nf_tables examined
check 'down without nf_tables' "nsnat: kernel: Linux $release has no nftables (CONFIG_NF_TABLES, module nf_tables)
hint: modprobe -a nf_tables says why they cannot be loaded; kernels of distributions have them" hidden nf_tables told nsnat down

unload
mount -t tmpfs none /usr/lib/modules
check 'without modules of this version' "hint: there are no modules in /lib/modules/$release: reboot after an upgrade of the kernel; in a container, load them on its host" helps nsnat up
umount /usr/lib/modules

check 'all is there again' 'slow: up, by eth0 via 192.168.1.254' nsnat up
check 'and taken away' 'slow: down' nsnat down
unload
echo 1 >/proc/sys/kernel/modules_disabled
check 'no modules any more' 'hint: kernel.modules_disabled is 1, so none is loaded until the next boot: write veth, nf_tables, nft_ct, nft_chain_nat, nft_nat, nft_masq, nft_reject_inet, nft_fib_inet, nf_conntrack_netlink into a file in /etc/modules-load.d, a line each, and reboot' helps nsnat up
