//! What a program can observe inside is what it observes without nsnat: each row of `docs/exec.md` runs the same
//! probe twice, with and without nsnat before it, and compares.

use crate::world;

/// Name; what is set up before; the probe. `$RUN` stands where nsnat stands or does not.
type Row = (&'static str, &'static str, &'static str);

/// Equal with and without nsnat, with `--pid` too.
const ALWAYS: &[Row] = &[
    ("working directory", "cd /usr/share", "$RUN sh -c 'pwd -P; readlink /proc/$$/cwd'"),
    (
        "working directory in /sys",
        "cd /sys/kernel",
        "$RUN sh -c 'pwd -P; test . -ef /sys/kernel && echo same'",
    ),
    ("working directory that is gone", "mkdir d; cd d; rmdir ../d", "$RUN stat -c %h ."),
    ("open descriptors", "exec 7</etc/passwd 9>/dev/null", "$RUN sh -c \"$FDS\""),
    ("descriptor 0 closed", "exec 0<&-", "$RUN sh -c \"$FDS\""),
    ("descriptor 1 closed", "exec 7>&1", "$RUN sh -c \"($FDS) >&7\" 1>&-"),
    ("descriptor 2 closed", "", "$RUN sh -c \"$FDS\" 2>&-"),
    ("descriptors 0 to 2 closed", "exec 7>&1", "$RUN sh -c \"($FDS) >&7\" 0<&- 1>&- 2>&-"),
    ("dispositions", "", "$RUN grep '^Sig[BIC]' /proc/self/status"),
    ("SIGPIPE ignored", "trap '' PIPE", "$RUN grep '^Sig[BIC]' /proc/self/status"),
    ("more ignored", "trap '' HUP INT QUIT TERM USR1 SEGV", "$RUN grep '^Sig[BIC]' /proc/self/status"),
    (
        "SIGCHLD ignored",
        "",
        "perl -e '$SIG{CHLD} = \"IGNORE\"; exec @ARGV' $RUN grep '^Sig[BIC]' /proc/self/status",
    ),
    ("real-time signals ignored", "", "env --ignore-signal=40,64 $RUN grep '^Sig[BIC]' /proc/self/status"),
    (
        "mask",
        "",
        "perl -MPOSIX -e 'sigprocmask(SIG_BLOCK, POSIX::SigSet->new(2, 10, 15, 17)); exec @ARGV' \
        $RUN grep '^Sig[BIC]' /proc/self/status",
    ),
    (
        "pending signal",
        "",
        "perl -MPOSIX -e 'sigprocmask(SIG_BLOCK, POSIX::SigSet->new(10)); exec @ARGV' \
        $RUN sh -c 'kill -USR1 $$; exec grep ^ShdPnd /proc/self/status'",
    ),
    ("broken pipe", "", "$RUN yes | head -1; echo ${PIPESTATUS[@]}"),
    ("environment", "export A=1 'B=two words' C=", "$RUN env | grep -v '^NSNAT_NAMESPACE=\\|^_='"),
    ("empty environment", "", "env -i ONLY=this $RUN /usr/bin/env | grep -v '^NSNAT_NAMESPACE='"),
    ("umask", "umask 027", "$RUN sh -c 'umask; grep ^Umask /proc/self/status'"),
    ("limits", "ulimit -Sn 77; ulimit -c 0; ulimit -Hu 999", "$RUN cat /proc/self/limits"),
    ("groups", "", "setpriv --groups 0,4,20,70000 $RUN id"),
    (
        "capabilities",
        "",
        "setpriv --bounding-set -sys_time --inh-caps -all $RUN grep '^Cap\\|^NoNew\\|^Seccomp' /proc/self/status",
    ),
    ("out-of-memory score", "echo 321 > /proc/self/oom_score_adj", "$RUN cat /proc/self/oom_score_adj"),
    ("nice", "", "nice -n 7 $RUN nice"),
    ("scheduling", "", "taskset 1 $RUN grep ^Cpus_allowed: /proc/self/status"),
    (
        "other attributes",
        "echo 0x3 > /proc/self/coredump_filter",
        "$RUN cat /proc/self/coredump_filter /proc/self/personality",
    ),
    ("control group", "", "$RUN cat /proc/self/cgroup; $RUN ls /sys/fs/cgroup"),
    ("arguments", "", "$RUN printf '<%s>' -- a '' 'b c' $'\\xff\\n' --pid -u"),
    ("name of itself", "", "$RUN sh -c 'tr \"\\0\" \" \" < /proc/$$/cmdline'"),
    ("standard input", "", "echo text | $RUN cat"),
    ("exit status", "", "for s in 0 1 3 125 255; do $RUN sh -c \"exit $s\"; echo $?; done"),
    (
        "end by a signal",
        "ulimit -c 0",
        "for s in HUP INT KILL TERM SEGV PIPE 34 40 64; do perl -e \
        'system(@ARGV); print $?, \"\\n\"' $RUN sh -c \"kill -$s \\$\\$\"; done",
    ),
    (
        "an alarm that was set before",
        "",
        "perl -e 'system(@ARGV); print $?, \"\\n\"' perl -e 'alarm 1; exec @ARGV' $RUN sleep 9",
    ),
    ("terminal", "", "script -qec \"$RUN sh -c 'tty; stty -a'\" /dev/null"),
    (
        "Ctrl-C",
        "",
        "rm -f ready end; (await '[ -e ready ]'; printf '\\003'; await '[ -e end ]') | script -qec \"$RUN bash -c \
        'n=0; trap \\\"let n+=1\\\" INT; touch ready; until ((n)); do sleep 0.05; done; sleep 0.5; echo got \\$n; touch end'\" \
        /dev/null | tr -d '^C\\r'",
    ),
    (
        "stop, continue, end",
        "set -m",
        "$RUN sleep 100 & await \"pgrep -fx 'sleep 100'\"; state() { ps -o stat= -p $!; }; for s in STOP TSTP; do \
        kill -$s %1; await 'state | grep T' && echo stopped; kill -CONT %1; await 'state | grep S' && echo runs; \
        done; kill -TERM %1; wait %1; echo $?",
    ),
    ("Ctrl-Z and fg", "", CTRL_Z),
];

/// Process numbers: equal because nothing stays between the caller and the command. Not with `--pid`.
const REPLACED: &[Row] = &[
    (
        "process, group, session, parent",
        "",
        r#"p=$BASHPID
        (q=$BASHPID; exec $RUN sh -c "echo same \$((\$\$ - $q))")
        $RUN sh -c "echo parent \$((\$(ps -o ppid= -p \$\$) - $p)) \$(ps -o pgid=,sid= -p \$\$)"; true"#,
    ),
    (
        "a command that waits for its child",
        "",
        "(sleep 100 & exec $RUN bash -c 'ps --ppid $$ -o comm= | grep -c sleep')",
    ),
    (
        "process group of a job",
        "set -m",
        "$RUN sh -c 'test $(ps -o pgid= -p $$) -eq $$ && echo leader' & wait",
    ),
    ("mounts", "", "$RUN sh -c \"sed 's/.* - //' /proc/self/mountinfo\" | grep -v 'sysfs x\\|nsnat' | sort"),
];

/// A person at an interactive shell: starts a job, types, stops it, looks, takes it back, types, ends it; each when
/// what came before is seen.
const CTRL_Z: &str = r#": >seen; see() { await "grep -aq '$1' seen"; printf "$2"; }
(printf "$RUN sed -u s/^/got:/\n"; await 'pgrep -x sed'; printf 'abc\n'; see ^got:abc '\032'
see Stopped 'echo stopped=$(jobs -s | wc -l)\n'; see stopped=[0-9] 'fg\n'; await "ps -o stat= -C sed | grep '^S.*+'"; printf 'def\n'
see ^got:def '\004'; await '! pgrep -x sed'; printf 'echo status=$?\n'; see status=[0-9] 'exit\n') |
script -qec 'bash --norc --noprofile -i' /dev/null | tee seen | grep -ao '^got:[a-z]*\|stopped=[0-9]\|status=[0-9][0-9]*'"#;

const FDS: &str = r"FDS='for f in /proc/$$/fd/*; do echo ${f##*/} $(readlink $f | sed s/[0-9].*//); done'";

fn differences(rows: &[Row], options: &str) -> Vec<String> {
    let difference = |(name, before, probe): &Row| {
        let script = format!(
            "{FDS}\nonce() {{ ( RUN=$1; {before}\n{probe} ) > /run/out 2>&1; echo \"status $?\" >> /run/out; mv /run/out $2; }}
             once '' /run/without; once \"$N exec {options} x\" /run/within
             cat /run/without; test $(wc -c < /run/without) -gt 10 || die 'the probe said nothing'
             ! grep 'in vain' /run/without || die 'the probe does not work'
             diff /run/without /run/within"
        );
        let output = world::run(&script);
        (!output.status.success()).then(|| format!("== {name}\n{}", world::describe(&output)))
    };
    // A few at a time: some probes wait for what a person would wait for.
    let batches = rows.chunks(6).map(|batch| {
        std::thread::scope(|scope| {
            let runs: Vec<_> = batch.iter().map(|row| scope.spawn(move || difference(row))).collect();
            runs.into_iter().filter_map(|run| run.join().unwrap()).collect::<Vec<_>>()
        })
    });
    batches.flatten().collect()
}

#[test]
fn as_if_nsnat_were_not_there() {
    let rows = [ALWAYS, REPLACED].concat();
    let found = differences(&rows, "");
    assert!(found.is_empty(), "{}", found.join("\n"));
}

#[test]
fn with_own_process_numbers_too() {
    let found = differences(ALWAYS, "--pid");
    assert!(found.is_empty(), "{}", found.join("\n"));
}
