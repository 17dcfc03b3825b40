//! Messages: a conversation's thread, writing into it, one message with its
//! attempts, and writing to somebody first. What failed is in `failed`.

pub(super) mod failed;

use std::collections::BTreeMap;

use axum::Json as JsonAnswer;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use pointsman_rules::ids::{AttachmentId, ChannelId, ConversationId, EffectId, MessageId};
use pointsman_rules::intent::Button;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::Api;
use super::attachments::{self, AttachmentUse};
use super::auth::{Principal, Role};
use super::body::Json;
use super::conversations::bad_query;
use super::orders::{Carried, Pending, conversation, not_found, order, sight, start};
use super::paging::{List, Query, decode, rows};
use super::path::Id;
use super::problem::Problem;
use crate::clock::rfc3339;
use crate::flow::command::{Command, Draft};
use crate::flow::content::Content;
use crate::flow::file::File;
use crate::flow::large;
use crate::flow::phone::Phone;
use crate::plugins::Party;
use crate::store::channels;
use crate::store::message_views::{self, Attempt, MessageView, Order, Quote};

pub(super) fn router() -> OpenApiRouter<Api> {
    OpenApiRouter::default()
        .routes(routes!(list, send))
        .routes(routes!(get))
        .merge(failed::router())
        .routes(routes!(write_first))
}

/// A message or note.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Message {
    /// Its id.
    #[schema(value_type = String)]
    id: MessageId,
    #[schema(value_type = String)]
    conversation: ConversationId,
    #[schema(value_type = String)]
    channel: ChannelId,
    /// Its place in the conversation.
    seq: i64,
    /// `inbound`, `outbound` or `internal` (a note).
    direction: &'static str,
    /// Who wrote it.
    sender: Sender,
    /// What it holds: `kind` and what belongs to the kind.
    content: serde_json::Value,
    /// `queued`, `sending`, `sent`, `delivered`, `read`, `failed` or `unknown`; `null` unless outbound.
    status: Option<String>,
    /// Why it failed: `class`, `code`, `message`, the vendor's own code and text.
    failure: Option<serde_json::Value>,
    /// The effect that sends it.
    #[schema(value_type = Option<String>)]
    effect: Option<EffectId>,
    /// The vendor's id.
    vendor_id: Option<String>,
    /// The message it answers.
    reply_to: Option<String>,
    /// That message in short; `null` when it is not in this conversation (any more).
    quote: Option<Quoted>,
    /// The vendor's time for inbound, ours for outbound.
    at: String,
    /// When it was stored.
    created_at: String,
    /// When its delivery status changed last.
    status_at: Option<String>,
    /// Calls to the vendor; only when one message is read.
    #[serde(skip_serializing_if = "Option::is_none")]
    attempts: Option<Vec<AttemptShown>>,
}

/// A message that another one answers.
#[derive(Debug, Clone, Serialize, ToSchema)]
struct Quoted {
    /// Kind of sender, as in `sender`.
    sender: &'static str,
    /// One line of what it holds.
    preview: String,
}

impl Quoted {
    fn show(quote: Quote) -> Self {
        let content = serde_json::from_value::<Content>(quote.content);
        Self {
            sender: quote.sender.word(),
            preview: content.map_or_else(|_| String::new(), |it| it.preview()),
        }
    }
}

/// Who wrote a message.
#[derive(Debug, Clone, Serialize, ToSchema)]
struct Sender {
    /// `contact`, `agent`, `rule`, `assistant`, `api`, `echo` or `system`.
    kind: &'static str,
    /// Which user, key or rule.
    id: Option<String>,
    /// What the user or rule is called now.
    name: Option<String>,
}

/// A call to the vendor.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct AttemptShown {
    /// 1 is the first.
    number: i64,
    started_at: String,
    /// `null`: under way, or the process died.
    ended_at: Option<String>,
    /// How it ended, one word.
    outcome: Option<String>,
    /// What went wrong.
    failure: Option<serde_json::Value>,
}

impl Message {
    pub(super) fn show(it: MessageView) -> Self {
        let message = it.message;
        Self {
            id: message.id,
            conversation: message.conversation,
            channel: message.channel,
            seq: message.seq,
            direction: message.direction.word(),
            sender: Sender { kind: message.sender.word(), id: message.sender_id, name: it.sender_name },
            content: it.content,
            status: message.status,
            failure: it.failure,
            effect: message.effect,
            vendor_id: message.vendor_id,
            reply_to: message.reply_to.map(|id| id.to_string()),
            quote: it.quote.map(Quoted::show),
            at: rfc3339(message.at_ms),
            created_at: rfc3339(message.created_ms),
            status_at: it.status_ms.map(rfc3339),
            attempts: None,
        }
    }
}

