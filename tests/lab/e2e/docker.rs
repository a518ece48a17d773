//! `nsnat docker`, called as Docker calls it. What Docker itself does with the answers, `scripts/systest docker` shows;
//! here its part is played by ip(8).

use super::host_services::{HERE, asked};
use super::published::asks;
use super::published_by::UPLINK;
use super::watch::START;
use crate::lab::Lab;

const SLOW: &str = "[namespace.slow]
    gateway = [\"$LAB_SLOW\", \"$LAB_SLOW6\"]
    dns = [\"$LAB_NEW\", \"$LAB_NEW6\"]";

/// `driver` starts it, `dies` kills it, `call NAME JSON` asks it, and `take` does what Docker does to an interface that it is told of.
const DOCKER: &str = r#"cat >/run/lab/docker.sh <<'END'
driver() {
    nsnat docker --socket /run/lab/plugins/nsnat.sock --state /run/lab/networks </dev/null >/run/lab/driver.out 2>&1 &
    echo $! >/run/lab/driver
    await '[ -S /run/lab/plugins/nsnat.sock ] && curl -sf --unix-socket /run/lab/plugins/nsnat.sock -X POST http://d/Plugin.Activate'
}
# While it dies, somebody listens there, and another driver does not start.
dies() { kill -9 "$(cat /run/lab/driver)"; while ss -Hxl | grep -q plugins/nsnat.sock; do sleep 0.02; done; }
call() { curl -sS --fail --unix-socket /run/lab/plugins/nsnat.sock -d "$2" "http://docker/NetworkDriver.$1"; }
network() { call CreateNetwork "{\"NetworkID\":\"n1\",\"Options\":{\"com.docker.network.generic\":$1}}"; }
endpoint() { call CreateEndpoint "{\"NetworkID\":\"n1\",\"EndpointID\":\"$1\",\"Interface\":{\"Address\":\"${2-}\",\"AddressIPv6\":\"\",\"MacAddress\":\"\"},\"Options\":{}}"; }
join() { call Join "{\"NetworkID\":\"n1\",\"EndpointID\":\"$1\",\"SandboxKey\":\"$2\",\"Options\":{}}"; }
ports() { call ProgramExternalConnectivity "{\"NetworkID\":\"n1\",\"EndpointID\":\"$1\",\"Options\":{\"com.docker.network.portmap\":[{\"Proto\":6,\"IP\":\"\",\"Port\":80,\"HostIP\":\"\",\"HostPort\":$2,\"HostPortEnd\":$2}]}}"; }
leave() { call Leave "{\"NetworkID\":\"n1\",\"EndpointID\":\"$1\"}" >/dev/null; call DeleteEndpoint "{\"NetworkID\":\"n1\",\"EndpointID\":\"$1\"}"; }
# take ENDPOINT NETNS: the answers of both calls, as Docker follows them.
take() {
    local made joined own gateway
    made=$(endpoint "$1"); joined=$(join "$1" "/run/netns/$2")
    ip link set "$(jq -r .InterfaceName.SrcName <<<"$joined")" netns "$2" name eth0
    for own in $(jq -r '.Interface | .Address, .AddressIPv6' <<<"$made"); do ip -n "$2" addr add "$own" dev eth0 nodad; done
    ip -n "$2" link set eth0 up
    for near in $(jq -r '.StaticRoutes[] | select(.RouteType == 1) | .Destination' <<<"$joined"); do ip -n "$2" route add "$near" dev eth0 scope link; done
    for gateway in $(jq -r '.Gateway, .GatewayIPv6' <<<"$joined"); do ip -n "$2" route add default via "$gateway"; done
}
END
. /run/lab/docker.sh
driver
ip netns add web; ip -n web link set lo up
ip netns exec web sleep 1000 >/dev/null 2>&1 & echo $! >/run/lab/web"#;

const E: &str = "0123456789abcdef0123456789abcdef";

/// The interface that waits.
const WAITS: &str = "ip -o link show group 7238510 | awk -F '[ @:]+' '{ print $2 }' | grep -v nsn-docke";

fn with_docker() -> Lab {
    let lab = Lab::new();
    lab.declare(SLOW);
    lab.ok(DOCKER);
    lab
}

impl Lab {
    #[track_caller]
    fn docker(&self, line: &str) -> String {
        self.ok(&format!(". /run/lab/docker.sh; {line}"))
    }
}

#[test]
fn a_container_is_there_from_its_endpoint_to_its_end() {
    let lab = with_docker();
    let host = lab.snapshot();
    lab.docker("network '{\"egress\":\"slow\"}'");
    // Its interface waits on the host, down and without an address; everybody knows it, and nobody changes it.
    lab.docker(&format!("endpoint {E}"));
    lab.says(&format!("ip -br addr show dev $({WAITS}) | awk '{{ print $2, $3 }}'"), "DOWN");
    lab.says("nsnat -q up slow; nsnat up", "nothing to do");
    lab.ok("nsnat plan && nsnat doctor docker.0123456789ab && nsnat status --check");
    lab.says(
        "nsnat status docker.0123456789ab -o json | jq -r '.namespaces[] | .state, .problems[], .address[]'",
        "up\n10.213.0.0/32\nfd6e:736e:6174:1::ad5:0/128",
    );
    // Docker repeats what it got no answer to.
    let again = format!("endpoint {E}; take {E} web");
    lab.docker(&again);
    lab.leaves_by_slow();
    lab.says("nsnat up", "nothing to do");
    lab.ok("nsnat plan && nsnat status --check && nsnat doctor docker.0123456789ab && nsnat trace docker.0123456789ab");
    lab.says("nsnat status docker.0123456789ab | sed -n 's/^ *attached *//p'", "in /run/netns/web");
    lab.says("nsnat status -o json | jq -r '.namespaces[] | select(.attached).processes'", "1");
    lab.says("nsnat ps docker.0123456789ab -o json | jq -r '.processes[].comm'", "sleep");
    lab.says("nsnat which $(cat /run/lab/web)", "docker.0123456789ab");
    lab.fails(125, "nsnat exec docker.0123456789ab true");
    // What others take away on the host is put back; what is inside is Docker's.
    lab.ok("ip route del default table 213001; nft flush map inet nsnat mark_of; nsnat up");
    lab.leaves_by_slow();
    // Docker gives it back, and then takes the endpoint away.
    lab.ok("ip netns exec web ip link set eth0 netns 1 2>/dev/null || ip -n web link set eth0 down");
    lab.docker(&format!("leave {E}; leave {E}; call DeleteNetwork '{{\"NetworkID\":\"n1\"}}'"));
    lab.says(
        "ip -n web -br link | awk '{ print $1 }'; [ -e /run/lab/networks ] || echo forgotten",
        "lo\nforgotten",
    );
    lab.ok("nsnat down");
    lab.same(&host, "after the endpoint");
}

#[test]
fn an_interface_that_waits_lets_nothing_out() {
    let lab = with_docker();
    lab.docker(&format!("network '{{\"egress\":\"slow\"}}'; endpoint {E}"));
    // The worst that others can do to it: it is up, and the host would forward for it. What comes out of it is addressed to
    // the world behind the fast router.
    lab.ok(&format!(
        "peer=$({WAITS}); link=$(ip -o link show group 7238510 | awk -F '[ @:]+' '{{ print $2 }}' | grep nsn-docke)
        ip link set $peer up
        sysctl -qw net.ipv4.conf.$peer.forwarding=1 net.ipv4.conf.$peer.rp_filter=0 net.ipv4.conf.$peer.accept_local=1 net.ipv4.conf.all.rp_filter=0
        mac=$(cat /sys/class/net/$peer/address)
        ip addr add 192.0.2.1/32 dev $link; ip route add 198.51.100.99 dev $link table 99; ip rule add pref 1 iif lo from 192.0.2.1 lookup 99
        ip neigh add 198.51.100.99 lladdr $mac dev $link"
    ));
    let send = "echo out | socat -u - UDP4-SENDTO:198.51.100.99:9,bind=192.0.2.1";
    let guarded = lab.capture("lan", "host 198.51.100.99");
    lab.ok(send);
    assert_eq!(guarded.seen(), "", "a packet got out");
    // The control: without nsnat's table, it does.
    let open = lab.capture("lan", "host 198.51.100.99");
    lab.ok(&format!("nft delete table inet nsnat; {send}"));
    assert!(open.seen().contains("198.51.100.99"), "the control");
}

#[test]
fn an_endpoint_ends_with_its_container() {
    let lab = with_docker();
    lab.ok("nsnat up");
    let up = "nsnat status -o json | jq -r '.namespaces[].name'; nft list map inet nsnat mark_of | grep -o 'nsn-[a-z]*'";
    let alone = lab.ok(up);
    lab.docker("network '{\"egress\":\"slow\"}'");
    let end = "kill $(ip netns pids web); ip netns del web; await '! ls /sys/class/net | grep -q nsn-docke'";
    lab.docker(&format!("take {E} web"));
    assert_ne!(lab.ok(up), alone, "the control");
    lab.ok(&format!("{end}; nsnat up"));
    lab.says(up, &alone);
    // The daemon finds it at once.
    lab.ok(START);
    lab.ok("ip netns add web; ip -n web link set lo up; ip netns exec web sleep 1000 >/dev/null 2>&1 &");
    lab.docker(&format!("take {E} web"));
    lab.leaves_by_slow();
    lab.ok(end);
    lab.until("! nft list map inet nsnat mark_of | grep nsn-docke && ! grep -q nsnat-attached /run/nsnat/state.json && [ -z \"$(nsnat status -o json | jq -r '.namespaces[] | select(.attached).name')\" ]");
    lab.end_watch("TERM");
}

#[test]
fn the_driver_may_end_at_any_time() {
    let lab = with_docker();
    lab.docker(&format!("network '{{\"egress\":\"slow\"}}'; endpoint {E}"));
    let again = "dies; driver";
    lab.docker(&format!("{again}; take {E} web"));
    lab.docker(again);
    lab.leaves_by_slow();
    lab.docker(&format!("{again}; leave {E}"));
    // Another one cannot listen there as well.
    let refused = lab.fails(1, "nsnat docker --socket /run/lab/plugins/nsnat.sock --state /run/lab/networks");
    assert!(refused.contains("another program listens there"), "{refused}");
    // After nsnat down, a container goes without; the next one does not.
    lab.docker(&format!("take {E} web; nsnat down; leave {E}"));
    lab.says("ip -n web -br link | awk '{ print $1 }'", "lo");
    lab.docker(&format!("take {E} web"));
    lab.leaves_by_slow();
}

#[test]
fn an_address_of_dockers_is_as_good() {
    let lab = with_docker();
    lab.docker("network '{\"egress\":\"slow\"}'");
    let made = lab.docker(&format!("endpoint {E} 172.18.0.2/16"));
    assert_eq!(made, r#"{"Interface":{"AddressIPv6":"fd6e:736e:6174:1::ac12:2/128"}}"#);
    lab.ok(&format!("ip link set $({WAITS}) netns web name eth0; ip -n web link set eth0 up
        ip -n web addr add 172.18.0.2/16 dev eth0; ip -n web route add 169.254.213.1 dev eth0; ip -n web route add default via 169.254.213.1"));
    lab.says("ip netns exec web whoami4; whoami4", "203.0.113.254\n203.0.113.1");
    lab.ok("nsnat up slow; nsnat plan");
    let refused = lab.docker("endpoint fedcba9876543210 192.168.1.77/24");
    assert!(refused.contains("the subnet 192.168.1.77/32 is in use"), "{refused}");
}

#[test]
fn ports_are_published_and_taken_back() {
    let lab = with_docker();
    lab.docker(&format!("network '{{\"egress\":\"slow\"}}'; take {E} web; ports {E} 8080"));
    lab.ok("ip netns exec web socat TCP4-LISTEN:80,reuseaddr,fork SYSTEM:'echo hello' </dev/null >/dev/null 2>&1 & await '(($(ip netns exec web ss -Hlnt | wc -l) == 1))'");
    let asked = "at slow socat -T 2 - TCP4:$LAB_HOST:8080,connect-timeout=2 </dev/null";
    lab.says(asked, "hello");
    lab.says("nsnat status docker.0123456789ab -o json | jq -r '.namespaces[].published[]'", "8080:80/tcp");
    lab.docker(&format!("call RevokeExternalConnectivity '{{\"NetworkID\":\"n1\",\"EndpointID\":\"{E}\"}}'"));
    lab.fails(1, asked);
    lab.docker(&format!(
        "leave {E}; call RevokeExternalConnectivity '{{\"NetworkID\":\"n1\",\"EndpointID\":\"{E}\"}}'"
    ));
}

/// The network says by which uplink the ports of its containers are asked; the driver may start anew in between.
#[test]
fn ports_are_published_by_another_uplink_where_the_network_says_so() {
    let lab = with_docker();
    let refused = lab.docker("network '{\"egress\":\"slow\",\"publish-by\":\"third\"}'");
    assert!(refused.contains("no uplink is called third"), "{refused}");
    lab.declare(&format!("{UPLINK}\n{SLOW}"));
    lab.docker(&format!(
        "network '{{\"egress\":\"slow\",\"publish-by\":\"third\"}}'; take {E} web; dies; driver; ports {E} 8080"
    ));
    lab.ok("ip netns exec web socat TCP4-LISTEN:80,reuseaddr,fork SYSTEM:'read line; echo seen $SOCAT_PEERADDR' </dev/null >/dev/null 2>&1 & await '(($(ip netns exec web ss -Hlnt | wc -l) == 1))'");
    lab.says(&asks("third", "TCP4", "$LAB_HOST_THIRD:8080"), "seen 10.20.0.1");
    lab.fails(1, &asks("printer", "TCP4", "$LAB_HOST:8080"));
    lab.says(
        "nsnat status docker.0123456789ab -o json | jq -r '.namespaces[].published[]'",
        "8080:80/tcp@third",
    );
    lab.docker(&format!("call RevokeExternalConnectivity '{{\"NetworkID\":\"n1\",\"EndpointID\":\"{E}\"}}'"));
    lab.fails(1, &asks("third", "TCP4", "$LAB_HOST_THIRD:8080"));
}

/// What a network has chosen of the host's services outlives the driver, and ends with the container.
#[test]
fn a_container_reaches_the_services_that_its_network_chose() {
    let lab = with_docker();
    lab.serve_on_the_host();
    let host = lab.snapshot();
    lab.docker("network '{\"egress\":\"slow\",\"host\":\"5432/tcp,5432/udp,8080\"}'");
    lab.docker(&format!("dies; driver; take {E} web"));
    lab.leaves_by_slow();
    lab.reaches_chosen_services_only("ip netns exec web");
    lab.ok("nsnat status --check && nsnat doctor docker.0123456789ab && nft flush set inet nsnat host_ports");
    lab.says(&asked("ip netns exec web", &format!("TCP4:{HERE}:5432")), "Connection refused");
    lab.ok("nsnat up --repair");
    lab.reaches_chosen_services_only("ip netns exec web");
    lab.docker(&format!("leave {E}; call DeleteNetwork '{{\"NetworkID\":\"n1\"}}'"));
    // A network that has chosen nothing: nothing on the loopback is reached, and the rest as by a neighbour.
    lab.docker(&format!(
        "network '{{\"egress\":\"slow\"}}'; ip -n web link del eth0 2>/dev/null || :; take {E} web"
    ));
    lab.says(&asked("ip netns exec web", &format!("TCP4:{HERE}:5432")), "Connection refused");
    lab.says(&asked("ip netns exec web", "TCP4:$LAB_HOST:8081"), "seen 10.213.0.0");
    lab.docker(&format!("leave {E}; call DeleteNetwork '{{\"NetworkID\":\"n1\"}}'"));
    lab.ok("nsnat down");
    lab.same(&host, "after the endpoint");
}
