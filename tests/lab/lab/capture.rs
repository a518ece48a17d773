//! What crosses a node, from a moment on.

use super::Lab;

/// A capture that runs.
pub(crate) struct Capture<'a> {
    lab: &'a Lab,
    id: String,
}

impl Lab {
    /// Starts to capture what crosses a node, on all its devices; it is certain that all is seen from now on.
    #[track_caller]
    pub(crate) fn capture(&self, node: &str, filter: &str) -> Capture<'_> {
        Capture { lab: self, id: self.ok(&format!("capture {node} \"{filter}\"")) }
    }
}

impl Capture<'_> {
    /// Ends it, and gives what it saw: a line for each packet and device. Nothing means that there was no packet.
    #[track_caller]
    pub(crate) fn seen(self) -> String {
        self.lab.ok(&format!("captured {}", self.id))
    }
}
