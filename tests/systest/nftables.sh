# shellcheck shell=bash disable=SC2154,SC2016,SC2015 # variables of scripts/systest; scripts for the host
# nftables.service: each start and reload flushes the ruleset, and with it the table of nsnat; and a ruleset that does
# not let anything be forwarded.

prepare() {
	mkdir -p "$disk/var/log/journal"
	put /etc/nftables.conf 755 <<-'END2'
		#!/usr/sbin/nft -f
		flush ruleset
		table inet filter {
			chain input {
				type filter hook input priority filter; policy accept;
				iifname "eth0" tcp dport 8082 reject
			}
			chain forward {
				type filter hook forward priority filter; policy accept;
				iifname "eth1" oifname "eth0" drop
			}
		}
	END2
}

own() {
	check "$1: its table" 'table inet filter' host 'nft list tables | grep -v nsnat'
}

boot
cycle nftables 'systemctl reload nftables'
stopped nftables

# The stop that comes with a shutdown is none that calls for a repair.
host 'nsnat up >/dev/null; systemctl start nftables'
all_well "before the shutdown"
power_off journal
check "its stop was noticed" 1 grep -c '^Stopped.*after nftables has stopped' "$work/journal"
check "a repair is refused then" '' grep -q 'nsnat-heal.service.*destructive' "$work/journal"
check "and there was none" ' (exit status 1)' grep -E '^(Starting|Reloading|Finished|Reloaded) nsnat-heal' "$work/journal"
