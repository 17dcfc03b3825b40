//! Waiting for somebody, service targets and working hours, in memory.

use std::sync::Arc;

use pointsman_rules::assign::{Assignment, Policy};
use pointsman_rules::calendar::{Calendar, Interval};
use pointsman_rules::facts::{AgentFacts, AiState, CalendarFacts, Directory, Status, Window};
use pointsman_rules::ids::{CalendarId, GroupId, UserId};
use pointsman_rules::sla::Targets;

use super::desk::{DAY_MS, Desk, NOW_MS, channel, group};
use crate::flow::case::NoticeTo;
use crate::flow::catalog::TenantView;
use crate::flow::command::Command;
use pointsman_rules::decide::RuleSet;
use pointsman_rules::event::Actor;

const MINUTE_MS: i64 = 60_000;
const HOUR_MS: i64 = 60 * MINUTE_MS;

fn ana() -> UserId {
    UserId::new(1, 1)
}

fn ben() -> UserId {
    UserId::new(1, 2)
}

fn agent(id: UserId, name: &str) -> AgentFacts {
    AgentFacts { id, email: format!("{name}@example.com"), name: name.into(), online: true, sees_all: false }
}

/// Support hands out by itself, Billing by hand; both have Ana, Support has Ben too.
fn desk(assignment: Assignment, targets: Targets) -> Desk {
    let mut desk = Desk::new(channel("webchat", Window::None), &[]);
    desk.channel.idle_end_ms = 0;
    let (mut support, mut billing) = (group(1, "Support"), group(2, "Billing"));
    (support.members, billing.members) = (vec![ana(), ben()], vec![ana()]);
    (support.assignment, support.targets) = (assignment, targets);
    support.calendar = Some(CalendarId::new(1, 1));
    let day = |day: &str| Interval { day: day.into(), from: "09:00".into(), to: "17:00".into() };
    let calendar = Calendar {
        timezone: "UTC".into(),
        intervals: ["mon", "tue", "wed", "thu", "fri", "sat", "sun"].map(day).to_vec(),
        holidays: vec![],
    };
    let directory = Directory {
        groups: vec![support, billing],
        agents: vec![agent(ana(), "ana"), agent(ben(), "ben")],
        calendars: vec![CalendarFacts { id: CalendarId::new(1, 1), name: "Office".into(), calendar }],
        ..Directory::default()
    };
    desk.view = Arc::new(TenantView::new(directory, RuleSet::new(vec![])));
    desk
}

fn automatic(offer_ms: Option<i64>) -> Assignment {
    Assignment { policy: Policy::RoundRobin, offer_ms, ..Assignment::default() }
}

fn offered(desk: &Desk) -> Option<UserId> {
    desk.conversation.as_ref().unwrap().queue.as_ref().and_then(|queue| queue.offer).map(|offer| offer.agent)
}

fn waits(desk: &Desk) -> bool {
    desk.conversation.as_ref().unwrap().queue.is_some()
}

#[test]
fn a_conversation_waits_until_somebody_is_found() {
    let mut desk = desk(automatic(None), Targets::default());
    desk.writes("hello");
    assert!(waits(&desk) && desk.conversation.as_ref().unwrap().holder().is_none());
    let out = desk.order_as(Actor::System, Command::Place { agent: ben() });
    assert_eq!((out.notices[0].kind, &out.notices[0].to), ("assignment", &NoticeTo::Users(vec![ben()])));
    assert_eq!((desk.state().assignee, waits(&desk)), (Some(ben()), false));
    assert_eq!(desk.conversation.as_ref().unwrap().holder(), Some(ben()));
    let out = desk.order_as(Actor::System, Command::Place { agent: ana() });
    assert_eq!(out.refusals[0].1.code, "not_waiting", "a second one came too late");
    assert_eq!(out.placed.len(), 1, "and is not on its way any more");
    desk.order(Command::SetStatus { status: Status::Closed });
    assert_eq!(desk.conversation.as_ref().unwrap().holder(), None, "a closed chat takes nobody's place");
}

#[test]
fn an_offer_is_accepted_declined_or_runs_out() {
    let mut desk = desk(automatic(Some(30_000)), Targets::default());
    desk.writes("hello");
    desk.order_as(Actor::System, Command::Place { agent: ana() });
    assert_eq!((offered(&desk), desk.state().assignee), (Some(ana()), None));
    let out = desk.order_as(Actor::User { id: ben() }, Command::Accept);
    assert_eq!(out.refusals[0].1.code, "not_offered");
    desk.order_as(Actor::User { id: ana() }, Command::Decline);
    assert_eq!((offered(&desk), desk.count("conversation.offer_passed")), (None, 1));
    desk.order_as(Actor::System, Command::Place { agent: ben() });
    desk.wait(29_999);
    assert_eq!(offered(&desk), Some(ben()));
    desk.wait(1);
    assert_eq!((offered(&desk), desk.count("conversation.offer_passed")), (None, 2));
    let passed = &desk.conversation.as_ref().unwrap().queue.as_ref().unwrap().passed;
    assert_eq!(passed, &[(ana(), NOW_MS), (ben(), NOW_MS + 30_000)]);
    desk.order_as(Actor::System, Command::Place { agent: ana() });
    desk.order_as(Actor::User { id: ana() }, Command::Accept);
    assert_eq!((desk.state().assignee, waits(&desk)), (Some(ana()), false));
    desk.order_as(Actor::User { id: ana() }, Command::Assign { agent: None });
    let queue = desk.conversation.as_ref().unwrap().queue.clone().unwrap();
    assert_eq!(queue.passed, [(ana(), NOW_MS + 30_000)], "who gives it back is not asked again at once");
}

