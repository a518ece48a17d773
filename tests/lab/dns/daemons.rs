//! Daemons of the host that resolve names for whoever opens their socket: the real ones, unpacked from their packages
//! by `scripts/need test` and never installed, because installing them changes how the machine itself resolves.

use super::watched::Watched;

/// Puts the daemons' files where they are looked for: the unpacked ones, else those that the machine has.
const PREPARE: &str = concat!(
    "daemons=",
    env!("CARGO_MANIFEST_DIR"),
    r#"/target/daemons
lib=$(echo /usr/lib/*-linux-gnu)
export LD_LIBRARY_PATH=$daemons$lib:$daemons$lib/systemd
find_daemon() { for file in "$daemons$1" "$1"; do [ -x "$file" ] && echo "$file" && return; done
    echo "no $1: scripts/need test fetches it" >&2; return 1; }
listens() { await "[ -S $1 ]" || { cat /run/lab/log/$2 >&2; return 1; }; }
"#
);

/// Starts one; its process number is in /run/lab/daemon.
const RESOLVED: &str = r"
grep -q ^systemd-resolve: /etc/passwd || echo systemd-resolve:x:990:990::/:/usr/sbin/nologin >>/etc/passwd
grep -q ^systemd-resolve: /etc/group || echo systemd-resolve:x:990: >>/etc/group
mkdir -p /run/systemd /etc/systemd
printf '%s\n' [Resolve] DNS=8.8.8.8 FallbackDNS= DNSSEC=no Cache=no DNSStubListener=no LLMNR=no MulticastDNS=no \
    >/etc/systemd/resolved.conf
daemon=$(find_daemon /lib/systemd/systemd-resolved)
rm -f /run/systemd/resolve/io.systemd.Resolve
$daemon </dev/null >/run/lab/log/resolved 2>&1 & echo $! >/run/lab/daemon
listens /run/systemd/resolve/io.systemd.Resolve resolved
sed -i 's/^hosts:.*/hosts: resolve [!UNAVAIL=return] dns/' /etc/nsswitch.conf
";

const NSCD: &str = r"
mkdir -p /run/nscd
printf '%s\n' 'server-user root' 'enable-cache hosts yes' 'shared hosts no' 'persistent hosts no' 'check-files hosts no' \
    'enable-cache passwd no' 'enable-cache group no' 'enable-cache services no' 'enable-cache netgroup no' >/etc/nscd.conf
daemon=$(find_daemon /usr/sbin/nscd)
rm -f /run/nscd/socket
$daemon -d -f /etc/nscd.conf </dev/null >/run/lab/log/nscd 2>&1 & echo $! >/run/lab/daemon
listens /run/nscd/socket nscd
";

fn getent(name: &str) -> String {
    format!("bash -c \"getent ahostsv4 {name} | sed 's/ .*//;q'\"")
}

/// What goes through the daemon is the host's query: with `exec` none does.
fn hidden(start: &str) {
    let lab = Watched::new();
    lab.slow("dns = \"$LAB_NEW\"");
    lab.ok(&format!("{PREPARE}{start}"));
    let ask = |how: &str, name: &str, answer: &str| {
        lab.says(&format!("{PREPARE}{how} {}", getent(name)), answer);
    };
    // The daemon answers on the host, and whoever is in the namespace without `exec`: so it would leak.
    ask("", "host.example.test", "192.0.2.1");
    ask("ip netns exec slow", "leak.example.test", "192.0.2.1");
    assert_ne!(lab.queries("old", "leak.example.test from 203.0.113.1"), 0, "the control does not leak");
    ask("nsnat exec slow --", "to-new.a.example.test", "192.0.2.53");
    // A daemon that restarts in the middle of a job is as hidden as before.
    lab.ok("cat >/run/lab/job <<'END'
        touch /run/lab/inside
        while [ ! -e /run/lab/restarted ]; do sleep 0.02; done
        getent ahostsv4 to-new.b.example.test | sed 's/ .*//;q'
END");
    lab.ok(&format!(
        "{PREPARE}nsnat exec slow -- bash /run/lab/job >/run/lab/answer & job=$!
        while [ ! -e /run/lab/inside ]; do sleep 0.02; done
        old=$(cat /run/lab/daemon); kill $old; while kill -0 $old 2>/dev/null; do sleep 0.02; done
        {start}
        touch /run/lab/restarted; wait $job"
    ));
    lab.says("cat /run/lab/answer", "192.0.2.53");
    ask("", "host2.example.test", "192.0.2.1");
    lab.finish();
}

#[test]
fn nss_resolve_by_systemd_resolved() {
    hidden(RESOLVED);
}

#[test]
fn nscd() {
    hidden(NSCD);
}

/// `dns = "host"` means the host's daemons, too.
#[test]
fn with_dns_host_they_are_asked() {
    let lab = Watched::new();
    lab.slow("dns = \"host\"");
    lab.ok(&format!("{PREPARE}{RESOLVED}"));
    lab.says(&format!("{PREPARE}nsnat exec slow -- {}", getent("by-host.example.test")), "192.0.2.1");
    assert_eq!(lab.queries("stub", "by-host.example.test"), 0, "it went by DNS, not by the socket");
    lab.finish();
}
