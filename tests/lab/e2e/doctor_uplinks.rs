//! `nsnat doctor`, and uplinks that `nsnat watch` asks, or waits for.

use super::health::{DECLARED, START};
use super::planted::{as_tabled, checks, fail, healthy, succeed};
use crate::lab::Lab;

/// What is said of uplinks and of what hangs on them, waited for: uplinks are asked again and again. All of it is shown.
fn told(codes: &str) -> String {
    format!(
        "await '[[ $(nsnat doctor -o json | jq -r \".findings[] | select(.evidence != []) | .code | select(test(\\\"uplink|last-resort|dns-family\\\"))\" | xargs) = \"{codes}\" ]]'"
    )
}

/// What doctor says now has cures of the kind that the table names, and its checks fail: given back, to succeed in the end.
#[track_caller]
fn checked(lab: &Lab) -> Vec<String> {
    lab.ok("nsnat doctor -o json >/tmp/told || [[ $? == 1 ]]");
    assert!(!as_tabled(lab).is_empty());
    let checks = checks(lab);
    fail(lab, &checks, "no uplink can be used");
    checks
}

/// All of them answer, and have done so for long enough.
const WELL: &str = "await '[[ $(nsnat status -o json | jq -c \"[.namespaces[].uplinks[].condition] | unique\") = \"[\\\"well\\\"]\" ]]'";

fn watched(lab: &Lab, dns: &str, more: &str) {
    let uplinks = DECLARED.split("[namespace").next().unwrap_or_default();
    lab.declare(&format!("{uplinks}[namespace.job]\nuplink = [\"a\", \"b\"]\ndns = \"{dns}\"{more}"));
    lab.ok(START);
    healthy(lab, "nothing was done");
}

#[test]
fn uplinks_that_do_not_answer() {
    let lab = Lab::new();
    watched(&lab, "$LAB_NEW", "");
    lab.mute("third");
    lab.ok(&told("uplink-silent"));
    lab.mute("slow");
    lab.ok(&told("uplinks-dead uplink-silent uplink-silent"));
    let checks = checked(&lab);
    assert_eq!(checks, ["nsnat status --check job"]);
    lab.unmute("slow");
    lab.ok(WELL_B);
    lab.unmute("third");
    lab.ok(&told("uplink-unsteady"));
    lab.ok(WELL);
    healthy(&lab, "all answer again");
    succeed(&lab, &checks);
}

/// The first one is dead, and the other one was trusted again.
const WELL_B: &str = "await '[[ $(nsnat status -o json | jq -c \"[.namespaces[].uplinks[].condition]\") = \"[\\\"dead\\\",\\\"well\\\"]\" ]]'";

/// The host's own way has no IPv6, and the namespace's servers have nothing else.
#[test]
fn the_last_resort() {
    let lab = Lab::new();
    watched(&lab, "$LAB_NEW6", "\nlast-resort = \"main\"");
    lab.mute("third");
    lab.mute("slow");
    lab.ok(&told("last-resort uplink-silent uplink-silent"));
    lab.ok("ip -6 route del default");
    lab.ok(&told("last-resort dns-family uplink-silent uplink-silent"));
    lab.ok("ip -6 route add default via $LAB_FAST6");
    lab.unmute("third");
    lab.unmute("slow");
    lab.ok(WELL);
    healthy(&lab, "all answer again");
}

/// A device that comes late.
#[test]
fn an_uplink_that_is_not_there_yet() {
    let lab = Lab::new();
    lab.declare("[namespace.late]\ndev = \"eth7\"\ngateway = \"198.18.0.1\"\ndns = \"$LAB_NEW\"");
    lab.ok(START);
    lab.ok(&told("no-uplink"));
    assert_eq!(checked(&lab), ["nsnat status --check late"]);
}
