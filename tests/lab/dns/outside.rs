//! Programs that never went through `nsnat exec`: nothing inside the namespace is needed for the rewrite.

use super::programs::MUSL;
use super::watched::Watched;

#[test]
fn ip_netns_exec() {
    let lab = Watched::new();
    lab.slow("dns = [\"$LAB_NEW\", \"$LAB_NEW6\"]");
    let inside = |command: &str| lab.says(&format!("ip netns exec slow {command}"), "192.0.2.53");
    inside("bash -c \"getent ahostsv4 to-new.a.example.test | sed 's/ .*//;q'\"");
    inside(&format!("{} to-new.b.example.test", *MUSL));
    for (n, server) in ["8.8.8.8", "2001:4860:4860::8888", "127.0.0.53", "127.0.0.54"].iter().enumerate() {
        inside(&format!("ask {server} to-new.udp{n}.example.test"));
        inside(&format!("ask {server} to-new.tcp{n}.example.test +tcp"));
    }
    lab.finish();
}

/// A service manager of our own starts a service in the namespace. It is the user's manager, run by root: the system's
/// would need a machine of its own, and both start a service by the same code.
const MANAGER: &str = r#"
cg=$(mktemp -d /sys/fs/cgroup/nsnat-test-XXXXXX)
export XDG_RUNTIME_DIR=/run/user/0 SYSTEMD_UNIT_PATH=/run/lab/units SYSTEMD_LOG_TARGET=console
mkdir -p /run/systemd/system $XDG_RUNTIME_DIR $SYSTEMD_UNIT_PATH
cat >$SYSTEMD_UNIT_PATH/job.service <<END
[Service]
Type=oneshot
NetworkNamespacePath=/run/netns/slow
Environment=PATH=$PATH
ExecStart=/bin/bash /run/lab/job
StandardOutput=file:/run/lab/job.out
StandardError=file:/run/lab/job.err
END
for target in basic default; do echo [Unit] >$SYSTEMD_UNIT_PATH/$target.target; done
printf '[Unit]\nDefaultDependencies=no\n' >$SYSTEMD_UNIT_PATH/shutdown.target
(echo $BASHPID >$cg/cgroup.procs; exec /usr/lib/systemd/systemd --user --unit=default.target) >/run/lab/log/systemd 2>&1 &
manager=$!
# Control groups belong to the whole machine: none may stay.
stop() { kill -KILL $manager; wait $manager || true; await 'find "$cg" -depth -type d -exec rmdir {} +'; }
trap stop EXIT
await '[ -S $XDG_RUNTIME_DIR/systemd/private ]'
systemctl --user start job.service || { cat /run/lab/log/systemd /run/lab/job.err >&2; exit 1; }
cat /run/lab/job.out
"#;

#[test]
fn a_systemd_unit_with_network_namespace_path() {
    let lab = Watched::new();
    lab.slow("dns = [\"$LAB_NEW\", \"$LAB_NEW6\"]");
    lab.ok("cat >/run/lab/job <<'END'
set -e
getent ahostsv4 to-new.unit1.example.test | sed 's/ .*//;q'
ask 127.0.0.53 to-new.unit2.example.test +tcp
ask 8.8.8.8 to-new.unit3.example.test
ask 2001:4860:4860::8888 to-new.unit4.example.test
whoami4
END");
    let answers = lab.ok(MANAGER);
    assert_eq!(answers, "192.0.2.53\n192.0.2.53\n192.0.2.53\n192.0.2.53\n203.0.113.254");
    lab.finish();
}
