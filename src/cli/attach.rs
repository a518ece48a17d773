//! The arguments of `nsnat attach`.

use super::values;
use crate::model::{Destination, HostService, Name, Publication};
use clap::{ArgGroup, Args};
use std::net::IpAddr;
use std::path::PathBuf;

/// The arguments of `nsnat attach`.
#[derive(Debug, Args)]
#[command(group = ArgGroup::new("way").required(true).args(["to", "uplink", "gateway"]))]
pub struct Attach {
    /// A file that leads to the network namespace, such as /run/netns/NAME or /proc/PID/ns/net
    pub path: PathBuf,
    /// Leave as this declared namespace does, with its DNS. That namespace need not be up
    #[arg(long, value_name = "NAME")]
    pub to: Option<Name>,
    /// Leave by this uplink of the configuration. Give this once for each uplink, in the order in which they are preferred
    #[arg(long, value_name = "NAME")]
    pub uplink: Vec<Name>,
    /// Leave by this router (next hop). Give this once for each address family
    #[arg(long, value_name = "ADDR")]
    pub gateway: Vec<IpAddr>,
    /// Let the other side of the uplink ask this port of the host, which leads to the port inside; of another uplink, where that
    /// is named. Give this once for each port
    #[arg(long, value_name = "PORT[:PORT][/PROTOCOL][@UPLINK]")]
    pub publish: Vec<Publication>,
    /// Let the namespace reach this service of the host, by 169.254.213.1, and no others. Give this once for each service, or
    /// `none` for no service
    #[arg(long, value_name = "PORT[/PROTOCOL]", value_parser = HostService::choice)]
    pub host: Vec<Option<HostService>>,
    /// The name of the interface
    #[arg(long, value_name = "IF", default_value = "eth0", value_parser = values::ifname)]
    pub ifname: String,
    /// The name of the attachment. When it is not given, it is made of the path and of the name of the interface
    #[arg(long, value_name = "NAME")]
    pub id: Option<Name>,
}

impl Attach {
    /// By what the attachment leaves.
    pub fn destination(&self) -> Destination {
        match &self.to {
            Some(name) => Destination::Namespace(name.clone()),
            None if self.uplink.is_empty() => Destination::Gateways(self.gateway.clone()),
            None => Destination::Uplinks(self.uplink.clone()),
        }
    }
}
