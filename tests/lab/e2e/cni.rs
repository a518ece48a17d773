//! nsnat as a plugin of the Container Network Interface, called as container runtimes do it.

use super::host_services::{HERE, asked};
use super::published::{FORWARD, asks};
use super::published_by::UPLINK;
use crate::lab::Lab;

/// `cni COMMAND CONTAINER [NETNS]`: the plugin with a network configuration in `$CONF` (1.0.0, by slow, where there is none),
/// for the interface eth0, or another one in `$CNI_IFNAME`. The plugin is found by its type, as a runtime finds it.
const RUNTIME: &str = r#"
    mkdir -p /run/lab/cni; ln -sf "$(command -v nsnat)" /run/lab/cni/nsnat
    cni() {
        local conf=${CONF:-'{"cniVersion":"1.0.0","name":"net","type":"nsnat","egress":"slow"}'}
        env CNI_COMMAND="$1" CNI_CONTAINERID="${2-}" CNI_NETNS="${3-}" CNI_IFNAME="${CNI_IFNAME-eth0}" CNI_PATH=/run/lab/cni \
            /run/lab/cni/nsnat <<<"$conf" 2>/run/lab/cni/stderr
    }
    gc() { CONF='{"cniVersion":"1.1.0","name":"net","type":"nsnat","egress":"slow","cni.dev/valid-attachments":['"$1"']}' cni GC; }
"#;

fn with_egress() -> Lab {
    let lab = Lab::new();
    lab.declare("[namespace.slow]\ngateway = [\"$LAB_SLOW\", \"$LAB_SLOW6\"]\ndns = \"$LAB_NEW\"");
    lab
}

impl Lab {
    /// A script of a runtime, which prints this.
    #[track_caller]
    fn runtime_says(&self, script: &str, expected: &str) {
        self.says(&format!("{RUNTIME}{script}"), expected);
    }
}

