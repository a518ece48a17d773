# shellcheck shell=bash disable=SC2154,SC2016,SC2015 # variables of scripts/systest; scripts for the host
# systemd-networkd with files that fit every device, and systemd-resolved.

prepare() {
	ln -sf /run/systemd/resolve/stub-resolv.conf "$disk/etc/resolv.conf"
	put /etc/systemd/network/10-eth0.network <<-END2
		[Match]
		Name=eth0
		[Network]
		Address=$LAB_HOST/24
		Address=$LAB_HOST6/64
		Gateway=$LAB_FAST
		Gateway=$LAB_FAST6
		DNS=$LAB_OLD
		IPv6AcceptRA=no
	END2
	put /etc/systemd/network/20-eth1.network <<-END2
		[Match]
		Name=eth1
		[Network]
		Address=$LAB_HOST_THIRD/24
		Address=$LAB_HOST_THIRD6/64
		IPv6AcceptRA=no
	END2
	# Greedy: it takes what no file before it took.
	put /etc/systemd/network/30-all.network <<-END2
		[Match]
		Name=*
		[Network]
		DHCP=yes
	END2
}

own() {
	check "$1: addresses" "$LAB_HOST $LAB_HOST_THIRD" host \
		"ip -4 -o address show scope global | awk '\$2 ~ /^eth/ { sub(\"/.*\", \"\", \$4); print \$4 }' | xargs"
	check "$1: nobody manages the links of nsnat" '' host \
		"networkctl --no-legend list 2>/dev/null | awk '\$2 ~ /^nsn-/ && \$5 != \"unmanaged\"'"
}

boot
host 'systemctl start systemd-resolved'
cycle systemd-networkd 'networkctl reload && networkctl reconfigure eth0 eth1'

# networkd-dispatcher alone repairs: all else that does is stopped.
host 'systemctl stop nsnat-changed.path nsnat-heal@systemd-networkd; systemctl start networkd-dispatcher; nsnat up >/dev/null'
all_well "networkd-dispatcher runs"
watch_jobs
host 'networkctl down eth1; networkctl up eth1'
all_well "a link went and came"
host 'networkctl reconfigure eth0 eth1'
all_well "reconfigured"
unwatch_jobs

# Without the file that keeps it away, it takes the links of nsnat's.
host 'mv /etc/systemd/network/00-00-nsnat.network /root; networkctl reload; networkctl reconfigure nsn-slow'
helped link-managed
check "the cure writes what is installed" '' host \
	'grep -v "^#" /root/00-00-nsnat.network | diff - /etc/systemd/network/00-00-nsnat.network'
all_well "networkd leaves the links again"

# udev does not run where it may not write to /sys. Told to look at a device, it says what its rules make of it, and gives
# eth0 another link-layer address: so this comes last.
marks() {
	host "udevadm test /sys/class/net/$1 2>/dev/null | grep -E '^(NM_UNMANAGED|ID_NET_MANAGED_BY)=' | sort"
}
link=$(host "ip -o link | sed -n 's/.*: \\(nsn-[^:@]*\\).*/\\1/p' | head -n 1")
check "udev leaves $link to nsnat" $'ID_NET_MANAGED_BY=nsnat\nNM_UNMANAGED=1' marks "$link"
check "and eth0 to whoever has it" '' marks eth0
check "nsnat down" '' host 'nsnat -q down'
