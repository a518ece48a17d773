//! `--pid`: a process tree that ends with its command, and with nsnat.

use crate::world;

#[test]
fn a_proc_of_its_own() {
    let script = "$N exec --pid x sh -c 'set -- /proc/[0-9]*; echo $*; cat /proc/1/comm; echo $$; test -d /proc/sys/net && echo proc'";
    assert_eq!(world::stdout(script), "/proc/1 /proc/2\nnsnat\n2\nproc\n");
}

#[test]
fn everything_ends_with_the_command() {
    let script = "$N exec --pid x sh -c 'setsid sleep 4242 & (setsid setsid sleep 4242 &) ; sleep 0.3'
        pgrep -fc '^sleep 4242' ; true";
    assert_eq!(world::stdout(script), "0\n");
}

#[test]
fn everything_ends_with_nsnat() {
    for moment in ["0.5", "0.001", "0.002", "0.004", "0.008"] {
        let script = format!(
            "$N exec --pid x sh -c 'setsid sleep 4343 & exec sleep 4343' & sleep {moment}; kill -KILL $!; wait $! 2>/dev/null
            sleep 0.3; pgrep -fc 'sleep 4343$' ; true"
        );
        assert_eq!(world::stdout(&script), "0\n", "killed after {moment} s");
    }
}

#[test]
fn orphans_are_reaped() {
    let script =
        "$N exec --pid x sh -c '(sleep 0.1 &); (sleep 0.1 &); sleep 0.5; ps ax -o stat= | grep -c Z'; true";
    assert_eq!(world::stdout(script), "0\n");
}

#[test]
fn signals_of_other_processes_are_passed_on() {
    let script = "$N exec --pid x bash -c 'trap \"echo got\" USR1 HUP WINCH; trap \"exit 7\" TERM; echo ready; while :; do sleep 0.05; done' > out & 
        while ! grep -q ready out 2>/dev/null; do sleep 0.05; done
        for s in USR1 HUP WINCH; do kill -$s $!; sleep 0.3; done; kill -TERM $!; wait $!; echo $?; cat out";
    assert_eq!(world::stdout(script), "7\nready\ngot\ngot\ngot\n");
}

#[test]
fn a_pipe_that_the_command_closes_is_closed() {
    let script = "$N exec --pid x sh -c 'exec >&-; while ! test -e seen; do sleep 0.05; done' | { cat; touch seen; echo end; }";
    assert_eq!(world::stdout(&format!("timeout 5 bash -c \"{script}\"")), "end\n");
}

/// A terminal window's own command leads the session, and the terminal says good-bye to the leader only.
#[test]
fn a_terminal_that_hangs_up_is_passed_on() {
    let script = "script -qc \"exec $N exec --pid x sleep 4545\" /dev/null >/dev/null & until pgrep -fx 'sleep 4545'; do sleep 0.05; done >/dev/null
        kill -KILL $!; while pgrep -fx 'sleep 4545'; do sleep 0.05; done >/dev/null; echo gone";
    assert_eq!(world::stdout(script), "gone\n");
}
