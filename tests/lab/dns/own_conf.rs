//! A resolv.conf of the namespace's own: only where the host's names no server that can be asked inside.

use super::watched::Watched;

fn getent(name: &str) -> String {
    format!("bash -c \"getent ahostsv4 {name} | sed 's/ .*//;q'\"")
}

/// Where rewriting does it, the file that programs read is the host's.
#[test]
fn the_hosts_own_file_where_it_can_be() {
    let lab = Watched::new();
    for servers in [&["127.0.0.53"][..], &["::1", "8.8.8.8"], &["192.168.1.1"]] {
        lab.resolv_conf(servers);
        lab.slow("dns = \"$LAB_NEW\"");
        lab.says("nsnat exec slow -- stat -c '%d %i' /etc/resolv.conf | diff - <(stat -c '%d %i' /etc/resolv.conf) && echo same", "same");
    }
    lab.finish();
}

/// `::1` never leaves a namespace, and a query over IPv6 cannot be sent on over IPv4.
#[test]
fn the_ipv6_loopback_and_the_family_that_is_refused() {
    for (server, dns, nameserver) in [
        ("::1", "\"$LAB_NEW\"", "198.51.100.53"),
        ("::1", "\"$LAB_NEW6\"", "2001:db8:53::53"),
        ("2001:4860:4860::8888", "\"$LAB_NEW\"", "198.51.100.53"),
        ("8.8.8.8", "\"$LAB_NEW6\"", "2001:db8:53::53"),
    ] {
        let lab = Watched::new();
        lab.ok(&format!(
            "printf 'search example.test\\nnameserver {server}\\noptions timeout:4\\n' >/etc/resolv.conf"
        ));
        lab.ok("md5sum /etc/resolv.conf >/run/lab/sum");
        lab.slow(&format!("dns = {dns}"));
        lab.inside(
            "cat /etc/resolv.conf",
            &format!("nameserver {nameserver}\nsearch example.test\noptions timeout:4"),
        );
        lab.inside(&getent("to-new.a"), "192.0.2.53");
        // The host's is the host's.
        lab.ok("md5sum --check --status /run/lab/sum");
        lab.finish();
    }
}

#[test]
fn auto_behind_a_stub_on_the_ipv6_loopback() {
    let lab = Watched::new();
    lab.resolv_conf(&["::1"]);
    lab.ok("mkdir -p /run/systemd/resolve; echo nameserver $LAB_SECOND >/run/systemd/resolve/resolv.conf");
    lab.slow("");
    lab.inside(&getent("to-second.a.example.test"), "192.0.2.54");
    lab.says(&getent("host.example.test"), "192.0.2.1");
    lab.finish();
}

/// IPv4's loopback cannot become an IPv6 server.
#[test]
fn auto_behind_a_stub_with_a_server_of_ipv6() {
    let lab = Watched::new();
    lab.ok("mkdir -p /run/systemd/resolve; echo nameserver $LAB_SECOND6 >/run/systemd/resolve/resolv.conf");
    lab.slow("");
    lab.inside(&getent("to-second.a.example.test"), "192.0.2.54");
    lab.finish();
}

/// A link-local server is on a link of the host's.
#[test]
fn a_link_local_server() {
    for (dns, name, answer) in
        [("", "to-second.a", "192.0.2.54"), ("dns = \"host\"", "by-host.a", "192.0.2.54")]
    {
        let lab = Watched::new();
        lab.resolv_conf(&["fe80::1%eth0"]);
        lab.ok(
            "mkdir -p /run/systemd/resolve; echo nameserver $LAB_SECOND >/run/systemd/resolve/resolv.conf",
        );
        lab.slow(dns);
        lab.inside(&getent(&format!("{name}.example.test")), answer);
        lab.finish();
    }
}

/// What is asked over IPv4 only would never come to the server of IPv6.
#[test]
fn servers_of_both_families_are_all_asked() {
    let lab = Watched::new();
    lab.slow("dns = [\"198.51.100.99\", \"$LAB_SECOND6\"]");
    lab.inside(&getent("to-second.a.example.test"), "192.0.2.54");
    lab.finish();
}

/// What a person put into /etc/netns comes before.
#[test]
fn a_file_by_hand_comes_first() {
    let lab = Watched::new();
    lab.resolv_conf(&["::1"]);
    lab.slow("dns = \"$LAB_NEW\"");
    lab.ok("mkdir -p /etc/netns/slow; echo nameserver 127.0.0.77 >/etc/netns/slow/resolv.conf");
    lab.inside("cat /etc/resolv.conf", "nameserver 127.0.0.77");
    lab.inside(&getent("to-new.a.example.test"), "192.0.2.53");
    lab.finish();
}

/// A job that runs while the host replaces its file by rename: behind a link to systemd-resolved's directory the job
/// keeps its own; a plain file's replacement appears, and what cannot be asked is refused, not leaked.
#[test]
fn the_host_replaces_its_file_while_a_job_runs() {
    for (set_up, replace, kept) in [
        (
            "mkdir -p /run/systemd/resolve; echo nameserver ::1 >/run/systemd/resolve/stub-resolv.conf
            ln -sfn ../run/systemd/resolve/stub-resolv.conf /etc/resolv.conf",
            "echo nameserver ::1 >/run/systemd/resolve/new; mv /run/systemd/resolve/new /run/systemd/resolve/stub-resolv.conf",
            true,
        ),
        (
            "echo nameserver ::1 >/etc/new; mv /etc/new /etc/resolv.conf",
            "echo nameserver ::1 >/etc/new; mv /etc/new /etc/resolv.conf",
            false,
        ),
    ] {
        let lab = Watched::new();
        lab.ok(set_up);
        lab.slow("dns = \"$LAB_NEW\"");
        lab.ok("cat >/run/lab/job <<'END'
            getent ahostsv4 to-new.a.example.test | sed 's/ .*//;q'
            touch /run/lab/inside; while [ ! -e /run/lab/replaced ]; do sleep 0.02; done
            getent ahostsv4 to-new.b.example.test | sed 's/ .*//;q'
END");
        lab.ok(&format!(
            "nsnat exec slow bash /run/lab/job >/run/lab/answers 2>&1 & job=$!
            while [ ! -e /run/lab/inside ]; do kill -0 $job; sleep 0.02; done
            {replace}; touch /run/lab/replaced; wait $job"
        ));
        lab.says("cat /run/lab/answers", if kept { "192.0.2.53\n192.0.2.53" } else { "192.0.2.53" });
        lab.finish();
    }
}
