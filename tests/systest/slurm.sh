# shellcheck shell=bash disable=SC2034,SC2154,SC2016,SC2015 # variables of scripts/systest; scripts for the host
# Slurm on one node, with munged, slurmctld and slurmd as its packages start them: what docs/engines/slurm.md has it do, for a user whom
# the namespace allows and for others, with many jobs at once, and while Slurm itself is killed.

# shellcheck source=../tests/systest/lib/containers.sh
source "$scenarios/lib/containers.sh"

# Without control groups, which not every machine lets it have. 200 jobs at once, whatever processors there are.
prepare() {
	sed -i 's/^\[namespace.slow\]/&\nallow = ["job"]\nhost = ["6817", "6818"]\npublish = "8080:8000"/' "$disk/etc/nsnat/nsnat.toml"
	ln -s /bin/busybox "$disk/usr/local/bin/nc"
	put /srv/index.html <<<published
	ln -s /usr/local/bin/nsnat "$disk/usr/bin/nsnat"
	ln -s /usr/local/share/nsnat "$disk/usr/share/nsnat"
	chroot "$disk" useradd -m job
	chroot "$disk" useradd -m other
	chroot "$disk" install -d -o slurm /var/spool/slurmctld
	# (`sbatch --wait` looks every other second.)
	put /usr/local/bin/batch 755 <<-'END'
		#!/bin/sh
		id=$(sbatch --parsable -o batch.out "$@")
		while squeue -h -j "$id" | grep -q .; do sleep 0.05; done
		cat batch.out
		scontrol show job -o "$id" | sed -n 's/.* \(ExitCode=[1-9][0-9]*\):.*/\1/p'
	END
	# (A job's slurmstepd does not hear a shutdown.)
	printf '[Manager]\nDefaultTimeoutStopSec=2s\n' | put /etc/systemd/system.conf.d/stop.conf
	put /etc/slurm/cgroup.conf <<<'CgroupPlugin=disabled'
	put /etc/slurm/slurm.conf <<-END
		ClusterName=lab
		SlurmctldHost=debian($LAB_HOST)
		SlurmUser=slurm
		AuthType=auth/munge
		ProctrackType=proctrack/linuxproc
		TaskPlugin=task/none
		SelectType=select/cons_tres
		SelectTypeParameters=CR_CPU
		SchedulerParameters=sched_min_interval=10000,batch_sched_delay=0
		SlurmdParameters=config_overrides
		StateSaveLocation=/var/spool/slurmctld
		SlurmdSpoolDir=/var/spool/slurmd
		SlurmdPidFile=/run/slurmd.pid
		ReturnToService=2
		KillWait=1
		NodeName=debian NodeAddr=$LAB_HOST CPUs=200
		PartitionName=jobs Nodes=debian Default=YES
	END
}

readonly busy=nsnat

# A container's words for a job: it starts again after a boot where Slurm is to requeue it.
start() { echo "runuser -u job -- sbatch -Q --no-requeue -D /tmp -J c$1 --egress=slow --wrap 'sleep 1000'"; }
finish() { echo "scancel -n c$1"; }
inside() { echo "nsenter -t \$(scontrol listpids \$(squeue -h -o %A -n c$1) | awk 'NR == 2 { print \$1 }') -n -m sh -c '$2'"; }
readonly lasting="runuser -u job -- sbatch -Q --requeue -D /tmp -J clasting --egress=slow --wrap '$sends'"
readonly clean='scancel -u job; until ! squeue -h | grep -q .; do sleep 0.1; done'
readonly ends="systemctl disable -q --now nsnat"

# as USER SCRIPT, in the user's home
as() {
	on_host runuser -u "$1" -- timeout 20 bash -uc "cd; $2"
}

readonly probes="for how in 4 6 dns name; do probe one \$how; done"
readonly all_inside=$'slow\nslow\n192.0.2.53\n192.0.2.53'

# refused WHO OPTION STATUS MESSAGE: once, however many tasks; and the node goes on.
refused() {
	check "$1 with $2 is refused" "$4 $3" as "$1" \
		"said=\$(srun -Q -n 3 $2 $ask 2>&1); status=\$?; echo \"\$(grep -o 'nsnat: .*' <<<\"\$said\") \$status\""
	check "$1 with $2: nothing of it ran" '' as "$1" "srun -Q -n 3 $2 touch /tmp/ran 2>/dev/null; ls /tmp/ran 2>/dev/null || true"
	check "$1 with $2: the node is there" idle host 'sinfo -h -o %T'
}

# plugstack WORD [ARGUMENT]: the line of the plugin.
plugstack() {
	host "echo '$1 /usr/local/lib/nsnat-slurm.so ${2-}' >/etc/slurm/plugstack.conf.d/nsnat.conf"
}

