//! nsnat on Debian's own kernel, in a machine that QEMU boots: the scenarios of `tests/vm`, by `scripts/vm`.
#![allow(clippy::unwrap_used, clippy::panic, reason = "this is all tests")]
#![expect(clippy::disallowed_methods, reason = "tests start programs")]

use std::path::Path;
use std::process::Command;

/// A road warrior with a virtual address, and a tunnel for all that has the host's own.
#[test]
fn strongswan() {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap();
    let mut command = Command::new(Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/vm"));
    command.arg("strongswan").env("NSNAT", env!("CARGO_BIN_EXE_nsnat")).env("CARGO_TARGET_DIR", target);
    let output = command.env("LC_ALL", "C.UTF-8").output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&said));
    println!("{}", String::from_utf8_lossy(&said));
}
