//! Walks parsed TOML and collects every problem on the way, where serde would stop at the first one.
//!
//! Each method that reads gives `None` after it has reported why: the caller goes on with what is left.

use super::schema::{self, Table};
use super::{Located, Problem, Span};
use std::fmt::Write as _;
use toml::Spanned;
use toml::de::{DeString, DeTable, DeValue};

/// A key and its span.
pub(super) type Key<'i> = Spanned<DeString<'i>>;
/// A value and its span.
pub(super) type Value<'i> = Spanned<DeValue<'i>>;

/// Why a text is not valid: message, and the cure.
pub(super) type InvalidValue = (String, Option<String>);

/// Reads one file.
pub(super) struct Reader<'p> {
    /// Index of the file.
    pub(super) file: usize,
    /// What was found so far, in all files.
    pub(super) problems: &'p mut Vec<Problem>,
}

/// A table whose keys have been looked at.
pub(super) struct Section<'t, 'i> {
    /// Its header.
    pub(super) place: Span,
    kind: &'static str,
    header: &'t Key<'i>,
    table: &'t DeTable<'i>,
    meant: Vec<&'static str>,
}

impl<'t, 'i> Section<'t, 'i> {
    /// As it is called in messages.
    pub(super) fn what(&self) -> String {
        what(self.kind, self.header)
    }

    /// The value of this key.
    pub(super) fn value_of(&self, key: &str) -> Option<&'t Value<'i>> {
        self.table.get(key)
    }

    /// The key itself, where it stands.
    pub(super) fn key(&self, key: &str) -> Option<&'t Key<'i>> {
        self.table.get_key_value(key).map(|(key, _)| key)
    }

    /// Whether the key is there, or one that was probably meant to be it.
    pub(super) fn mentions(&self, key: &str) -> bool {
        self.table.contains_key(key) || self.meant.contains(&key)
    }
}

impl Reader<'_> {
    /// Where that stands.
    pub(super) fn span_of<T>(&self, at: &Spanned<T>) -> Span {
        Span { file: self.file, span: at.span() }
    }

    /// Notes a problem.
    pub(super) fn report(&mut self, problem: Problem) {
        self.problems.push(problem);
    }

    /// A table of which only the known keys are wanted. `kind`: what it is, where there are several, and "" where there is one.
    pub(super) fn section<'t, 'i>(
        &mut self,
        kind: &'static str,
        header: &'t Key<'i>,
        value: &'t Value<'i>,
        known: &'static Table,
    ) -> Option<Section<'t, 'i>> {
        let table = self.table(|| what(kind, header), value, known.header)?;
        let meant = self.keys(table, known);
        Some(Section { place: self.span_of(header), kind, header, table, meant })
    }

    /// A table of any keys; `header` is how it would be written.
    pub(super) fn table<'t, 'i>(
        &mut self,
        what: impl FnOnce() -> String,
        value: &'t Value<'i>,
        header: &str,
    ) -> Option<&'t DeTable<'i>> {
        let table = value.get_ref().as_table();
        if table.is_none() {
            self.mistyped(&what(), value, "a table", &format!("write it as `{header}`"));
        }
        table
    }

    /// Reports the keys that the table does not know; returns the keys that were probably meant.
    pub(super) fn keys(&mut self, table: &DeTable<'_>, known: &'static Table) -> Vec<&'static str> {
        let mut meant = Vec::new();
        for (key, value) in table.iter().filter(|(key, _)| !known.keys.contains(&key.get_ref().as_ref())) {
            let near = nearest(key.get_ref(), known.keys.iter().copied());
            meant.extend(near);
            let message = format!("unknown key {} in {}", quoted(key.get_ref()), known.header);
            let problem = Problem::at(self.span_of(key), message).label("not known here");
            // `[namespace.site.a]`
            let dotted = near.is_none() && value.get_ref().is_table() && known.header.contains(".NAME]");
            self.report(problem.help(if dotted {
                let quoted =
                    known.header.replace("NAME", &format!("\"NAME.{}\"", key.get_ref().escape_debug()));
                format!("a name that holds a dot stands in quotes: {quoted}")
            } else {
                cure_of_unknown_key(key.get_ref(), near, known)
            }));
        }
        meant
    }

    /// A string.
    pub(super) fn text<'t>(&mut self, what: &str, value: &'t Value<'_>) -> Option<&'t str> {
        let text = value.get_ref().as_str();
        if text.is_none() {
            self.mistyped(what, value, "a string", "strings stand in double quotes");
        }
        text
    }

    /// A string that means something.
    pub(super) fn parsed<T>(
        &mut self,
        what: &str,
        value: &Value<'_>,
        parse: impl FnOnce(&str) -> Result<T, InvalidValue>,
    ) -> Option<Located<T>> {
        let text = self.text(what, value)?;
        match parse(text) {
            Ok(parsed) => Some(self.located(parsed, value)),
            Err((message, help)) => {
                let problem = Problem::at(self.span_of(value), message);
                self.report(Problem { help, ..problem });
                None
            }
        }
    }

    /// `true` or `false`.
    pub(super) fn boolean(&mut self, what: &str, value: &Value<'_>) -> Option<bool> {
        let boolean = value.get_ref().as_bool();
        if boolean.is_none() {
            self.mistyped(what, value, "true or false", "write `true` or `false`, without quotes");
        }
        boolean
    }

    /// A whole number; one that does not fit is larger than anything that is allowed.
    pub(super) fn integer(&mut self, what: &str, value: &Value<'_>) -> Option<i128> {
        let DeValue::Integer(integer) = value.get_ref() else {
            let fraction = matches!(value.get_ref(), DeValue::Float(_));
            let help = if fraction { "write it without a fraction" } else { "write it without quotes" };
            self.mistyped(what, value, "a whole number", help);
            return None;
        };
        Some(i128::from_str_radix(integer.as_str(), integer.radix()).unwrap_or(i128::MAX))
    }

    /// The values of a list; a single value is a list of itself.
    pub(super) fn list<'t, 'i>(&mut self, what: &str, value: &'t Value<'i>) -> Vec<&'t Value<'i>> {
        let Some(array) = value.get_ref().as_array() else { return vec![value] };
        if array.is_empty() {
            let help = "name at least one, or leave the key out";
            self.report(Problem::at(self.span_of(value), format!("{what} is an empty list")).help(help));
        }
        array.iter().collect()
    }

    /// A value with its place.
    pub(super) fn located<T>(&self, value: T, at: &Value<'_>) -> Located<T> {
        Located { value, place: Some(self.span_of(at)) }
    }

    /// Reports a value of the wrong type.
    pub(super) fn mistyped(&mut self, what: &str, value: &Value<'_>, wanted: &str, help: &str) {
        let found = type_name(value.get_ref());
        let problem = Problem::at(self.span_of(value), format!("{what} is {found}; {wanted} is needed"));
        self.report(problem.label(format!("this is {found}")).help(help));
    }
}

