//! The command line: types only. The man page and the completions are made from this.

use crate::model::trace::{Goal, Protocol};
use crate::model::{Name, dnsaddr};
use clap::{Args, Parser, Subcommand, ValueEnum};
use ipnetwork::IpNetwork;
use std::ffi::OsString;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

/// Gives chosen programs their own way out of this host.
#[derive(Debug, Parser)]
#[command(version, about, disable_help_subcommand = true, arg_required_else_help = true)]
pub struct Cli {
    /// Options of every command.
    #[command(flatten)]
    pub global: Global,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// Options of every command.
#[derive(Clone, Debug, Default, Args)]
pub struct Global {
    /// Configuration: a file, or a directory laid out like /etc/nsnat (or NSNAT_CONFIG)
    #[arg(long, global = true, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Say more (-v: every action)
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub verbose: u8,
    /// Say only errors
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    pub quiet: bool,
    /// Form of what is reported
    #[arg(short, long, global = true, value_enum, default_value_t, value_name = "FORM")]
    pub output: Output,
    /// When to colour
    #[arg(long, global = true, value_enum, default_value_t, value_name = "WHEN")]
    pub color: Color,
}

/// Form of what is reported.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Output {
    /// For people
    #[default]
    Text,
    /// For programs
    Json,
}

/// When to colour.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Color {
    /// On a terminal
    #[default]
    Auto,
    /// Always
    Always,
    /// Never
    Never,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Make what the configuration declares true
    Up {
        /// Namespaces; all that are declared when none is named
        names: Vec<Name>,
        /// Only those that are up already; for hooks, which must not bring back what somebody took down
        #[arg(long)]
        repair: bool,
    },
    /// Remove what nsnat made, exactly that
    Down {
        /// Namespaces; everything of ours when none is named
        names: Vec<Name>,
        /// End the processes that are still inside
        #[arg(long)]
        kill: bool,
    },
    /// Declare a namespace and bring it up
    Add(Add),
    /// Bring a namespace down and forget its declaration
    Remove {
        /// The namespace
        name: Name,
        /// End the processes that are still inside
        #[arg(long)]
        kill: bool,
    },
    /// Run a command inside a namespace, or in a throw-away one (--gateway)
    #[command(override_usage = "nsnat exec [OPTIONS] NAME [--] CMD [ARG]...
       nsnat exec [OPTIONS] --gateway ADDR [--] CMD [ARG]...")]
    Exec(Exec),
    /// Start your shell inside a namespace
    Shell {
        /// The namespace
        name: Name,
    },
    /// Show what is up, and what is wrong
    Status {
        /// One namespace; all when it is not named
        name: Option<Name>,
        /// Also send packets (as `trace` does) and see whether they get out
        #[arg(long)]
        check: bool,
    },
    /// List the names of the declared namespaces, one a line
    List,
    /// Print what `up` would do, as the commands that it equals
    Plan {
        /// Namespaces; all that are declared when none is named
        names: Vec<Name>,
    },
    /// Show the processes inside a namespace
    Ps {
        /// The namespace
        name: Name,
    },
    /// Say which namespace this process (or PID) is in
    Which {
        /// A process; the calling one when it is not named
        pid: Option<i32>,
    },
    /// Change or test where a namespace's DNS queries go, while it is up
    Dns {
        /// The namespace
        name: Name,
        /// What to do
        #[command(subcommand)]
        command: DnsCommand,
    },
    /// Follow one packet of a namespace through this host, and name what stops it or leads it elsewhere
    Trace {
        /// The namespace
        name: Name,
        /// Where to: ADDR:PORT by TCP, ADDR:PORT/udp, or ADDR alone by ICMP. It is not reached: the packet ends at the
        /// gateway. Without it, TCP to ports 80 and 443, DNS and ICMP are tried
        #[arg(value_name = "ADDR[:PORT][/udp]", value_parser = goal)]
        goal: Option<Goal>,
    },
    /// Let a systemd unit run inside a namespace
    Systemd {
        /// What to do
        #[command(subcommand)]
        command: SystemdCommand,
    },
    /// Print the nft skeleton that `up` loads
    Skeleton,
    /// Print completions for a shell
    Completions {
        /// The shell
        #[arg(value_enum)]
        shell: clap_complete::Shell,
    },
    /// Print the man page
    Man,
}

