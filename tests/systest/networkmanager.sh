# shellcheck shell=bash disable=SC2154,SC2016,SC2015 # variables of scripts/systest; scripts for the host
# NetworkManager with a lease from the router on eth0, and what it does to devices.

prepare() {
	put /etc/resolv.conf <<<"nameserver $LAB_OLD"
	put /etc/NetworkManager/system-connections/lan.nmconnection 600 <<-END2
		[connection]
		id=lan
		type=ethernet
		interface-name=eth0
		[ipv4]
		method=auto
		[ipv6]
		method=manual
		address1=$LAB_HOST6/64,$LAB_FAST6
	END2
	put /etc/NetworkManager/system-connections/second.nmconnection 600 <<-END2
		[connection]
		id=second
		type=ethernet
		interface-name=eth1
		[ipv4]
		method=manual
		address1=$LAB_HOST_THIRD/24
		[ipv6]
		method=manual
		address1=$LAB_HOST_THIRD6/64
	END2
	# Its default keeps it away from veths, which stand for real cards here.
	put /etc/NetworkManager/conf.d/lab.conf <<-'END2'
		[device-lab]
		match-device=interface-name:eth*
		managed=1
	END2
	"$project/scripts/lab" enter "$lab" at fast dnsmasq --conf-file=/dev/null --port=0 --bind-interfaces --interface=lan0 \
		--dhcp-range="$LAB_HOST,$LAB_HOST,255.255.255.0,1h" --dhcp-option="option:router,$LAB_FAST" \
		--dhcp-option="option:dns-server,$LAB_OLD" --dhcp-leasefile=/run/lab/leases --pid-file= --user=root
}

own() {
	# Started for the first time, it takes over what was there; a lease comes by its own.
	check "$1: its devices" $'eth0 connected lan\neth1 connected second' host \
		'nmcli -g DEVICE,STATE,CONNECTION device | grep ^eth | tr : " " | sort'
	check "$1: nobody manages the links of nsnat" '' host \
		'nmcli -g DEVICE,STATE device | grep ^nsn- | grep -v ":unmanaged$" || true'
}

started() {
	host 'nmcli -w 20 connection up lan; nmcli -w 20 connection up second' >"$work/said" 2>&1 || fail "connections" "$(<"$work/said")"
	check "a lease" "$LAB_HOST" host "nmcli -g IP4.ADDRESS device show eth0 | sed 's|/.*||'"
}

boot
cycle NetworkManager 'nmcli general reload; nmcli device reapply eth0; nmcli device reapply eth1'

host 'nsnat up >/dev/null'
watch_jobs
for change in 'connection down second; nmcli -w 20 connection up second' 'connection up lan' \
	'device disconnect eth1; nmcli -w 20 device connect eth1'; do
	host "nmcli -w 20 $change" >/dev/null
	all_well "nmcli $change"
done
unwatch_jobs
check "nsnat down" '' host 'nsnat -q down'
