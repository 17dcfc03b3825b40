//! Rules that are started on purpose: by hand, by the clock, by another program;
//! and what of their runs is counted.

use pointsman_rules::event::Actor;
use pointsman_rules::facts::Window;
use pointsman_rules::ids::RuleId;
use pointsman_rules::quota::Quotas;

use super::desk::{Desk, channel};
use crate::flow::command::Command;

fn desk(rules: &[&str]) -> Desk {
    let mut desk = Desk::new(channel("webchat", Window::None), rules);
    desk.writes("hello");
    desk
}

fn rule(n: u128) -> RuleId {
    RuleId::new(1, n)
}

// Semantics 14.
#[test]
fn a_rule_runs_by_hand_when_it_is_made_for_that_and_alone() {
    let by_hand = "//! By hand\n//! on: rule.manual\nadd_labels([\"run\"]);\n";
    let other = "//! Another\n//! on: rule.manual\nadd_labels([\"other\"]);\n";
    let sms = "//! Sms\n//! on: rule.manual\n//! channels: sms\narchive();\n";
    let idle = "//! Idle\n//! on: conversation.idle\narchive();\n";
    let mut desk = desk(&[by_hand, other, sms, idle]);
    assert!(desk.order(Command::RunRule { rule: rule(0) }).refusals.is_empty());
    assert_eq!(desk.state().labels, ["run"]);
    for (n, code) in [(2, "rule_other_channel"), (3, "rule_not_manual"), (9, "rule_inactive")] {
        let out = desk.order(Command::RunRule { rule: rule(n) });
        assert_eq!(out.refusals[0].1.code, code);
    }
    assert_eq!(desk.count("rule.manual"), 1, "a refusal leaves no event");
}

#[test]
fn a_tick_runs_its_rule_only_where_the_filter_still_takes_the_conversation() {
    let keys = "//! on: schedule.tick\n//! cron: 0 9 * * *\n";
    let open = format!("//! Open\n{keys}//! where: status = open\nadd_labels([\"open\"]);\n");
    let pending = format!("//! Pending\n{keys}//! where: status = pending\nadd_labels([\"pending\"]);\n");
    let mut desk = desk(&[&open, &pending]);
    for n in [0, 1, 9] {
        desk.order_as(Actor::System, Command::Tick { rule: rule(n) });
    }
    assert_eq!(desk.state().labels, ["open"]);
    assert_eq!(desk.last.refusals[0].1.code, "rule_inactive", "it was removed meanwhile");
}

#[test]
fn a_call_is_an_event_of_the_conversation() {
    let shop = "//! Shop\n//! on: webhook.received\nif event.name == \"shop\" { add_labels([event.payload.state]); }\n";
    let mut desk = desk(&[shop]);
    for (name, state) in [("shop", "paid"), ("crm", "lost")] {
        let payload = serde_json::json!({"state": state});
        desk.order_as(Actor::System, Command::Hook { name: name.into(), payload });
    }
    assert_eq!(
        (desk.state().labels.as_slice(), desk.count("webhook.received")),
        (&["paid".to_owned()][..], 2)
    );
}

// Semantics 5.
#[test]
fn a_rule_that_the_quota_holds_back_is_resumed_in_this_conversation() {
    let mut desk = desk(&["//! Keen\n//! on: message.received\nadd_note(\"seen\");\n"]);
    for _ in 1..Quotas::default().starts.starts_max {
        desk.writes("I am a machine");
    }
    assert!(desk.last.holds.is_empty());
    let held = desk.writes("one too many").clone();
    assert_eq!(held.holds, [(rule(0), desk.state().id)]);
    desk.order(Command::ResumeRule { rule: rule(0) });
    let out = desk.writes("hello again");
    assert_eq!((out.holds.len(), out.messages.len()), (0, 2), "the message and the note");
}