fn show_attempt(it: Attempt) -> AttemptShown {
    AttemptShown {
        number: it.number,
        started_at: rfc3339(it.started_ms),
        ended_at: it.ended_ms.map(rfc3339),
        outcome: it.outcome,
        failure: it.failure,
    }
}

/// Which part of a thread is wanted.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct Wanted {
    /// Items on the page, 1 to 200; 50 when absent.
    limit: Option<i64>,
    /// `next` of the page before.
    cursor: Option<String>,
    /// `asc` (oldest first, the default) or `desc`.
    order: Option<String>,
}

/// A conversation's messages and notes.
#[utoipa::path(get, path = "/api/v1/conversations/{id}/messages", tag = "messages",
    params(("id" = String, Path), Wanted), responses((status = 200, body = List<Message>)))]
async fn list(
    State(api): State<Api>,
    who: Principal,
    Id(id): Id<ConversationId>,
    Query(wanted): Query<Wanted>,
) -> Result<JsonAnswer<List<Message>>, Problem> {
    let order = match wanted.order.as_deref() {
        None | Some("asc") => Order::OldestFirst,
        Some("desc") => Order::NewestFirst,
        Some(_) => return Err(bad_query("order", "must be asc or desc")),
    };
    let (rows, after) = (rows(wanted.limit)?, wanted.cursor.as_deref().map(decode::<i64>).transpose()?);
    conversation(&api, &who, id).await?;
    let tx = &mut api.read().await?;
    let mut found = message_views::of_conversation(tx, who.tenant, id, order, after, rows as u32).await?;
    attachments::show(tx, who.tenant, &mut found).await?;
    Ok(JsonAnswer(List::page(found, rows, |it| it.message.seq, Message::show)))
}

/// What is to be written: exactly one of `text`, `attachments`, `template` and `note`.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewMessage {
    /// Text for the contact.
    text: Option<String>,
    /// Buttons under the text.
    #[serde(default)]
    #[schema(value_type = Vec<Object>)]
    buttons: Vec<Button>,
    /// Files that were uploaded before.
    #[serde(default)]
    attachments: Vec<AttachmentUse>,
    /// An approved template.
    template: Option<TemplateUse>,
    /// A note that the contact does not see.
    note: Option<String>,
    /// The message that is answered.
    #[schema(value_type = Option<String>)]
    reply_to: Option<MessageId>,
}

/// A template and what goes into it.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TemplateUse {
    /// Its name.
    name: String,
    /// Its language; the conversation's when absent.
    language: Option<String>,
    /// Slot to text. A hole of the body goes by its name (`1`), others with their place in front: `header.1`,
    /// `button.0.1`.
    #[serde(default)]
    slots: BTreeMap<String, String>,
    /// Slot to an uploaded file, for headers with an image, a video or a document.
    #[serde(default)]
    #[schema(value_type = BTreeMap<String, String>)]
    files: BTreeMap<String, AttachmentId>,
}

impl TemplateUse {
    /// `files`: those that `files` names.
    fn draft(self, files: BTreeMap<String, File>) -> Draft {
        Draft::Template { name: self.name, language: self.language, slots: self.slots, files }
    }
}

/// The files that a new message names.
#[derive(Debug, Default)]
struct Named {
    attached: Option<Draft>,
    filling: BTreeMap<String, File>,
}

impl NewMessage {
    fn command(self, message: MessageId, named: Named) -> Result<Command, Problem> {
        let reply_to = self.reply_to;
        if !self.buttons.is_empty() && self.text.is_none() {
            return Err(Problem::field("/buttons", "go with `text` only"));
        }
        match (self.text, self.template, self.note, named.attached) {
            (None, None, None, Some(content)) => Ok(Command::Send { message, content, reply_to }),
            (_, _, _, Some(_)) => {
                Err(Problem::field("/attachments", "go by themselves; a text goes into their `caption`"))
            }
            (Some(text), None, None, None) => {
                let content = Draft::Text { text: filled(text, "/text")?, buttons: self.buttons };
                Ok(Command::Send { message, content, reply_to })
            }
            (None, Some(template), None, None) => {
                Ok(Command::Send { message, content: template.draft(named.filling), reply_to })
            }
            (None, None, Some(text), None) => Ok(Command::Note { message, text: filled(text, "/note")? }),
            _ => Err(Problem::field("", "give exactly one of `text`, `attachments`, `template` and `note`")),
        }
    }
}

fn filled(text: String, pointer: &str) -> Result<String, Problem> {
    if text.trim().is_empty() {
        return Err(Problem::field(pointer, "must not be empty"));
    }
    Ok(text)
}

