//! Turns in memory: entries in, state, events and effects out.

use std::sync::Arc;

use pointsman_rules::event::Actor;
use pointsman_rules::facts::{Status, Window};
use pointsman_rules::ids::{GroupId, LaneId, MessageId, WebhookId};
use pointsman_rules::quota::Quotas;

use super::desk::{DAY_MS, Desk, NOW_MS, channel, copy, whatsapp};
use super::load::{Pending, Table};
use super::*;
use crate::flow::catalog::Reopen;
use crate::flow::command::{Command, Draft};
use crate::plugins::{Delivery, Party, StatusUpdate};
use crate::store::webhooks::Subscriber;

#[test]
fn i_want_a_refund_goes_to_billing_and_is_answered_by_a_starter_rule() {
    let mut desk = Desk::with_starters();
    let out = desk.writes("I want a refund").clone();
    assert_eq!(desk.state().group, Some(GroupId::new(1, 2)), "Billing");
    assert_eq!(out.effects.len(), 1, "one answer");
    let answer = out.messages.iter().find(|m| m.effect == Some(out.effects[0].id)).unwrap();
    assert_eq!((answer.status.as_deref(), answer.sender.word()), (Some("queued"), "rule"));
    let names = [
        "contact.created",
        "conversation.created",
        "message.received",
        "conversation.updated",
        "message.sent",
    ];
    for name in names {
        assert_eq!(desk.count(name), 1, "{name} in {:?}", desk.events);
    }
    assert!(out.runs.iter().any(|run| run.trace.contains("route_to_group")), "the trace says why");
    assert!(
        out.runs.iter().all(|run| run.conversation.is_none()),
        "they saw the conversation of their event"
    );
}

// S73
#[test]
fn a_late_webhook_never_extends_the_window() {
    let mut desk = whatsapp();
    desk.writes_at("now", NOW_MS);
    assert_eq!(desk.state().window_closes_ms, Some(NOW_MS + DAY_MS));
    desk.writes_at("older, but arrives later", NOW_MS - DAY_MS / 2);
    assert_eq!(desk.state().window_closes_ms, Some(NOW_MS + DAY_MS));
    desk.writes_at("from a clock that runs ahead", NOW_MS + DAY_MS);
    assert_eq!(desk.state().window_closes_ms, Some(NOW_MS + DAY_MS), "never later than our own time says");
}

#[test]
fn the_window_warns_once_and_closes_once_and_free_text_is_refused_then() {
    let mut desk = whatsapp();
    desk.channel.idle_end_ms = 0;
    desk.writes("hello");
    assert_eq!(desk.say("in time").effects.len(), 1);
    desk.wait(DAY_MS - 3_600_000 - 1);
    assert_eq!(desk.count("window.expiring"), 0);
    desk.wait(1);
    assert_eq!((desk.count("window.expiring"), desk.count("window.expired")), (1, 0));
    desk.wait(3_600_000 - 60_000);
    let out = desk.say("too late for the safety margin").clone();
    assert!(out.effects.is_empty());
    assert_eq!(out.refusals[0].1.code, "window_closed");
    assert_eq!(out.messages[0].status.as_deref(), Some("failed"), "it stays visible");
    desk.wait(DAY_MS);
    assert_eq!((desk.count("window.expiring"), desk.count("window.expired")), (1, 1));
    desk.writes("I am back");
    assert_eq!(desk.count("window.opened"), 2);
}

#[test]
fn nobody_who_never_wrote_gets_free_text_where_a_template_is_needed() {
    let mut desk = whatsapp();
    let to = Party {
        address: "x".into(),
        phone: None,
        scoped_id: None,
        username: None,
        display_name: None,
        extras: Vec::new(),
    };
    let content = Draft::Text { text: "hi".into(), buttons: vec![] };
    let out = desk.order(Command::Start { to, message: MessageId::new(1, 77), content });
    assert_eq!(out.refusals[0].1.code, "template_required");
    assert!(out.effects.is_empty());
}

// S83
#[test]
fn a_chat_warns_and_ends_after_ten_idle_minutes_and_can_be_postponed() {
    let mut desk = Desk::new(channel("webchat", Window::None), &[]);
    desk.writes("hello");
    desk.wait(9 * 60_000);
    assert_eq!(desk.count("conversation.idle_warning"), 1);
    desk.order(Command::PostponeIdle);
    desk.wait(5 * 60_000);
    assert!(desk.state().live, "five minutes more");
    assert_eq!(desk.count("conversation.idle_warning"), 2, "a new episode warns again");
    desk.wait(60_000);
    assert!(!desk.state().live, "15 minutes after the last message");
    assert_eq!((desk.count("conversation.idle"), desk.count("conversation.ended")), (1, 1));
    assert_eq!(desk.state().status, Status::Open, "ended is not closed");
    desk.wait(DAY_MS);
    assert_eq!(desk.count("conversation.idle"), 1, "once");
}

