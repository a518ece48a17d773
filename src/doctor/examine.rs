//! The checks, in the order of a packet's way.

use super::patient::Patient;
use super::{addresses, declaration, host, names, objects, others, packets, uplink};
use crate::model::{Finding, Surroundings};
use std::collections::BTreeSet;

/// The checks of a namespace.
const CHECKS: [fn(&Patient<'_>) -> Vec<Finding>; 19] = [
    uplink::usable,
    uplink::device,
    uplink::addresses,
    uplink::flapping,
    declaration::name,
    others::preceding,
    others::firewalls,
    others::devices_that_drop,
    declaration::refused,
    objects::missing,
    names::family,
    uplink::next_hops,
    declaration::forgotten,
    names::resolv_conf,
    uplink::several,
    uplink::published_by,
    others::devices_that_may_drop,
    others::proxies,
    packets::subnet_taken,
];

/// The checks of test packets, where some were sent.
const PROBES: [fn(&Patient<'_>) -> Vec<Finding>; 5] =
    [packets::followed, packets::beyond, packets::large, names::asked, names::encrypted];

/// The checks of the host.
const HOST: [fn(&Surroundings) -> Vec<Finding>; 9] = [
    host::daemon,
    host::kernel,
    host::tables,
    host::versions,
    host::state,
    host::units,
    host::managed_links,
    addresses::claimed,
    addresses::leased,
];

/// All that is wrong with a namespace. What something else explains is among it.
pub fn examine(patient: &Patient<'_>) -> Vec<Finding> {
    CHECKS.iter().chain(&PROBES).flat_map(|check| check(patient)).collect()
}

/// All that is wrong with the host.
pub fn examine_host(surroundings: &Surroundings) -> Vec<Finding> {
    HOST.iter().flat_map(|check| check(surroundings)).collect()
}

/// Without the findings that another one explains, of the same namespace or of the host; and each once.
pub fn unexplained(findings: Vec<Finding>, host: &[Finding]) -> Vec<Finding> {
    let codes: Vec<_> = findings.iter().chain(host).map(|finding| finding.code).collect();
    let mut told = BTreeSet::new();
    let mut out = findings;
    out.retain(|finding| {
        let is_explained = codes.iter().any(|code| finding.code.is_explained_by(*code));
        !is_explained && told.insert(finding.clone())
    });
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Code, Cure};

    #[test]
    fn what_follows_from_something_else_is_not_told() {
        let found = |codes: &[Code]| -> Vec<Finding> {
            codes.iter().map(|code| Finding::new(*code, "", Cure::person(""))).collect()
        };
        let told = |codes: &[Code], host: &[Code]| -> Vec<Code> {
            unexplained(found(codes), &found(host)).iter().map(|finding| finding.code).collect()
        };
        assert_eq!(told(&[Code::UplinkDown, Code::GatewaySilent, Code::DnsSilent], &[]), [Code::UplinkDown]);
        assert_eq!(told(&[Code::DnsSilent], &[Code::ConntrackFull]), []);
        // A warning explains nothing.
        let codes = [Code::DeviceMayDrop, Code::PacketDropped];
        assert_eq!(told(&codes, &[]), codes);
    }
}
