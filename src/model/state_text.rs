//! The state as a text: all of it, and after that what changed since.
//!
//! # Theory of operation
//!
//! A change to one of a thousand namespaces should not write the thousand again. So the text is a JSON object, and may be followed
//! by others, a line each. Each is a state of its own, in which `namespaces` has only the ones that changed and `gone` the ones
//! that went; everything else is as it is from then on. Whoever reads takes one after the other.
//!
//! A line is appended by one call. A writer that is killed in it, or a full disk, leaves a line without its end, and that counts for
//! nothing: the change that it was to record had not begun.

use super::change::{Change, changes};
use super::state::{State, VERSION};
use serde::de::DeserializeOwned;
use serde_json::{Deserializer, Map, Value};
use std::collections::{BTreeMap, BTreeSet};

/// What makes the next version's form out of each version's.
type Conversion = fn(&mut Map<String, Value>);
const CONVERSIONS: [Conversion; 3] = [
    // Before there were versions, fields came and went, and none changed its meaning.
    |_| {},
    // Two fields have other names since.
    |state| {
        rename(state, "members", "namespaces");
        let egresses = state.get_mut("egresses").and_then(Value::as_object_mut);
        let egresses = egresses.into_iter().flat_map(Map::values_mut).filter_map(Value::as_object_mut);
        egresses.for_each(|egress| rename(egress, "way", "path"));
    },
    // Before changes could follow.
    |_| {},
];

/// Gives a field another name. A name that is taken already is left: the newer release that wrote it knew both.
fn rename(fields: &mut Map<String, Value>, from: &str, to: &str) {
    if let Some(value) = fields.remove(from) {
        fields.entry(to).or_insert(value);
    }
}

/// A text that was read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StateText {
    /// What it says.
    pub state: State,
    /// Bytes of the first object.
    pub first: usize,
    /// Bytes up to the end of the last object.
    pub end: usize,
}

/// The state in its present form, out of what an older nsnat wrote; or a newer one, as far as this one knows it. An
/// error: the text is not a state.
pub fn read(text: &str) -> serde_json::Result<StateText> {
    let is_present = |state: &State| state.version == VERSION;
    let objects = match objects::<State>(text) {
        Ok(objects) if objects.all.iter().all(is_present) => objects,
        _ => {
            let Objects { all, first, end } = objects::<Map<String, Value>>(text)?;
            Objects { all: all.into_iter().map(converted).collect::<serde_json::Result<_>>()?, first, end }
        }
    };
    let Objects { all, first, end } = objects;
    Ok(StateText { state: all.into_iter().reduce(amended).unwrap_or_default(), first, end })
}

struct Objects<T> {
    all: Vec<T>,
    first: usize,
    end: usize,
}

/// The objects of a text, at least one. A last one without its end counts for nothing.
fn objects<T: DeserializeOwned>(text: &str) -> serde_json::Result<Objects<T>> {
    let mut stream = Deserializer::from_str(text).into_iter();
    // Of a text without an object, this says what is wrong.
    let first = stream.next().unwrap_or_else(|| serde_json::from_str(text))?;
    let mut out = Objects { all: vec![first], first: stream.byte_offset(), end: stream.byte_offset() };
    while let Some(next) = stream.next() {
        match next {
            Ok(next) => out.all.push(next),
            Err(error) if error.is_eof() => break,
            Err(error) => return Err(error),
        }
        out.end = stream.byte_offset();
    }
    Ok(out)
}

fn converted(mut fields: Map<String, Value>) -> serde_json::Result<State> {
    let version = version(&fields);
    for convert in CONVERSIONS.iter().skip(usize::try_from(version).unwrap_or(usize::MAX)) {
        convert(&mut fields);
    }
    let state: State = serde_json::from_value(fields.into())?;
    Ok(State { version: VERSION, ..state })
}

fn version(fields: &Map<String, Value>) -> u32 {
    fields
        .get("version")
        .and_then(Value::as_u64)
        .and_then(|version| version.try_into().ok())
        .unwrap_or_default()
}

/// The form that a state was written in.
pub fn version_of(text: &str) -> serde_json::Result<u32> {
    objects(text).map(|objects| objects.all.first().map(version).unwrap_or_default())
}

