//! What is worked out from the log is what rules saw at the time.

use std::collections::HashMap;

use pointsman_rules::event::Event;
use pointsman_rules::facts::{Facts, Priority, Status, Window};
use pointsman_rules::ids::{EventId, RuleId};
use pointsman_rules::script::Script;
use serde_json::Value;

use super::desk::{Desk, channel};
use super::*;
use crate::flow::command::Command;
use crate::flow::replay::{Ground, Moment, Scene};
use crate::flow::trial::{Counts, Pair};
use crate::store::messages::Message;

/// Looks at everything, so that the facts of every event are kept.
const WATCHER: &str = "//! Watcher\n//! on: message.received, message.sent, conversation.created, conversation.updated, \
    conversation.reopened, conversation.ended, conversation.status_changed, window.opened, note.added\n\nlet n = 1;\n";

/// Everything a desk wrote since the start.
#[derive(Default)]
struct Log {
    events: Vec<Event>,
    kept: HashMap<EventId, String>,
    messages: Vec<Message>,
}

impl Log {
    fn add(&mut self, out: &Out) {
        self.events.extend(out.events.iter().map(|it| it.event.clone()));
        self.kept.extend(out.runs.iter().map(|run| (run.event, run.facts.clone())));
        self.messages.extend(out.messages.iter().cloned());
    }

    fn moments(&self, desk: &Desk, kept: HashMap<EventId, String>, from: usize) -> Vec<Moment> {
        let person = desk.table.person.clone().unwrap();
        let place = (desk.channel.facts.clone(), desk.view.directory.clone());
        let present = (desk.state().clone(), person.facts);
        Scene::staged(place, present, self.events[from..].to_vec(), kept, &self.messages).moments()
    }
}

fn lived() -> (Desk, Log) {
    let mut desk = Desk::new(channel("whatsapp", Window::SinceLastInbound { seconds: 86_400 }), &[WATCHER]);
    let mut log = Log::default();
    log.add(desk.writes("hello"));
    desk.clock.advance(60_000);
    log.add(desk.order(Command::SetPriority { priority: Priority::High }));
    log.add(desk.order(Command::Label { add: vec!["vip".into()], remove: vec![] }));
    desk.clock.advance(60_000);
    log.add(desk.say("how can I help?"));
    desk.clock.advance(60_000);
    log.add(desk.writes("a refund"));
    desk.clock.advance(60_000);
    log.add(desk.order(Command::End { status: Status::Closed }));
    desk.clock.advance(3_600_000);
    log.add(desk.writes("one more thing"));
    desk.clock.advance(60_000);
    log.add(desk.order(Command::SetStatus { status: Status::Pending }));
    (desk, log)
}

fn told(facts: &Facts) -> Value {
    let mut value = serde_json::to_value(&facts.conversation).unwrap();
    // Starts and timers are not worked out, and AI is switched off with the same step as the answer.
    for name in ["rule_starts", "timers"] {
        value.as_object_mut().unwrap().remove(name);
    }
    value
}

#[test]
fn facts_without_a_record_are_those_that_rules_saw() {
    let (desk, log) = lived();
    assert!(log.events.len() > 10, "{:?}", desk.events);
    for from in [0, log.events.len() / 2] {
        let moments = log.moments(&desk, HashMap::new(), from);
        let mut compared = 0;
        for moment in &moments {
            let Some(kept) = log.kept.get(&moment.event.id) else { continue };
            let kept: Value = serde_json::from_str(kept).unwrap();
            let mut worked_out = told(&moment.facts);
            let mut saw = kept["conversation"].clone();
            if from > 0 {
                // Times from before the first event that was read are unknown.
                let times = [
                    "last_inbound_ms",
                    "last_outbound_ms",
                    "window_closes_ms",
                    "waiting_since_ms",
                    "first_reply_ms",
                    "opened_ms",
                ];
                for name in times {
                    for side in [&mut worked_out, &mut saw] {
                        side.as_object_mut().unwrap().remove(name);
                    }
                }
            }
            for name in ["rule_starts", "timers"] {
                saw.as_object_mut().unwrap().remove(name);
            }
            let kind = moment.event.body.kind().name();
            assert_eq!(worked_out, saw, "{kind} from {from}");
            let text = moment.facts.message.as_ref().map(|message| &message.text);
            assert_eq!(serde_json::to_value(text).unwrap(), kept["message"]["text"], "{kind}");
            assert!(!moment.is_exact);
            compared += 1;
        }
        assert!(compared > 4, "{compared} of {}", moments.len());
    }
}

#[test]
fn of_an_event_that_no_rule_was_shown_only_the_trace_is_kept() {
    let answers = "//! Answers\n//! on: message.received\n\nsend_message(\"hi\");\n";
    let (mut desk, mut log) =
        (Desk::new(channel("whatsapp", Window::None), &[answers, WATCHER]), Log::default());
    log.add(desk.writes("hello"));
    // The watcher does not look at what rules caused.
    let moments = log.moments(&desk, log.kept.clone(), 0);
    let sent = moments.iter().find(|it| it.event.body.kind().name() == "message.sent").unwrap();
    assert_eq!(log.kept.get(&sent.event.id).map(String::as_str), Some(""));
    assert!(!sent.is_exact);
    let text = sent.facts.message.as_ref().and_then(|message| message.text.as_deref());
    assert_eq!((text, sent.facts.conversation.outbound_count), (Some("hi"), 1));
}

#[test]
fn a_draft_is_compared_with_what_runs_on_every_event() {
    let (desk, log) = lived();
    let rule =
        |body: &str| Script::parse(&format!("//! Refunds\n//! on: message.received\n\n{body}\n")).unwrap();
    let running = rule(
        "if message.text.has_word(\"refund\") { archive(); }\nif message.text == \"hello\" { archive(); }",
    );
    let tried = rule(
        "if message.text.has_word(\"refund\") { send_message(\"Sorry!\"); }\nif message.text.has_word(\"thing\") { archive(); }",
    );
    let moments = log.moments(&desk, log.kept.clone(), 0);
    let ground = Ground {
        tenant: desk.channel.tenant,
        directory: desk.view.directory.clone(),
        channels: HashMap::new(),
        categories: HashMap::new(),
    };
    let (id, version) = (RuleId::new(1, 5), pointsman_rules::ids::RuleVersionId::new(1, 5));
    let (pair, mut counts) = (Pair::new(id, tried, Some((version, running))), Counts::default());
    let findings: Vec<_> =
        moments.iter().filter_map(|moment| pair.judge(moment, &ground, &mut counts)).collect();
    let kinds: Vec<_> = findings.iter().map(|it| it.kind.as_str()).collect();
    assert_eq!(kinds, ["no_longer_fires", "other_intents", "would_fire"]);
    assert!(findings[1].body.contains("send_message") && findings[1].body.contains("archive()"));
    assert_eq!((counts.fires, counts.running_fires, counts.messages.get("text")), (2, 2, Some(&1)));
    assert_eq!(counts.events, log.events.len() as u64);
    assert_eq!(counts.exact, log.kept.len() as u64);
}