#[test]
fn a_container_comes_and_goes() {
    let lab = with_egress();
    lab.ok("ip netns add blue; ip -n blue link set lo up");
    let before = lab.snapshot();
    lab.ok(&format!("{RUNTIME} cni ADD example /run/netns/blue >/run/lab/cni/result"));
    let result = "jq -c '[.cniVersion, .interfaces[1].name, .interfaces[1].sandbox, .ips[0].address, .ips[0].gateway, .ips[0].interface, .routes[0].dst, .routes[1].dst, .dns.nameservers]' /run/lab/cni/result";
    lab.says(
        result,
        r#"["1.0.0","eth0","/run/netns/blue","10.213.0.0/32","169.254.213.1",1,"0.0.0.0/0","::/0",["198.51.100.53"]]"#,
    );
    // The addresses are those that the kernel has.
    lab.says(
        "[ \"$(jq -r '.interfaces[1].mac' /run/lab/cni/result)\" = \"$(ip -n blue -j link show dev eth0 | jq -r '.[0].address')\" ]
        link=$(jq -r '.interfaces[0].name' /run/lab/cni/result)
        [ \"$(jq -r '.interfaces[0].mac' /run/lab/cni/result)\" = \"$(ip -j link show dev $link | jq -r '.[0].address')\" ] && echo same",
        "same",
    );
    lab.says(
        "ip netns exec blue whoami4; ip netns exec blue whoami6; ip netns exec blue ask $LAB_OLD a.example.test",
        "203.0.113.254\n2001:db8:f::fe\n192.0.2.53",
    );
    // What was added is as it was added; without one of its routes it is not.
    let check = r#"export CONF='{"cniVersion":"1.0.0","name":"net","type":"nsnat","egress":"slow","prevResult":'"$(cat /run/lab/cni/result)"'}'; "#;
    lab.runtime_says(&format!("{check} cni CHECK example /run/netns/blue; echo $?"), "0");
    lab.ok("ip -n blue route del default");
    lab.runtime_says(&format!("{check} {{ cni CHECK example /run/netns/blue || :; }} | jq .code"), "101");
    lab.ok("nsnat -q up --repair");
    lab.runtime_says(&format!("{check} cni CHECK example /run/netns/blue; echo $?"), "0");
    lab.runtime_says(&format!("{check} {{ cni CHECK another /run/netns/blue || :; }} | jq .code"), "3");
    // Again and again, also without the network namespace and the configuration that it came by.
    lab.runtime_says("cni DEL example /run/netns/blue; cni DEL example; CONF='{\"cniVersion\":\"1.0.0\",\"name\":\"net\"}' cni DEL example; echo $?", "0");
    lab.same(&before, "after DEL");
}

/// What a plugin before nsnat has made: an interface with an address and a way out by the host's own, and what it answered.
const ROUTED: &str = r#"
    ip netns add blue; ip link add veth1 up type veth peer name eth0 netns blue; ip addr add 10.88.0.1/24 dev veth1
    ip -n blue link set lo up; ip -n blue addr add 10.88.0.2/24 dev eth0; ip -n blue link set eth0 up
    ip -n blue route add default via 10.88.0.1
    sysctl -qw net.ipv4.ip_forward=1
    nft -f - <<<'table ip main { chain post { type nat hook postrouting priority srcnat; ip saddr 10.88.0.0/24 oifname != "veth1" masquerade; }; }'
"#;

const CHAINED: &str = r#"
    chained() {
        local previous='{"cniVersion":"1.0.0","interfaces":[{"name":"veth1"},{"name":"eth0","sandbox":"/run/netns/blue"}],"ips":[{"address":"10.88.0.2/24","gateway":"10.88.0.1","interface":1}],"routes":[{"dst":"0.0.0.0/0"}],"dns":{}}'
        CONF='{"cniVersion":"1.0.0","name":"net","type":"nsnat","egress":"slow",'"${MORE-}"'"except":["192.168.1.0/24"],"prevResult":'"${2:-$previous}"'}' \
            cni "$1" example /run/netns/blue
    }
"#;

/// A server in the container that says whom it sees.
const SERVE: &str = r"
    for family in 4 6; do
        ip netns exec blue socat TCP$family-LISTEN:80,reuseaddr$([ $family = 4 ] || echo ,ipv6only),fork SYSTEM:'read line; echo seen $SOCAT_PEERADDR' </dev/null >/dev/null 2>&1 &
    done
    await '(($(ip netns exec blue ss -Hlnt | wc -l) == 2))'
";

/// `ports COMMAND MAPPINGS`: as a runtime asks for ports.
const PORTS: &str = r#"
    ports() {
        CONF='{"cniVersion":"1.0.0","name":"net","type":"nsnat","egress":"slow",'"${MORE-}"'"capabilities":{"portMappings":true},"runtimeConfig":{"portMappings":'"$2"'}}' cni "$1" "${CNI_CONTAINERID-example}" "${CNI_NETNS-/run/netns/blue}"
    }
"#;

/// Behind another plugin: nsnat's way comes first, what has a route of its own, or is excepted, goes by the other one; and
/// without nsnat's interface nothing falls through to that.
#[test]
fn behind_another_plugin_its_way_comes_first() {
    let lab = with_egress();
    lab.ok(ROUTED);
    lab.says("ip netns exec blue whoami4", "203.0.113.1");
    let before = lab.snapshot();
    let says = |script: &str, expected: &str| lab.runtime_says(&format!("{CHAINED}{script}"), expected);
    says(
        "chained ADD >/run/lab/cni/result; jq -c '[.interfaces[].name] - [.interfaces[2].name], [.ips[] | .address, .interface]' /run/lab/cni/result",
        "[\"veth1\",\"eth0\",\"nsnat0\"]\n[\"10.88.0.2/24\",1]",
    );
    let ways = "ip netns exec blue whoami4; ip netns exec blue whoami6; ip netns exec blue ask $LAB_OLD a.example.test";
    lab.says(ways, "203.0.113.254\n2001:db8:f::fe\n192.0.2.53");
    // The neighbours, the exception, and what is sent from the other address: as before.
    lab.says("ip netns exec blue socat -u TCP4:$LAB_SERVICE:80,bind=10.88.0.2 -", "203.0.113.1");
    let device = |to: &str| format!("ip -n blue route get {to} | grep -o 'dev [a-z0-9]*'; ");
    let devices = ["10.88.0.1", "$LAB_PRINTER", "$LAB_SERVICE"].map(device).concat();
    lab.says(&devices, "dev eth0\ndev eth0\ndev nsnat0");
    says("chained CHECK \"$(cat /run/lab/cni/result)\"; echo $?", "0");
    says("{ chained CHECK \"$(sed s/10.88.0.2/10.88.0.3/ /run/lab/cni/result)\" || :; } | jq .code", "101");
    lab.ok("ip -n blue rule del pref 21302");
    says("{ chained CHECK \"$(cat /run/lab/cni/result)\" || :; } | jq .code", "101");
    lab.ok("nsnat -q up --repair");
    says("chained CHECK \"$(cat /run/lab/cni/result)\"; echo $?", "0");
    // Without the interface there is no way, for either family; and `up` makes it again.
    let closed = "ip netns exec blue whoami4 || echo closed; ip netns exec blue whoami6 || echo closed";
    lab.ok("ip -n blue link del nsnat0");
    lab.says(&format!("{{ {closed}; }} 2>/dev/null | grep -v '^$'"), "closed\nclosed");
    lab.ok("nsnat -q up --repair");
    lab.says(ways, "203.0.113.254\n2001:db8:f::fe\n192.0.2.53");
    says("chained DEL; echo $?", "0");
    lab.says(&format!("{{ {closed}; }} 2>/dev/null | grep -v '^$'"), "closed\nclosed");
    lab.ok("nsnat -q down");
    lab.same(&before, "after DEL");
}

/// A network of its own beside another one, as Multus calls for it: what the network excepts goes by the other one, also when
/// nsnat's interface is gone, and nothing else does; and DEL gives everything back.
#[test]
fn a_second_network_is_the_way_out_until_it_is_taken_away() {
    let lab = with_egress();
    lab.ok(ROUTED);
    let inside = "{ for f in -4 -6; do ip -n blue $f rule; ip -n blue $f route show table all; done; ip -n blue -br -4 addr; } | grep -v 'fe80:\\|ff00:'";
    let (host, before) = (lab.snapshot(), lab.ok(inside));
    let second = r#"export CNI_IFNAME=net1
        second() {
            local conf='{"cniVersion":"1.0.0","name":"net","type":"nsnat","egress":"slow",'
            CONF=$conf${MORE-'"except":["192.168.1.0/24"],'}'"prevResult":'"${2-null}"'}' cni "$1" example /run/netns/blue
        }; "#;
    let says = |script: &str, expected: &str| lab.runtime_says(&format!("{second}{script}"), expected);
    // Without a word of what goes by the other one, that would be left to chance.
    says(
        "{ MORE= second ADD || :; } | jq -r .details | grep -o 'has a default route by eth0 already'",
        "has a default route by eth0 already",
    );
    assert_eq!(before, lab.ok(inside));
    says(
        "second ADD >/run/lab/cni/result; jq -c '.interfaces[1].name, .ips[0].address' /run/lab/cni/result",
        "\"net1\"\n\"10.213.0.0/32\"",
    );
    let ways = "ip netns exec blue whoami4; ip netns exec blue whoami6; ip netns exec blue ask $LAB_OLD a.example.test";
    let by_slow = "203.0.113.254\n2001:db8:f::fe\n192.0.2.53";
    let others = "for to in 10.88.0.1 $LAB_PRINTER \"$LAB_SERVICE from 10.88.0.2\"; do ip -n blue route get $to | grep -o 'dev [a-z0-9]*'; done";
    let closed = "{ ip netns exec blue whoami4 || echo closed; ip netns exec blue whoami6 || echo closed; } 2>/dev/null | grep -v '^$'";
    lab.says(ways, by_slow);
    lab.says(others, "dev eth0\ndev eth0\ndev eth0");
    says("second CHECK \"$(cat /run/lab/cni/result)\"; echo $?", "0");
    lab.ok("ip -n blue link del net1");
    lab.says(closed, "closed\nclosed");
    lab.says(others, "dev eth0\ndev eth0\ndev eth0");
    says("{ second CHECK \"$(cat /run/lab/cni/result)\" || :; } | jq .code", "101");
    lab.ok("nsnat -q up --repair; nsnat -q up --repair");
    lab.says(ways, by_slow);
    lab.ok("nsnat doctor cni.example.net1; nsnat status --check");
    says("second DEL; echo $?", "0");
    assert_eq!(before, lab.ok(inside));
    lab.says("ip netns exec blue whoami4", "203.0.113.1");
    says("second DEL; echo $?", "0");
    lab.ok("nsnat -q down");
    lab.same(&host, "after DEL");
    // Who takes nsnat away by another word than the runtime's means no other way: it stays closed.
    says("second ADD >/dev/null; nsnat -q down; echo $?", "0");
    lab.says(closed, "closed\nclosed");
}

/// A network whose containers' ports are asked by another uplink than the one by which they leave.
#[test]
fn a_network_publishes_by_another_uplink() {
    let lab = Lab::new();
    lab.declare(&format!("{UPLINK}\n[namespace.slow]\ngateway = \"$LAB_SLOW\"\ndns = \"$LAB_NEW\""));
    lab.ok("ip netns add blue; ip -n blue link set lo up");
    lab.ok(SERVE);
    let says = |more: &str, script: &str, expected: &str| {
        let more = format!("MORE='\"publish-by\":\"{more}\",'; ");
        lab.runtime_says(&format!("{PORTS}{more}{script}"), expected);
    };
    let ports = "'[{\"hostPort\":8080,\"containerPort\":80}]'";
    says(
        "thrid",
        &format!("{{ ports ADD {ports} || :; }} | jq -r '.code, .details'"),
        "7\nno uplink is called thrid; did you mean third?",
    );
    says("third", &format!("ports ADD {ports} >/run/lab/cni/result; echo $?"), "0");
    lab.says(&asks("third", "TCP4", "$LAB_HOST_THIRD:8080"), "seen 10.20.0.1");
    lab.fails(1, &asks("printer", "TCP4", "$LAB_HOST:8080"));
    lab.says("ip netns exec blue whoami4", "203.0.113.254");
    says("third", &format!("ports CHECK {ports}; echo $?"), "0");
    says("third", &format!("ports DEL {ports}; echo $?"), "0");
    lab.fails(1, &asks("third", "TCP4", "$LAB_HOST_THIRD:8080"));
}

/// A port that a container asks for, standalone: both families, closed again after DEL; CHECK tells what is missing.
#[test]
fn a_container_publishes_ports() {
    let lab = with_egress();
    lab.ok("ip netns add blue; ip -n blue link set lo up");
    let before = lab.snapshot();
    lab.ok(SERVE);
    let says = |script: &str, expected: &str| lab.runtime_says(&format!("{PORTS}{script}"), expected);
    says(
        "ports ADD '[{\"hostPort\":8080,\"containerPort\":80,\"protocol\":\"tcp\"},{\"hostPort\":8080,\"containerPort\":80,\"hostIP\":\"::\"}]' >/run/lab/cni/result; echo $?",
        "0",
    );
    lab.says(&asks("printer", "TCP4", "$LAB_HOST:8080"), "seen 192.168.1.20");
    lab.ok(&format!("[[ $({}) = 'seen ['* ]]", asks("printer", "TCP6", "[$LAB_HOST6]:8080")));
    let check = |ports: &str, script: &str, expected: &str| {
        says(&format!("{{ ports CHECK '{ports}' || :; }} {script}"), expected);
    };
    let [same, other] = [80, 81].map(|port| format!("[{{\"hostPort\":8080,\"containerPort\":{port}}}]"));
    check(&same, "; echo $?", "0");
    check(
        &other,
        "| jq -r '.code, .details'",
        "101\ncni.example.eth0 publishes 8080:80/tcp, and not 8080:81/tcp",
    );
    lab.ok("nft flush set inet nsnat published6");
    check(&same, "| jq .code", "101");
    lab.ok("nsnat -q up --repair");
    check(&same, "; echo $?", "0");
    // Another container that wants the port is refused, and nothing of it is left.
    lab.ok("ip netns add green");
    says(
        "{ CNI_NETNS=/run/netns/green CNI_CONTAINERID=second ports ADD '[{\"hostPort\":8080,\"containerPort\":80}]' || :; } | jq -r '.code, .details' | grep -oE '^100|port 8080/tcp of eth0 is published by attachment cni.example.eth0'",
        "100\nport 8080/tcp of eth0 is published by attachment cni.example.eth0",
    );
    lab.says("nsnat status -o json | jq -r '.namespaces[] | select(.attached).name'", "cni.example.eth0");
    says("ports DEL '[]'; echo $?", "0");
    lab.fails(1, &asks("printer", "TCP4", "$LAB_HOST:8080"));
    lab.ok("ip netns del green; nsnat -q down");
    lab.same(&before, "after DEL");
}

/// Behind another plugin, nsnat publishes by its own interface. The answer goes back by that, also to whoever is in a network
/// that is excepted, which is where everything else for that network does not go.
#[test]
fn behind_another_plugin_a_port_is_answered_by_nsnats_interface() {
    let lab = with_egress();
    lab.ok(ROUTED);
    lab.ok(SERVE);
    let before = lab.snapshot();
    let says = |script: &str, expected: &str| lab.runtime_says(&format!("{CHAINED}{script}"), expected);
    lab.ok(&format!("{FORWARD}; forward slow $LAB_HOST $LAB_HOST6"));
    says(
        "export MORE='\"runtimeConfig\":{\"portMappings\":[{\"hostPort\":8080,\"containerPort\":80}]},'; chained ADD >/run/lab/cni/result; chained CHECK \"$(cat /run/lab/cni/result)\"; echo $?",
        "0",
    );
    // However the host and the container look at the way back: from far away, and from a network that is excepted.
    let excepted = asks("printer", "TCP4", "$LAB_HOST:8080");
    for strict in ["0", "1"] {
        lab.ok(&format!("sysctl -qw net.ipv4.conf.all.rp_filter={strict}; ip netns exec blue sysctl -qw net.ipv4.conf.all.rp_filter={strict}"));
        lab.says(&asks("inet", "TCP4", "$LAB_WAN_SLOW:8080"), "seen 203.0.113.100");
        lab.ok(&format!("[[ $({}) = 'seen ['* ]]", asks("inet", "TCP6", "[$LAB_WAN_SLOW6]:8080")));
        lab.says(&excepted, "seen 192.168.1.20");
    }
    // The rule that does it: without it, the answer goes by the other plugin, from where it never arrives; and CHECK tells.
    lab.ok("ip -n blue rule del pref 21299");
    lab.fails(1, &excepted);
    says(
        "{ MORE='\"runtimeConfig\":{\"portMappings\":[{\"hostPort\":8080,\"containerPort\":80}]},' chained CHECK \"$(cat /run/lab/cni/result)\" || :; } | jq .code",
        "101",
    );
    lab.ok("nsnat -q up --repair");
    lab.says(&excepted, "seen 192.168.1.20");
    says("chained DEL; echo $?", "0");
    lab.fails(1, &excepted);
    lab.ok("nsnat -q down");
    lab.same(&before, "after DEL");
}

/// An allocation of Nomad, as its library calls for one: by its page's list, with ports of both protocols in the names of Go's
/// structures; called again without DEL when the first call failed, and DEL without arguments.
#[test]
fn an_allocation_of_nomad_comes_and_goes() {
    let lab = with_egress();
    let page = include_str!("../../../docs/engines/nomad.md");
    let list = page.split_once("<<'END'\n").unwrap().1.split_once("END\n").unwrap().0;
    lab.ok("ip netns add 7cd08c6c-86c8-0bfa-f7ca-338466447711");
    let before = lab.snapshot();
    let nomad = format!(
        r#"export CNI_ARGS='IgnoreUnknown=true;NOMAD_JOB_ID=web'; list='{list}'
        nomad() {{
            CONF=$(jq -c '. as $list | .plugins[0] + {{ name, cniVersion, runtimeConfig: {{ portMappings: [ ("tcp", "udp")
                | {{ HostPort: 23456, ContainerPort: 80, Protocol: ., HostIP: "" }} ] }} }}' <<<"$list") \
                cni "$1" 7cd08c6c-86c8-0bfa-f7ca-338466447711 /run/netns/7cd08c6c-86c8-0bfa-f7ca-338466447711
        }}; "#
    );
    let says = |script: &str, expected: &str| lab.runtime_says(&format!("{nomad}{script}"), expected);
    says("nomad ADD | jq -r '.interfaces[1].name, .dns.nameservers[0]'", "eth0\n198.51.100.53");
    lab.says("ip netns exec 7cd08c6c-86c8-0bfa-f7ca-338466447711 whoami4", "203.0.113.254");
    lab.says(
        "nsnat status -o json | jq -c '.namespaces[] | select(.attached) | [.name, .published]'",
        r#"["cni.7cd08c6c-86c8-0bfa-f7ca-338466447711.eth0",["23456:80/tcp","23456:80/udp"]]"#,
    );
    says("nomad ADD >/dev/null; nomad CHECK; CNI_ARGS= nomad DEL; CNI_ARGS= nomad DEL; echo $?", "0");
    lab.same(&before, "after DEL");
}

