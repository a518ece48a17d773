//! nsnat beside the real programs, in a Debian that boots: the scenarios of `tests/systest`, by `scripts/systest`.
#![allow(clippy::expect_used, clippy::unwrap_used, clippy::panic, reason = "this is all tests")]
#![expect(clippy::disallowed_methods, reason = "tests start programs")]

use std::path::Path;
use std::process::Command;

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

/// Each scenario a test of its name; a list that lacks one fails [`every_scenario_is_run`].
macro_rules! scenarios {
    ($($test:ident $name:literal)*) => {
        const NAMES: &[&str] = &[$($name),*];
        $(#[test] fn $test() { run($name); })*
    };
}

scenarios! {
    bridge "bridge"
    docker "docker"
    firewalld "firewalld"
    networkd "networkd"
    networkmanager "networkmanager"
    nftables "nftables"
    router "router"
    ufw "ufw"
    wg_quick "wg-quick"
}

fn run(name: &str) {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap();
    let mut command = Command::new(Path::new(ROOT).join("scripts/systest"));
    command.arg(name).env("NSNAT", env!("CARGO_BIN_EXE_nsnat")).env("CARGO_TARGET_DIR", target);
    let output = command.env("LC_ALL", "C.UTF-8").output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&said));
    println!("{}", String::from_utf8_lossy(&said));
}

#[test]
fn every_scenario_is_run() {
    let files = std::fs::read_dir(Path::new(ROOT).join("tests/systest")).unwrap();
    let names = files.map(|file| file.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<_> =
        names.filter(|name| name.strip_suffix(".sh").is_some_and(|stem| stem != "lib")).collect();
    names.sort();
    let expected: Vec<_> = NAMES.iter().map(|name| format!("{name}.sh")).collect();
    assert_eq!(names, expected);
}
