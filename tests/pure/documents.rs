//! What the documents name exists: commands, files, tests; and what `scripts/install` installs it removes again.

#![expect(clippy::disallowed_methods, reason = "programs are started to be looked at")]

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Output};

const NSNAT: &str = env!("CARGO_BIN_EXE_nsnat");

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn text(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
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
        "644 usr/local/share/man/man5/nsnat.toml.5\n",
        "644 usr/local/share/man/man1/nsnat-exec.1\n",
        "644 usr/local/share/man/man7/nsnat.7\n",
        "644 usr/local/share/doc/nsnat/examples/nsnat.toml\n",
        "644 usr/local/share/nsnat/nsnat.schema.json\n",
        "755 usr/local/share/nsnat/kubernetes/chain\n",
    ] {
        assert!(found.contains(file), "{file} is missing:\n{found}");
    }
    install(&["--remove"]);
    assert_eq!(files(), "");
}

/// A table of the program's, below a mark in a page and up to the next title; `BLESS=1` writes it.
#[track_caller]
fn is_in(page: &str, table: &str) {
    const MARK: &str = "BLESS=1 cargo test --test pure documents -->\n";
    let file = root().join(page);
    let before = fs::read_to_string(&file).unwrap();
    let (text, rest) = before.split_once(MARK).unwrap();
    let after = rest.find("\n## ").map_or("", |at| &rest[at..]);
    let right = format!("{text}{MARK}\n{table}{after}");
    if std::env::var_os("BLESS").is_some() {
        fs::write(&file, &right).unwrap();
    }
    assert_eq!(fs::read_to_string(&file).unwrap(), right);
}

#[test]
fn what_nsnat_needs_of_a_kernel_is_listed() {
    let row = |need: &nsnat::model::Need| {
        let (words, option, module) = need.row();
        let module = module.map(|module| format!("`{module}`")).unwrap_or_default();
        format!("| {words} | `{option}` | {module} |\n")
    };
    let rows: String = nsnat::model::Need::ALL.iter().map(row).collect();
    is_in("docs/kernels.md", &format!("| what | option | module |\n|---|---|---|\n{rows}"));
}

/// The table of `docs/doctor.md` is that of the program.
#[test]
fn every_code_of_the_doctor_is_explained() {
    let row = |code: &nsnat::model::Code| {
        let severity = format!("{:?}", code.severity()).to_lowercase();
        format!("| `{code}` | {severity} | {} | {} |\n", code.meaning(), code.help())
    };
    let rows: String = nsnat::model::Code::ALL.iter().map(row).collect();
    is_in("docs/doctor.md", &format!("| code | | what it means | what helps |\n|---|---|---|---|\n{rows}"));
}

/// The picture in README.md is drawn from the transcript there, which `documents::the_demo_is_as_shown` holds equal to what
/// runs; `BLESS=1` draws it.
#[test]
fn the_picture_of_the_demo_is_what_it_prints() {
    let file = root().join("docs/demo.svg");
    let drawn = Command::new(root().join("scripts/draw")).output().unwrap();
    assert!(drawn.status.success(), "{}", text(&drawn));
    if std::env::var_os("BLESS").is_some() {
        fs::write(&file, &drawn.stdout).unwrap();
    }
    assert_eq!(fs::read_to_string(&file).unwrap(), text(&drawn));
    assert!(text(&drawn).contains(">$ nsnat add slow --gateway 192.168.1.254 --dns 198.51.100.53</text>"));
}

/// The names of all commands, as the help lists them.
fn commands() -> Vec<String> {
    let help = text(&Command::new(NSNAT).arg("--help").output().unwrap());
    let listed = help.split_once("Commands:").unwrap().1.split_once("Options:").unwrap().0;
    let names = listed.lines().filter(|line| line.starts_with("  ") && !line.starts_with("   "));
    names.map(|line| line.split_whitespace().next().unwrap().to_owned()).collect()
}

#[test]
fn help_is_a_command_too() {
    let said = |words: &[&str]| text(&Command::new(NSNAT).args(words).output().unwrap());
    for (command, option) in
        [(&["help"][..], &["--help"][..]), (&["help", "dns", "set"], &["dns", "set", "--help"])]
    {
        assert!(said(command).contains("Usage: nsnat"));
        assert_eq!(said(command), said(option));
    }
}

#[test]
fn the_man_page_knows_every_command() {
    let commands = commands();
    assert!(commands.len() > 10, "{commands:?}");
    let man = text(&Command::new(NSNAT).arg("man").output().unwrap());
    let changes = fs::read_to_string(root().join("CHANGELOG.md")).unwrap();
    for title in ["EXIT STATUS", "FILES", "ENVIRONMENT", "WHAT EXEC IS NOT", "EXAMPLES"] {
        let (_, section) = man.split_once(&format!(".SH {title}\n")).unwrap();
        assert!(!section.starts_with(".SH"), "the man page has nothing about {title}");
    }
    assert!(!man.contains("__complete"));
    for name in &commands {
        let documented = man.contains(&format!("nsnat\\-{name}")) || man.contains(&format!("nsnat {name}"));
        assert!(documented, "the man page lacks {name}");
        assert!(changes.contains(&format!("`{name}`")), "CHANGELOG.md lacks {name}");
    }
}

