# shellcheck shell=bash disable=SC2154,SC2016,SC2015 # variables of scripts/systest; scripts for the host
# nftables.service: each start and reload flushes the ruleset, and with it the table of nsnat; and a ruleset that does
# not let anything be forwarded.

prepare() {
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
