# shellcheck shell=bash disable=SC2154,SC2016,SC2015,SC2086,SC2317 # variables of scripts/systest; scripts for the host; lists
# Transparent proxies that run on the host, with the rules that their manuals give; and a DNS server with the rules of
# tuning guides. They catch the host itself and a guest that it routes, and no job.
#
# What redsocks and sshuttle catch goes through an SSH server on `inet`: the service then sees its own address, and the
# DNS server as well. What squid catches is in its log, and what Tor catches among its streams: it has no network.

readonly web=198.51.100.90 web6=2001:db8:80::90 # a server that speaks HTTP
readonly kept='0.0.0.0/8 10.0.0.0/8 127.0.0.0/8 169.254.0.0/16 172.16.0.0/12 192.168.0.0/16 224.0.0.0/4 240.0.0.0/4'
readonly kept6='::1/128 fc00::/7 fe80::/10 ff00::/8'

prepare() {
	put /etc/sysctl.d/50-router.conf <<<$'net.ipv4.ip_forward = 1\nnet.ipv6.conf.all.forwarding = 1'
	put /etc/redsocks.conf <<-END2
		base { log_info = on; log = "syslog:daemon"; daemon = on; user = redsocks; group = redsocks; redirector = iptables; }
		redsocks { local_ip = 0.0.0.0; local_port = 12345; ip = 127.0.0.1; port = 1080; type = socks5; }
		dnstc { local_ip = 0.0.0.0; local_port = 5300; }
	END2
	put /etc/tor/torrc <<-END2
		SocksPort 0
		ControlPort 9051
		CookieAuthentication 0
		TransPort 0.0.0.0:9040
		TransPort [::]:9040
		DNSPort 0.0.0.0:5353
		DNSPort [::]:5353
		UseBridges 1
		Bridge $LAB_SERVICE:9
	END2
	put /etc/squid/squid.conf <<-END2
		http_port 3130
		http_port 3128 intercept
		http_port 3129 tproxy
		http_access allow all
		cache deny all
		access_log stdio:/var/log/squid/access.log
		shutdown_lifetime 0 seconds
		pinger_enable off
		dns_nameservers $LAB_OLD
		visible_hostname debian
	END2
	put /etc/unbound/unbound.conf <<-END2
		server:
		    interface: $LAB_HOST
		    interface: $LAB_HOST6
		    access-control: 0.0.0.0/0 allow
		    access-control: ::/0 allow
		    module-config: "iterator"
		    local-zone: "test." nodefault
		forward-zone:
		    name: "."
		    forward-addr: $LAB_OLD
	END2
	rules
}

