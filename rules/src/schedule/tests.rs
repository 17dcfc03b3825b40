//! Ticks across months, leap years and changes of clocks.

use super::*;
use crate::duration::{moment_to_text, parse_moment_ms};

fn schedule(cron: &str, zone: &str) -> Schedule {
    let cron = read_cron(cron).unwrap_or_else(|| panic!("{cron} is a schedule"));
    Schedule { cron, zone: zone.to_owned(), filter: Filter::default() }
}

/// The next ticks after a moment.
fn ticks(cron: &str, zone: &str, after: &str, count: usize) -> Vec<String> {
    let (schedule, mut at_ms) = (schedule(cron, zone), parse_moment_ms(after).unwrap());
    let mut found = Vec::new();
    for _ in 0..count {
        at_ms = schedule.next_after(at_ms).unwrap();
        found.push(moment_to_text(at_ms));
    }
    found
}

#[test]
fn a_tick_comes_after_the_moment_never_at_it() {
    let found = ticks("30 9 * * 1-5", "UTC", "2025-11-21T09:30:00Z", 2);
    assert_eq!(found, ["2025-11-24T09:30:00Z", "2025-11-25T09:30:00Z"]);
    assert_eq!(ticks("30 9 * * *", "UTC", "2025-11-21T09:29:59.999Z", 1), ["2025-11-21T09:30:00Z"]);
}

#[test]
fn the_wall_clock_of_the_zone_counts() {
    let madrid = |after| ticks("0 9 * * *", "Europe/Madrid", after, 1);
    assert_eq!(madrid("2025-01-10T00:00:00Z"), ["2025-01-10T08:00:00Z"]);
    assert_eq!(madrid("2025-07-10T00:00:00Z"), ["2025-07-10T07:00:00Z"]);
}

#[test]
fn a_jumped_hour_ticks_once_at_the_first_moment_after() {
    // Madrid jumps from 02:00 to 03:00 on 2025-03-30, 01:00 UTC.
    assert_eq!(
        ticks("30 2 * * *", "Europe/Madrid", "2025-03-29T12:00:00Z", 2),
        ["2025-03-30T01:00:00Z", "2025-03-31T00:30:00Z"]
    );
    assert_eq!(
        ticks("*/30 * * * *", "Europe/Madrid", "2025-03-30T00:00:00Z", 3),
        ["2025-03-30T00:30:00Z", "2025-03-30T01:00:00Z", "2025-03-30T01:30:00Z"]
    );
}

#[test]
fn a_repeated_hour_ticks_once_the_first_time() {
    // Madrid goes back from 03:00 to 02:00 on 2025-10-26, 01:00 UTC.
    assert_eq!(
        ticks("30 2 * * *", "Europe/Madrid", "2025-10-25T12:00:00Z", 2),
        ["2025-10-26T00:30:00Z", "2025-10-27T01:30:00Z"]
    );
    assert_eq!(
        ticks("*/30 * * * *", "Europe/Madrid", "2025-10-26T00:00:00Z", 4),
        ["2025-10-26T00:30:00Z", "2025-10-26T01:00:00Z", "2025-10-26T01:30:00Z", "2025-10-26T02:00:00Z"]
    );
}

#[test]
fn leap_days_and_ends_of_months_come_when_there_are_any() {
    assert_eq!(
        ticks("0 12 29 2 *", "UTC", "2025-01-01T00:00:00Z", 2),
        ["2028-02-29T12:00:00Z", "2032-02-29T12:00:00Z"]
    );
    assert_eq!(ticks("0 0 L * *", "UTC", "2028-02-01T00:00:00Z", 1), ["2028-02-29T00:00:00Z"]);
    assert_eq!(ticks("0 0 31 * *", "UTC", "2025-04-01T00:00:00Z", 1), ["2025-05-31T00:00:00Z"]);
}

#[test]
fn sunday_is_0_or_7_or_sun() {
    for cron in ["0 0 * * 0", "0 0 * * 7", "0 0 * * sun"] {
        assert_eq!(ticks(cron, "UTC", "2025-11-21T00:00:00Z", 1), ["2025-11-23T00:00:00Z"], "{cron}");
    }
}

#[test]
fn a_day_of_month_and_a_weekday_add_up() {
    let found = ticks("0 0 1 * mon", "UTC", "2025-11-28T00:00:00Z", 3);
    assert_eq!(found, ["2025-12-01T00:00:00Z", "2025-12-08T00:00:00Z", "2025-12-15T00:00:00Z"]);
}

#[test]
fn what_is_no_schedule_is_refused() {
    let refused = [
        "",
        "9am",
        "0 9 * *",
        "0 0 9 * * *",
        "61 * * * *",
        "* 24 * * *",
        "0 0 30 2 *",
        "0 0 * * *#2",
        "@daily",
        "0 0 * * mon#1",
        "*/0 * * * *",
        "5-1 * * * *",
        "0 9 * * 1-5 2030",
    ];
    let began = std::time::Instant::now();
    for cron in refused {
        assert_eq!(read_cron(cron), None, "{cron}");
    }
    assert!(began.elapsed().as_secs() < 2, "{:?}", began.elapsed());
    assert_eq!(read_cron(" 0  9 * *  MON-FRI ").as_deref(), Some("0 9 * * MON-FRI"));
}
