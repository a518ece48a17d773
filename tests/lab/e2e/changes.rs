//! Edits of the configuration while namespaces are up and jobs run.

use super::kill::must;
use crate::lab::{self, Lab};
use nix::sys::signal::Signal;
use std::process::{Command, Stdio};
use std::time::Duration;

const SHARED: &str =
    "[uplink.u]\ngateway = \"$LAB_SLOW\"\n[namespace.one]\nuplink = \"u\"\n[namespace.two]\nuplink = \"u\"";

/// An uplink that two namespaces share gets another name, another gateway, loses its LAN, moves in a list.
#[test]
fn a_connection_survives_what_happens_to_a_shared_uplink() {
    let lab = Lab::new();
    lab.declare(SHARED);
    lab.ok("nsnat up; nsnat exec one socat -u TCP4:$LAB_SERVICE:9997 /run/lab/ticks >/dev/null 2>&1 & echo $! >/run/lab/pid
        until [ -s /run/lab/ticks ]; do sleep 0.02; done");
    for edit in [
        "sed -i 's/uplink.u/uplink.dsl/; s/\"u\"/\"dsl\"/' $file",
        "sed -i 's/\"dsl\"/&\\nlan = false/' $file",
        "sed -i 's/uplink = \"dsl\"/uplink = [\"dsl\", \"other\"]/; 1i[uplink.other]\\ngateway = \"'$LAB_THIRD'\"\\n' $file",
    ] {
        lab.ok(&format!("file=/etc/nsnat/nsnat.toml; {edit}; nsnat up; nsnat plan"));
        lab.ok("a=$(wc -l </run/lab/ticks); for ((i = 0; i < 250; i++)); do
            [ $(wc -l </run/lab/ticks) -le $a ] || exit 0; sleep 0.02; done; exit 1");
    }
    lab.ok("kill $(cat /run/lab/pid)");
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

/// One takes over where another one was; interrupted, each is as it was or as it should be.
#[test]
fn interrupted_while_uplinks_are_passed_on() {
    if !lab::inside() {
        return Lab::new().again("e2e::changes::interrupted_while_uplinks_are_passed_on");
    }
    let old = "printf '[namespace.a]\\ngateway = \"%s\"\\n[namespace.b]\\ngateway = \"%s\"\\n' $LAB_SLOW $LAB_FAST >/etc/nsnat/nsnat.toml";
    let new = "printf '[namespace.a]\\ngateway = \"%s\"\\n[namespace.b]\\ngateway = \"%s\"\\n' $LAB_THIRD $LAB_SLOW >/etc/nsnat/nsnat.toml";
    must(&format!("mkdir /etc/nsnat; {old}; nsnat up"), "at first");
    let mut outcomes = std::collections::BTreeSet::new();
    for round in 0..60_u64 {
        must(&format!("{old}; nsnat up; {new}"), &format!("round {round}"));
        let mut up =
            Command::new(lab::NSNAT).arg("up").stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        std::thread::sleep(Duration::from_micros(round * 1000));
        let pid = nix::unistd::Pid::from_raw(i32::try_from(up.id()).unwrap());
        let _ = nix::sys::signal::kill(pid, Signal::SIGINT);
        let mut words = String::new();
        std::io::Read::read_to_string(&mut up.stderr.take().unwrap(), &mut words).unwrap();
        let status = up.wait().unwrap();
        assert!(!words.contains("going back failed"), "round {round}: {words}");
        let ways = must("nsnat exec a whoami4; nsnat exec b whoami4", &format!("round {round}"));
        let whole = ["203.0.113.254\n203.0.113.1\n", "203.0.113.3\n203.0.113.254\n"].contains(&ways.as_str());
        assert!(whole, "round {round}: {status}: {words}\n{ways}");
        outcomes.insert(status.code());
    }
    assert!(outcomes.contains(&Some(1)), "none was interrupted: {outcomes:?}");
}
