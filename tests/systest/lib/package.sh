# shellcheck shell=bash disable=SC2034,SC2154,SC2016 # variables of scripts/systest; scripts for the host
#
# What scenarios of packages share. Each has a kind of package and its manager, in lines of shell for the host:
#
#   kind                       as scripts/package has it
#   installs N                 installs the package of release N, or upgrades to it, without a question
#   removes                    removes it
#   allows                     gives nsnat-exec to the users of a group, as docs/nsnat-exec.md has it for this kind
#   verifies                   says which files are not as the package has them: none
#   zsh, licence               the files of these below /usr
#   own                        patterns of find(1): what the manager itself writes
#
#   types COMMAND EXPECTED     a line of what somebody types, once
#   bare_host                  what is there before the first installation, for nothing_left
#   installed                  what is there after it
#   in_use                     namespaces are up, by the daemon, jobs run, and a unit is bound
#   upgraded                   to release 2, which cuts nothing off
#   job_goes_on WHEN, job_was_ended
#   removed                    of a kind without a purge: beside jobs, and then all
#   without_the_program WHEN   nothing of the package is left to run
#   nothing_left WHEN          the host is as bare_host found it

# What a removal says of a unit that is bound.
readonly bound='nsnat: /etc/systemd/system/backup.service.d/50-nsnat.conf: binds a unit that cannot start any more; remove it'

readonly by_tmpfiles="echo 'z /usr/libexec/nsnat/nsnat-exec 4750 root nogroup' >/etc/tmpfiles.d/nsnat.conf
	systemd-tmpfiles --create --prefix=/usr/libexec/nsnat"

# Of two versions, out of the programs under test (without what debuggers need, which would only cost time).
install_nsnat() {
	local release program
	mkdir "$work/bin"
	for program in nsnat nsnat-exec; do
		strip -o "$work/bin/$program" "${NSNAT%/*}/$program"
	done
	for release in 1 2; do
		make_package "$release" "$work/$release"
		install -D -m 644 "$work/$release"/* "$disk/root/nsnat-$release.$kind"
	done
	make_package 1 "$work/again"
	check "made twice" '' cmp "$work"/again/* "$disk/root/nsnat-1.$kind"
}

# make_package RELEASE DIR [KIND]
make_package() {
	mkdir -p "$2"
	RELEASE=$1 "$project/scripts/package" --from "$work/bin" --out "$2" "${3-$kind}" >/dev/null
}

# types COMMAND EXPECTED
types() {
	host "$1" >"$work/said" 2>&1 || echo "(exit status $?)" >>"$work/said"
	check "\$ $1" "$2" cat "$work/said"
}

# files FILE: all files and links but those that change by themselves.
files() {
	host "find /etc /usr /var /root /run/nsnat /run/netns \\( -path /var/log -o -path /var/tmp -o -path /var/cache -o -path /var/lib/systemd \\
		-o -name 'nsnat-[12].*' $(printf ' -o -path %q' "${own[@]}") \\) -prune -o -printf '%p %y %m %l\\n' 2>/dev/null | sort" >"$work/$1"
}

bare_host() {
	state bare
	files bare.files
}

nothing_left() {
	state removed
	files removed.files
	same "$1" bare removed
	same "$1: files" bare.files removed.files
}

# The same places for each kind, but for what its distribution has elsewhere.
installed() {
	local file places=(bin/nsnat libexec/nsnat/nsnat-exec lib/systemd/system/nsnat.service
		lib/systemd/system/nsnat-docker.{socket,service} share/nsnat/{nsnat.schema.json,slurm/nsnat.c,kubernetes/chain}
		share/bash-completion/completions/nsnat share/fish/vendor_completions.d/nsnat.fish "$zsh" "$licence"
		share/man/man{1/nsnat.1,1/nsnat-exec.1,5/nsnat.toml.5,7/nsnat.7}.gz
		share/doc/nsnat/{README.md,examples/nsnat.toml,bom.cdx.json,licences-of-crates.gz})
	types 'systemctl is-enabled nsnat nsnat-docker.socket; systemctl is-active nsnat nsnat-docker.socket nsnat-changed.path || true' $'disabled\ndisabled\ninactive\ninactive\nactive'
	types 'nsnat --version' "nsnat $(sed -n 's/^version = "\(.*\)"/\1/p;T;q' "$project/Cargo.toml")"
	types "cd /usr; stat -c '%a %U %G %n' ${places[*]}" "$(for file in "${places[@]}"; do
		[[ $file =~ ^(bin|libexec)/|/chain$ ]] && echo "755 root root $file" || echo "644 root root $file"
	done)"
	types "gzip -t /usr/share/man/man?/nsnat*.gz /usr/share/doc/nsnat/*.gz; $verifies" ''
}

in_use() {
	declaration | on_host install -D -m 644 /dev/stdin /etc/nsnat/nsnat.toml
	host "systemctl enable -q --now nsnat; $allows"
	all_well "installed"
	host 'nsnat systemd bind slow backup.service >/dev/null 2>&1'
	start_job
	watch_jobs
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

job_was_ended() {
	check "the job was ended" ended host 'kill -0 $(cat /run/job.pid) 2>/dev/null || echo ended; rm -f /run/job* /run/daemon'
}

upgraded() {
	host "systemctl show -P MainPID nsnat >/run/daemon; mkdir /var/lib/nsnat; touch /var/lib/nsnat/docker.1; $(installs 2) >/dev/null"
	check "networks of Docker's are remembered" docker.1 host 'ls /var/lib/nsnat; rm -r /var/lib/nsnat'
	check "the daemon is the new one" "active, of /usr/bin/nsnat" host 'pid=$(systemctl show -P MainPID nsnat)
		echo "$(systemctl is-active nsnat)$([ $pid != $(cat /run/daemon) ] && echo ,) of $(readlink /proc/$pid/exe)"'
	check "users are allowed as before" '4750 nogroup' host 'stat -c "%a %G" /usr/libexec/nsnat/nsnat-exec'
	all_well "upgraded"
	job_goes_on "upgraded"
}

without_the_program() {
	check "$1: without the program" $'no program\nnot-found' host 'type nsnat 2>/dev/null || echo no program
		systemctl show -P LoadState nsnat'
}

# Of the kinds that know no purge: a removal beside jobs; then, as docs/install.md has it, one without.
removed() {
	types "$removes 2>&1 | sed -n 's/ by .*//; /^nsnat:\|^hint:/p'" "$bound
nsnat: namespace slow: in use
nsnat: still up, until the host boots: slow third"
	without_the_program "removed beside jobs"
	job_goes_on "removed"
	unwatch_jobs
	host "$(installs 2) >/dev/null"
	host 'nsnat -q down --kill slow'
	types "$removes 2>&1 | grep ': down\$\|^nsnat:'" "$bound"$'\nthird: down'
	without_the_program "removed"
	job_was_ended
	types 'cat /etc/nsnat/nsnat.toml' "$(declaration)"
	host 'rm -r /etc/nsnat /etc/tmpfiles.d/nsnat.conf /etc/systemd/system/backup.service.d'
	nothing_left "removed"
}
