# shellcheck shell=bash disable=SC2154,SC2016 # variables of scripts/systest; scripts for the host
# nsnat as a service of OpenRC, by OpenRC's own programs, in a Debian that systemd has booted: openrc.
#
# Run by hand, because no Debian boots by OpenRC without more packages than this: OPENRC is a folder in which Debian's openrc,
# insserv, librc1 and libeinfo1 are unpacked.

# shellcheck source=../tests/systest/lib/containers.sh
source "$scenarios/lib/containers.sh"

prepare() {
	tar -C "${OPENRC?a folder with openrc, unpacked}" -c . | tar -C "$disk" -x --keep-directory-symlink
	DESTDIR=$disk OPENRCDIR=/etc/init.d "$project/scripts/install" "$NSNAT" >/dev/null
	# What systemd has done already at this boot.
	rm -f "$disk"/etc/runlevels/*/*
}

# By whom the daemon was started, and how many of it there are.
daemons() {
	host 'for pid in $(pgrep -x nsnat); do tr "\0" " " </proc/$pid/cmdline
		cat /proc/$(ps -o ppid= -p $pid | tr -d " ")/comm; done'
}

boot
host 'mkdir -p /run/openrc/{starting,started,stopping,inactive,wasinactive,failed,hotplugged,daemons,options,exclusive,scheduled,tmp}; touch /run/openrc/softlevel'
documented install.md openrc
check "it is in the runlevel" nsnat host "rc-update show boot | awk '{ print \$1 }'"
all_well "started"
healthy "started"
check "one daemon, supervised" '/usr/local/bin/nsnat watch supervise-daemo' daemons
watch_jobs
host 'ip rule del pref 4210'
all_well "a rule was deleted"
put /etc/nsnat/conf.d/more.toml <<-END
	[namespace.more]
	gateway = "$LAB_SLOW"
END
host 'rc-service -q nsnat reload'
check "reloaded" "$LAB_WAN_SLOW" host 'nsnat exec more socat -u -T 3 TCP4:$LAB_SERVICE:80 -'
host 'rm -r /etc/nsnat/conf.d; rc-service -q nsnat reload; nsnat -q down more'
before=$(host 'pgrep -x nsnat')
host 'kill -KILL $(pgrep -x nsnat)'
check "killed: another one runs" yes host "now=\$(pgrep -x nsnat); [ -n \"\$now\" ] && [ \"\$now\" != $before ] && echo yes"
host 'ip rule del pref 4210'
all_well "killed, and a rule was deleted"
check "it says what it did" yes host 'grep -q "4210" /var/log/nsnat.log && echo yes'
host 'rc-service -q nsnat restart'
all_well "restarted"
host 'rc-service -q nsnat stop'
check "stopped: no daemon" '' daemons
check "stopped: what is up stays up" "$(grep '^slow [46]' <<<"$well")" host "probe slow | grep '^slow [46]'"
unwatch_jobs
check "nsnat down" '' host 'nsnat -q down'