steps() {
	check "srun, in both families, and names" "$all_inside" as job "srun -Q --egress=slow bash -c '$probes'"
	check "sbatch, and srun in it" "$all_inside"$'\n'"$all_inside" as job \
		"printf '#!/bin/bash\n#SBATCH --egress=slow\n%s\nsrun --overlap bash -c \"%s\"\n' '$probes' '${probes/\$/\\\$}' >b.sh; batch b.sh"
	check "sbatch whose steps only ask" "$LAB_WAN_FAST $LAB_WAN_SLOW" as job \
		"echo \$(batch --wrap '$ask; srun -Q --egress=slow $ask')"
	check "srun in a step" "$LAB_WAN_SLOW" as job "srun -Q --egress=slow srun -Q --overlap $ask"
	check "salloc" "$LAB_WAN_SLOW" as job "salloc -Q --egress=slow srun -Q $ask"
	check "a step of another egress than its job's" "$LAB_WAN_FAST" as job "salloc -Q --egress=slow srun -Q --egress=none $ask"
	check "without the option" "$LAB_WAN_FAST" as other "srun -Q $ask"
	check "two tasks of a step reach each other" "$(printf 'hello\n%.0s' 1 2)" as job 'srun -Q -n 2 --egress=slow sh -c "
		[ \$SLURM_PROCID = 0 ] && exec socat TCP4-LISTEN:7000 SYSTEM:\"tee /dev/stderr\"
		echo hello | socat - TCP4:127.0.0.1:7000,retry=50,interval=0.1" 2>&1'
	check "PMIx" '0 1' as job 'srun -Q --mpi=pmix -n 2 --egress=slow sh -c "echo \$PMIX_RANK" | sort | xargs'
	check "the job knows where it is" 'slow slow' as job 'srun -Q --egress=slow sh -c "echo \$NSNAT_NAMESPACE \$(nsnat which)"'
	check "and where it is not" 'none' as job 'NSNAT_NAMESPACE=slow srun -Q sh -c "echo \${NSNAT_NAMESPACE-none}"'
	check "what it sees is what a command of exec sees" same host \
		'view="cat /etc/resolv.conf; ls /sys/class/net; stat -Lc %i /proc/self/ns/net"
		[[ $(srun -Q --egress=slow sh -c "$view") == "$(nsnat exec slow -- sh -c "$view")" ]] && echo same'
	check "otherwise it is as without" same as job \
		'view="pwd; id; umask; ulimit -a; cat /proc/self/cgroup; grep -e ^Cap -e ^NoNew -e ^Sig /proc/self/status; ls /proc/self/fd"
		[[ $(srun -Q --egress=slow bash -c "$view") == "$(srun -Q bash -c "$view")" ]] && echo same'
}

refusals() {
	refused job --egress=nix 125 'nsnat: namespace nix: it is not up'
	refused job --egress=third 125 'nsnat: namespace third: only root may enter it'
	refused other --egress=slow 125 "nsnat: namespace slow: user $(host 'id -u other') is not among the users that it allows"
	refused job --egress=../slow 255 'nsnat: egress: this is no name of a namespace'
	refused job '--egress=--pid' 255 'nsnat: egress: this is no name of a namespace'
	check "by the variable that Slurm passes it on by" 125 as job \
		"export _SLURM_SPANK_OPTION_nsnat_egress=../slow; srun -Q $ask >/dev/null 2>&1; echo \$?"
	check "a batch job" 'nsnat: namespace nix: it is not up ExitCode=125' as job \
		"echo \$(batch --egress=nix --wrap '$ask' | grep -o 'nsnat: .*\|Exit.*')"
	check "a batch job: the node is there" idle host 'sinfo -h -o %T'
}

settings() {
	plugstack optional
	refused job --egress=nix 125 'nsnat: namespace nix: it is not up'
	plugstack required default=slow
	check "a default" "$LAB_WAN_SLOW $LAB_WAN_FAST" as job "echo \$(srun -Q $ask) \$(srun -Q --egress=none $ask)"
	plugstack optional defautl=slow
	check "a mistake in plugstack.conf" '125' as job "srun -Q $ask >/dev/null 2>&1; echo \$?"
	plugstack required
}

# Each of 50 jobs asks once it runs, and once more when it is told to. Of every six one is cancelled, and one loses its task.
many_jobs() {
	local job="$ask >many/\\\$SLURM_JOB_NAME; until [ -e many/again ]; do sleep 0.1; done; $ask >many/\\\$SLURM_JOB_NAME.again"
	as job "rm -rf many; mkdir many; for n in {1..50}; do srun -Q -J j\$n --egress=slow sh -c \"$job\" >/dev/null 2>&1 & done; disown -a"
	wait_for 40 host '(($(cat /home/job/many/* 2>/dev/null | wc -l) == 50))' || fail "50 jobs at once" "$(host squeue)"
	check "50 jobs at once" "50 $LAB_WAN_SLOW" as job 'sort many/* | uniq -c | xargs'
	as job 'for n in {1..50..6}; do echo j$n; done | xargs -P 4 -n 1 scancel -n
		for id in $(squeue -h -o %i -n "$(echo j{2..50..6} | tr " " ,)"); do
			scontrol listpids "$id" | awk "NR > 1 { print \$1 }"; done | xargs -r kill -9 2>/dev/null; touch many/again'
	wait_for 20 host '(($(cat /home/job/many/*.again 2>/dev/null | wc -l) == 32))' || fail "32 of them go on" "$(host squeue)"
	check "32 of them go on" "32 $LAB_WAN_SLOW" as job 'cat many/*.again | sort | uniq -c | xargs'
	check "all have ended" '' host 'squeue -h'
	check "and the node is there" idle host 'sinfo -h -o %T'
}

