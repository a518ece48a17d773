# shellcheck shell=bash disable=SC2154,SC2016 # variables of scripts/systest; scripts for the host
# The Debian package: what a new user types, who has nothing but it; and install, upgrade, removal and purge beside jobs
# and the daemon. On Debian 13 (package@trixie) the second half, and lintian before it.

# shellcheck source=../tests/systest/lib/package.sh
source "$scenarios/lib/package.sh"
readonly kind=deb zsh=share/zsh/vendor-completions/_nsnat licence=share/doc/nsnat/copyright
readonly removes='dpkg -r nsnat' verifies='dpkg --verify nsnat' own=('/var/lib/dpkg/*-old')
readonly allows='dpkg-statoverride --update --add root nogroup 4750 /usr/libexec/nsnat/nsnat-exec'
installs() { echo "dpkg -i /root/nsnat-$1.deb"; }

# The rules that the Docker engine loads when it starts.
docker_rules() {
	host 'iptables-restore <<-END
		*filter
		:FORWARD DROP
		:DOCKER -
		:DOCKER-ISOLATION-STAGE-1 -
		:DOCKER-ISOLATION-STAGE-2 -
		:DOCKER-USER -
		-A FORWARD -j DOCKER-USER
		-A FORWARD -j DOCKER-ISOLATION-STAGE-1
		-A FORWARD -o docker0 -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
		-A FORWARD -o docker0 -j DOCKER
		-A FORWARD -i docker0 ! -o docker0 -j ACCEPT
		-A FORWARD -i docker0 -o docker0 -j ACCEPT
		-A DOCKER-ISOLATION-STAGE-1 -i docker0 ! -o docker0 -j DOCKER-ISOLATION-STAGE-2
		-A DOCKER-ISOLATION-STAGE-1 -j RETURN
		-A DOCKER-ISOLATION-STAGE-2 -o docker0 -j DROP
		-A DOCKER-ISOLATION-STAGE-2 -j RETURN
		-A DOCKER-USER -j RETURN
		COMMIT
	END'
}

new_user() {
	local job="nsnat exec slow -- socat -u -T 2 TCP4:$LAB_SERVICE:80,connect-timeout=2 - 2>/dev/null"
	types 'dpkg -i /root/nsnat-1.deb >/dev/null' ''
	types 'systemctl is-enabled nsnat; systemctl is-active nsnat || true' $'disabled\ninactive'
	types 'nsnat --help | grep -o "nsnat add slow[^ ]* --gateway.*\|nsnat exec .*\|nsnat doctor .*"' \
		'nsnat add slow --gateway 192.168.1.254   Declare a way out by that router, and bring it up
nsnat exec slow -- apt-get upgrade       Run one job by it
nsnat doctor                             Find out what is wrong'
	types "nsnat add slow --gateway $LAB_SLOW --dns $LAB_NEW" "slow: up, by eth0 via $LAB_SLOW"
	types "$job" "$LAB_WAN_SLOW"
	docker_rules
	types "$job || echo no answer" 'no answer'
	types 'nsnat doctor' 'slow: fault [firewall-drops]: packets are stopped by table ip filter, chain FORWARD (policy drop)
    table ip filter, chain FORWARD, policy drop
  cure: nsnat up
(exit status 1)'
	types 'eval "$(nsnat doctor | sed -n "s/^ *cure: //p")"' 'repaired (2 actions)'
	types "$job" "$LAB_WAN_SLOW"
	types 'nsnat doctor' 'nothing is wrong'
	types 'nsnat remove slow' 'slow: down'
	types 'dpkg --purge nsnat 2>&1 | grep -v "^(Reading\|^Purging\|^Removing\|not empty so not removed\|^Processing triggers for man-db"; true' ''
	host 'nft delete table ip filter'
}

# What lintian says. The package's programs are static; those under test may be dynamic, which it tells by these tags.
lint() {
	local dynamic='undeclared-elf-prerequisites|hardening-no-fortify-functions|unused-override shared-library-'
	readelf -l "$work/bin/nsnat" | grep -q INTERP || dynamic='none'
	on_host lintian --allow-root --fail-on none --display-info /root/nsnat-1.deb | sed -E "/^N: |$dynamic/d"
}

boot
[[ ! -x $disk/usr/bin/lintian ]] || check "lintian" '' lint
bare_host
if [[ -x $disk/usr/bin/docker ]]; then
	new_user
	nothing_left "purged by the new user"
fi

host "$(installs 1) >/dev/null"
installed
in_use
upgraded
types "$removes | grep ^nsnat:" "$bound
nsnat: still up, until the package is purged or the host boots: slow third"
without_the_program "removed"
job_goes_on "removed"
unwatch_jobs
types 'dpkg --purge nsnat 2>&1 | grep ": down$"' $'slow: down\nthird: down'
job_was_ended
host 'dpkg-statoverride --remove /usr/libexec/nsnat/nsnat-exec; rm -r /etc/systemd/system/backup.service.d'
nothing_left "purged"
