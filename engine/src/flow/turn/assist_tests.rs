//! When the assistant is asked, and that it never talks over anybody.

use pointsman_rules::event::{Actor, EventBody};
use pointsman_rules::facts::{AiState, Status, Window};
use pointsman_rules::ids::{AssistantId, GroupId, JobId};

use super::desk::{Desk, channel};
use crate::flow::assistant::{Answer, Duty, Judgement, Run};
use crate::flow::case::NoticeTo;
use crate::flow::command::{Command, ContactNews};
use crate::flow::turn::Out;
use crate::store::assistant_tasks::TaskKind;

const SILENCE_MS: i64 = 4_000;
const ANSWERS_MAX: i64 = 3;

fn duty() -> Duty {
    Duty {
        assistant: AssistantId::new(1, 1),
        replies: true,
        insights_at_end: false,
        silence_ms: SILENCE_MS,
        answers_max: ANSWERS_MAX,
    }
}

fn desk_with(duty: Duty, rules: &[&str]) -> Desk {
    let mut desk = Desk::new(channel("webchat", Window::None), rules);
    let id = desk.channel.facts.id;
    std::sync::Arc::get_mut(&mut desk.view).unwrap().duties.insert(id, duty);
    desk
}

/// A contact wrote, and the assistant is on.
fn waiting() -> Desk {
    let mut desk = desk_with(duty(), &[include_str!("../../../../rules/library/human-replied/rule.rhai")]);
    desk.writes("Hello");
    assert!(desk.last.asked.is_empty(), "it is off");
    desk.order(Command::SetAi { state: AiState::On, reason: None });
    desk
}

fn run() -> Run {
    Run {
        assistant: Some(AssistantId::new(1, 1)),
        model: Some("small".into()),
        took_ms: 300,
        input_tokens: 20,
        output_tokens: 5,
    }
}

/// The asking that the conversation waits for.
fn asked(desk: &Desk) -> JobId {
    desk.conversation.as_ref().unwrap().assist.asked.unwrap().0
}

fn answers(desk: &mut Desk, task: JobId, answer: Answer) -> &Out {
    desk.order_as(Actor::Assistant, Command::Answered { task, answer, run: run() })
}

fn says(desk: &mut Desk, task: JobId, text: &str) {
    answers(desk, task, Answer::Reply { text: text.into() });
}

/// How the last asking ended: outcome and reason.
fn ended(desk: &Desk) -> (String, Option<String>) {
    let of = |body: &EventBody| match body {
        EventBody::AiRan { outcome, reason, .. } => Some((outcome.clone(), reason.clone())),
        _ => None,
    };
    desk.last.events.iter().rev().find_map(|it| of(&it.event.body)).expect("it is in the timeline")
}

/// Who switched it last, and why.
fn switched(desk: &Desk) -> (Actor, Option<String>) {
    let it = desk.conversation.as_ref().unwrap().assist.switched.clone().expect("it was switched");
    (it.by, it.reason)
}

fn withheld(reason: &str) -> (String, Option<String>) {
    ("withheld".into(), Some(reason.into()))
}

// S89
#[test]
fn a_burst_is_asked_about_once_after_the_last_message() {
    let mut desk = waiting();
    let first = desk.last.asked[0].clone();
    assert_eq!((first.kind, first.next_ms), (TaskKind::Reply, desk.clock.now_ms() + SILENCE_MS));
    desk.clock.advance(1_000);
    desk.writes("Are you there?");
    let second = desk.last.asked[0].clone();
    assert_eq!(second.next_ms, first.next_ms + 1_000, "the silence begins anew");
    says(&mut desk, first.id, "An answer to the first.");
    assert_eq!(ended(&desk), withheld("newer_message"));
    assert!(desk.last.effects.is_empty() && desk.last.messages.is_empty());
    says(&mut desk, second.id, "Yes.");
    assert_eq!((ended(&desk).0.as_str(), desk.last.effects.len()), ("sent", 1));
    says(&mut desk, second.id, "Yes, again.");
    assert_eq!(ended(&desk), withheld("answered"), "said once");
    assert!(desk.last.effects.is_empty());
}

