//! nsnat as a plugin of the Container Network Interface, called as container runtimes do it.

use crate::lab::Lab;

/// `cni COMMAND CONTAINER [NETNS]`: the plugin with a network configuration in `$CONF` (1.0.0, by slow, where there is none),
/// for the interface eth0. The plugin is found by its type, as a runtime finds it.
const RUNTIME: &str = r#"
    mkdir -p /run/lab/cni; ln -sf "$(command -v nsnat)" /run/lab/cni/nsnat
    cni() {
        local conf=${CONF:-'{"cniVersion":"1.0.0","name":"net","type":"nsnat","egress":"slow"}'}
        env CNI_COMMAND="$1" CNI_CONTAINERID="${2-}" CNI_NETNS="${3-}" CNI_IFNAME=eth0 CNI_PATH=/run/lab/cni \
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
        CONF='{"cniVersion":"1.0.0","name":"net","type":"nsnat","egress":"slow","except":["192.168.1.0/24"],"prevResult":'"${2:-$previous}"'}' \
            cni "$1" example /run/netns/blue
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
        "[\"veth1\",\"eth0\",\"nsnat0\"]\n[\"10.88.0.2/24\",1,\"10.213.0.0/32\",3,\"fd6e:736e:6174:1::ad5:0/128\",3]",
    );
    let ways = "ip netns exec blue whoami4; ip netns exec blue whoami6; ip netns exec blue ask $LAB_OLD a.example.test";
    lab.says(ways, "203.0.113.254\n2001:db8:f::fe\n192.0.2.53");
    // The neighbours, the exception, and what is sent from the other address: as before.
    lab.says("ip netns exec blue socat -u TCP4:$LAB_SERVICE:80,bind=10.88.0.2 -", "203.0.113.1");
    let device = |to: &str| format!("ip -n blue route get {to} | grep -o 'dev [a-z0-9]*'; ");
    let devices = ["10.88.0.1", "$LAB_PRINTER", "$LAB_SERVICE"].map(device).concat();
    lab.says(&devices, "dev eth0\ndev eth0\ndev nsnat0");
    says("chained CHECK \"$(cat /run/lab/cni/result)\"; echo $?", "0");
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
