//! What the documents say is true: each block that is marked as runnable is run in a lab of its own.
//!
//! ```` ```sh run ```` is run by bash, line after line, and must succeed. `# → TEXT` at the end of a line: its output
//! holds TEXT. `<!-- lab: COMMANDS -->` before a block prepares its host. ```` ```cron run ```` is run as cron would.
//! ```` ```text demo ```` is what `scripts/demo` prints.

#![cfg(test)]
#![expect(clippy::disallowed_methods, reason = "programs are started to be looked at")]

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

const NSNAT: &str = env!("CARGO_BIN_EXE_nsnat");

/// Programs that the recipes name and no lab should really run: what matters is by which router they leave.
const STAND_INS: &str = r#"
sudo() { if [ "$1" = -E ] || [ "$1" = -- ]; then shift; fi; "$@"; }
mkdir -p /run/lab/stand-ins /etc/nsnat/conf.d
printf '#!/bin/sh\nexec whoami4\n' >/run/lab/stand-ins/apt-get
chmod 755 /run/lab/stand-ins/apt-get
ln -s "$NSNAT" /run/lab/stand-ins/nsnat
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
    let docs = fs::read_dir(root().join("docs")).unwrap().map(|entry| entry.unwrap().path());
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
                    lab = commands.trim_end_matches(" -->").to_owned();
                }
            }
        }
    }
    out
}

fn in_lab(script: &str) -> Output {
    Command::new(root().join("scripts/lab"))
        .args(["run", "bash", "-euo", "pipefail", "-c", script])
        .env("NSNAT", NSNAT)
        .env("USER", "root")
        .env_remove("SUDO_USER")
        .current_dir("/")
        .stdin(std::process::Stdio::null())
        .output()
        .unwrap()
}

fn text(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
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
    let output = in_lab(&format!("exec 2>&1\n{}", script(block)));
    let said = text(&output);
    if !output.status.success() {
        return Some(format!("{}: {}\n{said}", block.place, output.status));
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
        if !output.status.success() || !text(&output).contains("203.0.113.254") {
            return Some(format!("{}: {}\n{}", block.place, output.status, text(&output)));
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

/// What `scripts/install` installs is what it takes away again.
#[test]
fn install_and_remove() {
    let dir = tempfile::tempdir().unwrap();
    let install = |words: &[&str]| {
        let mut command = Command::new(root().join("scripts/install"));
        let output = command.args(words).env("DESTDIR", dir.path()).env_remove("PREFIX").output().unwrap();
        assert!(output.status.success(), "{}", text(&output));
    };
    let files = || {
        text(
            &Command::new("find")
                .arg(dir.path())
                .args(["-not", "-type", "d", "-printf", "%m %P\\n"])
                .output()
                .unwrap(),
        )
    };
    install(&["--users", NSNAT]);
    let found = files();
    for file in [
        "755 usr/local/bin/nsnat\n",
        "4755 usr/local/libexec/nsnat/nsnat-exec\n",
        "644 etc/systemd/system/nsnat.service\n",
        "644 etc/systemd/system/nsnat-heal@.service\n",
        "777 etc/systemd/system/docker.service.wants/nsnat-heal@docker.service\n",
        "644 etc/systemd/system/nsnat-stopped@.service\n",
        "777 etc/systemd/system/firewalld.service.wants/nsnat-stopped@firewalld.service\n",
        "644 etc/systemd/network/00-00-nsnat.network\n",
        "755 etc/NetworkManager/dispatcher.d/90-nsnat\n",
        "644 usr/local/share/man/man1/nsnat.1\n",
    ] {
        assert!(found.contains(file), "{file} is missing:\n{found}");
    }
    install(&["--remove"]);
    assert_eq!(files(), "");
}

/// A command of a document that nobody runs may be wrong.
#[test]
fn every_command_is_run() {
    // That is run by `install_and_remove`, and in a systemd that boots by tests/systemd.rs.
    let installs = |block: &Block| block.text.starts_with("sudo scripts/install");
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
    assert!(output.status.success(), "{}", text(&output));
    let printed = String::from_utf8_lossy(&output.stdout).into_owned();
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

/// The names of all commands, as the help lists them.
fn commands() -> Vec<String> {
    let help = text(&Command::new(NSNAT).arg("--help").output().unwrap());
    let listed = help.split_once("Commands:").unwrap().1.split_once("Options:").unwrap().0;
    let names = listed.lines().filter(|line| line.starts_with("  ") && !line.starts_with("   "));
    names.map(|line| line.split_whitespace().next().unwrap().to_owned()).collect()
}

#[test]
fn man_and_completions_know_every_command() {
    let commands = commands();
    assert!(commands.len() > 10, "{commands:?}");
    let man = text(&Command::new(NSNAT).arg("man").output().unwrap());
    for name in &commands {
        let documented = man.contains(&format!("nsnat\\-{name}")) || man.contains(&format!("nsnat {name}"));
        assert!(documented, "the man page lacks {name}");
    }
    for shell in ["bash", "zsh", "fish"] {
        let script = text(&Command::new(NSNAT).args(["completions", shell]).output().unwrap());
        for name in &commands {
            assert!(script.contains(name.as_str()), "{shell}: no {name}");
        }
    }
    let changes = fs::read_to_string(root().join("CHANGELOG.md")).unwrap();
    for name in &commands {
        assert!(changes.contains(&format!("`{name}`")), "CHANGELOG.md lacks {name}");
    }
}

/// A link to a file that does not exist helps nobody.
#[test]
fn links_lead_somewhere() {
    let mut files: Vec<PathBuf> =
        fs::read_dir(root().join("docs")).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.extend(["README.md", "nft/README.md"].map(|file| root().join(file)));
    for path in files {
        let text = fs::read_to_string(&path).unwrap();
        for target in text.split("](").skip(1).filter_map(|rest| rest.split([')', '#']).next()) {
            let there = target.is_empty()
                || target.starts_with("https://")
                || path.parent().unwrap().join(target).exists();
            assert!(there, "{}: no {target}", path.display());
        }
    }
}

/// A promise that is held by a test that does not exist is held by nothing.
#[test]
fn properties_name_tests_that_exist() {
    let text = fs::read_to_string(root().join("docs/properties.md")).unwrap();
    let mut named = 0;
    for (file, test) in text.split('`').filter_map(|word| word.split_once("::")) {
        if file == "FILE" {
            continue;
        }
        let path = root().join("tests").join(format!("{file}.rs"));
        let source = fs::read_to_string(&path).unwrap_or_else(|why| panic!("{}: {why}", path.display()));
        assert!(source.contains(&format!("fn {test}(")), "{}: no {test}", path.display());
        named += 1;
    }
    assert!(named > 20, "only {named} tests are named");
}