// S91
#[test]
fn what_changed_while_it_thought_silences_it() {
    type Change = fn(&mut Desk);
    let changes: [(&str, Change); 6] = [
        ("ai_off", |desk| {
            desk.say("I am a person.");
        }),
        ("ai_off", |desk| {
            desk.order(Command::SetAi { state: AiState::Off, reason: None });
        }),
        ("closed", |desk| {
            desk.order(Command::SetStatus { status: Status::Closed });
        }),
        ("newer_message", |desk| {
            desk.writes("One more thing");
        }),
        ("ai_off", |desk| {
            let until_ms = desk.clock.now_ms() + 60_000;
            desk.order(Command::SetAi { state: AiState::Suspended { until_ms }, reason: None });
        }),
        ("opted_out", |desk| {
            desk.table.person.as_mut().unwrap().facts.opted_out = true;
            let news = ContactNews::OptedOut { channel_kind: "webchat".into() };
            desk.order(Command::Contact { news });
        }),
    ];
    for (reason, change) in changes {
        let mut desk = waiting();
        let task = asked(&desk);
        change(&mut desk);
        if reason != "newer_message" {
            assert_eq!(desk.last.unasked.len(), 1, "{reason}: it need not think any longer");
        }
        says(&mut desk, task, "Too late.");
        assert_eq!(ended(&desk), withheld(reason));
        assert!(desk.last.effects.is_empty() && desk.last.messages.is_empty(), "{reason}");
        assert_eq!(desk.count("ai.handoff_requested"), 0, "{reason}");
    }
}

#[test]
fn an_answer_to_a_closed_window_goes_to_people() {
    let mut desk = desk_with(duty(), &[]);
    let facts = channel("whatsapp", Window::SinceLastInbound { seconds: 86_400 }).facts;
    desk.channel.facts = facts;
    desk.writes("Hello");
    desk.order(Command::SetAi { state: AiState::On, reason: None });
    let task = asked(&desk);
    desk.clock.advance(90_000_000);
    says(&mut desk, task, "Sorry for the delay.");
    let of = |it: &str| desk.last.events.iter().filter(|e| e.event.body.kind().name() == it).count();
    assert_eq!((of("ai.ran"), of("ai.handoff_requested"), of("message.failed")), (1, 1, 0));
    assert_eq!(ended(&desk), withheld("window_closed"));
    assert!(desk.last.messages.is_empty() && desk.state().ai == AiState::Off);
}

// S91
#[test]
fn a_rule_that_answered_leaves_nothing_to_answer() {
    let rule = "//! Hi\n//! on: message.received\n//! stage: reply\nset_ai(on);\nif message.text == \"hi\" { send_message(\"hello\"); }";
    let mut desk = desk_with(duty(), &[rule]);
    desk.writes("hi");
    assert!(desk.last.asked.is_empty() && desk.last.effects.len() == 1);
    desk.writes("how are you?");
    assert_eq!(desk.last.asked.len(), 1);
}

#[test]
fn whoever_is_not_answered_gets_a_person() {
    let endings = [
        (Answer::HandOver { reason: "They want a person.".into() }, "handed_over"),
        (Answer::Failed { reason: "The model did not answer.".into() }, "failed"),
    ];
    for (answer, outcome) in endings {
        let mut desk = waiting();
        desk.order(Command::Route { group: None });
        let task = asked(&desk);
        answers(&mut desk, task, answer);
        let (ended, why) = ended(&desk);
        assert_eq!(ended, outcome);
        assert_eq!(desk.state().ai, AiState::Off);
        assert_eq!(switched(&desk), (Actor::Assistant, why), "people are told why it is off");
        assert_eq!(desk.state().group, Some(GroupId::new(1, 1)), "the channel's default group");
        assert!(desk.state().waiting_since_ms.is_some());
        assert_eq!((desk.count("ai.handoff_requested"), desk.last.effects.len()), (1, 0));
        let notice = desk.last.notices.iter().find(|it| it.kind == "handoff").unwrap();
        assert_eq!(notice.to, NoticeTo::Admins, "the group has no members");
        desk.writes("Hello?");
        assert!(desk.last.asked.is_empty(), "only a rule or a person turns it on again");
    }
}

#[test]
fn a_rule_chooses_who_gets_what_the_assistant_gives_up() {
    let rule = "//! Route\n//! on: ai.handoff_requested\nroute_to_group(\"Billing\");";
    let mut desk = desk_with(duty(), &[rule]);
    desk.writes("Hello");
    desk.order(Command::SetAi { state: AiState::On, reason: None });
    let task = asked(&desk);
    answers(&mut desk, task, Answer::HandOver { reason: "An invoice.".into() });
    assert_eq!(desk.state().group, Some(GroupId::new(1, 2)));
}

