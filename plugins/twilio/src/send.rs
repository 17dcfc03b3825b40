//! Sends one message: `POST …/Messages.json`, a form. Choices need a Content
//! resource first, which is made on the way.

use pointsman_plugin::descriptor::MediaFamily;
use pointsman_plugin::http;
use pointsman_plugin::sender::{Attachment, Content, Message, Receipt};
use pointsman_plugin::webhook::Location;
use pointsman_plugin::{Certainty, Context, Extra, Failure, FailureKind, Http, Retry};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::address::{self, WHATSAPP_KIND};
use crate::api::Api;
use crate::{content, errors};

/// Longest text, characters (Twilio refuses longer ones with 21617).
pub(crate) const TEXT_CHARS_MAX: usize = 1_600;
/// Files of one message on WhatsApp.
pub(crate) const WHATSAPP_FILES_MAX: usize = 1;
/// Files of one MMS.
pub(crate) const MMS_FILES_MAX: usize = 10;

type Fields = Vec<(&'static str, String)>;

/// The part of a created message that matters.
#[derive(Deserialize)]
struct Created {
    sid: String,
    status: Option<String>,
    error_code: Option<u32>,
    error_message: Option<String>,
    num_segments: Option<String>,
}

pub(crate) async fn send(context: &Context, message: &Message, http: &Http) -> Result<Receipt, Failure> {
    let api = Api::new(context, http)?;
    if matches!(message.content, Content::Typing) {
        return typing(&api, message).await;
    }
    let what = match &message.content {
        Content::Text(text) => text_fields(text)?,
        Content::Media(files) => media_fields(&context.kind, files)?,
        Content::Template(template) => content::template_fields(template)?,
        Content::Location(place) if context.kind == WHATSAPP_KIND => location_fields(place),
        Content::Choices(choices) if context.kind == WHATSAPP_KIND => {
            let sid = content::create(&api, &message.effect_id, choices).await?;
            vec![("ContentSid", sid)]
        }
        Content::Location(_) | Content::Choices(_) => {
            return Err(Failure::unsupported("SMS has no buttons, lists or places; write it as text"));
        }
        Content::Cards(_) | Content::Reaction(_) | Content::Read(_) | Content::Typing | Content::Other(_) => {
            return Err(Failure::unsupported("Twilio cannot send contact cards, reactions or read receipts"));
        }
    };
    create(&api, message, what).await
}

async fn create(api: &Api<'_>, message: &Message, what: Fields) -> Result<Receipt, Failure> {
    let mut fields: Fields = vec![("To", address::recipient(&api.context.kind, &message.to.address))];
    match api.settings.messaging_service_sid() {
        Some(service) => fields.push(("MessagingServiceSid", service.to_owned())),
        None => fields.push(("From", api.address()?)),
    }
    fields.extend(what);
    if !message.status_url.is_empty() {
        fields.push(("StatusCallback", message.status_url.clone()));
    }
    let call = api.signed(http::post(api.resource("Messages.json"))).form(fields);
    let response = api.succeed(call).await?;
    // Twilio has taken the message: an answer that cannot be read must not lead to a second one.
    let created: Created = response.json().map_err(|failure| failure.effect(Certainty::Performed))?;
    if let Some(code) = created.error_code {
        return Err(refused_later(code, created.error_message.as_deref()));
    }
    let mut extras = vec![];
    extras.extend(created.status.map(|status| Extra::new("twilio.status", &json!(status))));
    extras.extend(created.num_segments.map(|count| Extra::new("twilio.num_segments", &json!(count))));
    Ok(Receipt { message_ids: vec![created.sid], accepted_at: None, extras })
}

/// Twilio made the message and knows already that it will not go out.
fn refused_later(code: u32, words: Option<&str>) -> Failure {
    let failure = errors::meaning(code).map_or_else(
        || Failure::new(FailureKind::ContentRejected, "Twilio refused the message; its error code says more"),
        |meaning| Failure::new(meaning.kind, meaning.message).retry(meaning.retry).effect(meaning.effect),
    );
    failure.vendor(Some(&code.to_string()), words)
}

fn text_fields(text: &str) -> Result<Fields, Failure> {
    fits(text)?;
    Ok(vec![("Body", text.to_owned())])
}

/// No text of ours may be longer than Twilio takes.
pub(crate) fn fits(text: &str) -> Result<(), Failure> {
    if text.chars().count() <= TEXT_CHARS_MAX {
        return Ok(());
    }
    let message = format!("the text is longer than {TEXT_CHARS_MAX} characters; shorten or split it");
    Err(Failure::new(FailureKind::ContentTooLong, message))
}

/// Twilio fetches the files itself. On WhatsApp only images and videos carry a text.
fn media_fields(kind: &str, files: &[Attachment]) -> Result<Fields, Failure> {
    let on_whatsapp = kind == WHATSAPP_KIND;
    let max = if on_whatsapp { WHATSAPP_FILES_MAX } else { MMS_FILES_MAX };
    if files.is_empty() || files.len() > max {
        return Err(Failure::unsupported(format!(
            "one message takes 1 to {max} files here; send the others by themselves"
        )));
    }
    let mut fields = vec![];
    let captions: Vec<&str> =
        files.iter().filter_map(|file| file.caption.as_deref()).filter(|c| !c.is_empty()).collect();
    if !captions.is_empty() {
        let takes_text = |file: &Attachment| matches!(file.family, MediaFamily::Image | MediaFamily::Video);
        if on_whatsapp && !files.iter().all(takes_text) {
            return Err(Failure::unsupported(
                "on WhatsApp only images and videos carry a text; send the text by itself",
            ));
        }
        let caption = captions.join("\n");
        fits(&caption)?;
        fields.push(("Body", caption));
    }
    if !on_whatsapp && files.iter().any(|file| file.family != MediaFamily::Image) {
        return Err(Failure::new(FailureKind::MediaInvalid, "SMS takes only images; send a link as text"));
    }
    fields.extend(files.iter().map(|file| ("MediaUrl", file.url.clone())));
    Ok(fields)
}

/// `geo:lat,lon|label`, with the name as text.
fn location_fields(place: &Location) -> Fields {
    let label = place.address.as_deref().or(place.name.as_deref()).map(|label| label.replace('|', " "));
    let name = place.name.clone().or_else(|| place.address.clone());
    let mut geo = format!("geo:{},{}", place.latitude, place.longitude);
    if let Some(label) = label {
        geo = format!("{geo}|{label}");
    }
    vec![("Body", name.unwrap_or_else(|| "📍".into())), ("PersistentAction", geo)]
}

/// Shows "typing…" for up to 25 seconds. Twilio ties it to a message of the contact, and marks that as read.
async fn typing(api: &Api<'_>, message: &Message) -> Result<Receipt, Failure> {
    let inbound =
        message.reply_to.as_ref().filter(|_| api.context.kind == WHATSAPP_KIND).ok_or_else(|| {
            Failure::unsupported(
                "typing can only be shown on WhatsApp, as an answer to a message of the contact",
            )
        })?;
    let url = format!("{}/v2/Indicators/Typing.json", api.settings.messaging_base());
    let fields = [("messageId", inbound.as_str()), ("channel", "whatsapp")];
    let answer: Value = api.read(api.signed(http::post(url)).form(fields).idempotent()).await?;
    if answer["success"] == false {
        return Err(Failure::bad_response("Twilio did not show that somebody types").retry(Retry::Never));
    }
    Ok(Receipt { message_ids: vec![], accepted_at: None, extras: vec![] })
}
