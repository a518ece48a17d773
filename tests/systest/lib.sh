# shellcheck shell=bash disable=SC2154,SC2016,SC2001 # project, root, base, NSNAT are of scripts/systest
#
# The words that scenarios are written in. A scenario is a bash file that calls them; it runs outside of the
# machine under test ("the host") and of its lab. A check that fails does not end the scenario.
#
#   boot                       a Debian, joined to a lab; `prepare` changes its disk before
#   reboot HOW [CMD..]         off and on again, orderly or hard, with its disk; meanwhile the command
#   lab_only                   no Debian: the host is the lab's own
#   on_host CMD.., host SCRIPT run on the host; a script has LAB_* and `nsnat`
#   at NODE CMD..              run on another node of the lab
#   check WHAT EXPECTED CMD..  CMD prints EXPECTED; or does so within some seconds
#   all_well WHEN              every job gets out by its way, names resolve by its servers, the host is as ever
#   watch_jobs, unwatch_jobs   senders inside and a capture on the fast router; no packet of theirs was there
#   healthy WHEN, told CODE    `nsnat doctor` finds nothing; or this
#   helped CODE                it says this, and its cure, pasted, ends that
#   unexcepted WHEN            nsnat's exceptions in a firewall are taken away: doctor says so, and its cure helps
#   state FILE, same A B       what others have configured; compared
#   after WHAT SCRIPT          the script changes the network; nsnat.service puts it right, and nothing leaves elsewhere

declare -i checks=0 failures=0
lab='' leader='' nspawn=''

# ---- the machine and its lab

run_scenario() {
	local name=$1 started=$SECONDS
	exec 7>&1
	work=$(mktemp -d)
	mount -t tmpfs tmpfs "$work"
	mkdir "$work"/{up,work,disk}
	trap clean_up EXIT
	trap '((BASH_SUBSHELL)) || ended $? "${BASH_LINENO[*]}"' ERR
	set -E
	mount -t overlay -o "lowerdir=$root,upperdir=$work/up,workdir=$work/work" overlay "$work/disk"
	disk=$work/disk
	# shellcheck source=/dev/null # the scenario
	source "$(scenario "$1")"
	if ((failures || !checks)); then
		echo "FAILED $1 ($failures of $checks checks, $((SECONDS - started)) s)"
		exit 1
	fi
	echo "ok $1 ($checks checks, $((SECONDS - started)) s)"
}

clean_up() {
	[[ -z $nspawn ]] || cut_off
	umount -l "$work/disk" "$work"
	rmdir "$work"
}

# The machine, as where somebody pulls the plug.
cut_off() {
	local tries=100
	echo 1 >"$group/cgroup.kill"
	wait "$nspawn" 2>/dev/null || true
	until find "$group" -depth -type d -exec rmdir {} + 2>/dev/null || ((--tries == 0)); do sleep 0.05; done
	leader='' nspawn=''
}

die_now() {
	printf 'systest: %s\n' "$*"
	exit 1
}

start_lab() {
	local line
	coproc HOLD { exec "$project/scripts/lab" hold; }
	read -r _ lab <&"${HOLD[0]}" || die_now "no lab"
	mapfile -t lab_env <"/proc/$lab/root/run/lab/env"
	for line in "${lab_env[@]}"; do
		export "${line?}"
	done
	broadcast_addresses
}

# What configures real machines gives addresses a broadcast address. Where one lacks it, systemd-networkd 252 sets it
# again and again, for ever.
broadcast_addresses() {
	"$project/scripts/lab" enter "$lab" ip -batch - <<-END
		address del $LAB_HOST/24 dev eth0
		address add $LAB_HOST/24 broadcast + dev eth0
		address del $LAB_HOST_THIRD/24 dev eth1
		address add $LAB_HOST_THIRD/24 broadcast + dev eth1
		route add default via $LAB_FAST dev eth0
	END
}