/// Writes to the contact, or a note for colleagues. What may not be sent now is refused with the reason and stays
/// visible as a failed message, whose id is in the problem's `message`.
#[utoipa::path(post, path = "/api/v1/conversations/{id}/messages", tag = "messages", params(("id" = String, Path)),
    request_body = NewMessage, responses((status = 201, body = Message), (status = 202, body = Pending)))]
async fn send(
    State(api): State<Api>,
    who: Principal,
    Id(id): Id<ConversationId>,
    Json(mut new): Json<NewMessage>,
) -> Result<Response, Problem> {
    let files = attachments::to_send(&api, &who, std::mem::take(&mut new.attachments)).await?;
    let attached = if files.is_empty() {
        None
    } else {
        let channel = conversation(&api, &who, id).await?.conversation.channel;
        Some(large::draft(&api.flow, who.tenant, channel, files).await?)
    };
    let filling = match &new.template {
        Some(template) => attachments::to_fill(&api, &who, &template.files).await?,
        None => BTreeMap::new(),
    };
    let named = Named { attached, filling };
    let message = MessageId::new(api.flow.clock.now_ms(), api.flow.clock.random());
    let carried = order(&api, &who, id, new.command(message, named)?).await?;
    answer(&api, &who, carried, message, StatusCode::CREATED).await
}

/// The answer to a command about a message.
async fn answer(
    api: &Api,
    who: &Principal,
    carried: Carried,
    message: MessageId,
    status: StatusCode,
) -> Result<Response, Problem> {
    match carried {
        Carried::NotYet(pending) => Ok(pending.answer()),
        Carried::Out => Ok((status, JsonAnswer(one(api, who, message).await?)).into_response()),
    }
}

async fn one(api: &Api, who: &Principal, id: MessageId) -> Result<Message, Problem> {
    let tx = &mut api.read().await?;
    let found = message_views::get(tx, who.tenant, sight(who), id).await?;
    let mut found = found.ok_or_else(|| not_found("message"))?;
    attachments::show(tx, who.tenant, std::slice::from_mut(&mut found)).await?;
    let attempts = match found.message.effect {
        Some(effect) => message_views::attempts(tx, who.tenant, effect).await?,
        None => Vec::new(),
    };
    let attempts = Some(attempts.into_iter().map(show_attempt).collect());
    Ok(Message { attempts, ..Message::show(found) })
}

/// One message with the calls that were made to deliver it.
#[utoipa::path(get, path = "/api/v1/messages/{id}", tag = "messages", params(("id" = String, Path)),
    responses((status = 200, body = Message)))]
async fn get(
    State(api): State<Api>,
    who: Principal,
    Id(id): Id<MessageId>,
) -> Result<JsonAnswer<Message>, Problem> {
    one(&api, &who, id).await.map(JsonAnswer)
}

/// A first message to somebody.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct FirstMessage {
    /// The channel to write on.
    #[schema(value_type = String)]
    channel: ChannelId,
    /// To whom: a number like `+34600000000`, or an address as the vendor writes it.
    to: String,
    /// Text; exactly one of this, `attachments` and `template`.
    text: Option<String>,
    /// Files that were uploaded before.
    #[serde(default)]
    attachments: Vec<AttachmentUse>,
    /// An approved template.
    template: Option<TemplateUse>,
    /// What the contact is called.
    name: Option<String>,
}

/// Longest address of a contact, characters.
const ADDRESS_CHARS_MAX: usize = 256;

/// Writes to somebody first: finds or makes the contact and the conversation.
#[utoipa::path(post, path = "/api/v1/messages", tag = "messages", request_body = FirstMessage,
    responses((status = 201, body = Message), (status = 202, body = Pending)))]
async fn write_first(
    State(api): State<Api>,
    who: Principal,
    Json(new): Json<FirstMessage>,
) -> Result<Response, Problem> {
    let files = attachments::to_send(&api, &who, new.attachments).await?;
    let content = match (new.text, new.template, files.is_empty()) {
        (Some(text), None, true) => Draft::Text { text: filled(text, "/text")?, buttons: Vec::new() },
        (None, None, false) => large::draft(&api.flow, who.tenant, new.channel, files).await?,
        (None, Some(template), true) => {
            let filling = attachments::to_fill(&api, &who, &template.files).await?;
            template.draft(filling)
        }
        _ => return Err(Problem::field("", "give exactly one of `text`, `attachments` and `template`")),
    };
    let channel = channels::get(&mut api.read().await?, who.tenant, new.channel).await?;
    let channel =
        channel.filter(|it| it.owner.is_none() || it.owner == who.user() || who.role >= Role::Admin);
    let channel = channel.ok_or_else(|| Problem::field("/channel", "there is no such channel"))?;
    let view = api.flow.catalog.view(&api.flow, who.tenant).await?;
    let to = party(&new.to, &channel.address, new.name, view.settings.country.as_deref())?;
    let message = MessageId::new(api.flow.clock.now_ms(), api.flow.clock.random());
    let carried = start(&api, &who, new.channel, Command::Start { to, message, content }).await?;
    answer(&api, &who, carried, message, StatusCode::CREATED).await
}

