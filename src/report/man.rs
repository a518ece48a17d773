//! The man page: everything from the one definition of the command line, and what that does not say.

use clap::Command;
use clap_mangen::Man;
use std::io;

/// A section's title, and its terms with what each means.
type Section = (&'static str, &'static [(&'static str, &'static str)]);

/// What the command line's definition does not say.
const SECTIONS: [Section; 5] = [
    (
        "EXIT STATUS",
        &[
            ("0", "Done."),
            ("1", "Failed; standard error says what, why, and what to do."),
            ("2", "Bad usage or a bad configuration; nothing was changed. plan: there is something to do."),
            ("3", "status --check: a namespace is broken."),
            ("125, 126, 127", "exec: nsnat itself failed; the command cannot be run; it was not found."),
            ("other", "exec: the command's own; 128 and its number when a signal ended it."),
        ],
    ),
    (
        "FILES",
        &[
            ("/etc/nsnat/nsnat.toml, /etc/nsnat/conf.d/*.toml", "The configuration; add writes into conf.d."),
            ("/run/nsnat", "What is up; temporary declarations. Gone at reboot."),
            ("/run/netns/NAME", "The namespaces, as ip-netns(8) has them."),
            ("/etc/netns/NAME/FILE", "Appears as /etc/FILE for the commands of exec."),
        ],
    ),
    (
        "ENVIRONMENT",
        &[
            ("NSNAT_CONFIG", "As --config; empty means unset."),
            ("NSNAT_NAMESPACE", "Set for the command of exec: the namespace."),
            ("NO_COLOR", "When set, nothing is coloured."),
        ],
    ),
    (
        "WHAT EXEC IS NOT",
        &[(
            "No sandbox.",
            "A root command can leave the namespace; any command reaches whatever a socket in the file system leads \
                 to. --pid, --mount and --tmpfs change what it sees and fence nothing in. A sandbox is bwrap(1), or a unit \
                 with NetworkNamespacePath= and the Protect and Private options of systemd.exec(5).",
        )],
    ),
    (
        "EXAMPLES",
        &[
            (
                "nsnat add slow --gateway 192.168.1.254 --dns 198.51.100.53",
                "Declares a way out by the slow router.",
            ),
            ("nsnat exec slow -- apt-get upgrade", "Runs one job by it."),
            ("nsnat exec --gateway 192.168.1.254 -- apt-get upgrade", "The same without declaring anything."),
        ],
    ),
];

/// The page in troff's language.
pub fn man(command: &Command) -> io::Result<Vec<u8>> {
    let mut out = Vec::new();
    let page = Man::new(command.clone());
    page.render_title(&mut out)?;
    page.render_name_section(&mut out)?;
    page.render_synopsis_section(&mut out)?;
    page.render_description_section(&mut out)?;
    page.render_options_section(&mut out)?;
    out.extend(b".SH COMMANDS\n");
    let mut whole = command.clone();
    whole.build();
    for sub in command.get_subcommands() {
        describe(&mut out, &whole, &[sub])?;
    }
    for (title, terms) in SECTIONS {
        out.extend(format!(".SH {title}\n").bytes());
        for (term, meaning) in terms {
            out.extend(format!(".TP\n{}\n{}\n", escaped(term), escaped(meaning)).bytes());
        }
    }
    out.extend(b".SH SEE ALSO\nip-netns(8), ip-rule(8), nft(8), nsenter(1), systemd.exec(5)\n");
    Ok(out)
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
    out.extend(format!("{}\n", escaped(&about)).bytes());
    let mut options = Vec::new();
    Man::new((*command).clone().disable_help_flag(true)).render_options_section(&mut options)?;
    let options = String::from_utf8_lossy(&options).into_owned();
    out.extend(
        options
            .lines()
            .filter(|line| *line != ".SH OPTIONS")
            .flat_map(|line| [line, "\n"].concat().into_bytes()),
    );
    Ok(())
}

/// Text as it is to be read: hyphens stay hyphens, and no line begins with what troff takes for a request.
fn escaped(text: &str) -> String {
    let text = text.replace('\\', "\\e").replace('-', "\\-");
    if text.starts_with(['.', '\'']) { format!("\\&{text}") } else { text }
}