# A command failed that is no check: the scenario cannot go on. What the booted machine has to say about it.
ended() {
	exec >&7 2>&1 # the command may have had others
	echo "FAILED $name (a command ended with status $1; called in lines $2)"
	[[ -z $leader ]] || on_host journalctl -b --no-pager -o short-monotonic -n 25 || true
	exit 1
}

# put FILE [MODE], its text on stdin: on the disk of the host.
put() {
	install -D -m "${2:-644}" /dev/stdin "$disk$1"
}

install_nsnat() {
	DESTDIR=$disk "$project/scripts/install" "$NSNAT" >/dev/null
	declaration | put /etc/nsnat/nsnat.toml
}

declaration() {
	cat <<-END
		[namespace.slow]
		gateway = ["$LAB_SLOW", "$LAB_SLOW6"]
		dns = ["$LAB_NEW", "$LAB_NEW6"]
		[namespace.third]
		gateway = ["$LAB_THIRD", "$LAB_THIRD6"]
		dns = ["$LAB_SECOND", "$LAB_SECOND6"]
	END
}

prepare() { :; }

# The lab's own host, which shows the machine's files.
lab_only() {
	start_lab
	disk=''
	"$project/scripts/lab" enter "$lab" sh -euc 'install -m 755 "$1" /run/lab/bin/probe; install -m 755 "$2" /run/lab/bin/nsnat
		install -D /dev/stdin /etc/nsnat/nsnat.toml' - "$project/tests/systest/probe" "$NSNAT" < <(declaration)
}

boot() {
	start_lab
	rm -f "$disk/etc/resolv.conf"
	put /etc/resolv.conf <<<'nameserver 127.0.0.53'
	put /etc/hosts <<<'127.0.0.1 localhost debian'
	put /etc/hostname <<<'debian'
	put /usr/local/bin/probe 755 <"$project/tests/systest/probe"
	# A scenario starts a program more often than five times in ten seconds, where the machine is fast; and the first process of a
	# container does not hear a shutdown.
	printf '[Manager]\nDefaultStartLimitIntervalSec=0\nDefaultTimeoutStopSec=10s\n' | put /etc/systemd/system.conf.d/scenario.conf
	install_nsnat
	prepare
	start_machine
}

# A network namespace with all that is in it ends with its machine, so there is another lab, of the same addresses.
reboot() {
	[[ $1 != orderly ]] || on_host systemctl poweroff >/dev/null 2>&1 || true
	[[ $1 != orderly ]] || wait "$nspawn" || true
	cut_off
	eval "exec ${HOLD[1]}>&-"
	wait "$HOLD_PID" || true
	start_lab
	"${@:2}"
	start_machine
}

# The folders of engines are no part of the overlay, which cannot be the lower part of another one, but of the disk all the same.
start_machine() {
	local folder folders=()
	for folder in docker containers containerd; do
		mkdir -p "$work/lib/$folder"
		folders+=("--bind=$work/lib/$folder:/var/lib/$folder")
	done
	group=$(mktemp -d /sys/fs/cgroup/nsnat-systest.XXXXXX)
	(
		echo "$BASHPID" >"$group/cgroup.procs"
		# The host's sysctls of the network are its own: those of its network namespace.
		SYSTEMD_NSPAWN_API_VFS_WRITABLE=network exec systemd-nspawn --quiet -D "$disk" --machine=debian \
			--network-namespace-path="/proc/$lab/ns/net" --register=no --keep-unit --resolv-conf=off \
			--link-journal=no --console=pipe --capability=all \
			--system-call-filter='@keyring bpf perf_event_open' "${folders[@]}" -b \
			</dev/null >"$work/console" 2>&1
	) &
	nspawn=$!
	wait_for 60 booted || die_now "no boot: $(tail -n 20 "$work/console")"
}

booted() {
	leader=$(cat "/proc/$nspawn/task/$nspawn/children")
	leader=${leader%% *}
	[[ -n $leader ]] && [[ $(on_host systemctl is-system-running 2>/dev/null) =~ running|degraded ]]
}

