//! Messages that name others: quotes, echoes of ours, and failed ones that go;
//! and that events do not depend on who makes a change.

use pointsman_rules::event::Actor;
use pointsman_rules::facts::{Priority, Status, Window};
use pointsman_rules::ids::{GroupId, KeyId, RuleId, UserId};

use super::desk::{DAY_MS, Desk, channel, whatsapp};
use super::*;
use crate::flow::command::Command;
use crate::plugins::{Content, InboundMessage, Party};

fn message(id: &str, reply_to: Option<&str>, echo: bool) -> Entry {
    let contact = Party {
        address: "v_1".into(),
        phone: None,
        scoped_id: None,
        username: None,
        display_name: None,
        extras: Vec::new(),
    };
    let message = InboundMessage {
        id: id.into(),
        contact,
        to: "us".into(),
        sent_at_ms: 1,
        reply_to: reply_to.map(str::to_owned),
        group_id: None,
        author: None,
        echo,
        window_closes_at_ms: None,
        content: Content::Text(id.into()),
        extras: vec![],
    };
    Entry::Webhook(InboundEvent { dedupe_key: format!("{id} {echo}"), body: InboundBody::Message(message) })
}

#[test]
fn a_quoted_message_is_known_by_the_vendors_id() {
    let mut desk = Desk::new(channel("webchat", Window::None), &[]);
    let out = desk.work_off(vec![message("a", None, false), message("b", Some("a"), false)]);
    let [first, second] = out.messages.as_slice() else { panic!("{:?}", out.messages) };
    assert_eq!((first.reply_to, second.reply_to), (None, Some(first.id)));
    let out = desk.work_off(vec![message("c", Some("of another channel"), false)]);
    assert_eq!(out.messages[0].reply_to, None);
}

#[test]
fn an_echo_of_a_known_message_adds_nothing() {
    let mut desk = Desk::new(channel("webchat", Window::None), &[]);
    let out =
        desk.work_off(vec![message("a", None, false), message("b", None, true), message("b", None, true)]);
    let senders: Vec<_> = out.messages.iter().map(|it| it.sender.word()).collect();
    assert_eq!(senders, ["contact", "echo"], "the second echo is of a known message");
}

// S70
#[test]
fn a_failed_message_goes_and_others_stay() {
    let mut desk = whatsapp();
    desk.writes("hello");
    let sent = desk.say("in time").messages[0].id;
    let out = desk.order(Command::Discard { message: sent });
    assert_eq!((out.refusals[0].1.code.as_str(), out.discarded.len()), ("not_failed", 0));
    desk.wait(DAY_MS);
    let late = desk.say("too late").messages[0].clone();
    let out = desk.order(Command::Discard { message: late.id }).clone();
    assert_eq!(out.discarded, [(late.id, late.effect.unwrap())]);
    assert_eq!((desk.count("message.deleted"), out.refusals.len()), (1, 0));
}

// Semantics 13
#[test]
fn the_same_change_raises_the_same_events_whoever_makes_it() {
    let changes = [
        (Command::SetPriority { priority: Priority::Urgent }, "set_priority(\"urgent\")"),
        (Command::Label { add: vec!["vip".into()], remove: vec![] }, "add_labels([\"vip\"])"),
        (Command::SetStatus { status: Status::Closed }, "set_status(\"closed\")"),
        (Command::End { status: Status::Pending }, "end_chat(\"pending\")"),
        (Command::Route { group: Some(GroupId::new(1, 2)) }, "route_to_group(\"Billing\")"),
        (Command::Archive, "archive()"),
    ];
    for (command, call) in changes {
        let raised = |actor: Actor, command: Command| {
            let rule = format!("//! R\n//!\n//! on: rule.manual\n\n{call};\n");
            let mut desk = Desk::new(channel("webchat", Window::None), &[&rule]);
            desk.writes("hello");
            let before = desk.events.len();
            desk.order_as(actor, command);
            let mut events = desk.events.split_off(before);
            events.retain(|event| event != "rule.manual");
            events.sort();
            events
        };
        let by_user = raised(Actor::User { id: UserId::new(1, 9) }, command.clone());
        let by_program = raised(Actor::Key { id: KeyId::new(1, 9) }, command);
        let by_rule =
            raised(Actor::User { id: UserId::new(1, 9) }, Command::RunRule { rule: RuleId::new(1, 0) });
        assert!(!by_user.is_empty(), "{call}");
        assert_eq!((&by_user, &by_user), (&by_program, &by_rule), "{call}");
    }
}
