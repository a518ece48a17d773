//! The command line, as types only. Help, man page and completions are made from these types and their comments, so
//! each comment here is a text that users read.

mod attach;
mod examples;
mod values;

pub use attach::Attach;

use crate::model::trace::ProbeTarget;
use crate::model::{HostService, Name, Publication, dnsaddr};
use clap::{Args, Parser, Subcommand, ValueEnum};
use ipnetwork::IpNetwork;
use std::ffi::OsString;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

/// Give chosen programs their own way out of this host
#[derive(Debug, Parser)]
#[command(version, about, disable_help_subcommand = true, arg_required_else_help = true, after_help = examples::NSNAT)]
pub struct Cli {
    /// Options that every command has.
    #[command(flatten)]
    pub global: GlobalOptions,
    /// The command to run.
    #[command(subcommand)]
    pub command: Command,
}

/// Options that every command has.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Global options")]
pub struct GlobalOptions {
    /// Read the configuration from this file, or from this directory, laid out like /etc/nsnat. The environment
    /// variable NSNAT_CONFIG does the same
    #[arg(long, global = true, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Print more: with -v, every action that is performed
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub verbose: u8,
    /// Print only errors
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    pub quiet: bool,
    /// Print reports as text for people, or as JSON for programs
    #[arg(short, long, global = true, value_enum, default_value_t, value_name = "FORM")]
    pub output: Output,
    /// When to print colours
    #[arg(long, global = true, value_enum, default_value_t, value_name = "WHEN")]
    pub color: Color,
}

/// The form in which reports are printed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Output {
    /// Text for people
    #[default]
    Text,
    /// JSON for programs
    Json,
}