# wait_for SECONDS CMD..
wait_for() {
	local end=$((SECONDS + $1))
	shift
	until "$@"; do
		((SECONDS < end)) || return 1
		sleep 0.1
	done
}

on_host() {
	if [[ -n $leader ]]; then
		nsenter -t "$leader" -m -u -i -n -p -C -- env -i "${lab_env[@]}" LC_ALL=C.UTF-8 HOME=/root \
			PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin timeout -k 5 100 "$@"
	else
		"$project/scripts/lab" enter "$lab" timeout -k 5 100 "$@"
	fi
}

host() {
	on_host bash -uc "$1"
}

at() {
	"$project/scripts/lab" enter "$lab" at "$@"
}

# port N: whether the printer gets in there.
port() {
	at printer timeout 1 bash -c ": >/dev/tcp/$LAB_HOST/$1" 2>/dev/null && echo open || echo closed
}

# ---- checks

# check WHAT EXPECTED CMD..: at once, or after some seconds: programs go on after the command that starts them returns.
# Three times at least: a question that was lost meanwhile takes a resolver all these seconds.
check() {
	local what=$1 expected=$2 said tries=3 end=$((SECONDS + 5))
	shift 2
	checks+=1
	while :; do
		said=$("$@" 2>&1) || said+=" (exit status $?)"
		[[ $said != "$expected" ]] || return 0
		((--tries > 0 || SECONDS < end)) || break
		sleep 0.2
	done
	fail "$what" "$(diff <(printf '%s\n' "$expected") <(printf '%s\n' "$said") | sed -n 's/^< /expected: /p; s/^> /     was: /p')"
}

fail() {
	failures+=1
	printf '%s: %s\n' "${BASH_SOURCE[2]##*/}:${BASH_LINENO[1]}" "$1"
	[[ -z ${2-} ]] || sed 's/^/    /' <<<"$2"
}

# What a program is for each job, the host, and names; see tests/systest/probe.
readonly well='host 4 fast
host 6 fast
slow 4 slow
slow 6 slow
slow dns 192.0.2.53
slow name 192.0.2.53
third 4 third
third 6 third
third dns 192.0.2.54
third name 192.0.2.54
nsnat slow up third up, nothing to do'

all_well() {
	local -i before=failures
	check "$1: jobs" "$well" on_host probe
	checks+=$(($(wc -l <<<"$well") - 1))
	((failures == before)) || evidence
}

# healthy WHEN: doctor finds nothing. (A DNS server that was silent a while ago is passed over for a minute, which it tells.)
healthy() {
	check "$1: doctor" 'nothing is wrong' host \
		'for set in asked recent down1 down2; do nft flush set inet nsnat dns_$set; done; nsnat doctor'
}

# unexcepted: another program takes nsnat's exceptions out of the firewall. doctor names that, and its cure helps.
unexcepted() {
	host '{
		nft -a list ruleset 2>/dev/null | awk "/^table/ { table = \$2 \" \" \$3 } /^\tchain/ { chain = \$2 }
			/comment \"nsnat\"/ && table != \"inet nsnat\" { print \"nft delete rule\", table, chain, \"handle\", \$NF }"
		for iptables in iptables ip6tables; do
			$iptables-save -t filter 2>/dev/null | sed -n "s/^-A \(.*-m devgroup .*\)/$iptables -D \1/p"
		done; } >/tmp/exceptions; sh -e /tmp/exceptions'
	check "$1: its exceptions are gone" yes host '[ -s /tmp/exceptions ] && echo yes'
	check "$1: without its exceptions the job is dead" 'slow 4 nothing' host 'probe slow | sed -n "s/ (.*//; 1p"'
	helped firewall-drops
	all_well "$1: cured"
}

# helped CODE: doctor says this, and what it prints as its cure, pasted, ends that.
helped() {
	told "$1"
	host 'bash -eu -c "$(nsnat doctor | sed -n "s/^ *cure: //p")" >/dev/null'
	healthy "$1: cured"
}

# told CODE: doctor says this, among other things.
told() {
	check "doctor says $1" "[$1]" host "nsnat doctor | grep -o '\[$1\]' | sort -u"
}

