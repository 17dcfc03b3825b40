//! What `where` takes and how it refuses the rest.

use super::*;
use crate::case::given;
use crate::event::EventKind;
use crate::facts::AiState;

const KNOWN: &str =
    "known fields: live, ai, status, priority, channel, group, assignee, label, idle, waiting, open_for";

fn facts() -> Facts {
    given::situation_of(EventKind::MessageReceived).1
}

fn takes(text: &str, facts: &Facts) -> bool {
    Filter::parse(text, 1, 1).unwrap_or_else(|p| panic!("{text}: {p}")).takes(facts)
}

#[test]
fn every_field_selects() {
    let mut facts = facts();
    facts.now_ms += 3_600_000;
    facts.conversation.group = facts.directory.group("Billing").map(|g| g.id);
    facts.conversation.waiting_since_ms = Some(facts.now_ms - 60_000 * 31);
    facts.conversation.labels = vec!["vip".to_owned()];
    facts.conversation.ai = AiState::Off;
    let conditions = [
        ("live = true", "live != true"),
        ("ai = off", "ai = on"),
        ("status = open", "status in (pending, closed)"),
        ("status not in (closed)", "status != open"),
        ("priority in (normal, high)", "priority = urgent"),
        ("channel = whatsapp", "channel not in (whatsapp, sms)"),
        ("group = \"billing\"", "group = none"),
        ("group in (none, Billing)", "group = Support"),
        ("assignee = none", "assignee != none"),
        ("label = vip", "label not in (vip, new)"),
        ("idle > 59m", "idle > 61m"),
        ("idle < 61m", "idle < 1h"),
        ("waiting > 30m", "waiting < 30m"),
        ("open_for > 1m", "open_for < 1m"),
    ];
    for (yes, no) in conditions {
        assert!(takes(yes, &facts), "{yes}");
        assert!(!takes(no, &facts), "{no}");
    }
    facts.conversation.waiting_since_ms = None;
    assert!(!takes("waiting > 1s", &facts) && !takes("waiting < 1d", &facts), "nobody waits");
}

#[test]
fn conditions_add_up() {
    let facts = facts();
    assert!(takes("live = true and status = open and group = none", &facts));
    assert!(!takes("live = true and status = open and group != none", &facts));
}

#[test]
fn without_a_filter_closed_conversations_are_left_alone() {
    let mut facts = facts();
    assert!(Filter::default().takes(&facts));
    facts.conversation.status = Status::Closed;
    assert!(!Filter::default().takes(&facts));
    assert_eq!(Filter::default(), Filter::parse("status != closed", 1, 1).unwrap());
}

#[test]
fn mistakes_have_a_column_and_advice() {
    let cases = [
        ("", 1, KNOWN),
        ("status", 7, ""),
        ("stauts = open", 1, "did you mean `status`?"),
        ("status = opne", 10, "did you mean `open`?"),
        ("status = open or live = true", 15, "join conditions with `and`; write two rules for an `or`"),
        ("status in open", 11, ""),
        ("status in (open", 16, ""),
        ("status > open", 8, ""),
        ("live = maybe", 8, ""),
        ("waiting = 30m", 9, ""),
        ("waiting > soon", 11, "write e.g. `30m`, `2h` or `1d`"),
        ("group = \"Billing", 9, ""),
        ("channel = chn_nothing", 11, ""),
        ("status == \"open\" and ;", 22, ""),
        ("status = open and", 18, KNOWN),
    ];
    for (text, column, hint) in cases {
        let problem = Filter::parse(text, 4, 1).unwrap_err();
        assert_eq!((problem.line, problem.column), (4, column), "{text}: {problem}");
        assert_eq!(
            (problem.code.as_ref(), problem.hint.as_deref().unwrap_or("")),
            ("bad_filter", hint),
            "{text}"
        );
    }
    let many = vec!["live = true"; CONDITIONS_MAX + 1].join(" and ");
    assert!(Filter::parse(&many, 1, 1).unwrap_err().message.contains("more than 20"));
}

#[test]
fn names_can_be_looked_up() {
    let filter = Filter::parse("group in (Billing, none) and assignee != \"ana@example.com\"", 1, 1).unwrap();
    assert_eq!(filter.names(), [(Thing::Group, "Billing"), (Thing::Agent, "ana@example.com")]);
}