/// When to print colours.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Color {
    /// Only when the output is a terminal
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
    /// Bring up the declared namespaces, and repair the ones that are up
    #[command(after_help = examples::UP)]
    Up {
        /// The namespaces to bring up. When none is named, all declared namespaces. When some are named, nsnat looks
        /// only at these, unless they share something with others that has to change; `nsnat status` looks at all
        names: Vec<Name>,
        /// Repair the namespaces that are up, and bring up no other one. Hooks of other programs use this, because
        /// they must not bring back a namespace that somebody took down
        #[arg(long)]
        repair: bool,
    },
    /// Keep the declared namespaces as they are declared, whatever changes on the host
    ///
    /// nsnat.service runs this. Namespaces follow their uplinks, and what other programs take away is put back. Ending it
    /// takes no namespace down.
    #[command(after_help = examples::WATCH)]
    Watch,
    /// Take namespaces down, and remove exactly what nsnat made for them
    #[command(after_help = examples::DOWN)]
    Down {
        /// The namespaces to take down. When none is named, everything that nsnat made is removed
        names: Vec<Name>,
        /// End the processes that still run inside
        #[arg(long)]
        kill: bool,
    },
    /// Declare a namespace in the configuration, and bring it up
    #[command(after_help = examples::ADD)]
    Add(Add),
    /// Take a namespace down, and delete its declaration
    #[command(after_help = examples::REMOVE)]
    Remove {
        /// The namespace
        name: Name,
        /// End the processes that still run inside
        #[arg(long)]
        kill: bool,
    },
    /// Give a network namespace that another program made, such as a container's, an interface and a way out
    ///
    /// Of the rest of that namespace, nothing is changed. To attach the same twice changes nothing the second time. When the
    /// namespace ends, the next run of nsnat removes what is left of the attachment.
    #[command(after_help = examples::ATTACH)]
    Attach(Attach),
    /// Remove the interface that `attach` made. An attachment that is not there is no error
    #[command(after_help = examples::DETACH)]
    Detach {
        /// The name of the attachment
        id: Name,
    },
    /// Answer Docker, as the driver of its networks that leave by nsnat's ways
    ///
    /// nsnat-docker.service runs this, with the socket of nsnat-docker.socket. Docker finds the driver by that socket. Ending it
    /// takes no container's network away.
    #[command(after_help = examples::DOCKER)]
    Docker {
        /// The socket to listen at, where systemd hands none over
        #[arg(long, value_name = "PATH", default_value = "/run/docker/plugins/nsnat.sock")]
        socket: PathBuf,
        /// The directory in which Docker's networks are remembered
        #[arg(long, value_name = "DIR", default_value = "/var/lib/nsnat")]
        state: PathBuf,
    },
    /// Run a command inside a namespace. With --gateway or --dev, the namespace is an ephemeral one, made for this
    /// command only
    #[command(after_help = examples::EXEC, override_usage = "nsnat exec [OPTIONS] NAME [--] CMD [ARG]...
       nsnat exec [OPTIONS] --gateway ADDR [--] CMD [ARG]...")]
    Exec(Exec),
    /// Start your shell inside a namespace
    #[command(after_help = examples::SHELL)]
    Shell {
        /// The namespace
        name: Name,
    },
    /// Show which namespaces are up, and what is wrong with them
    #[command(after_help = examples::STATUS)]
    Status {
        /// The namespace to show. When it is not named, all namespaces are shown
        name: Option<Name>,
        /// Also send test packets, as `trace` does, and report a namespace whose packets do not get out. The exit status
        /// is 3 when a namespace is broken
        #[arg(long)]
        check: bool,
        /// Go on, and show the namespaces anew when something changes
        #[arg(short, long, conflicts_with = "check")]
        watch: bool,
    },
    /// Print what happened to namespaces: moves to another uplink, repairs, ups and downs, each in a line
    ///
    /// With `-o json`, each line is a JSON object. What happened is recorded from the time on when the first namespace came
    /// up, and forgotten when the last one goes down; the latest few thousand events are kept.
    #[command(after_help = examples::EVENTS)]
    Events {
        /// Print only what concerns this namespace
        name: Option<Name>,
        /// Go on, and print what happens from now on
        #[arg(short, long)]
        follow: bool,
    },
    /// List the names of the declared namespaces, one on each line
    #[command(after_help = examples::LIST)]
    List,
    /// Say what `up` would do, and change nothing
    ///
    /// The exit status is 0 when there is nothing to do, and 2 when there is something.
    #[command(after_help = examples::PLAN)]
    Plan {
        /// The namespaces to plan for. When none is named, all declared namespaces
        names: Vec<Name>,
        /// Print the commands that equal each step. A shell that runs them as root does what `up` would do
        #[arg(long)]
        commands: bool,
    },
    /// List the processes inside a namespace, or inside all
    #[command(after_help = examples::PS)]
    Ps {
        /// The namespace. When it is not named, all namespaces in which there are processes
        name: Option<Name>,
    },
    /// Print the namespace that a process is in
    #[command(after_help = examples::WHICH)]
    Which {
        /// The number of the process. When it is not given, the calling process
        #[arg(value_parser = values::pid)]
        pid: Option<i32>,
    },
    /// Change or test where the DNS queries of a namespace go, while it is up
    #[command(after_help = examples::DNS_TEST)]
    Dns {
        /// The namespace
        name: Name,
        /// The command to run
        #[command(subcommand)]
        command: DnsCommand,
    },
    /// Follow one packet of a namespace through this host, and name the rule that stops it or leads it elsewhere
    #[command(after_help = examples::TRACE)]
    Trace {
        /// The namespace
        name: Name,
        /// The destination of the packet: ADDR:PORT for TCP, ADDR:PORT/udp for UDP, or ADDR alone for ICMP. The packet
        /// ends at the gateway and never reaches its destination. Without a destination, TCP to ports 80 and 443, DNS
        /// and ICMP are tried
        #[arg(value_name = "ADDR[:PORT][/udp]", value_parser = values::probe_target)]
        goal: Option<ProbeTarget>,
    },
    /// Find out what keeps a namespace from working, and say what helps
    ///
    /// Test packets and questions for a name are sent by the way of the namespace, and what becomes of each is looked at.
    /// The exit status is 0 when nothing is wrong, and 1 when something is.
    #[command(after_help = examples::DOCTOR)]
    Doctor {
        /// The namespace. When it is not named, all namespaces that are declared or up
        name: Option<Name>,
        /// Run the cures that are commands of nsnat's own, and look again
        #[arg(long)]
        fix: bool,
        /// The host name to ask for
        #[arg(long, value_name = "HOST", default_value = "example.com")]
        ask: String,
        /// Write all that a report of a bug needs to this new file. Public addresses, link-layer addresses, keys and the name
        /// of the host are masked
        #[arg(long, value_name = "FILE")]
        bundle: Option<PathBuf>,
    },
    /// Make a systemd unit run inside a namespace, or undo that
    #[command(after_help = examples::BIND)]
    Systemd {
        /// The command to run
        #[command(subcommand)]
        command: SystemdCommand,
    },
    /// Print the text of the nft table that `up` loads
    #[command(after_help = examples::SKELETON)]
    Skeleton,
    /// Print the script that completes nsnat's commands in a shell
    #[command(after_help = examples::COMPLETIONS)]
    Completions {
        /// The shell that the script is for
        #[arg(value_enum)]
        shell: clap_complete::Shell,
    },
    /// Print a man page
    #[command(after_help = examples::MAN)]
    Man {
        /// The page: of the commands, of the configuration, of the helper for users, or the overview
        #[arg(value_enum, default_value_t)]
        page: Page,
    },
    /// Print the help of nsnat, or of one command
    #[command(after_help = examples::HELP)]
    Help {
        /// The command, and the command below it where there is one
        #[arg(value_name = "COMMAND")]
        words: Vec<String>,
    },
    /// Print what can stand in the place of the last of these words; the completion scripts of shells call this
    #[command(name = "__complete", hide = true)]
    Complete {
        /// The words after `nsnat`, up to the cursor
        #[arg(last = true)]
        words: Vec<String>,
    },
}