# What `status` says when something is wrong.
evidence() {
	{ host 'nsnat status; nsnat plan | head -n 12' 2>&1 || true; } | sed 's/^/    | /'
}

# ---- no packet of a job by the fast router

watch_jobs() {
	watched=$(lab_capture fast "port 53 or port 443 or port 8443 or port 853 or net 10.213.0.0/16 or net fd6e:736e:6174::/48")
	host 'rm -f /run/senders; for name in slow third; do
		nsnat exec $name -- probe send >/dev/null 2>&1 & echo $! >>/run/senders; disown; done'
}

lab_capture() {
	"$project/scripts/lab" enter "$lab" capture "$@"
}

# The host itself sends to port 853, which must have been seen.
unwatch_jobs() {
	local seen leaks resets host_resets='IP6? (192\.168\.1\.10|10\.20\.0\.10|2001:db8:[12]::10|203\.0\.113\.1|2001:db8:f::1)\.[0-9]+ > .*Flags \[R\], seq [0-9]+, win 0, length 0'
	host "kill \$(cat /run/senders); for i in 1 2 3; do echo control >/dev/udp/$LAB_SERVICE/853; done"
	seen=$("$project/scripts/lab" enter "$lab" captured "$watched" 2>&1) || fail "the capture" "$seen"
	checks+=2
	grep -q '\.853: ' <<<"$seen" || fail "the capture on the fast router has not seen the host's own packet"
	leaks=$(grep -E '\.8?443[: ]|10\.213\.|fd6e:736e|job\.' <<<"$seen" || true)
	# Not of a job but of the host, and not to be prevented while a ruleset is flushed: it resets what comes late for a
	# flow that conntrack has forgotten (docs/neighbours.md). It is told, in each run.
	resets=$(grep -E "$host_resets" <<<"$leaks" || true)
	leaks=$(grep -vE "$host_resets" <<<"$leaks" || true)
	[[ -z $leaks ]] || fail "packets of a job by the fast router ($(wc -l <<<"$leaks"))" "$(head -n 5 <<<"$leaks")"
	[[ -z $resets ]] || echo "note: $(wc -l <<<"$resets") resets by the host itself: $(head -n 1 <<<"$resets")"
}

# ---- nsnat.service alone, while the network changes

# The job that is looked at: by which router it leaves, in which families; which routers are never to see it; and what of the
# lines of `ip monitor` are changes of its uplink.
job=slow by=slow families='4 6' never='fast third' uplink=' eth[01]'
declare -A captures=()

# In the job, all the time: a datagram every few milliseconds.
send() {
	host "nsnat exec $job -- bash -c 'while sleep 0.005; do echo >/dev/udp/\$LAB_SERVICE/8443; done' >/dev/null 2>&1 &
		echo \$! >/run/sender; disown"
}

stop_sending() {
	host 'kill $(cat /run/sender)'
}

capture_all() {
	local router
	for router in fast slow third; do
		captures[$router]=$(lab_capture $router "port 8443 or net 10.213.0.0/16")
	done
}

captured() {
	"$project/scripts/lab" enter "$lab" captured "$1"
}

