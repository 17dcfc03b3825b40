//! One webhook is one update: a message, an edit, a pressed button, a reaction,
//! or that the contact blocked the bot. Deletes and receipts do not exist here.

use pointsman_plugin::webhook::{
    Choice, ContactChange, Content, Edit, Event, EventBody, Message, Party, Reaction, Request,
};
use pointsman_plugin::{Context, Extra, Failure};
use serde_json::{Value, json};

use crate::content;

/// Says that Telegram itself stops or resumes messages to somebody.
const OPT_OUT: &str = "telegram.opt_out_type";
/// How JSON writes the character that databases refuse.
const NUL: &[u8] = b"\\u0000";

pub(crate) fn parse(context: &Context, request: &Request) -> Result<Vec<Event>, Failure> {
    let mut update: Value = pointsman_plugin::json(&request.body).map_err(|_| {
        Failure::bad_response("the webhook is not JSON; point only Telegram's webhook at this channel")
    })?;
    if request.body.windows(NUL.len()).any(|window| window == NUL) {
        clean(&mut update);
    }
    let Some(id) = update["update_id"].as_i64() else {
        let message = "the webhook has no update_id; point only Telegram's webhook at this channel";
        return Err(Failure::bad_response(message));
    };
    let update = Update { id, it: &update, context };
    Ok(vec![Event { dedupe_key: id.to_string(), body: update.body() }])
}

/// Takes NUL out of every text.
fn clean(value: &mut Value) {
    match value {
        Value::String(text) if text.contains('\0') => *text = text.replace('\0', ""),
        Value::Array(items) => items.iter_mut().for_each(clean),
        Value::Object(members) => members.values_mut().for_each(clean),
        _ => {}
    }
}

/// A member that is a text and not empty.
pub(crate) fn text(of: &Value, member: &str) -> Option<String> {
    of[member].as_str().filter(|text| !text.is_empty()).map(str::to_owned)
}

/// A time in seconds, in milliseconds.
fn seconds(of: &Value, member: &str) -> Option<u64> {
    of[member].as_u64()?.checked_mul(1_000)
}

struct Update<'a> {
    id: i64,
    it: &'a Value,
    context: &'a Context,
}

