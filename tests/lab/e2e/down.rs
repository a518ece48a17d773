//! `down` leaves nothing of ours and touches nothing of others.

use crate::lab::Lab;

/// Namespaces of every kind: with DNS, without, on two devices, with a subnet of its own.
pub(crate) const EVERYTHING: &str = r#"
[namespace.slow]
gateway = "$LAB_SLOW"
dns = "$LAB_NEW"
[namespace.slow2]
gateway = "$LAB_SLOW"
dns = { rewrite = { "$LAB_OLD" = "$LAB_SECOND" } }
[namespace.third]
gateway = "$LAB_THIRD"
lan = false
[namespace.own]
gateway = "$LAB_THIRD"
subnet = "10.5.0.0/30"
mtu = 1400
"#;

/// What others have on a host: names, numbers and preferences close to ours.
pub(crate) const FOREIGN: &str = r#"
    nft -f - <<END
table inet foreign {
    set nsn { type ipv4_addr; elements = { 10.213.0.1 } }
    chain forward { type filter hook forward priority filter; policy accept; meta mark 0x01000000 accept comment "nsnat"; }
    chain nat { type nat hook postrouting priority srcnat; ip saddr 10.99.0.0/24 masquerade; }
}
table ip nsnat {
    chain forward { type filter hook forward priority filter; policy accept; }
}
END
    ip rule add pref 4209 fwmark 0x1000000/0xff000000 lookup 4242
    ip rule add pref 4214 from 10.99.0.0/24 lookup 4242 protocol kernel
    ip -6 rule add pref 4210 fwmark 0x77 lookup 4242 protocol static
    ip rule add pref 4210 to 10.98.0.0/24 lookup 4242 protocol static
    ip route add default via $LAB_THIRD table 4242
    ip route add 10.97.0.0/24 via $LAB_THIRD proto kernel
    ip route add unreachable 10.96.0.0/24 table 213300 proto kernel
    ip netns add foreign
    ip link add nsn-foreign type veth peer name eth0 netns foreign
    ip link set nsn-foreign alias nsnat:foreign
    ip addr add 10.213.128.1/30 dev nsn-foreign
    ip link set nsn-foreign up
    ip link add grouped type bridge
    ip link set grouped group 7238510
    echo 1 >/proc/sys/net/ipv4/conf/eth0/forwarding
    mkdir -p /etc/netns/slow; echo 10.0.0.1 here >/etc/netns/slow/hosts
"#;

/// Up with a configuration that is deleted; then down.
fn nothing_is_left(plant: &str) {
    let lab = Lab::new();
    lab.ok(plant);
    let before = lab.snapshot();
    lab.declare(EVERYTHING);
    lab.ok("nsnat up");
    lab.says(
        "for name in slow slow2 third own; do nsnat exec $name whoami4; done",
        "203.0.113.254\n203.0.113.254\n203.0.113.3\n203.0.113.3",
    );
    assert!(before.same(&lab.snapshot()).is_err(), "the snapshot does not see what up does");
    lab.ok("rm -r /etc/nsnat; nsnat down");
    lab.same(&before, "after down");
    lab.says("nsnat down", "nothing to do");
    lab.same(&before, "after down for the second time");
}

#[test]
fn on_a_host_that_never_had_a_namespace() {
    nothing_is_left(":");
}

#[test]
fn with_an_empty_directory_of_namespaces() {
    nothing_is_left("ip netns add other; ip netns del other");
}

#[test]
fn with_things_of_others_all_around() {
    nothing_is_left(FOREIGN);
}

/// One by one, in an order of their own, the others untouched.
#[test]
fn one_by_one() {
    let lab = Lab::new();
    let before = lab.snapshot();
    lab.declare(EVERYTHING);
    lab.ok("nsnat up; rm -r /etc/nsnat");
    let job = lab.connection("own");
    for name in ["slow", "third", "slow2"] {
        lab.says(&format!("nsnat down {name}"), &format!("{name}: down"));
        lab.says("nsnat exec own whoami4", "203.0.113.3");
    }
    // The job of the one that stayed went on all the while.
    job.goes_on();
    job.kill();
    lab.says("nsnat down own", "own: down");
    lab.same(&before, "after the last one");
}

#[test]
fn add_and_remove() {
    let lab = Lab::new();
    let before = lab.snapshot();
    for options in ["", "--temporary", "--dns $LAB_NEW", "--subnet 10.5.0.0/30 --dev eth0"] {
        lab.ok(&format!("nsnat add slow --gateway $LAB_SLOW {options}"));
        lab.says("nsnat exec slow whoami4", "203.0.113.254");
        lab.says("nsnat remove slow", "slow: down");
        lab.same(&before, &format!("after add {options} and remove"));
    }
}

