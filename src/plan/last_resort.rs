//! The last resort: for namespaces that are to leave as the host does while none of their uplinks can be used.
//!
//! It is a path as that of an uplink, with a route in the table of the egress and entries of the guard: at any time a
//! namespace has one next hop of each family, and the guard lets nothing out by another one. It goes with the default route
//! of the main table, so there is none where the host has none.

use super::uplink_path::{is_usable, resolve_uplink};
use crate::config::Uplink;
use crate::model::{Check, Family, Observed, Route, RouteKind, UplinkPath};

/// By the default routes of the main table, for these families. They may be on two devices, and a path has one: that of the
/// first family that has one.
pub(super) fn path(families: &[Family], observed: &Observed) -> Option<UplinkPath> {
    let dev = families.iter().find_map(|family| default_route(*family, observed)?.dev.clone())?;
    let defaults = families.iter().map(|family| default_route(*family, observed));
    let defaults: Vec<&Route> = defaults.flatten().filter(|route| route.dev.as_ref() == Some(&dev)).collect();
    let uplink = Uplink {
        name: None,
        place: None,
        dev: Some(dev.into()),
        gateways: defaults.iter().filter_map(|route| route.via).map(Into::into).collect(),
        check: Check::default(),
    };
    let mut path = resolve_uplink(&uplink, observed).ok()?;
    path.direct.retain(|family| defaults.iter().any(|route| route.to == family.everything()));
    is_usable(&path, observed).then_some(UplinkPath { last_resort: true, ..path })
}

/// The default route of the main table that the kernel takes.
fn default_route(family: Family, observed: &Observed) -> Option<&Route> {
    let is_default = |route: &&Route| {
        route.table == u32::from(libc::RT_TABLE_MAIN)
            && route.to == family.everything()
            && route.kind == RouteKind::Unicast
            && route.dev.is_some()
    };
    observed.host.routes.iter().filter(is_default).min_by_key(|route| route.metric)
}
