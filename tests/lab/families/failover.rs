//! An ordered list of uplinks: the first that can be used is used, and only that.

use crate::lab::Lab;

const DECLARED: &str = "[uplink.a]\ndev = \"eth1\"\ngateway = [\"$LAB_THIRD\", \"$LAB_THIRD6\"]\n\
    [uplink.b]\ndev = \"eth0\"\ngateway = [\"$LAB_SLOW\", \"$LAB_SLOW6\"]\n[namespace.job]\nuplink = [\"a\", \"b\"]";

const WHO: &str = "nsnat exec job whoami4; nsnat exec job whoami6";
const A: &str = "203.0.113.3\n2001:db8:f::3";
const B: &str = "203.0.113.254\n2001:db8:f::fe";

#[test]
fn the_first_that_is_up_and_nothing_by_the_wrong_one() {
    let lab = Lab::new();
    lab.declare(DECLARED);
    lab.ok("nsnat up");
    let service = "host $LAB_SERVICE or host $LAB_SERVICE6";
    let fast = lab.capture("fast", service);
    lab.says(WHO, A);
    // Before anybody acts, nothing leaves by b: not new, not established.
    let slow = lab.capture("slow", service);
    lab.ok("(for to in $LAB_SERVICE $LAB_SERVICE6; do nsnat exec job bash -c 'exec 3<>/dev/tcp/'$to'/7; echo >&3; read <&3; echo got
            while sleep 0.05; do echo again >&3 || break; read -t 0.05 <&3 || [ $? -gt 128 ] || break; done; echo ended' & done; wait) >/run/lab/flows 2>/dev/null &
        await '[ $(grep -c got /run/lab/flows) = 2 ]'
        ip link set eth1 down");
    lab.says(&format!("({WHO}) 2>/dev/null || echo refused"), "refused");
    lab.until("[ $(grep -c ended /run/lab/flows) = 2 ]");
    assert_eq!(slow.seen(), "");
    lab.ok("nsnat up");
    lab.says(WHO, B);
    lab.says("nsnat up", "nothing to do");
    lab.says("nft list set inet nsnat ways4 | grep -c eth1 || true", "0");
    // Back: a's address is there again only when somebody gives it.
    let slow = lab.capture("slow", service);
    lab.ok("ip link set eth1 up; ip addr add $LAB_HOST_THIRD6/64 dev eth1 nodad; nsnat up");
    lab.says(WHO, A);
    assert_eq!(slow.seen(), "");
    // What had been established by b is not let out by a's table, and not by b either.
    assert_eq!(fast.seen(), "");
    let slow = lab.capture("slow", service);
    lab.ok("ip link set eth1 down; nsnat up; nsnat exec job whoami4");
    assert_ne!(slow.seen(), "", "the capture sees what does leave by b");
}

#[test]
fn without_a_carrier_without_a_device_and_without_any() {
    let lab = Lab::new();
    lab.declare(DECLARED);
    lab.ok("at third ip link set lan0 down; nsnat up");
    lab.says(WHO, B);
    lab.ok("at third ip link set lan0 up; at third ip addr add $LAB_THIRD6/64 dev lan0; at third ip addr add $LAB_THIRD_LL/64 dev lan0
        await '[ $(cat /sys/class/net/eth1/carrier) = 1 ]'; nsnat up");
    lab.says(WHO, A);
    lab.ok("ip link set eth1 name gone; nsnat up");
    lab.says(WHO, B);
    lab.ok("ip link set eth0 name away; nsnat up; nsnat up | grep 'nothing to do'");
    lab.says(&format!("({WHO}) 2>/dev/null || echo refused"), "refused");
    let status = lab.ok("nsnat status");
    assert!(status.contains("broken"), "{status}");
    lab.ok("nsnat down");
}
