//! Edits of the configuration while namespaces are up and jobs run.

use crate::lab::Lab;

const SHARED: &str =
    "[uplink.u]\ngateway = \"$LAB_SLOW\"\n[namespace.one]\nuplink = \"u\"\n[namespace.two]\nuplink = \"u\"";

/// An uplink that two namespaces share gets another name, another gateway, loses its LAN, moves in a list.
#[test]
fn a_connection_survives_what_happens_to_a_shared_uplink() {
    let lab = Lab::new();
    lab.declare(SHARED);
    lab.ok("nsnat up");
    let job = lab.connection("one");
    for edit in [
        "sed -i 's/uplink.u/uplink.dsl/; s/\"u\"/\"dsl\"/' $file",
        "sed -i 's/\"dsl\"/&\\nlan = false/' $file",
        "sed -i 's/uplink = \"dsl\"/uplink = [\"dsl\", \"other\"]/; 1i[uplink.other]\\ngateway = \"'$LAB_THIRD'\"\\n' $file",
    ] {
        lab.ok(&format!("file=/etc/nsnat/nsnat.toml; {edit}; nsnat up; nsnat plan"));
        job.goes_on();
    }
    job.kill();
    // Another gateway: the addresses stay, what is connected cannot.
    lab.says("ip -n one -br -4 addr show eth0 >/run/lab/before; sed -i s/$LAB_SLOW/$LAB_FAST/ /etc/nsnat/nsnat.toml; nsnat up",
        "one: changed, by dsl (eth0) via 192.168.1.1\ntwo: changed, by dsl (eth0) via 192.168.1.1");
    lab.ok("ip -n one -br -4 addr show eth0 | diff - /run/lab/before");
    lab.says("nsnat exec one whoami4; nsnat exec two whoami4", "203.0.113.1\n203.0.113.1");
}

#[test]
fn subnets_change_hands() {
    let lab = Lab::new();
    lab.declare("[namespace.a]\ngateway = \"$LAB_SLOW\"\nsubnet = \"10.5.0.0/30\"\n[namespace.b]\ngateway = \"$LAB_THIRD\"\nsubnet = \"10.5.0.4/30\"");
    lab.ok("nsnat up; sed -i 's/10.5.0.0/X/; s/10.5.0.4/10.5.0.0/; s/X/10.5.0.4/' /etc/nsnat/nsnat.toml; nsnat up; nsnat plan");
    lab.says("nsnat exec a whoami4; nsnat exec b whoami4", "203.0.113.254\n203.0.113.3");
    lab.ok("sed -i 's/namespace.a/namespace.c/' /etc/nsnat/nsnat.toml");
    let words = lab.fails(2, "nsnat up");
    assert!(words.contains("in use by namespace a") && words.contains("nsnat down a"), "{words}");
}

/// How many points of a run are interrupted. All of them are some hundred.
const POINTS: usize = 30;

/// One takes over where another one was; interrupted at any request to the kernel, each is as it was or as it should be.
#[test]
fn interrupted_while_uplinks_are_passed_on() {
    let lab = Lab::new();
    let declare = |a: &str, b: &str| {
        lab.declare(&format!("[namespace.a]\ngateway = \"{a}\"\n[namespace.b]\ngateway = \"{b}\""));
    };
    let old = || {
        declare("$LAB_SLOW", "$LAB_FAST");
        lab.ok("nsnat -q up");
        declare("$LAB_THIRD", "$LAB_SLOW");
    };
    // strace(1) counts the requests of a run, and sends the signal with one of them.
    let strace = "strace -qq -e signal=none -e trace=sendto";
    old();
    let requests: usize =
        lab.ok(&format!("{strace} -o /run/lab/trace nsnat -q up; wc -l </run/lab/trace")).parse().unwrap();
    let mut interrupted = 0;
    for point in 0..POINTS {
        let nth = 1 + point * requests / POINTS;
        old();
        let up =
            lab.sh(&format!("{strace} -o /dev/null -e inject=sendto:signal=INT:when={nth} nsnat -q up 2>&1"));
        assert!(!up.stdout.contains("going back failed"), "request {nth} of {requests}: {up}");
        let paths = lab.ok("nsnat exec a whoami4; nsnat exec b whoami4");
        let whole = ["203.0.113.254\n203.0.113.1", "203.0.113.3\n203.0.113.254"].contains(&paths.as_str());
        assert!(whole, "request {nth} of {requests}: {up}\n{paths}");
        interrupted += usize::from(up.status == 1);
    }
    // What comes after the last change is not undone.
    assert!(interrupted > POINTS / 2, "{interrupted} of {POINTS} runs were interrupted");
}
