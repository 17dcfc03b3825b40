//! Whatever comes, in whatever order and how often: the invariants of the
//! domain hold after every turn. Duplicates are repeated as a vendor that got no
//! answer would repeat them, but past the index that drops them, which is the
//! harder case.

use std::sync::Arc;

use pointsman_rules::assign::{Assignment, Policy};
use pointsman_rules::decide::RuleSet;
use pointsman_rules::event::Actor;
use pointsman_rules::facts::{AgentFacts, AiState, Directory, Priority, Status, Window};
use pointsman_rules::ids::{GroupId, MessageId, UserId};
use pointsman_rules::sla::Targets;
use proptest::prelude::*;

use super::desk::{DAY_MS, Desk, channel, group};
use super::inbound::replaces;
use crate::flow::catalog::{Reopen, TenantView};
use crate::flow::command::{Command, Draft};
use crate::flow::turn::Entry;
use crate::plugins::{Delivery, InboundBody, InboundEvent, StatusUpdate};

/// Something that happens to a conversation.
#[derive(Debug, Clone)]
enum Step {
    /// The contact writes; the vendor's time is so many minutes back.
    Writes { minutes_ago: i64 },
    /// We write.
    Say,
    /// The vendor tells the fate of one of our messages, perhaps again, perhaps late.
    Callback { message: usize, fate: u8 },
    /// Time passes.
    Wait { minutes: i64 },
    /// Somebody does something.
    Do(Deed),
}

#[derive(Debug, Clone, Copy)]
enum Deed {
    Status(u8),
    End(u8),
    Archive,
    Reopen,
    Snooze(i64),
    Postpone,
    Ai(bool),
    Assign(Option<u8>),
    Route(Option<u8>),
    Place(u8),
    Accept(u8),
    Decline(u8),
    Block(bool),
    Priority,
}

fn deeds() -> impl Strategy<Value = Deed> {
    prop_oneof![
        (0u8..4).prop_map(Deed::Status),
        (0u8..4).prop_map(Deed::End),
        Just(Deed::Archive),
        Just(Deed::Reopen),
        (-10i64..3_000).prop_map(Deed::Snooze),
        Just(Deed::Postpone),
        any::<bool>().prop_map(Deed::Ai),
        prop::option::of(0u8..3).prop_map(Deed::Assign),
        prop::option::of(0u8..3).prop_map(Deed::Route),
        (0u8..3).prop_map(Deed::Place),
        (0u8..3).prop_map(Deed::Accept),
        (0u8..3).prop_map(Deed::Decline),
        any::<bool>().prop_map(Deed::Block),
        Just(Deed::Priority),
    ]
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        3 => (-5i64..3_000).prop_map(|minutes_ago| Step::Writes { minutes_ago }),
        2 => Just(Step::Say),
        3 => (0usize..8, 0u8..5).prop_map(|(message, fate)| Step::Callback { message, fate }),
        2 => (0i64..2_000).prop_map(|minutes| Step::Wait { minutes }),
        5 => deeds().prop_map(Step::Do),
    ];
    prop::collection::vec(step, 1..40)
}

fn user(n: u8) -> UserId {
    UserId::new(1, u128::from(n))
}

fn status(n: u8) -> Status {
    [Status::Open, Status::Pending, Status::OnHold, Status::Closed][usize::from(n) % 4]
}

fn command(deed: Deed, now_ms: i64) -> (Actor, Command) {
    let me = Actor::User { id: user(0) };
    match deed {
        Deed::Status(n) => (me, Command::SetStatus { status: status(n) }),
        Deed::End(n) => (me, Command::End { status: status(n) }),
        Deed::Archive => (me, Command::Archive),
        Deed::Reopen => (me, Command::Reopen),
        Deed::Snooze(minutes) => (me, Command::Snooze { until_ms: now_ms + minutes * 60_000 }),
        Deed::Postpone => (me, Command::PostponeIdle),
        Deed::Ai(true) => (me, Command::SetAi { state: AiState::On, reason: None }),
        Deed::Ai(false) => (me, Command::SetAi { state: AiState::Off, reason: None }),
        Deed::Assign(n) => (me, Command::Assign { agent: n.map(user) }),
        Deed::Route(n) => (me, Command::Route { group: n.map(|n| GroupId::new(1, u128::from(n))) }),
        Deed::Place(n) => (Actor::System, Command::Place { agent: user(n) }),
        Deed::Accept(n) => (Actor::User { id: user(n) }, Command::Accept),
        Deed::Decline(n) => (Actor::User { id: user(n) }, Command::Decline),
        Deed::Block(on) => (me, Command::Block { contact: pointsman_rules::ids::ContactId::new(1, 1), on }),
        Deed::Priority => (me, Command::SetPriority { priority: Priority::High }),
    }
}

