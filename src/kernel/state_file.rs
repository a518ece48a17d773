//! The file of the state ([`state_text`]): read by everybody, written under the lock.

use super::files::{EARLIER_STATE, RUN, STATE, UNFINISHED, remove_file, replace};
use crate::error::{Context, Error, Result};
use crate::model::State;
use crate::model::state_text::{self, StateText};
use std::fs::OpenOptions;
use std::io::{self, Write};
use std::path::Path;

/// The state; an empty one when there is none.
pub fn read() -> Result<State> {
    Ok(parse(text()?.as_deref())?.state)
}

/// The text of the state, where there is one.
pub fn text() -> Result<Option<String>> {
    match read_if_there(STATE)? {
        None => read_if_there(EARLIER_STATE),
        text => Ok(text),
    }
}

fn read_if_there(path: &str) -> Result<Option<String>> {
    match std::fs::read_to_string(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        text => text.map(Some).what(|| format!("read {path}")),
    }
}

/// The state that a text is; an empty one when there is none.
pub fn parse(text: Option<&str>) -> Result<StateText> {
    text.map_or_else(|| Ok(StateText::default()), state_text::read).map_err(|error| {
        Error::new(format!("read {STATE}"), error)
            .hint(format!("it is damaged; rm -f {STATE} {EARLIER_STATE}, then: nsnat up, or nsnat down, which find what is nsnat's without it"))
    })
}

/// The state and its file, while nobody else writes it.
#[derive(Default)]
pub(super) struct StateFile {
    known: Option<Known>,
    /// This run appended a change. What came of it is appended, too: there is room for that, and not for the whole.
    appends: bool,
}

/// What is in the file.
struct Known {
    state: State,
    /// Bytes of the text of a whole state, with which it begins.
    first: usize,
    /// Bytes of the file. None where nothing can be appended: there is no such file, it has an earlier form, or a change without
    /// its end is in it.
    end: Option<usize>,
}

/// How much is written.
#[derive(Clone, Copy)]
pub(super) struct Size {
    /// Bytes of the text.
    pub text: usize,
    /// Namespaces in it.
    pub namespaces: usize,
}

/// Changes are appended until they are this part of the file.
const SHARE: usize = 4;

impl StateFile {
    /// The state. The file is read once.
    pub(super) fn state(&mut self) -> Result<&State> {
        match &mut self.known {
            Some(known) => Ok(&known.state),
            none => Ok(&none.insert(Known::read()?).state),
        }
    }

    /// The same, where the file was read.
    pub(super) fn known_state(&self) -> Option<&State> {
        self.known.as_ref().map(|known| &known.state)
    }

    /// The file was taken away.
    pub(super) fn forget(&mut self) {
        self.known = None;
    }

    /// Writes the state, unless that very one is there. `check` fails where there is no room. An error leaves what is in the
    /// file, and that is read again when it is asked for.
    pub(super) fn write(&mut self, state: State, check: impl FnOnce(Size) -> Result<()>) -> Result<()> {
        let known = self.known.take().map_or_else(Known::read, Ok)?;
        if state == known.state {
            self.known = Some(known);
            return Ok(());
        }
        let line = known.change_to(&state)?;
        let appended = line.filter(|(line, _)| self.appends || known.is_long_beside(line));
        self.known = Some(if let Some((line, namespaces)) = appended {
            check(Size { text: line.len(), namespaces })?;
            self.appends = true;
            known.append(state, &line)?
        } else {
            let text = state_text::whole(&state).what(|| STATE)?;
            check(Size { text: text.len(), namespaces: state.namespaces.len() })?;
            Known::replace(state, &text)?
        });
        Ok(())
    }
}

impl Known {
    fn read() -> Result<Self> {
        let text = text()?;
        let StateText { state, first, end } = parse(text.as_deref())?;
        let is_whole = |text: &String| text.get(end..).is_some_and(|rest| rest.trim().is_empty());
        let is_there = || Path::new(STATE).exists();
        let end = text.filter(|text| is_whole(text) && is_there()).map(|text| text.len());
        Ok(Self { state, first, end })
    }

    /// The text of a change and the number of namespaces in it, where it can be appended and is not about most of them.
    fn change_to(&self, state: &State) -> Result<Option<(String, usize)>> {
        if self.end.is_none() {
            return Ok(None);
        }
        let change = state_text::change(&self.state, state);
        if change.namespaces.len() * SHARE > self.state.namespaces.len() {
            return Ok(None);
        }
        Ok(Some((state_text::whole(&change).what(|| STATE)?, change.namespaces.len())))
    }

    /// Whether the file with one more change would still be mostly the whole state, so that the changes cost little to read.
    fn is_long_beside(&self, line: &str) -> bool {
        let changes = self.end.unwrap_or_default().saturating_sub(self.first) + line.len();
        changes * SHARE <= self.first
    }

    /// The file with one more change.
    fn append(self, state: State, line: &str) -> Result<Self> {
        let end = self.end.unwrap_or_default();
        append(line, end).what(|| format!("write {STATE}"))?;
        Ok(Self { state, first: self.first, end: Some(end + line.len()) })
    }

    /// The file with nothing but a whole state, in one step.
    fn replace(state: State, text: &str) -> Result<Self> {
        replace(Path::new(STATE), text, 0o644)?;
        remove_file(Path::new(EARLIER_STATE))?;
        Ok(Self { state, first: text.len(), end: Some(text.len()) })
    }
}

/// Appends to the file, whose end is known. A part that was written before an error is taken back; where that fails, too, it
/// counts for nothing.
fn append(line: &str, end: usize) -> io::Result<()> {
    let mut file = OpenOptions::new().append(true).open(STATE)?;
    let written = file.write_all(line.as_bytes()).and_then(|()| file.sync_data());
    if written.is_err() {
        let _ = file.set_len(end as u64);
    }
    written
}

/// Fails unless there is room for a text of the state once as it is written, once more for what comes of it, and for `records`
/// that `exec` reads.
pub(super) fn check_room(size: Size, records: usize) -> Result<()> {
    const PAGE: usize = 4096;
    let what = || format!("write below {RUN}");
    // The state grows a little on the way: inode numbers, the skeleton's digest.
    let size = 2 * (size.text + 64 * size.namespaces + PAGE) + PAGE * (records + 1);
    let file = tempfile::Builder::new().prefix(UNFINISHED).tempfile_in(RUN).what(what)?;
    let size = libc::off_t::try_from(size).what(what)?;
    nix::fcntl::posix_fallocate(file.as_file(), 0, size).map_err(io::Error::from).what(what)
}