/// `nsnat systemd`.
#[derive(Debug, Subcommand)]
pub enum SystemdCommand {
    /// From its next start on, UNIT runs inside NAME
    Bind {
        /// The namespace
        name: Name,
        /// A service, socket, mount or swap unit
        #[arg(value_parser = unit)]
        unit: String,
    },
    /// From its next start on, UNIT runs as it did before
    Unbind {
        /// The unit
        #[arg(value_parser = unit)]
        unit: String,
    },
}

/// `nsnat dns`.
#[derive(Debug, Subcommand)]
pub enum DnsCommand {
    /// Send every query to these servers, or queries to OLD to NEW
    Set {
        /// Servers, in the order in which they are asked
        #[arg(value_name = "ADDR", value_parser = dnsaddr::parse, num_args = 0..=3)]
        servers: Vec<SocketAddr>,
        /// DNS queries to OLD go to NEW
        #[arg(long, value_name = "OLD=NEW", value_parser = rewrite)]
        rewrite: Vec<(SocketAddr, SocketAddr)>,
    },
    /// Rewrite nothing
    Clear,
    /// Send real queries over every path, and say who answers
    Test {
        /// The name that is asked for
        #[arg(default_value = "example.com")]
        host: String,
    },
}

/// `nsnat add`.
#[derive(Debug, Args)]
pub struct Add {
    /// Name of the namespace
    pub name: Name,
    /// The way out
    #[command(flatten)]
    pub way: WayOut,
    /// Address block of the namespace; out of the pool when it is not given
    #[arg(long, value_name = "NET")]
    pub subnet: Option<IpNetwork>,
    /// Gone at reboot: declared below /run
    #[arg(long)]
    pub temporary: bool,
}

/// A way out, given on the command line.
#[derive(Clone, Debug, Default, Args)]
pub struct WayOut {
    /// Next hop; once for each address family
    #[arg(long, value_name = "ADDR")]
    pub gateway: Vec<IpAddr>,
    /// Device; found by the gateway's subnet when it is not given
    #[arg(long, value_name = "IF")]
    pub dev: Option<String>,
    /// Server that gets every DNS query
    #[arg(long, value_name = "ADDR", value_parser = dnsaddr::parse)]
    pub dns: Vec<SocketAddr>,
    /// DNS queries to OLD go to NEW
    #[arg(long, value_name = "OLD=NEW", value_parser = rewrite)]
    pub rewrite: Vec<(SocketAddr, SocketAddr)>,
}

impl WayOut {
    /// Whether any of it is given.
    pub fn is_given(&self) -> bool {
        !(self.gateway.is_empty() && self.dev.is_none() && self.dns.is_empty() && self.rewrite.is_empty())
    }
}

/// `nsnat exec`.
#[derive(Debug, Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of the command line")]
pub struct Exec {
    /// The way out of a throw-away namespace
    #[command(flatten)]
    pub way: WayOut,
    /// Become this user
    #[arg(short, long, value_name = "USER", conflicts_with = "me")]
    pub user: Option<String>,
    /// Become the user who called sudo
    #[arg(long)]
    pub me: bool,
    /// With a process-number space of its own: everything inside ends with the command
    #[arg(long)]
    pub pid: bool,
    /// At the end, say on standard error how many bytes went down and up, how fast, and how long it took
    #[arg(long)]
    pub report: bool,
    /// Without the proxies that http_proxy and the like name
    #[arg(long)]
    pub no_proxy: bool,
    /// SRC appears as DST for the command only; once for each
    #[arg(long, value_name = "SRC:DST[:ro]")]
    pub mount: Vec<OsString>,
    /// An empty directory in memory for the command only; once for each
    #[arg(long, value_name = "DIR")]
    pub tmpfs: Vec<PathBuf>,
    /// NAME (not with --gateway or --dev), then the command and its arguments
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, required = true, value_name = "COMMAND")]
    pub command: Vec<OsString>,
}

