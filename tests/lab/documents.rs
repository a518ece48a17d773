//! What the documents say is true: each block that is marked as runnable is run in a lab of its own.
//!
//! ```` ```sh run ```` is run by bash, line after line, and must succeed. `# → TEXT` at the end of a line: its output
//! holds TEXT. `<!-- lab: COMMANDS -->` before a block prepares its host. ```` ```cron run ```` is run as cron would.
//! ```` ```text demo ```` is what `scripts/demo` prints.

use crate::lab::{Lab, NSNAT, Output};
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Programs that the recipes name and no lab should really run: what matters is by which router they leave.
const STAND_INS: &str = r#"
cd /; export USER=root; unset SUDO_USER
sudo() { if [ "$1" = -E ] || [ "$1" = -- ]; then shift; fi; "$@"; }
mkdir -p /run/lab/stand-ins /etc/nsnat/conf.d
printf '#!/bin/sh\nexec whoami4\n' >/run/lab/stand-ins/apt-get
chmod 755 /run/lab/stand-ins/apt-get
ln -s "$(command -v nsnat)" /run/lab/stand-ins/nsnat
PATH=/run/lab/stand-ins:$PATH
"#;

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// A block of a document.
struct Block {
    place: String,
    kind: String,
    /// Commands that prepare the host.
    lab: String,
    text: String,
}

/// All blocks of README.md and docs/.
fn blocks() -> Vec<Block> {
    let docs = ["docs", "docs/engines"].map(|folder| fs::read_dir(root().join(folder)).unwrap());
    let docs = docs.into_iter().flatten().map(|entry| entry.unwrap().path());
    let mut files: Vec<PathBuf> =
        docs.chain(["README.md", "nft/README.md"].map(|file| root().join(file))).collect();
    files.retain(|path| path.extension().is_some_and(|extension| extension == "md"));
    files.sort();
    files.iter().flat_map(|path| blocks_of(path)).collect()
}

fn blocks_of(path: &Path) -> Vec<Block> {
    let (mut out, mut lab, mut open) = (Vec::new(), String::new(), None::<Block>);
    for (n, line) in fs::read_to_string(path).unwrap().lines().enumerate() {
        let fence = line.strip_prefix("```");
        match (&mut open, fence) {
            (Some(_), Some(_)) => out.extend(open.take()),
            (Some(block), None) => _ = writeln!(block.text, "{line}"),
            (None, Some(kind)) => {
                let place = format!("{}:{}", path.strip_prefix(root()).unwrap().display(), n + 1);
                let (kind, text) = (kind.to_owned(), String::new());
                open = Some(Block { place, kind, lab: std::mem::take(&mut lab), text });
            }
            (None, None) => {
                if let Some(commands) = line.strip_prefix("<!-- lab: ") {
                    lab = commands.trim_end_matches(" -->").into();
                }
            }
        }
    }
    out
}

/// Runs a script in a lab of its own.
fn in_lab(script: &str) -> Output {
    Lab::new().sh(script)
}

/// The lines of a block as one script that says of which line each output is.
fn script(block: &Block) -> String {
    let mut out = format!("{STAND_INS}{}\nset -o pipefail\n", block.lab);
    for (n, line) in block.text.lines().enumerate() {
        // A here-document goes on: its lines are no commands.
        let inside = block.text.lines().take(n).filter(|line| line.contains("<<'END'")).count()
            > block.text.lines().take(n).filter(|line| *line == "END").count();
        if !inside && !line.trim().is_empty() {
            let _ = writeln!(out, "echo '=== {n}'");
        }
        let _ = writeln!(out, "{line}");
    }
    out
}

/// What is wrong with a block, if anything.
fn shell(block: &Block) -> Option<String> {
    let Output { status, stdout: said, .. } = in_lab(&format!("exec 2>&1\n{}", script(block)));
    if status != 0 {
        return Some(format!("{}: exit status {status}\n{said}", block.place));
    }
    for (n, line) in block.text.lines().enumerate() {
        let Some((_, wanted)) = line.split_once("# → ") else { continue };
        let after = said.split_once(&format!("=== {n}\n")).map_or("", |(_, rest)| rest);
        let own = after.split_once("\n=== ").map_or(after, |(own, _)| own);
        if !own.contains(wanted.trim()) {
            return Some(format!("{}: line {n} does not print {wanted}\n{said}", block.place));
        }
    }
    None
}

