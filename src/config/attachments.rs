//! Attachments as the namespaces that they would be, had somebody declared them.

use super::reader::nearest;
use super::{Config, Located, Namespace, Problem, Uplink};
use crate::model::{Access, Attached, Check, Destination, Name};
use ipnetwork::Ipv4Network;
use std::path::PathBuf;

impl Config {
    /// An attachment as a namespace with the same way out. Problems where what it leaves by is declared nowhere.
    pub fn attachment(&self, attached: &Attached) -> Result<Namespace, Vec<Problem>> {
        let way = match &attached.to {
            Destination::Namespace(name) => self.like(name)?,
            Destination::Uplinks(names) => {
                Namespace::by(names.iter().map(|name| self.uplink(name)).collect::<Result<_, _>>()?)
            }
            Destination::Gateways(gateways) => Namespace::by(vec![Uplink {
                name: None,
                place: None,
                dev: None,
                gateways: gateways.iter().map(|gateway| (*gateway).into()).collect(),
                check: Check::default(),
            }]),
        };
        let mut named = attached.publish.iter().filter_map(|one| one.by.as_ref());
        named.try_for_each(|by| self.uplink(by).map(drop))?;
        let publish =
            attached.publish.iter().map(|port| Located { value: port.clone(), place: None }).collect();
        let own = attached.handed.as_ref().and_then(|handed| handed.address);
        let subnet = own.map(|address| Located { value: Ipv4Network::from(address), place: None });
        let host = attached.host.clone();
        Ok(Namespace { attached: Some(attached.clone()), publish, host, subnet, ..way })
    }

    /// Problems where what a network of a container engine gives its containers is declared nowhere.
    pub fn network(&self, access: &Access) -> Result<(), Vec<Problem>> {
        self.attachment(&Attached::new(PathBuf::new(), String::new(), access.to.clone()))?;
        access.publish_by.iter().try_for_each(|by| self.uplink(by).map(drop))
    }

    /// All that a namespace says of its way out, and nothing that only it can have.
    fn like(&self, name: &Name) -> Result<Namespace, Vec<Problem>> {
        let Some(namespace) = self.namespaces.get(name) else {
            let problem = Problem::at(None, format!("no namespace {name} is declared"));
            return Err(vec![match self.nearest(name.as_str()) {
                Some(near) => problem.help(format!("did you mean {near}?")),
                None => problem.help("nsnat list names those that are"),
            }]);
        };
        let (subnet, allow, publish, host) = (None, Vec::new(), Vec::new(), None);
        let (proxy, on_change) = (None, Vec::new());
        Ok(Namespace {
            subnet,
            allow,
            publish,
            host,
            proxy,
            on_change,
            temporary: false,
            ..namespace.clone()
        })
    }

    /// The namespace as it would be if it left by that uplink alone, by which it answers; nothing of what only it can have.
    pub fn answering_by(&self, namespace: &Namespace, uplink: &Name) -> Result<Namespace, Vec<Problem>> {
        Ok(Namespace { lan: namespace.lan, ..Namespace::by(vec![self.uplink(uplink)?]) })
    }

    fn uplink(&self, name: &Name) -> Result<Uplink, Vec<Problem>> {
        self.uplinks.get(name).cloned().ok_or_else(|| {
            let problem = Problem::at(None, format!("no uplink is called {name}"));
            vec![match nearest(name.as_str(), self.uplinks.keys().map(Name::as_str)) {
                Some(near) => problem.help(format!("did you mean {near}?")),
                None => problem.help("declare it as [uplink.NAME]"),
            }]
        })
    }
}
