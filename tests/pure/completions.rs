//! Completion in the shells themselves: bash and zsh on a terminal, where keys are typed; fish answers what it would show.

#![expect(clippy::disallowed_methods, reason = "shells are started to be looked at")]

use std::path::Path;
use std::process::{Command, Output};
use std::time::{Duration, Instant};

const NSNAT: &str = env!("CARGO_BIN_EXE_nsnat");

/// What is typed, and what stands there after the tab key (and, in some shells, a space).
const LINES: [(&str, &str); 11] = [
    ("nsnat exec bac", "nsnat exec backup-by-lte"),
    ("nsnat add x --uplink the-l", "nsnat add x --uplink the-line-of-this-test"),
    ("nsnat add x --uplink spa", "nsnat add x --uplink spare-line-of-this-test"),
    ("nsnat add x --dev onl", "nsnat add x --dev only-device"),
    (
        "nsnat systemd bind backup-by-lte systemd-journald.ser",
        "nsnat systemd bind backup-by-lte systemd-journald.service",
    ),
    ("nsnat systemd un", "nsnat systemd unbind"),
    ("nsnat man nsnat.t", "nsnat man nsnat.toml.5"),
    ("nsnat status --che", "nsnat status --check"),
    ("nsnat exec -u nobo", "nsnat exec -u nobody"),
    ("nsnat exec backup-by-lte -- only-in-this-", "nsnat exec backup-by-lte -- only-in-this-test"),
    (
        "nsnat exec backup-by-lte -- only-in-this-test the-f",
        "nsnat exec backup-by-lte -- only-in-this-test the-file-of-this-test",
    ),
];

/// A shell in a network namespace of its own knows one device, whatever the machine has.
const ALONE: [&str; 7] = [
    "unshare",
    "--net",
    "--mount",
    "sh",
    "-ec",
    "mount -t sysfs sysfs /sys; ip link add only-device type bridge; exec \"$@\"",
    "sh",
];

/// A directory with a configuration, a command, a file, and the scripts of the shells.
fn place() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let script = r#"cd "$1"; mkdir bin; ln -s "$0" bin/nsnat
        printf '[uplink.the-line-of-this-test]\ndev = "wwan0"\n[uplink.spare-line-of-this-test]\ndev = "wwan1"\n[namespace.backup-by-lte]\nuplink = "the-line-of-this-test"\n' >nsnat.toml
        printf '#!/bin/sh\n' >bin/only-in-this-test; chmod 755 bin/*test; touch the-file-of-this-test
        for shell in bash zsh fish; do nsnat completions $shell >$shell; done"#;
    let output = command("sh", dir.path()).args(["-euc", script, NSNAT]).arg(dir.path()).output().unwrap();
    assert!(output.status.success(), "{}", text(&output));
    dir
}

fn command(program: &str, dir: &Path) -> Command {
    let mut command = Command::new(program);
    let path = format!("{}:{}", dir.join("bin").display(), std::env::var("PATH").unwrap());
    let config = dir.join("nsnat.toml");
    command
        .current_dir(dir)
        .env("PATH", path)
        .env("NSNAT_CONFIG", config)
        .env("HOME", dir)
        .env_remove("TMUX");
    command.env("LC_ALL", "C.UTF-8");
    command
}

fn text(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// A shell on a terminal.
struct Terminal<'d> {
    dir: &'d Path,
}

impl<'d> Terminal<'d> {
    fn new(dir: &'d Path, shell: &[&str]) -> Self {
        let terminal = Self { dir };
        terminal.tmux(&[&["new-session", "-d", "-x", "150", "-y", "50"], shell].concat());
        terminal
    }

    fn tmux(&self, words: &[&str]) -> String {
        let mut tmux = command("tmux", self.dir);
        let output = tmux
            .arg("-f")
            .arg("/dev/null")
            .arg("-S")
            .arg(self.dir.join("tmux"))
            .args(words)
            .output()
            .unwrap();
        text(&output)
    }

    fn keys(&self, keys: &[&str]) {
        self.tmux(&[&["send-keys"], keys].concat());
    }

    #[track_caller]
    fn shows(&self, line: &str) {
        let end = Instant::now() + Duration::from_secs(30);
        let mut shown = String::new();
        while Instant::now() < end {
            shown = self.tmux(&["capture-pane", "-p"]);
            if shown.lines().any(|shown| shown.replace(" >", ">").trim_end() == line) {
                return;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        panic!("no {line:?} in:\n{shown}");
    }

    /// The line that is completed is printed instead of being run.
    fn completes(&self, typed: &str, expected: &str) {
        self.keys(&["-l", typed]);
        self.keys(&["Tab"]);
        self.keys(&["C-a"]);
        self.keys(&["-l", "echo '<"]);
        self.keys(&["C-e"]);
        self.keys(&["-l", ">'"]);
        self.keys(&["Enter"]);
        self.shows(&format!("<{expected}>"));
    }
}

impl Drop for Terminal<'_> {
    fn drop(&mut self) {
        self.tmux(&["kill-server"]);
    }
}

fn on_a_terminal(shell: &[&str], begin: &str) {
    let dir = place();
    let terminal = Terminal::new(dir.path(), shell);
    terminal.keys(&["-l", begin]);
    terminal.keys(&["Enter"]);
    terminal.shows("ready");
    for (typed, expected) in LINES {
        terminal.completes(typed, expected);
    }
}

#[test]
fn bash() {
    on_a_terminal(&[&ALONE[..], &["bash", "--norc"]].concat(), "PS1='> '; source ./bash; echo rea''dy");
}

#[test]
fn zsh() {
    on_a_terminal(
        &[&ALONE[..], &["zsh", "-f"]].concat(),
        "PS1='> '; bindkey -e; autoload -Uz compinit; compinit -u -D; source ./zsh; echo rea''dy",
    );
}

#[test]
fn fish() {
    let dir = place();
    for (typed, expected) in LINES {
        let script = format!("source ./fish; complete -C '{typed}'");
        let [alone, rest @ ..] = ALONE;
        let fish = ["fish", "--no-config", "-c", &script];
        let output = command(alone, dir.path()).args(rest).args(fish).output().unwrap();
        let said = text(&output);
        let word = expected.split_whitespace().last().unwrap();
        let words: Vec<_> = said.lines().filter_map(|line| line.split('\t').next()).collect();
        assert_eq!(words, [word], "{typed}: {said}");
    }
}
