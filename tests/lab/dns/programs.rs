//! Programs that resolve names in ways of their own, built from `tests/lab/dns/programs`.

use std::process::Command;
use std::sync::LazyLock;

const SOURCES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/lab/dns/programs");
const BUILT: &str = env!("CARGO_TARGET_TMPDIR");

/// getaddrinfo of musl, statically linked: no NSS, no plugin, resolv.conf read by itself.
pub(crate) static MUSL: LazyLock<String> =
    LazyLock::new(|| build("musl-gcc", "getaddrinfo", &["-static"], "musl-tools"));

/// c-ares, as in curl, Node and many others.
pub(crate) static CARES: LazyLock<String> =
    LazyLock::new(|| build("cc", "cares", &["-lcares"], "libc-ares-dev"));

/// Asks again and again by one and the same socket.
pub(crate) static ASKS: LazyLock<String> = LazyLock::new(|| build("cc", "asks", &[], "gcc"));

fn build(compiler: &str, name: &str, options: &[&str], package: &str) -> String {
    let program = format!("{BUILT}/dns-{name}");
    let built = Command::new(compiler)
        .args(["-Wall", "-Wextra", "-Werror", "-o", &program, &format!("{SOURCES}/{name}.c")])
        .args(options)
        .status();
    assert!(
        built.as_ref().is_ok_and(std::process::ExitStatus::success),
        "{compiler} could not build {name} ({built:?}); is the package {package} there? scripts/need test installs it"
    );
    program
}