/// A line of /etc/cron.d: five fields of time and a user, then what `sh` runs with next to no environment.
fn cron(block: &Block) -> Option<String> {
    for line in block.text.lines() {
        let mut rest = line;
        for _ in 0..6 {
            rest = rest.trim_start().split_once(char::is_whitespace).unwrap().1;
        }
        let path = "/run/lab/stand-ins:/run/lab/bin:/usr/bin:/bin";
        let script = format!(
            "{STAND_INS}{}\nenv -i HOME=/root LOGNAME=root SHELL=/bin/sh PATH={path} /bin/sh -c '{}'",
            block.lab,
            rest.trim()
        );
        let output = in_lab(&script);
        if output.status != 0 || !output.stdout.contains("203.0.113.254") {
            return Some(format!("{}: {output}", block.place));
        }
    }
    None
}

#[test]
fn blocks_run() {
    let blocks = blocks();
    let run: Vec<&Block> = blocks.iter().filter(|block| block.kind.ends_with(" run")).collect();
    assert!(run.len() > 10, "only {} blocks found", run.len());
    let one = |block: &&Block| match block.kind.as_str() {
        "sh run" => shell(block),
        "cron run" => cron(block),
        other => Some(format!("{}: {other}?", block.place)),
    };
    // Two at a time: a lab is mostly waiting.
    let (left, right) = run.split_at(run.len() / 2);
    let failed: Vec<String> = std::thread::scope(|scope| {
        let other = scope.spawn(|| right.iter().filter_map(one).collect::<Vec<_>>());
        let mut failed: Vec<String> = left.iter().filter_map(one).collect();
        failed.extend(other.join().unwrap());
        failed
    });
    assert!(failed.is_empty(), "{}", failed.join("\n"));
}

/// A command of a document that nobody runs may be wrong.
#[test]
fn every_command_is_run() {
    // That is run by `install_and_remove`, and in a systemd that boots by tests/booted/systemd.rs and systest/package.sh.
    let installs = |block: &Block| {
        block.text.starts_with("sudo scripts/install") || block.text.contains("systemctl enable --now nsnat")
    };
    let mut blocks = blocks();
    blocks.retain(|block| {
        ["sh", "bash", "console", "shell"].contains(&block.kind.as_str()) && !installs(block)
    });
    let places: Vec<&str> = blocks.iter().map(|block| block.place.as_str()).collect();
    assert!(places.is_empty(), "neither marked as runnable nor run: {places:?}");
}

/// What README.md shows is what scripts/demo prints.
#[test]
fn the_demo_is_as_shown() {
    let output = Command::new(root().join("scripts/demo")).arg(NSNAT).output().unwrap();
    let printed = String::from_utf8_lossy(&output.stdout).into_owned();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}: {printed}{said}", output.status);
    assert!(printed.lines().count() < 40, "{printed}");
    let readme = root().join("README.md");
    let block = blocks_of(&readme).into_iter().find(|block| block.kind == "text demo").unwrap();
    if std::env::var_os("BLESS").is_some() && without_counts(&block.text) != without_counts(&printed) {
        let text = fs::read_to_string(&readme).unwrap();
        let shown = format!("```text demo\n{}```", block.text);
        let text = text.replace(&shown, &format!("```text demo\n{}\n```", printed.trim()));
        fs::write(&readme, text).unwrap();
        return;
    }
    assert_eq!(without_counts(&block.text), without_counts(&printed), "BLESS=1 takes it as right");
}

/// How many bytes went by depends on who asked for which neighbour meanwhile.
fn without_counts(text: &str) -> String {
    let line = |line: &str| match line.split_once("198.51.100.53  ") {
        Some((start, counts)) if counts.ends_with(" 0") => start.to_owned(),
        _ => line.split("  IN").next().unwrap_or_default().trim_end().to_owned(),
    };
    text.trim().lines().map(line).collect::<Vec<_>>().join("\n")
}
