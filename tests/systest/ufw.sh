# shellcheck shell=bash disable=SC2154,SC2016,SC2015 # variables of scripts/systest; scripts for the host
# ufw as it is after `ufw enable`: what is routed is refused.

prepare() {
	sed -i 's/^ENABLED=.*/ENABLED=yes/' "$disk/etc/ufw/ufw.conf"
}

own() {
	check "$1: it refuses what it is to refuse" closed port 8082
	check "$1: it lets in what it is to let in" open port 8081
}

started() {
	host 'ufw allow 8081/tcp >/dev/null
		for port in 8081 8082; do socat TCP-LISTEN:$port,fork,reuseaddr EXEC:date </dev/null >/dev/null 2>&1 & disown; done'
}

boot
drops=yes
cycle ufw 'ufw reload'

host 'nsnat up >/dev/null; ufw disable >/dev/null'
all_well "disabled"
host 'ufw --force enable >/dev/null'
all_well "enabled by hand"
check "nsnat down" '' host 'nsnat -q down'
stopped ufw
