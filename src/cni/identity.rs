//! What an attachment of a container is called.

use crate::model::{Name, digest};

/// The name of the attachment of a container's interface: of both, where they fit into a name, or of what fits and a
/// digest of both. The same two always give the same name; nothing else has to be remembered of a call. `by`: how the
/// engine calls.
pub fn name_of(by: &str, container: &str, ifname: &str) -> Option<Name> {
    /// What is left of a container's number: people know containers by their first twelve digits.
    const START: usize = 12;
    if let Ok(name) = format!("{by}.{container}.{ifname}").parse() {
        return Some(name);
    }
    let start: String = container.chars().take(START).filter(char::is_ascii_alphanumeric).collect();
    format!("{by}.{start}.{}", digest(format!("{container}/{ifname}"))).parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_readable_and_differ() {
        let called =
            |container: &str, ifname: &str| name_of("cni", container, ifname).map(|name| name.to_string());
        assert_eq!(called("web", "eth0").as_deref(), Some("cni.web.eth0"));
        let long = "0123456789abcdef".repeat(4);
        let names = [(&long[..], "eth0"), (&long, "eth1"), (&long[1..], "eth0"), ("web", "ä"), ("web", "ö")]
            .map(|(container, ifname)| called(container, ifname).unwrap());
        assert!(names[0].starts_with("cni.0123456789ab."), "{names:?}");
        assert_eq!(names.iter().collect::<std::collections::BTreeSet<_>>().len(), names.len(), "{names:?}");
    }
}