/// The man pages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Page {
    /// The commands
    #[default]
    #[value(name = "nsnat.1", alias = "nsnat")]
    Commands,
    /// The configuration
    #[value(name = "nsnat.toml.5", alias = "nsnat.toml")]
    Configuration,
    /// The helper for users without sudo
    #[value(name = "nsnat-exec.1", alias = "nsnat-exec")]
    Exec,
    /// The overview
    #[value(name = "nsnat.7")]
    Overview,
}

/// The commands of `nsnat systemd`.
#[derive(Debug, Subcommand)]
pub enum SystemdCommand {
    /// Make UNIT run inside NAME, from its next start on
    #[command(after_help = examples::BIND)]
    Bind {
        /// The namespace
        name: Name,
        /// The unit: a service, socket, mount or swap unit
        #[arg(value_parser = values::unit)]
        unit: String,
    },
    /// Make UNIT run outside of the namespace again, from its next start on
    #[command(after_help = examples::UNBIND)]
    Unbind {
        /// The unit
        #[arg(value_parser = values::unit)]
        unit: String,
    },
}

/// The commands of `nsnat dns`.
#[derive(Debug, Subcommand)]
pub enum DnsCommand {
    /// Send every query to the servers that are named here, or only the queries to OLD to NEW
    #[command(after_help = examples::DNS_SET)]
    Set {
        /// The servers, up to three, in the order in which they are tried
        #[arg(value_name = "ADDR", value_parser = dnsaddr::parse, num_args = 0..=3)]
        servers: Vec<SocketAddr>,
        /// Send the DNS queries that are meant for OLD to NEW
        #[arg(long, value_name = "OLD=NEW", value_parser = values::rewrite)]
        rewrite: Vec<(SocketAddr, SocketAddr)>,
    },
    /// Stop rewriting DNS queries
    #[command(after_help = examples::DNS_CLEAR)]
    Clear,
    /// Send a real query over every path, and print which server answers
    #[command(after_help = examples::DNS_TEST)]
    Test {
        /// The host name to ask for
        #[arg(default_value = "example.com")]
        host: String,
    },
}

