//! What other programs put in the way.

use super::patient::Patient;
use crate::model::Finding;
use crate::plan;

/// Rules of routing and IPsec policies that come before nsnat's.
pub(super) fn preceding(patient: &Patient<'_>) -> Vec<Finding> {
    patient.shared.preceding.get(&patient.namespace.egress).cloned().unwrap_or_default()
}

/// Chains that stop what they do not know.
pub(super) fn firewalls(patient: &Patient<'_>) -> Vec<Finding> {
    patient.shared.firewalls.clone()
}

/// What hangs on devices and takes everything.
pub(super) fn devices_that_drop(patient: &Patient<'_>) -> Vec<Finding> {
    plan::certain_findings(patient.namespace, patient.state, patient.observed)
}

/// What hangs on devices and takes something.
pub(super) fn devices_that_may_drop(patient: &Patient<'_>) -> Vec<Finding> {
    plan::possible_findings(patient.namespace, patient.state, patient.observed)
}

/// Transparent proxies that hear nothing on nsnat's account.
pub(super) fn proxies(patient: &Patient<'_>) -> Vec<Finding> {
    patient.shared.proxies.get(&patient.namespace.egress).cloned().into_iter().collect()
}
