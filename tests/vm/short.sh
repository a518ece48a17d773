# shellcheck shell=bash
# uml
# A kernel that was built without what no module brings: here the tables of nftables for both families at once.

printf '[namespace.slow]\ngateway = "192.168.1.254"\n' >/etc/nsnat/nsnat.toml
ip link add eth0 type dummy
ip link set eth0 up
ip addr add 192.168.1.10/24 dev eth0
ip neigh add 192.168.1.254 lladdr 02:00:00:00:00:01 dev eth0
release=$(uname -r)
said="no tables of nftables for both families (CONFIG_NF_TABLES_INET)"
helps="boot a kernel that was built with that, such as one of a distribution"

# Their settings stay.
modprobe -a nf_tables nf_conntrack_netlink
everything >/tmp/before
check 'up' "nsnat: kernel: Linux $release has $said
hint: $helps
hint: everything is as it was before (exit status 1)" nsnat up
check 'nothing is left' '' diff /tmp/before <(everything)
check 'doctor' '["tables of nftables for both families (CONFIG_NF_TABLES_INET)"]' eval \
	"nsnat doctor -o json 2>/dev/null | jq -c '.findings[] | select(.code == \"kernel-lacks\") | .evidence'"
