//! What `nsnat doctor` can find is planted by a test.

use nsnat::model::Code;
use std::fs;
use std::path::{Path, PathBuf};

/// Where faults are planted: in the lab, in booted systems, and on kernels of their own.
const PLANTED: [&str; 3] = ["tests/lab", "tests/systest", "tests/vm"];

fn texts(dir: &Path, out: &mut Vec<String>) {
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            texts(&path, out);
        } else {
            out.extend(fs::read_to_string(&path));
        }
    }
}

/// Whether a text has this code, and not as a part of another word, or as a key of the configuration.
fn names(text: &str, code: &str) -> bool {
    let is_of_word = |c: char| c.is_ascii_alphanumeric() || c == '-';
    text.match_indices(code).any(|(at, _)| {
        let (before, after) = (&text[..at], &text[at + code.len()..]);
        !before.ends_with(is_of_word) && !after.starts_with(is_of_word) && !after.starts_with(" =")
    })
}

#[test]
fn each_code_of_the_table_is_named_by_a_test() {
    let mut all = Vec::new();
    for dir in PLANTED {
        texts(&PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(dir), &mut all);
    }
    assert!(all.len() > 50, "the control: there are {} files", all.len());
    let codes = Code::ALL.iter().map(ToString::to_string);
    let unnamed: Vec<String> = codes.filter(|code| !all.iter().any(|text| names(text, code))).collect();
    assert!(unnamed.is_empty(), "no test plants {unnamed:?}");
}

#[test]
fn a_part_of_a_word_and_a_key_are_no_code() {
    assert!(names("told uplink-gone", "uplink-gone") && names("\"a uplink-gone\"", "uplink-gone"));
    assert!(!names("uplinks-gone", "uplink-gone") && !names("the-uplink-gone", "uplink-gone"));
    assert!(!names("last-resort = \"main\"", "last-resort"));
}