# A job asks and asks, while the daemons are killed and start again.
killed_daemons() {
	as job "sbatch -Q -J long --egress=slow -o long.out --wrap 'while sleep 0.2; do $ask; done'"
	check "a job runs" "$LAB_WAN_SLOW" as job 'tail -n 1 long.out'
	check "a step from outside of the job asks for itself" "$LAB_WAN_FAST $LAB_WAN_SLOW" as job \
		"in=\"--overlap --jobid=\$(squeue -h -o %A -n long)\"; echo \$(srun -Q \$in $ask) \$(srun -Q \$in --egress=slow $ask)"
	check "nsnat shows it" slurm_script host "nsnat ps slow -o json | grep -o '\"comm\": *\"slurm_script\"' | cut -d: -f2 | tr -d ' \"'"
	# slurmctld knows after its end what it has written, which it does every few seconds.
	host 'scontrol update jobname=long comment=is-known; until grep -q is-known /var/spool/slurmctld/job_state; do sleep 0.1; done
		systemctl kill -s KILL --kill-whom=main slurmd slurmctld
		while systemctl -q is-active slurmd || systemctl -q is-active slurmctld; do sleep 0.1; done
		systemctl start slurmctld slurmd; : >/home/job/long.out'
	wait_for 20 host 'sinfo -h -o %T | grep -qx mixed' || fail "the node is not back" "$(host 'sinfo; squeue')"
	check "the job goes on" "$LAB_WAN_SLOW R" as job 'echo $(sort -u long.out) $(squeue -h -o %t)'
	check "another one starts" "$LAB_WAN_SLOW" as job "srun -Q --egress=slow $ask"
	as job 'scancel -n long'
	check "all have ended" '' host 'squeue -h'
}

# A service that a job is: reached by the way of the namespace, and by no other.
reached() {
	as job 'srun -Q -J web --egress=slow busybox httpd -f -p 8000 -h /srv >/dev/null 2>&1 & disown'
	published 8080
	as job 'scancel -n web'
	check "the job has ended" '' host 'squeue -h'
}

# The node. Its services start with it, and Slurm starts the job that it requeues; after two minutes, unless somebody says "now". (By the
# uptime, which is the machine's here, slurmctld would see that the node has booted. It is told.)
rebooted_with_jobs() {
	local again='until sinfo -h -o %T 2>/dev/null | grep -q mixed; do sleep 0.1; done
		scontrol update nodename=debian state=down reason=booted; scontrol update nodename=debian state=resume
		until pgrep slurm_script >/dev/null; do scontrol update jobname=clasting starttime=now 2>/dev/null; sleep 0.1; done'
	host 'sed -i "/namespace.third/,\$d" /etc/nsnat/nsnat.toml; systemctl enable -q nsnat munge slurmctld slurmd; systemctl start nsnat'
	rebooted
}

# The way is down: as `nsnat exec`.
closed() {
	host 'ip link set eth1 down; nsnat up >/dev/null; sed -i "/namespace.third/a allow = [\"job\"]" /etc/nsnat/nsnat.toml; nsnat up >/dev/null'
	check "a closed namespace" 'nsnat: third: its uplink eth1 cannot be used at the moment: nothing gets out' as job \
		"srun -Q --egress=third $ask 2>&1 | grep -o 'nsnat: .*'"
	host 'ip link set eth1 up; ip address add "$LAB_HOST_THIRD6/64" dev eth1 nodad; nsnat up >/dev/null'
	check "and open again" "$LAB_WAN_THIRD" as job "srun -Q --egress=third $ask"
}

boot
readonly ask="socat -u TCP:$LAB_SERVICE:80 -"
host 'systemctl start munge slurmctld slurmd'
wait_for 20 host 'sinfo -h -o %T | grep -qx idle' || fail "no node" "$(host 'sinfo; journalctl -n 20')"
look before
host 'nsnat up >/dev/null'
documented engines/slurm.md slurm
host 'sed -i /^Prolog=/d /etc/slurm/slurm.conf; scontrol reconfigure'
watch_jobs
steps
refusals
settings
reached
many_jobs
killed_daemons
closed
unwatch_jobs
check "nothing of it runs" '' host "pgrep -a -x 'cat|nsnat-exec' || true"
check "nsnat down" '' host 'nsnat -q down'
look after
same "after nsnat down" before after
rebooted_with_jobs
