//! What a job moved (`exec --report`).

use super::status::bytes;
use crate::model::Name;
use serde_json::{Value, json};

/// What the bytes are counted for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// This job's alone: the namespace was made for it.
    Job,
    /// All processes that were in the namespace meanwhile: the counters of its veth do not tell them apart.
    Namespace,
}

/// A job that ended.
#[derive(Clone, Debug)]
pub struct Job<'a> {
    /// Namespace of the job.
    pub name: &'a Name,
    /// What the bytes are counted for.
    pub scope: Scope,
    /// Bytes down and up; none where the counters could not be read.
    pub moved: Option<(u64, u64)>,
    /// How long it took.
    pub seconds: f64,
}

impl Job<'_> {
    /// The report in one line.
    pub fn text(&self) -> String {
        let Self { name, seconds, .. } = self;
        // Below a second, one digit would say next to nothing.
        let digits = if *seconds < 1.0 { 2 } else { 1 };
        let Some((down, up)) = self.moved else {
            return format!("nsnat: {name}: {seconds:.digits$} s; the counters cannot be read from here");
        };
        let whose = match self.scope {
            Scope::Job => "this job alone",
            Scope::Namespace => "everything in the namespace meanwhile",
        };
        let [down_rate, up_rate] = [down, up].map(|count| bytes(rate(count, *seconds)));
        let (down, up) = (bytes(down), bytes(up));
        format!(
            "nsnat: {name}: down {down}, {down_rate}/s; up {up}, {up_rate}/s; {seconds:.digits$} s ({whose})"
        )
    }

    /// For programs.
    pub fn json(&self) -> Value {
        let (down, up) = self.moved.unzip();
        let rate = |count: Option<u64>| count.map(|count| rate(count, self.seconds));
        json!({
            "version": 1,
            "namespace": self.name,
            "scope": match self.scope { Scope::Job => "job", Scope::Namespace => "namespace" },
            "down_bytes": down,
            "up_bytes": up,
            "down_bytes_per_second": rate(down),
            "up_bytes_per_second": rate(up),
            "seconds": self.seconds,
        })
    }
}

/// Bytes a second. No job is shorter than a process takes to start.
#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "exact up to 8 PiB, never negative, and shown with a few digits"
)]
fn rate(count: u64, seconds: f64) -> u64 {
    (count as f64 / seconds.max(0.001)) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_line() {
        let name = "slow".parse().unwrap();
        let job = Job { name: &name, scope: Scope::Job, moved: Some((3_000_000, 999)), seconds: 2.0 };
        assert_eq!(
            job.text(),
            "nsnat: slow: down 3.0 MB, 1.5 MB/s; up 999 B, 499 B/s; 2.0 s (this job alone)"
        );
        assert_eq!(job.json()["down_bytes_per_second"], 1_500_000);
        assert!(Job { seconds: 0.051, ..job.clone() }.text().contains("; 0.05 s ("));
        let blind = Job { moved: None, ..job };
        assert!(blind.text().contains("cannot be read") && blind.json()["up_bytes"].is_null());
    }
}