#[test]
fn ending_a_chat_twice_changes_nothing_the_second_time() {
    let mut desk = Desk::new(channel("webchat", Window::None), &[]);
    desk.writes("hello");
    desk.order(Command::End { status: Status::Pending });
    let before = desk.events.len();
    desk.order(Command::End { status: Status::Pending });
    assert_eq!(desk.events.len(), before);
    assert_eq!((desk.state().live, desk.state().status), (false, Status::Pending));
}

#[test]
fn a_closed_conversation_reopens_or_starts_anew_as_the_channel_says() {
    let mut desk = Desk::new(channel("webchat", Window::None), &[]);
    desk.writes("hello");
    let first = desk.state().id;
    desk.order(Command::SetStatus { status: Status::Closed });
    desk.writes("one more thing");
    assert_eq!((desk.state().id, desk.state().reopen_count, desk.state().live), (first, 1, true));
    desk.channel.reopen = Reopen::ReopenWithin { ms: 1_000 };
    desk.order(Command::SetStatus { status: Status::Closed });
    desk.wait(1_001);
    desk.writes("much later");
    assert_ne!(desk.state().id, first);
    assert_eq!(desk.count("conversation.created"), 2);
    assert_eq!(desk.count("contact.created"), 1, "the same person");
}

#[test]
fn a_blocked_contact_never_reopens() {
    let mut desk = Desk::new(channel("webchat", Window::None), &[]);
    desk.writes("hello");
    desk.order(Command::SetStatus { status: Status::Closed });
    desk.table.person.as_mut().unwrap().facts.blocked = true;
    desk.writes("let me in");
    assert_eq!((desk.state().status, desk.count("message.received")), (Status::Closed, 1));
}

#[test]
fn delivery_only_moves_forward_in_whatever_order_callbacks_arrive() {
    let orders =
        [["sent", "delivered", "read"], ["read", "sent", "delivered"], ["delivered", "delivered", "read"]];
    for order in orders {
        let mut desk = Desk::new(channel("webchat", Window::None), &[]);
        desk.writes("hello");
        let effect = desk.say("hi").effects[0].id;
        let mut seen = Vec::new();
        for word in order {
            let delivery = match word {
                "sent" => Delivery::Sent,
                "delivered" => Delivery::Delivered,
                _ => Delivery::Read,
            };
            let nobody = Party {
                address: "v_1".into(),
                phone: None,
                scoped_id: None,
                username: None,
                display_name: None,
                extras: Vec::new(),
            };
            let status = StatusUpdate {
                message_id: "SM1".into(),
                contact: nobody,
                to: String::new(),
                at_ms: NOW_MS,
                delivery,
                effect_id: Some(effect.to_string()),
                extras: vec![],
                window_closes_at_ms: None,
            };
            let event = InboundEvent { dedupe_key: word.into(), body: InboundBody::Status(status) };
            let out = desk.work_off(vec![Entry::Webhook(event)]).clone();
            for update in &out.statuses {
                desk.table.advance(update);
            }
            seen.push(
                desk.table
                    .recall()
                    .iter()
                    .find(|m| m.effect == Some(effect))
                    .unwrap()
                    .status
                    .clone()
                    .unwrap(),
            );
        }
        assert_eq!(seen.last().map(String::as_str), Some("read"), "{order:?} gave {seen:?}");
        let rank = |word: &String| ["queued", "sent", "delivered", "read"].iter().position(|w| w == word);
        assert!(seen.windows(2).all(|pair| rank(&pair[0]) <= rank(&pair[1])), "{seen:?}");
    }
}

#[test]
fn stop_opts_out_confirms_once_and_silences_everything_after() {
    let mut desk = Desk::with_starters();
    desk.writes("hello");
    let confirmation = desk.writes("STOP").clone();
    assert_eq!(confirmation.effects.len(), 1);
    assert_eq!(confirmation.effects[0].kind, "send_confirmation");
    assert_eq!(desk.count("contact.opted_out"), 1);
    let out = desk.say("please come back").clone();
    assert_eq!(out.refusals[0].1.code, "opted_out");
}

