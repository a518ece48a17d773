//! Which file of `src/` uses which.
//!
//! A file uses another one when its text names an item that the other one defines. A name that a file only passes on
//! leads further, to the file that defines it, and `pub use` in a `mod.rs` is no use. What is compiled for unit tests
//! only does not count: a test may look at anything.

use proc_macro2::{Delimiter, TokenStream, TokenTree};
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// A path in the text, `crate::model::Name`, name by name.
type Names = Vec<String>;

/// Files by the names of their modules, and those that each uses.
pub(crate) type Uses = BTreeMap<String, BTreeSet<String>>;

/// All files, by the paths of their modules.
pub(crate) struct Graph(BTreeMap<Names, File>);

/// What a file says of others.
#[derive(Default)]
struct File {
    /// It is the front of a room: `mod.rs`, or `lib.rs`.
    is_front: bool,
    /// Names that `use` gives, and what they stand for.
    known: BTreeMap<String, Names>,
    /// Paths in its text.
    named: Vec<Names>,
}

impl Graph {
    /// The graph of files, each given by its path below `src` and its text.
    pub(crate) fn of<'a>(files: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        let read = |(path, text): (&str, &str)| {
            let mut file = File { is_front: path.ends_with("mod.rs") || path == "lib.rs", ..File::default() };
            file.read(text.parse().unwrap_or_else(|why| panic!("{path}: {why}")));
            (module(path), file)
        };
        Self(files.into_iter().map(read).collect())
    }

    /// Which files each uses besides itself.
    pub(crate) fn uses(&self) -> Uses {
        let used = |(module, file): (&Names, &File)| {
            let homes = file.named.iter().filter_map(|path| self.home(&self.absolute(module, path)?));
            (shown(module), homes.filter(|home| *home != module).map(shown).collect())
        };
        self.0.iter().map(used).collect()
    }

    /// Uses of what the front of a room defines, by files of that very room.
    pub(crate) fn uses_of_fronts(&self) -> Vec<(String, String)> {
        let fronts = self.0.iter().filter(|(_, file)| file.is_front).map(|(module, _)| shown(module));
        let inside =
            |front: &str, file: &str| file.strip_prefix(front).is_some_and(|rest| rest.starts_with("::"));
        let uses = self.uses();
        let of_front = |front: String| {
            let below = uses.iter().filter(|(file, used)| inside(&front, file) && used.contains(&front));
            below.map(|(file, _)| (file.clone(), front.clone())).collect::<Vec<_>>()
        };
        fronts.flat_map(of_front).collect()
    }

    /// The path from the root of the crate on; nothing where it leads out of the crate, or begins with something local.
    fn absolute(&self, module: &[String], path: &[String]) -> Option<Names> {
        let (first, rest) = path.split_first()?;
        let child = [module, std::slice::from_ref(first)].concat();
        let start = match first.as_str() {
            "crate" | "nsnat" => Vec::new(),
            "self" => module.to_vec(),
            "super" => module.split_last()?.1.to_vec(),
            _ if self.0.contains_key(&child) => child,
            _ => {
                // What stands for a path that begins with the same name is of another crate.
                let known = self.0.get(module)?.known.get(first)?;
                self.absolute(module, known.first().filter(|name| *name != first).and(Some(known))?)?
            }
        };
        match rest.first() {
            Some(name) if name == "super" => self.absolute(&start, rest),
            _ => Some([&start, rest].concat()),
        }
    }

    /// The file that defines what a path from the root names; nothing for a module as such.
    fn home(&self, path: &[String]) -> Option<&Names> {
        let is_module = |length: &usize| self.0.contains_key(&path[..*length]);
        let length = (0..=path.len()).take_while(is_module).last()?;
        let (module, file) = self.0.get_key_value(&path[..length])?;
        let (item, rest) = path[length..].split_first()?;
        match file.known.get(item).and_then(|known| self.absolute(module, known)) {
            Some(known) => self.home(&[&known, rest].concat()),
            None => Some(module),
        }
    }
}