/// A unit's whole name (systemd.unit(5)); one without a type is a service.
fn unit(text: &str) -> Result<String, String> {
    // The types that have NetworkNamespacePath= (systemd.exec(5)).
    const TYPES: [&str; 4] = [".service", ".socket", ".mount", ".swap"];
    let known = |c: char| c.is_ascii_alphanumeric() || ":-_.\\@".contains(c);
    let whole = if text.contains('.') { text.to_owned() } else { format!("{text}.service") };
    match TYPES.iter().find_map(|suffix| whole.strip_suffix(suffix)) {
        Some(prefix)
            if !prefix.is_empty()
                && !prefix.starts_with('.')
                && whole.len() < 256
                && whole.chars().all(known) =>
        {
            Ok(whole)
        }
        Some(_) => Err("is no name of a unit".into()),
        None => Err("only service, socket, mount and swap units have processes that can be bound".into()),
    }
}

/// `ADDR[:PORT][/udp]`.
fn goal(text: &str) -> Result<Goal, String> {
    let (place, udp) = text.strip_suffix("/udp").map_or((text, false), |place| (place, true));
    let bare = place.trim_start_matches('[').trim_end_matches(']');
    if let Ok(address) = bare.parse() {
        let protocol = if udp { Protocol::Udp(dnsaddr::PORT) } else { Protocol::Icmp };
        return Ok(Goal { address, protocol });
    }
    let at: SocketAddr =
        place.parse().map_err(|_| "is not ADDR, ADDR:PORT or ADDR:PORT/udp (IPv6: [ADDR]:PORT)")?;
    let protocol = if udp { Protocol::Udp(at.port()) } else { Protocol::Tcp(at.port()) };
    Ok(Goal { address: at.ip(), protocol })
}

/// `OLD=NEW`.
fn rewrite(text: &str) -> Result<(SocketAddr, SocketAddr), String> {
    let (old, new) = text.split_once('=').ok_or("OLD=NEW is needed")?;
    Ok((dnsaddr::parse(old)?, dnsaddr::parse(new)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_have_names() {
        for (text, whole) in
            [("a", "a.service"), ("a@b.service", "a@b.service"), ("var-x\\x2dy.mount", "var-x\\x2dy.mount")]
        {
            assert_eq!(unit(text).as_deref(), Ok(whole));
        }
        for text in
            ["", ".service", "../a.service", "a/b", "a b", "a.timer", "a\n", "..service", "-/.service"]
        {
            assert!(unit(text).is_err(), "{text}");
        }
    }

    #[test]
    fn goals_have_an_address() {
        for (text, shown) in [
            ("192.0.2.1", "192.0.2.1 (icmp)"),
            ("192.0.2.1:80", "192.0.2.1:80 (tcp)"),
            ("192.0.2.1/udp", "192.0.2.1:53 (udp)"),
            ("[2001:db8::1]:443/udp", "[2001:db8::1]:443 (udp)"),
            ("2001:db8::1", "2001:db8::1 (icmp)"),
        ] {
            assert_eq!(goal(text).map(|goal| goal.to_string()).as_deref(), Ok(shown));
        }
        for text in ["", "example.com:80", "192.0.2.1:99999", "192.0.2.1:80/tcp", ":80"] {
            assert!(goal(text).is_err(), "{text}");
        }
    }

    #[test]
    fn the_definition_is_consistent() {
        <Cli as clap::CommandFactory>::command().debug_assert();
    }
}
