//! Which room of `src/` may use which: the table in `src/lib.rs`, held.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::string_slice, reason = "this is all tests")]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// Each room, and those that it may use besides itself and `error`.
const MAY: [(&str, &[&str]); 7] = [
    ("model", &[]),
    ("config", &["model"]),
    ("plan", &["config", "model", "skeleton"]),
    ("reconcile", &["model", "plan"]),
    ("kernel", &["model", "plan", "reconcile", "skeleton"]),
    ("enter", &["model", "kernel", "cli"]),
    ("report", &["model", "plan"]),
];

#[test]
fn rooms_use_what_they_may() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut wrong = Vec::new();
    let mut seen = BTreeSet::new();
    for (room, may) in MAY {
        let files = files(&src.join(room));
        assert!(!files.is_empty(), "no room {room}");
        for file in files {
            let text = fs::read_to_string(&file).unwrap();
            for used in used(&text).filter(|used| *used != room && *used != "error") {
                seen.insert(used.to_owned());
                if !may.contains(&used) {
                    wrong.push(format!("{}: crate::{used}", file.display()));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    // A look that finds nothing would find nothing wrong.
    assert!(seen.contains("model") && seen.contains("config"), "{seen:?}");
}

/// The rooms that a text names.
fn used(text: &str) -> impl Iterator<Item = &str> {
    let word = |rest: &'_ str| rest.find(|c: char| !(c.is_alphanumeric() || c == '_')).unwrap_or(rest.len());
    text.split("crate::").skip(1).map(move |rest| &rest[..word(rest)])
}

fn files(dir: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}
