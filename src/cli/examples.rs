//! What the help of each command shows at its end. Each line is a command line and what it does, two spaces or more apart;
//! a test reads each by the parser.

/// Of nsnat itself.
pub(super) const NSNAT: &str = "\
Examples:
  nsnat add slow --gateway 192.168.1.254   Declare a way out by that router, and bring it up
  nsnat exec slow -- apt-get upgrade       Run one job by it
  nsnat doctor                             Find out what is wrong
  nsnat remove slow                        Take it down, and forget it";

/// Of `up`.
pub(super) const UP: &str = "\
Examples:
  nsnat up        Bring up and repair all that is declared
  nsnat up slow   Only slow";

/// Of `watch`.
pub(super) const WATCH: &str = "\
Examples:
  nsnat watch      As nsnat.service does: systemctl enable --now nsnat
  nsnat -v watch   Print every action that is performed";

/// Of `down`.
pub(super) const DOWN: &str = "\
Examples:
  nsnat down               Remove everything that nsnat made; declarations stay
  nsnat down slow --kill   Only slow, with the processes inside";

/// Of `add`.
pub(super) const ADD: &str = "\
Examples:
  nsnat add slow --gateway 192.168.1.254                      Leave by that router
  nsnat add slow --gateway 192.168.1.254 --dns 198.51.100.53  The same, with a DNS server of its own
  nsnat add slow --uplink dsl --uplink lte                    By the first of two uplinks of the configuration that works
  nsnat add lte --dev wwan0                                   Leave by that device
  nsnat add web --dev eth1 --publish 8080:80/tcp              Let eth1's side reach port 80 inside as port 8080 of the host
  nsnat add app --dev eth1 --host 5432/tcp                    Reach only port 5432 of the host itself, by 169.254.213.1
  nsnat add try --dev eth1 --temporary                        Until the next reboot";

/// Of `remove`.
pub(super) const REMOVE: &str = "\
Examples:
  nsnat remove slow   Take slow down, and delete its declaration";

/// Of `attach`.
pub(super) const ATTACH: &str = "\
Examples:
  nsnat attach /run/netns/web --to slow                     Leave as slow does, by an interface eth0
  nsnat attach /proc/4711/ns/net --to slow --id web         The namespace of a process
  nsnat attach /run/netns/web --uplink lte --ifname eth1    By an uplink of the configuration
  nsnat attach /run/netns/web --to slow --publish 8080:80   Let slow's side reach port 80 inside as port 8080 of the host
  nsnat attach /run/netns/web --to slow --host 5432/tcp     Reach only port 5432 of the host itself, by 169.254.213.1";

/// Of `detach`.
pub(super) const DETACH: &str = "\
Examples:
  nsnat detach web   Remove the interface, and what nsnat has for it";

/// Of `docker`.
pub(super) const DOCKER: &str = "\
Examples:
  nsnat docker   As nsnat-docker.service does: systemctl enable --now nsnat-docker.socket";

/// Of `exec`.
pub(super) const EXEC: &str = "\
Examples:
  nsnat exec slow -- apt-get upgrade                         Run a command in slow
  nsnat exec slow --me -- firefox                            As the user who called sudo
  nsnat exec --gateway 192.168.1.254 -- curl -O example.com  In a namespace for this command only
  nsnat exec slow --report -- rsync -a /srv/ backup:/srv/    And print how many bytes it took";

/// Of `shell`.
pub(super) const SHELL: &str = "\
Examples:
  nsnat shell slow   A shell in slow; exit leaves it";

/// Of `status`.
pub(super) const STATUS: &str = "\
Examples:
  nsnat status                Show what is up
  nsnat status slow           Only slow, with all that is known of it
  nsnat status --watch        Go on, and show what changes
  nsnat status --check        Also send test packets; exit status 3 when something is broken
  nsnat status -o json        For programs";

/// Of `events`.
pub(super) const EVENTS: &str = "\
Examples:
  nsnat events slow            What happened to slow
  nsnat events -f -o json      Each event from now on, as JSON";

/// Of `list`.
pub(super) const LIST: &str = "\
Examples:
  nsnat list   The names of all declared namespaces";

/// Of `plan`.
pub(super) const PLAN: &str = "\
Examples:
  nsnat plan                         What `nsnat up` would do
  nsnat plan --commands              The same as commands for a shell
  nsnat --config ./new.toml plan     The same with another configuration";

/// Of `ps`.
pub(super) const PS: &str = "\
Examples:
  nsnat ps        Who runs in which namespace
  nsnat ps slow   Who runs in slow";

/// Of `which`.
pub(super) const WHICH: &str = "\
Examples:
  nsnat which       The namespace that you are in
  nsnat which 4711  The namespace that a process is in";

/// Of `dns … set`.
pub(super) const DNS_SET: &str = "\
Examples:
  nsnat dns slow set 198.51.100.53                    Every query goes there
  nsnat dns slow set --rewrite 8.8.8.8=198.51.100.53  Only the queries to one server";

/// Of `dns`, and of `dns … clear`.
pub(super) const DNS_CLEAR: &str = "\
Examples:
  nsnat dns slow clear   Queries go where programs send them";

/// Of `dns`, and of `dns … test`.
pub(super) const DNS_TEST: &str = "\
Examples:
  nsnat dns slow test                Which server answers, over UDP and TCP
  nsnat dns slow test example.org    The same with another name";

/// Of `trace`.
pub(super) const TRACE: &str = "\
Examples:
  nsnat trace slow                    Follow the usual packets of slow
  nsnat trace slow 192.0.2.1:443      TCP to that port
  nsnat trace slow 192.0.2.1:53/udp   UDP to that port";

/// Of `doctor`.
pub(super) const DOCTOR: &str = "\
Examples:
  nsnat doctor                        Examine everything
  nsnat doctor slow --fix             Do what `nsnat up` can do about slow
  nsnat doctor --bundle report.txt    Write what a report of a bug needs
  nsnat doctor --ask example.org      Ask for this name, where example.com does not resolve";

/// Of `systemd bind`.
pub(super) const BIND: &str = "\
Examples:
  nsnat systemd bind slow apt-daily-upgrade   That service leaves by slow from its next start on";

/// Of `systemd unbind`.
pub(super) const UNBIND: &str = "\
Examples:
  nsnat systemd unbind apt-daily-upgrade   As before, from its next start on";

/// Of `skeleton`.
pub(super) const SKELETON: &str = "\
Examples:
  nsnat skeleton   The nft table, before anything is up";

/// Of `completions`.
pub(super) const COMPLETIONS: &str = "\
Examples:
  nsnat completions bash   For a file in ~/.local/share/bash-completion/completions";

/// Of `man`.
pub(super) const MAN: &str = "\
Examples:
  nsnat man                The page nsnat(1); to read it: nsnat man | man -l -
  nsnat man nsnat.toml.5   The page of the configuration";

/// Of `help`.
pub(super) const HELP: &str = "\
Examples:
  nsnat help           What there is
  nsnat help dns set   One command";
