//! The walls of the house: what `src/lib.rs` says of the rooms, held.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "this is all tests")]

mod graph;

use graph::Graph;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// Every file below `src` by its path from there, with its text.
fn sources() -> Vec<(String, String)> {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let below = |path: &Path| path.strip_prefix(&src).unwrap().to_str().unwrap().to_owned();
    files(&src).into_iter().map(|path| (below(&path), fs::read_to_string(path).unwrap())).collect()
}

/// A file of the repository.
fn read(path: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap()
}

fn files(dir: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
    let files = entries.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] });
    files.filter(|path| path.extension().is_some_and(|extension| extension == "rs")).collect()
}

fn graph() -> Graph {
    Graph::of(sources().iter().map(|(path, text)| (path.as_str(), text.as_str())))
}

/// A row of the table in `src/lib.rs`.
struct Room {
    name: String,
    /// Rooms that it may use, and single files of some.
    may: BTreeSet<String>,
    has_effects: bool,
}

fn rooms() -> Vec<Room> {
    let text = read("src/lib.rs");
    let rows = text.lines().filter_map(|line| line.strip_prefix("//! | ")?.strip_suffix('|'));
    let room = |row: &str| {
        let [name, _, may, effects] = row.split('|').collect::<Vec<_>>()[..] else { panic!("{row}") };
        let name = quoted(name).next()?.to_owned();
        Some(Room {
            name,
            may: quoted(may).map(str::to_owned).collect(),
            has_effects: !effects.trim().is_empty(),
        })
    };
    rows.filter_map(room).collect()
}

/// What stands between backticks.
fn quoted(text: &str) -> impl Iterator<Item = &str> {
    text.split('`').skip(1).step_by(2)
}

fn room_of(file: &str) -> &str {
    file.split("::").next().unwrap()
}

#[test]
fn rooms_use_what_the_table_says_and_all_of_it() {
    let rooms: BTreeMap<String, BTreeSet<String>> =
        rooms().into_iter().map(|room| (room.name, room.may)).collect();
    let mut unused = rooms.clone();
    let mut wrong = Vec::new();
    for (file, used) in graph().uses().iter().filter(|(file, _)| *file != "lib") {
        let room = room_of(file);
        let may = rooms.get(room).unwrap_or_else(|| panic!("{file} is in no room of the table"));
        for used in used.iter().filter(|used| ![room, "error"].contains(&room_of(used))) {
            let leave = [used, room_of(used)].into_iter().find(|leave| may.contains(*leave));
            match leave {
                Some(leave) => drop(unused.get_mut(room).unwrap().remove(leave)),
                None => wrong.push(format!("{file} uses {used}")),
            }
        }
    }
    unused.retain(|_, may| !may.is_empty());
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert!(unused.is_empty(), "what the table allows and nobody does: {unused:#?}");
}

#[test]
fn effects_are_in_the_rooms_that_have_them() {
    let rooms: BTreeSet<String> =
        rooms().into_iter().filter(|room| room.has_effects).map(|room| room.name).collect();
    let expecting = sources().into_iter().filter(|(_, text)| text.contains("clippy::disallowed_methods,"));
    let expecting: BTreeSet<String> =
        expecting.map(|(path, _)| path.split(['/', '.']).next().unwrap().to_owned()).collect();
    assert_eq!(expecting, rooms, "files that say so, and the table");
    let lint = read(".clippy.toml");
    let reasons = lint.lines().filter_map(|line| line.split_once("reason = "));
    let named: BTreeSet<String> = reasons.flat_map(|(_, reason)| quoted(reason)).map(str::to_owned).collect();
    assert_eq!(named, rooms, ".clippy.toml, and the table");
}

#[test]
fn no_file_uses_itself_by_way_of_others() {
    let circles = graph::circles(&graph().uses());
    assert!(circles.is_empty(), "{circles:#?}");
}

#[test]
fn the_front_of_a_room_defines_nothing_that_the_room_uses() {
    let wrong = graph().uses_of_fronts();
    assert!(wrong.is_empty(), "{wrong:#?}");
}
