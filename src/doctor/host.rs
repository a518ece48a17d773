//! The host: what has to do with every namespace.

use crate::model::{Code, Cure, Family, Finding, Lacks, Surroundings, state};

/// A table that is fuller than this is full: the kernel throws entries out of it, or refuses new ones.
const FULL_PERCENT: u64 = 95;

/// Whether `nsnat watch` runs where it is wanted, and what it complains of.
pub(super) fn daemon(host: &Surroundings) -> Vec<Finding> {
    let daemon = &host.daemon;
    if daemon.enabled && !daemon.runs {
        let what = "nsnat.service is enabled, and nsnat watch does not run";
        let cure = Cure::command("systemctl restart nsnat");
        let shown = ["systemctl status nsnat; journalctl -u nsnat".to_owned()];
        return vec![Finding::new(Code::DaemonStopped, what, cure).shown_by(shown)];
    }
    let complaint = |line: &String| {
        let cure = Cure::person("do what it asks for; all that it says: journalctl -u nsnat");
        Finding::new(Code::DaemonComplains, format!("nsnat watch: {line}"), cure).shown_by([line.clone()])
    };
    daemon.says.iter().map(complaint).collect()
}

/// What the kernel lacks.
pub(super) fn kernel(host: &Surroundings) -> Vec<Finding> {
    let one = |lacks: &Lacks| {
        let finding = Finding::new(Code::KernelLacks, lacks.what(), lacks.cure());
        finding.shown_by(lacks.needs.iter().map(|need| need.title()))
    };
    host.lacks.iter().map(one).collect()
}

/// Tables of the kernel that are full.
pub(super) fn tables(host: &Surroundings) -> Vec<Finding> {
    let is_full = |count: u64, most: u64| most > 0 && count * 100 >= most * FULL_PERCENT;
    let flows = host.flows.filter(|(count, most)| is_full(*count, *most)).map(|(count, most)| {
        let what = format!("connection tracking is full: {count} flows of {most}");
        let more = format!("sysctl -w net.netfilter.nf_conntrack_max={}", enough(count, most));
        Finding::new(Code::ConntrackFull, what, Cure::command(more))
            .shown_by([format!("nf_conntrack_count {count}, nf_conntrack_max {most}")])
    });
    let full = host.neighbours.iter().filter(|(_, count, most)| is_full(*count, *most));
    let neighbours = full.map(|(family, count, most)| {
        let what = format!("the table of neighbours is full: {count} of {most} ({family})");
        let of = if *family == Family::V4 { "ipv4" } else { "ipv6" };
        let key = format!("net.{of}.neigh.default.gc_thresh3");
        Finding::new(
            Code::NeighboursFull,
            what,
            Cure::command(format!("sysctl -w {key}={}", enough(*count, *most))),
        )
        .shown_by([format!("{key} = {most}")])
    });
    flows.into_iter().chain(neighbours).collect()
}

/// What a full table holds without being full soon. There may be more in it already than it is to hold.
fn enough(count: u64, most: u64) -> u64 {
    count.max(most) * 4
}

/// Programs of nsnat of another version than this one.
pub(super) fn versions(host: &Surroundings) -> Vec<Finding> {
    let Some((_, first)) = host.programs.first() else { return Vec::new() };
    if host.programs.iter().all(|(_, version)| version == first) {
        return Vec::new();
    }
    let shown = host.programs.iter().map(|(path, version)| format!("{}: {version}", path.display()));
    let cure = Cure::person("keep one of them, and remove the others");
    vec![Finding::new(Code::TwoVersions, "nsnat is installed in several versions", cure).shown_by(shown)]
}

/// A state that a newer release has written.
pub(super) fn state(host: &Surroundings) -> Vec<Finding> {
    let Some(version) = host.state_version.filter(|version| *version > state::VERSION) else {
        return Vec::new();
    };
    let what = "a newer release of nsnat has recorded what is up, and this one may not know all of it";
    let cure = Cure::person("use that release, or take everything down by it first");
    let shown = format!(
        "{}/state.json is of version {version}, and this nsnat writes {}",
        state::RUN,
        state::VERSION
    );
    vec![Finding::new(Code::StateNewer, what, cure).shown_by([shown])]
}

/// Units that are bound to a namespace that nobody declares.
pub(super) fn units(host: &Surroundings) -> Vec<Finding> {
    let lost = host.bound.iter().filter(|(_, name)| !host.declared.contains(name));
    let one = |(unit, name): &(String, _)| {
        let what = format!("the unit {unit} is bound to namespace {name}, which is not declared");
        let cure = Cure::command(format!("nsnat systemd unbind {unit}"));
        Finding::new(Code::UnitWithoutNamespace, what, cure)
            .shown_by([format!("/etc/systemd/system/{unit}.d/50-nsnat.conf")])
    };
    lost.map(one).collect()
}

/// Links of nsnat's under the care of a network manager.
pub(super) fn managed_links(host: &Surroundings) -> Vec<Finding> {
    let one = |(link, manager): &(String, &str)| {
        let what = format!("{manager} has taken {link} under its care, and may change it");
        let cure = Cure::Commands(leave_alone(manager, link));
        Finding::new(Code::LinkManaged, what, cure).shown_by([format!("{manager}: {link}")])
    };
    host.managed.iter().map(one).collect()
}

/// Writes the file that nsnat is installed with, which keeps a manager away from all links of nsnat's; and has the manager
/// read that, and let go of the link.
fn leave_alone(manager: &str, link: &str) -> Vec<String> {
    let commands: &[&str] = if manager == "NetworkManager" {
        &[
            r"printf '[keyfile]\nunmanaged-devices+=interface-name:nsn-*\n' >/etc/NetworkManager/conf.d/nsnat.conf",
            "nmcli general reload",
            "nmcli device set LINK managed no",
        ]
    } else {
        &[
            r"printf '[Match]\nName=nsn-*\n\n[Link]\nUnmanaged=yes\n' >/etc/systemd/network/00-00-nsnat.network",
            "networkctl reload",
            "networkctl reconfigure LINK",
        ]
    };
    commands.iter().chain(&["nsnat up"]).map(|command| command.replace("LINK", link)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_is_full_shortly_before_its_end() {
        let codes = |flows, neighbours| -> Vec<Code> {
            let host = Surroundings { flows, neighbours, ..Surroundings::default() };
            tables(&host).iter().map(|finding| finding.code).collect()
        };
        assert_eq!(codes(Some((94, 100)), vec![(Family::V6, 10, 100)]), []);
        // What is in it may be more than what it may hold from now on.
        assert_eq!(enough(100, 2), 400);
        let full = (Family::V4, 100, 100);
        assert_eq!(codes(Some((95, 100)), vec![full]), [Code::ConntrackFull, Code::NeighboursFull]);
    }
}
