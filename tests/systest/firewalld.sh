# firewalld with nftables: its zones, its reloads, and panic mode, of which `status` tells.

own() {
	check "$1: its own rules" 'yes' host 'firewall-cmd --query-port=8081/tcp'
	check "$1: it refuses what it is to refuse" refused at printer \
		bash -c ": 2>/dev/null >/dev/tcp/$LAB_HOST/8082 && echo open || echo refused"
	check "$1: it lets in what it is to let in" open at printer \
		bash -c ": 2>/dev/null >/dev/tcp/$LAB_HOST/8081 && echo open || echo refused"
}

started() {
	host 'firewall-cmd -q --permanent --add-port=8081/tcp; firewall-cmd -q --add-port=8081/tcp
		for port in 8081 8082; do socat TCP-LISTEN:$port,fork,reuseaddr EXEC:date </dev/null >/dev/null 2>&1 & disown; done'
}

boot
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
