//! What cannot be rewritten, or is not wanted, is refused: an error at once, and nothing leaves.

use super::watched::Watched;
use crate::lab::Lab;

/// What a program is told that is refused; one that only waited in vain is told something else.
const ERRORS: [&str; 4] = ["connection refused", "permission denied", "host unreachable", "no route to host"];

#[track_caller]
fn refused(lab: &Watched, command: &str) {
    let output = lab.sh(&format!("nsnat exec slow -- timeout 60 {command}"));
    let said = format!("{}{}", output.stdout, output.stderr).to_lowercase();
    let error = ERRORS.iter().any(|error| said.contains(error));
    assert!(output.status != 0 && error, "must be refused:\n{output}\n{}", lab.state());
}

fn dig(server: &str, tcp: &str) -> String {
    format!("dig @{server} to-nobody.example.test +tries=1 +time=50 +short {tcp}")
}

#[test]
fn the_family_that_no_server_has() {
    for (dns, answered, not) in
        [("$LAB_NEW", "8.8.8.8", "2001:4860:4860::8888"), ("$LAB_NEW6", "2001:4860:4860::8888", "8.8.8.8")]
    {
        let lab = Watched::new();
        lab.slow(&format!("dns = \"{dns}\""));
        for tcp in ["", "+tcp"] {
            lab.inside(&format!("ask {answered} to-new.{}.example.test {tcp}", tcp.len()), "192.0.2.53");
            refused(&lab, &dig(not, tcp));
        }
        lab.finish();
    }
}

#[test]
fn foreign_servers() {
    let lab = Watched::new();
    lab.slow("[namespace.slow.dns]\nrewrite = { \"8.8.8.8\" = \"$LAB_NEW\" }\nblock = [\"foreign\"]");
    for tcp in ["", "+tcp"] {
        lab.inside(&format!("ask 8.8.8.8 to-new.{}.example.test {tcp}", tcp.len()), "192.0.2.53");
        refused(&lab, &dig("$LAB_SECOND", tcp));
        refused(&lab, &dig("$LAB_SECOND6", tcp));
    }
    // Without it they are asked, by the namespace's own way.
    lab.slow("[namespace.slow.dns]\nrewrite = { \"8.8.8.8\" = \"$LAB_NEW\" }");
    for (server, tcp) in
        [("$LAB_SECOND", ""), ("$LAB_SECOND", "+tcp"), ("$LAB_SECOND6", ""), ("$LAB_SECOND6", "+tcp")]
    {
        lab.inside(&format!("ask {server} to-second.free.example.test {tcp}"), "192.0.2.54");
    }
    lab.finish();
}

/// 853 of every address leads to a service of the lab that says who asked: so "refused" is told from "not there".
const ASK_853: [(&str, &str); 4] =
    [("dot", "whoami4 853"), ("dot", "whoami6 853"), ("doq", "whoami4 853 udp"), ("doq", "whoami6 853 udp")];

#[test]
fn dns_over_tls_and_quic() {
    let lab = Watched::new();
    for blocked in ["dot", "doq"] {
        lab.slow(&format!("dns = {{ servers = \"$LAB_NEW\", block = [\"{blocked}\"] }}"));
        for (kind, command) in ASK_853 {
            if kind == blocked {
                refused(&lab, command);
            } else {
                let answer = lab.ok(&format!("nsnat exec slow -- {command}"));
                assert!(
                    ["203.0.113.254", "2001:db8:f::fe"].contains(&answer.as_str()),
                    "{command}: {answer}"
                );
            }
        }
    }
    lab.finish();
}

#[test]
fn dns_over_https_is_not_dns_to_the_kernel() {
    let lab = Watched::new();
    lab.slow("dns = { servers = \"$LAB_NEW\", block = [\"dot\", \"doq\", \"foreign\"] }");
    lab.inside("env LAB_SERVICE=8.8.8.8 whoami4 443", "203.0.113.254");
    lab.finish();
}

