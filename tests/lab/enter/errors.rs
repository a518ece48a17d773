//! What goes wrong, and with which exit status; names, records and handles that somebody made to do harm.

use crate::world;

/// Runs a script and compares the exit status; what nsnat says has to contain `says`.
fn fails(script: &str, status: i32, says: &str) {
    let output = world::run(&format!("{script}\nexit $?"));
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(status), "{script}\n{}", world::describe(&output));
    assert!(said.contains(says), "{script}\nsays nothing of {says:?}\n{}", world::describe(&output));
    assert!(!String::from_utf8_lossy(&output.stdout).contains("inside"), "{script}\nit was entered");
}

#[test]
fn the_command_is_not_there() {
    fails("$N exec x nonexistent", 127, "nsnat: nonexistent: command not found");
    fails("$N exec x ./nonexistent", 127, "not found");
    fails("$N exec x ''", 127, "not found");
    fails("PATH= $N exec x ls", 127, "not found");
}

#[test]
fn the_command_cannot_be_run() {
    fails("$N exec x /etc", 126, "nsnat: /etc: cannot be run");
    fails("$N exec x /etc/passwd", 126, "Permission denied");
    fails("printf '#!/nonexistent/sh\n' > a; chmod 755 a; $N exec x ./a", 126, "#!");
    fails("mkdir bin; touch bin/a; PATH=$PWD/bin:$PATH $N exec x a", 126, "Permission denied");
}

#[test]
fn what_can_be_run_is_found_as_execvp_finds_it() {
    let script = r#"
    mkdir one two; touch one/a; printf 'echo "script $0 $*"\n' > two/a; chmod 755 two/a
    PATH=$PWD/nonexistent:/etc/passwd:$PWD/one:$PWD/two:$PATH
    $N exec x a 1 2 | sed s,$PWD,.,
    cd two; PATH=:/usr/bin $N exec x a 3
    env -u PATH $N exec x env -u PATH sh -c 'echo no path'"#;
    assert_eq!(world::stdout(script), "script ./two/a 1 2\nscript ./a 3\nno path\n");
}

#[test]
fn records_that_up_did_not_write() {
    let harm = [
        ("chmod 666 /run/nsnat/ns/x", "written by others"),
        ("chown 1 /run/nsnat/ns/x", "not owned by root"),
        ("chmod 777 /run/nsnat/ns", "written by others"),
        ("chown 1 /run/nsnat/ns", "not owned by root"),
        ("mv /run/nsnat/ns/x /run/y; ln -s /run/y /run/nsnat/ns/x", "symbolic link"),
        ("mv /run/nsnat/ns /run/y; ln -s /run/y /run/nsnat/ns", "/run/nsnat/ns"),
        ("rm /run/nsnat/ns/x; mkfifo /run/nsnat/ns/x; chmod 600 /run/nsnat/ns/x", "plain file"),
        ("rm /run/nsnat/ns/x; mkdir /run/nsnat/ns/x", "plain file"),
        ("head -c 5000 /dev/zero > /run/nsnat/ns/x", "too large"),
        ("echo '{\"hide' > /run/nsnat/ns/x", "damaged"),
        (": > /run/nsnat/ns/x", "damaged"),
        ("printf '\\377' > /run/nsnat/ns/x", "/run/nsnat/ns/x"),
    ];
    for (harm, says) in harm {
        fails(&format!("{harm}; timeout 60 $N exec x echo inside"), 125, says);
    }
}

#[test]
fn handles_that_are_no_network_namespace() {
    let uts = "umount /run/netns/x; mount --bind /proc/self/ns/uts /run/netns/x";
    fails(&format!("{uts}; $N exec x echo inside"), 125, "not of the network");
    for harm in
        ["umount /run/netns/x", "ip netns del x", "umount /run/netns/x; rm /run/netns/x; mkfifo /run/netns/x"]
    {
        let script = format!("{harm}; timeout 60 $N exec x echo inside");
        let output = world::run(&script);
        assert!(
            !output.status.success() && output.status.code() != Some(124),
            "{harm}\n{}",
            world::describe(&output)
        );
        assert!(output.stdout.is_empty(), "{harm}: entered\n{}", world::describe(&output));
    }
}

#[test]
fn names_that_are_no_names() {
    let up = "record secret; mkdir /run/nsnat/ns/d; record d/y; ip netns add secret";
    for name in
        ["../ns/x", "..", ".", "''", "d/y", "/run/netns/x", "$'x\\n'", "\"$(printf '%065d' 0)\"", "$'\\xff'"]
    {
        fails(&format!("{up}; $N exec {name} echo inside"), 2, "name");
    }
}

#[test]
fn nobody_else_may_enter() {
    let world = "cp $N /run/nsnat/bin; N=/run/nsnat/bin";
    fails(
        &format!("{world}; setpriv --reuid 1 --clear-groups $N exec x echo inside"),
        125,
        "only root may enter it\nhint: sudo nsnat exec x",
    );
}

#[test]
fn users_that_are_nobody() {
    fails("$N exec -u nonexistent x echo inside", 125, "user nonexistent: does not exist");
    fails("$N exec -u 4000000000 x echo inside", 125, "does not exist");
    fails("unset SUDO_UID SUDO_USER DOAS_USER PKEXEC_UID; $N exec --me x echo inside", 125, "hint: -u USER");
    fails("SUDO_USER=daemon SUDO_UID=2 $N exec --me x echo inside", 125, "SUDO_UID says 2");
    fails("$N exec --me -u daemon x echo inside", 2, "");
}

#[test]
fn mounts_that_cannot_be() {
    fails("$N exec --mount /nonexistent:/mnt x echo inside", 125, "mount /mnt: No such file");
    for root in ["/", "//", "/usr/..", "to-root"] {
        for mount in ["--tmpfs ", "--mount /usr:"] {
            let says = format!("mount {root}: nothing of it would be seen");
            fails(&format!("ln -s / to-root; $N exec {mount}{root} x echo inside"), 125, &says);
        }
    }
    fails("$N exec --tmpfs /nonexistent x echo inside", 125, "mount /nonexistent: No such file");
}
