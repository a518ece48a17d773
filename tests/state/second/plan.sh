{ nsnat skeleton; echo 'add element inet nsnat mark_of { "nsn-slow" : 0x1000000 }; add element inet nsnat mark_of { "nsn-third" : 0x2000000 }; add element inet nsnat marked { 0x1000000 . "nsn-slow" }; add element inet nsnat marked { 0x2000000 . "nsn-third" }; add element inet nsnat answer_mark4 { 10.213.0.2 : 0x1000000 }; add element inet nsnat answer_mark4 { 10.213.1.2 : 0x2000000 }; add element inet nsnat answer_mark6 { fd6e:736e:6174:1::ad5:2 : 0x1000000 }; add element inet nsnat inside4 { 10.213.0.2 }; add element inet nsnat inside4 { 10.213.1.2 }; add element inet nsnat inside6 { fd6e:736e:6174:1::ad5:2 }; add element inet nsnat ways4 { 0x1000000 . "eth0" . 192.168.1.254 }; add element inet nsnat ways4 { 0x2000000 . "eth1" . 10.20.0.1 }; add element inet nsnat ways6 { 0x1000000 . "eth0" . 2001:db8:1::fe }; add element inet nsnat lan4 { 0x1000000 . "eth0" . 192.168.1.0/24 }; add element inet nsnat lan4 { 0x2000000 . "eth1" . 10.20.0.0/24 }; add element inet nsnat lan6 { 0x1000000 . "eth0" . 2001:db8:1::/64 }; add element inet nsnat lan6 { 0x2000000 . "eth1" . 2001:db8:2::/64 }; add element inet nsnat opened4 { "eth0" }; add element inet nsnat opened4 { "eth1" }; add element inet nsnat opened6 { "eth0" }; add element inet nsnat told_to4 { "nsn-slow" . 198.51.100.53 . 53 }; add element inet nsnat told_to4 { "nsn-third" . 198.51.100.53 . 53 }; add element inet nsnat told_to6 { "nsn-slow" . 2001:db8:53::53 . 53 }; add element inet nsnat told_old4 { "nsn-third" . 8.8.8.8 . 53 }; add element inet nsnat dns_one4 { "nsn-third" . 8.8.8.8 . 53 : 198.51.100.53 . 53 }; add element inet nsnat dns_first4 { "nsn-slow" : 198.51.100.53 . 53 }; add element inet nsnat dns_first6 { "nsn-slow" : 2001:db8:53::53 . 53 }; add element inet nsnat watched_ports { 53 }; add element inet nsnat dns_only { "nsn-slow" }'; } | nft -f -
ip netns add slow
ip netns add third
ip route add unreachable default table 213001 metric 4278198272 proto kernel
ip -6 route add unreachable default table 213001 metric 4278198272 proto kernel
ip route add unreachable default table 213002 metric 4278198272 proto kernel
ip -6 route add unreachable default table 213002 metric 4278198272 proto kernel
ip rule add pref 4207 to 10.213.0.0/24 lookup 254 suppress_prefixlength 23 protocol kernel
ip rule add pref 4207 to 10.213.1.0/24 lookup 254 suppress_prefixlength 23 protocol kernel
ip -6 rule add pref 4207 to fd6e:736e:6174:1::/64 lookup 254 suppress_prefixlength 63 protocol kernel
ip -6 rule add pref 4207 to fd6e:736e:6174:2::/64 lookup 254 suppress_prefixlength 63 protocol kernel
ip rule add pref 4208 to 10.213.0.0/24 blackhole protocol kernel
ip rule add pref 4208 to 10.213.1.0/24 blackhole protocol kernel
ip -6 rule add pref 4208 to fd6e:736e:6174:1::/64 blackhole protocol kernel
ip -6 rule add pref 4208 to fd6e:736e:6174:2::/64 blackhole protocol kernel
ip rule add pref 4210 fwmark 0x1000000/0xff000000 lookup 213001 protocol kernel
ip rule add pref 4210 fwmark 0x2000000/0xff000000 lookup 213002 protocol kernel
ip -6 rule add pref 4210 fwmark 0x1000000/0xff000000 lookup 213001 protocol kernel
ip -6 rule add pref 4210 fwmark 0x2000000/0xff000000 lookup 213002 protocol kernel
ip rule add pref 4212 fwmark 0x1000000/0xff000000 unreachable protocol kernel
ip rule add pref 4212 fwmark 0x2000000/0xff000000 unreachable protocol kernel
ip -6 rule add pref 4212 fwmark 0x1000000/0xff000000 unreachable protocol kernel
ip -6 rule add pref 4212 fwmark 0x2000000/0xff000000 unreachable protocol kernel
ip rule add pref 4213 from 10.213.0.0/24 unreachable protocol kernel
ip rule add pref 4213 from 10.213.1.0/24 unreachable protocol kernel
ip -6 rule add pref 4213 from fd6e:736e:6174:1::/64 unreachable protocol kernel
ip -6 rule add pref 4213 from fd6e:736e:6174:2::/64 unreachable protocol kernel
ip link add name nsn-slow numtxqueues 1 numrxqueues 1 mtu 1500 group 7238510 type veth peer name eth0 numtxqueues 1 numrxqueues 1 mtu 1500 group 7238510 netns slow
ip link add name nsn-third numtxqueues 1 numrxqueues 1 mtu 1500 group 7238510 type veth peer name eth0 numtxqueues 1 numrxqueues 1 mtu 1500 group 7238510 netns third
ip link set dev nsn-slow alias nsnat:slow
ip link set dev nsn-third alias nsnat:third
ip netns exec slow sysctl -qw net/ipv4/conf/eth0/accept_local=1
ip netns exec slow sysctl -qw net/ipv4/conf/eth0/route_localnet=1
ip netns exec slow sysctl -qw net/ipv4/conf/eth0/rp_filter=2
ip netns exec slow sysctl -qw net/ipv6/conf/eth0/accept_dad=0
ip netns exec slow sysctl -qw net/ipv6/conf/eth0/accept_ra=0
ip netns exec slow sysctl -qw net/ipv6/conf/eth0/disable_ipv6=0
ip netns exec third sysctl -qw net/ipv6/conf/eth0/disable_ipv6=1
sysctl -qw net/ipv4/conf/eth0/forwarding=1
sysctl -qw net/ipv4/conf/eth0/src_valid_mark=1
sysctl -qw net/ipv4/conf/eth1/forwarding=1
sysctl -qw net/ipv4/conf/eth1/src_valid_mark=1
sysctl -qw net/ipv4/conf/nsn-slow/forwarding=1
sysctl -qw net/ipv4/conf/nsn-third/forwarding=1
sysctl -qw net/ipv6/conf/eth0/force_forwarding=1
sysctl -qw net/ipv6/conf/nsn-slow/accept_dad=0
sysctl -qw net/ipv6/conf/nsn-slow/accept_ra=0
sysctl -qw net/ipv6/conf/nsn-slow/disable_ipv6=0
sysctl -qw net/ipv6/conf/nsn-slow/force_forwarding=1
sysctl -qw net/ipv6/conf/nsn-third/disable_ipv6=1
ip -n slow addr add 10.213.0.2/30 dev eth0
ip -n slow addr add fd6e:736e:6174:1::ad5:2/126 dev eth0 nodad
ip -n third addr add 10.213.1.2/30 dev eth0
ip addr add 10.213.0.1/30 dev nsn-slow scope link
ip addr add fd6e:736e:6174:1::ad5:1/126 dev nsn-slow nodad
ip addr add 10.213.1.1/30 dev nsn-third scope link
ip -n slow link set dev eth0 up
ip -n slow link set dev lo up
ip -n third link set dev eth0 up
ip -n third link set dev lo up
ip link set dev nsn-slow up
ip link set dev nsn-third up
ip -n slow route add default via 10.213.0.1 dev eth0 src 10.213.0.2 table 53 proto 213
ip -n slow route add default via 10.213.0.1 dev eth0 table 254 proto 213
ip -6 -n slow route add default via fd6e:736e:6174:1::ad5:1 dev eth0 table 254 metric 1024 proto 213
ip -n third route add default via 10.213.1.1 dev eth0 table 254 proto 213
ip -6 -n third route add unreachable default table 254 metric 4278198272 proto 213
ip route add default via 192.168.1.254 dev eth0 table 213001 metric 4278198271 proto kernel
ip route add 10.213.0.0/30 dev nsn-slow table 213001 proto kernel
ip route add 192.168.1.0/24 dev eth0 table 213001 metric 4278198271 proto kernel
ip -6 route add default via 2001:db8:1::fe dev eth0 table 213001 metric 4278198271 proto kernel
ip -6 route add 2001:db8:1::/64 dev eth0 table 213001 metric 4278198271 proto kernel
ip -6 route add fd6e:736e:6174:1::ad5:0/126 dev nsn-slow table 213001 metric 1024 proto kernel
ip route add default via 10.20.0.1 dev eth1 table 213002 metric 4278198271 proto kernel
ip route add 10.20.0.0/24 dev eth1 table 213002 metric 4278198271 proto kernel
ip route add 10.213.1.0/30 dev nsn-third table 213002 proto kernel
ip -6 route add 2001:db8:2::/64 dev eth1 table 213002 metric 4278198271 proto kernel
ip -n slow rule add pref 10 to 127.0.0.0/8 ipproto 6 dport 53 lookup 53 protocol 213
ip -n slow rule add pref 10 to 127.0.0.0/8 ipproto 17 dport 53 lookup 53 protocol 213
ip -n slow rule add pref 100 lookup 255 protocol 213
ip -n slow rule del pref 0 lookup 255 protocol kernel