impl File {
    fn read(&mut self, tokens: TokenStream) {
        let tokens: Vec<TokenTree> = tokens.into_iter().collect();
        let mut at = 0;
        while let Some(token) = tokens.get(at) {
            at += match token {
                TokenTree::Punct(sign) if sign.as_char() == '#' => attribute(&tokens[at..]),
                TokenTree::Ident(word) if word == "use" => self.import(&tokens, at),
                TokenTree::Ident(_) => self.path(&tokens, at),
                TokenTree::Group(group) => {
                    self.read(group.stream());
                    1
                }
                _ => 1,
            };
        }
    }

    /// Reads a path; returns how many tokens it is.
    fn path(&mut self, tokens: &[TokenTree], at: usize) -> usize {
        let (path, length) = names(&tokens[at..]);
        let is_method = at.checked_sub(1).is_some_and(|before| is_sign(tokens.get(before), '.'));
        if path.len() > 1 && !is_method {
            self.named.push(path);
        }
        length
    }

    /// Reads a `use`; returns how many tokens it is.
    fn import(&mut self, tokens: &[TokenTree], at: usize) -> usize {
        let length = tokens[at..].iter().take_while(|token| !is_sign(Some(token), ';')).count();
        let passes_on =
            at.checked_sub(1).is_some_and(|before| tokens[before].to_string() == "pub") && self.is_front;
        for (path, name) in imported(&tokens[at + 1..at + length]) {
            if !passes_on {
                self.named.push(path.clone());
            }
            self.known.insert(name, path);
        }
        length
    }
}

/// How many tokens an attribute is; where it keeps what follows for unit tests, with that.
fn attribute(tokens: &[TokenTree]) -> usize {
    let is_last = |token: &TokenTree| match token {
        TokenTree::Group(group) => group.delimiter() == Delimiter::Brace,
        token => is_sign(Some(token), ';'),
    };
    let is_for_tests = tokens.get(1).is_some_and(|group| group.to_string().replace(' ', "") == "[cfg(test)]");
    let last = tokens.iter().position(is_last).filter(|_| is_for_tests);
    last.map_or(2, |last| last + 1)
}

/// The path that some tokens begin with, and how many tokens it is.
fn names(tokens: &[TokenTree]) -> (Names, usize) {
    let (mut out, mut at) = (Vec::new(), 0);
    while let Some(TokenTree::Ident(word)) = tokens.get(at) {
        out.push(word.to_string());
        at += 1;
        let is_joined = is_sign(tokens.get(at), ':') && is_sign(tokens.get(at + 1), ':');
        if !is_joined || !matches!(tokens.get(at + 2), Some(TokenTree::Ident(_))) {
            break;
        }
        at += 2;
    }
    (out, at)
}

/// Every path of a `use`, and the name that it gives.
fn imported(tokens: &[TokenTree]) -> Vec<(Names, String)> {
    let (path, length) = names(tokens);
    let last = path.last().cloned().unwrap_or_default();
    let below = |(rest, name): (Names, String)| match rest.as_slice() {
        [only] if only == "self" => (path.clone(), if name == "self" { last.clone() } else { name }),
        _ => ([&path[..], &rest[..]].concat(), name),
    };
    let mut rest = tokens[length..].iter().skip_while(|token| is_sign(Some(token), ':'));
    match (rest.next(), rest.next()) {
        (Some(TokenTree::Group(group)), _) => {
            let all: Vec<TokenTree> = group.stream().into_iter().collect();
            let each = all.split(|token| is_sign(Some(token), ',')).filter(|each| !each.is_empty());
            each.flat_map(imported).map(below).collect()
        }
        // `as`
        (Some(TokenTree::Ident(_)), Some(name)) => vec![(path, name.to_string())],
        (Some(_), _) => vec![([path, vec!["*".into()]].concat(), "*".into())],
        (None, _) => vec![(path, last)],
    }
}

fn is_sign(token: Option<&TokenTree>, sign: char) -> bool {
    matches!(token, Some(TokenTree::Punct(punct)) if punct.as_char() == sign)
}

