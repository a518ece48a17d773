//! The state of a host as text, compared byte for byte.

/// Everything of a host that nsnat could leave something in.
#[derive(Clone)]
pub(crate) struct Snapshot(String);

impl Snapshot {
    /// The bash script that prints it.
    pub(crate) const SCRIPT: &str = include_str!("snapshot.sh");

    /// What [`Self::SCRIPT`] printed.
    pub(crate) fn new(text: impl Into<String>) -> Self {
        let text = text.into();
        assert!(text.contains("== mounts"), "half a snapshot:\n{text}");
        Self(text)
    }

    /// The text.
    pub(crate) fn text(&self) -> &str {
        &self.0
    }

    /// The lines that differ, below the section that each is in.
    pub(crate) fn same(&self, now: &Self) -> Result<(), String> {
        if self.0 == now.0 {
            return Ok(());
        }
        self.same_lines(now)?;
        Err("the same lines in another order".into())
    }

    /// The same, whatever order the lines are in.
    pub(crate) fn same_lines(&self, now: &Self) -> Result<(), String> {
        let mut out = only_in(&self.0, &now.0, '-');
        out.push_str(&only_in(&now.0, &self.0, '+'));
        if out.is_empty() { Ok(()) } else { Err(out) }
    }
}

fn only_in(text: &str, other: &str, sign: char) -> String {
    let mut rest: Vec<&str> = other.lines().collect();
    let (mut section, mut out) = ("", String::new());
    for line in text.lines() {
        if line.starts_with("== ") {
            section = line.trim_start_matches("== ");
        }
        match rest.iter().position(|o| *o == line) {
            Some(index) => {
                rest.swap_remove(index);
            }
            None => out.extend([&format!("{sign} [{section}] "), line, "\n"]),
        }
    }
    out
}
