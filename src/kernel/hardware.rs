//! Link-layer addresses of interfaces.

use super::decode::{GET_LINK, IFINFO, IFNAME};
use super::netlink_socket::NetlinkSocket;
use super::netns::{self, NetnsFile};
use crate::attributes::{find, text};
use crate::model::Name;
use std::io;

/// IFLA_ADDRESS (include/uapi/linux/if_link.h).
const ADDRESS: u16 = 1;

/// The link-layer address of a device of the host, or of one in a namespace that is up.
pub fn hardware_address(namespace: Option<&Name>, dev: &str) -> Option<String> {
    let Some(name) = namespace else { return of_this_thread(dev) };
    let NetnsFile::Alive { file, .. } = netns::find(name).ok()? else { return None };
    let dev = dev.to_owned();
    netns::run_inside(&file, move || of_this_thread(&dev).ok_or_else(|| io::Error::other("not told"))).ok()
}

fn of_this_thread(dev: &str) -> Option<String> {
    let question = [&[0; IFINFO][..], &text(IFNAME, dev)].concat();
    let body = NetlinkSocket::for_dumps().ok()?.get_whole(GET_LINK, &question).ok()?.ok()?;
    let bytes = find(body.get(IFINFO..)?, ADDRESS)?;
    Some(bytes.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().join(":"))
}
