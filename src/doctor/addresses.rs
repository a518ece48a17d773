//! The host's addresses on the uplinks: whose they are, and for how long.

use crate::model::{Claim, Claimed, Code, Cure, Finding, Lease, Surroundings};

/// A client renews a lease when half of it is over, and asks every server when seven eighths are (RFC 2131, section 4.4.5).
const LAST_PART: u64 = 8;

/// Addresses that more than one machine has.
pub(super) fn claimed(host: &Surroundings) -> Vec<Finding> {
    let on_link = host.claims.iter().filter_map(claim);
    let uplinks: Vec<&str> = devices(host).collect();
    let taken = host.leases.iter().filter(|lease| lease.taken && uplinks.contains(&lease.dev.as_str()));
    let taken = taken.map(|Lease { dev, address, .. }| {
        let shown = format!("ip addr show dev {dev}: {address} dadfailed");
        duplicate(&format!("{address} of {dev}"), vec![shown])
    });
    on_link.chain(taken).collect()
}

/// The devices of the uplinks.
fn devices(host: &Surroundings) -> impl Iterator<Item = &str> {
    host.claims.iter().map(|claim| claim.dev.as_str())
}

fn claim(Claim { dev, address, claimed, holders }: &Claim) -> Option<Finding> {
    let shown = || holders.iter().map(|holder| format!("ARP on {dev}: {address} is at {holder}")).collect();
    match (claimed, holders.len()) {
        (Claimed::Own, 1..) => Some(duplicate(&format!("{address} of {dev}"), shown())),
        (Claimed::NextHop, 2..) => {
            let what = format!("several machines on {dev} say that they are the gateway {address}");
            let cure =
                Cure::person("find the machine that should not have the address, and give it another one");
            Some(Finding::new(Code::GatewayDuplicate, what, cure).shown_by(shown()))
        }
        _ => None,
    }
}

fn duplicate(address: &str, shown: Vec<String>) -> Finding {
    let what = format!("another machine has the address {address}, too: answers go to either");
    let cure = Cure::person("give that machine, or this host, another address");
    Finding::new(Code::AddressDuplicate, what, cure).shown_by(shown)
}

/// Leases that nobody renews.
pub(super) fn leased(host: &Surroundings) -> Vec<Finding> {
    let uplinks: Vec<&str> = devices(host).collect();
    let on_uplink = host.leases.iter().filter(|lease| uplinks.contains(&lease.dev.as_str()));
    let ending = on_uplink.filter_map(|lease| Some((lease, lease.left?, lease.given?)));
    let ending = ending.filter(|(lease, left, given)| lease.address.is_ipv4() && left * LAST_PART < *given);
    let finding = |(Lease { dev, address, .. }, left, given): (&Lease, u64, u64)| {
        let what = format!("the address {address} of {dev} is valid for {left} s more, and was not renewed");
        let cure =
            Cure::person("see that its DHCP client runs and that the server answers, and have it renewed");
        let shown = format!("ip addr show dev {dev}: {address} was given for {given} s, valid_lft {left}sec");
        Finding::new(Code::LeaseEnds, what, cure).shown_by([shown])
    };
    ending.map(finding).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::Ipv4Addr;

    const ADDRESS: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);

    fn claimed_by(claimed: Claimed, holders: &[&str]) -> Surroundings {
        let holders = holders.iter().map(ToString::to_string).collect();
        let claims = vec![Claim { dev: "eth0".into(), address: ADDRESS, claimed, holders }];
        Surroundings { claims, ..Surroundings::default() }
    }

    #[test]
    fn who_may_have_an_address() {
        let codes = |of, holders: &[&str]| {
            claimed(&claimed_by(of, holders)).iter().map(|finding| finding.code).collect::<Vec<_>>()
        };
        assert_eq!(codes(Claimed::Own, &[]), []);
        assert_eq!(codes(Claimed::Own, &["a"]), [Code::AddressDuplicate]);
        assert_eq!(codes(Claimed::NextHop, &["a"]), []);
        assert_eq!(codes(Claimed::NextHop, &["a", "b"]), [Code::GatewayDuplicate]);
    }

    #[test]
    fn a_lease_is_renewed_before_its_last_eighth() {
        let codes = |dev: &str, left, given| {
            let lease = Lease { dev: dev.into(), address: ADDRESS.into(), taken: false, given, left };
            let host = Surroundings { leases: vec![lease], ..claimed_by(Claimed::Own, &[]) };
            leased(&host).iter().map(|finding| finding.code).collect::<Vec<_>>()
        };
        assert_eq!(codes("eth0", Some(450), Some(3600)), []);
        assert_eq!(codes("eth0", Some(449), Some(3600)), [Code::LeaseEnds]);
        assert_eq!(codes("eth9", Some(449), Some(3600)), []);
        assert_eq!(codes("eth0", None, None), []);
    }
}
