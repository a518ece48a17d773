//! `nsnat-exec`, set-user-id root, in the hands of somebody who means harm. Each test is a threat of docs/security.md.

use crate::lab::Lab;
use crate::world;

/// Both programs as installed, a namespace `x` that user 4001 and group 4002 may enter, and user 4001 (`as_member`)
/// and another (`as_other`) who try.
const WORLD: &str = r#"
chmod 755 /run; mkdir -m 755 /run/bin; cp $N $N-exec /run/bin; chmod 755 /run/bin/nsnat; chmod 4755 /run/bin/nsnat-exec
N=/run/bin/nsnat; X=/run/bin/nsnat-exec
put() { printf '{"hide_resolvers":false,"inode":%s,"allowed":%s}' "$(stat -Lc %i /run/netns/x)" "$1" > /run/nsnat/ns/x; }
put '{"users":[4001],"groups":[4002]}'
as_member() { setpriv --reuid 4001 --regid 4001 --clear-groups "$@"; }
as_other() { setpriv --reuid 4009 --regid 4009 --clear-groups "$@"; }
state() { cat /proc/self/mountinfo; ls -lA --full-time /run/netns /run/nsnat /run/nsnat/ns; cat /run/nsnat/ns/*; }
chmod 777 .
"#;

#[track_caller]
fn check(script: &str, expected: &str) {
    assert_eq!(world::stdout(&format!("{WORLD}{script}")), expected, "{script}");
}

/// The script ends in this status and says this; nothing was run inside.
#[track_caller]
fn refused(script: &str, status: i32, says: &str) {
    let output = world::run(&format!("{WORLD}{script}\nexit $?"));
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(status), "{script}\n{}", world::describe(&output));
    assert!(said.contains(says), "{script}\nsays nothing of {says:?}\n{}", world::describe(&output));
    assert!(!String::from_utf8_lossy(&output.stdout).contains("entered"), "{script}\nit was entered");
}

#[test]
fn members_enter() {
    check(
        "as_member $N exec x ip netns identify; as_member $N exec x -- id -u; as_member $X x -- id -u
        setpriv --reuid 4005 --regid 4002 --clear-groups $N exec x id -g
        setpriv --reuid 4005 --regid 4005 --groups 4002,4007 $N exec x id -G
        as_member $N exec --pid x sh -c 'ip netns identify; id -u'; $X x -- id -u",
        "x\n4001\n4001\n4002\n4005 4002 4007\nx\n4001\n0\n",
    );
}

#[test]
fn nobody_else_enters() {
    refused("as_other $N exec x echo entered", 125, "user 4009 is not among the users");
    refused("as_other $X x -- echo entered", 125, "hint: sudo nsnat exec x");
    refused("put '{}'; as_member $X x -- echo entered", 125, "only root may enter it");
    refused("as_member $X y -- echo entered", 125, "it is not up");
    refused("ip netns add y; record y; as_member $X y -- echo entered", 125, "only root may enter it");
    refused("chmod 755 $X; as_member $N exec x echo entered", 125, "nsnat-exec is not there");
    refused("chmod 755 $X; as_member $X x -- echo entered", 125, "runs without root's rights");
}

#[test]
fn only_the_namespace_is_chosen() {
    for option in ["-u root", "--mount /etc:/mnt", "--tmpfs /etc"] {
        refused(&format!("as_member $N exec {option} x echo entered"), 125, "only root may");
        refused(&format!("as_member $X {option} x -- echo entered"), 2, "nsnat-exec [--pid] NAME");
        refused(&format!("as_member $X x {option} -- echo entered"), 2, "nsnat-exec [--pid] NAME");
    }
    refused("as_member $X --config /tmp/x x -- echo entered", 2, "");
    refused("as_member $X x", 2, "");
    refused("as_member $X", 2, "");
    refused("as_member $N plan", 1, "needs root");
    refused("as_member $N status --check", 1, "needs root");
}

/// What sudo said to whoever gave up root since is not a wish to become anybody.
#[test]
fn a_shell_of_ones_own() {
    check(
        "as_member env SUDO_UID=4001 SUDO_USER=nobody SHELL=/bin/dash $N shell x <<< 'id -u; $N which'",
        "4001\nx\n",
    );
}

#[test]
fn names_that_leave_their_directory() {
    let up = "mkdir /run/nsnat/ns/d; cp /run/nsnat/ns/x /run/nsnat/ns/d/y; cp /run/nsnat/ns/x /run/y";
    for name in ["../ns/x", "../../y", "..", ".", "''", "d/y", "/run/netns/x", "$'x\\n'", "$'\\xff'"] {
        refused(&format!("{up}; as_member $X {name} -- echo entered"), 2, "");
    }
}

#[test]
fn nothing_of_root_is_left() {
    let none = "0000000000000000";
    let caps = format!("CapInh:\t{none}\nCapPrm:\t{none}\nCapEff:\t{none}\nCapAmb:\t{none}\n");
    check(
        "probe='grep ^Uid\\|^Gid\\|^Groups\\|^Cap\\|^NoNew\\|^Seccomp\\|^Sig[BI] /proc/self/status'
        me() { setpriv --reuid 4001 --regid 4003 --groups 4002,4005 \"$@\"; }
        me $probe > outside; me $N exec x $probe > inside; cmp outside inside && echo same
        for capable in '' '--inh-caps +net_admin,+sys_admin --ambient-caps +net_admin,+sys_admin --securebits +no_setuid_fixup'; do
            me $capable $X x -- grep '^Cap[^B]' /proc/self/status; done
        me $X x -- sh -c 'ip link set lo up || nsenter -t 1 -n true || umount /sys || cat /proc/1/environ' 2>/dev/null || echo refused
        me $X x -- sh -c 'exec 2>/dev/null; for f in /proc/$$/fd/*; do readlink $f; done' | grep -c 'net:\\|nsnat'; true",
        &format!("same\n{caps}{caps}refused\n0\n"),
    );
}

/// A library that tells when it is loaded with root's rights.
const EVIL: &str = r#"
cat > evil.c <<'END'
#include <fcntl.h>
#include <unistd.h>
__attribute__((constructor)) static void loaded(void) { creat(geteuid() ? "loaded-as-user" : "/run/loaded-as-root", 0666); }
void gconv_init(void) { loaded(); }
END
cc -shared -fPIC -o evil.so evil.c || exit 98
mkdir evil; for name in id getent sh ip nsnat-exec; do printf '#!/bin/bash\ntest $EUID = 0 && : > /run/ran-as-root\n/usr/bin/id -u\n' > evil/$name; done
cp evil.so evil/UTF-7.so; cp evil.so evil/libc.so.6; cp evil.so evil/libgcc_s.so.1; echo 'module UTF-7// INTERNAL UTF-7 1' > evil/gconv-modules; chmod -R a+rx .
printf '[namespace.x]\ngateway = "192.0.2.1"\nallow = ["root"]\n' > evil.toml
"#;

#[test]
fn the_environment_is_not_believed() {
    check(
        &format!(
            "{EVIL} LD_PRELOAD=$PWD/evil.so setpriv --reuid 4001 --regid 4001 --clear-groups true; rm loaded-as-user || exit 97; rm -f /run/loaded-as-root
            # The library path would break nsnat itself, which runs with the caller's rights only.
            for program in \"$N exec x --\" \"env LD_LIBRARY_PATH=$PWD/evil $X x --\"; do
            as_member env LD_PRELOAD=$PWD/evil.so LD_AUDIT=$PWD/evil.so GCONV_PATH=$PWD/evil \
                PATH=$PWD/evil:$PATH NSNAT_CONFIG=$PWD/evil.toml TMPDIR=$PWD/evil HOME=$PWD IFS=x \
                RUST_BACKTRACE=full RUST_LOG=trace MALLOC_CHECK_=3 SUDO_UID=0 SUDO_USER=root \
                $program id 
            done
            ls /run | grep 'as-root'; for file in $N $X; do grep -q NSNAT_CONFIG $file && echo knows it || echo does not; done"
        ),
        "4001\n4001\nknows it\ndoes not\n",
    );
}

#[test]
fn records_that_up_did_not_write() {
    for (harm, says) in [
        ("chmod 666 /run/nsnat/ns/x", "written by others"),
        ("chown 4001 /run/nsnat/ns/x", "not owned by root"),
        ("chmod 777 /run/nsnat/ns", "written by others"),
        ("chown 4001 /run/nsnat/ns", "not owned by root"),
        ("mv /run/nsnat/ns/x y; ln -s $PWD/y /run/nsnat/ns/x", "symbolic link"),
        ("mv /run/nsnat/ns y; ln -s $PWD/y /run/nsnat/ns", "/run/nsnat/ns"),
        ("rm /run/nsnat/ns/x; mkfifo /run/nsnat/ns/x; chmod 600 /run/nsnat/ns/x", "plain file"),
        ("head -c 5000 /dev/zero > /run/nsnat/ns/x", "too large"),
        ("echo '{\"allowed\":{\"users\":[-1]}}' > /run/nsnat/ns/x", "damaged"),
        ("umount /run/netns/x; mount --bind /proc/self/ns/uts /run/netns/x", "not of the network"),
        ("ln -s /proc/1/ns/net /run/netns/y; cp /run/nsnat/ns/x /run/nsnat/ns/y; set -- y", "symbolic link"),
    ] {
        refused(
            &format!(
                "set -- x; {harm}; timeout 60 setpriv --reuid 4001 --regid 4001 --clear-groups $X $1 -- echo entered"
            ),
            125,
            says,
        );
    }
}

#[test]
fn a_namespace_of_the_same_name() {
    refused(
        "ip netns add y; ip netns del x; touch /run/netns/x; mount --bind /run/netns/y /run/netns/x; as_member $X x -- echo entered",
        125,
        "somebody replaced it",
    );
    // The same inode number, as a later namespace may get it, but another cookie.
    refused(
        "sed -i 's/{/{\"cookie\":1,/' /run/nsnat/ns/x; as_member $X x -- echo entered",
        125,
        "somebody replaced it",
    );
    refused(
        "sed -i 's/{/{\"cookie\":1,/' /run/nsnat/ns/x; $N exec x echo entered",
        125,
        "somebody replaced it",
    );
}

/// Somebody changes what is allowed, and the namespace, all the time: each try is let in or refused, nothing else.
#[test]
fn races() {
    check(
        "ip netns add y; mkdir /run/other
        (while ! test -e stop; do
            put '{}' ; mv /run/nsnat/ns/x /run/other/x; ln -s /run/other/x /run/nsnat/ns/x; rm /run/nsnat/ns/x
            umount /run/netns/x; mount --bind /run/netns/y /run/netns/x; umount /run/netns/x; mount --bind /run/x /run/netns/x
            put '{\"users\":[4001],\"groups\":[]}'
        done) & swap=$!
        touch /run/x; mount --bind /run/netns/x /run/x; want=$(stat -Lc %i /run/x)
        for i in $(seq 150); do as_member $X x -- readlink /proc/self/ns/net; echo status $?; done > out 2> err; touch stop; wait $swap
        grep -v \"^net:.$want.$\\|^status 0$\\|^status 125$\" out; grep -c '^status' out",
        "150\n",
    );
}

#[test]
fn closed_descriptors() {
    check(
        "before=$(md5sum /run/nsnat/ns/x)
        as_member $X x -- sh -c 'readlink /proc/$$/fd/[012] > open' <&- >&- 2>&-; grep -c '^/dev/null$\\|^/dev/full$\\|/open$' open
        for close in '0<&-' '1>&-' '2>&-' '0<&- 1>&- 2>&-'; do
            for words in 'x -- true' 'y -- true' '../x' 'x -- /nonexistent'; do eval \"as_member $X $words $close\" > /dev/null 2>&1; done; done
        test \"$before\" = \"$(md5sum /run/nsnat/ns/x)\" && echo untouched
        as_member $X y -- true 2> /dev/full; echo $?",
        "3\nuntouched\n125\n",
    );
}

/// Whatever runs out, wherever it is killed: the command runs as the member, or not at all; nothing is left.
#[test]
fn limits_and_kills_leave_nothing() {
    check(
        "own() { put '{\"users\":[4001]},\"nameservers\":[\"192.0.2.9\"]'; }; as_member $X x -- grep -c 192.0.2.9 /etc/resolv.conf
        own; as_member $X x -- grep 192.0.2.9 /etc/resolv.conf; state > before
        for limit in '-n 0' '-n 1' '-n 2' '-n 3' '-n 4' '-n 5' '-n 6' '-f 0' '-c unlimited' '-s 64' '-s 16' '-v 1000' '-v 3000' '-v 10000' '-u 1' '-u 0' '-t 0' '-l 0' '-i 0' '-e 0'; do
            for options in '' --pid; do
            (ulimit $limit 2>/dev/null; exec setpriv --reuid 4001 --regid 4001 --clear-groups $X $options x -- /usr/bin/id -u) >> out 2>/dev/null; done; done
        (as_member bash -c 'trap \"\" XFSZ; ulimit -f 0; exec $X x -- /usr/bin/id -u'; as_member prlimit --fsize=10 $X x -- /usr/bin/id -u) >> out 2>/dev/null
        for i in $(seq 60); do (timeout -s KILL 0.00$((RANDOM % 90 + 10)) setpriv --reuid 4001 --regid 4001 --clear-groups $X --pid x -- /usr/bin/id -u) >> out 2>/dev/null; done
        sort -u out; state > after; cmp before after && echo same; ls | grep core; true",
        "0\nnameserver 192.0.2.9\n4001\nsame\n",
    );
}

#[test]
fn nobody_looks_into_it() {
    check(
        "as_member $X --pid x -- sleep 50 & await \"pgrep -fx 'sleep 50'\"; stays=$(pgrep -o -x nsnat-exec)
        # Who stays behind has no rights of root's, and is closed to its own user all the same.
        grep ^Uid /proc/$stays/status; stat -c %u /proc/$stays/environ
        as_member strace -p $stays 2>&1 | grep -c 'Operation not permitted'
        as_member cat /proc/$stays/maps > /dev/null 2>&1 || echo closed
        # The command itself is the user's own again.
        as_member cat /proc/$(pgrep -fx 'sleep 50')/maps > /dev/null && echo open
        kill $stays; wait $!; echo $?
        # Under a tracer the bit has no effect.
        as_member strace -f -o /dev/null $X x -- echo entered 2>&1 | grep -c 'traced'",
        "Uid:\t4001\t4001\t4001\t4001\n0\n1\nclosed\nopen\n143\n1\n",
    );
}

#[test]
fn no_new_privs() {
    refused("as_member setpriv --no-new-privs $N exec x echo entered", 125, "no_new_privs is set");
    refused("as_member setpriv --no-new-privs $X x -- echo entered", 125, "no_new_privs is set");
    refused("as_member unshare -Ur $N exec x echo entered", 125, "");
    refused("as_member unshare -Ur $X x -- echo entered", 125, "");
    refused("mount -o remount,nosuid /run; as_member $N exec x echo entered", 125, "nosuid");
    check(
        "as_member $X x -- grep ^NoNew /proc/self/status; as_member $X --pid x -- grep ^NoNew /proc/self/status",
        "NoNewPrivs:\t0\nNoNewPrivs:\t1\n",
    );
}

/// With what `up` really writes.
#[test]
fn from_the_configuration_to_the_way_out() {
    let lab = Lab::new();
    let slow = "[namespace.slow]\ngateway = \"$LAB_SLOW\"\n";
    lab.declare(&format!("{slow}allow = [\"bob\", \"@netusers\", \"nobodyhere\", \"@nobodies\"]"));
    lab.ok("echo bob:x:4001:4001::/:/bin/sh >>/etc/passwd; echo netusers:x:4002: >>/etc/group
        mkdir /run/bin; mount -t tmpfs -o mode=755 tmpfs /run/bin; cp $(command -v nsnat) $(command -v nsnat)-exec /run/bin; chmod 4755 /run/bin/nsnat-exec");
    let said = lab.fails(2, "nsnat up");
    assert!(
        said.contains("there is no user nobodyhere") && said.contains("there is no group nobodies"),
        "{said}"
    );
    lab.declare(&format!("{slow}allow = [\"bob\", \"@netusers\"]"));
    lab.ok("nsnat up");
    let me = "setpriv --reuid 4001 --regid 4001 --clear-groups /run/bin/nsnat exec slow";
    lab.says(&format!("{me} whoami4"), "203.0.113.254");
    lab.says(
        "setpriv --reuid 4005 --regid 4005 --groups 4002 /run/bin/nsnat exec slow whoami4",
        "203.0.113.254",
    );
    lab.fails(125, "setpriv --reuid 4005 --regid 4005 --clear-groups /run/bin/nsnat exec slow true");
    // Taken back by the next `up`.
    lab.declare(slow);
    lab.ok("nsnat up");
    assert!(lab.fails(125, &format!("{me} true")).contains("only root may"));
    lab.declare(&format!("{slow}allow = \"bob\""));
    lab.ok("nsnat up");
    lab.ok("ip netns del slow; ip netns add slow");
    assert!(lab.fails(125, &format!("{me} true")).contains("somebody replaced it"));
    assert!(lab.fails(125, "nsnat exec slow true").contains("somebody replaced it"));
}
