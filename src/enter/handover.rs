//! Programs that hand over what they are told to an instance which runs already, maybe outside of the namespace.
//!
//! That goes by a socket in the file system, which nobody can keep a command from without breaking it; so it is said.
//! The programs in the table are looked for, and only when one of them is what is run: it costs everybody else
//! nothing. Whether a command is one of them is told by its name alone: what a script starts is not known.
//! docs/handover.md lists these and those that cannot be seen.

use crate::kernel::{self, Running};
use crate::model::Name;
use crate::ui::tell;
use std::ffi::OsString;
use std::path::Path;

/// Which running instance of a program takes a command over.
#[derive(Clone, Copy, PartialEq)]
enum Instance {
    /// An instance of the same user.
    Own,
    /// A daemon of the host, for every user.
    Host,
}

/// A program, the instance that takes a command over, and the cure.
struct Entry {
    programs: &'static [&'static str],
    whose: Instance,
    /// The names of its process, as the kernel cuts them: 15 bytes.
    instances: &'static [&'static str],
    /// Options (or their beginnings) with which it does not hand over.
    apart: &'static [&'static str],
    cure: &'static str,
}

const MOZILLA: &[&str] = &["--new-instance", "-new-instance", "--no-remote", "-no-remote"];
const CHROMIUM: &[&str] = &["--user-data-dir"];
const PROFILE_DIR: &str = "with --user-data-dir=DIR it does not";

const fn own(
    programs: &'static [&'static str],
    instances: &'static [&'static str],
    apart: &'static [&'static str],
    cure: &'static str,
) -> Entry {
    Entry { programs, whose: Instance::Own, instances, apart, cure }
}

const fn daemon(
    programs: &'static [&'static str],
    instances: &'static [&'static str],
    apart: &'static [&'static str],
    cure: &'static str,
) -> Entry {
    Entry { programs, whose: Instance::Host, instances, apart, cure }
}

const TABLE: &[Entry] = &[
    own(
        &["firefox", "firefox-esr"],
        &["firefox", "firefox-esr", "firefox-bin"],
        MOZILLA,
        "with --new-instance -P PROFILE it does not",
    ),
    own(
        &["thunderbird"],
        &["thunderbird", "thunderbird-bin"],
        MOZILLA,
        "with --new-instance -P PROFILE it does not",
    ),
    own(&["chromium", "chromium-browser"], &["chromium", "chromium-browse"], CHROMIUM, PROFILE_DIR),
    own(&["google-chrome", "google-chrome-stable", "chrome"], &["chrome"], CHROMIUM, PROFILE_DIR),
    own(&["brave", "brave-browser"], &["brave"], CHROMIUM, PROFILE_DIR),
    own(&["code", "codium"], &["code", "codium"], CHROMIUM, PROFILE_DIR),
    own(&["tmux"], &["tmux: server"], &["-L", "-S"], "with -L OTHER it has a server of its own"),
    own(&["emacsclient"], &["emacs", "emacs-gtk", "emacs-nox"], &[], "emacs itself does not"),
    own(
        &["libreoffice", "soffice", "localc", "lowriter"],
        &["soffice.bin"],
        &["-env:UserInstallation"],
        "with -env:UserInstallation=file:///DIR it does not",
    ),
    own(&["gnome-terminal"], &["gnome-terminal-"], &[], "nsnat shell in the terminal that is open"),
    own(&["xfce4-terminal"], &["xfce4-terminal"], &["--disable-server"], "with --disable-server it does not"),
    own(&["steam"], &["steam"], &[], "end that one first"),
    own(&["qbittorrent"], &["qbittorrent"], &["--profile"], "with --profile=DIR it does not"),
    own(
        &["transmission-gtk"],
        &["transmission-gt"],
        &["-g", "--config-dir"],
        "with --config-dir=DIR it does not",
    ),
    daemon(&["docker"], &["dockerd"], &["--host", "-H"], "nsnat systemd bind NAME docker moves the daemon"),
    daemon(&["snap"], &["snapd"], &[], "nsnat systemd bind NAME snapd moves the daemon"),
    daemon(&["pkcon"], &["packagekitd"], &[], "nsnat systemd bind NAME packagekit moves the daemon"),
    daemon(
        &["nix", "nix-build", "nix-env", "nix-shell"],
        &["nix-daemon"],
        &[],
        "nsnat systemd bind NAME nix-daemon moves the daemon",
    ),
    daemon(&["at", "batch"], &["atd"], &[], "put nsnat exec NAME into what is to be run"),
    daemon(
        &["systemd-run"],
        &["systemd"],
        &["--scope", "--user"],
        "with --scope, or -p NetworkNamespacePath=/run/netns/NAME, it runs inside",
    ),
];

/// Says so in one line, where an instance outside of the namespace (`netns`: its device and inode number) will take
/// over from what this user runs. An instance inside is the one that takes over.
pub(super) fn warn(
    name: &Name,
    netns: impl Fn() -> Option<(u64, u64)>,
    user: impl Fn() -> u32,
    command: &[OsString],
) {
    let Some((program, entry)) = find(command) else { return };
    let (netns, user) = (netns(), user());
    let named = kernel::running(|comm| entry.instances.contains(&comm));
    let theirs = |process: &&Running| entry.whose == Instance::Host || process.uid == user;
    let (inside, outside): (Vec<&Running>, Vec<&Running>) =
        named.iter().filter(theirs).partition(|process| Some(process.netns) == netns);
    if let Some(process) = outside.first().filter(|_| inside.is_empty()) {
        tell(format_args!(
            "nsnat: {program}: hands over to {} (process {}), which is not in {name}; {}",
            process.comm,
            process.pid,
            entry.cure.replace("NAME", name.as_str()),
        ));
    }
}

/// The entry of a command that hands over.
fn find(command: &[OsString]) -> Option<(&str, &'static Entry)> {
    let (program, args) = command.split_first()?;
    let program = Path::new(program).file_name()?.to_str()?;
    let entry = TABLE.iter().find(|entry| entry.programs.contains(&program))?;
    let apart = |arg: &OsString| {
        arg.to_str().is_some_and(|arg| entry.apart.iter().any(|option| arg.starts_with(option)))
    };
    (!args.iter().any(apart)).then_some((program, entry))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(line: &str) -> bool {
        find(&line.split(' ').map(OsString::from).collect::<Vec<_>>()).is_some()
    }

    #[test]
    fn what_hands_over() {
        for line in
            ["firefox", "/usr/bin/firefox-esr https://example.org", "tmux attach", "docker pull busybox"]
        {
            assert!(found(line), "{line}");
        }
        for line in [
            "true",
            "apt-get install firefox",
            "firefox --new-instance -P slow",
            "tmux -Lslow",
            "code --user-data-dir=/x",
        ] {
            assert!(!found(line), "{line}");
        }
    }

    #[test]
    fn the_kernel_cuts_names() {
        assert!(TABLE.iter().flat_map(|entry| entry.instances).all(|name| name.len() <= 15));
    }
}
