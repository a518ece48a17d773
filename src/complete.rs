//! What can come next on a command line, out of the definition of the command line. Names (of namespaces, devices, …) are
//! known to the caller, and so are files and other commands to the shell.

use clap::{Arg, Command, ValueHint};

/// What can stand in the place of the last word.
#[derive(Debug, PartialEq, Eq)]
pub enum Next {
    /// One of these words, each with its meaning.
    Words(Vec<(String, String)>),
    /// The name of something.
    Name(Kind),
    /// A file or directory.
    File,
    /// A command line of its own, which begins with the word of this number.
    CommandLine(usize),
    /// Something that nobody can know.
    Unknown,
}

/// What has a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A namespace that is declared or up.
    Namespace,
    /// An attachment.
    Attachment,
    /// An uplink that is declared.
    Uplink,
    /// A network device.
    Device,
    /// A user of the host.
    User,
    /// A unit of systemd that can be bound.
    Unit,
}

/// What the arguments are that hold a name.
const KINDS: [(&str, Kind); 8] = [
    ("name", Kind::Namespace),
    ("names", Kind::Namespace),
    ("to", Kind::Namespace),
    ("id", Kind::Attachment),
    ("uplink", Kind::Uplink),
    ("dev", Kind::Device),
    ("user", Kind::User),
    ("unit", Kind::Unit),
];

/// The options with which `exec` is told no namespace.
const EPHEMERAL: [&str; 2] = ["gateway", "dev"];

/// What can stand in the place of the last of these words, which come after the name of the program. `root` is built.
pub fn next(root: &Command, words: &[String]) -> Next {
    let Some((last, before)) = words.split_last() else { return Next::Unknown };
    let mut line = Line::new(root);
    for (number, word) in before.iter().enumerate() {
        line.take(number, word);
    }
    line.next(before.len(), last)
}

/// A command line that was read up to a word.
struct Line<'c> {
    root: &'c Command,
    command: &'c Command,
    /// How many words that are no options it has.
    placed: usize,
    /// The option whose value comes next.
    awaited: Option<&'c Arg>,
    /// Whether `--` was there.
    is_plain: bool,
    is_ephemeral: bool,
    /// Where another command line began.
    begun: Option<usize>,
}

impl<'c> Line<'c> {
    fn new(root: &'c Command) -> Self {
        Self {
            root,
            command: root,
            placed: 0,
            awaited: None,
            is_plain: false,
            is_ephemeral: false,
            begun: None,
        }
    }

    fn take(&mut self, number: usize, word: &str) {
        if self.begun.is_some() {
            return;
        }
        // Some shells make three words of `--option=value`.
        if let Some(option) = self.awaited.take() {
            self.awaited = (word == "=").then_some(option);
        } else if !self.is_plain && word == "--" {
            self.is_plain = true;
        } else if !self.is_plain && word.starts_with('-') {
            self.take_option(word);
        } else if let Some(command) = self.command.find_subcommand(word) {
            (self.command, self.placed) = (command, 0);
        } else if self.begins_command_line() {
            self.begun = Some(number);
        } else {
            self.placed += 1;
        }
    }

    fn take_option(&mut self, word: &str) {
        let Some(option) = self.option(word) else { return };
        self.is_ephemeral |= EPHEMERAL.contains(&option.get_id().as_str());
        if option.get_action().takes_values() && !word.contains('=') {
            self.awaited = Some(option);
        }
    }

