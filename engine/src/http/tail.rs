//! Following the log without missing or repeating anything. Ids are drawn before
//! the commit, so an event may appear after one with a greater id: the last
//! seconds are read again and again, and what was seen in them is remembered.

use std::collections::BTreeSet;

use pointsman_rules::ids::EventId;

use crate::store::event_views::EventView;

/// How late a commit may be, milliseconds: longer than any transaction may take.
pub(super) const LOOKBACK_MS: i64 = 5_000;

/// A place in the log that moves forward.
#[derive(Debug)]
pub(super) struct Tail {
    /// Everything up to here is settled: nothing can appear there any more.
    floor: EventId,
    /// What was seen after the floor.
    seen: BTreeSet<EventId>,
}

impl Tail {
    /// A tail that goes on after `last`, or begins at this moment. Before it is used, `skip` must be given what is
    /// committed after the floor by now.
    pub(super) fn open(last: Option<EventId>, now_ms: i64) -> Self {
        let from_ms = last.map_or(now_ms, |last| time_of(last).min(now_ms));
        Self { floor: EventId::new(from_ms - LOOKBACK_MS, 0), seen: BTreeSet::new() }
    }

    /// Where a look at everything that is not settled begins.
    pub(super) fn floor(&self) -> EventId {
        self.floor
    }

    /// The last event that was seen; enough to find what is new, but not what is late.
    pub(super) fn newest(&self) -> EventId {
        self.seen.last().copied().unwrap_or(self.floor)
    }

    /// Is this event news? Then it may never be given out again.
    pub(super) fn is_new(&mut self, event: EventId) -> bool {
        event > self.floor && self.seen.insert(event)
    }

    /// Those of these events that are news.
    pub(super) fn fresh(&mut self, mut events: Vec<EventView>) -> Vec<EventView> {
        events.retain(|event| self.is_new(event.id));
        events
    }

    /// Everything from the floor on was looked at, beginning at `now_ms`: what is older than the lookback is settled.
    pub(super) fn settle(&mut self, now_ms: i64) {
        self.floor = self.floor.max(EventId::new(now_ms - LOOKBACK_MS, 0));
        self.seen = self.seen.split_off(&self.floor);
    }
}

/// When an event's id was drawn, unix milliseconds.
fn time_of(event: EventId) -> i64 {
    let text = event.to_string();
    let ulid = text.rsplit('_').next().unwrap_or_default().to_ascii_uppercase();
    ulid::Ulid::from_string(&ulid).ok().and_then(|ulid| i64::try_from(ulid.timestamp_ms()).ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW_MS: i64 = 1_763_712_000_000;

    fn at(ms: i64) -> EventId {
        EventId::new(NOW_MS + ms, 7)
    }

    #[test]
    fn an_id_tells_its_time() {
        assert_eq!(time_of(at(123)), NOW_MS + 123);
    }

    #[test]
    fn a_late_commit_is_given_out_once() {
        let mut tail = Tail::open(None, NOW_MS);
        assert!(tail.is_new(at(10)) && tail.is_new(at(30)));
        assert!(tail.newest() == at(30) && tail.floor() < at(10), "a look from the floor finds what is late");
        assert!(tail.is_new(at(20)), "drawn before, committed after");
        assert!(!tail.is_new(at(20)) && !tail.is_new(at(10)) && !tail.is_new(at(30)));
    }

    #[test]
    fn what_is_older_than_the_lookback_is_settled_and_forgotten() {
        let mut tail = Tail::open(None, NOW_MS);
        assert!(tail.is_new(at(10)) && tail.is_new(at(4_000)));
        tail.settle(NOW_MS + LOOKBACK_MS + 100);
        assert_eq!(tail.seen.len(), 1, "only what may still be met again is remembered");
        assert!(!tail.is_new(at(10)), "settled: never again");
        assert!(!tail.is_new(at(4_000)) && tail.is_new(at(3_000)));
        tail.settle(NOW_MS); // a clock that went back
        assert!(!tail.is_new(at(10)), "the floor never goes back");
    }

    #[test]
    fn a_resumed_tail_goes_on_after_the_last_event() {
        let mut tail = Tail::open(Some(at(0)), NOW_MS + 60_000);
        assert!(tail.floor() < at(-4_999) && tail.floor() > at(-5_001));
        assert!(tail.is_new(at(0)), "skipped at the opening");
        assert!(!tail.is_new(at(0)) && tail.is_new(at(1)));
    }

    #[test]
    fn an_id_from_the_future_does_not_silence_the_tail() {
        let tail = Tail::open(Some(at(1_000_000)), NOW_MS);
        assert!(tail.floor() < at(0));
    }
}
