//! Services of the host that were chosen for a namespace or an attachment: these are reached, and nothing else of the host is.

use super::watch::START;
use crate::lab::Lab;

/// What was chosen for one; one for which nothing was said; and one that reaches nothing of the host.
const THREE: &str = "[namespace.job]
    gateway = [\"$LAB_SLOW\", \"$LAB_SLOW6\"]
    dns = \"$LAB_NEW\"
    host = [\"5432/tcp\", \"5432/udp\", \"8080/tcp\"]
    [namespace.open]
    gateway = [\"$LAB_SLOW\", \"$LAB_SLOW6\"]
    dns = \"$LAB_NEW\"
    [namespace.closed]
    gateway = [\"$LAB_SLOW\", \"$LAB_SLOW6\"]
    dns = \"$LAB_NEW\"
    host = \"none\"";

/// Services of the host: 543x on its loopback only, 808x everywhere.
const SERVICES: [&str; 7] = [
    "TCP4-LISTEN:5432,bind=127.0.0.1,reuseaddr",
    "UDP4-LISTEN:5432,bind=127.0.0.1",
    "TCP4-LISTEN:5433,bind=127.0.0.1,reuseaddr",
    "TCP4-LISTEN:8080,reuseaddr",
    "TCP6-LISTEN:8080,ipv6only,reuseaddr",
    "TCP4-LISTEN:8081,reuseaddr",
    "TCP6-LISTEN:8081,ipv6only,reuseaddr",
];

/// A program inside that asks, and what it is told: the address that the service sees, or nothing.
pub(super) fn asked(by: &str, at: &str) -> String {
    let limit = if at.starts_with("TCP") { ",connect-timeout=2" } else { "" };
    format!(
        "{by} sh -c 'echo question | timeout 5 socat -t2 - {at}{limit}' 2>/run/lab/said || sed -n 's/.*: //p' /run/lab/said"
    )
}

/// The host, as whoever is inside has it.
pub(super) const HERE: &str = "169.254.213.1";

impl Lab {
    #[track_caller]
    pub(super) fn serve_on_the_host(&self) {
        for listen in SERVICES {
            self.serve("host", &format!("{listen},fork"), "SYSTEM:'read line; echo seen $SOCAT_PEERADDR'");
        }
    }

    /// What was chosen ([`THREE`]) is reached, on the host's loopback, too; the rest is refused at once.
    #[track_caller]
    pub(super) fn reaches_chosen_services_only(&self, by: &str) {
        for at in [format!("TCP4:{HERE}:5432"), format!("UDP4:{HERE}:5432"), format!("TCP4:{HERE}:8080")] {
            self.says(&asked(by, &at), "seen 127.0.0.1");
        }
        for at in [format!("TCP4:{HERE}:5433"), format!("TCP4:{HERE}:8081")] {
            self.says(&asked(by, &at), "Connection refused");
        }
        for at in ["TCP4:$LAB_HOST:8081", "TCP6:[$LAB_HOST6]:8081", "TCP4:$LAB_HOST_THIRD:8081"] {
            self.says(&asked(by, at), "Connection refused");
        }
        // Wherever else it listens, a service that was chosen is reached there, too.
        for at in ["TCP4:$LAB_HOST:8080", "TCP6:[$LAB_HOST6]:8080"] {
            let seen = self.ok(&asked(by, at));
            assert!(seen.starts_with("seen 10.213.") || seen.starts_with("seen [fd6e:"), "{seen}");
        }
    }
}

#[test]
fn what_was_chosen_is_reached_and_nothing_else_of_the_host() {
    let lab = Lab::new();
    lab.declare(THREE);
    let host = lab.snapshot();
    lab.ok("nsnat up");
    lab.serve_on_the_host();
    lab.reaches_chosen_services_only("nsnat exec job");
    lab.says(
        "nsnat status job | sed -n 's/^ *of the host *//p'",
        "5432/tcp, 5432/udp, 8080/tcp by 169.254.213.1",
    );
    lab.says(
        "nsnat status -o json | jq -c '.namespaces[] | [.name, .host]'",
        "[\"closed\",[]]\n[\"job\",[\"5432/tcp\",\"5432/udp\",\"8080/tcp\"]]\n[\"open\",null]",
    );
    // Where nothing was said, the host is as any neighbour is, but for its loopback.
    for at in ["TCP4:$LAB_HOST:8081", "TCP6:[$LAB_HOST6]:8081"] {
        assert!(lab.ok(&asked("nsnat exec open", at)).starts_with("seen "));
        lab.says(&asked("nsnat exec closed", at), "Connection refused");
    }
    for name in ["open", "closed"] {
        lab.says(&asked(&format!("nsnat exec {name}"), &format!("TCP4:{HERE}:5432")), "Connection refused");
    }
    // Names are asked, packets leave, and pings are answered, as without it.
    for name in ["job", "closed"] {
        lab.says(
            &format!("nsnat exec {name} whoami4; nsnat exec {name} whoami6; nsnat exec {name} ask 8.8.8.8 a.example.test"),
            "203.0.113.254\n2001:db8:f::fe\n192.0.2.53",
        );
        lab.ok(&format!("nsnat trace {name} $LAB_HOST && nsnat trace {name} $LAB_HOST6"));
    }
    lab.says("nsnat up", "nothing to do");
    lab.ok("nsnat doctor job; nsnat doctor closed; nsnat status --check; nsnat trace job 169.254.213.1:5432");
    // What others take away is put back.
    lab.ok("nft flush set inet nsnat host_ports");
    lab.says(&asked("nsnat exec job", &format!("TCP4:{HERE}:5432")), "Connection refused");
    lab.ok("nft flush set inet nsnat host_only; sysctl -qw net.ipv4.conf.nsn-job.route_localnet=0; nsnat up");
    lab.reaches_chosen_services_only("nsnat exec job");
    lab.ok("nsnat down --kill");
    lab.same(&host, "after down");
}

/// The host's loopback can be asked by way of the address that is for it only: root inside may write any packet.
#[test]
fn nothing_else_of_the_hosts_loopback_is_reached() {
    let lab = Lab::new();
    lab.declare(THREE);
    lab.ok("nsnat up");
    lab.serve_on_the_host();
    // Everything that is sent to a loopback address leaves the namespace, as questions about names do.
    lab.ok("ip -n job rule add pref 5 to 127.0.0.0/8 lookup 53");
    let ask = |port: u16| asked("ip netns exec job", &format!("TCP4:127.0.0.1:{port}"));
    for port in [5432, 5433, 8081] {
        lab.says(&ask(port), "Connection timed out");
    }
    lab.ok("nft flush chain inet nsnat mark_question; nft flush chain inet nsnat arrivals");
    lab.says(&ask(5433), "seen 127.0.0.1");
    // With everything of nsnat's gone, the kernel itself does not let it in by the namespaces that have chosen nothing.
    lab.ok("nsnat up; ip -n open rule add pref 5 to 127.0.0.0/8 lookup 53; nft flush ruleset");
    lab.says(&ask(5433).replace("job", "open"), "Connection timed out");
}

#[test]
fn what_is_not_chosen_any_more_ends() {
    let lab = Lab::new();
    lab.declare(THREE);
    lab.ok("nsnat up");
    lab.serve(
        "host",
        "TCP4-LISTEN:5432,bind=127.0.0.1,reuseaddr,fork",
        "SYSTEM:'while sleep 0.1; do echo line; done'",
    );
    let begin = "nsnat exec job socat -u TCP4:169.254.213.1:5432 - >/run/lab/lines 2>/dev/null & await 'test -s /run/lab/lines'";
    let flows = "conntrack -L -p tcp --orig-port-dst 5432 2>/dev/null | wc -l";
    for less in [
        THREE.replace("\"5432/tcp\", ", ""),
        THREE.replace("host = [\"5432/tcp\", \"5432/udp\", \"8080/tcp\"]", ""),
    ] {
        lab.ok(begin);
        lab.says(flows, "1");
        lab.declare(&less);
        lab.ok("nsnat up");
        lab.says(flows, "0");
        lab.ok("lines=$(wc -l </run/lab/lines); sleep 0.5; (($(wc -l </run/lab/lines) <= lines + 1))");
        lab.says(&asked("nsnat exec job", "TCP4:169.254.213.1:5432"), "Connection refused");
        lab.declare(THREE);
        lab.ok("rm /run/lab/lines; nsnat up");
    }
    lab.ok(begin);
    lab.ok("nsnat down job --kill");
    lab.says(flows, "0");
}

#[test]
fn the_daemon_follows_the_declaration_and_puts_it_back() {
    let lab = Lab::new();
    lab.declare(THREE);
    lab.ok(START);
    lab.serve_on_the_host();
    lab.until("nsnat exec job true");
    lab.reaches_chosen_services_only("nsnat exec job");
    let is_there =
        |port: u16| format!("nft list set inet nsnat host_ports | grep -q 'nsn-job. . tcp . {port}'");
    lab.ok("nft flush set inet nsnat host_ports");
    lab.until(&is_there(5432));
    lab.declare(&THREE.replace("\"8080/tcp\"", "\"8081/tcp\""));
    lab.until(&is_there(8081));
    lab.says(&asked("nsnat exec job", &format!("TCP4:{HERE}:8080")), "Connection refused");
    lab.says(&asked("nsnat exec job", &format!("TCP4:{HERE}:8081")), "seen 127.0.0.1");
}

/// Chains that drop what comes to the host let in what was chosen, and nothing else that they close.
#[test]
fn behind_chains_that_let_nothing_in() {
    const OWN: &str = "nft 'table inet mine {
        chain before { type filter hook prerouting priority -90; policy drop;
            iifname { lo, eth0, eth1 } accept; ct state established accept; }
        chain in { type filter hook input priority 0; policy drop; iifname { lo, eth0, eth1 } accept; }
    }'";
    const IPTABLES: &str = "for program in iptables ip6tables; do
        $program -w -A INPUT -i lo -j ACCEPT; $program -w -A INPUT -i eth0 -j ACCEPT; $program -w -A INPUT -p icmpv6 -j ACCEPT; $program -w -P INPUT DROP; done";
    for others in [OWN, IPTABLES] {
        let lab = Lab::new();
        lab.declare(THREE);
        lab.ok(others);
        lab.serve_on_the_host();
        let rules = "nft -s list ruleset | sed 's/ counter packets [0-9]* bytes [0-9]*//'";
        let before = lab.ok(rules);
        lab.ok("nsnat up");
        lab.says(&asked("nsnat exec job", &format!("TCP4:{HERE}:5432")), "seen 127.0.0.1");
        lab.says(&asked("nsnat exec job", &format!("UDP4:{HERE}:5432")), "seen 127.0.0.1");
        for at in ["TCP4:$LAB_HOST:8080", "TCP4:$LAB_HOST:8081"] {
            lab.says(&asked("nsnat exec open", at), "Connection timed out");
        }
        lab.says("nsnat exec job whoami4", "203.0.113.254");
        lab.says("nsnat up", "nothing to do");
        lab.ok("nsnat doctor job; nsnat status --check");
        // What it takes goes with the namespace that it is for.
        lab.ok("nsnat down job closed");
        lab.says("nft list ruleset | grep -c 'nsnat chosen' || true", "0");
        lab.ok("nsnat down");
        lab.says(rules, &before);
    }
}

#[test]
fn an_attachment_reaches_what_was_chosen_for_it() {
    let lab = Lab::new();
    lab.declare(THREE);
    lab.serve_on_the_host();
    lab.ok("ip netns add web; ip -n web link set lo up");
    let host = lab.snapshot();
    let attach = "nsnat attach /run/netns/web --to open --host 5432 --host 5432/udp --host 8080/tcp";
    lab.ok(attach);
    lab.reaches_chosen_services_only("ip netns exec web");
    lab.says(attach, "nothing to do");
    lab.ok("nsnat doctor web; nsnat status --check web");
    // It has what was chosen for it, and not what was chosen for the namespace that it leaves as.
    lab.ok("nsnat attach /run/netns/web --to job");
    lab.says(&asked("ip netns exec web", &format!("TCP4:{HERE}:5432")), "Connection refused");
    lab.says(&asked("ip netns exec web", &format!("TCP4:{HERE}:8081")), "seen 10.213.0.0");
    lab.ok("nsnat attach /run/netns/web --to job --host none");
    lab.says(&asked("ip netns exec web", &format!("TCP4:{HERE}:8081")), "Connection refused");
    lab.ok("nsnat trace web 169.254.213.1; nsnat detach web");
    lab.same(&host, "after detach");
}
