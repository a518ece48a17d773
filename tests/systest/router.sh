# shellcheck shell=bash disable=SC2154,SC2016,SC2015 # variables of scripts/systest; scripts for the host
# A host that is made a router while nsnat is up: it forwards at once, and nobody has to call nsnat.

through() {
	check "$1" "$2" at printer bash -c "ip route replace $LAB_THIRD via $LAB_HOST
		socat -u TCP4:$LAB_THIRD:9,connect-timeout=1 - 2>&1 | grep -q refused && echo forwarded || echo not"
}

through6() {
	check "$1" "$2" at printer bash -c "ip route replace $LAB_THIRD6 via $LAB_HOST6
		socat -u TCP6:[$LAB_THIRD6]:9,connect-timeout=1 - 2>&1 | grep -q refused && echo forwarded || echo not"
}

boot
# The third router knows a way back.
at third ip route replace "$LAB_PRINTER/32" via "$LAB_HOST_THIRD"
at third ip route replace "$LAB_PRINTER6/128" via "$LAB_HOST_THIRD6"
host 'nsnat up >/dev/null'
through "before" not
through6 "before, IPv6" not
host 'sysctl -qw net.ipv4.ip_forward=1'
through "a router" forwarded
all_well "a router"
healthy "a router"
host 'sysctl -qw net.ipv4.ip_forward=0'
through "no router any more" not
host 'sysctl -qw net.ipv6.conf.all.forwarding=1'
through6 "an IPv6 router" forwarded
all_well "an IPv6 router"
healthy "an IPv6 router"
host 'sysctl -qw net.ipv6.conf.all.forwarding=0'
through6 "no IPv6 router any more" not
all_well "no IPv6 router any more"
healthy "no IPv6 router any more"
host 'nsnat -q down'
host 'sysctl -qw net.ipv6.conf.all.forwarding=1; nsnat up >/dev/null'
through6 "an IPv6 router before nsnat" forwarded
all_well "an IPv6 router before nsnat"
healthy "an IPv6 router before nsnat"
host 'nsnat -q down; sysctl -qw net.ipv6.conf.all.forwarding=0'
# A hook must not bring back what was taken down.
host 'sysctl -qw net.ipv4.ip_forward=1; sysctl -qw net.ipv4.ip_forward=0; systemctl start nsnat-heal.service'
check "nothing is up" ' (exit status 1)' host 'nsnat status | grep -w up'