/// Services of the host that a network has chosen: its containers reach these and nothing else of the host, and those of a network
/// with the same way out do not. CHECK tells what is otherwise.
#[test]
fn a_container_reaches_the_services_that_its_network_chose() {
    let lab = with_egress();
    lab.ok("for name in blue green; do ip netns add $name; ip -n $name link set lo up; done");
    lab.serve_on_the_host();
    let before = lab.snapshot();
    let network = |services: &str| {
        format!(
            "CONF='{{\"cniVersion\":\"1.0.0\",\"name\":\"work\",\"type\":\"nsnat\",\"egress\":\"slow\",\"host\":{services}}}'"
        )
    };
    let work = network("[\"5432/tcp\",\"5432/udp\",\"8080\"]");
    lab.runtime_says(
        &format!(
            "{work} cni ADD one /run/netns/blue >/dev/null; cni ADD two /run/netns/green >/dev/null; echo $?"
        ),
        "0",
    );
    lab.reaches_chosen_services_only("ip netns exec blue");
    lab.says(&asked("ip netns exec green", &format!("TCP4:{HERE}:5432")), "Connection refused");
    lab.says(&asked("ip netns exec green", "TCP4:$LAB_HOST:8081"), "seen 10.213.0.1");
    lab.says(
        "nsnat status -o json | jq -c '.namespaces[] | select(.attached) | [.name, .host]'",
        "[\"cni.one.eth0\",[\"5432/tcp\",\"5432/udp\",\"8080/tcp\"]]\n[\"cni.two.eth0\",null]",
    );
    lab.runtime_says(&format!("{work} cni CHECK one /run/netns/blue; echo $?"), "0");
    for (services, what) in [
        ("\"none\"", "5432/tcp, 5432/udp, 8080/tcp of the host, and not nothing"),
        ("\"x\"", "`host`: \"x\""),
    ] {
        lab.runtime_says(
            &format!("{{ {} cni CHECK one /run/netns/blue || :; }} | jq -r .details | grep -o '{what}' | head -n 1", network(services)),
            what,
        );
    }
    lab.runtime_says(
        &format!("{{ {} cni ADD three /run/netns/blue || :; }} | jq .code", network("\"80/sctp\"")),
        "7",
    );
    lab.runtime_says(
        &format!("{} cni ADD two /run/netns/green >/dev/null; echo $?", network("\"none\"")),
        "0",
    );
    lab.says(&asked("ip netns exec green", "TCP4:$LAB_HOST:8081"), "Connection refused");
    lab.ok("nsnat doctor cni.one.eth0; nsnat status --check");
    lab.runtime_says("cni DEL one /run/netns/blue; cni DEL two", "");
    lab.same(&before, "after DEL");
}