/// A state after a change.
fn amended(before: State, change: State) -> State {
    let mut namespaces = before.namespaces;
    for name in &change.gone {
        namespaces.remove(name);
    }
    namespaces.extend(change.namespaces);
    State { namespaces, gone: BTreeSet::new(), ..change }
}

/// A text of all of a state, or of a change.
pub fn whole(state: &State) -> serde_json::Result<String> {
    serde_json::to_string(state).map(|text| text + "\n")
}

/// What makes `after` out of `before`.
pub fn change(before: &State, after: &State) -> State {
    let mut out = State { namespaces: BTreeMap::new(), ..after.clone() };
    for Change { name, before, after } in changes(before, after) {
        match after {
            Some(after) if before != Some(after) => {
                out.namespaces.insert(name.clone(), after.clone()).is_some()
            }
            Some(_) => false,
            None => out.gone.insert(name.clone()),
        };
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::NamespaceRecord;

    fn state(names: &[&str], mtu: u32) -> State {
        let record = |name: &&str| {
            let text = format!(
                r#"{{"egress":"e","link":"nsn-{name}","subnet":"10.213.0.0/30","own_subnet":false,"mtu":{mtu},"ipv6":false,"dns":{{}}}}"#
            );
            let record: NamespaceRecord = serde_json::from_str(&text).unwrap();
            (name.parse().unwrap(), record.into())
        };
        State { mask: 7, namespaces: names.iter().map(record).collect(), ..State::default() }
    }

    #[test]
    fn changes_are_applied_in_their_order() {
        let first = state(&["a", "b", "c"], 1500);
        let second = State { mask: 8, ..state(&["b", "d"], 1500) };
        let third = state(&["b", "d"], 1400);
        let lines = [whole(&first), whole(&change(&first, &second)), whole(&change(&second, &third))];
        let lines = lines.map(Result::unwrap);
        for (count, expected) in [(1, &first), (2, &second), (3, &third)] {
            let text = lines[..count].concat();
            let read = read(&text).unwrap();
            assert_eq!(&read.state, expected);
            assert_eq!((read.first + 1, read.end + 1), (lines[0].len(), text.len()));
        }
    }

    /// Wherever a writer was cut off, what was there before it is read, and from where.
    #[test]
    fn a_change_without_its_end_counts_for_nothing() {
        let (before, after) = (state(&["a", "b"], 1500), state(&["b"], 1400));
        let (text, line) = (whole(&before).unwrap(), whole(&change(&before, &after)).unwrap());
        for cut in 0..line.len() - 1 {
            let read = read(&format!("{text}{}", &line[..cut])).unwrap();
            assert_eq!((&read.state, read.end + 1), (&before, text.len()), "{cut}");
        }
        assert_eq!(read(&format!("{text}{}", line.trim_end())).unwrap().state, after);
    }

    #[test]
    fn what_is_no_state_is_refused() {
        let text = whole(&state(&["a"], 1500)).unwrap();
        for bad in [
            "",
            " ",
            "half",
            "[]",
            &text[..text.len() - 2],
            &format!("{text}half"),
            &format!("{text}{{\"a\" 1"),
        ] {
            assert!(read(bad).is_err(), "{bad:?}");
        }
    }

    /// A change of the present form may follow a whole state of an earlier one.
    #[test]
    fn each_object_is_of_its_own_version() {
        let (before, after) = (state(&["a"], 1500), state(&["a", "b"], 1500));
        let line = whole(&change(&before, &after)).unwrap();
        for (version, namespaces) in [(0, "members"), (1, "members"), (2, "namespaces")] {
            let mut old = serde_json::to_value(&before).unwrap();
            let records = old.as_object_mut().unwrap().remove("namespaces").unwrap();
            old[namespaces] = records;
            old["version"] = version.into();
            assert_eq!(read(&old.to_string()).unwrap().state, before, "{version}");
            let text = format!("{old}{line}");
            assert_eq!(read(&text).unwrap().state, after, "{version}");
            assert_eq!(version_of(&text).unwrap(), version);
        }
    }
}
