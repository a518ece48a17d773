//! What nsnat needs of a kernel, and what kernels can be built without.

use super::Cure;
use serde::{Deserialize, Serialize};

/// A part of the kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Need {
    /// Namespaces themselves.
    NetworkNamespaces,
    /// The pair of devices that joins one to the host.
    Veth,
    /// Rules of routing.
    Rules,
    /// Rules of routing of IPv6.
    Rules6,
    /// nftables.
    Nftables,
    /// Its tables of both families.
    BothFamilies,
    /// Expressions of nftables about flows.
    Flows,
    /// The zones of connection tracking, which the answers of several DNS servers are told apart by.
    Zones,
    /// Chains that change addresses.
    NatChains,
    /// Changing addresses.
    Nat,
    /// Changing addresses to that of a device.
    Masquerade,
    /// Refusing packets by an error.
    Reject,
    /// Asking for the route of a packet.
    Fib,
    /// Forgetting flows.
    FlowList,
}

impl Need {
    /// All of them. What others are built on comes first.
    pub const ALL: [Self; 14] = [
        Self::NetworkNamespaces,
        Self::Veth,
        Self::Rules,
        Self::Rules6,
        Self::Nftables,
        Self::BothFamilies,
        Self::Flows,
        Self::Zones,
        Self::NatChains,
        Self::Nat,
        Self::Masquerade,
        Self::Reject,
        Self::Fib,
        Self::FlowList,
    ];

    /// What nsnat's table is made of, and what forgets the flows that went through it.
    pub const OF_NFTABLES: &'static [Self] = Self::ALL.split_at(4).1;

    /// Without which the host cannot be looked at. (Of rules of routing, those of one family are enough.)
    pub const TO_OBSERVE: &'static [Self] =
        &[Self::NetworkNamespaces, Self::Rules, Self::Nftables, Self::BothFamilies, Self::FlowList];

    /// What has to be there for a part to be asked for.
    pub fn rests_on(self) -> &'static [Self] {
        match self {
            Self::NetworkNamespaces | Self::Veth | Self::Rules | Self::Rules6 | Self::Nftables => &[],
            Self::Zones => &[Self::Nftables, Self::BothFamilies, Self::Flows],
            Self::Nat | Self::Masquerade => &[Self::Nftables, Self::BothFamilies, Self::NatChains],
            Self::Flows | Self::NatChains | Self::Reject | Self::Fib => &[Self::Nftables, Self::BothFamilies],
            Self::BothFamilies | Self::FlowList => &[Self::Nftables],
        }
    }

    /// What it is in words, the option that a kernel is built with to have it, and the module, where it may be one.
    pub fn row(self) -> (&'static str, &'static str, Option<&'static str>) {
        match self {
            Self::NetworkNamespaces => ("network namespaces", "CONFIG_NET_NS", None),
            Self::Veth => ("veth pairs", "CONFIG_VETH", Some("veth")),
            Self::Rules => ("rules of routing", "CONFIG_IP_MULTIPLE_TABLES", None),
            Self::Rules6 => ("rules of routing of IPv6", "CONFIG_IPV6_MULTIPLE_TABLES", None),
            Self::Nftables => ("nftables", "CONFIG_NF_TABLES", Some("nf_tables")),
            Self::BothFamilies => ("tables of nftables for both families", "CONFIG_NF_TABLES_INET", None),
            Self::Flows => ("`ct` of nftables", "CONFIG_NFT_CT", Some("nft_ct")),
            Self::Zones => ("zones of connection tracking", "CONFIG_NF_CONNTRACK_ZONES", None),
            Self::NatChains => ("NAT of nftables", "CONFIG_NFT_NAT", Some("nft_chain_nat")),
            Self::Nat => ("`dnat` and `snat` of nftables", "CONFIG_NFT_NAT", Some("nft_nat")),
            Self::Masquerade => ("`masquerade` of nftables", "CONFIG_NFT_MASQ", Some("nft_masq")),
            Self::Reject => ("`reject` of nftables", "CONFIG_NFT_REJECT", Some("nft_reject_inet")),
            Self::Fib => ("`fib` of nftables", "CONFIG_NFT_FIB_INET", Some("nft_fib_inet")),
            Self::FlowList => ("list of flows", "CONFIG_NF_CT_NETLINK", Some("nf_conntrack_netlink")),
        }
    }

    /// What it is, and by which names a kernel's maker knows it.
    pub fn title(self) -> String {
        let (words, option, module) = self.row();
        let module = module.map(|module| format!(", module {module}")).unwrap_or_default();
        format!("{words} ({option}{module})")
    }
}