/// Behind another plugin: by nsnat's interface what was chosen, and by the other one what that lets it reach.
#[test]
fn behind_another_plugin_the_services_of_the_host_are_chosen_for_nsnats_way() {
    let lab = with_egress();
    lab.ok(ROUTED);
    lab.serve_on_the_host();
    let before = lab.snapshot();
    lab.runtime_says(
        &format!("{CHAINED} MORE='\"host\":\"5432/tcp\",' chained ADD >/run/lab/cni/result; echo $?"),
        "0",
    );
    for (at, seen) in [
        (format!("TCP4:{HERE}:5432"), "seen 127.0.0.1"),
        (format!("TCP4:{HERE}:5433"), "Connection refused"),
        ("TCP4:$LAB_HOST_THIRD:8081".into(), "Connection refused"),
        // The excepted network, and the neighbour, are the other plugin's.
        ("TCP4:$LAB_HOST:8081".into(), "seen 10.88.0.2"),
        ("TCP4:10.88.0.1:8081".into(), "seen 10.88.0.2"),
    ] {
        lab.says(&asked("ip netns exec blue", &at), seen);
    }
    lab.runtime_says(&format!("{CHAINED} chained DEL; echo $?"), "0");
    lab.ok("nsnat -q down");
    lab.same(&before, "after DEL");
}

