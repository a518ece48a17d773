//! `on-change`: the program that `nsnat watch` runs when something happened to a namespace.

use super::reader::{Reader, Value, quoted};
use super::trust::{Inspection, Trust};
use super::{Config, Located, Problem};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// Reads a program and its arguments.
pub(super) fn read(reader: &mut Reader<'_>, value: &Value<'_>) -> Vec<Located<String>> {
    let mut words = Vec::new();
    for value in reader.list("`on-change`", value) {
        let Some(text) = reader.text("`on-change`", value) else { return Vec::new() };
        if text.contains('\0') {
            let message = format!("{} holds a zero byte, which no argument can", quoted(text));
            reader.report(Problem::at(reader.span_of(value), message));
        }
        words.push(reader.located(text.to_owned(), value));
    }
    if let Some(program) = words.first().filter(|program| !program.value.starts_with('/')) {
        let message = format!("{} is not an absolute path", quoted(&program.value));
        let problem = Problem::at(program.place.clone(), message).label("found where?");
        reader.report(problem.help(
            "write the whole path of the program, as `type -P PROGRAM` prints it, and each argument as a string of its own",
        ));
    }
    words
}

/// What is wrong with the programs on this host, where root would run them.
pub(super) fn problems(config: &Config, trust: &Trust) -> Vec<Problem> {
    if !trust.is_limited() {
        return Vec::new();
    }
    let mut inspection = Inspection::new(trust);
    let programs = config.namespaces.values().filter_map(|namespace| namespace.on_change.first());
    let programs = programs.filter(|program| program.value.starts_with('/'));
    let mut problems = Vec::new();
    for program in programs {
        inspection.file(Path::new(&program.value));
        problems.extend(problem(program));
    }
    problems.extend(inspection.problems());
    problems
}

fn problem(program: &Located<String>) -> Option<Problem> {
    let path = Path::new(&program.value);
    let (why, cure) = match std::fs::metadata(path) {
        Err(error) if program.value.contains(' ') => {
            (error.to_string(), "write each argument as a string of its own: [\"/PROGRAM\", \"ARGUMENT\"]")
        }
        Err(error) => (error.to_string(), "name a program that is there, also while the host boots"),
        Ok(found) if !found.is_file() => ("is not a file".to_owned(), "name a program"),
        Ok(found) if found.mode() & 0o111 == 0 => {
            ("may not be executed".to_owned(), "make it a program: chmod +x")
        }
        Ok(_) => return None,
    };
    let problem = Problem::at(program.place.clone(), format!("{}: {why}", quoted(&program.value)));
    Some(problem.label("cannot be run").help(cure))
}