#[test]
fn after_enough_answers_in_a_row_a_person_takes_over() {
    let mut desk = waiting();
    for _ in 0..ANSWERS_MAX {
        let task = asked(&desk);
        says(&mut desk, task, "Beep.");
        desk.clock.advance(120_000);
        desk.writes("Beep.");
    }
    assert_eq!((desk.count("ai.handoff_requested"), desk.state().ai.clone()), (1, AiState::Off));
    assert!(desk.last.asked.is_empty());
    desk.order(Command::SetAi { state: AiState::On, reason: None });
    desk.writes("Beep.");
    assert_eq!(desk.last.asked.len(), 1, "a person switched it on: it begins anew");
}

#[test]
fn two_bots_stop_at_the_quota_of_automatic_messages() {
    let mut desk = desk_with(Duty { answers_max: 1_000, ..duty() }, &[]);
    desk.writes("Beep.");
    desk.order(Command::SetAi { state: AiState::On, reason: None });
    let mut said = 0;
    while desk.state().ai == AiState::On && said < 100 {
        let task = asked(&desk);
        says(&mut desk, task, "Beep.");
        said += 1;
        desk.clock.advance(1_000);
        desk.writes("Beep.");
    }
    assert_eq!((said, desk.count("ai.handoff_requested")), (10, 1));
}

#[test]
fn a_pause_ends_by_itself_and_what_was_written_meanwhile_is_answered() {
    let mut desk = waiting();
    let until_ms = desk.clock.now_ms() + 60_000;
    desk.order(Command::SetAi { state: AiState::Suspended { until_ms }, reason: None });
    desk.writes("Anybody?");
    assert!(desk.last.asked.is_empty());
    desk.wait(60_000);
    assert_eq!((desk.state().ai.clone(), desk.last.asked.len()), (AiState::On, 1));
    assert_eq!(switched(&desk), (Actor::System, Some("The pause is over.".into())));
}

// S90
#[test]
fn insights_are_kept_and_rules_hear_of_them() {
    let rule = "//! Angry\n//! on: conversation.updated\nif conversation.sentiment == \"negative\" && changes.sentiment != () { set_priority(\"high\"); }";
    let mut desk = desk_with(Duty { insights_at_end: true, ..duty() }, &[rule]);
    desk.writes("This is broken!");
    let found = || Judgement {
        sentiment: Some("negative".into()),
        score: Some(-0.8),
        summary: Some("Something is broken.".into()),
        language: Some("en".into()),
    };
    desk.order_as(Actor::Assistant, Command::Judged { found: Ok(found()), run: run() });
    assert_eq!(desk.state().priority.word(), "high");
    assert_eq!(desk.state().summary.as_deref(), Some("Something is broken."));
    let insights = desk.conversation.as_ref().unwrap().insights.clone().unwrap();
    assert_eq!((insights.model.as_deref(), insights.at_ms), (Some("small"), desk.clock.now_ms()));
    let failed = Command::Judged { found: Err("It was down.".into()), run: run() };
    desk.order_as(Actor::Assistant, failed);
    assert_eq!(desk.state().sentiment.as_deref(), Some("negative"), "what is known stays");
    desk.order(Command::End { status: Status::Closed });
    let kinds: Vec<_> = desk.last.asked.iter().map(|it| it.kind).collect();
    assert_eq!(kinds, [TaskKind::Insights], "asked for when the chat ends");
    desk.order(Command::SetStatus { status: Status::Closed });
    assert!(desk.last.asked.is_empty());
}

// S90
#[test]
fn a_rule_asks_for_insights_but_not_in_a_circle() {
    let rule = "//! Mood\n//! on: message.received, conversation.updated\nask_insights();";
    let mut desk = desk_with(duty(), &[rule]);
    desk.writes("This is broken!");
    assert_eq!(desk.last.asked.len(), 1);
    desk.clock.advance(1_000);
    let found = Judgement { sentiment: Some("negative".into()), score: None, summary: None, language: None };
    desk.order_as(Actor::Assistant, Command::Judged { found: Ok(found), run: run() });
    assert_eq!(desk.count("conversation.updated"), 1);
    assert!(desk.last.asked.is_empty(), "nothing was written since");
    assert!(desk.last.runs[0].trace.contains("insights_fresh"), "{}", desk.last.runs[0].trace);
    desk.clock.advance(1_000);
    desk.writes("Hello?");
    assert_eq!(desk.last.asked.len(), 1);
}

#[test]
fn a_draft_for_a_person_goes_nowhere() {
    let mut desk = waiting();
    desk.order_as(Actor::Assistant, Command::Suggested { problem: None, run: run() });
    assert_eq!(ended(&desk).0, "given");
    assert!(desk.last.messages.is_empty() && desk.last.effects.is_empty());
}
