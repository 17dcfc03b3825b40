//! Semantics 8: intervals are wall clock of the zone, durations are elapsed or open time.

use super::*;

fn calendar(timezone: &str, intervals: &[(&str, &str, &str)], holidays: &[&str]) -> Calendar {
    let interval = |(day, from, to): &(&str, &str, &str)| Interval {
        day: (*day).into(),
        from: (*from).into(),
        to: (*to).into(),
    };
    Calendar {
        timezone: timezone.into(),
        intervals: intervals.iter().map(interval).collect(),
        holidays: holidays.iter().map(|h| (*h).to_owned()).collect(),
    }
}

fn ms(text: &str) -> i64 {
    text.parse::<Timestamp>().unwrap().as_millisecond()
}

fn text(at: Option<i64>) -> String {
    at.map_or("never".into(), |at| Timestamp::from_millisecond(at).unwrap().to_string())
}

fn office() -> Calendar {
    let week = ["mon", "tue", "wed", "thu", "fri"].map(|d| (d, "09:00", "17:00"));
    calendar("Europe/Madrid", &week, &["2025-12-25"])
}

const HOUR: i64 = 3_600_000;

#[test]
fn open_from_the_first_minute_to_before_the_last() {
    let office = office();
    // Madrid is at UTC+1 in winter.
    assert!(!office.is_open(ms("2025-11-21T07:59:59.999Z")));
    assert!(office.is_open(ms("2025-11-21T08:00:00Z")));
    assert!(office.is_open(ms("2025-11-21T15:59:59.999Z")));
    assert!(!office.is_open(ms("2025-11-21T16:00:00Z")));
}

#[test]
fn next_open_skips_nights_weekends_and_holidays() {
    let office = office();
    assert_eq!(text(office.next_open(ms("2025-11-21T10:00:00Z"))), "2025-11-21T10:00:00Z");
    assert_eq!(text(office.next_open(ms("2025-11-21T16:00:00Z"))), "2025-11-24T08:00:00Z");
    assert_eq!(text(office.next_open(ms("2025-12-24T20:00:00Z"))), "2025-12-26T08:00:00Z");
}

#[test]
fn open_time_counts_only_while_open() {
    let office = office();
    assert_eq!(text(office.add_open_time(ms("2025-11-21T15:00:00Z"), 2 * HOUR)), "2025-11-24T09:00:00Z");
    assert_eq!(text(office.add_open_time(ms("2025-11-22T12:00:00Z"), HOUR)), "2025-11-24T09:00:00Z");
    assert_eq!(text(office.add_open_time(ms("2025-11-21T10:00:00Z"), 0)), "2025-11-21T10:00:00Z");
    assert_eq!(text(office.add_open_time(ms("2025-11-21T15:00:00Z"), HOUR)), "2025-11-21T16:00:00Z");
}

// Semantics 8
#[test]
fn an_interval_may_cross_midnight() {
    let night = calendar("UTC", &[("fri", "22:00", "06:00"), ("sun", "20:00", "24:00")], &["2025-11-22"]);
    assert!(night.is_open(ms("2025-11-21T23:00:00Z")));
    // Saturday is a holiday, but Friday's shift still ends.
    assert!(night.is_open(ms("2025-11-22T05:59:00Z")));
    assert!(!night.is_open(ms("2025-11-22T06:00:00Z")));
    assert!(night.is_open(ms("2025-11-23T23:59:59Z")));
    assert!(!night.is_open(ms("2025-11-24T00:00:00Z")));
    let all_day = calendar("UTC", &[("mon", "00:00", "00:00")], &[]);
    assert!(all_day.is_open(ms("2025-11-24T00:00:00Z")) && all_day.is_open(ms("2025-11-24T23:59:59Z")));
}

#[test]
fn overlapping_intervals_count_once() {
    let double = calendar("UTC", &[("mon", "09:00", "12:00"), ("mon", "10:00", "13:00")], &[]);
    assert_eq!(text(double.add_open_time(ms("2025-11-24T09:00:00Z"), 4 * HOUR)), "2025-11-24T13:00:00Z");
    let inside = calendar("UTC", &[("mon", "09:00", "17:00"), ("mon", "10:00", "11:00")], &[]);
    assert_eq!(text(inside.add_open_time(ms("2025-11-24T09:00:00Z"), 8 * HOUR)), "2025-11-24T17:00:00Z");
}

#[test]
fn a_gap_makes_the_interval_shorter() {
    // In Madrid 02:00–03:00 does not exist on 2025-03-30 (a Sunday).
    let night = calendar("Europe/Madrid", &[("sun", "01:00", "04:00")], &[]);
    assert!(night.is_open(ms("2025-03-30T00:00:00Z")));
    assert!(!night.is_open(ms("2025-03-30T02:00:00Z")));
    // An opening inside the gap moves forward by the gap: 02:30 becomes 03:30.
    let inside = calendar("Europe/Madrid", &[("sun", "02:30", "05:00")], &[]);
    assert_eq!(text(inside.next_open(ms("2025-03-30T00:00:00Z"))), "2025-03-30T01:30:00Z");
}

#[test]
fn an_overlap_makes_the_interval_longer() {
    // In Madrid 02:00–03:00 exists twice on 2025-10-26 (a Sunday).
    let night = calendar("Europe/Madrid", &[("sun", "02:15", "02:45")], &[]);
    assert_eq!(text(night.next_open(ms("2025-10-25T12:00:00Z"))), "2025-10-26T00:15:00Z");
    assert!(night.is_open(ms("2025-10-26T01:44:59Z")));
    assert!(!night.is_open(ms("2025-10-26T01:45:00Z")));
}

#[test]
fn never_open_ends_in_none() {
    let never = calendar("UTC", &[], &[]);
    assert_eq!(never.next_open(ms("2025-11-21T10:00:00Z")), None);
    assert_eq!(never.add_open_time(ms("2025-11-21T10:00:00Z"), 1), None);
    let broken = calendar("Nowhere/Land", &[("mon", "09:00", "17:00")], &[]);
    assert!(!broken.is_open(ms("2025-11-24T10:00:00Z")));
}

#[test]
fn mistakes_are_named() {
    for (calendar, message) in [
        (calendar("Europe/Madird", &[], &[]), "`Europe/Madird` is not a time zone"),
        (calendar("UTC", &[("monday", "09:00", "17:00")], &[]), "interval 1: `monday` is not a day"),
        (calendar("UTC", &[("mon", "9:00", "17:00")], &[]), "interval 1: `9:00` is not a time"),
        (calendar("UTC", &[("mon", "24:00", "17:00")], &[]), "interval 1: `24:00` is not a time"),
        (calendar("UTC", &[], &["25.12.2025"]), "holiday 1: `25.12.2025` is not a date"),
    ] {
        assert!(calendar.validate().unwrap_err().to_string().starts_with(message));
    }
    assert_eq!(office().validate(), Ok(()));
}
