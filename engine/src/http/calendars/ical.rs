//! Holidays out of an iCalendar file (RFC 5545): its all-day events. Pure.

use std::str::FromStr as _;

use icalendar::{Calendar, CalendarComponent, Component, DatePerhapsTime, Event};
use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan as _};

/// Years ahead for which an event that comes back every year is taken.
const YEARS_AHEAD: i16 = 10;
/// Days that one event may last.
const DAYS_MAX: usize = 366;

/// Every day, `YYYY-MM-DD`, on which an all-day event lies.
///
/// # Errors
/// A sentence about what cannot be read, or is not understood.
pub(super) fn holidays(text: &str, now_ms: i64) -> Result<Vec<String>, String> {
    if !text.trim_start().starts_with("BEGIN:VCALENDAR") {
        return Err("this is no iCalendar file: it must begin with BEGIN:VCALENDAR".to_owned());
    }
    let calendar = Calendar::from_str(text).map_err(|_| "the iCalendar file cannot be read".to_owned())?;
    let now = Timestamp::from_millisecond(now_ms).unwrap_or(Timestamp::UNIX_EPOCH);
    let last_year = TimeZone::UTC.to_datetime(now).year().saturating_add(YEARS_AHEAD);
    let mut days = Vec::new();
    for component in &calendar.components {
        if let CalendarComponent::Event(event) = component {
            days.extend(of_event(event, last_year)?);
        }
    }
    if days.is_empty() {
        return Err("the iCalendar file has no all-day event".to_owned());
    }
    days.sort_unstable();
    days.dedup();
    Ok(days.iter().map(Date::to_string).collect())
}

/// An event at a time of day is an appointment, not a holiday.
fn of_event(event: &Event, last_year: i16) -> Result<Vec<Date>, String> {
    let date = |at: Option<DatePerhapsTime>| match at {
        Some(DatePerhapsTime::Date(day)) => Date::from_str(&day.to_string()).ok(),
        _ => None,
    };
    let Some(first) = date(event.get_start()) else { return Ok(Vec::new()) };
    // The end of an all-day event is the day after its last.
    let end = date(event.get_end()).filter(|end| *end > first);
    let end = end.or_else(|| first.tomorrow().ok()).unwrap_or(first);
    let span: Vec<Date> = first.series(1.day()).take_while(|day| *day < end).take(DAYS_MAX).collect();
    let years = match event.property_value("RRULE") {
        None => 0,
        Some(rule) if is_plain_yearly(rule, first) => last_year.saturating_sub(first.year()).max(0),
        Some(rule) => {
            let what = event.get_summary().unwrap_or("an event");
            return Err(format!(
                "`{what}` comes back by `{rule}`; only every year on the same day is understood: list its days instead"
            ));
        }
    };
    let shifted =
        |years: i16| span.iter().filter_map(move |day| day.checked_add(i32::from(years).years()).ok());
    Ok((0..=years).flat_map(shifted).collect())
}

/// Every year on the day it begins on.
fn is_plain_yearly(rule: &str, first: Date) -> bool {
    rule.split(';').all(|part| match part.split_once('=') {
        Some(("FREQ", value)) => value == "YEARLY",
        Some(("INTERVAL", value)) => value == "1",
        Some(("BYMONTH", value)) => value == first.month().to_string(),
        Some(("BYMONTHDAY", value)) => value == first.day().to_string(),
        Some(("WKST", _)) => true,
        _ => false,
    }) && rule.contains("FREQ=YEARLY")
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW_MS: i64 = 1_763_719_200_000; // November 2025

    fn file(events: &str) -> String {
        format!("BEGIN:VCALENDAR\r\nVERSION:2.0\r\n{events}END:VCALENDAR\r\n")
    }

    fn event(lines: &str) -> String {
        format!("BEGIN:VEVENT\r\nUID:1\r\n{lines}\r\nEND:VEVENT\r\n")
    }

    #[test]
    fn all_day_events_are_holidays() {
        let text = file(
            &[
                event("DTSTART;VALUE=DATE:20260101\r\nDTEND;VALUE=DATE:20260102\r\nSUMMARY:New Year"),
                event("DTSTART;VALUE=DATE:20260402\r\nDTEND;VALUE=DATE:20260404\r\nSUMMARY:Easter"),
                event("DTSTART:20260501T090000Z\r\nDTEND:20260501T100000Z\r\nSUMMARY:A meeting"),
                event("DTSTART;VALUE=DATE:20260101"),
            ]
            .concat(),
        );
        assert_eq!(holidays(&text, NOW_MS).unwrap(), ["2026-01-01", "2026-04-02", "2026-04-03"]);
    }

    #[test]
    fn what_comes_back_every_year_is_taken_for_ten() {
        let yearly = event("DTSTART;VALUE=DATE:20201225\r\nRRULE:FREQ=YEARLY;BYMONTH=12;BYMONTHDAY=25");
        let days = holidays(&file(&yearly), NOW_MS).unwrap();
        assert_eq!((days.len(), days.last().map(String::as_str)), (16, Some("2035-12-25")));
        let floating = event("DTSTART;VALUE=DATE:20201126\r\nSUMMARY:Thanks\r\nRRULE:FREQ=YEARLY;BYDAY=4TH");
        let problem = holidays(&file(&floating), NOW_MS).unwrap_err();
        assert!(problem.starts_with("`Thanks` comes back by"), "{problem}");
    }

    #[test]
    fn what_is_no_calendar_is_told() {
        assert!(holidays("hello", NOW_MS).unwrap_err().contains("BEGIN:VCALENDAR"));
        assert!(holidays(&file(""), NOW_MS).unwrap_err().contains("no all-day event"));
    }
}
