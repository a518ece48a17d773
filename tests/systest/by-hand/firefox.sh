# shellcheck shell=bash disable=SC2154,SC2016 # variables of scripts/systest; scripts for the host
# Firefox, where it uses DNS over HTTPS by default: it asks a name whether it may, and with block = ["doh"] it may not.
#
# Run by hand, because the browser and what it needs is a download of 100 MB; it is kept below target/systest.

readonly resolver=198.51.100.91 # speaks DNS over HTTPS, as far as Firefox knows
readonly names=198.51.100.92    # a DNS server, which says yes

prepare() {
	local cache=$base/firefox
	mkdir -p "$cache"
	mount --bind "$cache" "$disk/var/cache/apt/archives"
	cp /etc/resolv.conf "$disk/etc/resolv.conf"
	{
		chroot "$disk" apt-get -q update
		chroot "$disk" apt-get -qy --no-install-recommends --download-only install firefox-esr
		unshare --net -- chroot "$disk" env DEBIAN_FRONTEND=noninteractive \
			apt-get -qy --no-install-recommends install firefox-esr
	} >"$work/apt" 2>&1 </dev/null || die_now "no Firefox: $(tail -n 3 "$work/apt")"
	umount "$disk/var/cache/apt/archives"
	echo 'nameserver 127.0.0.53' >"$disk/etc/resolv.conf"
	# The roll-out as Mozilla switches it on by region (toolkit/components/doh), and nothing that waits for the internet.
	put /root/user.js <<-END2
		user_pref("doh-rollout.enabled", true);
		user_pref("doh-rollout.home-region", "US");
		user_pref("doh-rollout.provider-list", '[{"id":"lab","uri":"https://$resolver/dns-query"}]');
		user_pref("doh-rollout.trr-selection.enabled", false);
		user_pref("doh-rollout.provider-steering.enabled", false);
		user_pref("doh-rollout.clearModeOnShutdown", false);
		user_pref("network.captive-portal-service.enabled", false);
		user_pref("network.connectivity-service.enabled", false);
		user_pref("app.update.enabled", false);
		user_pref("datareporting.policy.dataSubmissionEnabled", false);
	END2
}

# Firefox trusts the answer only if it finds two other names before and after, and takes a name that has the address of
# Google's safe search for a filter.
serve_names() {
	at inet sh -euc 'ip address add "$1" dev lo
		exec dnsmasq --no-resolv --no-hosts --port=53 --listen-address="$1" --bind-interfaces --pid-file= --user=root \
			--log-queries --log-facility=/run/lab/dns/firefox.log --local=/#/ --address=/example.test/"$2" \
			--address=/firefox.com/"$2" --address=/mozilla.org/"$2" --address=/use-application-dns.net/"$2"' \
		- "$names" "$LAB_SERVICE"
}

asked() {
	at inet grep -c "query\[A\] $1 from" /run/lab/dns/firefox.log || true
}

# browse DNS: a fresh profile, until it has decided and has read a page; what it decided (0: no; 2: yes).
browse() {
	printf '[namespace.slow]\ngateway = ["%s", "%s"]\ndns = { servers = ["%s"]%s }\n' \
		"$LAB_SLOW" "$LAB_SLOW6" "$names" "$1" | on_host tee /etc/nsnat/nsnat.toml >/dev/null
	host 'nsnat -q up; rm -rf /root/profile; mkdir /root/profile; cp /root/user.js /root/profile
		nsnat -q exec slow -- firefox-esr --headless --no-remote --profile /root/profile http://page.example.test/ >/root/log 2>&1 &
		for ((tries = 0; tries < 600; tries++)); do
			sleep 0.1
			! grep -qs "\"doh-rollout.mode\"" /root/profile/prefs.js || break
		done
		sleep 3
		kill -TERM $!; wait $!
		sed -n "s/^user_pref(\"doh-rollout.mode\", \([0-9]*\));/\1/p" /root/profile/prefs.js'
}

# decides WHAT DNS DECISION ARRIVED SENT: also whether its question arrived, and whether anything went to the resolver.
decides() {
	local what=$1 decision=$3 arrived=$4 sent=$5 before watched seen
	before=$(asked use-application-dns.net)
	watched=$(lab_capture slow "host $resolver")
	checks+=3
	[[ $(browse "$2") == "$decision" ]] || fail "$what: doh-rollout.mode is not $decision" "$(host 'tail -n 5 /root/log; grep doh /root/profile/prefs.js')"
	seen=$(($(asked use-application-dns.net) > before))
	[[ $seen == "$arrived" ]] || fail "$what: the question arrived: $seen"
	seen=$("$project/scripts/lab" enter "$lab" captured "$watched" 2>&1 | grep -c "$resolver.443" || true)
	[[ $((seen > 0)) == "$sent" ]] || fail "$what: packets to the resolver: $seen"
}

boot
serve_names
decides "the control: it may" '' 2 1 1
decides "the refused question" ', block = ["doh"]' 0 0 0
check "names go on by DNS" yes eval '(($(asked page.example.test) > 0)) && echo yes'
