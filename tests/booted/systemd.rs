//! `nsnat systemd bind` and the unit, in a systemd that really boots: systemd-nspawn on a root made by debootstrap.

use std::process::Command;

/// Makes the root once, a minute or two, below the directory for built files; boots it as many times as there are
/// scripts, on a copy that is kept from boot to boot; prints what the scripts say.
const BOOT: &str = r#"
set -euo pipefail
base=$1 bin=$2 project=$3; shift 3
# systemd wants cgroup v2 alone: some machines have v1 beside it. Seen by nobody but this mount namespace.
mount -t cgroup2 -o nosuid,nodev,noexec cgroup2 /sys/fs/cgroup
mkdir -p "$base"; exec 8>"$base/lock"; flock 8
if ! test -e "$base/root/ready"; then
    rm -rf --one-file-system "$base/root"
    debootstrap --variant=minbase --include=systemd,systemd-sysv,systemd-resolved,dbus,nftables,iproute2,socat,procps \
        bookworm "$base/root" >"$base/log" 2>&1 || { tail -n 5 "$base/log"; exit 97; }
    touch "$base/root/ready"
fi
work=$(mktemp -d -p "$base")
mount -t tmpfs tmpfs "$work"; mkdir "$work/up" "$work/work" "$work/at"
mount -t overlay -o "lowerdir=$base/root,upperdir=$work/up,workdir=$work/work" overlay "$work/at"
trap 'umount "$work/at" "$work"; rmdir "$work"' EXIT
root=$work/at
install -D -m 755 "$bin" "$root/usr/local/bin/nsnat"
install -D -m 644 "$project/scripts/systemd/nsnat.service" "$root/etc/systemd/system/nsnat.service"
mkdir -p "$root/etc/nsnat" "$root/etc/systemd/system/multi-user.target.wants"
printf '[namespace.slow]\ngateway = "192.168.1.254"\n' > "$root/etc/nsnat/nsnat.toml"
cat > "$root/etc/systemd/system/world.service" <<'END'
[Unit]
DefaultDependencies=no
After=nsnat.service
Before=network-online.target network.target
[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=-/bin/bash -c 'ls /run/netns; nsenter --net=/run/netns/slow socat -T2 -u TCP:203.0.113.9:80 STDOUT 2>/dev/null || echo closed'
StandardOutput=file:/run/early
ExecStart=/bin/bash -euc '\
    mkdir -p /run/world; ip link set lo up; \
    ip link add eth0 type veth peer name up0; ip link set up0 up; ip link add br0 type bridge; ip link set br0 up; ip link set up0 master br0; \
    ip address add 192.168.1.10/24 dev eth0; ip link set eth0 up; \
    for r in fast slow; do touch /run/world/$r; unshare --net=/run/world/$r true; ip link add $r type veth peer name lan0; \
        ip link set $r master br0; ip link set $r up; mount --bind /run/world/$r /run/world/$r; \
        ip netns attach $r.world $(nsenter --net=/run/world/$r sh -c "sleep 1000 >/dev/null 2>&1 & echo \\$!"); \
        ip link set lan0 netns $r.world; \
        nsenter --net=/run/world/$r sh -c "ip link set lo up; ip link set lan0 up; ip address add 203.0.113.9/32 dev lo"; done; \
    nsenter --net=/run/world/fast ip address add 192.168.1.1/24 dev lan0; \
    nsenter --net=/run/world/slow ip address add 192.168.1.254/24 dev lan0; \
    ip netns del fast.world; ip netns del slow.world; \
    ip route add default via 192.168.1.1'
ExecStart=/bin/bash -euc 'for r in fast slow; do systemd-run --quiet --unit=answer-$r -p DefaultDependencies=no nsenter --net=/run/world/$r socat TCP-LISTEN:80,fork,reuseaddr "SYSTEM:echo $r"; done'
END
cat > "$root/etc/systemd/system/job.service" <<'END'
[Service]
Type=oneshot
ExecStart=/bin/bash -c 'for i in 1 2 3 4 5 6 7 8 9 10; do socat -T2 -u TCP:203.0.113.9:80 STDOUT && break; sleep 0.2; done; test -S /run/systemd/resolve/io.systemd.Resolve && echo resolver || echo no resolver; cat /etc/resolv.conf >/dev/null && echo resolv.conf'
StandardOutput=append:/root/said
StandardError=append:/root/said
END
cat > "$root/etc/systemd/system/driver.service" <<'END'
[Unit]
After=network-online.target world.service systemd-resolved.service nsnat.service
Wants=network-online.target systemd-resolved.service
Requires=world.service
[Service]
Type=oneshot
ExecStart=/bin/bash -x /root/driver
StandardOutput=append:/root/said
StandardError=append:/root/log
ExecStopPost=/bin/systemctl poweroff --no-block
END
ln -s ../driver.service "$root/etc/systemd/system/multi-user.target.wants/driver.service"
ln -sf /run/systemd/resolve/stub-resolv.conf "$root/etc/resolv.conf"
for script in "$@"; do
    printf '%s\n' "$script" > "$root/root/driver"
    timeout 100 systemd-nspawn --quiet -D "$root" --private-network --register=no --keep-unit --resolv-conf=off --console=pipe -b </dev/null >"$work/console" 2>&1 ||
        { tail -n 30 "$work/console"; exit 98; }
    echo "-- off" >> "$root/root/said"
done
cat "$root/root/said"
cat "$root/root/log" >&2
"#;

/// The unit before there was a daemon.
const OLD: &str = "[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/usr/local/bin/nsnat up
ExecStop=/usr/local/bin/nsnat down";

/// What the daemon may not do itself, a unit does that its `on-change` starts.
const TELL: &str = r#"cat >>/etc/nsnat/nsnat.toml <<'END'
on-change = ["/usr/bin/systemd-run", "--no-block", "--collect", "--quiet", "--setenv=NSNAT_NAMESPACE", "--setenv=NSNAT_EVENT", "/bin/sh", "-c", "echo $NSNAT_NAMESPACE $NSNAT_EVENT >>/run/told"]
END
systemctl reload nsnat; ip link set nsn-slow down; until grep repaired /run/told 2>/dev/null; do sleep 0.1; done"#;

/// The daemon may ask hosts behind uplinks: no move while one answers, and one when it does not.
const ASK: &str = r#"mkdir -p /etc/nsnat/conf.d; cat >/etc/nsnat/conf.d/choice.toml <<'END'
uplink.a = { gateway = "192.168.1.254", check = { kind = "ping", target = "203.0.113.9" } }
uplink.b = { gateway = "192.168.1.1" }
namespace.choice = { uplink = ["a", "b"] }
END
until nsnat events choice | grep -q up; do sleep 0.1; done; sleep 5; nsnat events choice | grep -c moved
nsenter --net=/run/world/slow ip address del 203.0.113.9/32 dev lo
until nsnat events choice | grep -o 'moved from a'; do sleep 0.1; done
rm -r /etc/nsnat/conf.d; nsnat down choice >/dev/null"#;

/// What the scripts print, boot after boot.
fn boots(scripts: &[&str]) -> (String, String) {
    let base = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join("systemd");
    let output = Command::new("unshare")
        .args(["-m", "--propagation", "private", "bash", "-c", BOOT, "boot"])
        .arg(&base)
        .args([env!("CARGO_BIN_EXE_nsnat"), env!("CARGO_MANIFEST_DIR")])
        .args(scripts)
        .env("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")
        .output()
        .expect("unshare(1) of util-linux is needed");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let (said, log) = (text(&output.stdout), text(&output.stderr));
    assert!(output.status.success(), "{}\n{said}\n{log}", output.status);
    (said, log)
}

#[test]
fn a_unit_is_bound_survives_a_reboot_and_is_unbound() {
    let (said, log) = boots(&[
        // Never touched; bound; the way that systemd-run takes.
        "systemctl start job; systemctl enable -q nsnat; nsnat systemd bind slow job; systemctl start job; journalctl -o cat -u nsnat -n 20 >&2
        systemctl is-active nsnat
        systemd-run -q --pipe --wait -p Wants=nsnat.service -p After=nsnat.service -p NetworkNamespacePath=/run/netns/slow socat -T2 -u TCP:203.0.113.9:80 STDOUT
        nsnat systemd bind nothere job; echo $?; nsnat systemd bind slow ../job; echo $?; nsnat systemd bind slow nosuch 2>&1; nsnat systemd unbind nosuch >/dev/null",
        // Before the network was there, it was up and closed.
        "cat /run/early; nsnat list; systemctl is-active nsnat; ls /run/netns; systemctl start job; systemctl restart nsnat; systemctl start job
        nsnat systemd unbind job; nsnat systemd unbind job; echo $?; systemctl start job; ls /etc/systemd/system/job.service.d",
        // A job outlives restarts, reloads and the death of the daemon, and an upgrade from the unit that was none.
        &format!("cat > /run/systemd/system/old.service <<'END'\n{OLD}\nEND
        cp /etc/systemd/system/nsnat.service /root/new; systemctl stop nsnat; cp /run/systemd/system/old.service /etc/systemd/system/nsnat.service
        systemctl daemon-reload; systemctl start nsnat
        systemd-run -q --unit=long -p Wants=nsnat.service -p NetworkNamespacePath=/run/netns/slow sleep 100; systemctl show -P MainPID long > /run/long
        cp /root/new /etc/systemd/system/nsnat.service; systemctl daemon-reload; systemctl restart nsnat; pgrep -x nsnat > /run/daemon; systemctl reload nsnat
        systemctl kill -s KILL nsnat; until systemctl is-active nsnat && ! pgrep -x nsnat -F /run/daemon; do sleep 0.1; done >/dev/null
        systemctl show -P MainPID long | diff - /run/long && ps -o comm= -p $(cat /run/long)
        systemd-analyze security --threshold=40 nsnat.service >/dev/null && echo hardened
        {TELL}
        {ASK}"),
        // A stop leaves all as it is.
        "systemctl start job; systemctl disable -q nsnat; systemctl stop nsnat; ls /run/netns
        nsnat systemd bind slow job >/dev/null; nsnat remove slow 2>&1",
    ]);
    let (fast, slow) = ("fast\nresolver\nresolv.conf\n", "slow\nno resolver\nresolv.conf\n");
    let bound = "job.service: in slow from its next start on (systemctl restart job.service)\n";
    let unbound = "job.service: as before from its next start on (systemctl restart job.service)\n";
    let unknown = "nsnat: systemd knows no nosuch.service yet; nsnat systemd unbind nosuch.service takes back what was said\n\
        nosuch.service: in slow from its next start on (systemctl restart nosuch.service)\n";
    let left = "slow: down\nnsnat: job.service is bound to slow and cannot start without it; nsnat systemd unbind job.service\n";
    let expected = format!(
        "{fast}{bound}{slow}active\nslow\n1\n2\n{unknown}-- off\nslow\nclosed\nslow\nactive\nslow\n{slow}{slow}{unbound}1\n{fast}-- off\nsleep\nhardened\nslow repaired\n0\nmoved from a\n-- off\n{fast}slow\n{left}-- off\n"
    );
    assert_eq!(said, expected, "{log}");
}