#[test]
fn an_ephemeral_namespace() {
    let lab = Lab::new();
    let before = lab.snapshot();
    let script = "nsnat exec --gateway $LAB_SLOW --dns $LAB_NEW -- bash -c 'whoami4; ask 127.0.0.53 a.example.test; exit 7'";
    let output = lab.sh(script);
    assert!(output.status == 7 && output.stdout == "203.0.113.254\n192.0.2.53\n", "{output}");
    lab.same(&before, "after exec --gateway");
    // Killed, it leaves its namespace to whoever comes next.
    lab.ok("nsnat exec --gateway $LAB_SLOW -- sleep 1000 >/dev/null 2>&1 & pid=$!
        await 'pgrep -fx \"sleep 1000\"'
        kill -9 $pid; wait $pid || true; nsnat down --kill");
    lab.same(&before, "after exec --gateway was killed, and down");
}

/// A running job is never cut off, unless that is asked for.
#[test]
fn not_while_processes_are_inside() {
    let lab = Lab::new();
    let before = lab.snapshot();
    lab.declare(EVERYTHING);
    lab.ok("nsnat up");
    let job = lab.job("slow", "sleep 1000");
    lab.until("nsnat ps slow | grep sleep");
    lab.says("nsnat ps | sed 's/ \\+[0-9]\\+ / N /' | sed -n 2p | cut -d ' ' -f 1,2", "slow N");
    lab.says("nsnat ps -o json | jq -r '.namespaces[] | .namespace, (.processes | length)'", "slow\n1");
    let whole = lab.snapshot();
    for command in ["nsnat down slow", "nsnat down"] {
        let words = lab.fails(1, command);
        assert!(words.contains("slow") && words.contains("sleep") && words.contains("--kill"), "{words}");
        lab.same(&whole, &format!("after {command} was refused"));
    }
    lab.ok("nsnat down --kill; rm -r /etc/nsnat");
    job.has_ended();
    lab.same(&before, "after down --kill");
}

/// Its number is taken as long as nobody asks how it ended; it uses nothing any more.
#[test]
fn a_zombie_owns_no_namespace() {
    let lab = Lab::new();
    let before = lab.snapshot();
    lab.ok(r"cat >/run/lab/zombie.pl <<'END'
my $pid = fork // die;
if (!$pid) { exec qw(nsnat exec --gateway), $ENV{LAB_SLOW}, qw(-- sleep 1000) }
my $child;
select undef, undef, undef, 0.02 until $child = `pgrep -x sleep -P $pid`;
kill KILL => $pid, $child;
select undef, undef, undef, 0.02 until `ps -o stat= -p $pid` =~ /Z/ and !`pgrep -x sleep`;
exit system qw(nsnat exec --gateway), $ENV{LAB_SLOW}, qw(-- true);
END
        perl /run/lab/zombie.pl");
    lab.same(&before, "after the owner became a zombie and the next nsnat");
}

/// What was switched on is switched off on the device that it was, whatever that is called by then.
#[test]
fn a_device_that_got_another_name() {
    for up in ["", "nsnat -q up;"] {
        let lab = Lab::new();
        lab.ok("nsnat add third --gateway $LAB_THIRD; nsnat add slow --gateway $LAB_SLOW
            ip link set eth1 down; ip link set eth1 name wan1; ip link set wan1 up");
        lab.says(&format!("{up} nsnat -q down; cat /proc/sys/net/ipv4/conf/*/forwarding | sort -u"), "0");
    }
}

/// Whoever writes next takes away what killed writers left.
#[test]
fn unfinished_files_go_with_the_next_nsnat() {
    let lab = Lab::new();
    lab.declare(EVERYTHING);
    lab.ok("nsnat up; touch /run/nsnat/.nsnat-a /run/nsnat/ns/.nsnat-b; nsnat up slow");
    lab.says("find /run/nsnat -name '.*'", "");
    lab.ok("mkdir /etc/nsnat/conf.d; touch /etc/nsnat/conf.d/.nsnat-c; nsnat add more --gateway $LAB_SLOW");
    lab.says("find /etc/nsnat -name '.*'", "");
}

/// Whatever a process calls itself, it writes no lines and moves no cursor.
#[test]
fn names_of_processes_are_shown_and_not_obeyed() {
    let lab = Lab::new();
    lab.declare(EVERYTHING);
    lab.ok(r"nsnat up; cp $(type -P sleep) $'/run/lab/e\e[31m\nvil'
        (nsnat exec slow $'/run/lab/e\e[31m\nvil' 1000 >/dev/null 2>&1) &
        (nsnat exec slow bash -c $'exec -a \'\e[31mred\n    1  root          init\' sleep 1000' >/dev/null 2>&1) &
        await '[ $(nsnat -q ps slow | grep -c [[:space:]]1000$) = 2 ]'");
    lab.says(r"nsnat ps slow | tail -n +2 | sed 's/^ *[0-9]*  //' | sort", "root          /run/lab/e\\u{1b}[31m\\nvil 1000\nroot          \\u{1b}[31mred\\n    1  root          init 1000");
    let said = lab.fails(1, "nsnat down slow");
    assert!(said.lines().count() == 2 && !said.contains('\u{1b}') && said.contains("\\u{1b}[31m"), "{said}");
    lab.ok("nsnat down --kill");
}
