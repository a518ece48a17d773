//! Faults that are planted: `nsnat doctor` names each by its code, with what shows it and the kind of cure that its table says;
//! the cure is pasted as it is printed, and then nothing is wrong and packets get out again.
//!
//! Where nothing can be typed, a script of the test stands for the person, and the check that doctor names fails before and
//! succeeds after it.

use crate::lab::Lab;
use nsnat::model::{Code, Help};
use serde_json::Value;

/// A fault.
#[derive(Clone, Copy)]
pub(super) struct Fault<'a> {
    /// What doctor is to say.
    codes: &'a str,
    /// What does it.
    plant: &'a str,
    healed: Healed<'a>,
    /// What is asked.
    asked: &'a str,
    /// A line that has to be among what shows it.
    shown: Option<&'a str>,
    /// What shows that packets get out afterwards, where that is not what is usual in that lab.
    works: Option<&'a str>,
    /// What takes away what the cure leaves alone.
    then: &'a str,
}

#[derive(Clone, Copy)]
enum Healed<'a> {
    /// By the commands that doctor prints.
    ByCure,
    /// By `nsnat up`, which doctor prints; and once more by `doctor --fix`.
    ByNsnat,
    /// By a person.
    By(&'a str),
}

fn fault<'a>(codes: &'a str, plant: &'a str, healed: Healed<'a>) -> Fault<'a> {
    Fault { codes, plant, healed, asked: "nsnat doctor", shown: None, works: None, then: "" }
}

/// One that the commands heal that doctor prints.
pub(super) fn cured<'a>(codes: &'a str, plant: &'a str) -> Fault<'a> {
    fault(codes, plant, Healed::ByCure)
}

/// One that is nsnat's own to heal.
pub(super) fn mended<'a>(codes: &'a str, plant: &'a str) -> Fault<'a> {
    fault(codes, plant, Healed::ByNsnat)
}

/// One that a person heals, by this script.
pub(super) fn by<'a>(script: &'a str, codes: &'a str, plant: &'a str) -> Fault<'a> {
    fault(codes, plant, Healed::By(script))
}

impl<'a> Fault<'a> {
    pub(super) fn asked(self, asked: &'a str) -> Self {
        Self { asked, ..self }
    }

    pub(super) fn shown(self, line: &'a str) -> Self {
        Self { shown: Some(line), ..self }
    }

    pub(super) fn works(self, condition: &'a str) -> Self {
        Self { works: Some(condition), ..self }
    }

    pub(super) fn then(self, script: &'a str) -> Self {
        Self { then: script, ..self }
    }
}

/// The namespace `slow` gets out by its router, in both families.
pub(super) const BY_SLOW: &str =
    "[[ $(nsnat exec slow whoami4; nsnat exec slow whoami6) = $'203.0.113.254\\n2001:db8:f::fe' ]]";

/// Nothing is wrong. A neighbour may have to be learnt first, and a server that did not answer is passed over for a minute.
#[track_caller]
pub(super) fn healthy(lab: &Lab, when: &str) {
    let told = lab.sh(&format!(
        "for try in {{1..20}}; do {FORGET}; nsnat doctor >/tmp/told && break; done; cat /tmp/told"
    ));
    assert!(told.stdout == "nothing is wrong\n", "{when}: {told}");
}

const FORGET: &str =
    "for set in asked recent down1 down2; do nft flush set inet nsnat dns_$set 2>/dev/null || :; done";