# The rules, each kind in a file: as the manuals give them, but for every device. Ports 80 and 443 are those of jobs.
rules() {
	put /root/redsocks.iptables <<-END2
		*nat
		:REDSOCKS - [0:0]
		$(printf -- '-A REDSOCKS -d %s -j RETURN\n' $kept "$LAB_INET")
		-A REDSOCKS -p tcp -j REDIRECT --to-ports 12345
		-A OUTPUT -p tcp -j REDSOCKS
		-A PREROUTING -p tcp -j REDSOCKS
		-A PREROUTING -p udp --dport 53 -j REDIRECT --to-ports 5300
		COMMIT
	END2
	put /root/redsocks.nft <<-END2
		table ip proxy {
			chain redsocks {
				ip daddr { ${kept// /, }, $LAB_INET } return
				meta l4proto tcp redirect to :12345
			}
			chain output {
				type nat hook output priority -100
				meta l4proto tcp goto redsocks
			}
			chain prerouting {
				type nat hook prerouting priority dstnat
				udp dport 53 redirect to :5300
				meta l4proto tcp goto redsocks
			}
		}
	END2
	tor_rules 4 $kept
	tor_rules 6 $kept6
	put /root/tor.nft <<-END2
		table inet proxy {
			chain output {
				type nat hook output priority -100
				meta skuid "debian-tor" return
				oifname "lo" return
				udp dport 53 redirect to :5353
				ip daddr { ${kept// /, } } return
				ip6 daddr { ${kept6// /, } } return
				tcp flags syn / fin,syn,rst,ack redirect to :9040
			}
			chain prerouting {
				type nat hook prerouting priority dstnat
				udp dport 53 redirect to :5353
				tcp flags syn / fin,syn,rst,ack redirect to :9040
			}
		}
	END2
	put /root/squid.iptables <<-'END2'
		*mangle
		-A PREROUTING ! -i lo -p tcp --dport 3128 -j DROP
		COMMIT
		*nat
		-A PREROUTING -p tcp -m multiport --dports 80,443 -j REDIRECT --to-ports 3128
		-A OUTPUT -p tcp --dport 80 -m owner ! --uid-owner proxy -j REDIRECT --to-ports 3128
		COMMIT
	END2
	put /root/squid.nft <<-'END2'
		table inet proxy {
			chain output {
				type nat hook output priority -100
				tcp dport 80 meta skuid != "proxy" redirect to :3128
			}
			chain prerouting {
				type nat hook prerouting priority dstnat
				tcp dport { 80, 443 } redirect to :3128
			}
		}
	END2
	put /root/tproxy.iptables <<-'END2'
		*mangle
		:DIVERT - [0:0]
		-A DIVERT -j MARK --set-mark 1
		-A DIVERT -j ACCEPT
		-A PREROUTING -p tcp -m socket -j DIVERT
		-A PREROUTING -p tcp -m multiport --dports 80,443 -j TPROXY --tproxy-mark 0x1/0x1 --on-port 3129
		COMMIT
	END2
	put /root/tproxy.nft <<-'END2'
		table inet proxy {
			chain prerouting {
				type filter hook prerouting priority mangle
				meta l4proto tcp socket transparent 1 meta mark set 1 accept
				tcp dport { 80, 443 } tproxy to :3129 meta mark set 1 accept
			}
		}
	END2
	put /root/unbound.iptables <<-'END2'
		*raw
		-A PREROUTING -p udp --dport 53 -j CT --notrack
		-A PREROUTING -p tcp --dport 53 -j CT --notrack
		-A OUTPUT -p udp --sport 53 -j CT --notrack
		-A OUTPUT -p tcp --sport 53 -j CT --notrack
		COMMIT
	END2
	put /root/unbound.nft <<-'END2'
		table inet proxy {
			chain prerouting {
				type filter hook prerouting priority raw
				meta l4proto { tcp, udp } th dport 53 notrack
			}
			chain output {
				type filter hook output priority raw
				meta l4proto { tcp, udp } th sport 53 notrack
			}
		}
	END2
}

# tor_rules FAMILY KEPT..
tor_rules() {
	local family=$1
	shift
	put "/root/tor.iptables$family" <<-END2
		*nat
		-A PREROUTING -p udp --dport 53 -j REDIRECT --to-ports 5353
		-A PREROUTING -p tcp --syn -j REDIRECT --to-ports 9040
		-A OUTPUT -m owner --uid-owner debian-tor -j RETURN
		-A OUTPUT -o lo -j RETURN
		-A OUTPUT -p udp --dport 53 -j REDIRECT --to-ports 5353
		$(printf -- '-A OUTPUT -d %s -j RETURN\n' "$@")
		-A OUTPUT -p tcp --syn -j REDIRECT --to-ports 9040
		COMMIT
	END2
}

# A guest, which the host routes and masquerades; a server that speaks HTTP; and an SSH server on `inet`.
surroundings() {
	host "set -e
		ip netns add guest
		ip link add guest0 type veth peer name eth0 netns guest
		ip address add 10.9.0.1/24 dev guest0; ip address add fd00:9::1/64 dev guest0 nodad; ip link set guest0 up
		ip -n guest link set lo up; ip -n guest link set eth0 up
		ip -n guest address add 10.9.0.2/24 dev eth0; ip -n guest address add fd00:9::2/64 dev eth0 nodad
		ip -n guest route add default via 10.9.0.1; ip -n guest route add default via fd00:9::1
		nft -f - <<-'END2'
			table inet guests {
				chain postrouting {
					type nat hook postrouting priority srcnat;
					ip saddr 10.9.0.0/24 oifname \"eth0\" masquerade
					ip6 saddr fd00:9::/64 oifname \"eth0\" masquerade
				}
			}
		END2
		mkdir -p -m 700 ~/.ssh; ssh-keygen -q -t ed25519 -N '' -f ~/.ssh/id_ed25519
		cp ~/.ssh/id_ed25519.pub ~/.ssh/authorized_keys; echo StrictHostKeyChecking no >~/.ssh/config"
	at inet sh -euc 'ip address add "$1" dev lo; ip address add "$2" dev lo nodad
		install -m 755 /dev/stdin /run/lab/web
		for listen in "4-LISTEN:80,bind=$1" "6-LISTEN:80,bind=[$2]"; do
			socat "TCP$listen,reuseaddr,fork" EXEC:/run/lab/web </dev/null >/dev/null 2>&1 &
		done' - "$web" "$web6" <<-'END2'
		#!/bin/sh
		while read -r line && [ ${#line} -gt 1 ]; do :; done
		address=$(/run/lab/serve 80)
		printf 'HTTP/1.0 200 OK\r\nContent-Length: %d\r\n\r\n%s\n' $((${#address} + 1)) "$address"
	END2
	nsenter -t "$leader" -m -u -i -p -C --net="/proc/$lab/root/run/lab/net/inet" -- sh -c \
		'mkdir -p /run/sshd; exec /usr/sbin/sshd -o PidFile=none -o UsePAM=no' </dev/null >/dev/null 2>&1
}

# ---- what is asked of each

jobs_only() {
	on_host probe | grep -v '^host'
}

jobs_well() {
	local -i before=failures
	check "$1: jobs" "$(grep -v '^host' <<<"$well")" jobs_only
	((failures == before)) || evidence
}

# beside NAME START STOP: the last two are scripts for the host, each loads or takes away the rules, too. `caught WHEN` is the check of what the program catches.
beside() {
	local name=$1 start=$2 stop=$3
	host "$start"
	rulesets before
	caught "$name without nsnat"
	host 'nsnat up >/dev/null'
	watch_jobs
	jobs_well "$name there before nsnat"
	healthy "$name there before nsnat"
	caught "$name there before nsnat"
	host "$stop"
	host "$start"
	jobs_well "$name restarted"
	caught "$name restarted"
	unwatch_jobs
	check "nsnat down" '' host 'nsnat -q down'
	rulesets after
	same "$name after nsnat down" before after
	caught "$name after nsnat down"
	host "$stop"
	host 'nsnat up >/dev/null'
	watch_jobs
	host "$start"
	jobs_well "$name started after nsnat"
	caught "$name started after nsnat"
	unwatch_jobs
	check "nsnat down" '' host 'nsnat -q down'
	rulesets after
	same "$name started after nsnat, nsnat down" before after
	host "$stop"
}

# What others have configured; `alike` is a sed script for what differs from start to start.
rulesets() {
	state "$1"
	[[ -z ${alike-} ]] || sed -E "$alike" "$work/$1" | LC_ALL=C sort >"$work/sorted"
	[[ -z ${alike-} ]] || mv "$work/sorted" "$work/$1"
}

# By whom the service sees the guest and the host come, by each family.
readonly peers='for run in "ip netns exec guest" ""; do for to in "$LAB_SERVICE" "[$LAB_SERVICE6]"; do
	$run socat -u -T 3 "TCP:$to:80,connect-timeout=3" - </dev/null 2>&1; done; done'

# asked_by SERVER [CMD..]: by whom OLD sees a name asked for, that CMD has dig ask for. (redsocks takes the plainest
# questions alone.)
asked_by() {
	local server=$1 name=a$RANDOM$RANDOM.example.test
	shift
	on_host "$@" dig +noedns +noadflag +short +timeout=2 +tries=2 "@$server" "$name"
	at inet sed -n "s/.*query\[A\] $name from //p" /run/lab/dns/old.log | sort -u
}

# ---- the programs

# Whole tables, so that the next start makes them anew, in the same order.
readonly flush='for family in ip ip6; do for table in nat mangle raw; do
	nft delete table $family $table 2>/dev/null || true; done; done'
readonly unload='nft delete table inet proxy 2>/dev/null || nft delete table ip proxy'

redsocks() {
	caught() {
		check "$1: the guest and the host by the proxy, which has no IPv6" \
			"$(printf '%s\n' "$LAB_SERVICE" "$LAB_WAN_FAST6" "$LAB_SERVICE" "$LAB_WAN_FAST6")" host "$peers"
		check "$1: names of the guest by the proxy" "$LAB_ANSWER_OLD"$'\n'"$LAB_OLD" asked_by "$LAB_OLD" ip netns exec guest
	}
	host "ssh -fN -D 127.0.0.1:1080 root@$LAB_INET </dev/null >/dev/null 2>&1"
	beside "redsocks, iptables" 'systemctl start redsocks; iptables-restore -n /root/redsocks.iptables' \
		"$flush; systemctl stop redsocks"
	beside "redsocks, nft" 'systemctl start redsocks; nft -f /root/redsocks.nft' "$unload; systemctl stop redsocks"
}

sshuttle() {
	local method alike
	caught() {
		check "$1: the guest and the host by the proxy" \
			"$(printf '%s\n' "$LAB_SERVICE" "$LAB_SERVICE6" "$LAB_SERVICE" "$LAB_SERVICE6")" host "$peers"
		check "$1: names of the guest by the proxy" "$LAB_ANSWER_OLD"$'\n'"$LAB_OLD" asked_by "$LAB_OLD" ip netns exec guest
		check "$1: names of the host by the proxy" "$LAB_ANSWER_OLD"$'\n'"$LAB_OLD" asked_by 127.0.0.53
	}
	# It takes one port of the two families, and every address of them.
	host 'sysctl -qw net.ipv6.bindv6only=1'
	# Its chains are named by a port that is free, and stand in another order then; nft does not tell all of those that
	# iptables made.
	alike='s/1[12][0-9]{3}/PORT/g; s/ redirect to :PORT//'
	for method in nat nft; do
		beside "sshuttle, $method" "sshuttle --daemon --pidfile=/run/sshuttle.pid --method=$method --dns \
			--listen='0.0.0.0:0,[::]:0' --ns-hosts=$LAB_OLD,$LAB_OLD6 --to-ns=$LAB_OLD \
			-r root@$LAB_INET 0/0 ::/0 </dev/null >/dev/null 2>&1
			until [[ \$(ip netns exec guest socat -u -T 1 TCP4:$LAB_SERVICE:80 - 2>&1) == $LAB_SERVICE ]]; do sleep 0.1; done" \
			'kill $(cat /run/sshuttle.pid); until ! nft list ruleset 2>/dev/null | grep -q sshuttle; do sleep 0.1; done
			'"$flush"
	done
}

# It has no network, so that its streams wait; each tells where it was to go.
tor() {
	caught() {
		local to=("$LAB_SERVICE:81" "[$LAB_SERVICE6]:81" "$LAB_SERVICE:82" "[$LAB_SERVICE6]:82")
		check "$1: all of the guest and of the host is caught, and nothing else" \
			"$(printf '%s\n' "${to[@]}" guest.example.test:0 host.example.test:0 | LC_ALL=C sort)" host '
			for to in "$LAB_SERVICE" "[$LAB_SERVICE6]"; do
				ip netns exec guest timeout 3 socat -u "TCP:$to:81" - </dev/null >/dev/null 2>&1 &
				timeout 3 socat -u "TCP:$to:82" - </dev/null >/dev/null 2>&1 &
			done
			ip netns exec guest dig +time=1 +tries=1 "@$LAB_OLD" guest.example.test >/dev/null 2>&1 &
			dig +time=1 +tries=1 "@$LAB_OLD6" host.example.test >/dev/null 2>&1 &
			sleep 0.5
			printf "AUTHENTICATE\r\nGETINFO stream-status\r\nQUIT\r\n" | socat -t 2 - TCP:127.0.0.1:9051 |
				tr -d "\r" | sed "s/^250[-+]stream-status=//" | awk "NF >= 4 && \$1 + 0 && \$1 != 250 { print \$4 }" | LC_ALL=C sort -u'
	}
	beside "Tor, iptables" 'systemctl start tor; iptables-restore -n /root/tor.iptables4; ip6tables-restore -n /root/tor.iptables6' \
		"$flush; systemctl stop tor"
	beside "Tor, nft" 'systemctl start tor; nft -f /root/tor.nft' "$unload; systemctl stop tor"
}

# fetched WHEN CLIENT..: the guest and the host get what they asked for, and squid's log has these clients alone.
fetched() {
	local when=$1
	shift
	check "$when: what is asked for comes" \
		"$(printf '%s\n' "$LAB_WAN_FAST" "$LAB_WAN_FAST6" "$LAB_WAN_FAST" "$LAB_WAN_FAST6")" host "
		for run in 'ip netns exec guest' ''; do for to in $web '[$web6]'; do
			printf 'GET / HTTP/1.0\r\nHost: %s\r\n\r\n' \$to | \$run socat -T 3 -,ignoreeof TCP:\$to:80,connect-timeout=3 2>&1 | tail -n 1
		done; done"
	check "$when: these were caught, and nobody else" "$(printf '%s\n' "$@" | LC_ALL=C sort)" host \
		'awk "{ print \$3 }" /var/log/squid/access.log | LC_ALL=C sort -u'
}

readonly squid='systemctl restart squid; : >/var/log/squid/access.log'

squid() {
	caught() {
		fetched "$1" 10.9.0.2 fd00:9::2 "$LAB_HOST" "$LAB_HOST6"
	}
	beside "squid, iptables" "$squid; iptables-restore -n /root/squid.iptables; ip6tables-restore -n /root/squid.iptables" "$flush"
	beside "squid, nft" "$squid; nft -f /root/squid.nft" "$unload"
}

# TPROXY gives packets to the proxy's socket, and the kernel forwards those no more: jobs get an error, until their links
# are left out. As squid's manual says, the reverse path is not checked: with rp_filter, nsnat would have the check look at
# the proxy's mark as well, which leads to the host itself.
tproxy() {
	local kind start leave
	caught() {
		fetched "$1" 10.9.0.2 fd00:9::2
	}
	local -r ways='for family in -4 -6; do ip $family rule add pref 20000 fwmark 1 lookup 100; ip $family route add local default dev lo table 100; done'
	local -r no_ways='for family in -4 -6; do ip $family rule del pref 20000; ip $family route flush table 100; done'
	host 'sysctl -qw net.ipv4.conf.{all,eth0,eth1}.rp_filter=0'
	for kind in iptables nft; do
		case $kind in
		iptables)
			start="$squid; $ways; iptables-restore -n /root/tproxy.iptables; ip6tables-restore -n /root/tproxy.iptables"
			leave='for tables in iptables ip6tables; do
				$tables -t mangle -I PREROUTING -m devgroup --src-group 7238510 -j RETURN; done'
			stop="$flush; $no_ways"
			;;
		nft)
			start="$squid; $ways; nft -f /root/tproxy.nft"
			leave='nft insert rule inet proxy prerouting iifgroup 7238510 return'
			stop="$unload; $no_ways"
			;;
		esac
		host 'nsnat up >/dev/null'
		watch_jobs
		host "$start"
		check "squid, TPROXY by $kind: jobs get an error at once" "$refused" on_host probe slow
		caught "squid, TPROXY by $kind"
		unwatch_jobs
		host "$stop; nsnat -q down"
		beside "squid, TPROXY by $kind" "$start; $leave" "$stop"
	done
}

readonly refused='slow 4 nothing (Connection refused)
slow 6 nothing (Connection refused)'

unbound() {
	caught() {
		check "$1: it answers the LAN by both families, and none of it is tracked" \
			"$(printf '%s\n' "$LAB_ANSWER_OLD"{,} dport=5350)" questions
	}
	# What else comes from there is tracked.
	questions() {
		at printer sh -c 'for to in "$1" "$2"; do dig +short +timeout=2 +tries=2 "@$to" a.example.test; done
			echo tracked | socat -u - "UDP:$1:5350"; echo tracked | socat -u - "UDP:[$2]:5350"' - "$LAB_HOST" "$LAB_HOST6"
		host 'for family in 4 6; do conntrack -L -f ipv$family -p udp 2>/dev/null; done' |
			grep -F -e "src=$LAB_PRINTER dst=$LAB_HOST " -e "src=$LAB_PRINTER6 dst=$LAB_HOST6 " | grep -o 'dport=[0-9]*' | grep -v 'dport=[0-9]\{5\}' | sort -u
	}
	beside "unbound, iptables" 'systemctl start unbound; iptables-restore -n /root/unbound.iptables; ip6tables-restore -n /root/unbound.iptables' \
		"$flush; systemctl stop unbound"
	beside "unbound, nft" 'systemctl start unbound; nft -f /root/unbound.nft' "$unload; systemctl stop unbound"
}

boot
surroundings
for program in redsocks sshuttle tor squid tproxy unbound; do
	$program
done