    /// The option that a word names, alone or before `=`.
    fn option(&self, word: &str) -> Option<&'c Arg> {
        let (name, _) = word.split_once('=').unwrap_or((word, ""));
        let is_named = |arg: &&Arg| match name.strip_prefix("--") {
            Some(long) => arg.get_long() == Some(long),
            None => name.chars().count() == 2 && arg.get_short() == name.chars().nth(1),
        };
        self.command.get_arguments().find(is_named)
    }

    /// Whether the next word that is no option is the first one of a command of `exec`.
    fn begins_command_line(&self) -> bool {
        let is_open = self.command.get_positionals().any(Arg::is_trailing_var_arg_set);
        is_open && (self.is_ephemeral || self.placed > 0)
    }

    fn next(&self, number: usize, word: &str) -> Next {
        if let Some(begun) = self.begun {
            return Next::CommandLine(begun);
        }
        if let Some(option) = self.awaited {
            return self.value(option);
        }
        if !self.is_plain && word.starts_with('-') {
            let option = word.contains('=').then(|| self.option(word)).flatten();
            return option.map_or_else(|| self.options(), |option| self.value(option));
        }
        if self.begins_command_line() {
            return Next::CommandLine(number);
        }
        let positionals: Vec<&Arg> = self.command.get_positionals().collect();
        match positionals.get(self.placed).or(positionals.last()) {
            // `dns NAME set`: the name comes before the command.
            Some(positional) if self.placed < positionals.len() || !self.command.has_subcommands() => {
                self.value(positional)
            }
            _ => commands(self.command),
        }
    }

    fn value(&self, arg: &Arg) -> Next {
        let words = arg.get_possible_values();
        if !words.is_empty() {
            let meaning = |word: &clap::builder::PossibleValue| word.get_help().map(ToString::to_string);
            let words =
                words.iter().map(|word| (word.get_name().to_owned(), meaning(word).unwrap_or_default()));
            return Next::Words(words.collect());
        }
        let id = arg.get_id().as_str();
        if let Some((_, kind)) = KINDS.iter().find(|(known, _)| *known == id) {
            return Next::Name(*kind);
        }
        match (id, arg.get_value_hint()) {
            _ if arg.is_trailing_var_arg_set() => Next::Name(Kind::Namespace),
            ("words", _) => commands(self.root),
            (_, ValueHint::AnyPath) => Next::File,
            _ => Next::Unknown,
        }
    }

    fn options(&self) -> Next {
        let options = self.command.get_arguments().filter(|arg| !arg.is_hide_set());
        let named = |arg: &Arg| Some((format!("--{}", arg.get_long()?), meaning(arg.get_help())));
        Next::Words(options.filter_map(named).collect())
    }
}

fn commands(of: &Command) -> Next {
    let commands = of.get_subcommands().filter(|command| !command.is_hide_set());
    let named = |command: &Command| (command.get_name().to_owned(), meaning(command.get_about()));
    Next::Words(commands.map(named).collect())
}

/// The first sentence.
fn meaning(help: Option<&clap::builder::StyledStr>) -> String {
    let text = help.map(ToString::to_string).unwrap_or_default();
    text.split(['.', '\n']).next().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::Cli;

    fn after(line: &str) -> Next {
        let mut root = <Cli as clap::CommandFactory>::command();
        root.build();
        next(&root, &line.split(' ').map(str::to_owned).collect::<Vec<_>>())
    }

    fn words(line: &str) -> Vec<String> {
        match after(line) {
            Next::Words(words) => words.into_iter().map(|(word, _)| word).collect(),
            other => panic!("{line}: {other:?}"),
        }
    }

    #[test]
    fn names_are_known_where_they_stand() {
        for (line, kind) in [
            ("up ", Kind::Namespace),
            ("up slow sl", Kind::Namespace),
            ("-v down ", Kind::Namespace),
            ("exec ", Kind::Namespace),
            ("exec --pid ", Kind::Namespace),
            ("exec --user bob -- ", Kind::Namespace),
            ("dns ", Kind::Namespace),
            ("systemd bind ", Kind::Namespace),
            ("systemd bind slow ", Kind::Unit),
            ("systemd unbind ", Kind::Unit),
            ("add slow --dev ", Kind::Device),
            ("add slow --uplink ", Kind::Uplink),
            ("exec -u ", Kind::User),
            ("exec slow --user=b", Kind::User),
            ("exec slow --user = b", Kind::User),
        ] {
            assert_eq!(after(line), Next::Name(kind), "{line}");
        }
    }

    #[test]
    fn commands_of_exec_are_their_own() {
        for (line, begun) in [
            ("exec slow ", 2),
            ("exec slow -- ", 3),
            ("exec slow -- ls --col", 3),
            ("exec -u bob slow ls -l ", 4),
            ("exec slow --pid ls ", 3),
            ("exec --gateway 192.0.2.1 l", 3),
            ("exec --gateway=192.0.2.1 -- l", 3),
        ] {
            assert_eq!(after(line), Next::CommandLine(begun), "{line}");
        }
    }

    #[test]
    fn words_are_those_of_the_command_line() {
        assert!(words("").contains(&"exec".into()) && !words("").contains(&"__complete".into()));
        assert_eq!(words("systemd "), ["bind", "unbind"]);
        assert_eq!(words("dns slow "), ["set", "clear", "test"]);
        assert_eq!(words("-o "), ["text", "json"]);
        assert_eq!(words("status --output=j"), ["text", "json"]);
        assert!(words("man ").contains(&"nsnat.toml.5".into()));
        assert!(words("help ").contains(&"exec".into()));
        assert!(words("exec slow --").contains(&"--report".into()));
        assert!(words("up -").contains(&"--config".into()));
        assert_eq!(after("--config "), Next::File);
        assert_eq!(after("exec slow --tmpfs "), Next::File);
        assert_eq!(after("dns slow test "), Next::Unknown);
        assert_eq!(after("add slow --gateway "), Next::Unknown);
    }
}