fn desk(reopen: Reopen) -> Desk {
    let mut channel = channel("whatsapp", Window::SinceLastInbound { seconds: 86_400 });
    channel.reopen = reopen;
    let mut desk = Desk::new(channel, &[]);
    let agent = |n: u8| AgentFacts {
        id: user(n),
        email: format!("{n}@example.com"),
        name: n.to_string(),
        online: n != 2,
        sees_all: n == 0,
    };
    let (mut one, mut two) = (group(1, "Support"), group(2, "Billing"));
    (one.members, two.members) = (vec![user(0), user(1)], vec![user(2)]);
    one.assignment =
        Assignment { policy: Policy::LeastBusy, offer_ms: Some(60_000), ..Assignment::default() };
    one.targets =
        Targets { first_reply_ms: Some(600_000), resolution_ms: Some(DAY_MS), ..Targets::default() };
    let directory =
        Directory { groups: vec![one, two], agents: (0..3).map(agent).collect(), ..Directory::default() };
    desk.view = Arc::new(TenantView::new(directory, RuleSet::new(vec![])));
    desk
}

/// What must be true after every turn.
fn check(desk: &Desk, before: Option<i64>) -> Result<(), TestCaseError> {
    let Some(conversation) = &desk.conversation else { return Ok(()) };
    let (facts, now_ms) = (&conversation.facts, desk.clock.now_ms());
    prop_assert!(!(facts.status == Status::Closed && facts.live), "closed and live: {facts:?}");
    prop_assert!(
        facts.archived_ms.is_none() || facts.status == Status::Closed,
        "put away but open: {facts:?}"
    );
    prop_assert!(facts.waiting_since_ms.is_none() || facts.status != Status::Closed);
    prop_assert!(conversation.ended_ms.is_none() || !facts.live || facts.status != Status::Closed);
    if let Some(queue) = &conversation.queue {
        prop_assert!(
            facts.assignee.is_none() && facts.status == Status::Open,
            "waits for nothing: {facts:?}"
        );
        prop_assert!(facts.group.is_some() && queue.policy != Policy::Manual);
    }
    // The window goes by the vendor's time, never by a time to come, and never back.
    if let Some(closes_ms) = facts.window_closes_ms {
        prop_assert!(closes_ms <= now_ms + DAY_MS);
        prop_assert!(before.is_none_or(|before| closes_ms >= before));
        prop_assert_eq!(Some(closes_ms), facts.last_inbound_ms.map(|at| at + DAY_MS));
    }
    // The log is in order, and names every change of status once.
    let seqs: Vec<i64> = desk
        .last
        .events
        .iter()
        .filter(|it| it.event.conversation == Some(facts.id))
        .map(|it| it.seq)
        .collect();
    prop_assert!(seqs.windows(2).all(|pair| pair[0] < pair[1]), "{seqs:?}");
    prop_assert!(seqs.last().is_none_or(|last| *last <= conversation.seq));
    let ids: Vec<_> = desk.last.events.iter().map(|it| it.event.id).collect();
    prop_assert!(ids.windows(2).all(|pair| pair[0] < pair[1]), "ids sort as things happened");
    // Nothing leaves that the gate would not let out.
    let may_write = facts.window_closes_ms.is_some_and(|closes| closes - 60_000 > now_ms);
    prop_assert!(desk.last.effects.is_empty() || may_write, "free text left a closed window");
    Ok(())
}

