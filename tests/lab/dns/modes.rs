//! `dns = "host"`, and no `dns` at all.

use super::watched::Watched;
use crate::lab::Lab;

fn getent(name: &str) -> String {
    format!("bash -c \"getent ahostsv4 {name} | sed 's/ .*//;q'\"")
}

/// Behind a stub: names resolve with no configuration at all, by the servers of the uplink.
#[test]
fn auto_rewrites_a_stub_to_the_servers_behind_it() {
    let lab = Watched::new();
    lab.ok("mkdir -p /run/systemd/resolve; echo nameserver $LAB_SECOND >/run/systemd/resolve/resolv.conf");
    for (n, stub) in ["127.0.0.53", "127.0.0.1"].iter().enumerate() {
        lab.resolv_conf(&[stub]);
        lab.slow("");
        lab.inside(&getent(&format!("to-second.{n}.example.test")), "192.0.2.54");
        lab.says(&getent("host.example.test"), "192.0.2.1");
    }
    lab.finish();
}

/// Several devices, each with servers of its own: those of the uplink's device.
#[test]
fn auto_asks_the_servers_of_the_uplinks_own_link() {
    for (dir, key) in [("/run/systemd/resolve/netif", "SERVERS"), ("/run/systemd/netif/links", "DNS")] {
        let lab = Watched::new();
        lab.ok(&format!(
            "mkdir -p {dir} /run/systemd/resolve
            echo {key}=$LAB_SECOND >{dir}/$(cat /sys/class/net/eth0/ifindex)
            echo {key}=$LAB_OLD >{dir}/$(cat /sys/class/net/eth1/ifindex)
            echo nameserver $LAB_OLD >/run/systemd/resolve/resolv.conf"
        ));
        lab.slow("");
        lab.inside(&getent("to-second.link.example.test"), "192.0.2.54");
        lab.finish();
    }
}

#[test]
fn auto_leaves_servers_alone_that_can_be_reached() {
    let lab = Watched::new();
    lab.resolv_conf(&["8.8.8.8"]);
    lab.slow("");
    lab.inside(&getent("to-old.a.example.test"), "192.0.2.1");
    lab.inside("ask $LAB_SECOND to-second.a.example.test", "192.0.2.54");
    lab.finish();
}