#[test]
fn errors_are_told_by_their_codes() {
    let lab = with_egress();
    lab.ok("ip netns add blue");
    let before = lab.snapshot();
    let conf = |egress: &str| {
        format!("CONF='{{\"cniVersion\":\"1.1.0\",\"name\":\"net\",\"type\":\"nsnat\",{egress}}}'")
    };
    for (call, code) in [
        ("cni ADD example /run/netns/green".to_owned(), 4),
        ("cni ADD example /proc/self/ns/net".to_owned(), 100),
        (format!("{} cni ADD example /run/netns/blue", conf("\"egress\":\"fast\"")), 7),
        (format!("{} cni STATUS", conf("\"egress\":\"fast\"")), 7),
        (format!("{} cni ADD example /run/netns/blue", conf("\"uplink\":\"none\"")), 7),
        (format!("{} cni ADD example /run/netns/blue", conf("\"gateway\":\"192.0.2.77\"")), 11),
    ] {
        lab.runtime_says(&format!("{{ {call} || :; }} | jq .code"), &code.to_string());
    }
    lab.same(&before, "after errors");
    // Nothing gets out of a new container while the device is down.
    let slow = conf("\"egress\":\"slow\"");
    lab.runtime_says(&format!("{slow} cni STATUS; echo $?"), "0");
    lab.ok("ip link set eth0 down");
    lab.runtime_says(&format!("{{ {slow} cni STATUS || :; }} | jq .code"), "50");
}