/// Plants each and heals it. `works`: a condition that shows that packets get out.
#[track_caller]
pub(super) fn each(lab: &Lab, works: &str, faults: &[Fault<'_>]) {
    for fault in faults {
        found(lab, fault);
        let checks = checks(lab);
        fail(lab, &checks, fault.codes);
        match fault.healed {
            Healed::ByCure | Healed::ByNsnat => paste(lab, fault.codes),
            Healed::By(script) => drop(lab.ok(script)),
        }
        succeed(lab, &checks);
        well(lab, works, fault);
        if let Healed::ByNsnat = fault.healed {
            found(lab, fault);
            lab.ok(&format!("{} --fix", fault.asked));
            well(lab, works, fault);
        }
    }
}

#[track_caller]
fn found(lab: &Lab, fault: &Fault<'_>) {
    let Fault { codes, plant, asked, shown, .. } = fault;
    lab.ok(plant);
    let told = lab
        .sh(&format!("{asked} -o json >/tmp/told || [[ $? == 1 ]]; jq -r '.findings[] | .code' /tmp/told"));
    let right = told.stdout.split_whitespace().eq(codes.split(' '));
    assert!(right, "{codes} by {plant}: {told}\n{}", report(lab));
    let findings = as_tabled(lab);
    let lines: Vec<&Value> = findings.iter().flat_map(|one| one["evidence"].as_array().unwrap()).collect();
    assert!(shown.is_none_or(|line| lines.iter().any(|shown| *shown == line)), "{codes}: {lines:?}");
    let is_pasted = |one: &Value| one["cure"]["commands"] != Value::Array(Vec::new());
    let by_nsnat = |one: &Value| one["cure"]["by_nsnat"] == true;
    let fits = match fault.healed {
        Healed::ByCure => findings.iter().any(is_pasted),
        Healed::ByNsnat => findings.iter().all(by_nsnat),
        Healed::By(_) => !findings.iter().any(is_pasted),
    };
    assert!(fits, "{codes} has another cure: {}", report(lab));
}

/// What doctor has told last: each with what shows it, and with a cure of the kind that the table names.
#[track_caller]
pub(super) fn as_tabled(lab: &Lab) -> Vec<Value> {
    let told: Value = serde_json::from_str(&lab.ok("cat /tmp/told")).unwrap();
    let findings = told["findings"].as_array().unwrap().clone();
    for one in &findings {
        assert_ne!(one["evidence"], Value::Array(Vec::new()), "{one}");
        let code = Code::ALL.iter().find(|code| one["code"] == code.to_string()).unwrap();
        let cure = &one["cure"];
        let is = match (cure["by_nsnat"] == true, cure["check"].as_str()) {
            (true, None) => Help::Nsnat,
            (false, None) => Help::Commands,
            (false, Some(_)) => Help::Person,
            (true, Some(_)) => panic!("{one}"),
        };
        let has_commands = cure["commands"].as_array().is_some_and(|commands| !commands.is_empty());
        assert_eq!(has_commands, is != Help::Person, "{one}");
        assert!(code.help() == is || code.help() == Help::Either && is != Help::Nsnat, "{one}");
        assert!(!cure["text"].as_str().unwrap().is_empty(), "{one}");
    }
    findings
}

/// What doctor has told last to be checked, without itself.
pub(super) fn checks(lab: &Lab) -> Vec<String> {
    let checks = lab.ok("jq -r '.findings[].cure.check // empty' /tmp/told | sort -u");
    checks.lines().filter(|check| !check.starts_with("nsnat doctor")).map(str::to_owned).collect()
}

#[track_caller]
pub(super) fn fail(lab: &Lab, checks: &[String], when: &str) {
    for check in checks {
        let output = lab.sh(check);
        assert!(output.status != 0, "{when}: the check does not fail: {output}");
    }
}

#[track_caller]
pub(super) fn succeed(lab: &Lab, checks: &[String]) {
    for check in checks {
        lab.until(&format!("{FORGET}; {check}"));
    }
}

/// Runs the commands as they are printed.
#[track_caller]
fn paste(lab: &Lab, codes: &str) {
    let cured = lab.sh(
        "jq -r '.findings[].cure.commands[]' /tmp/told >/tmp/cure; [[ -s /tmp/cure ]]; bash -eux /tmp/cure",
    );
    assert!(cured.status == 0, "the cure of {codes}: {cured}");
}

#[track_caller]
fn well(lab: &Lab, works: &str, fault: &Fault<'_>) {
    healthy(lab, fault.codes);
    lab.until(fault.works.unwrap_or(works));
    lab.ok(fault.then);
}

fn report(lab: &Lab) -> String {
    lab.sh("cat /tmp/told; nsnat status").stdout
}
