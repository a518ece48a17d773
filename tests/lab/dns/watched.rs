//! A lab in which the name of every query says where it is meant to go, and all that travels is looked at.
//!
//! `to-SERVER.WHO.example.test` is asked inside a namespace and has to arrive at SERVER, by the slow router, and
//! nowhere else. [`Watched::finish`] holds every server's log and a capture on the fast router against that.

use super::programs::ASKS;
use crate::lab::Lab;
use std::cell::Cell;
use std::ops::Deref;

/// The lab's servers, and the stub on the host's loopback.
const SERVERS: [&str; 5] = ["old", "new", "second", "new-5353", "stub"];

/// How the slow router's clients look from outside.
const SLOW: [&str; 2] = ["203.0.113.254", "2001:db8:f::fe"];

pub(crate) struct Watched(Lab);

impl Watched {
    pub(crate) fn new() -> Self {
        let lab = Lab::new();
        lab.ok("capture fast 'port 53 or port 853 or port 5353 or icmp or icmp6' >/run/lab/watched");
        Self(lab)
    }

    /// A namespace `slow` behind the slow router, both families, with this configuration of `dns`.
    #[track_caller]
    pub(crate) fn slow(&self, dns: &str) {
        self.declare(&format!("[namespace.slow]\ngateway = [\"$LAB_SLOW\", \"$LAB_SLOW6\"]\n{dns}"));
        self.ok("nsnat up");
    }

    /// The only lines of the host's resolv.conf, replaced by rename as its managers do.
    #[track_caller]
    pub(crate) fn resolv_conf(&self, servers: &[&str]) {
        let lines = servers.join("\nnameserver ");
        self.ok(&format!(
            "echo 'nameserver {lines}' >/etc/resolv.conf.new; mv /etc/resolv.conf.new /etc/resolv.conf"
        ));
    }

    /// What a script prints inside has to be this address's last part.
    #[track_caller]
    pub(crate) fn inside(&self, command: &str, expected: &str) {
        self.says(&format!("nsnat exec slow -- {command}"), expected);
    }

    /// How many queries for names that begin so a server got.
    #[track_caller]
    pub(crate) fn queries(&self, server: &str, name: &str) -> usize {
        let grep = format!("grep -c 'query.* {name}' /run/lab/dns/{server}.log || true");
        self.ok(&grep).parse().unwrap()
    }

    /// Nothing went where it should not. The host's own queries, over udp and tcp and in both families, prove that
    /// they would have been seen.
    #[track_caller]
    pub(crate) fn finish(self) {
        let controls = [
            ("8.8.8.8", ""),
            ("8.8.8.8", "+tcp"),
            ("2001:4860:4860::8888", ""),
            ("2001:4860:4860::8888", "+tcp"),
        ];
        for (n, (server, tcp)) in controls.iter().enumerate() {
            self.ok(&format!("ask {server} host{n}.example.test {tcp}"));
        }
        let seen = self.ok("captured $(cat /run/lab/watched)");
        for n in 0..controls.len() {
            assert!(seen.contains(&format!("host{n}.example.test")), "the capture did not see {n}: {seen}");
        }
        let leaked: Vec<&str> = seen.lines().filter(|line| line.contains("to-")).collect();
        assert!(leaked.is_empty(), "by the fast router: {leaked:#?}\n{}", self.state());
        for server in SERVERS {
            self.log(server);
        }
    }

    /// Every query in a server's log that was asked inside is meant for it and came by the slow router.
    #[track_caller]
    fn log(&self, server: &str) {
        let log = self.ok(&format!("grep ' query\\[.*\\] ' /run/lab/dns/{server}.log || true"));
        for line in log.lines().filter(|line| line.contains("] to-")) {
            let right = line.contains(&format!("] to-{server}."));
            let path = SLOW.iter().any(|slow| line.ends_with(&format!(" from {slow}")));
            assert!(right && path, "{server} got: {line}\n{}", self.state());
        }
    }
}

impl Deref for Watched {
    type Target = Lab;

    fn deref(&self) -> &Lab {
        &self.0
    }
}

/// A program in `slow` that asks 8.8.8.8 again and again by one and the same socket.
pub(crate) struct OneSocket<'a> {
    lab: &'a Lab,
    asked: Cell<usize>,
}

impl<'a> OneSocket<'a> {
    #[track_caller]
    pub(crate) fn new(lab: &'a Lab) -> Self {
        // The names come through a fifo that somebody else keeps open.
        lab.ok(&format!(
            "mkfifo /run/lab/names; sleep infinity >/run/lab/names 2>&1 &
            nsnat exec slow -- {} 8.8.8.8 </run/lab/names >/run/lab/answers 2>&1 &",
            *ASKS
        ));
        Self { lab, asked: Cell::new(0) }
    }

    /// What it gets for this name is `answer N`, N the last part of the address, or `error`.
    #[track_caller]
    pub(crate) fn asks(&self, name: &str, expected: &str) {
        let nth = self.asked.get() + 1;
        self.asked.set(nth);
        self.lab.ok(&format!("echo {name} >/run/lab/names"));
        self.lab.until(&format!("(($(wc -l </run/lab/answers) >= {nth}))"));
        self.lab.says(&format!("sed -n '{nth}s/error.*/error/;{nth}p' /run/lab/answers"), expected);
    }
}