/// The arguments of `nsnat add`.
#[derive(Debug, Args)]
pub struct Add {
    /// The name of the namespace
    pub name: Name,
    /// The way out of the namespace
    #[command(flatten)]
    pub path: UplinkOptions,
    /// The address block of the namespace. When it is not given, a block of the pool
    #[arg(long, value_name = "NET")]
    pub subnet: Option<IpNetwork>,
    /// Use this uplink of the configuration. Give this once for each uplink, in the order in which they are preferred
    #[arg(long, value_name = "NAME", conflicts_with_all = ["gateway", "dev"])]
    pub uplink: Vec<Name>,
    /// Whether the namespace has IPv6: auto, off, or nat
    #[arg(long, value_name = "WORD")]
    pub ipv6: Option<String>,
    /// Whether the namespace reaches the subnets of its uplink directly
    #[arg(long, value_name = "BOOL")]
    pub lan: Option<bool>,
    /// The largest packet of the namespace, in bytes
    #[arg(long, value_name = "BYTES")]
    pub mtu: Option<u32>,
    /// Let this user run commands inside. Give this once for each user
    #[arg(long, value_name = "USER")]
    pub allow: Vec<String>,
    /// Let the other side of the uplink ask this port of the host, which leads to the port inside; of another uplink, where that
    /// is named. Give this once for each port
    #[arg(long, value_name = "PORT[:PORT][/PROTOCOL][@UPLINK]")]
    pub publish: Vec<Publication>,
    /// Let the namespace reach this service of the host, by 169.254.213.1, and no others. Give this once for each service, or
    /// `none` for no service
    #[arg(long, value_name = "PORT[/PROTOCOL]", value_parser = HostService::choice)]
    pub host: Vec<Option<HostService>>,
    /// Declare the namespace below /run, so that it is gone after a reboot
    #[arg(long)]
    pub temporary: bool,
}

/// A way out that is given on the command line.
#[derive(Clone, Debug, Default, Args)]
pub struct UplinkOptions {
    /// The address of the router to send to (next hop). Give this once for each address family
    #[arg(long, value_name = "ADDR")]
    pub gateway: Vec<IpAddr>,
    /// The device to leave by. When it is not given, the device on which the gateway is found
    #[arg(long, value_name = "IF")]
    pub dev: Option<String>,
    /// Send every DNS query to this server. Give this up to three times, in the order in which they are tried
    #[arg(long, value_name = "ADDR", value_parser = dnsaddr::parse)]
    pub dns: Vec<SocketAddr>,
    /// Send the DNS queries that are meant for OLD to NEW
    #[arg(long, value_name = "OLD=NEW", value_parser = values::rewrite)]
    pub rewrite: Vec<(SocketAddr, SocketAddr)>,
}

impl UplinkOptions {
    /// Whether any of these options is given.
    pub fn is_given(&self) -> bool {
        !(self.gateway.is_empty() && self.dev.is_none() && self.dns.is_empty() && self.rewrite.is_empty())
    }
}

/// The arguments of `nsnat exec`.
#[derive(Debug, Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of the command line")]
pub struct Exec {
    /// The way out of an ephemeral namespace.
    #[command(flatten)]
    pub path: UplinkOptions,
    /// Run the command as this user
    #[arg(short, long, value_name = "USER", conflicts_with = "me")]
    pub user: Option<String>,
    /// Run the command as the user that called sudo, doas or pkexec
    #[arg(long)]
    pub me: bool,
    /// Give the command a PID namespace of its own, so that every process in it ends when the command ends
    #[arg(long)]
    pub pid: bool,
    /// When the command has ended, print on standard error how many bytes went down and up, how fast, and how long
    /// the command ran
    #[arg(long)]
    pub report: bool,
    /// Remove http_proxy and the other proxy variables from the environment of the command
    #[arg(long)]
    pub no_proxy: bool,
    /// Mount SRC over DST, for this command only. Give this once for each mount
    #[arg(long, value_name = "SRC:DST[:ro]")]
    pub mount: Vec<OsString>,
    /// Mount an empty directory in memory over DIR, for this command only. Give this once for each directory
    #[arg(long, value_name = "DIR")]
    pub tmpfs: Vec<PathBuf>,
    /// The namespace (not with --gateway or --dev), then the command and its arguments
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, required = true, value_name = "COMMAND")]
    pub command: Vec<OsString>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_command_has_examples_that_it_reads() {
        let root = <Cli as clap::CommandFactory>::command();
        let mut commands = vec![&root];
        while let Some(command) = commands.pop() {
            commands.extend(command.get_subcommands().filter(|command| !command.is_hide_set()));
            let shown = command.get_after_help().map(ToString::to_string).unwrap_or_default();
            let lines: Vec<_> = shown.lines().skip(1).collect();
            assert!(!lines.is_empty(), "{} has no example", command.get_name());
            for line in lines {
                let (line, _) = line.trim().split_once("  ").expect(line);
                assert!(Cli::try_parse_from(line.split(' ')).is_ok(), "{line}");
            }
        }
    }

    #[test]
    fn the_definition_is_consistent() {
        <Cli as clap::CommandFactory>::command().debug_assert();
    }
}