fn run(reopen: Reopen, steps: Vec<Step>) -> Result<(), TestCaseError> {
    let mut desk = desk(reopen);
    let mut sent: Vec<(MessageId, String)> = Vec::new();
    for step in steps {
        let before = desk.conversation.as_ref().map(|it| (it.facts.id, it.facts.window_closes_ms));
        let now_ms = desk.clock.now_ms();
        desk.last = crate::flow::case::Out::default();
        match step {
            Step::Writes { minutes_ago } => {
                desk.writes_at("hello", now_ms - minutes_ago * 60_000);
            }
            Step::Say if desk.conversation.is_some() => {
                let message = MessageId::new(now_ms, 1_000 + sent.len() as u128);
                let content = Draft::Text { text: "yes?".into(), buttons: vec![] };
                let out = desk.order(Command::Send { message, content, reply_to: None });
                if !out.effects.is_empty() {
                    sent.push((message, "queued".into()));
                }
            }
            Step::Callback { message, fate } if !sent.is_empty() => {
                let which = message % sent.len();
                callback(&mut desk, &mut sent[which], fate)?;
            }
            Step::Wait { minutes } => desk.wait(minutes * 60_000),
            Step::Do(deed) if desk.conversation.is_some() => {
                let (actor, command) = command(deed, now_ms);
                desk.order_as(actor, command);
            }
            _ => continue,
        }
        let same = before.filter(|(id, _)| desk.conversation.as_ref().is_some_and(|it| it.facts.id == *id));
        check(&desk, same.and_then(|(_, closes_ms)| closes_ms))?;
        desk.wait(0); // what a late message made overdue
        let due_ms = desk.conversation.as_ref().and_then(|it| it.due_ms);
        prop_assert!(due_ms.is_none_or(|due_ms| due_ms > desk.clock.now_ms()), "due again and again");
    }
    Ok(())
}

/// A callback moves its message forward or does nothing.
fn callback(desk: &mut Desk, sent: &mut (MessageId, String), fate: u8) -> Result<(), TestCaseError> {
    let known = desk.table.recall().into_iter().find(|it| it.id == sent.0);
    let Some(known) = known else { return Ok(()) };
    let failure = crate::plugins::Failure::internal(crate::plugins::Certainty::NotPerformed, "no");
    let (delivery, word) = match fate {
        0 => (Delivery::Sent, "sent"),
        1 => (Delivery::Delivered, "delivered"),
        2 => (Delivery::Read, "read"),
        3 => (Delivery::Failed { failure }, "failed"),
        _ => (Delivery::Other { name: "flying".into() }, ""),
    };
    let update = StatusUpdate {
        message_id: String::new(),
        effect_id: known.effect.map(|effect| effect.to_string()),
        contact: crate::plugins::Party {
            address: "v_1".into(),
            phone: None,
            scoped_id: None,
            username: None,
            display_name: None,
            extras: Vec::new(),
        },
        delivery,
        at_ms: desk.clock.now_ms(),
        to: "us".into(),
        extras: vec![],
        window_closes_at_ms: None,
    };
    let event = InboundEvent { dedupe_key: format!("s{}", desk.seq), body: InboundBody::Status(update) };
    let is_present = desk.conversation.as_ref().is_some_and(|it| it.facts.id == known.conversation);
    let out = desk.work_off(vec![Entry::Webhook(event)]).clone();
    let events = out.events.iter().filter(|it| it.event.body.kind().name().starts_with("message.")).count();
    let moves = replaces(word).contains(&sent.1.as_str());
    // Of an earlier conversation nothing is told, but the message moves.
    prop_assert_eq!(events, usize::from(moves && is_present), "{} after {}", word, sent.1);
    let moved = out.statuses.iter().any(|it| it.message == sent.0 && it.over.contains(&sent.1.as_str()));
    prop_assert_eq!(moved, moves, "{} after {}", word, sent.1);
    for status in &out.statuses {
        desk.table.advance(status);
    }
    if moves {
        word.clone_into(&mut sent.1);
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn the_invariants_of_the_domain_hold_whatever_comes(steps in steps()) {
        run(Reopen::Reopen, steps)?;
    }

    #[test]
    fn they_hold_where_every_visit_is_a_new_conversation(steps in steps()) {
        run(Reopen::New, steps)?;
    }
}