/// A server beside another device, or on the host itself: by the way its name would go to strangers, for nothing.
#[test]
fn auto_does_not_ask_a_server_of_another_device() {
    for server in ["10.20.0.1", "192.168.1.10"] {
        let lab = Watched::new();
        lab.resolv_conf(&[server]);
        lab.slow("");
        lab.says("nsnat status -o json | jq -c '.namespaces[].dns'", "[]");
        // Only where it is known whom to ask instead.
        lab.ok("mkdir -p /run/systemd/resolve/netif
            echo SERVERS=$LAB_SECOND >/run/systemd/resolve/netif/$(cat /sys/class/net/eth0/ifindex); nsnat up");
        lab.inside(&getent("to-second.link.example.test"), "192.0.2.54");
        lab.finish();
    }
}

/// One beside the way's own device is left alone.
#[test]
fn auto_asks_a_server_of_the_ways_own_device() {
    let lab = Watched::new();
    lab.ok("mkdir -p /run/systemd/resolve/netif
        echo SERVERS=$LAB_SECOND >/run/systemd/resolve/netif/$(cat /sys/class/net/eth0/ifindex)");
    lab.resolv_conf(&["192.168.1.1"]);
    lab.slow("");
    lab.says("nsnat status -o json | jq -c '.namespaces[].dns'", "[]");
}

/// To refuse something is not to give up the rest.
#[test]
fn auto_with_refusals() {
    for block in ["dot", "foreign"] {
        let lab = Watched::new();
        lab.ok(
            "mkdir -p /run/systemd/resolve; echo nameserver $LAB_SECOND >/run/systemd/resolve/resolv.conf",
        );
        lab.slow(&format!("dns = {{ block = [\"{block}\"] }}"));
        lab.inside(&getent("to-second.a.example.test"), "192.0.2.54");
        lab.resolv_conf(&["8.8.8.8"]);
        lab.ok("nsnat up");
        lab.inside(&getent("to-old.a.example.test"), "192.0.2.1");
        let other = "nsnat exec slow -- ask $LAB_NEW to-new.a.example.test";
        if block == "foreign" {
            lab.fails(9, other);
        } else {
            lab.says(other, "192.0.2.53");
        }
        lab.finish();
    }
}

/// A stub, and nobody knows what is behind it.
#[test]
fn where_names_cannot_resolve_it_is_said() {
    const WHY: &str = "names do not resolve inside";
    let lab = Watched::new();
    for dns in ["", "dns = { rewrite = { \"2001:db8::1\" = \"$LAB_NEW6\" }, block = [\"foreign\"] }"] {
        lab.resolv_conf(&["127.0.0.53"]);
        lab.declare(&format!("[namespace.slow]\ngateway = \"$LAB_SLOW\"\n{dns}"));
        let told = lab.ok("nsnat up 2>&1; nsnat status");
        assert_eq!(told.matches(WHY).count(), 2, "{told}");
        let test = lab.sh("nsnat dns slow test to-nobody.example.test");
        assert!(test.status == 1 && test.stdout.contains('!'), "{test}");
    }
    lab.resolv_conf(&["8.8.8.8"]);
    lab.declare("[namespace.slow]\ngateway = \"$LAB_SLOW\"");
    let told = lab.ok("nsnat up 2>&1; nsnat status; nsnat dns slow test to-old.example.test");
    assert!(!told.contains(WHY), "{told}");
    // Others answer, but nobody asks them.
    lab.resolv_conf(&["127.0.0.53"]);
    let test = lab.sh("nsnat dns slow test to-old.example.test");
    assert!(test.status == 1 && test.stdout.contains(WHY), "{test}");
}

/// The host's stub answers; what the stub asks is the host's own query, by the host's own way.
#[test]
fn host_asks_the_stub_of_the_host() {
    let lab = Watched::new();
    lab.slow("dns = \"host\"");
    for stub in ["127.0.0.53", "127.0.0.54", "127.0.0.1"] {
        lab.resolv_conf(&[stub]);
        lab.ok("nsnat up");
        for tcp in ["", "+tcp"] {
            let name = format!("by-host.{stub}.{}.example.test", tcp.len());
            lab.inside(&format!("ask {stub} {name} {tcp}"), "192.0.2.1");
            assert_eq!(lab.queries("stub", &name), 1);
        }
    }
    lab.inside(&getent("by-host.example.test"), "192.0.2.1");
    lab.finish();
}

/// Nothing else on the host's loopback is within reach.
#[test]
fn host_opens_port_53_and_nothing_else() {
    let lab = Watched::new();
    lab.slow("dns = \"host\"");
    lab.serve("host", "TCP4-LISTEN:8080,bind=127.0.0.1,fork,reuseaddr", "SYSTEM:'echo host'");
    let ask = "socat -u TCP4:127.0.0.1:8080,connect-timeout=2 -";
    lab.says(ask, "host");
    lab.fails(1, &format!("nsnat exec slow -- {ask}"));
    // Even when the namespace's root sends such packets out.
    lab.ok("ip netns exec slow ip rule add to 127.0.0.0/8 lookup 53 pref 5");
    lab.fails(1, &format!("nsnat exec slow -- {ask}"));
    lab.inside("ask 127.0.0.1 by-host.example.test", "192.0.2.1");
    lab.finish();
}

#[test]
fn host_asks_servers_elsewhere_also_when_the_uplink_is_another_device() {
    let lab = Lab::new();
    let before = lab.snapshot();
    lab.ok("printf 'nameserver 8.8.8.8\nnameserver %s\n' $LAB_OLD6 >/etc/resolv.conf.new; mv /etc/resolv.conf.new /etc/resolv.conf");
    lab.declare("[namespace.third]\ngateway = [\"$LAB_THIRD\", \"$LAB_THIRD6\"]\ndns = \"host\"");
    lab.ok("nsnat up; nsnat plan");
    for ask in [
        "ask 8.8.8.8 a.example.test",
        "ask 8.8.8.8 a.example.test +tcp",
        "ask $LAB_OLD6 a.example.test",
        "dig @8.8.8.8 +short big.test TXT | wc -l",
    ] {
        lab.says(&format!("nsnat exec third {ask}"), if ask.contains("wc") { "8" } else { "192.0.2.1" });
    }
    lab.ok("grep -q 'a.example.test from 203.0.113.1$' /run/lab/dns/old.log; ! grep -q 203.0.113.3 /run/lab/dns/old.log");
    // Everything else at that address takes the namespace's own way.
    lab.says(
        "nsnat exec third socat -u TCP4:8.8.8.8:443 -; nsnat exec third socat -u TCP6:[$LAB_OLD6]:443 -",
        "203.0.113.3\n2001:db8:f::3",
    );
    lab.ok("rm -r /etc/nsnat; nsnat down; printf 'nameserver 127.0.0.53\noptions edns0 trust-ad\n' >/etc/resolv.conf");
    lab.same(&before, "after down");
}

#[test]
fn host_asks_servers_elsewhere_by_the_hosts_own_way() {
    let lab = Watched::new();
    lab.resolv_conf(&["8.8.8.8", "2001:4860:4860::8888"]);
    lab.slow("dns = \"host\"");
    lab.inside(&getent("by-host.four.example.test"), "192.0.2.1");
    lab.inside("ask 2001:4860:4860::8888 by-host.six.example.test", "192.0.2.1");
    assert_eq!(lab.queries("old", "by-host.four.* from 203.0.113.1$"), 1);
    assert_eq!(lab.queries("old", "by-host.six.* from 2001:db8:f::1$"), 1);
    // Only DNS, and only to those.
    lab.inside("whoami4", "203.0.113.254");
    lab.inside("ask $LAB_SECOND to-second.example.test", "192.0.2.54");
    lab.finish();
}
