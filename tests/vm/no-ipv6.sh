# shellcheck shell=bash disable=SC2016 # a program's own variables
# words: ipv6.disable=1
# A kernel that was booted without IPv6: the main job by IPv4, and who asks for IPv6 is told.

lay_wires
serve_names 8.8.8.8 192.0.2.1
serve_names 203.0.113.53 192.0.2.53

rmdir /etc/nsnat
everything >/tmp/before
check 'this kernel has no IPv6' 'none' eval '[[ -e /proc/net/if_inet6 ]] || echo none'
check 'add' 'slow: up, by eth0 via 192.168.1.254' nsnat add slow --gateway 192.168.1.254 --dns 203.0.113.53
check 'a job' 203.0.113.254 job 4
check 'by IPv6' none job 6
for server in 8.8.8.8 127.0.0.53; do
	check "a job asks $server" 192.0.2.53 nsnat exec slow -- dig +short +tries=2 +time=5 "@$server" www.example.test
done
check 'nothing by the fast router' $'0\n0' eval 'counted fast plain; counted fast names'
check 'the host' 203.0.113.1 who 4
check 'the host was counted' yes eval '(($(counted fast plain) > 3)) && echo yes'
check 'again' 'nothing to do' nsnat up
check 'nothing is planned' '' nsnat -q plan
check 'nothing is wrong' 'nothing is wrong' nsnat doctor
nft flush ruleset
check 'flushed' none job 4
check 'nothing by the fast router when flushed' 0 counted fast plain
check 'healed' 203.0.113.254 eval 'nsnat -q up; job 4'
check 'IPv6 is asked for' 'nsnat: namespace both: ipv6 = "nat", but this host has IPv6 switched off
 |
 = hint: sysctl -w net.ipv6.conf.all.disable_ipv6=0 where there is that, else boot without ipv6.disable=1; or say ipv6 = "auto"

nsnat: configuration: 1 problem; nothing was changed (exit status 2)' nsnat add both --gateway 192.168.1.254 --ipv6 nat
check 'a gateway of IPv6' 'nsnat: --gateway: no device reaches the gateway 2001:db8:1::254
 |
 = hint: devices and their subnets here: eth0 (192.168.1.0/24)

nsnat: configuration: 1 problem; nothing was changed (exit status 2)' nsnat add six --gateway 2001:db8:1::254
check 'removed' 'slow: down' nsnat remove slow
check 'nothing is left' '' diff /tmp/before <(everything)