/// The contact as the vendor knows it: where our own address has a scheme (`whatsapp:+1…`), theirs has the same. Where
/// our own address is a number, theirs may be one of `country` without its country code.
pub(super) fn party(
    to: &str,
    our_address: &str,
    name: Option<String>,
    country: Option<&str>,
) -> Result<Party, Problem> {
    let to = to.trim();
    if to.is_empty() || to.chars().count() > ADDRESS_CHARS_MAX || to.chars().any(char::is_control) {
        return Err(Problem::field(
            "/to",
            format!("must be an address of 1 to {ADDRESS_CHARS_MAX} characters"),
        ));
    }
    let (scheme, ours) =
        our_address.split_once(':').map_or((None, our_address), |(scheme, ours)| (Some(scheme), ours));
    let is_national = ours.starts_with('+') && to.starts_with(|c: char| c.is_ascii_digit() || c == '(');
    let national = country.filter(|_| is_national).and_then(|code| Phone::parse(to, Some(code)).ok());
    let to = national.as_ref().map_or(to, |phone| phone.e164.as_str());
    let address = match scheme {
        Some(scheme) if to.starts_with('+') => format!("{scheme}:{}", digits(to)),
        _ if to.starts_with('+') => digits(to),
        _ => to.to_owned(),
    };
    let number = address.rsplit_once(':').map_or(address.as_str(), |(_, number)| number);
    let phone = match Phone::parse(number, None) {
        Ok(phone) => Some(phone.e164),
        Err(error) if to.starts_with('+') => return Err(Problem::field("/to", error.to_string())),
        Err(_) => None,
    };
    Ok(Party { address, phone, scoped_id: None, username: None, display_name: name, extras: Vec::new() })
}

/// Without what people write between digits.
fn digits(number: &str) -> String {
    number.chars().filter(|c| !matches!(c, ' ' | '-' | '.' | '(' | ')')).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_written_as_our_own_address_is() {
        let to = |to: &str, ours: &str| party(to, ours, None, Some("ES")).map(|it| (it.address, it.phone));
        let phone = Some("+34600000000".to_owned());
        assert_eq!(
            to("+34 600-000-000", "whatsapp:+1415").unwrap(),
            ("whatsapp:+34600000000".into(), phone.clone())
        );
        assert_eq!(to("whatsapp:+34600000000", "whatsapp:+1415").unwrap().1, phone);
        assert_eq!(to("600 000 000", "whatsapp:+1415").unwrap().0, "whatsapp:+34600000000", "in Spain");
        assert_eq!(to("600000000", "123456").unwrap(), ("600000000".into(), None), "not a number's channel");
        assert_eq!(to("+34600000000", "+1415").unwrap(), ("+34600000000".into(), phone));
        assert_eq!(to("v_abc", "").unwrap(), ("v_abc".into(), None));
        for bad in ["", " ", "+34", "+34x", "a\nb"] {
            assert_eq!(to(bad, "").unwrap_err().errors[0].pointer, "/to", "{bad:?}");
        }
    }

    #[test]
    fn exactly_one_thing_is_written() {
        let read = |json: serde_json::Value| {
            let new: NewMessage = serde_json::from_value(json).unwrap();
            new.command(MessageId::new(1, 1), Named::default())
        };
        assert!(matches!(read(serde_json::json!({"text": "a"})), Ok(Command::Send { .. })));
        assert!(matches!(read(serde_json::json!({"note": "a"})), Ok(Command::Note { .. })));
        let template = serde_json::json!({"template": {"name": "hello", "slots": {"1": "x"}}});
        assert!(matches!(read(template), Ok(Command::Send { content: Draft::Template { .. }, .. })));
        for bad in [
            r#"{}"#,
            r#"{"text":"a","note":"b"}"#,
            r#"{"text":" "}"#,
            r#"{"note":"b","buttons":[{"id":"1","title":"t"}]}"#,
        ] {
            assert_eq!(read(serde_json::from_str(bad).unwrap()).unwrap_err().code, "invalid", "{bad}");
        }
    }
}
