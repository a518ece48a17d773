# shellcheck shell=bash disable=SC2016 # a program's own variables
# A change of the DNS server ends the flows of questions that began before it, and no other flow. Removing flows by a
# filter is newer than this kernel, so they are found and removed one by one; both families. And tables of the kernel that
# are full, which only a machine's first network namespace shows and sets; and a flowtable, which not every kernel knows.

lay_wires
printf '[namespace.slow]\ngateway = ["192.168.1.254", "2001:db8:1::254"]\ndns = ["203.0.113.100", "2001:db8:f::100"]\n' \
	>/etc/nsnat/nsnat.toml

# flows PORT: that conntrack knows to this port, of both families.
flows() {
	for family in ipv4 ipv6; do conntrack -L -f $family -p udp --orig-port-dst "$1" 2>/dev/null; done | wc -l
}

check 'up' '' nsnat -q up
for to in 9.9.9.9/53 2620:fe::fe/53 198.51.100.80/81 2001:db8:80::80/81; do
	nsnat exec slow -- bash -c 'echo hello >/dev/udp/$0' "$to"
done
check 'questions are flows' 2 flows 53
check 'and so are others' 2 flows 81
check 'another server' '' nsnat -q dns slow set 203.0.113.101 2001:db8:f::101
check 'the questions are forgotten' 0 flows 53
check 'the others are not' 2 flows 81

# codes: what doctor says of the host.
codes() {
	nsnat doctor 2>&1 | sed -n 's/^host: [a-z]* \[\([a-z-]*\)\].*/\1/p' | xargs
}

# planted CODE SETTING VALUE: when the setting has this value, doctor finds that; its cure, pasted, ends it.
planted() {
	local before
	before=$(sysctl -n "$2")
	sysctl -qw "$2=$3"
	check "$2=$3" "$1" codes
	nsnat doctor | sed -n 's/^ *cure: //p' >/tmp/cure
	check "the cure of $1" 0 eval 'bash -eu /tmp/cure >/dev/null; echo $?'
	check "$1 is cured" '' codes
	sysctl -qw "$2=$before"
}

planted conntrack-full net.netfilter.nf_conntrack_max 2
planted neighbours-full net.ipv4.neigh.default.gc_thresh3 1
check 'nothing of that is left' '' codes

nft 'table inet theirs { flowtable f { hook ingress priority 0; devices = { eth0, nsn-slow }; }; }'
check 'flows-offloaded' 'table inet theirs, flowtable f' eval \
	"nsnat doctor -o json | jq -r '.findings[] | select(.code == \"flows-offloaded\") | .evidence[]'"
nft delete table inet theirs
check 'nothing of that is left' '' eval 'nsnat doctor | grep -o flows-offloaded || :'
check 'down' '' nsnat -q down
