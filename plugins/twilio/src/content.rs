//! Content resources: templates with their variables, and buttons and lists,
//! which Twilio only sends as a resource of its Content API.

use pointsman_plugin::http;
use pointsman_plugin::sender::{Choices, Item, Template};
use pointsman_plugin::{Certainty, Failure, FailureKind, Retry};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::api::Api;
use crate::send::fits;

/// Buttons of a message within the window; more become a list.
pub(crate) const BUTTONS_MAX: usize = 3;
/// Rows of a list.
pub(crate) const ROWS_MAX: usize = 10;
/// Title of a button, characters.
const BUTTON_CHARS_MAX: usize = 20;
/// Title of a row and label that opens the list, characters (limits of Meta).
const ROW_CHARS_MAX: usize = 24;
/// Small print of a row, characters.
const DESCRIPTION_CHARS_MAX: usize = 72;
/// Id of a row or button, characters.
const ID_CHARS_MAX: usize = 200;
/// WhatsApp refuses variables with more spaces than this in a row.
const SPACES_MAX: usize = 4;

#[derive(Deserialize)]
struct Created {
    sid: String,
}

/// The fields that send an approved template with its variables filled in.
pub(crate) fn template_fields(template: &Template) -> Result<Vec<(&'static str, String)>, Failure> {
    let invalid = |message: String| Failure::new(FailureKind::TemplateInvalid, message);
    let sid = template.vendor_id.as_deref().filter(|sid| sid.starts_with("HX")).ok_or_else(|| {
        invalid(
            "the template is not known at Twilio; refresh the channel's templates and choose again".into(),
        )
    })?;
    let mut variables = Map::new();
    for slot in &template.slots {
        let text = slot.text.as_deref().map(one_line);
        let value = text.or_else(|| slot.media.as_ref().map(|file| file.url.clone()));
        let value = value.filter(|value| !value.is_empty()).ok_or_else(|| {
            invalid(format!("variable {} of the template is empty; fill in every one", slot.name))
        })?;
        variables.insert(slot.name.clone(), Value::String(value));
    }
    let mut fields = vec![("ContentSid", sid.to_owned())];
    if !variables.is_empty() {
        fields.push(("ContentVariables", Value::Object(variables).to_string()));
    }
    Ok(fields)
}

/// WhatsApp refuses line breaks, tabs and long runs of spaces in variables.
fn one_line(text: &str) -> String {
    let mut line = String::new();
    let mut spaces = 0;
    for c in text.trim().chars().map(|c| if c.is_control() { ' ' } else { c }) {
        spaces = if c == ' ' { spaces + 1 } else { 0 };
        if spaces <= SPACES_MAX {
            line.push(c);
        }
    }
    line
}

/// Makes the resource of buttons or a list and returns its SID. Nothing is sent by
/// that, so whatever happens here, the message did not go out.
pub(crate) async fn create(api: &Api<'_>, effect_id: &str, choices: &Choices) -> Result<String, Failure> {
    let body = json!({
        "friendly_name": format!("pointsman_{effect_id}"),
        "language": api.context.locale.replace('-', "_"),
        "types": kind(choices)?,
    });
    let url = format!("{}/v1/Content", api.settings.content_base());
    let created: Result<Created, Failure> = api.read(api.signed(http::post(url)).json(&body)).await;
    created.map(|created| created.sid).map_err(|failure| {
        let unclear = failure.effect != Certainty::NotPerformed;
        let retry = if unclear { Retry::After(0) } else { failure.retry };
        failure.retry(retry).effect(Certainty::NotPerformed)
    })
}

fn kind(choices: &Choices) -> Result<Value, Failure> {
    let count = choices.items.len();
    if count == 0 || count > ROWS_MAX {
        return Err(Failure::unsupported(format!("WhatsApp shows 1 to {ROWS_MAX} choices; offer fewer")));
    }
    let parts = [choices.header.as_deref(), Some(choices.text.as_str()), choices.footer.as_deref()];
    let body = parts.into_iter().flatten().collect::<Vec<_>>().join("\n\n");
    fits(&body)?;
    let plain = choices.items.iter().all(|item| item.description.is_none());
    let title_max = if choices.list_label.is_none() && plain && count <= BUTTONS_MAX {
        BUTTON_CHARS_MAX
    } else {
        ROW_CHARS_MAX
    };
    for item in &choices.items {
        short(&item.title, title_max, "title")?;
        short(&item.id, ID_CHARS_MAX, "id")?;
        short(item.description.as_deref().unwrap_or("-"), DESCRIPTION_CHARS_MAX, "description")?;
    }
    if title_max == BUTTON_CHARS_MAX {
        let action = |item: &Item| json!({ "type": "QUICK_REPLY", "title": item.title, "id": item.id });
        let actions: Vec<_> = choices.items.iter().map(action).collect();
        return Ok(json!({ "twilio/quick-reply": { "body": body, "actions": actions } }));
    }
    let label = choices.list_label.as_deref().unwrap_or("…");
    short(label, BUTTON_CHARS_MAX, "label of the list")?;
    let row = |item: &Item| match &item.description {
        Some(text) => json!({ "id": item.id, "item": item.title, "description": text }),
        None => json!({ "id": item.id, "item": item.title }),
    };
    let rows: Vec<_> = choices.items.iter().map(row).collect();
    Ok(json!({ "twilio/list-picker": { "body": body, "button": label, "items": rows } }))
}

fn short(text: &str, chars_max: usize, what: &str) -> Result<(), Failure> {
    let chars = text.chars().count();
    if (1..=chars_max).contains(&chars) {
        return Ok(());
    }
    let message = format!("the {what} of a choice must have 1 to {chars_max} characters; shorten it");
    Err(Failure::new(FailureKind::ContentTooLong, message))
}