/// `plan/dns.rs` is plan::dns, `plan/mod.rs` is plan, and `lib.rs` the crate itself.
fn module(path: &str) -> Names {
    let names = path.trim_end_matches(".rs").split('/').filter(|name| !["mod", "lib"].contains(name));
    names.map(str::to_owned).collect()
}

fn shown(module: &Names) -> String {
    if module.is_empty() { "lib".into() } else { module.join("::") }
}

/// Circles: the shortest one through each file that is in one.
pub(crate) fn circles(uses: &Uses) -> BTreeSet<String> {
    let mut seen = BTreeSet::new();
    let all = uses.keys().filter_map(|file| circle(uses, file));
    let new = all.filter(|circle| seen.insert(circle.iter().copied().collect::<BTreeSet<&str>>()));
    new.map(|circle| circle.join(" → ")).collect()
}

fn circle<'a>(uses: &'a Uses, file: &'a str) -> Option<Vec<&'a str>> {
    let (mut paths, mut seen) = (VecDeque::from([vec![file]]), BTreeSet::new());
    while let Some(path) = paths.pop_front() {
        for next in path.last().and_then(|last| uses.get(*last)).into_iter().flatten() {
            if next == file {
                return Some([path, vec![file]].concat());
            }
            if seen.insert(next) {
                paths.push_back([&path[..], &[next.as_str()]].concat());
            }
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn graph(files: &[(&str, &str)]) -> Graph {
        Graph::of(files.iter().copied().chain([("lib.rs", "")]))
    }

    fn uses_of(files: &[(&str, &str)], file: &str) -> Vec<String> {
        graph(files).uses()[file].iter().cloned().collect()
    }

    const ROOM: [(&str, &str); 3] = [
        ("room/mod.rs", "mod one; mod two; pub use one::{One, help as aid}; use two::Two; pub struct Own;"),
        ("room/one.rs", "pub struct One; pub fn help() {}"),
        ("room/two.rs", "pub struct Two; impl Two { fn f() { super::aid() } }"),
    ];

    #[test]
    fn a_name_that_is_passed_on_leads_to_its_file() {
        let user = |text| uses_of(&[&ROOM[..], &[("user.rs", text)]].concat(), "user");
        assert_eq!(user("use crate::room::{self, One};"), ["room::one"]);
        assert_eq!(user("use crate::room; fn f() { format!(\"{}\", room::aid()) }"), ["room::one"]);
        assert_eq!(user("fn f(own: crate::room::Own) {}"), ["room"]);
        assert_eq!(user("use crate::room as other; fn f() { other::Two::f() }"), ["room::two"]);
        assert_eq!(
            user("// crate::room::Own\n/// [`crate::room::Own`]\nconst A: &str = \"crate::room::Own\";"),
            [""; 0]
        );
        assert_eq!(user("#[cfg(test)] mod tests { use crate::room::Own; }"), [""; 0]);
        assert_eq!(
            user("#[derive(Debug)] struct A { one: std::one::One, room: crate::room::One }"),
            ["room::one"]
        );
        assert_eq!(uses_of(&ROOM, "room"), ["room::two"]);
        assert_eq!(uses_of(&ROOM, "room::two"), ["room::one"]);
    }

    #[test]
    fn a_circle_is_found_and_named() {
        let files = [
            ("a.rs", "use crate::b::B; struct A;"),
            ("b.rs", "use crate::c::C;"),
            ("c.rs", "struct C(super::a::A);"),
        ];
        let files = [&files[..], &[("d.rs", "use crate::a::A;")]].concat();
        assert_eq!(Vec::from_iter(circles(&graph(&files).uses())), ["a → b → c → a"]);
    }

    #[test]
    fn a_front_that_its_own_room_needs_is_found() {
        let files = [
            ("room/mod.rs", "pub struct Own; mod one;"),
            ("room/one.rs", "fn f(_: super::Own) {}"),
            ("d.rs", "use crate::room::Own;"),
        ];
        assert_eq!(graph(&files).uses_of_fronts(), [("room::one".into(), "room".into())]);
    }
}
