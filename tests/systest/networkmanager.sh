# shellcheck shell=bash disable=SC2154,SC2016,SC2015,SC2034 # variables of scripts/systest; scripts for the host
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
	# The shortest lease that dnsmasq gives.
	"$project/scripts/lab" enter "$lab" at fast dnsmasq --conf-file=/dev/null --port=0 --bind-interfaces --interface=lan0 \
		--dhcp-range="$LAB_HOST,$LAB_HOST,255.255.255.0,2m" --dhcp-optsfile=/run/lab/router \
		--dhcp-option="option:dns-server,$LAB_OLD" --dhcp-leasefile=/run/lab/leases --pid-file=/run/lab/dhcp.pid --user=root
	lease_names "$LAB_FAST"
}

# lease_names ROUTER [SECONDS]: from now on; and after so many it is renewed, instead of after a half of its time.
lease_names() {
	"$project/scripts/lab" enter "$lab" sh -euc 'echo "option:router,$1" >/run/lab/router
		[ -z "$2" ] || echo "option:T1,$2" >>/run/lab/router
		kill -HUP "$(cat /run/lab/dhcp.pid)"' - "$1" "${2-}"
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
host 'mv /etc/NetworkManager/conf.d/nsnat.conf /root; nmcli general reload; nmcli device set nsn-slow managed yes'
helped link-managed
check "the cure writes what is installed" '' host 'grep -v "^#" /root/nsnat.conf | diff - /etc/NetworkManager/conf.d/nsnat.conf'
all_well "NetworkManager leaves the link again"
check "nsnat down" '' host 'nsnat -q down'

# nsnat.service alone, and namespaces that follow what a device has: the router that a lease names, and a tunnel to the third
# router, which is gone with its process and comes back as another device.
host 'systemctl stop "nsnat-*"; rm -f /etc/systemd/system/*.wants/nsnat* /etc/NetworkManager/dispatcher.d/90-nsnat; systemctl daemon-reload' 2>/dev/null
printf '[namespace.lease]\ndev = "eth0"\nipv6 = "off"\n[namespace.tunnel]\ndev = "tun0"\n' | host 'mkdir -p /etc/nsnat/conf.d; cat >/etc/nsnat/conf.d/more.toml'
at third socat TUN:10.98.0.1/24,up "UDP4-DATAGRAM:$LAB_HOST_THIRD:5000,bind=:5000" </dev/null >/dev/null 2>&1 &
host 'systemctl start nsnat'
send
after "nmcli connection down and up" 'nmcli -w 20 connection down lan; nmcli -w 20 connection up lan'
stop_sending

job=lease by=fast families=4 never='slow third'
send
after "a lease" 'nmcli -w 20 connection up lan'
lease_names "$LAB_SLOW" 5
by=slow never=third
after "a lease that names another router" 'nmcli -w 20 connection up lan'
# Nobody asks for it: its time has come.
by=fast
after "a lease that renews by itself and names another router" \
	"timeout 100 bash -c 'until ip route show default dev eth0 | grep -q \"via $LAB_FAST \"; do sleep 0.2; done'" \
	lease_names "$LAB_FAST"
stop_sending

tunnel() {
	echo "socat TUN:10.98.0.2/24,tun-name=tun0,iff-pointopoint,up UDP4-DATAGRAM:$LAB_THIRD:5000,bind=:5000 </dev/null >/dev/null 2>&1 & echo \$! >/run/tunnel; disown"
}
job=tunnel by=third never='fast slow' uplink=' tun0'
send
after "a tunnel comes" "$(tunnel)"
first=$(host 'cat /sys/class/net/tun0/ifindex')
after "a tunnel goes and comes" "kill \$(cat /run/tunnel); until ! test -e /sys/class/net/tun0; do sleep 0.1; done; sleep 0.5; $(tunnel)"
check "it is another device" other host "[[ \$(cat /sys/class/net/tun0/ifindex) = $first ]] || echo other"
stop_sending
check "nsnat down" '' host 'nsnat -q down --kill 2>/dev/null'
