//! `tests/cni/<case>.call`: a call of a container runtime (variables of the environment, an empty line, standard input) →
//! `<case>.answer`: what is understood of it, and for ADD what is answered when it is done; or the error. `BLESS=1` writes
//! what comes out. The calls are those of the specification's examples, with nsnat in the place of their plugins.

use nsnat::cni::{self, Call, Failure, Interface, Request, Route};
use std::collections::BTreeMap;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};

fn calls(folder: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    let files = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut calls: Vec<PathBuf> =
        files.filter(|path| path.extension().is_some_and(|extension| extension == "call")).collect();
    calls.sort();
    calls
}

#[test]
fn cases() {
    let answer = |environment: &str, input: &str| {
        let variables = environment.lines().map(|line| line.split_once('=').unwrap()).collect();
        answer(&variables, input)
    };
    are_answered("tests/cni", 30, answer);
}

/// The examples of the specification's text, version by version: requests in the order of its appendix, with nsnat in the place of the
/// plugin, and the question for versions. Nothing in the text of 1.0.0 and 1.1.0 differs but the number.
///
/// | call | example |
/// |---|---|
/// | `of-bridge`, `of-ovs`, `of-macvlan` | configurations of one plugin, in 0.4.0 alone. nsnat has no `ipam`, and says so |
/// | `runtime-config` | what a runtime makes of a capability |
/// | `add-bridge`, `check-bridge`, `del-bridge` | the first plugin of the list: the same. DEL takes what is there away, whatever the list says |
/// | `add-tuning`, `check-tuning`, `del-tuning` | the second one. From 1.0.0 on with an argument that nsnat refuses, `mac` |
/// | `add-portmap`, `check-portmap`, `del-portmap` | the third one, since 1.0.0: nsnat behind `bridge`, with a port |
/// | `version` | the question for versions |
///
/// The lists that these requests are made of are run by `tests/systest/podman-cni.sh`. What is left of the text's blocks are forms, the
/// results of other plugins, which are `prevResult` here, and an error, whose keys `errors_have_all_keys` asks for.
const EXAMPLES: [(&str, &[&str]); 3] = [("0.4.0", &OF_0_4), ("1.0.0", &OF_1), ("1.1.0", &OF_1)];

const OF_0_4: [&str; 10] = [
    "of-bridge",
    "of-ovs",
    "of-macvlan",
    "add-bridge",
    "add-tuning",
    "check-bridge",
    "check-tuning",
    "del-tuning",
    "del-bridge",
    "version",
];

const OF_1: [&str; 11] = [
    "runtime-config",
    "add-bridge",
    "add-tuning",
    "add-portmap",
    "check-bridge",
    "check-tuning",
    "check-portmap",
    "del-portmap",
    "del-tuning",
    "del-bridge",
    "version",
];

#[test]
fn the_examples_of_each_version_are_there() {
    let is_there = |version: &str, example: &str| {
        let file = format!("{}/tests/cni/spec-{version}-{example}.call", env!("CARGO_MANIFEST_DIR"));
        let text = fs::read_to_string(file).unwrap_or_default();
        text.contains(&format!("\"cniVersion\": \"{version}\""))
    };
    let missing = |(version, examples): (&str, &'static [&'static str])| {
        let missing = examples.iter().filter(move |example| !is_there(version, example)).copied();
        missing.map(|example| format!("{version} {example}")).collect::<Vec<_>>()
    };
    assert_eq!(EXAMPLES.into_iter().flat_map(missing).collect::<Vec<_>>(), Vec::<String>::new());
}

#[test]
fn errors_have_all_keys() {
    let answers = calls("tests/cni").into_iter().map(|call| call.with_extension("answer"));
    let objects = answers.filter_map(|file| {
        serde_json::from_str::<serde_json::Value>(&fs::read_to_string(file).unwrap()).ok()
    });
    let errors: Vec<_> = objects.filter(|object| object.get("code").is_some()).collect();
    assert!(errors.len() > 20, "only {} errors found", errors.len());
    for error in errors {
        let texts = ["cniVersion", "msg", "details"]
            .map(|key| error[key].as_str().is_some_and(|text| !text.is_empty()));
        assert!(error["code"].is_u64() && !texts.contains(&false), "{error:#}");
    }
}

/// Each call of a folder has its answer; `answer` is given what is before and what is after the first empty line.
pub(crate) fn are_answered(folder: &str, least: usize, answer: impl Fn(&str, &str) -> String) {
    let calls = calls(folder);
    assert!(calls.len() >= least, "only {} calls found", calls.len());
    let wrong: Vec<String> = calls.iter().filter_map(|call| case(call, &answer)).collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

fn case(call: &Path, answer: impl Fn(&str, &str) -> String) -> Option<String> {
    let text = fs::read_to_string(call).unwrap();
    let (before, input) = text.split_once("\n\n").unwrap();
    let actual = answer(before, input);
    let golden = call.with_extension("answer");
    if std::env::var_os("BLESS").is_some() {
        fs::File::create(&golden).unwrap().write_all(actual.as_bytes()).unwrap();
    }
    let expected = fs::read_to_string(&golden).unwrap_or_default();
    (actual != expected).then(|| format!("--- {}\n{expected}\n+++ now\n{actual}", golden.display()))
}

fn answer(variables: &BTreeMap<&str, &str>, input: &str) -> String {
    let command = variables.get("CNI_COMMAND").copied().unwrap_or_default();
    let failed = |failure: Failure| format!("{:#}\n", failure.json());
    if command == "VERSION" {
        return cni::read_version(input)
            .map_or_else(failed, |asked| format!("{:#}\n", cni::supported(&asked)));
    }
    let variable = |name: &str| variables.get(name).map(|value| (*value).to_owned());
    cni::read(command, variable, input).map_or_else(failed, |request| understood(&request))
}

fn understood(request: &Request) -> String {
    let result = match &request.call {
        Call::Add(endpoint) => {
            let made = interface(&endpoint.ifname, &endpoint.netns);
            format!("{:#}\n", cni::added(request.version, &made, endpoint.previous.as_ref()))
        }
        _ => String::new(),
    };
    format!("{request:#?}\n{result}")
}

/// What was made for a container.
pub(crate) fn interface(ifname: &str, netns: &Path) -> Interface {
    let route = |own: &str, gateway: &str, is_way_out: bool| Route {
        own: own.parse().unwrap(),
        gateway: gateway.parse().unwrap(),
        is_way_out,
    };
    Interface {
        ifname: ifname.into(),
        netns: netns.into(),
        mac: Some("99:88:77:66:55:44".into()),
        host_ifname: "nsn-cni1b2e3c4".into(),
        host_mac: Some("55:44:33:22:11:11".into()),
        mtu: Some(1500),
        routes: vec![
            route("10.213.0.0", "169.254.213.1", true),
            route("fd6e:736e:6174:1::ad5:0", "fd6e:736e:6174:1::1", false),
        ],
        nameservers: vec!["198.51.100.53".parse().unwrap()],
    }
}
