//! What vendors and contacts say about consent, turn by turn, and news of contacts.

use std::collections::BTreeMap;

use pointsman_rules::event::Actor;
use pointsman_rules::ids::UserId;

use super::desk::{Desk, NOW_MS};
use super::*;
use crate::flow::command::{Command, ContactNews};
use crate::plugins::{Content, Extra, InboundMessage, Party};
use crate::store::contacts::BY_VENDOR;
use crate::store::suppressions::Suppressed;

fn message(desk: &Desk, text: &str, opt_out_type: Option<&str>) -> Entry {
    let extra = |word: &str| Extra { key: "test.opt_out_type".into(), json: format!("\"{word}\"") };
    let message = InboundMessage {
        id: format!("vendor-{}", desk.seq),
        contact: Party {
            address: "+551187654321".into(),
            phone: Some("+551187654321".into()),
            scoped_id: None,
            username: None,
            display_name: Some("Ana".into()),
            extras: Vec::new(),
        },
        to: "us".into(),
        sent_at_ms: desk.clock.now_ms(),
        reply_to: None,
        group_id: None,
        echo: false,
        window_closes_at_ms: None,
        content: Content::Text(text.into()),
        extras: opt_out_type.map(extra).into_iter().collect(),
        author: None,
    };
    Entry::Webhook(InboundEvent { dedupe_key: message.id.clone(), body: InboundBody::Message(message) })
}

fn source(desk: &Desk) -> Option<&str> {
    desk.table.person.as_ref().and_then(|it| it.opted_out_by.as_deref())
}

impl Desk {
    fn hears(&mut self, text: &str, opt_out_type: Option<&str>) -> &Out {
        let entry = message(self, text, opt_out_type);
        self.work_off(vec![entry])
    }
}

#[test]
fn the_vendor_confirms_its_own_stop_and_its_start_lifts_it() {
    let mut desk = Desk::with_starters();
    desk.hears("hello", None);
    let out = desk.hears("STOP", Some("STOP")).clone();
    assert_eq!((out.effects.len(), source(&desk)), (0, Some(BY_VENDOR)), "no second confirmation");
    desk.hears("stop", Some("STOP"));
    assert_eq!(desk.count("contact.opted_out"), 1);
    desk.hears("help", Some("HELP"));
    assert_eq!(source(&desk), Some(BY_VENDOR));
    desk.hears("START", Some("START"));
    assert_eq!((source(&desk), desk.count("contact.opted_in")), (None, 1));
}

#[test]
fn a_start_word_lifts_only_what_the_vendor_has() {
    let mut desk = Desk::with_starters();
    desk.hears("STOP", None);
    assert_eq!(source(&desk), Some("rule"));
    desk.hears("start", None);
    assert_eq!(source(&desk), Some("rule"), "our own list is lifted by people");
    desk.hears("stop", Some("STOP"));
    assert_eq!(source(&desk), Some(BY_VENDOR), "the vendor's word outweighs the rule's");
    assert_eq!(desk.count("contact.opted_out"), 1, "they were out already");
    desk.hears("please start again", None);
    assert_eq!(source(&desk), Some(BY_VENDOR), "a word inside a sentence does not count");
    desk.hears(" Unstop ", None);
    assert_eq!(source(&desk), None);
}

#[test]
fn who_was_erased_comes_back_as_somebody_new_with_the_same_wish() {
    let mut desk = Desk::with_starters();
    desk.table.suppressed = Some(Suppressed { blocked_ms: None, opted_out: Some((5, BY_VENDOR.into())) });
    let out = desk.hears("hello", None).clone();
    assert!(out.people[0].facts.opted_out && out.effects.is_empty(), "{out:?}");
    assert_eq!(out.contacts.len(), 1);
    assert_eq!(desk.count("contact.opted_out"), 0, "nothing new happened");
}

#[test]
fn a_namesake_gets_another_identity_and_the_vendors_address_is_answered() {
    let mut known = Desk::with_starters();
    known.hears("hello", None);
    let mut desk = Desk::with_starters();
    desk.table.namesake = known.table.person.as_ref().map(Into::into);
    let out = desk.hears("me on another line", None).clone();
    assert!(out.people.is_empty(), "no second contact");
    let new = &out.identities[0];
    assert_eq!(new.facts.id, known.table.person.as_ref().unwrap().facts.id);
    assert_eq!(new.identity.phone_key.as_deref(), Some("+551187654321"));
    assert!(new.identity.evidence.contains("same phone"), "{new:?}");
    assert_eq!(out.conversations[0].contact, new.facts.id);
}

#[test]
fn news_of_a_contact_are_logged_once_and_never_wake_what_is_over() {
    let mut desk = Desk::with_starters();
    desk.hears("hello", None);
    let changes = BTreeMap::from([("name".to_owned(), [serde_json::json!("Ana"), serde_json::json!("Eva")])]);
    desk.order(Command::Contact { news: ContactNews::Updated { changes } });
    assert_eq!(desk.count("contact.updated"), 1);
    let order = Order {
        conversation: Some(ConversationId::new(NOW_MS, 99)),
        actor: Actor::User { id: UserId::new(1, 9) },
        command: Command::Contact { news: ContactNews::Merged },
    };
    let out = desk.work_off(vec![Entry::Order(order)]).clone();
    assert!(out.events.is_empty() && out.refusals.is_empty(), "{out:?}");
}
