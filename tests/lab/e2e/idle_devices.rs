//! Hosts with many containers: most of their devices are passed by, and none that matters.
//!
//! Kernels that have one switch of forwarding for all devices of IPv6 are not meant: there all are looked at.

use crate::lab::{self, Lab};
use nsnat::kernel::Kernel;
use nsnat::model::{HeldSysctl, Link, Look, Observed, State};
use nsnat::reconcile::Host;
use std::collections::BTreeSet;
use std::process::Command;

/// More than are looked at one and all.
const CONTAINERS: &str = "for ((i = 0; i < 100; i++)); do printf 'link add other%d index %d type veth peer name inner%d\nlink set other%d up\nlink set inner%d up\n' $i $((1000 + i)) $i $i $i; done | ip -batch -";

/// A device that matters, by what is done to it.
const THAT_MATTER: [(&str, &str); 7] = [
    ("other1", "ip addr add 192.0.2.1/32 dev other1"),
    ("other2", "ip addr add 2001:db8:7::1/64 dev other2 nodad"),
    ("other3", "ip route add 192.0.2.128/25 dev other3"),
    ("other4", "ip route add unreachable default table 77; ip route add 192.0.2.128/25 dev other4 table 77"),
    ("other5", "ip -6 route add fe80::/64 dev other5 table 78"),
    ("nsn-mine", "ip link set other6 down; ip link set other6 name nsn-mine"),
    ("other8", "ip link set other8 down; ip addr add 192.0.2.8/32 dev other8"),
];

fn sh(script: &str) {
    let status = Command::new("bash").args(["-euc", script]).status().unwrap();
    assert!(status.success(), "{script}");
}

fn look(state: &State, passes_idle: bool) -> Observed {
    let mut kernel = Kernel::open().unwrap();
    if passes_idle {
        kernel.pass_idle_devices();
    }
    kernel.observe(state, Look::Everything(&[])).unwrap()
}

fn names(observed: &Observed) -> BTreeSet<&str> {
    observed.host.links.iter().map(|link| link.name.as_str()).collect()
}

#[test]
fn what_matters_is_looked_at() {
    if !lab::inside() {
        return Lab::new().again("e2e::idle_devices::what_matters_is_looked_at");
    }
    let state = State::default();
    assert!(!look(&state, true).idle_passed_by, "there are few");
    sh(CONTAINERS);
    let seen = look(&state, true);
    assert!(seen.idle_passed_by && names(&seen) == BTreeSet::from(["lo", "eth0", "eth1"]), "{seen:#?}");
    for (device, change) in THAT_MATTER {
        assert!(!names(&look(&state, true)).contains(device), "before: {change}");
        sh(change);
        let [all, seen] = [false, true].map(|passes_idle| look(&state, passes_idle));
        assert!(seen.idle_passed_by && !all.idle_passed_by, "{change}");
        assert!(names(&seen).contains(device), "{change}: {:?}", names(&seen));
        same_but_for_idle(all, &seen);
    }
    // Packets are sent to one by another one.
    assert!(!names(&look(&state, true)).contains("other7"));
    sh(
        "tc qdisc add dev eth0 clsact; tc filter add dev eth0 ingress protocol all u32 match u32 0 0 action mirred egress redirect dev other7",
    );
    let [all, seen] = [false, true].map(|passes_idle| look(&state, passes_idle));
    assert_eq!(seen.gates, all.gates);
    assert_eq!(
        seen.host.link("other7").map(|link| &link.kind),
        all.host.link("other7").map(|link| &link.kind)
    );
    assert!(names(&seen).contains("other7"));
    // The state speaks of one by its name, and of one by its number.
    let held = |device| HeldSysctl { before: "0".into(), now: "1".into(), device };
    let sysctls = [("other20", None), ("gone", Some(1021))];
    let sysctls = sysctls.map(|(name, number)| (format!("net/ipv4/conf/{name}/forwarding"), held(number)));
    let seen = look(&State { sysctls: sysctls.into(), ..state.clone() }, true);
    assert!(names(&seen).is_superset(&BTreeSet::from(["other20", "other21"])), "{:?}", names(&seen));
    // What leads by several is not looked for.
    sh("ip route add 198.18.0.0/24 nexthop dev other30 nexthop dev other31");
    assert!(!look(&state, true).idle_passed_by);
}

/// What was seen is what is there, but for devices that are not named, and for what belongs to these.
fn same_but_for_idle(mut all: Observed, seen: &Observed) {
    let named = names(seen);
    let is_named = |device: &str| named.contains(device);
    all.host.links.retain(|link| is_named(&link.name));
    all.host.addresses.retain(|address| is_named(&address.dev));
    all.host.routes.retain(|route| route.dev.as_deref().is_none_or(is_named));
    let links = |observed: &Observed| {
        let uncounted = |link: &Link| Link { bytes: None, ..link.clone() };
        observed.host.links.iter().map(uncounted).collect::<Vec<_>>()
    };
    assert_eq!(links(&all), links(seen));
    let rest = |observed: &Observed| {
        let host = observed.host.clone();
        (host.addresses, host.routes, host.rules, observed.gates.clone())
    };
    assert_eq!(rest(&all), rest(seen));
}

/// A device that is named by the configuration alone is none that may be passed by.
#[test]
fn declared_devices_are_looked_at() {
    let lab = Lab::new();
    lab.declare(
        "[uplink.spare]\ndev = \"second\"\ngateway = \"192.0.2.1\"\n[uplink.slow]\ngateway = \"$LAB_SLOW\"
        [namespace.job]\nuplink = [\"spare\", \"slow\"]\n[namespace.other]\nuplink = [\"spare\"]",
    );
    lab.ok("ip link add spare type veth peer name inner; ip link property add dev spare altname second");
    // Where no uplink can be used, the first one that is there is taken.
    let told = |names: &str| {
        let shown =
            "nsnat status -o json | jq -c '.namespaces[] | [.name, .state, .device, .gateway, .problems]'";
        lab.sh(&format!("ip link set eth0 down; nsnat up {names}; {shown}")).to_string()
    };
    let before = ["job", ""].map(told);
    lab.ok("nsnat down");
    lab.ok(CONTAINERS);
    assert_eq!(["job", ""].map(told), before);
    assert!(before[0].contains("spare"), "{before:?}");
}
