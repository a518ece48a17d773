//! `scripts/build` and `scripts/install` by sudo, for a user with Rust in the home. (What they install is looked at in
//! tests/pure; packages in tests/systest.)

use crate::lab::Lab;

/// Rust where rustup puts it: it says who builds, and that what is there was built.
const HOME: &str = r#"mkdir -p /tmp/dev/.cargo/bin
cd /tmp/dev/.cargo/bin
cat >cargo <<'END'
#!/bin/sh
[ "$1" != build ] || { id -un; echo $HOME; } >>$HOME/by
echo '{"executable":"/tmp/dev/nsnat"}'
END
printf '#!/bin/sh\n' >rustc
chmod 755 cargo rustc
program=$(readlink -f $(command -v nsnat))
ln -s $program /tmp/dev/nsnat
ln -s $program-exec /tmp/dev/nsnat-exec
echo 'dev:x:4242:4242::/tmp/dev:/bin/sh' >>/etc/passwd
echo 'dev:x:4242:' >>/etc/group
chown -R -h dev: /tmp/dev
cd - >/dev/null
export SUDO_USER=dev CARGO_HOME=/nowhere PATH=/usr/sbin:/usr/bin:/sbin:/bin"#;

#[test]
fn by_sudo_the_callers_rust_builds_as_the_caller() {
    let lab = Lab::new();
    let built = lab.ok(&format!("{HOME}\nscripts/build; cat /tmp/dev/by"));
    assert_eq!(built, "/tmp/dev/nsnat\ndev\n/tmp/dev");
    let installed = lab.ok("SUDO_USER=dev DESTDIR=/tmp/to scripts/install >&2; cd /tmp/to/usr/local
        stat -c '%U %a' bin/nsnat libexec/nsnat/nsnat-exec");
    assert_eq!(installed, "root 755\nroot 755");
}
