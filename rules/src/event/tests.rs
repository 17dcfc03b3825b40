//! Stored events must stay readable for ever: one of each kind, as JSON, in a golden file.

use super::*;
use crate::ids::{EventId, GroupId};

const GOLDEN: &str = include_str!("../../events.golden.json");

/// One sample of every kind, in the order of [`EventKind::ALL`].
fn samples() -> Vec<EventBody> {
    use EventBody as E;
    let message = MessageId::new(1_000, 1);
    let changes =
        Changes::from([("status".to_owned(), [serde_json::json!("open"), serde_json::json!("closed")])]);
    let (user, rule) = (UserId::new(1_000, 2), RuleId::new(1_000, 3));
    let text = |t: &str| t.to_owned();
    vec![
        E::MessageReceived { message },
        E::MessageSent { message },
        E::MessageStatusChanged { message, from: text("sent"), to: text("read") },
        E::MessageFailed { message, class: text("window_closed"), code: Some(text("63016")) },
        E::ConversationCreated,
        E::ConversationReopened,
        E::ConversationUpdated { changes: changes.clone() },
        E::ConversationStatusChanged { from: text("open"), to: text("closed") },
        E::ConversationEnded { reason: text("idle") },
        E::ConversationAssigned { assignee: user },
        E::ConversationUnassigned { previous: user },
        E::ConversationIdle,
        E::ConversationIdleWarning { ends_at_ms: 2_000 },
        E::WindowOpened { closes_at_ms: 2_000 },
        E::WindowExpiring { closes_at_ms: 2_000 },
        E::WindowExpired { closed_at_ms: 2_000 },
        E::SlaWarning { target: text("first_reply") },
        E::SlaBreached { target: text("first_reply") },
        E::BusinessHoursOpened { calendar: text("Office hours") },
        E::BusinessHoursClosed { calendar: text("Office hours") },
        E::TemplateStatusChanged {
            template: text("follow_up"),
            language: text("en"),
            status: text("approved"),
        },
        E::ChannelStateChanged {
            from: text("connected"),
            to: text("failed"),
            reason: Some(text("The token was revoked.")),
        },
        E::ContactCreated,
        E::ContactUpdated { changes },
        E::ContactMerged,
        E::ContactOptedOut { channel_kind: text("sms") },
        E::ContactOptedIn { channel_kind: text("sms") },
        E::AiHandoffRequested { reason: text("It wants a person.") },
        E::AiToggled { on: false, reason: None },
        E::ConversationEscalated { level: 2, reason: text("A lawyer."), group: Some(GroupId::new(1_000, 4)) },
        E::NoteAdded { message },
        E::TimerFired { timer: TimerId::new(1_000, 5), name: text("remind") },
        E::WebhookReceived { name: text("shop"), payload: serde_json::json!({ "order": 1 }) },
        E::ScheduleTick { rule },
        E::RuleManual { rule },
        E::ConversationOffered { agent: user, until_ms: 2_000 },
        E::ConversationOfferPassed { agent: user, reason: text("declined") },
        E::AttachmentStored { message, attachment: AttachmentId::new(1_000, 8) },
        E::AttachmentFailed {
            message,
            attachment: AttachmentId::new(1_000, 8),
            reason: text("The vendor's link has expired."),
        },
        E::MessageDeleted { message },
        E::ChannelSessionChanged { state: text("needs_qr") },
        E::AiRan {
            task: text("reply"),
            outcome: text("withheld"),
            reason: Some(text("newer_message")),
            model: Some(text("small-1")),
            took_ms: 800,
            input_tokens: 120,
            output_tokens: 30,
        },
    ]
}

fn actors() -> Vec<Actor> {
    let (user, key, rule) = (UserId::new(1_000, 2), KeyId::new(1_000, 6), RuleId::new(1_000, 3));
    vec![
        Actor::Contact,
        Actor::User { id: user },
        Actor::Key { id: key },
        Actor::Rule { id: rule },
        Actor::Assistant,
        Actor::Vendor,
        Actor::System,
    ]
}

fn events() -> Vec<Event> {
    let actors = actors();
    let event = |(index, body): (usize, EventBody)| {
        let step = CauseStep { event: EventId::new(900, 1), rule: RuleId::new(1_000, 3) };
        let chain = if index % 2 == 0 { vec![] } else { vec![step] };
        let actor = actors[index % actors.len()].clone();
        let conversation = (index != 21).then(|| ConversationId::new(1_000, 7));
        Event {
            id: EventId::new(1_000, index as u128),
            at_ms: 1_000,
            conversation,
            cause: Cause { actor, chain },
            body,
        }
    };
    samples().into_iter().enumerate().map(event).collect()
}

#[test]
fn there_is_a_sample_of_every_kind() {
    let kinds: Vec<EventKind> = samples().iter().map(EventBody::kind).collect();
    assert_eq!(kinds, EventKind::ALL);
}

#[test]
fn stored_events_keep_their_form() {
    let lines: Vec<String> = events().iter().map(|e| serde_json::to_string(e).unwrap()).collect();
    let now = format!("[\n{}\n]\n", lines.join(",\n"));
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(concat!(env!("CARGO_MANIFEST_DIR"), "/events.golden.json"), &now).unwrap();
        return;
    }
    assert_eq!(now, GOLDEN, "stored events changed; old ones could no longer be read");
    assert_eq!(serde_json::from_str::<Vec<Event>>(GOLDEN).unwrap(), events());
}

#[test]
fn every_kind_is_found_by_its_name() {
    for kind in EventKind::ALL {
        assert_eq!(EventKind::from_name(kind.name()), Some(*kind));
    }
    assert_eq!(EventKind::from_name("message.recieved"), None);
}

#[test]
fn json_carries_the_name_as_type() {
    let body = EventBody::ConversationEnded { reason: "idle".into() };
    let json = serde_json::to_value(&body).unwrap();
    assert_eq!(json, serde_json::json!({"type": "conversation.ended", "reason": "idle"}));
    assert_eq!(body.kind().name(), "conversation.ended");
}
