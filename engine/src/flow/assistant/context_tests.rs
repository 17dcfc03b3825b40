//! What an assistant may read, and what it must not.

use pointsman_rules::ids::{ChannelId, ConversationId, KnowledgeId, MessageId};
use serde_json::json;

use super::*;

fn message(number: i64, direction: Direction, sender: SenderKind, content: serde_json::Value) -> Message {
    Message {
        id: MessageId::new(1, 1),
        conversation: ConversationId::new(1, 1),
        channel: ChannelId::new(1, 1),
        seq: number,
        direction,
        sender,
        sender_id: None,
        content: content.to_string(),
        status: None,
        failure: None,
        vendor_id: None,
        effect: None,
        reply_to: None,
        at_ms: number,
        created_ms: number,
    }
}

fn from_contact(number: i64, text: &str) -> Message {
    message(number, Direction::Inbound, SenderKind::Contact, json!({"kind": "text", "text": text}))
}

fn snippet(number: u128, title: &str, body: &str) -> Snippet {
    let id = KnowledgeId::new(1, number);
    Snippet { id, title: title.into(), body: body.into(), version: 1, created_ms: 1, changed_ms: 1 }
}

fn texts(reading: &Reading) -> Vec<&str> {
    reading.turns.iter().map(|it| it.text.as_str()).collect()
}

#[test]
fn notes_and_what_failed_stay_with_us() {
    let text = |text: &str| json!({"kind": "text", "text": text});
    let failed = Message {
        status: Some("failed".into()),
        ..message(3, Direction::Outbound, SenderKind::Agent, text("never sent"))
    };
    let thread = [
        message(6, Direction::Inbound, SenderKind::Contact, json!({"kind": "media", "items": []})),
        message(5, Direction::Outbound, SenderKind::Rule, text("We are closed.")),
        message(
            4,
            Direction::Internal,
            SenderKind::Agent,
            json!({"kind": "note", "text": "a difficult one"}),
        ),
        failed,
        message(2, Direction::Outbound, SenderKind::Echo, text("Hello")),
        from_contact(1, "Hi"),
    ];
    let found = reading(&thread, &[], "", 1_000);
    let said: Vec<_> = found.turns.iter().map(|it| (it.speaker, it.text.as_str())).collect();
    let expected =
        [(Speaker::Contact, "Hi"), (Speaker::Agent, "Hello"), (Speaker::Automation, "We are closed.")];
    assert_eq!(said, expected, "oldest first, without what says nothing");
}

#[test]
fn the_end_of_the_thread_counts_and_the_budget_holds() {
    let thread: Vec<Message> =
        (0..100).rev().map(|number| from_contact(number, &format!("message {number:03}"))).collect();
    let found = reading(&thread, &[], "Be brief.", 50);
    assert_eq!(texts(&found).last(), Some(&"message 099"));
    assert!(found.tokens <= 50 && found.turns.len() < 10, "{found:?}");
    let long = reading(&[from_contact(1, &"ñ".repeat(10_000))], &[], "", 50);
    assert!(tokens(&long.turns[0].text) <= 50 && !long.turns[0].text.is_empty());
}

#[test]
fn the_knowledge_that_fits_the_question_comes_first_and_leaves_room_for_the_thread() {
    let knowledge = [
        snippet(1, "Returns", "Send it back within thirty days."),
        snippet(2, "Opening hours", "We open at nine."),
        snippet(3, "Everything", &"word ".repeat(1_000)),
    ];
    let found = reading(&[from_contact(1, "When do you open?")], &knowledge, "", 300);
    let titles: Vec<_> = found.knowledge.iter().map(|it| it.title.as_str()).collect();
    assert_eq!(titles, ["Opening hours", "Returns"], "the one that is too long is left out");
    assert_eq!(texts(&found), ["When do you open?"]);
    assert!(found.tokens <= 300);
}