/// A table as it is called in messages.
fn what(kind: &str, header: &Key<'_>) -> String {
    let name = quoted(header.get_ref());
    if kind.is_empty() { name } else { format!("{kind} {name}") }
}

/// The types of TOML, in words.
fn type_name(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a string",
        DeValue::Integer(_) => "a whole number",
        DeValue::Float(_) => "a number with a fraction",
        DeValue::Boolean(_) => "a boolean",
        DeValue::Datetime(_) => "a date",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    }
}

/// What to do about an unknown key: the nearest one, else the table that knows it, else all that are known.
fn cure_of_unknown_key(key: &str, near: Option<&str>, known: &Table) -> String {
    if let Some(near) = near {
        return format!("did you mean `{near}`?");
    }
    if let Some(home) = schema::ALL.iter().find(|table| table.keys.contains(&key)) {
        return format!("`{key}` belongs in {}", home.header);
    }
    format!("known here: {}", quoted_list(known.keys.iter().copied()))
}

/// The candidate that a misspelt `word` may have meant: at most a third of its letters (at least one) is wrong.
pub(super) fn nearest<'k>(word: &str, known: impl IntoIterator<Item = &'k str>) -> Option<&'k str> {
    // Nothing that we know is that long, and the distance takes quadratic time.
    if word.len() > 2 * crate::model::name::MAX {
        return None;
    }
    let lower = word.to_lowercase();
    let distance = |k: &&str| strsim::damerau_levenshtein(&lower, &k.to_lowercase());
    let (far, near) = known.into_iter().map(|k| (distance(&k), k)).min()?;
    let letters = word.chars().count();
    (far < letters && far <= (letters / 3).max(1)).then_some(near)
}

/// Parses a text that has to be one of a few words.
pub(super) fn parse_word<T: Copy>(text: &str, words: &[(&str, T)]) -> Result<T, InvalidValue> {
    if let Some((_, meaning)) = words.iter().find(|(word, _)| *word == text) {
        return Ok(*meaning);
    }
    let known = || words.iter().map(|(word, _)| *word);
    let help = match nearest(text, known()) {
        Some(near) => format!("did you mean `{near}`?"),
        None => format!("one of {}", quoted_list(known())),
    };
    Err((format!("{} means nothing here", quoted(text)), Some(help)))
}

/// `a`, `b`, `c`.
pub(super) fn quoted_list<'k>(words: impl IntoIterator<Item = &'k str>) -> String {
    let mut text = String::new();
    for word in words {
        let comma = if text.is_empty() { "" } else { ", " };
        let _ = write!(text, "{comma}`{word}`");
    }
    text
}

/// Somebody's text inside of a message: nothing in it can move the cursor, and it is never long.
pub(super) fn quoted(text: &str) -> String {
    const MOST: usize = 80;
    let mut shown = String::new();
    for c in text.chars().take(MOST) {
        if matches!(c, '"' | '\'') { shown.push(c) } else { shown.extend(c.escape_debug()) }
    }
    let dots = if text.chars().nth(MOST).is_some() { "…" } else { "" };
    format!("`{shown}{dots}`")
}