/// What the kernel that runs lacks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Lacks {
    /// Its version.
    pub release: String,
    /// What it lacks.
    pub needs: Vec<Need>,
    /// Why no module brings it.
    pub modules: Modules,
}

/// Whether the kernel can load modules.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Modules {
    /// It can, where there is such a module.
    #[default]
    Loaded,
    /// There are none of its version.
    Nowhere,
    /// It was built without modules.
    Unknown,
    /// `kernel.modules_disabled` is on.
    Forbidden,
}

impl Lacks {
    /// What is missing, in a line.
    pub fn what(&self) -> String {
        let needs: Vec<_> = self.needs.iter().map(|need| need.title()).collect();
        format!("Linux {} has no {}", self.release, needs.join(", no "))
    }

    /// What helps. Where there should be modules, whether they can be loaded tells whether it did.
    pub fn cure(&self) -> Cure {
        let cure = Cure::person(self.hint());
        let modules = modules(&self.needs);
        if self.modules == Modules::Loaded && !modules.is_empty() {
            return cure.checked_by(format!("modprobe -a {}", modules.join(" ")));
        }
        cure
    }

    /// What helps, in words.
    pub fn hint(&self) -> String {
        let modules = modules(&self.needs);
        match (self.modules, modules.as_slice()) {
            (Modules::Unknown, _) | (_, []) => {
                "boot a kernel that was built with that, such as one of a distribution".into()
            }
            (Modules::Forbidden, _) => format!(
                "kernel.modules_disabled is 1, so none is loaded until the next boot: \
                 write {} into a file in /etc/modules-load.d, a line each, and reboot",
                self.modules_of_all().join(", ")
            ),
            (Modules::Nowhere, _) => format!(
                "there are no modules in /lib/modules/{}: reboot after an upgrade of the kernel; \
                 in a container, load them on its host",
                self.release
            ),
            (Modules::Loaded, modules) => format!(
                "modprobe -a {} says why they cannot be loaded; kernels of distributions have them",
                modules.join(" ")
            ),
        }
    }

    /// The modules of what is missing, and of what cannot even be asked for without that: who has to boot for them does so
    /// once.
    fn modules_of_all(&self) -> Vec<&'static str> {
        let is_missing = |need: &Need| self.needs.contains(need);
        let all =
            Need::ALL.into_iter().filter(|need| is_missing(need) || need.rests_on().iter().any(is_missing));
        modules(&all.collect::<Vec<_>>())
    }
}

fn modules(needs: &[Need]) -> Vec<&'static str> {
    needs.iter().filter_map(|need| need.row().2).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_is_told_once_and_what_helps_depends_on_the_modules() {
        let titles: std::collections::BTreeSet<_> = Need::ALL.iter().map(|need| need.title()).collect();
        assert_eq!(titles.len(), Need::ALL.len());
        let lacks = |needs: &[Need], modules| Lacks { release: "5.10".into(), needs: needs.into(), modules };
        let fib = lacks(&[Need::Fib, Need::Zones], Modules::Loaded);
        assert_eq!(
            fib.what(),
            "Linux 5.10 has no `fib` of nftables (CONFIG_NFT_FIB_INET, module nft_fib_inet), \
             no zones of connection tracking (CONFIG_NF_CONNTRACK_ZONES)"
        );
        let cures = [
            (Need::Fib, Modules::Loaded, "modprobe -a nft_fib_inet"),
            (Need::Fib, Modules::Nowhere, "/lib/modules/5.10"),
            (Need::Fib, Modules::Forbidden, "/etc/modules-load.d"),
            (Need::Fib, Modules::Unknown, "boot a kernel"),
            (Need::Zones, Modules::Forbidden, "boot a kernel"),
        ];
        for (need, modules, words) in cures {
            let cure = lacks(&[need], modules).hint();
            assert!(cure.contains(words), "{cure}");
        }
    }

    #[test]
    fn whoever_has_to_boot_for_modules_is_told_all_of_them() {
        let needs = vec![Need::Veth, Need::NatChains];
        let lacks = Lacks { release: "5.10".into(), needs, modules: Modules::Forbidden };
        assert!(
            lacks.hint().contains("write veth, nft_chain_nat, nft_nat, nft_masq into"),
            "{}",
            lacks.hint()
        );
    }

    #[test]
    fn all_of_nftables_is_built_on_it() {
        let [first, rest @ ..] = Need::OF_NFTABLES else { panic!("there is nothing") };
        assert_eq!(*first, Need::Nftables);
        assert!(rest.iter().all(|need| need.rests_on().contains(first)));
        let others = Need::ALL.iter().filter(|need| !Need::OF_NFTABLES.contains(need));
        assert!(others.into_iter().all(|need| need.rests_on().is_empty()));
    }
}
