//! Lines that go and come. Pure: time is given.

use crate::model::Name;
use crate::model::flaps::{WITHIN, went_often};
use std::collections::{BTreeMap, VecDeque};

/// When the lines of namespaces went.
#[derive(Debug, Default)]
pub struct Flaps(BTreeMap<Name, Line>);

#[derive(Debug, Default)]
struct Line {
    /// In seconds after 1970.
    went: VecDeque<u64>,
    told: bool,
}

impl Flaps {
    /// The line of a namespace went. Says how often it did so within a minute, where it is time to tell: once, until the line
    /// has stayed for a minute.
    pub fn went(&mut self, name: &Name, time: u64) -> Option<usize> {
        let line = self.0.entry(name.clone()).or_default();
        line.went.retain(|then| then + WITHIN > time);
        line.told &= !line.went.is_empty();
        line.went.push_back(time);
        let often = went_often(line.went.iter().copied(), time).filter(|_| !line.told);
        line.told |= often.is_some();
        often
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_told_once_until_the_line_stays() {
        let name = |name: &str| name.parse::<Name>().unwrap();
        let mut flaps = Flaps::default();
        let mut told = |times: std::ops::Range<u64>, step| {
            times.step_by(step).filter_map(|time| flaps.went(&name("a"), time)).collect::<Vec<_>>()
        };
        assert!(told(1000..1008, 2).is_empty());
        assert_eq!(told(1008..1200, 2), [5]);
        // Three times in a minute is not often.
        assert!(told(2000..3000, 20).is_empty());
        assert_eq!(told(4000..4100, 10), [5]);
        assert_eq!(flaps.went(&name("b"), 4100), None);
    }
}
