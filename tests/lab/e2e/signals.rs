//! Signals to nsnat itself: while it sets up, while it waits for another one, while it stays behind a command.

use super::kill::{SLOW_NFT, STRICT};
use crate::lab::Lab;

/// Ignored or not is the command's affair, and none of what nsnat does with signals meanwhile is seen.
#[test]
fn what_the_caller_ignores_stays_ignored() {
    let lab = Lab::new();
    let before = lab.snapshot();
    // 32 and 33 are left out: glibc sets what it needs of them when it starts a thread.
    for signals in ["HUP", "INT,TERM", "CHLD", "PIPE,URG,CHLD,HUP", "40"] {
        lab.ok(&format!(
            "exec 2>&1; probe='env --ignore-signal={signals}'; see='grep ^Sig[BIC] /proc/self/status'
            $probe $see >/run/lab/outside; $probe nsnat exec --gateway $LAB_SLOW -- $see >/run/lab/inside
            own() {{ while read -r key set; do printf '%s %x\n' $key $((16#$set & ~0x180000000)); done; }}
            diff <(own </run/lab/outside) <(own </run/lab/inside)"
        ));
    }
    lab.says(
        "nohup nsnat exec --gateway $LAB_SLOW -- sh -c 'kill -HUP $PPID; sleep 0.2; echo survived' 2>/dev/null",
        "survived",
    );
    lab.same(&before, "after signals were ignored");
}

/// nft is a child, too.
#[test]
fn with_sigchld_ignored_everything_works() {
    let lab = Lab::new();
    let before = lab.snapshot();
    let nsnat = "env --ignore-signal=CHLD nsnat";
    lab.says(&format!("{nsnat} add slow --gateway $LAB_SLOW"), "slow: up, by eth0 via 192.168.1.254");
    lab.ok(&format!("{nsnat} exec --gateway $LAB_SLOW -- sh -c 'exit 5' && exit 1 || test $? = 5"));
    lab.says(&format!("{nsnat} remove slow"), "slow: down");
    lab.same(&before, "after everything with SIGCHLD ignored");
}

/// The signal comes with the Nth file that is put in its place: the intent, the state, what `exec` reads.
#[test]
fn who_interrupts_the_setting_up_means_the_command_too() {
    let lab = Lab::new();
    let before = lab.snapshot();
    let script = |first: &str, nsnat: &str| {
        format!(
            "for s in INT:130 TERM:143 HUP:129; do for n in 1 2 3; do
                {first}; status=0; strace -f -o /dev/null -e trace=rename,renameat,renameat2 \
                    -e inject=rename,renameat,renameat2:signal=SIG${{s%:*}}:when=$n {nsnat} echo ran || status=$?
                [ $status = ${{s#*:}} ] || echo \"$s at $n: status $status\"
            done; done"
        )
    };
    lab.says(&script(":", "nsnat exec --gateway $LAB_SLOW --"), "");
    lab.same(&before, "after interrupted ephemeral namespaces");
    lab.declare("[namespace.slow]\ngateway = \"$LAB_SLOW\"\n");
    lab.says(&script("nsnat -q down", "nsnat exec slow"), "");
    lab.says("nsnat exec slow echo ran", "ran");
}

/// Holds the lock, and knows when somebody has waited for it for a while.
const LOCKED: &str = "set -m
    exec 8>/run/nsnat/lock; flock 8
    waits() { await 'grep waiting /run/lab/err'; }
    ends() { local status=0; wait $1 || status=$?; echo $status; }
";

#[test]
fn waiting_for_another_nsnat_can_be_interrupted() {
    let lab = Lab::new();
    lab.declare("[namespace.slow]\ngateway = \"$LAB_SLOW\"\n");
    lab.ok("nsnat up; ip netns del slow");
    for (command, [int, term]) in [
        ("up", ["1", "1"]),
        ("exec --gateway $LAB_SLOW -- echo ran", ["130", "143"]),
        ("exec slow echo ran", ["130", "143"]),
    ] {
        for (signal, status) in [("INT", int), ("TERM", term)] {
            let script = format!(
                "{LOCKED} rm -f /run/lab/err; nsnat {command} 2>/run/lab/err 8>&- & waits
                kill -{signal} $!; ends $!; grep -o 'nsnat: interrupted: while waiting' /run/lab/err"
            );
            lab.says(&script, &format!("{status}\nnsnat: interrupted: while waiting"));
        }
    }
    for command in ["up", "exec --gateway $LAB_SLOW -- true"] {
        lab.ok(&format!(
            "{LOCKED} rm -f /run/lab/err; nsnat {command} 2>/run/lab/err 8>&- & waits; flock -u 8; ends $!"
        ));
    }
}

/// What is left then goes with the next one.
#[test]
fn so_can_the_wait_before_the_taking_down() {
    let lab = Lab::new();
    lab.declare("[namespace.slow]\ngateway = \"$LAB_SLOW\"\n");
    lab.ok("nsnat up");
    let before = lab.snapshot();
    let script = format!(
        "cd /run/lab; nsnat exec --gateway $LAB_SLOW -- sh -c 'touch ready; until [ -e go ]; do sleep 0.02; done; exit 7' 2>err &
        pid=$!; until [ -e ready ]; do sleep 0.02; done
        {LOCKED} touch go; waits; kill -TERM $pid; ends $pid; grep -o 'interrupted: while waiting' err; flock -u 8; nsnat -q up"
    );
    lab.says(&script, "7\ninterrupted: while waiting");
    lab.same(&before, "after an interrupted end and the next nsnat");
}

/// Everybody else would wait until somebody says `fg`.
#[test]
fn whoever_is_stopped_holds_nobody_up() {
    let lab = Lab::new();
    lab.ok(STRICT);
    lab.ok(SLOW_NFT);
    lab.says(
        "set -m; PATH=/run/lab/slow:$PATH nsnat add slow --gateway $LAB_SLOW >/run/lab/out & pid=$!
        await '[ -e /run/lab/at-work ]'; kill -TSTP $pid; touch /run/lab/go
        timeout -s KILL 60 nsnat exec --gateway $LAB_SLOW -- echo not held up || kill -KILL $pid
        kill -CONT $pid; until wait $pid; do :; done; cat /run/lab/out",
        "not held up\nslow: up, by eth0 via 192.168.1.254",
    );
}

/// The first of them musl keeps for itself, and nix knows none of them. The shell itself says that it is ready: another
/// process inside would outlive it for a moment, and the namespace stays for whatever process is left.
#[test]
fn real_time_signals() {
    let lab = Lab::new();
    let before = lab.snapshot();
    for signal in [34, 40, 64] {
        lab.says(
            &format!(
                "timeout -s KILL 60 nsnat exec --gateway $LAB_SLOW -- bash -c 'kill -{signal} $$; sleep 100' 2>&1 || echo $?"
            ),
            &format!("{}", 128 + signal),
        );
        lab.says(
            &format!(
                "exec 2>/dev/null; cd /run/lab; nsnat exec --gateway $LAB_SLOW -- bash -c ': >ready; exec sleep 100' &
                until [ -e ready ]; do sleep 0.02; done; rm ready; kill -{signal} $!; wait $! || echo $?"
            ),
            &format!("{}", 128 + signal),
        );
    }
    lab.same(&before, "after real-time signals");
}