/// Both programs that people read them by have nothing against them.
#[test]
fn man_pages_are_well_formed() {
    const LINT: &str = r#"for page in nsnat.1 nsnat.toml.5 nsnat-exec.1 nsnat.7; do
        "$0" man "$page" >"$1/$page"; mandoc -T lint -W warning "$1/$page"; man -l --warnings -E UTF-8 "$1/$page" 2>&1 >/dev/null; done"#;
    let dir = tempfile::tempdir().unwrap();
    let said = Command::new("sh")
        .args(["-c", LINT, NSNAT])
        .arg(dir.path())
        .env("LC_ALL", "C.UTF-8")
        .output()
        .unwrap();
    assert_eq!(text(&said), "");
    let pages: Vec<_> = fs::read_dir(dir.path()).unwrap().map(|page| page.unwrap().path()).collect();
    assert_eq!(pages.len(), 4);
    for page in pages {
        let page = fs::read_to_string(page).unwrap();
        assert!(page.contains(".SH SEE ALSO") && page.len() > 2000, "{page}");
    }
}

#[test]
fn the_example_of_a_configuration_is_one() {
    let example = root().join("scripts/nsnat.toml");
    let listed = Command::new(NSNAT).arg("--config").arg(example).arg("list").output().unwrap();
    assert_eq!(text(&listed), "backup\nslow\n");
}

/// A link to a file that does not exist helps nobody.
#[test]
fn links_lead_somewhere() {
    let pages = ["docs", "docs/engines"].map(|folder| fs::read_dir(root().join(folder)).unwrap());
    let pages = pages.into_iter().flatten().map(|entry| entry.unwrap().path());
    let mut files: Vec<PathBuf> = pages.filter(|path| path.is_file()).collect();
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

/// A block ```` ```sh NAME ```` is run by the scenario of that name, in a booted Debian with the engine.
#[test]
fn commands_of_engines_are_run_by_scenarios() {
    let mut found = 0;
    let pages = fs::read_dir(root().join("docs/engines")).unwrap().map(|entry| entry.unwrap().path());
    for page in pages.filter(|page| page.is_file()) {
        let text = fs::read_to_string(&page).unwrap();
        let page = format!("engines/{}", page.file_name().unwrap().to_str().unwrap());
        let names = text.lines().filter_map(|line| line.strip_prefix("```sh ")).filter(|name| *name != "run");
        for name in names {
            let scenario = root().join(format!("tests/systest/{name}.sh"));
            let scenario = fs::read_to_string(scenario).unwrap_or_default();
            assert!(scenario.contains(&format!("documented {page} {name}\n")), "{page}: {name} runs nothing");
            found += 1;
        }
    }
    assert!(found > 0, "no block was found");
}

/// The table of container engines: each word of a cell is one of the scenario in the head of its column.
#[test]
fn engines_are_asked_what_the_table_says() {
    let text = fs::read_to_string(root().join("docs/properties.md")).unwrap();
    let section = text.split_once("## Container engines\n").unwrap().1.split("\n## ").next().unwrap();
    let mut rows = section.lines().filter(|line| line.starts_with('|'));
    let cells = |row: &str| row.trim_matches('|').split('|').skip(1).map(words_of).collect::<Vec<_>>();
    let scenario = |name: &String| {
        let files = ["", "by-hand/"].map(|dir| root().join(format!("tests/systest/{dir}{name}.sh")));
        files.iter().find_map(|file| fs::read_to_string(file).ok()).unwrap_or_default()
    };
    let scenarios: Vec<String> = cells(rows.next().unwrap()).concat().iter().map(scenario).collect();
    let mut asked = 0;
    for row in rows.skip(1) {
        for (words, scenario) in cells(row).iter().zip(&scenarios) {
            for word in words {
                let is_call = |line: &str| line.trim_start().split(' ').next() == Some(word);
                assert!(scenario.lines().any(is_call), "{word}: not asked as in {row}");
                asked += 1;
            }
        }
    }
    assert!(asked > 40, "only {asked} words were found");
}

/// What is between two backquotes.
fn words_of(text: &str) -> Vec<String> {
    text.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

/// A promise that is held by a test that does not exist is held by nothing.
#[test]
fn properties_name_tests_that_exist() {
    let text = fs::read_to_string(root().join("docs/properties.md")).unwrap();
    let mut named = 0;
    for (file, test) in text.split('`').filter_map(|word| word.split_once("::")) {
        // The page says how they are written, and how they are run.
        if file == "FILE" || file.starts_with("cargo ") {
            continue;
        }
        let sources = sources_of(file);
        assert!(!sources.is_empty(), "no test program has a file {file}.rs");
        let there = sources.iter().any(|source| source.contains(&format!("fn {test}(")));
        assert!(there, "{file}.rs: no {test}");
        named += 1;
    }
    assert!(named > 20, "only {named} tests are named");
}

/// The texts of the files of this name: each test program may have one.
fn sources_of(file: &str) -> Vec<String> {
    let programs = ["lab", "pure", "booted"].map(|program| root().join("tests").join(program));
    programs.iter().filter_map(|dir| fs::read_to_string(dir.join(format!("{file}.rs"))).ok()).collect()
}