// S91
#[test]
fn what_does_not_need_a_person_does_not_wait() {
    let mut desk = desk(automatic(None), Targets::default());
    desk.writes("hello");
    for (away, back) in [
        (
            Command::Route { group: Some(GroupId::new(1, 2)) },
            Command::Route { group: Some(GroupId::new(1, 1)) },
        ),
        (Command::SetStatus { status: Status::Pending }, Command::SetStatus { status: Status::Open }),
        (
            Command::SetAi { state: AiState::On, reason: None },
            Command::SetAi { state: AiState::Off, reason: None },
        ),
        (Command::Snooze { until_ms: NOW_MS + HOUR_MS }, Command::Snooze { until_ms: 0 }),
    ] {
        desk.order(away);
        assert!(!waits(&desk), "{:?}", desk.state());
        desk.order(back);
        assert!(waits(&desk), "{:?}", desk.state());
    }
}

#[test]
fn only_members_of_the_group_have_its_conversations() {
    let mut desk = desk(Assignment::default(), Targets::default());
    desk.writes("hello");
    assert!(!waits(&desk), "people take them by hand here");
    desk.order(Command::Assign { agent: Some(ben()) });
    desk.order(Command::Route { group: Some(GroupId::new(1, 2)) });
    assert_eq!(desk.state().assignee, None, "Ben is not in Billing");
    let out = desk.order(Command::Assign { agent: Some(ben()) });
    assert_eq!(out.refusals[0].1.code, "not_a_member");
}

#[test]
fn whoever_can_act_is_told_once_that_a_contact_wrote() {
    let mut desk = desk(Assignment::default(), Targets::default());
    let told = |desk: &Desk| {
        let of = |notice: &crate::flow::case::Notice| (notice.kind == "message").then(|| notice.to.clone());
        desk.last.notices.iter().find_map(of)
    };
    desk.writes("hello");
    assert_eq!(told(&desk), Some(NoticeTo::Users(vec![ana(), ben()])), "the group takes by hand");
    desk.order(Command::Assign { agent: Some(ana()) });
    desk.writes("are you there?");
    assert_eq!(told(&desk), Some(NoticeTo::Users(vec![ana()])));
    desk.order(Command::SetAi { state: AiState::On, reason: None });
    desk.writes("hello?");
    assert_eq!(told(&desk), None, "the assistant answers");
}

// S96
// S83, S96: an answer is due within minutes of open time.
#[test]
fn targets_warn_and_are_missed_once_and_an_answer_stops_the_clock() {
    let targets = Targets {
        first_reply_ms: Some(30 * MINUTE_MS),
        next_reply_ms: Some(HOUR_MS),
        resolution_ms: None,
        warn_before_ms: 10 * MINUTE_MS,
    };
    let mut desk = desk(Assignment::default(), targets);
    // 2026-09-21T14:13:20Z: the office is open until 17:00.
    assert_eq!(NOW_MS, 1_790_000_000_000);
    desk.writes("hello");
    assert_eq!(desk.state().waiting_since_ms, Some(NOW_MS));
    desk.wait(20 * MINUTE_MS);
    assert_eq!((desk.count("sla.warning"), desk.count("sla.breached")), (1, 0));
    desk.wait(10 * MINUTE_MS);
    assert_eq!((desk.count("sla.warning"), desk.count("sla.breached")), (1, 1));
    desk.wait(HOUR_MS);
    assert_eq!((desk.count("sla.warning"), desk.count("sla.breached")), (1, 1), "once");
    desk.say("sorry for the wait");
    assert_eq!((desk.state().waiting_since_ms, desk.state().first_reply_ms.is_some()), (None, true));
    desk.wait(30 * MINUTE_MS); // 16:13
    desk.writes("and another thing");
    desk.wait(46 * MINUTE_MS + 40_000); // 17:00
    assert_eq!(desk.count("business_hours.closed"), 1);
    assert_eq!((desk.count("sla.warning"), desk.count("sla.breached")), (1, 1), "46 of 60 minutes");
    desk.wait(16 * HOUR_MS); // 09:00 the next day
    assert_eq!(desk.count("business_hours.opened"), 1);
    desk.wait(14 * MINUTE_MS);
    assert_eq!((desk.count("sla.warning"), desk.count("sla.breached")), (2, 2), "nights do not count");
    desk.order(Command::SetStatus { status: Status::Closed });
    let before = desk.events.len();
    desk.wait(3 * DAY_MS);
    assert_eq!(desk.events.len(), before, "a closed conversation waits for nothing");
}

#[test]
fn a_reopened_conversation_goes_back_to_who_had_it_if_the_group_says_so() {
    let mut keeps = desk(Assignment::default(), Targets::default());
    let mut drops = desk(Assignment { keep_assignee: false, ..Assignment::default() }, Targets::default());
    for desk in [&mut keeps, &mut drops] {
        desk.writes("hello");
        desk.order(Command::Assign { agent: Some(ana()) });
        desk.order(Command::SetStatus { status: Status::Closed });
        desk.writes("once more");
    }
    assert_eq!((keeps.state().assignee, drops.state().assignee), (Some(ana()), None));
}
