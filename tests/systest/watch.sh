# shellcheck shell=bash disable=SC2154,SC2016 # variables of scripts/systest; scripts for the host
# nsnat.service alone, while networks come late, go and come back: a job gets out by its way each time, and no packet of
# it goes elsewhere. The time from the last event of the network to the first packet of the job is told.

prepare() {
	put /etc/systemd/network/10-eth0.network <<-END2
		[Match]
		Name=eth0
		[Network]
		Address=$LAB_HOST/24
		Address=$LAB_HOST6/64
		Gateway=$LAB_FAST
		Gateway=$LAB_FAST6
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
	printf 'nameserver %s\n' "$LAB_OLD" | put /etc/resolv.conf
	rm -f "$disk"/etc/systemd/system/*.wants/nsnat*
	ln -s ../nsnat.service "$disk/etc/systemd/system/multi-user.target.wants/nsnat.service"
	# The network is not there yet when the machine boots.
	"$project/scripts/lab" enter "$lab" sh -c 'ip link set eth0 down; ip link set eth1 down; ip address flush dev eth0; ip address flush dev eth1'
}

boot
check "the daemon runs" active host 'systemctl is-active nsnat'
send
capture_all
sleep 20
at printer bash -c "echo control >/dev/udp/$LAB_SLOW/8443; echo control >/dev/udp/$LAB_FAST/8443"
closed='nsnat: slow: no uplink can be used at the moment: nothing gets out'
check "nobody gets out before the network is there, and is told so" "slow 4 $closed
nothing
slow 6 $closed
nothing" host 'probe slow | sed "s/ (.*//"'
for router in fast slow; do
	checks+=1
	seen=$(captured "${captures[$router]}")
	grep -q "$LAB_PRINTER\." <<<"$seen" || fail "the capture on $router has not seen the printer's packet"
	seen=$(grep -v "$LAB_PRINTER\." <<<"$seen" || true)
	[[ -z $seen ]] || fail "packets on $router before the network was there" "$(head -n 5 <<<"$seen")"
done
after "the network comes late" 'systemctl start systemd-networkd'
# Before links flap: doctor tells of a line that went and came for a minute afterwards, so that it would find more than this.
host 'systemctl stop nsnat'
helped daemon-stopped
check "the daemon runs again" active host 'systemctl is-active nsnat'
check "and the job gets out" $'slow 4 slow\nslow 6 slow' host "probe slow | grep '^slow [46] '"
after "networkctl reconfigure" 'networkctl reconfigure eth0 eth1; sleep 1'
after "a link flaps" 'ip link set eth0 down; sleep 0.5; ip link set eth0 up; sleep 1'
# Down and up at once, networkd 252 does not always give the IPv6 address back.
after "networkctl down and up" 'networkctl down eth0; until networkctl status eth0 | grep -q "State: off"; do sleep 0.1; done; networkctl up eth0; sleep 1'
after "another gateway" "sed -i 's/^Gateway=$LAB_FAST$/Gateway=$LAB_SLOW/' /etc/systemd/network/10-eth0.network; networkctl reload; networkctl reconfigure eth0; sleep 1"
check "nsnat down" '' host 'nsnat -q down --kill 2>/dev/null'
