//! What a probe has found, as `doctor` and `trace` tell it.

use super::traced_path::{Fault, TracedPath};
use crate::model::trace::Trace;
use crate::model::{Cure, Finding, Name};

/// A probe, its way, and the text of the rule that stopped it.
#[derive(Clone, Debug)]
pub struct TraceReport {
    /// The namespace.
    pub name: Name,
    /// What was seen.
    pub trace: Trace,
    /// What it means.
    pub walk: TracedPath,
    /// The culprit's text, as nft lists it.
    pub rule: Option<String>,
    /// A command against it, where there is one.
    pub remedy: Option<String>,
}

impl TraceReport {
    /// What is wrong; none where nothing is.
    pub fn finding(&self) -> Option<Finding> {
        let Fault { code, what, .. } = self.walk.fault.as_ref()?;
        let culprit = self.culprit();
        let by = culprit.as_ref().map(|culprit| format!(" by {culprit}")).unwrap_or_default();
        let what = format!("a packet to {}: {what}{by}", self.trace.goal);
        let steps = self.walk.steps.iter().map(|(name, text)| format!("{name}: {text}"));
        let look = || {
            let words = Some(self.words()).filter(|words| !words.is_empty());
            let words = words.unwrap_or_else(|| "see: nsnat status".into());
            Cure::person(words).checked_by(format!(
                "nsnat trace {} {}",
                self.name,
                self.trace.goal.argument()
            ))
        };
        let cure = self.remedy.as_ref().map_or_else(look, Cure::command);
        Some(Finding::new(*code, what, cure).shown_by(culprit).shown_by(steps))
    }

    /// What helps, in words; empty where nothing is known.
    pub fn words(&self) -> String {
        let cure = self.walk.fault.as_ref().map_or("", |fault| &fault.cure);
        cure.replace("NAME", self.name.as_str())
    }

    /// The rule or the chain that did it, as people read it.
    pub fn culprit(&self) -> Option<String> {
        let suspect = self.walk.fault.as_ref()?.culprit.as_ref()?;
        let spot = &suspect.spot;
        Some(match (&self.rule, suspect.rule) {
            (Some(text), _) => format!("{spot}: {text}"),
            (None, Some(handle)) => format!("{spot}, rule {handle}"),
            (None, None) => format!("the policy of {spot}"),
        })
    }
}
