//! A host that lives on router advertisements: it keeps its address and its default route while packets are
//! forwarded, whatever switches of forwarding its kernel has.

use crate::lab::Lab;

/// Takes the host's static IPv6 away and lets the fast router advertise, once a second or so; the lifetime of the
/// default route is a minute, and an advertisement sets it anew.
fn on_advertisements() -> Lab {
    let lab = Lab::new();
    lab.ok("ip -6 route del default via $LAB_FAST6; ip addr del $LAB_HOST6/64 dev eth0
        printf '%s\\n' port=0 interface=lan0 bind-interfaces user=root group=root pid-file= log-facility=/run/lab/log/ra \
            enable-ra 'dhcp-range=2001:db8:1::,ra-only,64,infinite' 'ra-param=lan0,4,60' >/run/lab/ra.conf
        at fast dnsmasq --conf-file=/run/lab/ra.conf --dhcp-leasefile=/run/lab/leases");
    lab.ok(LIVES);
    lab
}

/// Waits for address and route.
const LIVES: &str = "await \"ip -6 route show default | grep -q 'proto ra'\"
    await 'ip -6 addr show dev eth0 scope global -tentative | grep -q 2001:db8:1:'";

/// One advertisement later (dnsmasq takes its time).
const LATER: &str =
    "expires() { ip -6 route show default proto ra | sed -n 's/.*expires \\([0-9]*\\)sec.*/\\1/p'; }
    renewed=0; last=$(expires)
    for ((i = 0; i < 6000 && renewed < 1; i++)); do sleep 0.02; now=$(expires)
        [ -n \"$now\" ] || { echo the default route is gone; exit 1; }
        [ $now -le $last ] || renewed=$((renewed + 1)); last=$now; done
    [ $renewed = 1 ] || { echo the default route is not renewed; exit 1; }";

/// Makes the probe for the switch of each device fail, as on a kernel before 6.17.
const OLD_KERNEL: &str =
    "printf '\\377' >/run/lab/no; mount --bind /run/lab/no /proc/sys/net/ipv6/conf/all/force_forwarding";

/// What is held of IPv4; the host checks the reverse path.
const FOUR: &str = "> net/ipv4/conf/eth0/forwarding:1\n> net/ipv4/conf/eth0/src_valid_mark:1";

fn keeps_listening(lab: &Lab, switches: &str) {
    // Lifetimes count down, and the address of the advertisement is the machine's choice: settings are compared.
    let settings = "(cd /proc/sys && grep -rs '' net/ipv6/conf net/ipv4/conf || true) | grep -v '/nsn-\\|stable_secret' | sort";
    lab.ok(&format!("{settings} >/run/lab/before"));
    lab.declare("[namespace.slow]\ndev = \"eth0\"\ngateway = [\"$LAB_SLOW\", \"$LAB_SLOW_LL\"]");
    lab.ok("nsnat up");
    lab.says("nsnat exec slow whoami6; whoami6", "2001:db8:f::fe\n2001:db8:f::1");
    lab.says(&format!("{settings} | diff /run/lab/before - | grep '^>' || true"), switches);
    lab.says("nsnat up", "nothing to do");
    lab.ok(LATER);
    lab.says("nsnat exec slow whoami6; whoami6", "2001:db8:f::fe\n2001:db8:f::1");
    lab.ok("nsnat down");
    lab.says(&format!("{settings} | diff /run/lab/before -"), "");
    lab.ok(LATER);
    lab.says("whoami6", "2001:db8:f::1");
}

#[test]
fn a_kernel_with_a_switch_for_each_device() {
    let lab = on_advertisements();
    keeps_listening(&lab, &format!("{FOUR}\n> net/ipv6/conf/eth0/force_forwarding:1"));
}

#[test]
fn an_older_kernel() {
    let lab = on_advertisements();
    lab.ok(OLD_KERNEL);
    let six = "all/forwarding:1\ndefault/accept_ra:2\ndefault/forwarding:1\neth0/accept_ra:2\neth0/forwarding:1\neth1/accept_ra:2\neth1/forwarding:1\nlo/forwarding:1";
    let six: Vec<String> = six.lines().map(|line| format!("> net/ipv6/conf/{line}")).collect();
    keeps_listening(&lab, &format!("{FOUR}\n{}", six.join("\n")));
}

/// Why `accept_ra=2` goes first: switching `all.forwarding` on alone takes the default route away.
#[test]
fn the_switch_alone_would_take_the_route() {
    let lab = on_advertisements();
    lab.ok("echo 1 >/proc/sys/net/ipv6/conf/all/forwarding");
    lab.says("ip -6 route show default", "");
}

/// Devices that were told to behave as routers before do so after, too; a kill in the middle changes nothing in that.
#[test]
fn an_older_kernel_gets_everything_back_also_after_kills() {
    let lab = Lab::new();
    lab.ok(OLD_KERNEL);
    lab.ok("echo 1 >/proc/sys/net/ipv6/conf/eth1/forwarding; echo 0 >/proc/sys/net/ipv6/conf/eth1/accept_ra");
    let before = lab.snapshot();
    lab.declare("[namespace.slow]\ngateway = [\"$LAB_SLOW\", \"$LAB_SLOW6\"]");
    lab.ok("nsnat up; nsnat exec slow whoami6; nsnat up | grep 'nothing to do'; nsnat down");
    lab.ok("for i in 05 10 15 20 25 30 35 40 45 50 60 70; do
            timeout -s KILL 0.0$i nsnat up >/dev/null 2>&1 || true
            timeout -s KILL 0.0$i nsnat down >/dev/null 2>&1 || true
        done; nsnat up; nsnat down; rm -r /etc/nsnat");
    lab.same(&before, "after down");
}
