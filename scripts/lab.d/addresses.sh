# shellcheck shell=bash disable=SC2034 # used by the other files and exported by `export_lab`
#
# Every address of the lab, once. A 6 at the end: the same in IPv6; _LL: link-local.

LAB_HOST=192.168.1.10        LAB_HOST6=2001:db8:1::10       # eth0
LAB_HOST_THIRD=10.20.0.10    LAB_HOST_THIRD6=2001:db8:2::10 # eth1, the segment of `third`

LAB_FAST=192.168.1.1         LAB_FAST6=2001:db8:1::1   LAB_FAST_LL=fe80::1
LAB_SLOW=192.168.1.254       LAB_SLOW6=2001:db8:1::fe  LAB_SLOW_LL=fe80::fe
LAB_THIRD=10.20.0.1          LAB_THIRD6=2001:db8:2::1  LAB_THIRD_LL=fe80::3
LAB_PRINTER=192.168.1.20     LAB_PRINTER6=2001:db8:1::20

# What the service sees when a packet left by that router.
LAB_WAN_FAST=203.0.113.1     LAB_WAN_FAST6=2001:db8:f::1
LAB_WAN_SLOW=203.0.113.254   LAB_WAN_SLOW6=2001:db8:f::fe
LAB_WAN_THIRD=203.0.113.3    LAB_WAN_THIRD6=2001:db8:f::3

LAB_INET=203.0.113.100       LAB_INET6=2001:db8:f::100
LAB_SERVICE=198.51.100.80    LAB_SERVICE6=2001:db8:80::80

# DNS servers, and what each answers for any name under example.test.
LAB_OLD=8.8.8.8              LAB_OLD6=2001:4860:4860::8888
LAB_NEW=198.51.100.53        LAB_NEW6=2001:db8:53::53
LAB_SECOND=198.51.100.54     LAB_SECOND6=2001:db8:53::54
LAB_ANSWER_OLD=192.0.2.1         LAB_ANSWER_OLD6=2001:db8:c::1
LAB_ANSWER_NEW=192.0.2.53        LAB_ANSWER_NEW6=2001:db8:c::53
LAB_ANSWER_SECOND=192.0.2.54     LAB_ANSWER_SECOND6=2001:db8:c::54
LAB_ANSWER_NEW_5353=192.0.2.153  LAB_ANSWER_NEW_53536=2001:db8:c::153 # NEW, port 5353
