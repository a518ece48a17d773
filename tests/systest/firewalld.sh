# shellcheck shell=bash disable=SC2154,SC2016,SC2015 # variables of scripts/systest; scripts for the host
# firewalld with nftables: its zones, its reloads, and panic mode, of which `status` tells.

own() {
	check "$1: its own rules" 'yes' host 'firewall-cmd --query-port=8081/tcp'
	check "$1: it refuses what it is to refuse" closed port 8082
	check "$1: it lets in what it is to let in" open port 8081
}

started() {
	host 'firewall-cmd -q --permanent --add-port=8081/tcp; firewall-cmd -q --add-port=8081/tcp
		for port in 8081 8082; do socat TCP-LISTEN:$port,fork,reuseaddr EXEC:date </dev/null >/dev/null 2>&1 & disown; done'
}

boot
drops=yes
cycle firewalld 'firewall-cmd -q --reload'

host 'nsnat up >/dev/null'
host 'firewall-cmd -q --complete-reload'
all_well "complete reload"
for zone in external drop; do
	host "firewall-cmd -q --zone=$zone --change-interface=eth0"
	host 'nsnat up >/dev/null'
	all_well "eth0 in the zone $zone"
done
host 'firewall-cmd -q --zone=public --change-interface=eth0; firewall-cmd -q --panic-on'
check "panic mode: the job is dead" 'slow 4 nothing' host 'probe slow | sed -n "s/ (.*//; 1p"'
check "panic mode: status says why" 'broken panic' host \
	'nsnat status slow | grep -o -i "broken\|panic" | tr A-Z a-z | sort -u | xargs'
host 'firewall-cmd -q --panic-off; nsnat up >/dev/null'
all_well "after panic mode"
check "nsnat down" '' host 'nsnat -q down'
stopped firewalld