# after WHAT SCRIPT [CMD..]: the script is what happens, and before it the command out here. The time from the last event of the
# network to the first packet of the job is told.
after() {
	local router last first expected
	local -A seen=()
	capture_all
	host 'ip -o -tshort monitor link address route >/run/events 2>&1 & echo $! >/run/monitor; disown; sleep 0.2'
	(($# == 2)) || "${@:3}"
	host "$2" >"$work/said" 2>&1 || fail "$1" "$(tail -n 3 "$work/said")"
	expected=$(for family in $families; do echo "$job $family $by"; done)
	check "$1" "$expected" host "probe $job | grep '^$job [$families] '"
	host 'kill $(cat /run/monitor)'
	# What nsnat does itself is no event of the network.
	last=$(host "grep '$uplink' /run/events | grep -v 'table 213\|nsn-' | tail -n 1 | sed 's/^\[[^T]*T\([^]]*\)\].*/\1/'")
	for router in "${!captures[@]}"; do
		seen[$router]=$(captured "${captures[$router]}")
	done
	checks+=2
	first=$(awk -v last="$last" '/\.8443: UDP/ && $1 > last { print $1; exit }' <<<"${seen[$by]}")
	[[ -n $last && -n $first ]] || fail "$1: no event ('$last') or no packet ('$first') was seen"
	echo "$1: the first packet came $(milliseconds "$last" "$first") ms after the last event"
	for router in $never; do
		nothing_by "$router" "$1" "$(grep '\.8443: UDP\|10\.213\.' <<<"${seen[$router]}" || true)"
	done
}

nothing_by() {
	[[ -z $3 ]] || fail "$2: packets of the job by the $1 router" "$(head -n 5 <<<"$3")"
}

# milliseconds FROM TO, each HH:MM:SS.FRACTION
milliseconds() {
	awk -v from="$1" -v to="$2" 'function ms(t, p) { split(t, p, ":"); return ((p[1] * 60 + p[2]) * 60 + p[3]) * 1000 }
		BEGIN { printf "%.1f\n", ms(to) - ms(from) }'
}

# ---- others' state

# state FILE: what is configured, without what counts and without our table.
state() {
	on_host probe state >"$work/$1"
}

# same WHEN A B
same() {
	local difference
	checks+=1
	difference=$(diff -U0 "$work/$2" "$work/$3") || fail "$1: the host is not as it was" "$(sed -n '3,30p' <<<"$difference")"
}

# ten SCRIPT: ten times, each time with a job by the right router soon after.
ten() {
	local i
	for i in 1 2 3 4 5 6 7 8 9 10; do
		host "$1" >"$work/said" 2>&1 || fail "$1 ($i)" "$(tail -n 3 "$work/said")"
		check "$1 ($i)" $'slow 4 slow\nslow 6 slow' on_host probe slow
	done
}

# cycle UNIT [RELOAD]: the whole of what is asked of a program with a unit: started after nsnat, restarted, reloaded
# ten times, there before nsnat; `own` is the scenario's check of the program's own things.
cycle() {
	local unit=$1 reload=${2-}
	host 'nsnat up >/dev/null'
	all_well "without $unit"
	watch_jobs
	host "systemctl start $unit"
	started
	all_well "$unit started after nsnat"
	own "started after nsnat"
	host "systemctl restart $unit"
	all_well "$unit restarted"
	own "restarted"
	[[ -z $reload ]] || ten "$reload"
	all_well "$unit reloaded"
	own "reloaded"
	unwatch_jobs
	check "nsnat down" '' host 'nsnat -q down'
	own "without nsnat"
	state without
	host 'nsnat up >/dev/null'
	watch_jobs
	all_well "$unit there before nsnat"
	healthy "$unit there before nsnat"
	[[ -z ${drops-} ]] || unexcepted "$unit"
	own "there before nsnat"
	unwatch_jobs
	check "nsnat down" '' host 'nsnat -q down'
	state after
	same "after nsnat down" without after
}

# stopped UNIT..: while nsnat is up; jobs go on by their ways.
stopped() {
	host 'nsnat up >/dev/null'
	watch_jobs
	all_well "$* before its stop"
	host "systemctl stop $*"
	all_well "$* stopped"
	unwatch_jobs
	check "nsnat down" '' host 'nsnat -q down'
}

# power_off FILE: and what its journal has to say since then.
power_off() {
	host 'journalctl --sync; date "+%F %T.%6N" >/var/log/off; systemctl poweroff' >/dev/null 2>&1 || true
	wait "$nspawn" || true
	leader='' nspawn=''
	journalctl -D "$disk/var/log/journal" --no-pager -o cat --since "$(<"$disk/var/log/off")" >"$work/$1"
}

# Of the scenario: a check of the program's own things, and what is to be done after its first start.
own() { :; }
started() { :; }
