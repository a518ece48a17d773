//! `--pid`: a process tree that ends with its command, and with nsnat.

use crate::world;

#[test]
fn a_proc_of_its_own() {
    let script = "$N exec --pid x sh -c 'set -- /proc/[0-9]*; echo $*; cat /proc/1/comm; echo $$; test -d /proc/sys/net && echo proc'";
    assert_eq!(world::stdout(script), "/proc/1 /proc/2\nnsnat\n2\nproc\n");
}

#[test]
fn everything_ends_with_the_command() {
    let script = r#"$N exec --pid x sh -c 'setsid sleep 4242 & (setsid setsid sleep 4242 &)
            until [ $(pgrep -fxc "sleep 4242") = 2 ]; do sleep 0.02; done'
        pgrep -fxc 'sleep 4242'; true"#;
    assert_eq!(world::stdout(script), "0\n");
}

#[test]
fn everything_ends_with_nsnat() {
    for moment in [
        "await '[ $(pgrep -fxc \"sleep 4343\") = 2 ]'",
        "sleep 0.001",
        "sleep 0.002",
        "sleep 0.004",
        "sleep 0.008",
    ] {
        let script = format!(
            "$N exec --pid x sh -c 'setsid sleep 4343 & exec sleep 4343' & {moment}; kill -KILL $!; wait $! 2>/dev/null
            await '! pgrep -fx \"sleep 4343\"' && echo gone"
        );
        assert_eq!(world::stdout(&script), "gone\n", "killed after {moment}");
    }
}

/// A process that nobody waits for is listed as long as it is not reaped.
#[test]
fn orphans_are_reaped() {
    let script = r"$N exec --pid x sh -c '(sleep 4444 &); (sleep 4444 &)
            until [ $(pgrep -xc sleep) = 2 ]; do :; done; pkill -x sleep
            while pgrep -x sleep; do :; done >/dev/null; echo reaped'";
    assert_eq!(world::stdout(script), "reaped\n");
}

#[test]
fn signals_of_other_processes_are_passed_on() {
    let script = "$N exec --pid x bash -c 'trap \"echo got\" USR1 HUP WINCH; trap \"exit 7\" TERM; echo ready; while :; do sleep 0.05; done' > out &
        await 'grep ready out'; n=0
        for s in USR1 HUP WINCH; do kill -$s $!; n=$((n + 1)); await '[ $(grep -c got out) = $n ]'; done
        kill -TERM $!; wait $!; echo $?; cat out";
    assert_eq!(world::stdout(script), "7\nready\ngot\ngot\ngot\n");
}

#[test]
fn a_pipe_that_the_command_closes_is_closed() {
    let script = "$N exec --pid x sh -c 'exec >&-; while ! test -e seen; do sleep 0.05; done' | { cat; touch seen; echo end; }";
    assert_eq!(world::stdout(&format!("timeout 60 bash -c \"{script}\"")), "end\n");
}

/// A terminal window's own command leads the session, and the terminal says good-bye to the leader only.
#[test]
fn a_terminal_that_hangs_up_is_passed_on() {
    let script = "script -qc \"exec $N exec --pid x sleep 4545\" /dev/null >/dev/null & until pgrep -fx 'sleep 4545'; do sleep 0.05; done >/dev/null
        kill -KILL $!; while pgrep -fx 'sleep 4545'; do sleep 0.05; done >/dev/null; echo gone";
    assert_eq!(world::stdout(script), "gone\n");
}
