//! Texts → a checked [`Config`], or every problem that they have. Pure, but for [`open`], which reads the files first.

use super::namespace::{self, DraftNamespace};
use super::reader::{Key, Reader, Value};
use super::settings::CollectedSettings;
use super::trust::Trust;
use super::{Config, Namespace, Problem, Source, Span, Uplink};
use super::{check as across, checks, hook, read, report, schema};
use crate::error::Error;
use crate::model::Name;
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::path::Path;
use toml::de::{DeTable, Error as Syntax};

/// Locates, reads and checks the configuration; the error lists every problem.
pub fn open(path: Option<&Path>, trust: &Trust, colour: bool) -> Result<Config, Error> {
    let (sources, mut problems) = read::locate(path).read(trust);
    let (config, found) = check(sources);
    problems.extend(found);
    problems.extend(hook::problems(&config, trust));
    if problems.is_empty() { Ok(config) } else { Err(report(&problems, &config.sources, colour)) }
}

/// Parses and checks all files; the error lists every problem of all of them, without colours.
pub fn load(sources: Vec<Source>) -> Result<Config, Error> {
    let (config, problems) = check(sources);
    if problems.is_empty() { Ok(config) } else { Err(report(&problems, &config.sources, false)) }
}

/// Loads the configuration and returns its problems as data. What has problems is missing from the configuration.
pub fn check(sources: Vec<Source>) -> (Config, Vec<Problem>) {
    let mut files = Files::default();
    for (index, source) in sources.iter().enumerate() {
        files.file(index, source);
    }
    let (mut config, mut problems) = files.into_config();
    problems.sort_by_key(|problem| problem.place.as_ref().map(|place| (place.file, place.span.start)));
    config.sources = sources;
    (config, problems)
}

/// What all files say, before they are seen together.
#[derive(Default)]
struct Files {
    namespaces: BTreeMap<Name, Box<DraftNamespace>>,
    uplinks: BTreeMap<Name, Uplink>,
    settings: CollectedSettings,
    problems: Vec<Problem>,
    /// A file is no TOML: what it declares is not known.
    broken: bool,
}

impl Files {
    fn file(&mut self, index: usize, source: &Source) {
        let (document, errors) = DeTable::parse_recoverable(&source.text);
        if !errors.is_empty() {
            // What follows from a mistake in the syntax would only hide it.
            self.broken = true;
            self.problems.extend(syntax(index, &source.text, &errors));
            return;
        }
        let mut problems = std::mem::take(&mut self.problems);
        let mut reader = Reader { file: index, problems: &mut problems };
        reader.keys(document.get_ref(), &schema::FILE);
        self.tables(&mut reader, document.get_ref(), source);
        self.problems = problems;
    }

    fn tables(&mut self, reader: &mut Reader<'_>, document: &DeTable<'_>, source: &Source) {
        if let Some(value) = document.get("uplink") {
            read_each(reader, "uplink", value, |reader, key, value| self.uplink(reader, key, value));
        }
        if let Some(value) = document.get("namespace") {
            let temporary = source.path.starts_with(read::TEMPORARY);
            read_each(reader, "namespace", value, |reader, key, value| {
                self.namespace(reader, key, value, temporary);
            });
        }
        if let Some((key, value)) = document.get_key_value("settings") {
            self.settings.read(reader, key, value);
        }
    }

    fn uplink(&mut self, reader: &mut Reader<'_>, key: &Key<'_>, value: &Value<'_>) {
        let name = namespace::name(reader, key);
        let uplink = namespace::uplink(reader, key, value);
        let (Some(name), Some(mut uplink)) = (name, uplink) else { return };
        if let Some(first) = self.uplinks.get(&name) {
            reader.report(across::declared_twice("uplink", &name, uplink.place, first.place.clone()));
            return;
        }
        uplink.name = Some(name.clone());
        self.uplinks.insert(name, uplink);
    }

    fn namespace(&mut self, reader: &mut Reader<'_>, key: &Key<'_>, value: &Value<'_>, temporary: bool) {
        let name = namespace::name(reader, key);
        let draft = namespace::namespace(reader, key, value);
        let (Some(name), Some(mut draft)) = (name, draft) else { return };
        draft.namespace.temporary = temporary;
        match self.namespaces.entry(name) {
            Entry::Vacant(place) => {
                place.insert(Box::new(draft));
            }
            Entry::Occupied(first) => {
                let (again, earlier) = (draft.namespace.place, first.get().namespace.place.clone());
                reader.report(across::declared_twice("namespace", first.key(), again, earlier));
            }
        }
    }

    fn into_config(self) -> (Config, Vec<Problem>) {
        let Self { namespaces, uplinks, settings, mut problems, broken } = self;
        let mut resolved = |draft| across::resolve(draft, &uplinks, !broken, &mut problems);
        let namespaces: BTreeMap<Name, Namespace> =
            namespaces.into_iter().map(|(name, draft)| (name, resolved(*draft))).collect();
        across::overlaps(&namespaces, &mut problems);
        let checks = checks::of(&namespaces, &mut problems);
        let settings = settings.settings;
        (Config { namespaces, checks, uplinks, settings, ..Config::default() }, problems)
    }
}

