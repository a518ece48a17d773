//! The handle on the network stacks of the host and of our namespaces, by which all is observed and changed.

use super::devices::DevicesOfRun;
use super::foreign::Foreign;
use super::nft::Changes;
use super::open_namespaces::OpenNamespaces;
use super::route_socket::Netlink;
use super::table::LastTable;
use super::worker::Worker;
use super::{cookie, limits, netns, sysctl};
use crate::error::{Context, Result};
use crate::model::{Name, State};
use std::collections::BTreeMap;
use tokio::runtime::Runtime;

/// Access to the network stacks of the host and of our namespaces.
pub struct Kernel {
    pub(super) runtime: Runtime,
    pub(super) host: Netlink,
    pub(super) cookie: Option<u64>,
    pub(super) inside: OpenNamespaces,
    /// Settings of the namespace in which some were written last. Those of one are written one after the other, and their directories
    /// are three times as many descriptors as all else of it.
    pub(super) sysctls_inside: Option<(Name, sysctl::Sysctls)>,
    /// Where the network namespaces of attachments are.
    pub(super) attached: BTreeMap<Name, netns::AttachedNetns>,
    /// Settings that namespaces did not take.
    pub(super) refused: BTreeMap<String, String>,
    /// Settings of the host.
    pub(super) sysctls: sysctl::Sysctls,
    /// What the host is tuned to. Many files, so they are read once: a run looks at the host several times.
    pub(super) tuning: Option<BTreeMap<String, String>>,
    /// The devices of the host that are asked about, where not all are.
    pub(super) devices: DevicesOfRun,
    /// Our table, which a second look often finds as it was.
    pub(super) table: LastTable,
    /// Chains of others. Its socket stays open as that of our table does.
    pub(super) foreign: Option<Foreign>,
    /// What they say is kept for other runs.
    pub(super) keeps_rulesets: bool,
    /// Changes of our table.
    pub(super) changes: Changes,
    /// What changes the inside of namespaces.
    pub(super) worker: Worker,
    _descriptors: limits::Descriptors,
}

impl Kernel {
    /// Opens the host's stack, where the kernel has what a change takes. Whoever looks by that has the lock.
    pub fn open_to_change() -> Result<Self> {
        let kernel = Self::open()?;
        Ok(Self { changes: Changes::open()?, keeps_rulesets: true, ..kernel })
    }

    /// Opens the host's stack (that of the calling thread). To look at it only takes no root.
    pub fn open() -> Result<Self> {
        let descriptors = limits::Descriptors::raise_limits();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_io()
            .enable_time()
            .build()
            .what(|| "start")?;
        let host = runtime.block_on(async { Netlink::open() })?;
        let socket = std::os::unix::net::UnixDatagram::unbound().what(|| "start")?;
        // Before Linux 5.14 its inode number will do: nobody else gets that while it lives, and with it the state goes.
        let cookie = cookie::cookie(&socket).or_else(netns::own_inode);
        Ok(Self {
            runtime,
            host,
            cookie,
            inside: OpenNamespaces::new(&descriptors),
            sysctls_inside: None,
            attached: BTreeMap::new(),
            refused: BTreeMap::new(),
            sysctls: sysctl::Sysctls::default(),
            tuning: None,
            devices: DevicesOfRun::default(),
            table: LastTable::default(),
            foreign: None,
            keeps_rulesets: false,
            changes: Changes::default(),
            worker: Worker::default(),
            _descriptors: descriptors,
        })
    }

    /// Passes idle devices by, where there are many. Whoever looks so must know the configuration, and
    /// [look closer](crate::reconcile::Host::look_closer) where it names one.
    pub fn pass_idle_devices(&mut self) {
        self.devices.passes_idle = true;
    }

    /// Where an attachment is that the state may not know yet.
    pub fn expect_attached(&mut self, name: Name, place: netns::AttachedNetns) {
        self.attached.insert(name, place);
    }

    /// The same of those that the state knows.
    pub(super) fn learn_attached(&mut self, state: &State) {
        for (name, namespace) in &state.namespaces {
            if let (Some(attached), Some(inode)) = (&namespace.attached, namespace.inode) {
                let (path, cookie) = (attached.path.clone(), namespace.cookie);
                let place = || netns::AttachedNetns { path, inode, cookie };
                self.attached.entry(name.clone()).or_insert_with(place);
            }
        }
    }
}
