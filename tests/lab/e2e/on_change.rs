//! `on-change`: a program that the daemon runs when something happened to a namespace.

use super::health::START;
use crate::lab::Lab;

/// A program that writes down what it is told, and how it is run.
const PROGRAM: &str = r#"cat >/run/lab/tell <<'END'
#!/bin/bash
exec 9>>/run/lab/told
env | sort | paste -sd' ' >&9
echo "$1|$PWD|$(umask)|$(ls /proc/self/fd | paste -sd,)|$(readlink /proc/self/fd/0)|$(grep SigBlk /proc/self/status)" >>/run/lab/how
echo "told of $NSNAT_EVENT"; echo "by $NSNAT_UPLINK" >&2
[[ ! -e /run/lab/fails ]]
END
chmod 755 /run/lab/tell"#;

const DECLARED: &str = "[uplink.a]
    dev = \"eth1\"
    gateway = \"$LAB_THIRD\"
    [uplink.b]
    gateway = \"$LAB_SLOW\"
    [namespace.job]
    uplink = [\"a\", \"b\"]
    on-change = [\"/run/lab/tell\", \"one word\"]
    [namespace.other]
    gateway = \"$LAB_SLOW\"";

fn watched() -> Lab {
    let lab = Lab::new();
    lab.ok(PROGRAM);
    lab.declare(DECLARED);
    lab.ok(START);
    lab.until("grep -q NSNAT_EVENT=up /run/lab/told");
    lab
}

#[test]
fn a_program_is_told_what_happened_and_gets_nothing_else() {
    let lab = watched();
    lab.ok("ip link set eth1 down");
    lab.until("grep -q NSNAT_EVENT=moved /run/lab/told");
    lab.says(
        "grep NSNAT_EVENT=moved /run/lab/told | sed 's/NSNAT_TIME=[0-9]\\+/NSNAT_TIME=N/; s/ SHLVL=[0-9]//; s/ _=[^ ]*//; s/ PWD=[^ ]*//'",
        "NSNAT_DEVICE=eth0 NSNAT_EVENT=moved NSNAT_FAMILY= NSNAT_GATEWAY=192.168.1.254 NSNAT_NAMESPACE=job NSNAT_PREVIOUS_UPLINK=a NSNAT_TIME=N NSNAT_UPLINK=b PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    );
    // The descriptors are the standard ones, the script itself, its own and that of the directory.
    lab.says(
        "tail -n 1 /run/lab/how | tr '\\t' ' '",
        "one word|/|0022|0,1,2,3,9|/dev/null|SigBlk: 0000000000000000",
    );
    lab.until("grep -q 'job: on-change: told of moved' /run/lab/watch.log && grep -q 'job: on-change: by b' /run/lab/watch.log");
    // What a command did is told, too; a failure is logged, and changes nothing.
    lab.ok("touch /run/lab/fails; nsnat down job");
    lab.until("grep -q NSNAT_EVENT=down /run/lab/told && grep -q 'on-change: /run/lab/tell failed: exit status: 1' /run/lab/watch.log");
    // Nothing is told of what happens to others.
    lab.ok("nsnat down other; nsnat up other; nsnat up job");
    lab.until("tail -n 1 /run/lab/told | grep -q NSNAT_EVENT=up");
    lab.says("grep -c NSNAT_NAMESPACE=other /run/lab/told || true", "0");
}

#[test]
fn a_program_that_hangs_holds_nothing_up_and_is_ended() {
    let lab = Lab::new();
    lab.ok("printf '#!/bin/bash\\necho $$ $NSNAT_EVENT >>/run/lab/began\\nsleep 1000\\n' >/run/lab/tell; chmod 755 /run/lab/tell");
    lab.declare(DECLARED);
    lab.ok(START);
    lab.until("grep -q up /run/lab/began");
    // The daemon goes on, and so do commands, which wait for a lock that no program inherits.
    lab.ok("ip link set eth1 down");
    lab.until("nsnat events job | grep -q moved");
    lab.ok("timeout 5 nsnat up; timeout 5 nsnat down other");
    // The next one waits for the end of the first one, which is not waited for any longer.
    lab.says("wc -l </run/lab/began", "1");
    lab.until("grep -q moved /run/lab/began");
    lab.ok("grep -q 'on-change: /run/lab/tell took longer than 10 s and was killed' /run/lab/watch.log");
    lab.ok("read -r first _ </run/lab/began; ! kill -0 -- -$first");
}

#[test]
fn a_program_that_cannot_be_run_or_is_somebody_elses_is_a_mistake() {
    let lab = Lab::new();
    lab.declare(DECLARED);
    let told = lab.fails(2, "nsnat up");
    assert!(told.contains("`/run/lab/tell`: No such file") && told.contains("nsnat.toml:8:"), "{told}");
    lab.ok(PROGRAM);
    lab.ok("chmod 644 /run/lab/tell");
    assert!(lab.fails(2, "nsnat up").contains("may not be executed"));
    lab.ok("chmod 777 /run/lab/tell");
    let told = lab.fails(2, "nsnat up");
    assert!(told.contains("/run/lab/tell: everybody may write it, and root would obey"), "{told}");
    // A user looks at what is declared, and runs nothing.
    lab.ok("cp $(type -P nsnat) /run/lab/bin/; cd /; setpriv --reuid 4009 --clear-groups /run/lab/bin/nsnat list");
    lab.ok("chmod 755 /run/lab/tell; nsnat up");
}