/// Each `[KIND.NAME]`, in the order in which they stand.
fn read_each(
    reader: &mut Reader<'_>,
    kind: &str,
    value: &Value<'_>,
    mut one: impl FnMut(&mut Reader<'_>, &Key<'_>, &Value<'_>),
) {
    let Some(table) = reader.table(|| format!("`{kind}`"), value, &format!("[{kind}.NAME]")) else { return };
    let mut entries: Vec<_> = table.iter().collect();
    entries.sort_by_key(|(key, _)| key.span().start);
    for (key, value) in entries {
        one(reader, key, value);
    }
}

/// Mistakes in the syntax, one a line: further ones on a line mostly follow from its first.
fn syntax(file: usize, text: &str, errors: &[Syntax]) -> Vec<Problem> {
    let mut lines = BTreeMap::new();
    for error in errors {
        let span = error.span().unwrap_or(0..0);
        let line = report::line_of(text, span.start);
        let earlier = lines.get(&line.start).is_some_and(|(first, _): &(usize, _)| *first <= span.start);
        if !earlier {
            let problem = Problem::at(Span { file, span: span.clone() }, error.message());
            let help = unquoted(text.get(line.clone()).unwrap_or_default());
            lines.insert(line.start, (span.start, Problem { help, ..problem }));
        }
    }
    lines.into_values().map(|(_, problem)| problem).collect()
}

/// The most common mistake: a string without quotes.
fn unquoted(line: &str) -> Option<String> {
    let (key, value) = line.split_once('=')?;
    let (key, value) = (key.trim(), value.split('#').next()?.trim());
    let plain = |c: char| c.is_ascii_alphanumeric() || ".:/-_".contains(c);
    (!value.is_empty() && value.chars().all(plain))
        .then(|| format!("strings stand in quotes: {key} = \"{value}\""))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::fmt::Write as _;

    fn source(text: &str) -> Source {
        Source { path: "test.toml".into(), text: text.to_owned() }
    }

    #[test]
    fn values_know_where_they_stand() {
        let text = "[namespace.a]\ngateway = \"192.0.2.1\"\nsubnet = \"10.5.0.0/30\"\n";
        let config = load(vec![source("[settings]\n"), source(text)]).unwrap();
        let namespace = &config.namespaces["a"];
        let shown = |place: &Option<Span>| {
            let place = place.as_ref().unwrap();
            config.sources[place.file].text[place.span.clone()].to_owned()
        };
        assert_eq!(shown(&namespace.place), "a");
        assert_eq!(shown(&namespace.subnet.as_ref().unwrap().place), "\"10.5.0.0/30\"");
        assert_eq!(shown(&namespace.uplinks[0].gateways[0].place), "\"192.0.2.1\"");
        assert_eq!(config.settings.pool.place, None);
    }

    #[test]
    fn a_misspelt_name_is_known_again() {
        let config = load(vec![source("[namespace.backup]\ndev = \"eth0\"\n")]).unwrap();
        assert_eq!(config.nearest("bakcup").map(Name::as_str), Some("backup"));
        assert_eq!(config.nearest("other"), None);
    }

    #[test]
    fn thousands_of_problems_do_not_take_minutes() {
        let mut text = String::new();
        for number in 0..5000 {
            let _ = write!(text, "[namespace.n{number}]\ngateway = \"192.0.2.1\"\nsubnet = \"10.0.0.0/8\"\n");
        }
        let start = std::time::Instant::now();
        let error = load(vec![source(&text)]).unwrap_err().to_string();
        assert!(error.ends_with("4999 problems; nothing was changed"), "{}", error.lines().last().unwrap());
        assert!(start.elapsed().as_secs() < 10, "{:?}", start.elapsed());
    }

    /// Text that gets further into the checks than noise does.
    const ALMOST: &str = "(\\[(namespace|uplink|settings)(\\.[a-z\"é]{1,3}){0,2}\\]\
        |(gateway|dev|dns|subnet|mtu|uplink|ipv6|fwmark-mask|pool6?|rewrite) = \
         (\"[0-9a-f:./x]{0,12}\"|[-0-9x_]{1,12}|\\{\\}|\\[\\]|'é\t')|#é|\r)(\n|\r\n| )";

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = load(vec![source(&String::from_utf8_lossy(&bytes))]);
        }

        #[test]
        fn no_text_makes_it_panic(lines in proptest::collection::vec(ALMOST, 0..12), colour: bool) {
            let (config, problems) = check(vec![source(&lines.concat()), source(&lines.concat())]);
            let report = report(&problems, &config.sources, colour).to_string();
            prop_assert_eq!(report.contains('\u{1b}'), colour && !problems.is_empty());
        }

        #[test]
        fn no_place_makes_the_report_panic(text in "[aé\n\t ]{0,9}", start in 0..12_usize, end in 0..12_usize) {
            let problem = Problem::at(Span { file: 0, span: start..end }, "x").label("y");
            let problem = problem.other(Span { file: 0, span: end..start }, "z");
            let lost = Problem::at(Span { file: 7, span: 0..1 }, "x").other(Span::default(), "y");
            let _ = report(&[problem, lost], &[source(&text)], true);
        }
    }
}
