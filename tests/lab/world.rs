//! A small world for tests of `exec`: private network, mount and process namespaces with an empty `/run`, a namespace
//! `x` and nsnat's record of it. Nothing outside of it is touched, and nothing of it stays. Without root, unshare(1) or ip(8) a test fails.

use crate::lab::AWAIT;
use std::process::{Command, Output};

const PRELUDE: &str = r#"
set -u
unset http_proxy https_proxy all_proxy ftp_proxy HTTP_PROXY HTTPS_PROXY ALL_PROXY FTP_PROXY
die() { echo "lab: $*" >&2; exit 99; }
mount -t tmpfs tmpfs /run || die 'no private /run: root is needed'
mkdir -p /run/nsnat/ns && chmod 755 /run/nsnat /run/nsnat/ns || die 'mkdir'
mount -t devpts -o newinstance,ptmxmode=666 devpts /dev/pts || die 'no private /dev/pts'
ip netns add x || die 'ip netns add: iproute2 is needed'
record() { printf '{"hide_resolvers":true,"a_field_of_the_future":[1]}' > /run/nsnat/ns/$1; chmod 644 /run/nsnat/ns/$1; }
record x
work=$(mktemp -d -p /run) && chmod 755 "$work" && cd "$work" || die 'no work directory'
"#;

/// Runs a bash script in the world; `$N` is nsnat.
pub(crate) fn run(script: &str) -> Output {
    let script = format!("{AWAIT}{PRELUDE}{script}");
    // A job that never ends is a failure (status 124), not a test that hangs.
    Command::new("timeout")
        .args([
            "-k1",
            "400",
            "unshare",
            "-nmpf",
            "--kill-child",
            "--mount-proc",
            "--propagation",
            "private",
            "bash",
            "-c",
            &script,
        ])
        .env("N", env!("CARGO_BIN_EXE_nsnat"))
        .env("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")
        .env("LC_ALL", "C")
        .stdin(std::process::Stdio::null())
        .output()
        .expect("timeout(1) of coreutils and unshare(1) of util-linux are needed")
}

/// Standard output of a script that has to succeed.
pub(crate) fn stdout(script: &str) -> String {
    let output = run(script);
    assert!(output.status.success(), "{script}\n{}", describe(&output));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Everything that is needed to understand a failure.
pub(crate) fn describe(output: &Output) -> String {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    format!("{}\nstdout:\n{}\nstderr:\n{}", output.status, text(&output.stdout), text(&output.stderr))
}
