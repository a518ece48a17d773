# shellcheck shell=bash disable=SC2154,SC2016 # variables of scripts/systest; scripts for the host
# The Debian package: what a new user types, who has nothing but it; and install, upgrade, removal and purge beside jobs
# and the daemon. On Debian 13 (package@trixie) the second half, and lintian before it.

# Of two versions, out of the programs under test (without what debuggers need, which would only cost time).
install_nsnat() {
	local release program
	mkdir "$work/bin"
	for program in nsnat nsnat-exec; do
		strip -o "$work/bin/$program" "${NSNAT%/*}/$program"
	done
	for release in 1 2; do
		RELEASE=$release "$project/scripts/package" --from "$work/bin" --out "$work" deb >/dev/null
		install -D -m 644 "$work"/nsnat_*-"$release"_*.deb "$disk/root/nsnat-$release.deb"
	done
	mkdir "$work/again"
	RELEASE=1 "$project/scripts/package" --from "$work/bin" --out "$work/again" deb >/dev/null
	check "made twice" '' cmp "$work"/again/*.deb "$disk/root/nsnat-1.deb"
}

# files FILE: all files and links but those that change by themselves.
files() {
	host 'find /etc /usr /var /root /run/nsnat /run/netns \( -path /var/log -o -path /var/tmp -o -path /var/cache -o -path /var/lib/systemd \
		-o -name "nsnat-[12].deb" -o -path "/var/lib/dpkg/*-old" \) -prune -o -printf "%p %y %m %l\n" 2>/dev/null | sort' >"$work/$1"
}

# types COMMAND EXPECTED: a line of what the new user does, once.
types() {
	host "$1" >"$work/said" 2>&1 || echo "(exit status $?)" >>"$work/said"
	check "\$ $1" "$2" cat "$work/said"
}

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
	types 'dpkg --purge nsnat 2>&1 | grep -v "^(Reading\|^Purging\|^Removing\|not empty so not removed"; true' ''
	host 'nft delete table ip filter'
}

# A job that gets a line each tenth of a second, and must not be cut off.
start_job() {
	host "nsnat exec slow -- socat -u TCP4:$LAB_SERVICE:9997 OPEN:/run/job,creat,append >/dev/null 2>&1 & echo \$! >/run/job.pid; disown"
}

# job_goes_on WHEN: a line comes now, and none was missed.
job_goes_on() {
	host 'lines=$(wc -l </run/job); for i in $(seq 50); do (($(wc -l </run/job) > lines)) && break; sleep 0.1; done'
	check "$1: the job goes on" 'alive, each line' host 'kill -0 $(cat /run/job.pid) && echo -n "alive, "
		cmp <(seq $(wc -l </run/job)) <(sed "s/tick //" /run/job) && echo each line'
}

# nothing_left WHEN
nothing_left() {
	state purged
	files purged.files
	same "$1" bare purged
	same "$1: files" bare.files purged.files
}

# What lintian says. The package's programs are static; those under test may be dynamic, which it tells by these tags.
lint() {
	local dynamic='undeclared-elf-prerequisites|hardening-no-fortify-functions|unused-override shared-library-'
	readelf -l "$work/bin/nsnat" | grep -q INTERP || dynamic='none'
	on_host lintian --allow-root --fail-on none --display-info /root/nsnat-1.deb | sed -E "/^N: |$dynamic/d"
}

boot
[[ ! -x $disk/usr/bin/lintian ]] || check "lintian" '' lint
state bare
files bare.files
if [[ -x $disk/usr/bin/docker ]]; then
	new_user
	nothing_left "purged by the new user"
fi

host 'dpkg -i /root/nsnat-1.deb >/dev/null'
declaration | on_host install -D -m 644 /dev/stdin /etc/nsnat/nsnat.toml
host 'systemctl enable -q --now nsnat; dpkg-statoverride --update --add root nogroup 4750 /usr/libexec/nsnat/nsnat-exec'
all_well "installed"
start_job
watch_jobs
host 'systemctl show -P MainPID nsnat >/run/daemon; dpkg -i /root/nsnat-2.deb >/dev/null'
check "the daemon is the new one" "active, of /usr/bin/nsnat" host 'pid=$(systemctl show -P MainPID nsnat)
	echo "$(systemctl is-active nsnat)$([ $pid != $(cat /run/daemon) ] && echo ,) of $(readlink /proc/$pid/exe)"'
check "users are allowed as before" '4750 nogroup' host 'stat -c "%a %G" /usr/libexec/nsnat/nsnat-exec'
all_well "upgraded"
job_goes_on "upgraded"
types 'dpkg -r nsnat | grep ^nsnat:' 'nsnat: still up, until the package is purged or the host boots: slow third'
check "without the program" $'no program\nnot-found' host 'type nsnat 2>/dev/null || echo no program; systemctl show -P LoadState nsnat'
job_goes_on "removed"
unwatch_jobs
types 'dpkg --purge nsnat 2>&1 | grep ": down$"' $'slow: down\nthird: down'
check "the job was ended" ended host 'kill -0 $(cat /run/job.pid) 2>/dev/null || echo ended; rm -f /run/job* /run/daemon'
host 'dpkg-statoverride --remove /usr/libexec/nsnat/nsnat-exec'
nothing_left "purged"