/// Well-known resolvers, over tcp and udp (HTTP/3), in both families; everybody else's web pages are read as before.
#[test]
fn dns_over_https_of_well_known_resolvers() {
    let lab = Watched::new();
    // The lab's service answers at every address.
    let ask = |server: &str| {
        let whoami = if server.contains(':') {
            format!("env LAB_SERVICE6={server} whoami6 443")
        } else {
            format!("env LAB_SERVICE={server} whoami4 443")
        };
        (whoami.clone(), format!("{whoami} udp"))
    };
    lab.slow("dns = { servers = [\"$LAB_NEW\", \"$LAB_NEW6\"], block = [\"doh\"] }");
    for server in ["8.8.8.8", "2001:4860:4860::8888"] {
        let (tcp, udp) = ask(server);
        refused(&lab, &tcp);
        refused(&lab, &udp);
    }
    // Port 53 of the same is rewritten as ever, and 443 of others is theirs.
    lab.inside("ask 8.8.8.8 to-new.doh.example.test", "192.0.2.53");
    lab.inside("whoami4 443", "203.0.113.254");
    lab.inside("whoami6 443 udp", "2001:db8:f::fe");
    // Without it they are read, by the namespace's own way.
    lab.slow("dns = [\"$LAB_NEW\", \"$LAB_NEW6\"]");
    for (server, answer) in [("8.8.8.8", "203.0.113.254"), ("2001:4860:4860::8888", "2001:db8:f::fe")] {
        let (tcp, udp) = ask(server);
        lab.inside(&tcp, answer);
        lab.inside(&udp, answer);
    }
    lab.finish();
}

/// Firefox asks a name whether it may use DNS over HTTPS, by the resolver of the system: getaddrinfo must not find it. That
/// says nothing about the server, and other names like it are found.
#[test]
fn the_name_that_allows_dns_over_https() {
    const LOOK: &str = "getent ahosts use-application-dns.net";
    let lab = Watched::new();
    lab.slow("dns = [\"$LAB_NEW\", \"$LAB_SECOND\"]");
    lab.sh(&format!("nsnat exec slow -- {LOOK}"));
    let before = lab.queries("new", "use-application-dns.net");
    assert!(before > 0, "the control: without it the question arrives");
    lab.slow("dns = { servers = [\"$LAB_NEW\", \"$LAB_SECOND\"], block = [\"doh\"] }");
    refused(&lab, "dig +time=50 +tries=1 use-application-dns.net @8.8.8.8");
    let found = lab.sh(&format!("nsnat exec slow -- timeout 60 {LOOK}"));
    assert_eq!(found.status, 2, "getent's word for a name that is not found, and at once\n{found}");
    for name in ["to-new.use-application-dns.example.test", "to-new.after.example.test"] {
        lab.inside(&format!("ask 8.8.8.8 {name}"), "192.0.2.53");
    }
    // Again after more than a resolver's patience: the first server is still the one that is asked.
    lab.sh(&format!("nsnat exec slow -- {LOOK}; sleep 2; nsnat exec slow -- {LOOK}"));
    lab.inside("ask 8.8.8.8 to-new.later.example.test", "192.0.2.53");
    assert_eq!(lab.queries("new", "use-application-dns.net"), before);
    assert_eq!(lab.queries("second", "use-application-dns.net"), 0);
    lab.finish();
}

/// Servers of a family that there is no way out for: told before anything is changed; once it is up, it is weather.
#[test]
fn servers_that_can_never_be_asked() {
    let lab = Lab::new();
    let before = lab.snapshot();
    let words = lab.fails(2, "nsnat add slow --gateway $LAB_SLOW --dns $LAB_NEW6");
    assert!(words.contains("IPv6 only, and it has no IPv6"), "{words}");
    lab.same(&before, "after servers that can never be asked");
    lab.ok("nsnat add slow --gateway $LAB_SLOW");
    let words = lab.fails(2, "nsnat dns slow set $LAB_NEW6");
    assert!(words.contains("IPv6 only, and it has no IPv6"), "{words}");
    lab.ok("nsnat dns slow set $LAB_NEW6 $LAB_NEW; nsnat remove slow");

    lab.ok("nsnat add slow --gateway $LAB_SLOW --gateway $LAB_SLOW6 --dns $LAB_NEW6; ip -6 addr flush dev eth0; nsnat up");
    // That the servers cannot be asked follows from this.
    let told = lab.ok("nsnat status slow");
    assert!(told.contains("broken") && told.contains("eth0 has no IPv6 address"), "{told}");
    lab.ok("ip addr add $LAB_HOST6/64 dev eth0 nodad; nsnat up");
    lab.says("nsnat status slow -o json | jq -r '.namespaces[0].state'", "up");
}