/// A runtime starts many at once, and some of its plugins are killed; then it says which containers there are.
#[test]
fn of_many_at_once_some_are_killed_and_the_rest_is_collected() {
    let lab = with_egress();
    lab.ok("nsnat -q up; for n in $(seq 20); do ip netns add c$n; done");
    let before = lab.snapshot();
    lab.ok(&format!(
        "{RUNTIME}
        for n in $(seq 20); do cni ADD c$n /run/netns/c$n >/run/lab/cni/$n & pids[n]=$!; done
        for n in 2 5 8 11 14 17 20; do kill -9 ${{pids[n]}} || :; done
        wait"
    ));
    // A killed shell may have left its plugin, which goes on.
    lab.until("! pgrep -x nsnat");
    lab.runtime_says(
        "for n in 1 3 4 6 7 9; do ip netns exec c$n whoami4; done | sort | uniq -c | awk '{ print $1, $2 }'",
        "6 203.0.113.254",
    );
    // Of another network, nothing is collected.
    lab.runtime_says(
        "CONF='{\"cniVersion\":\"1.1.0\",\"name\":\"other\",\"type\":\"nsnat\",\"egress\":\"slow\",\"cni.dev/valid-attachments\":[]}' cni GC; ip netns exec c1 whoami4",
        "203.0.113.254",
    );
    lab.runtime_says(
        "gc '{\"containerID\":\"c1\",\"ifname\":\"eth0\"}'; ip netns exec c1 whoami4; ip -br link | grep -c nsn-cni",
        "203.0.113.254\n1",
    );
    lab.ok(&format!("{RUNTIME} gc ''; nsnat -q up"));
    lab.same(&before, "after GC");
}
