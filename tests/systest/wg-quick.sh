# shellcheck shell=bash disable=SC2154,SC2016,SC2015 # variables of scripts/systest; scripts for the host
# wg-quick, real, over wireguard-go: the tunnel takes all that leaves the host, and the jobs leave by their own way. It
# has no hooks, so that `nsnat up` is called after it. The peer is the internet itself.

# A key pair for each end; the peer's end is on `inet`, and the tunnel comes out there.
tunnel() {
	host "set -e; umask 077; mkdir -p /etc/wireguard /run/wg; cd /run/wg
		for end in host inet; do wg genkey >\$end.key; wg pubkey <\$end.key >\$end.pub; done
		cat >/etc/wireguard/wg0.conf <<-END2
			[Interface]
			PrivateKey = \$(cat host.key)
			Address = 10.99.0.2/24, fd99::2/64
			[Peer]
			PublicKey = \$(cat inet.pub)
			AllowedIPs = 0.0.0.0/0, ::/0
			Endpoint = $LAB_INET:51820
		END2
		at inet sh -euc 'wireguard-go wg9 >/run/wg/log 2>&1 || cat /run/wg/log
			wg set wg9 listen-port 51820 private-key inet.key peer \$(cat host.pub) allowed-ips 10.99.0.2/32,fd99::2/128
			ip address add 10.99.0.1/24 dev wg9; ip address add fd99::1/64 dev wg9; ip link set wg9 up'"
}

wg() {
	host "WG_QUICK_USERSPACE_IMPLEMENTATION=wireguard-go WG_I_PREFER_BUGGY_USERSPACE_TO_POLISHED_KMOD=1 wg-quick $1 wg0" \
		>"$work/said" 2>&1 || fail "wg-quick $1" "$(<"$work/said")"
}

jobs() {
	check "$1" $'host tunnel\nslow 4 slow\nslow 6 slow\nthird 4 third\nthird 6 third' host \
		'case $(whoami4) in 10.99.0.2) echo host tunnel ;; *) echo host not by the tunnel ;; esac; probe slow third'
}

lab_only
tunnel
# wg-quick leaves a sysctl as it set it.
wg up
wg down
state before
host 'nsnat up >/dev/null'
watch_jobs
for round in 1 2 3; do
	wg up
	check "nsnat up" '' host 'nsnat -q up'
	jobs "wg-quick up ($round)"
	wg down
	check "nsnat up" '' host 'nsnat -q up'
	all_well "wg-quick down ($round)"
done
unwatch_jobs
check "nsnat down" '' host 'nsnat -q down'
state after
same "after nsnat down" before after
wg up
host 'nsnat up >/dev/null'
watch_jobs
jobs "wg-quick there before nsnat"
healthy "wg-quick there before nsnat"
wg down
unwatch_jobs
check "nsnat down" '' host 'nsnat -q down'
