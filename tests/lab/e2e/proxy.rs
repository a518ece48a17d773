//! Proxies that the environment names.

use crate::lab::Lab;

/// What a job sees of them.
const SEEN: &str = "sh -c 'env | grep -i _proxy | sort'";

#[test]
fn a_proxy_in_the_environment_is_told_and_can_be_taken_away() {
    let lab = Lab::new();
    lab.declare(
        "[namespace.slow]\ngateway = \"$LAB_SLOW\"\n[namespace.without]\ngateway = \"$LAB_SLOW\"\nproxy = \"drop\"\n[namespace.with]\ngateway = \"$LAB_SLOW\"\nproxy = \"keep\"",
    );
    lab.ok("nsnat up");
    // The control: nothing is said where there is nothing to say.
    lab.says("nsnat exec slow true 2>&1; http_proxy= no_proxy=x nsnat exec slow true 2>&1", "");
    let told = |line: &str| lab.ok(&format!("{line} 2>&1"));
    for variable in ["http_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY", "ftp_proxy"] {
        let said = told(&format!("{variable}=http://me:secret@127.0.0.1:3128 nsnat exec slow true"));
        let right = said.starts_with(&format!("nsnat: {variable} names 127.0.0.1:3128, the host's loopback"));
        assert!(right && said.lines().count() == 1 && said.contains("--no-proxy"), "{said}");
    }
    let said = told("https_proxy=http://me:secret@192.168.1.5:3128 nsnat exec slow true");
    assert!(said.contains("192.168.1.5:3128: what uses that leaves by its way, not by slow's"), "{said}");
    let ephemeral = told("http_proxy=localhost:1 nsnat exec --gateway $LAB_SLOW -- true");
    assert!(ephemeral.contains("http_proxy names localhost:1, the host's loopback"), "{ephemeral}");
    lab.says(&format!("http_proxy=localhost:1 nsnat -q exec slow {SEEN} 2>&1"), "http_proxy=localhost:1");
    lab.says(&format!("http_proxy=localhost:1 nsnat exec with {SEEN} 2>&1"), "http_proxy=localhost:1");
    let all = "export http_proxy=a HTTPS_PROXY=b all_proxy=c ftp_proxy=d no_proxy=e NO_PROXY=f other_proxy=g";
    for drops in [
        "exec --no-proxy slow",
        "exec slow --no-proxy",
        "exec without",
        "exec --no-proxy --gateway $LAB_SLOW --",
    ] {
        lab.says(&format!("{all}; nsnat {drops} {SEEN} 2>&1"), "other_proxy=g");
    }
    // What it is about, with a real program: the proxy on the host's loopback serves the host, and no job.
    lab.ok("mkdir /run/lab/empty; cd /run/lab/empty; python3 -m http.server 3128 --bind 127.0.0.1 >/dev/null 2>&1 & echo $! >/run/lab/proxy
        await 'ss -Hltn | grep -q :3128'");
    // It has nothing, and says so.
    let curl = "curl -sS -m 60 -o /dev/null -w %{http_code} http://198.51.100.80/x";
    lab.says(&format!("http_proxy=127.0.0.1:3128 {curl}"), "404");
    let output = lab.sh(&format!("http_proxy=127.0.0.1:3128 nsnat exec slow {curl}"));
    assert!(
        output.status == 7 && output.stderr.starts_with("nsnat: http_proxy names 127.0.0.1:3128"),
        "{output}"
    );
    lab.says(
        "http_proxy=127.0.0.1:3128 nsnat exec --no-proxy slow whoami4 >/run/lab/by; test $(cat /run/lab/by) = $LAB_WAN_SLOW; kill $(cat /run/lab/proxy)",
        "",
    );
}

#[test]
fn a_change_of_proxy_holds_with_the_next_up() {
    let lab = Lab::new();
    lab.declare("[namespace.slow]\ngateway = \"$LAB_SLOW\"");
    lab.ok("nsnat up; echo 'proxy = \"drop\"' >>/etc/nsnat/nsnat.toml; nsnat up");
    lab.says(&format!("http_proxy=x nsnat exec slow {SEEN} 2>&1 || true"), "");
    let told = lab.fails(2, "sed -i s/drop/drip/ /etc/nsnat/nsnat.toml; nsnat up");
    assert!(told.contains("did you mean `drop`?"), "{told}");
}
