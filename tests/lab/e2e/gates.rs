//! Chains of others on hook forward that stop what they do not know: namespaces get through, and nothing of that stays.
//!
//! The programs are the real ones: nft, iptables in both kinds, ufw, firewalld. What Docker's engine does with iptables
//! is done here by hand, in its words; the booted tests have the engine itself.

use crate::lab::Lab;

const TWO: &str = r#"
    [namespace.slow]
    gateway = ["$LAB_SLOW", "$LAB_SLOW6"]
    dns = "$LAB_NEW"
    [namespace.third]
    gateway = "$LAB_THIRD"
    dns = "$LAB_NEW"
"#;

/// What others keep, without counters: as text of nft, and as iptables sees it.
const RULES: &str = "rules() {
    nft -s list ruleset
    for save in iptables-save ip6tables-save; do $save | sed 's/ \\[[0-9:]*\\]$//; /^#/d'; done
}; rules";

/// A table as the manual of nft has it.
const OWN: &str = "nft -f - <<END
table inet filter {
    chain forward {
        type filter hook forward priority 0; policy drop;
        ct state established accept
        ip daddr 203.0.113.99 accept
    }
}
END";

/// In the words of Docker's engine (its package iptables), for both families.
const DOCKER: &str = "for program in iptables ip6tables; do
    $program -w -P FORWARD DROP
    for chain in DOCKER DOCKER-ISOLATION-STAGE-1 DOCKER-ISOLATION-STAGE-2 DOCKER-USER; do $program -w -N $chain; done
    $program -w -A FORWARD -o docker0 -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
    $program -w -A FORWARD -o docker0 -j DOCKER
    $program -w -A FORWARD -i docker0 ! -o docker0 -j ACCEPT
    $program -w -I FORWARD -j DOCKER-ISOLATION-STAGE-1
    $program -w -A DOCKER-ISOLATION-STAGE-1 -i docker0 ! -o docker0 -j DOCKER-ISOLATION-STAGE-2
    $program -w -A DOCKER-ISOLATION-STAGE-1 -j RETURN
    $program -w -A DOCKER-ISOLATION-STAGE-2 -o docker0 -j DROP
    $program -w -A DOCKER-ISOLATION-STAGE-2 -j RETURN
    $program -w -A DOCKER-USER -j RETURN
    $program -w -I FORWARD -j DOCKER-USER
done";

fn lab(others: &str) -> (Lab, String) {
    let lab = Lab::new();
    lab.declare(TWO);
    lab.ok(others);
    let before = lab.ok(RULES);
    (lab, before)
}

/// The job works, names too, and there is nothing to say and nothing to do.
#[track_caller]
fn works(lab: &Lab) {
    lab.says("nsnat exec slow whoami4", "203.0.113.254");
    lab.says("nsnat exec slow whoami6", "2001:db8:f::fe");
    lab.says("nsnat exec third whoami4", "203.0.113.3");
    lab.says("nsnat exec slow ask 8.8.8.8 a.example.test", "192.0.2.53");
    lab.says("nsnat status -o json | jq -r '.namespaces[] | .state, .problems[]'", "up\nup");
    lab.ok("nsnat plan");
    lab.says("nsnat up", "nothing to do");
}

/// `down` leaves others' rules as they were.
#[track_caller]
fn as_before(lab: &Lab, before: &str) {
    lab.ok("nsnat down");
    lab.says(RULES, before);
    lab.says("ls -d /run/nsnat 2>/dev/null || true", "");
}

/// What status says of a namespace, its problems one a line.
fn problems(lab: &Lab) -> String {
    lab.ok("nsnat status slow -o json | jq -r '.namespaces[] | .state, .problems[]'")
}

#[test]
fn a_table_of_ones_own_whose_policy_is_to_drop() {
    let (lab, before) = lab(OWN);
    lab.ok("nsnat up");
    works(&lab);
    // Loaded anew by its owner, in the middle of everything.
    lab.ok(&format!("nft delete table inet filter; {OWN}"));
    let told = problems(&lab);
    assert!(told.starts_with("broken\n"), "{told}");
    assert!(told.contains("table inet filter, chain forward (policy drop)"), "{told}");
    lab.fails(2, "nsnat plan");
    lab.fails(1, "nsnat exec third whoami4");
    lab.says("nsnat up", "repaired (2 actions)");
    works(&lab);
    as_before(&lab, &before);
}