impl Update<'_> {
    fn body(&self) -> EventBody {
        for (kind, read) in [
            ("message", Self::message as fn(&Self, &Value) -> Option<EventBody>),
            ("edited_message", Self::edited),
            ("callback_query", Self::pressed),
            ("message_reaction", Self::reaction),
            ("my_chat_member", Self::membership),
        ] {
            let it = &self.it[kind];
            if it.is_object() {
                return read(self, it).unwrap_or_else(|| other(kind));
            }
        }
        let kind = self.it.as_object().and_then(|it| it.keys().find(|key| *key != "update_id"));
        other(kind.map_or("update", String::as_str))
    }

    /// `None`: nobody wrote.
    fn message(&self, it: &Value) -> Option<EventBody> {
        if let Some(change) = self.moved(it) {
            return Some(change);
        }
        if content::is_service(it) {
            return None;
        }
        let (chat, id) = (it["chat"]["id"].as_i64()?, it["message_id"].as_i64()?);
        let mut extras = extras(it);
        let started = it["text"].as_str().and_then(|text| text.strip_prefix("/start"));
        if let Some(payload) = started.filter(|rest| rest.is_empty() || rest.starts_with(' ')) {
            // Whoever starts the bot wants to hear from it again.
            extras.push(Extra::new(OPT_OUT, &json!("START")));
            let payload = payload.trim();
            extras.extend((!payload.is_empty()).then(|| Extra::new("telegram.start", &json!(payload))));
        }
        let reply = &it["reply_to_message"];
        let message = Message {
            reply_to: reply["message_id"].as_i64().map(|id| format!("{chat}:{id}")),
            extras,
            ..self.bare(&it["chat"], &it["from"], format!("{chat}:{id}"), content::of(it))?
        };
        let contact = Party { phone: content::own_phone(it), ..message.contact };
        let sent_at = seconds(it, "date").unwrap_or(self.context.now);
        Some(EventBody::Message(Message { contact, sent_at, ..message }))
    }

    /// A group became a supergroup, under another id.
    fn moved(&self, it: &Value) -> Option<EventBody> {
        let (old, new) = (it["chat"]["id"].as_i64()?, it["migrate_to_chat_id"].as_i64()?);
        let contact = Party { display_name: text(&it["chat"], "title"), ..bare(&new.to_string()) };
        let at = seconds(it, "date").unwrap_or(self.context.now);
        Some(EventBody::ContactChanged(ContactChange {
            old: bare(&old.to_string()),
            contact,
            at,
            extras: vec![],
        }))
    }

    fn edited(&self, it: &Value) -> Option<EventBody> {
        let (chat, id) = (it["chat"]["id"].as_i64()?, it["message_id"].as_i64()?);
        // A place that moves has no text.
        let new = text(it, "text").or_else(|| text(it, "caption"))?;
        let content = Content::Edited(Edit { message_id: format!("{chat}:{id}"), text: new });
        let message = self.bare(&it["chat"], &it["from"], self.own_id(), content)?;
        let sent_at = seconds(it, "edit_date").unwrap_or(self.context.now);
        Some(EventBody::Message(Message { sent_at, ..message }))
    }

    fn pressed(&self, it: &Value) -> Option<EventBody> {
        let data = text(it, "data")?;
        let under = &it["message"];
        let from = &it["from"];
        let chat = if under["chat"].is_object() { &under["chat"] } else { from };
        let title = title(under, &data).unwrap_or_else(|| data.clone());
        let content = Content::Choice(Choice { id: data, title });
        let message = self.bare(chat, from, self.own_id(), content)?;
        let place = (under["chat"]["id"].as_i64(), under["message_id"].as_i64());
        let reply_to = place.0.zip(place.1).map(|(chat, id)| format!("{chat}:{id}"));
        Some(EventBody::Message(Message { reply_to, ..message }))
    }

    fn reaction(&self, it: &Value) -> Option<EventBody> {
        let (chat, id) = (it["chat"]["id"].as_i64()?, it["message_id"].as_i64()?);
        let new = it["new_reaction"].as_array()?;
        let emoji = new.iter().find_map(|reaction| text(reaction, "emoji"));
        if emoji.is_none() && !new.is_empty() {
            return None; // a picture of their own, or paid
        }
        let content = Content::Reaction(Reaction { message_id: format!("{chat}:{id}"), emoji });
        let message = self.bare(&it["chat"], &it["user"], self.own_id(), content)?;
        let sent_at = seconds(it, "date").unwrap_or(self.context.now);
        Some(EventBody::Message(Message { sent_at, ..message }))
    }

    /// The contact blocked the bot, or lets it write again.
    fn membership(&self, it: &Value) -> Option<EventBody> {
        let (what, word) = match it["new_chat_member"]["status"].as_str()? {
            _ if it["chat"]["type"] != "private" => return None,
            "kicked" => ("telegram.blocked", "STOP"),
            "member" => ("telegram.unblocked", "START"),
            _ => return None,
        };
        let content = Content::Other(Extra::new(what, &Value::Null));
        let message = self.bare(&it["chat"], &it["from"], self.own_id(), content)?;
        let sent_at = seconds(it, "date").unwrap_or(self.context.now);
        let extras = vec![Extra::new(OPT_OUT, &json!(word))];
        Some(EventBody::Message(Message { sent_at, extras, ..message }))
    }

    /// An id for what has none of its own.
    fn own_id(&self) -> String {
        format!("update:{}", self.id)
    }

    /// A message of this chat. What is written in a group is the group's: an answer goes there.
    fn bare(&self, chat: &Value, from: &Value, id: String, content: Content) -> Option<Message> {
        let address = chat["id"].as_i64()?.to_string();
        let is_group = matches!(chat["type"].as_str(), Some("group" | "supergroup" | "channel"));
        let person = if from.is_object() { from } else { chat };
        let person_id = person["id"].as_i64().map(|id| id.to_string()).unwrap_or_default();
        let names: Vec<String> =
            ["first_name", "last_name"].iter().filter_map(|name| text(person, name)).collect();
        let name = Some(names.join(" ")).filter(|name| !name.is_empty());
        let person = Party { display_name: name, username: text(person, "username"), ..bare(&person_id) };
        let (contact, author) = if is_group {
            let group = Party {
                display_name: text(chat, "title"),
                username: text(chat, "username"),
                ..bare(&address)
            };
            (group, from.is_object().then_some(person))
        } else {
            (Party { address: address.clone(), ..person }, None)
        };
        Some(Message {
            id,
            contact,
            to: self.context.address.clone(),
            sent_at: self.context.now,
            reply_to: None,
            group_id: is_group.then_some(address),
            author,
            echo: false,
            window_closes_at: None,
            content,
            extras: vec![],
        })
    }
}

fn bare(address: &str) -> Party {
    Party {
        address: address.to_owned(),
        phone: None,
        scoped_id: None,
        username: None,
        display_name: None,
        extras: vec![],
    }
}

fn other(kind: &str) -> EventBody {
    EventBody::Other(Extra::new(&format!("telegram.{kind}"), &Value::Null))
}

/// What the pressed button says: it is under the message.
fn title(message: &Value, data: &str) -> Option<String> {
    let rows = message["reply_markup"]["inline_keyboard"].as_array()?;
    let mut buttons = rows.iter().filter_map(Value::as_array).flatten();
    text(buttons.find(|button| button["callback_data"] == data)?, "text")
}

fn extras(it: &Value) -> Vec<Extra> {
    let mut extras = vec![];
    for (value, key) in [
        (&it["from"]["language_code"], "telegram.language"),
        (&it["media_group_id"], "telegram.album"),
        (&it["message_thread_id"], "telegram.topic"),
    ] {
        extras.extend((!value.is_null()).then(|| Extra::new(key, value)));
    }
    extras.extend(it["forward_origin"].is_object().then(|| Extra::new("telegram.forwarded", &json!(true))));
    extras
}
