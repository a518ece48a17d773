//! Programs that hand over to an instance outside of the namespace: said in one line, and nothing for others.

use crate::world;

/// A user of a number of its own, with tmux servers of its own.
const ANN: &str = r#"
ann() { HOME=$work TMUX_TMPDIR=$work setpriv --reuid 4001 --regid 4001 --clear-groups "$@"; }
as_ann() { HOME=$work TMUX_TMPDIR=$work "$N" "$@"; }
mkdir e && cp -r /etc/nsswitch.conf /etc/ld.so.cache e
printf 'root:x:0:0:r:/root:/bin/sh\nann:x:4001:4001::/:/bin/sh\n' > e/passwd; printf 'root:x:0:\nann:x:4001:\n' > e/group; mount --bind e /etc
chown 4001 $work
"#;

fn check(script: &str, expected: &str) {
    assert_eq!(world::stdout(&format!("{ANN}{script}")), expected, "{script}");
}

/// The real program: what is said is what happens.
#[test]
fn tmux() {
    check(
        r#"ann tmux new-session -d sleep 600
        as_ann exec -u ann x tmux new-session -d "readlink /proc/self/ns/net > there; tmux wait-for -S done" 2> said; ann timeout 100 tmux wait-for done
        sed 's/process [0-9]*/process N/' said; test "$(cat there)" = "$(readlink /proc/self/ns/net)" && echo outside indeed
        as_ann exec -u ann x tmux -L other new-session -d "readlink /proc/self/ns/net > there; tmux wait-for -S done" 2>&1; ann timeout 100 tmux -L other wait-for done
        test "$(cat there)" != "$(readlink /proc/self/ns/net)" && echo inside with -L
        as_ann -q exec -u ann x tmux list-sessions 2>&1 | wc -l; as_ann exec x tmux list-sessions 2>&1 | grep -c 'hands over'; true"#,
        "nsnat: tmux: hands over to tmux: server (process N), which is not in x; with -L OTHER it has a server of its own\n\
        outside indeed\ninside with -L\n1\n0\n",
    );
}

/// Processes of these names; an instance inside is the one that takes over, and one of another user never does.
#[test]
fn by_name_of_the_process() {
    check(
        r#"mkdir bin; cp /bin/sleep bin/firefox-esr; cp /bin/sleep bin/dockerd; cp /bin/true bin/firefox; cp /bin/true bin/docker; chmod -R a+rx . ; PATH=$PWD/bin:$PATH
        say() { "$N" exec "$@" 2>&1 | sed 's/ (process.*//'; echo "$# done"; }
        say x firefox; firefox-esr 600 & await 'pgrep -x firefox-esr'; say x firefox; say x true; say x -u ann firefox; say x firefox --new-instance
        ip netns exec x firefox-esr 600 & await 'pgrep -x firefox-esr | grep -q '$!; say x firefox
        dockerd 600 & await 'pgrep -x dockerd'; say x -u ann docker pull"#,
        "2 done\nnsnat: firefox: hands over to firefox-esr\n2 done\n2 done\n4 done\n3 done\n2 done\nnsnat: docker: hands over to dockerd\n5 done\n",
    );
}

/// Who is not in the table pays nothing: not one look at another process.
#[test]
fn nobody_else_pays() {
    check(
        "cp /bin/true firefox; chmod 755 firefox; looks() { strace -o trace \"$N\" exec x \"$1\"; grep -c '/comm\"' trace; }
        looks true; test $(looks ./firefox) -gt 2 && echo many",
        "0\nmany\n",
    );
}