// Semantics 7
#[test]
fn a_rule_timer_fires_once_and_not_after_it_was_cancelled() {
    let start = "//! Start\n//!\n//! on: message.received\nif message.text == \"go\" { start_timer(\"t\", \"1m\"); }\nif message.text == \"stop\" { cancel_timer(\"t\"); }\n";
    let fired = "//! Fired\n//!\n//! on: timer.fired\nadd_labels([\"fired\"]);\n";
    let mut desk = Desk::new(channel("webchat", Window::None), &[start, fired]);
    let out = desk.writes("go").clone();
    let crate::flow::case::TimerChange::Start(timer) = &out.timers[0] else { panic!("{:?}", out.timers) };
    assert_eq!(timer.due_ms, NOW_MS + 60_000);
    desk.table.timers.push(timer.clone());
    let ran_out = RanOut {
        timer: timer.id,
        name: timer.name.clone(),
        due_ms: timer.due_ms,
        episode: timer.episode,
        conversation: timer.conversation,
    };
    // The cancelling message comes first in the lane, though the timer has run out already.
    let mut cancelled = Desk::new(channel("webchat", Window::None), &[start, fired]);
    cancelled.conversation.clone_from(&desk.conversation);
    cancelled.table.person.clone_from(&desk.table.person);
    cancelled.table.timers.push(timer.clone());
    cancelled.writes("stop");
    cancelled.table.timers.clear();
    let out = cancelled.work_off(vec![Entry::Timer(ran_out.clone())]).clone();
    assert_eq!((out.refusals[0].1.code.as_str(), cancelled.count("timer.fired")), ("cancelled", 0));
    desk.work_off(vec![Entry::Timer(ran_out.clone())]);
    assert_eq!(
        (desk.state().labels.as_slice(), desk.count("timer.fired")),
        (["fired".to_owned()].as_slice(), 1)
    );
    desk.table.timers.clear();
    assert_eq!(desk.work_off(vec![Entry::Timer(ran_out)]).refusals[0].1.code, "cancelled");
}

#[test]
fn one_bad_entry_is_set_aside_and_the_rest_goes_on() {
    let mut desk = Desk::new(channel("webchat", Window::None), &[]);
    desk.writes("hello");
    let lane = LaneId::new(1, 1);
    let label = Command::Label { add: vec!["ok".into()], remove: vec![] };
    let order = Order { conversation: Some(desk.state().id), actor: Actor::System, command: label };
    let table = || Table {
        channel: Some(Arc::new(copy(&desk.channel))),
        view: Some(desk.view.clone()),
        conversation: desk.conversation.clone(),
        person: desk.table.person.clone(),
        entries: vec![
            Pending::read(2, "{\"nonsense\":1}"),
            Pending::read(3, &json(&Entry::Order(order.clone()))),
        ],
        ..Table::default()
    };
    let claim = Claim {
        tenant: desk.channel.tenant,
        lane,
        channel: desk.channel.facts.id,
        conversation: None,
        done: 1,
        gen_seen: 4,
        token: 1,
        attempts: 1,
    };
    let turned = turn(&desk.clock, Some(table()), claim);
    assert_eq!(turned.out.refusals.len(), 1);
    assert_eq!((turned.out.refusals[0].0, turned.out.refusals[0].1.code.as_str()), (2, "unreadable"));
    assert_eq!(turned.out.conversations[0].facts.labels, ["ok"]);
    assert_eq!(turned.done, 4, "also past the number of a redelivered entry, which was dropped");
    // A lane whose turn keeps failing loses its head entry only.
    let poisoned = turn(&desk.clock, Some(table()), Claim { attempts: ATTEMPTS_MAX + 1, ..claim });
    assert_eq!((poisoned.done, poisoned.out.refusals[0].1.code.as_str()), (2, "poison"));
}

#[test]
fn one_update_event_per_step_names_all_changes() {
    let rule =
        "//! Two changes\n//!\n//! on: message.received\nset_priority(\"high\");\nadd_labels([\"vip\"]);\n";
    let mut desk = Desk::new(channel("webchat", Window::None), &[rule]);
    let out = desk.writes("hello").clone();
    let updates: Vec<_> = out
        .events
        .iter()
        .filter_map(|it| match &it.event.body {
            pointsman_rules::event::EventBody::ConversationUpdated { changes } => {
                Some(changes.keys().cloned().collect::<Vec<_>>())
            }
            _ => None,
        })
        .collect();
    assert_eq!(updates, [["labels".to_owned(), "priority".to_owned()]]);
    let cause = &out.events.last().unwrap().event.cause;
    assert!(matches!(cause.actor, Actor::Rule { .. }) && cause.chain.len() == 1, "{cause:?}");
}

