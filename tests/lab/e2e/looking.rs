//! Looking is not writing: what only tells takes no lock, makes no file, and starts no program.

use crate::lab::Lab;

const ALL: &str = "nsnat status -o json >/dev/null; nsnat plan >/dev/null || [ $? = 2 ]; nsnat list >/dev/null; nsnat which || true";
const FILES: &str = "find /run/nsnat /run/netns /etc/nsnat -printf '%p %i %T@\\n' 2>/dev/null | sort || true";

#[test]
fn nothing_is_made() {
    let lab = Lab::new();
    lab.ok(ALL);
    lab.says("ls -d /run/nsnat 2>/dev/null || true", "");
    lab.ok("nsnat -q add slow --gateway $LAB_SLOW --dns $LAB_NEW");
    let before = lab.ok(FILES);
    lab.ok(&format!("{ALL}; nsnat ps slow; nsnat dns slow test www.example.test >/dev/null"));
    lab.says(FILES, &before);
}

#[test]
fn nothing_is_waited_for() {
    let lab = Lab::new();
    lab.ok("nsnat -q add slow --gateway $LAB_SLOW");
    let status = || lab.sh("timeout 30 nsnat status -o json | jq -r '.namespaces[].state'");
    let is_told = || status().stderr.contains("another nsnat changes something");
    // As an nsnat leaves it that was killed.
    lab.ok("echo held >/run/nsnat/lock");
    assert!(!is_told());
    // Held until the end of the test, as by an nsnat that is at work.
    lab.ok("flock /run/nsnat/lock sleep 1000 >/dev/null 2>&1 & until ! flock -n /run/nsnat/lock true; do sleep 0.02; done");
    assert_eq!(status().stdout, "up\n");
    assert!(is_told());
    lab.ok("timeout 30 nsnat plan");
}

/// Neither nft nor iptables: what they would say is asked of the kernel.
#[test]
fn no_program_is_needed() {
    let lab = Lab::new();
    lab.ok("nsnat -q add slow --gateway $LAB_SLOW");
    lab.says("nsnat=$(type -P nsnat) jq=$(type -P jq); PATH=/nowhere $nsnat status -o json | $jq -r '.namespaces[].state'", "up");
    lab.ok("nsnat=$(type -P nsnat); PATH=/nowhere $nsnat plan");
}

/// A user sees what everybody may see, and is told that root sees more.
#[test]
fn as_a_user() {
    let lab = Lab::new();
    lab.ok("install -m 755 $(type -P nsnat) /run/lab/seen; nsnat -q add slow --gateway $LAB_SLOW");
    let user = "setpriv --reuid=65534 --regid=65534 --clear-groups /run/lab/seen";
    let output = lab.sh(&format!("{user} status"));
    assert!(output.status == 0 && output.stderr.contains("as root, status also looks"), "{output}");
    assert!(output.stdout.contains("slow  up     eth0    192.168.1.254"), "{output}");
    lab.ok("ip link set eth0 down");
    lab.says(
        &format!("{user} status -q -o json | jq -r '.namespaces[] | .state, .problems[]'"),
        "broken\neth0 is down: nothing gets out; ip link set eth0 up, then: nsnat up",
    );
    lab.fails(1, &format!("{user} plan"));
}

/// What changes is shown again, to root and to anybody.
#[test]
fn status_goes_on() {
    let lab = Lab::new();
    lab.declare("[namespace.slow]\ngateway = \"$LAB_SLOW\"");
    lab.ok("install -m 755 $(type -P nsnat) /run/lab/seen
        nsnat status --watch -o json </dev/null >/run/lab/root 2>&1 & echo $! >/run/lab/root.pid
        setpriv --reuid=65534 --clear-groups /run/lab/seen status --watch </dev/null >/run/lab/nobody 2>&1 & echo $! >/run/lab/nobody.pid");
    lab.until("grep -q '\"state\":\"down\"' /run/lab/root && grep -q '^slow *down' /run/lab/nobody");
    lab.ok("nsnat -q up");
    lab.until("grep -q '\"state\":\"up\"' /run/lab/root && grep -q '^slow *up' /run/lab/nobody");
    lab.ok("ip link set eth0 down");
    lab.until("tail -n 1 /run/lab/root | jq -e '.namespaces[0].problems[0] | test(\"eth0 is down\")' && grep -q 'eth0 is down' /run/lab/nobody");
    lab.ok("kill $(cat /run/lab/root.pid /run/lab/nobody.pid)");
}
