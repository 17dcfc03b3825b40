//! What contacts write on WhatsApp, and what our own people type on a phone that
//! is linked beside the API. Contacts are matched to messages by their ids, never
//! by place: some messages have none.

use pointsman_plugin::Extra;
use pointsman_plugin::webhook::{ContactChange, Event, EventBody, Message, Party};
use serde_json::{Value, json};

use crate::content;
use crate::json::{list, seconds, text};
use crate::webhook::{other, unreadable};

/// A message of a contact.
pub(crate) fn event(message: &Value, value: &Value, own: &str) -> Event {
    match message["type"].as_str() {
        Some("system") if message["system"]["type"] == "user_changed_number" => return moved(message),
        // An id changed, or a chat was opened: nobody wrote anything.
        Some("system") => return other("meta.system", message, message["system"]["type"].clone()),
        Some("request_welcome") => return other("meta.request_welcome", message, Value::Null),
        _ => {}
    }
    let sender = Person { phone: text(message, "from"), scoped: text(message, "from_user_id") };
    of(message, value, sender, own, false)
}

/// The contact has another number.
fn moved(message: &Value) -> Event {
    let system = &message["system"];
    let person = |phone: Option<String>, scoped| Person { phone, scoped }.party(&Value::Null);
    let old = person(
        text(message, "from"),
        text(system, "previous_user_id").or_else(|| text(message, "from_user_id")),
    );
    let new = person(text(system, "wa_id"), text(system, "user_id"));
    let (Some(old), Some(contact), Some(id), Some(at)) =
        (old, new, text(message, "id"), seconds(message, "timestamp"))
    else {
        return unreadable(message, "a change of number names no number");
    };
    let change = ContactChange { old, contact, at, extras: vec![] };
    Event { dedupe_key: id, body: EventBody::ContactChanged(change) }
}

/// A message that was typed on the linked phone.
pub(crate) fn echo(message: &Value, value: &Value, own: &str) -> Event {
    let recipient = Person { phone: text(message, "to"), scoped: text(message, "to_user_id") };
    of(message, value, recipient, own, true)
}

fn of(message: &Value, value: &Value, person: Person, own: &str, echo: bool) -> Event {
    let Some(id) = text(message, "id") else { return unreadable(message, "a message has no id") };
    let Some(sent_at) = seconds(message, "timestamp") else {
        return unreadable(message, "a message has no time");
    };
    let group = text(message, "group_id");
    let Some(sender) = person.party(value) else {
        return unreadable(message, "a message has no sender");
    };
    // A group's messages are the group's: an answer goes there.
    let (contact, author) = match &group {
        Some(group) => (bare(group.clone()), Some(sender)),
        None => (sender, None),
    };
    let message = Message {
        id: id.clone(),
        contact,
        to: own.to_owned(),
        sent_at,
        reply_to: text(&message["context"], "id"),
        group_id: group,
        author,
        echo,
        window_closes_at: None,
        content: content::of(message),
        extras: extras(message),
    };
    Event { dedupe_key: id, body: EventBody::Message(message) }
}

/// Somebody on WhatsApp: a number, an id that is theirs at this business only, or both.
pub(crate) struct Person {
    pub(crate) phone: Option<String>,
    pub(crate) scoped: Option<String>,
}

impl Person {
    /// The contact, with the name that the webhook has for it.
    pub(crate) fn party(self, value: &Value) -> Option<Party> {
        let is_theirs = |contact: &&Value| {
            let is = |member: &str, id: &Option<String>| id.is_some() && text(contact, member) == *id;
            is("wa_id", &self.phone) || is("user_id", &self.scoped)
        };
        let contact = list(value, "contacts").iter().find(is_theirs).unwrap_or(&Value::Null);
        let profile = &contact["profile"];
        let phone = self.phone.or_else(|| text(contact, "wa_id"));
        let scoped = self.scoped.or_else(|| text(contact, "user_id"));
        let name = text(profile, "name").or_else(|| text(profile, "username"));
        let address = phone.clone().or_else(|| scoped.clone())?;
        Some(Party {
            phone: phone.filter(|phone| is_number(phone)).map(|digits| format!("+{digits}")),
            scoped_id: scoped,
            username: text(profile, "username"),
            display_name: name,
            ..bare(address)
        })
    }
}

/// A contact of whom only the address is known.
pub(crate) fn bare(address: String) -> Party {
    Party { address, phone: None, scoped_id: None, username: None, display_name: None, extras: vec![] }
}

/// Digits only, as WhatsApp writes phone numbers.
pub(crate) fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|c| c.is_ascii_digit())
}

fn extras(message: &Value) -> Vec<Extra> {
    let context = &message["context"];
    let mut extras = vec![];
    for (member, key) in
        [("forwarded", "meta.forwarded"), ("frequently_forwarded", "meta.frequently_forwarded")]
    {
        extras.extend((context[member] == true).then(|| Extra::new(key, &json!(true))));
    }
    let reply = &message["interactive"]["nfm_reply"];
    for (value, key) in [
        (&message["referral"], "meta.referral"),
        (&context["referred_product"], "meta.referred_product"),
        (&message["order"], "meta.order"),
        (reply, "meta.flow_reply"),
    ] {
        extras.extend(value.is_object().then(|| Extra::new(key, value)));
    }
    if message["group_id"].is_string() {
        let author = text(message, "from_user_id").or_else(|| text(message, "from"));
        extras.extend(author.map(|author| Extra::new("meta.author", &json!(author))));
    }
    extras
}
