# shellcheck shell=bash disable=SC2154,SC2016,SC2015 # variables of scripts/systest; scripts for the host
# The uplink is a bridge with a guest in it, and bridged frames pass iptables (as Docker, libvirt and Proxmox set it):
# no program, so that no boot is needed.

guest() {
	check "$1: the guest, IPv4" "$LAB_WAN_FAST" at guest whoami4
	check "$1: the guest, IPv6" "$LAB_WAN_FAST6" at guest whoami6
}

lab_only
host "modprobe -q br_netfilter; sysctl -qw net.bridge.bridge-nf-call-iptables=1 net.bridge.bridge-nf-call-ip6tables=1"
host "set -e
	ip link add br0 type bridge forward_delay 0 mcast_snooping 0
	ip address flush dev eth0; ip link set eth0 master br0; ip link set br0 up
	ip address add $LAB_HOST/24 dev br0; ip address add $LAB_HOST6/64 dev br0 nodad
	ip route replace default via $LAB_FAST; ip route replace default via $LAB_FAST6
	ip netns add guest
	ip link add port type veth peer name eth0 netns guest; ip link set port master br0 up
	ip -n guest link set eth0 up; ip -n guest address add 192.168.1.30/24 dev eth0
	ip -n guest address add 2001:db8:1::30/64 dev eth0 nodad
	ip -n guest route add default via $LAB_FAST; ip -n guest route add default via $LAB_FAST6"
guest "before"
state before
host 'nsnat up >/dev/null'
all_well "with nsnat"
healthy "with nsnat"
guest "with nsnat"
host 'nsnat -q down'
state after
same "after nsnat down" before after
guest "after nsnat"
