//! Proxies that the environment names (`http_proxy` and the like).
//!
//! A namespace gives a job a way out; a proxy gives it another one: what goes to a proxy leaves by the proxy's way. And
//! a proxy on the host's loopback cannot be reached from inside at all. Neither shows, so it is said.

use super::request::{Proxies, Request};
use crate::model::{Name, Proxy};
use crate::ui::tell;
use std::net::IpAddr;

/// Variables that name a proxy, by their lower-case names; programs look at either case (curl(1), wget(1)).
const NAMES: [&str; 4] = ["http_proxy", "https_proxy", "all_proxy", "ftp_proxy"];

/// The variable that names hosts to be asked without a proxy.
const EXCEPTIONS: &str = "no_proxy";

/// Does what the command line says, or else the configuration.
pub(super) fn settle_proxies(request: &Request, configured: Option<Proxy>) {
    let Some((variable, value)) = first() else { return };
    match (request.proxies, configured) {
        (Proxies::Drop, _) | (_, Some(Proxy::Drop)) => drop_all(),
        (Proxies::Stay, None) if !request.quiet => tell(warning(&variable, &value, &request.namespace)),
        (Proxies::Stay, None | Some(Proxy::Keep)) => {}
    }
}

/// Both spellings of a name.
fn spellings(name: &str) -> [String; 2] {
    [name.to_owned(), name.to_uppercase()]
}

/// The first proxy that is named.
fn first() -> Option<(String, String)> {
    let named = |name: String| {
        let value = std::env::var_os(&name)?.to_string_lossy().into_owned();
        (!value.is_empty()).then_some((name, value))
    };
    NAMES.into_iter().flat_map(spellings).find_map(named)
}

fn drop_all() {
    for name in NAMES.into_iter().chain([EXCEPTIONS]).flat_map(spellings) {
        // SAFETY: this process has a single thread; exec happens before any runtime is made, or after it is gone.
        unsafe { std::env::remove_var(name) };
    }
}

fn warning(variable: &str, value: &str, namespace: &Name) -> String {
    let server = server(value);
    let cure =
        "--no-proxy takes it away, or proxy = \"drop\" in the configuration (\"keep\": this is not said)";
    if is_loopback(&server) {
        format!(
            "nsnat: {variable} names {server}, the host's loopback, which cannot be reached from inside of {namespace}; {cure}"
        )
    } else {
        format!(
            "nsnat: {variable} names {server}: what uses that leaves by its way, not by {namespace}'s; {cure}"
        )
    }
}

/// Host and port of `[SCHEME://][USER[:PASSWORD]@]HOST[:PORT][/…]`. A password is nobody's to see.
fn server(value: &str) -> String {
    let rest = value.split_once("://").map_or(value, |(_, rest)| rest);
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let server = authority.rsplit_once('@').map_or(authority, |(_, server)| server);
    server.escape_debug().to_string()
}

fn is_loopback(server: &str) -> bool {
    let host = match server.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((host, _)) => host,
        None => server.rsplit_once(':').map_or(server, |(host, _)| host),
    };
    let by_name = || host == "localhost" || host.ends_with(".localhost");
    host.parse::<IpAddr>().map_or_else(|_| by_name(), |ip| ip.is_loopback() || ip.is_unspecified())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_as_people_write_them() {
        for (value, server_shown, loopback) in [
            ("http://127.0.0.1:3128", "127.0.0.1:3128", true),
            ("localhost:8080/", "localhost:8080", true),
            ("socks5h://[::1]:9050", "[::1]:9050", true),
            ("http://user:pass@word@proxy.example:80/x@y", "proxy.example:80", false),
            ("192.168.1.5:3128", "192.168.1.5:3128", false),
            ("http://[fd00::5]", "[fd00::5]", false),
            ("http://x\u{1b}[2J", "x\\u{1b}[2J", false),
            ("http://", "", false),
        ] {
            assert_eq!(
                (server(value).as_str(), is_loopback(&server(value))),
                (server_shown, loopback),
                "{value}"
            );
        }
    }
}