/// Also where the last word is a rule's, in a chain that the first one jumps to.
#[test]
fn tables_whose_last_rule_rejects() {
    let (lab, before) = lab("for family in ip ip6; do nft -f - <<END
        table $family mine {
            chain last { counter reject; }
            chain forward {
                type filter hook forward priority 10;
                ct state established accept
                iifname { eth5, eth6 } accept
                counter jump last
            }
        }
END
        done");
    lab.ok("nsnat up");
    works(&lab);
    lab.ok("nft -a list chain ip mine forward | grep 'iifgroup 7238510 accept comment \"nsnat\"'");
    as_before(&lab, &before);
}

/// A namespace without IPv6 is none of the business of a chain for IPv6.
#[test]
fn only_the_families_that_it_takes() {
    let (lab, before) = lab("nft -f - <<END
        table ip6 mine { chain forward { type filter hook forward priority 0; policy drop; }; }
END");
    let theirs = "nft list table ip6 mine";
    let untouched = lab.ok(theirs);
    lab.ok("nsnat up third");
    lab.says(theirs, &untouched);
    lab.says("nsnat exec third whoami4", "203.0.113.3");
    lab.ok("nsnat up");
    assert_ne!(lab.ok(theirs), untouched, "the control: slow has IPv6");
    lab.ok("nsnat down slow");
    lab.says(theirs, &untouched);
    as_before(&lab, &before);
}

#[test]
fn a_chain_that_lets_through_is_left_alone() {
    let (lab, before) = lab("iptables -A FORWARD -i eth5 -j DROP; nft -f - <<END
        table inet mine { chain forward { type filter hook forward priority 0; iifname eth5 drop; accept; drop; }; }
END");
    lab.ok("nsnat up");
    works(&lab);
    lab.says(
        "nft -s list ruleset | grep -c '7238510' || true",
        &lab.ok("nft list table inet nsnat | grep -c 7238510"),
    );
    as_before(&lab, &before);
}

#[test]
fn docker() {
    let (lab, before) = lab(DOCKER);
    lab.ok("nsnat up");
    works(&lab);
    // The engine restarts: its jumps go to the head again. What is in DOCKER-USER stays.
    lab.ok("for chain in DOCKER-ISOLATION-STAGE-1 DOCKER-USER; do for program in iptables ip6tables; do
        $program -w -D FORWARD -j $chain; $program -w -I FORWARD -j $chain; done; done");
    works(&lab);
    // Rules that iptables cannot read would make it refuse the table to Docker.
    let readable = lab.ok("iptables -S; ip6tables -S DOCKER-USER");
    assert!(
        readable
            .contains("-A DOCKER-USER -m devgroup --src-group 0x6e736e -m comment --comment nsnat -j ACCEPT")
    );
    lab.ok("iptables -w -A DOCKER -d 172.17.0.2 ! -i docker0 -o docker0 -p tcp --dport 80 -j ACCEPT
        iptables -w -D DOCKER -d 172.17.0.2 ! -i docker0 -o docker0 -p tcp --dport 80 -j ACCEPT");
    as_before(&lab, &before);
}

/// The engine came after `up`, and goes before `down`.
#[test]
fn docker_started_later_and_stopped_earlier() {
    let (lab, before) = lab("true");
    lab.ok(&format!("nsnat up; {DOCKER}"));
    let told = problems(&lab);
    assert!(
        told.contains("table ip filter, chain FORWARD (policy drop); nsnat up lets them through"),
        "{told}"
    );
    lab.ok("nsnat up");
    works(&lab);
    lab.ok("for program in iptables ip6tables; do $program -P FORWARD ACCEPT; $program -F; $program -X; done
        nft delete table ip filter; nft delete table ip6 filter");
    as_before(&lab, &before);
}

#[test]
fn tables_of_the_older_kind() {
    let lab = Lab::new();
    lab.declare(TWO);
    lab.ok("for program in iptables-legacy ip6tables-legacy; do $program -P FORWARD DROP; done");
    let before = lab.ok("iptables-legacy -S; ip6tables-legacy -S");
    lab.ok("nsnat up");
    works(&lab);
    lab.ok("ip6tables-legacy -F FORWARD; iptables-legacy -N DOCKER-USER; iptables-legacy -I FORWARD -j DOCKER-USER");
    lab.fails(2, "nsnat plan");
    lab.ok("nsnat up");
    works(&lab);
    lab.ok("nsnat down; iptables-legacy -D FORWARD -j DOCKER-USER; iptables-legacy -X DOCKER-USER");
    lab.says("iptables-legacy -S; ip6tables-legacy -S", &before);
}

/// Hosts that let in and out what is theirs alone: neighbour discovery on the links of namespaces is stopped, too, and without
/// it their IPv6 is dead. Answers to the host's own questions are as needed as questions to the host.
#[test]
fn what_the_host_does_not_hear_or_send() {
    for kind in ["nft", "legacy"] {
        let lab = Lab::new();
        lab.declare(TWO);
        lab.ok(&format!(
            "for program in iptables-{kind} ip6tables-{kind}; do
                $program -w -N bans; $program -w -A bans -j RETURN
                $program -w -A INPUT -p tcp --dport 22 -j bans
                for device in lo eth0 eth1; do
                    $program -w -A INPUT -i $device -j ACCEPT; $program -w -A OUTPUT -o $device -j ACCEPT
                done
                $program -w -A INPUT -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
                $program -w -P INPUT DROP; $program -w -P OUTPUT DROP
            done"
        ));
        let theirs = format!("iptables-{kind} -S; ip6tables-{kind} -S");
        let before = lab.ok(&theirs);
        lab.ok("nsnat up");
        works(&lab);
        // The host has to ask where the namespace is, to pass an answer on.
        lab.ok("ip -6 neigh flush dev nsn-slow");
        works(&lab);
        lab.ok(&format!("ip6tables-{kind} -w -D INPUT 1"));
        let told = problems(&lab);
        assert!(told.starts_with("broken\n") && told.contains(", chain INPUT (policy drop)"), "{told}");
        lab.says("nsnat up", "repaired (1 action)");
        works(&lab);
        lab.ok("nsnat down");
        lab.says(&theirs, &before);
        // Where the chain accepts it from everybody, in a chain that it jumps to, there is nothing to add.
        lab.ok(&format!(
            "ip6tables-{kind} -w -N icmp; ip6tables-{kind} -w -A INPUT -p icmpv6 -j icmp
            for type in neighbour-solicitation neighbour-advertisement; do
                ip6tables-{kind} -w -A icmp -p icmpv6 --icmpv6-type $type -m hl --hl-eq 255 -j ACCEPT
            done
            nsnat up"
        ));
        works(&lab);
        lab.says(
            &format!(
                "ip6tables-{kind} -S INPUT | grep -c 6e736e || :; ip6tables-{kind} -S OUTPUT | grep -c 6e736e"
            ),
            "0\n1",
        );
    }
}

/// Files of packages that are unpacked and not installed, over those of the machine.
const UNPACKED: &str = concat!(
    "firewalls=",
    env!("CARGO_MANIFEST_DIR"),
    r#"/target/firewalls
[ -e $firewalls/unpacked ] || { echo "no $firewalls: scripts/need test fetches it" >&2; exit 1; }
mkdir -p /run/lab/usr /run/lab/work
mount -t overlay -o lowerdir=$firewalls/usr:/usr,upperdir=/run/lab/usr,workdir=/run/lab/work lab-usr /usr
cp -r $firewalls/lib/* /usr/lib/; cp -r $firewalls/etc/* /etc/
"#
);

#[test]
fn ufw() {
    let (lab, _) = lab(&format!(
        "{UNPACKED} cp /usr/share/ufw/ufw.conf /usr/share/ufw/iptables/*.rules /usr/share/ufw/*.init /etc/ufw/
        ufw --force enable; ufw deny 22/tcp; ufw reload; ufw --force delete deny 22/tcp"
    ));
    // Each reload puts its chains into another order.
    let theirs = format!("{RULES} | sort");
    let before = lab.ok(&theirs);
    lab.ok("nsnat up");
    works(&lab);
    // A reload, and a change, keep what is not ufw's.
    lab.ok("ufw reload; ufw deny 22/tcp");
    works(&lab);
    lab.ok("ufw --force delete deny 22/tcp; nsnat down");
    lab.says(&theirs, &before);
    lab.ok("ufw disable; nsnat up; ufw --force enable; nsnat up");
    works(&lab);
    lab.ok("nsnat down");
    lab.says(&theirs, &before);
}

/// What firewalld closes to a namespace stays closed; a reload takes the passes, `up` gives them back.
#[test]
fn firewalld() {
    let (lab, _) = lab(&format!("{UNPACKED} {FIREWALLD}"));
    let before = lab.ok("nft -s list ruleset");
    assert!(before.contains("table inet firewalld"), "{before}");
    lab.ok("nsnat up");
    works(&lab);
    let knock = "nsnat exec slow socat -u -T 1 TCP:$LAB_HOST:2222,connect-timeout=1 - </dev/null";
    lab.serve("host", "TCP-LISTEN:2222,fork,reuseaddr", "SYSTEM:'echo open'");
    lab.fails(1, knock);
    lab.says("socat -u TCP:127.0.0.1:2222 - </dev/null", "open");
    lab.ok(&format!("kill -HUP $(cat /run/lab/firewalld); {RELOADED}"));
    let told = problems(&lab);
    assert!(told.contains("table inet firewalld, chain filter_FORWARD (rule "), "{told}");
    lab.ok("nsnat -q up");
    works(&lab);
    lab.ok("nsnat down");
    lab.says("nft -s list ruleset", &before);
    for zone in ["drop", "external"] {
        lab.ok(&format!(
            "sed -i 's/^DefaultZone=.*/DefaultZone={zone}/' /etc/firewalld/firewalld.conf
            nsnat up; kill -HUP $(cat /run/lab/firewalld); {RELOADED}
            nft list chain inet firewalld filter_FORWARD_ZONES | grep filter_FWD_{zone}; nsnat -q up"
        ));
        works(&lab);
        lab.ok("nsnat down");
    }
}

const FIREWALLD: &str = r"
    mkdir -p /run/dbus
    dbus-daemon --system --fork --nopidfile --nosyslog --address=unix:path=/run/dbus/system_bus_socket
    firewalld --nofork --nopid </dev/null >/run/lab/log/firewalld 2>&1 & echo $! >/run/lab/firewalld
    await 'nft list chain inet firewalld filter_FORWARD | grep reject'
    await '! nft list table inet firewalld_policy_drop'
    nft list chain inet firewalld filter_FORWARD
";

/// The pass is gone, and the rules are there again.
const RELOADED: &str = "
    gone() { ! nft list ruleset | grep 'comment \"nsnat\"' && ! nft list table inet firewalld_policy_drop 2>/dev/null &&
        nft list chain inet firewalld filter_FORWARD | grep reject; }
    await gone";

/// Only the process that made such a table may change it.
#[test]
fn a_table_that_only_its_owner_may_change() {
    let (lab, _) = lab("mkfifo /run/lab/nft; nft -i </run/lab/nft >/dev/null 2>&1 & exec 5>/run/lab/nft
        printf '%s\n' 'add table inet theirs { flags owner; }' \
            'add chain inet theirs forward { type filter hook forward priority 0; policy drop; }' >&5
        await 'nft list chain inet theirs forward'
        sleep 1000 >&5 2>/dev/null &");
    let said = lab.sh("nsnat up 2>&1");
    let named = "packets are stopped by table inet theirs, chain forward (policy drop)";
    assert!(said.status == 0 && said.stdout.contains(named), "{said}");
    let told = problems(&lab);
    assert!(told.starts_with("broken\n") && told.contains(named) && !told.contains("missing"), "{told}");
    let said = lab.fails(1, "nsnat exec third false");
    assert!(
        said.starts_with("nsnat: third: ") && said.contains(named) && said.lines().count() == 1,
        "{said}"
    );
    lab.ok("nsnat down");
    assert!(lab.ok("nft list ruleset").contains("table inet theirs"));
}

/// As firewalld's panic mode does it. That is meant, and said.
#[test]
fn who_lets_nothing_through_is_named_and_not_worked_round() {
    let (lab, before) = lab("nft -f - <<END
        table inet firewalld_policy_drop {
            chain raw_prerouting { type filter hook prerouting priority -291; policy drop; }
            chain raw_output { type filter hook output priority -291; policy drop; }
        }
END");
    let said = lab.sh("nsnat up 2>&1");
    assert!(said.status == 0 && said.stdout.contains("firewall-cmd --panic-off"), "{said}");
    let told = problems(&lab);
    assert!(told.starts_with("broken\n") && told.contains("firewall-cmd --panic-off"), "{told}");
    lab.says("nft -s list table inet firewalld_policy_drop | grep -c nsnat || true", "0");
    as_before(&lab, &before);
}

/// An iptables without the part that knows groups of devices.
#[test]
fn a_pass_that_is_refused_fails_nothing_else() {
    let lab = Lab::new();
    lab.declare(TWO);
    lab.ok("iptables -P FORWARD DROP; mount --bind /dev/null $(echo /usr/lib/*-linux-gnu/xtables/libxt_devgroup.so)");
    let theirs = "nft -s list ruleset";
    let before = lab.ok(theirs);
    let said = lab.sh("nsnat up 2>&1");
    assert!(said.status == 0 && said.stdout.contains("iptables-nft -w -I FORWARD"), "{said}");
    let told = problems(&lab);
    assert!(told.starts_with("broken\n") && told.contains("table ip filter, chain FORWARD"), "{told}");
    let said = lab.fails(1, "nsnat exec third whoami4");
    assert!(said.contains("packets are stopped by table ip filter"), "{said}");
    lab.ok("nsnat down");
    lab.says(theirs, &before);
}

#[test]
fn a_host_without_iptables() {
    const HIDDEN: &str = "mount --bind /dev/null $(readlink -f $(type -P iptables-nft))";
    let lab = Lab::new();
    lab.declare(TWO);
    lab.ok(&format!(
        "{HIDDEN}; nft add table ip filter
        nft 'add chain ip filter FORWARD {{ type filter hook forward priority 0; policy drop; }}'"
    ));
    let before = lab.ok("nft list ruleset");
    lab.ok("nsnat up");
    works(&lab);
    lab.ok("nsnat down");
    lab.says("nft list ruleset", &before);

    // It was there when the rules were made.
    let lab = Lab::new();
    lab.declare(TWO);
    lab.ok(&format!("{DOCKER}\n{HIDDEN}"));
    let before = lab.ok("nft -s list ruleset");
    let said = lab.sh("nsnat up 2>&1");
    assert!(said.status == 0 && said.stdout.contains("install the package iptables"), "{said}");
    assert!(problems(&lab).starts_with("broken\n"));
    lab.ok("nsnat down");
    lab.says("nft -s list ruleset", &before);
}

#[test]
fn without_a_state_file() {
    let (lab, before) = lab(&format!("{DOCKER}; {OWN}"));
    lab.ok("nsnat up; rm /run/nsnat/state.json; nsnat down");
    lab.says(RULES, &before);
    lab.ok("nsnat up; rm /run/nsnat/state.json; nsnat up");
    works(&lab);
    as_before(&lab, &before);
}

/// The programs, which work as ever, and kill their nsnat before or after that: the first time, the second, and so on.
const KILLER: &str = r#"mkdir -p /run/lab/killer
    for program in nft iptables-nft ip6tables-nft; do cat >/run/lab/killer/$program <<END
#!/bin/sh
input=
case "\$*" in *'-f -'*) input=\$(cat) ;; esac
n=\$(cat /run/lab/turn); echo \$((n - 1)) >/run/lab/turn
if [ \$n = 1 ] && [ \$MOMENT = before ]; then kill -9 \$PPID; exit 1; fi
printf '%s\n' "\$input" | $(type -P $program) "\$@"
status=\$?
if [ \$n = 1 ]; then kill -9 \$PPID; fi
exit \$status
END
    chmod +x /run/lab/killer/$program; done"#;

#[test]
fn killed_at_any_call() {
    let (lab, before) = lab(&format!("{DOCKER}; {OWN}\n{KILLER}"));
    let mut killed = 0;
    for moment in ["before", "after"] {
        for turn in 1..=8 {
            for (first, command) in [("true", "up"), ("nsnat -q up", "down")] {
                let status = lab.ok(&format!(
                    "{first}; echo {turn} >/run/lab/turn
                    set +e; MOMENT={moment} PATH=/run/lab/killer:$PATH nsnat -q {command} >/dev/null 2>&1; echo $?
                    while pgrep -x nft >/dev/null; do sleep 0.02; done"
                ));
                killed += u32::from(status.lines().last() == Some("137"));
                lab.ok("nsnat down");
                lab.says(RULES, &before);
            }
        }
    }
    assert!(killed >= 24, "only {killed} were killed");
}

/// Where nobody stops anything, looking costs no process.
#[test]
fn nothing_is_started_where_nothing_stops() {
    let (lab, _) = lab("true");
    let started = "strace -f -qq -e trace=execve -o /run/lab/trace nsnat up >/dev/null
        grep -o 'execve(\"[^\"]*' /run/lab/trace | sed 's/.*\\///' | sort | uniq -c | sed 's/^ *//'";
    assert_eq!(lab.ok(started), "1 nsnat");
    lab.ok(&format!("nsnat down; {DOCKER}"));
    let started = lab.ok(started);
    assert!(
        started.contains("2 iptables-nft") && started.contains("2 ip6tables-nft"),
        "the control: {started}"
    );
}
