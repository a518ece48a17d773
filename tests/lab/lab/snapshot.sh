# Everything of the lab's host that nsnat could leave something in, as text: run by bash, on the host.
# What the machine or the lab changes by itself is left out, each with its reason.

# A new device's link-local address is tentative for a second or two, whatever anybody does.
while [[ -n $(ip -6 addr show tentative) ]]; do sleep 0.02; done

section() { printf '\n== %s\n' "$*"; }

for table in link addr; do
	section "ip -d $table"
	ip -d $table
done
for family in -4 -6; do
	section "ip $family rule"
	ip -d $family rule 2>&1 || : # Not every kernel has them.
	section "ip $family route show table all"
	ip -d $family route show table all
done
section "ip xfrm policy"
ip xfrm policy 2>&1 || : # Not every kernel knows IPsec.
ip xfrm policy getdefault 2>/dev/null || : # Not known to iproute2 5.10.
section "nft list ruleset"
nft list ruleset | settled

# Connections come and go with whatever the lab's host sends; the rest are settings.
section "net.* sysctls"
(cd /proc/sys && grep -rs '' net || true) | # some cannot be read
	 grep -v '^net/netfilter/nf_conntrack_count:' | LC_ALL=C sort

# /run/lab is the lab itself; its upper layer of /etc is every change in /etc. The machine's own
# namespaces have no place here: the lab's /run is its own. What is recorded of what happened is not undone.
section "files"
{
	find /run -path /run/lab -prune -o -printf '%y %m %U:%G %p -> %l\n'
	cd /run/lab/etc/upper && find . -printf '%y %m %U:%G /etc/%P -> %l\n'
} | LC_ALL=C sort
section "what is in them"
{
	# Namespaces are no files that can be read; the mounts below tell which they are. What the lock says is whether somebody
	# is at work.
	find /run \( -path /run/lab -o -path '/run/netns/*' -o -path '/run/nsnat/events*' -o -path /run/nsnat/lock \) -prune -o -type f -size -1000k -print0
	find /run/lab/etc/upper -type f -size -1000k -print0
} | LC_ALL=C sort -z | xargs -0r md5sum

section "mounts below /run"
findmnt -Rnlo TARGET,FSTYPE,PROPAGATION,SOURCE /run
