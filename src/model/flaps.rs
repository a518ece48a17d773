//! When a line goes and comes, and does not only go. Pure: time is given.

use super::{Event, EventKind, Name};

/// A line that went so often...
const OFTEN: usize = 5;
/// ...in so many seconds goes and comes.
pub const WITHIN: u64 = 60;

/// How often a line went within the last minute, where that is often. Times are in seconds after 1970.
pub fn went_often(went: impl IntoIterator<Item = u64>, now: u64) -> Option<usize> {
    let count = went.into_iter().filter(|then| then + WITHIN > now).count();
    (count >= OFTEN).then_some(count)
}

/// The same of the line of a namespace, by what happened to it.
pub fn of_namespace(name: &Name, happened: &[Event], now: u64) -> Option<usize> {
    let closed = |event: &&Event| event.kind == EventKind::Closed && event.namespace.as_ref() == Some(name);
    went_often(happened.iter().filter(closed).map(|event| event.time), now)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn five_times_in_a_minute_are_often() {
        let went = || [1000, 1010, 1020, 1030, 1059];
        assert_eq!(went_often(went(), 1059), Some(5));
        assert_eq!(went_often(went(), 1060), None);
        assert_eq!(went_often(went().into_iter().skip(1), 1059), None);
    }

    #[test]
    fn what_happened_to_others_does_not_count() {
        let [mine, other] = ["mine", "other"].map(|name| name.parse::<Name>().unwrap());
        let event = |name: &Name, kind, time| Event::new(time, Some(name.clone()), kind);
        let mut happened: Vec<Event> =
            (0..5).map(|time| event(&mine, EventKind::Closed, 1000 + time)).collect();
        happened.extend((0..5).map(|time| event(&mine, EventKind::Opened, 1000 + time)));
        happened.extend((0..4).map(|time| event(&other, EventKind::Closed, 1000 + time)));
        assert_eq!(of_namespace(&mine, &happened, 1010), Some(5));
        assert_eq!(of_namespace(&other, &happened, 1010), None);
    }
}
