//! `docs/nsnat.schema.json` says of a file what the reader says, as far as a schema can say it.

use nsnat::config::{Source, check};
use serde_json::Value;
use std::fs;
use std::path::Path;

fn schema() -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/nsnat.schema.json");
    serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap()
}

/// Whether a value is as a schema says: by those words of JSON schema (draft 7) that ours uses.
fn fits(root: &Value, schema: &Value, value: &Value) -> bool {
    schema.as_object().unwrap().iter().all(|(word, rule)| match word.as_str() {
        "$ref" => fits(root, root.pointer(rule.as_str().unwrap().trim_start_matches('#')).unwrap(), value),
        "type" => is_of_type(rule.as_str().unwrap(), value),
        "enum" => rule.as_array().unwrap().contains(value),
        "anyOf" => rule.as_array().unwrap().iter().any(|one| fits(root, one, value)),
        "minimum" => value.as_i64().is_some_and(|number| number >= rule.as_i64().unwrap()),
        "maximum" => value.as_i64().is_some_and(|number| number <= rule.as_i64().unwrap()),
        "items" => value.as_array().is_none_or(|items| items.iter().all(|item| fits(root, rule, item))),
        "additionalProperties" => has_only(root, schema, value),
        "properties" => has_fitting(root, rule, value),
        "$schema" | "title" | "description" | "definitions" => true,
        other => panic!("this test does not know {other}"),
    })
}

fn is_of_type(name: &str, value: &Value) -> bool {
    match name {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "boolean" => value.is_boolean(),
        "integer" => value.is_i64(),
        other => panic!("this test does not know the type {other}"),
    }
}

/// Each key that is named has a value of its kind.
fn has_fitting(root: &Value, properties: &Value, value: &Value) -> bool {
    let Some(value) = value.as_object() else { return true };
    value.iter().all(|(key, value)| properties.get(key).is_none_or(|rule| fits(root, rule, value)))
}

/// There are no others, or theirs are of that kind.
fn has_only(root: &Value, schema: &Value, value: &Value) -> bool {
    let Some(value) = value.as_object() else { return true };
    let others = value
        .iter()
        .filter(|(key, _)| schema.pointer("/properties").and_then(|named| named.get(key)).is_none());
    others.into_iter().all(|(_, value)| match &schema["additionalProperties"] {
        Value::Bool(allowed) => *allowed,
        rule => fits(root, rule, value),
    })
}

/// What the reader has against a text.
fn problems(text: &str) -> Vec<String> {
    let (_, problems) = check(vec![Source { path: "test.toml".into(), text: text.into() }]);
    problems.into_iter().map(|problem| problem.message).collect()
}

fn data(text: &str) -> Value {
    serde_json::to_value(text.parse::<toml::Table>().unwrap()).unwrap()
}

#[test]
fn what_the_reader_takes_fits() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let cases = fs::read_dir(root.join("tests/config")).unwrap();
    let mut texts: Vec<String> =
        cases.filter_map(|case| fs::read_to_string(case.unwrap().path().join("nsnat.toml")).ok()).collect();
    let reference = fs::read_to_string(root.join("docs/configuration.md")).unwrap();
    let examples =
        reference.split("```toml\n").skip(1).map(|rest| rest.split("```").next().unwrap().to_owned());
    texts.extend(examples);
    texts.retain(|text| problems(text).is_empty());
    assert!(texts.len() > 8, "only {} good files", texts.len());
    let schema = schema();
    for text in texts {
        assert!(fits(&schema, &schema, &data(&text)), "{text}");
    }
}

/// The tables: what stands before a key of each, and where the schema has it.
const TABLES: [(&str, &str); 5] = [
    ("[namespace.a]\ndev = \"eth0\"\n", "namespace"),
    ("[uplink.a]\ndev = \"eth0\"\n", "uplink"),
    ("[uplink.a]\ndev = \"eth0\"\n[uplink.a.check]\n", "check"),
    ("[namespace.a]\ndev = \"eth0\"\n[namespace.a.dns]\n", "dns"),
    ("[settings]\n", "settings"),
];

/// Values of all types, and numbers at the ends of what is taken.
const VALUES: [&str; 14] = [
    "true",
    "0",
    "1",
    "575",
    "576",
    "1000",
    "1001",
    "65535",
    "65536",
    "\"192.0.2.1\"",
    "\"1s\"",
    "[\"192.0.2.1\"]",
    "{ \"192.0.2.1\" = \"192.0.2.2\" }",
    "[1]",
];

/// What does not fit is refused by the reader: a value of each type for each key.
#[test]
fn what_does_not_fit_is_refused() {
    let schema = schema();
    let (mut refused, mut taken) = (0, 0);
    for (before, table) in TABLES {
        for key in keys(&schema, table) {
            for value in VALUES {
                let text = format!("{before}{key} = {value}\n");
                if text.parse::<toml::Table>().is_err() {
                    continue;
                }
                if fits(&schema, &schema, &data(&text)) {
                    taken += 1;
                } else {
                    refused += 1;
                    assert!(
                        !problems(&text).is_empty(),
                        "the reader takes it, and the schema does not:\n{text}"
                    );
                }
            }
        }
    }
    assert!(refused > 50 && taken > 50, "{refused} {taken}");
}

/// Each word of the schema is one of the reader's, and another word is not.
#[test]
fn words_are_the_readers() {
    let schema = schema();
    for (before, table) in TABLES {
        for key in keys(&schema, table) {
            let rule = schema.pointer(&format!("/definitions/{table}/properties/{key}")).unwrap();
            let words = words(&schema, rule);
            for word in &words {
                let said = problems(&format!("{before}{key} = \"{word}\"\n")).concat();
                assert!(!names(&said, word), "{key}: {said}");
            }
            if !words.is_empty() {
                let said = problems(&format!("{before}{key} = \"bogus\"\n")).concat();
                assert!(names(&said, "bogus"), "{key}: {said}");
            }
        }
    }
}

/// Whether a message has the word, in quotes of either kind.
fn names(message: &str, word: &str) -> bool {
    ['"', '`'].iter().any(|quote| message.contains(&format!("{quote}{word}{quote}")))
}

fn keys(schema: &Value, table: &str) -> Vec<String> {
    let properties = schema.pointer(&format!("/definitions/{table}/properties")).unwrap();
    properties.as_object().unwrap().keys().cloned().collect()
}

/// The words that a rule lists, also as one of several forms.
fn words(root: &Value, rule: &Value) -> Vec<String> {
    let own = rule.get("enum").and_then(Value::as_array).into_iter().flatten();
    let mut out: Vec<String> = own.map(|word| word.as_str().unwrap().to_owned()).collect();
    let referred =
        rule.get("$ref").and_then(Value::as_str).map(|at| root.pointer(at.trim_start_matches('#')).unwrap());
    let forms = rule.get("anyOf").and_then(Value::as_array).into_iter().flatten();
    for form in forms.chain(referred) {
        out.extend(words(root, form));
    }
    out
}