#[test]
fn a_rule_that_is_started_without_end_is_parked_and_admins_are_told_once() {
    let keen = "//! Keen\n//!\n//! on: message.received\nadd_note(\"seen\");\n";
    let mut desk = Desk::new(channel("webchat", Window::None), &[keen]);
    let mut notes_and_notices = |times: usize| {
        let (mut notes, mut notices) = (0, 0);
        for _ in 0..times {
            desk.clock.advance(1_000);
            let out = desk.writes("hello, I am a machine");
            notes += out.messages.iter().filter(|it| it.direction.word() == "internal").count();
            notices += out.notices.iter().filter(|it| it.kind == "rule").count();
        }
        (notes, notices)
    };
    let quota = Quotas::default().starts;
    assert_eq!(notes_and_notices(quota.starts_max), (quota.starts_max, 0));
    assert_eq!(notes_and_notices(3), (0, 1));
    desk.clock.advance(quota.ms() - 53_000 - 1);
    assert_eq!(desk.writes("nothing is forgotten yet").messages.len(), 1);
    desk.clock.advance(1_001);
    assert_eq!(desk.writes("the first start is long ago").messages.len(), 2);
}

#[test]
fn a_rule_tells_a_webhook_by_name_and_is_refused_when_it_is_off() {
    let tell = "//! Tell\n//!\n//! on: message.received\ncall_webhook(\"crm\", #{ text: message.text });\n";
    let mut desk = Desk::new(channel("webchat", Window::None), &[tell]);
    let with = |desk: &mut Desk, active: bool| {
        let view = Arc::get_mut(&mut desk.view).unwrap();
        Arc::get_mut(&mut view.directory).unwrap().webhooks = vec!["crm".into()];
        let (id, events) = (WebhookId::new(1, 1), vec![]);
        view.webhooks = vec![Subscriber { id, name: "crm".into(), events, active, is_full: false }];
    };
    with(&mut desk, true);
    let out = desk.writes("hello").clone();
    assert_eq!(out.called.len(), 1);
    assert!(format!("{:?}", out.called[0]).contains("webhook.called"), "{:?}", out.called);
    with(&mut desk, false);
    let out = desk.writes("hello").clone();
    assert!(out.called.is_empty());
    assert!(out.runs[0].trace.contains("webhook_off"), "{}", out.runs[0].trace);
    with(&mut desk, true);
    let out = desk.writes(&"x".repeat(60_000)).clone();
    assert_eq!(out.called.len(), 1, "large, but not too large");
}

#[test]
fn a_past_conversation_can_be_tidied_but_not_brought_back_beside_a_newer_one() {
    let mut desk = Desk::new(channel("webchat", Window::None), &[]);
    desk.channel.reopen = Reopen::New;
    desk.writes("hello");
    let first = desk.state().id;
    desk.order(Command::SetStatus { status: Status::Closed });
    desk.writes("something else");
    let second = desk.state().id;
    assert_ne!(first, second);
    let order = |command| {
        let actor = Actor::User { id: pointsman_rules::ids::UserId::new(1, 9) };
        Entry::Order(Order { conversation: Some(first), actor, command })
    };
    let label = Command::Label { add: vec!["done".into()], remove: vec![] };
    let out = desk.work_off(vec![order(Command::Archive), order(label)]).clone();
    assert!(out.refusals.is_empty(), "{:?}", out.refusals);
    assert_eq!(out.conversations.len(), 1, "written once, and only this one");
    let past = &desk.past[&first];
    assert!(past.facts.archived_ms.is_some() && past.facts.labels == ["done"]);
    assert_eq!(desk.state().id, second);
    let content = Draft::Text { text: "psst".into(), buttons: vec![] };
    let send = Command::Send { message: MessageId::new(1, 77), content, reply_to: None };
    for command in [send, Command::Reopen, Command::SetStatus { status: Status::Open }] {
        let out = desk.work_off(vec![order(command)]);
        assert_eq!(out.refusals[0].1.code, "superseded");
    }
}

// S82
#[test]
fn a_template_speaks_the_customers_language() {
    let mut desk = whatsapp();
    desk.writes("hello");
    let language = |desk: &mut Desk, n: u128| {
        let content = Draft::Template {
            name: "hello".into(),
            language: None,
            slots: std::collections::BTreeMap::new(),
            files: std::collections::BTreeMap::new(),
        };
        let out = desk.order(Command::Send { message: MessageId::new(1, n), content, reply_to: None });
        let content: serde_json::Value = serde_json::from_str(&out.messages[0].content).unwrap();
        content["language"].as_str().unwrap().to_owned()
    };
    assert_eq!(language(&mut desk, 70), "en", "the channel's");
    desk.conversation.as_mut().unwrap().facts.language = Some("es".into());
    assert_eq!(language(&mut desk, 71), "es", "the conversation's comes first");
}
