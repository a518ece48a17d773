//! The man pages: nsnat(1) from the one definition of the command line, and pages of `docs/`.

use super::markdown::{at_start, escaped, section, section_to_man, to_man};
use clap::Command;
use clap_mangen::Man;
use std::io;

/// A page that is a page of `docs/`, too.
pub struct ManPage {
    name: &'static str,
    section: u8,
    /// What it is about, in a few words.
    about: &'static str,
    text: &'static str,
}

/// nsnat.toml(5).
pub const CONFIGURATION: ManPage = ManPage {
    name: "nsnat.toml",
    section: 5,
    about: "the configuration of nsnat",
    text: include_str!("../../docs/configuration.md"),
};

/// nsnat-exec(1).
pub const NSNAT_EXEC: ManPage = ManPage {
    name: "nsnat-exec",
    section: 1,
    about: "run a command in a namespace of nsnat, for users whom it allows",
    text: include_str!("../../docs/nsnat-exec.md"),
};

/// nsnat(7).
pub const OVERVIEW: ManPage = ManPage {
    name: "nsnat",
    section: 7,
    about: "ways out of this host for chosen programs: an overview",
    text: include_str!("../../docs/overview.md"),
};

/// The sections of nsnat(7) that nsnat(1) has as well.
const SHARED: [&str; 4] = ["Exit status", "Files", "Environment", "What exec is not"];

const SEE_ALSO: &str = "\
.SH SEE ALSO
nsnat(1), nsnat(7), nsnat.toml(5), nsnat\\-exec(1), ip\\-netns(8), ip\\-rule(8), nft(8), systemd.exec(5)
.PP
The pages that are named here as files are in /usr/share/doc/nsnat/docs, or in docs of the source.
";

/// When the pages were last looked through, which man(7) wants to know.
const DATE: &str = "2026-11-27";

/// The title of a page, and its first section.
fn head(name: &str, section: u8, about: &str) -> String {
    let version = env!("CARGO_PKG_VERSION");
    let name = escaped(name);
    format!(".TH {name} {section} \"{DATE}\" \"nsnat {version}\"\n.SH NAME\n{name} \\- {}\n", escaped(about))
}

/// A page of `docs/` in troff's language.
pub fn document(page: &ManPage) -> String {
    format!("{}{}{SEE_ALSO}", head(page.name, page.section, page.about), to_man(page.text))
}

/// The page in troff's language.
pub fn man(command: &Command) -> io::Result<Vec<u8>> {
    let about = command.get_about().map(ToString::to_string).unwrap_or_default();
    let mut out = head("nsnat", 1, &about).into_bytes();
    let page = Man::new(command.clone());
    page.render_synopsis_section(&mut out)?;
    page.render_description_section(&mut out)?;
    page.render_options_section(&mut out)?;
    out.extend(b".SH COMMANDS\n");
    let mut whole = command.clone();
    whole.build();
    for sub in command.get_subcommands().filter(|command| !command.is_hide_set()) {
        describe(&mut out, &whole, &[sub])?;
    }
    for title in SHARED {
        let text = section(OVERVIEW.text, title).unwrap_or_default();
        out.extend(format!(".SH {}\n{}", title.to_uppercase(), section_to_man(text)).bytes());
    }
    out.extend(format!(".SH EXAMPLES\n{}", examples(command).trim_start_matches(".PP\n")).bytes());
    out.extend(SEE_ALSO.bytes());
    Ok(without_idle_breaks(&out))
}

/// Without the breaks beside a space, which say nothing.
fn without_idle_breaks(page: &[u8]) -> Vec<u8> {
    let text = String::from_utf8_lossy(page);
    let kept = text.lines().filter(|line| *line != ".br").map(str::trim_end);
    kept.flat_map(|line| [line, "\n"].concat().into_bytes()).collect()
}

/// A command, or its subcommands: synopsis, description, options.
fn describe(out: &mut Vec<u8>, whole: &Command, path: &[&Command]) -> io::Result<()> {
    let Some(command) = path.last() else { return Ok(()) };
    if command.has_subcommands() {
        return command.get_subcommands().try_for_each(|sub| describe(out, whole, &[path, &[sub]].concat()));
    }
    // Only what was built knows its usage; and then it has the options of every command, too.
    let built = path.iter().try_fold(whole, |above, next| above.find_subcommand(next.get_name()));
    let usage = built.map(|built| built.clone().render_usage().to_string()).unwrap_or_default();
    for line in usage.trim_start_matches("Usage: ").lines() {
        out.extend(format!(".SS {}\n", escaped(line.trim())).bytes());
    }
    let about = command.get_about().map(ToString::to_string).unwrap_or_default();
    out.extend(format!("{}\n", at_start(&escaped(&about))).bytes());
    let mut options = Vec::new();
    Man::new((*command).clone().disable_help_flag(true)).render_options_section(&mut options)?;
    let options = String::from_utf8_lossy(&options).into_owned();
    out.extend(
        options
            .lines()
            .filter(|line| *line != ".SH OPTIONS")
            .flat_map(|line| [line, "\n"].concat().into_bytes()),
    );
    out.extend(format!(".PP\nExamples:\n{}", examples(command)).bytes());
    Ok(())
}

/// What the help shows at its end, without its title.
fn examples(command: &Command) -> String {
    let shown = command.get_after_help().map(ToString::to_string).unwrap_or_default();
    let lines: Vec<_> = shown.lines().skip(1).map(|line| escaped(line.trim_start())).collect();
    if lines.is_empty() { String::new() } else { format!(".PP\n.EX\n{}\n.EE\n", lines.join("\n")) }
}
