//! A template with its holes filled in, as 1msg wants it: Meta's components. What
//! is fixed in a template is not repeated: the menu of a quick-reply template comes
//! with it by itself.

use pointsman_plugin::sender::{Slot, Template};
use pointsman_plugin::{Failure, FailureKind};
use serde_json::{Value, json};

/// Stands between a template's namespace and its id in what the host keeps.
pub(crate) const SEPARATOR: char = '/';

pub(crate) fn body(template: &Template, chat: &str) -> Result<Value, Failure> {
    let mut params = vec![];
    for place in places(&template.slots) {
        let slots: Vec<&Slot> = template.slots.iter().filter(|slot| slot.place == place).collect();
        let parameters = slots.iter().map(|slot| parameter(slot)).collect::<Result<Vec<_>, _>>()?;
        params.push(match place.strip_prefix("button") {
            Some(rest) => {
                let index: u32 = rest.trim_start_matches('.').parse().unwrap_or(0);
                json!({ "type": "button", "sub_type": "url", "index": index, "parameters": parameters })
            }
            None => json!({ "type": place, "parameters": parameters }),
        });
    }
    let mut body = json!({
        "template": template.name,
        "language": { "policy": "deterministic", "code": template.language },
        "params": params,
    });
    // The only recipient that every version takes is a number; hidden ones are written as chats.
    match chat.strip_suffix("@c.us") {
        Some(digits) => body["phone"] = json!(digits),
        None => body["chatId"] = json!(chat),
    }
    let namespace =
        template.vendor_id.as_deref().and_then(|id| id.split_once(SEPARATOR)).map(|(space, _)| space);
    if let Some(namespace) = namespace.filter(|it| !it.is_empty()) {
        body["namespace"] = json!(namespace);
    }
    Ok(body)
}

/// Places in the order of first use.
fn places(slots: &[Slot]) -> Vec<&str> {
    let mut places: Vec<&str> = vec![];
    for slot in slots {
        if !places.contains(&slot.place.as_str()) {
            places.push(&slot.place);
        }
    }
    places
}

fn parameter(slot: &Slot) -> Result<Value, Failure> {
    if let Some(file) = &slot.media {
        let kind = match file.content_type.split('/').next() {
            Some("image") => "image",
            Some("video") => "video",
            _ => "document",
        };
        return Ok(json!({ "type": kind, kind: { "link": file.url } }));
    }
    let text = slot.text.as_deref().map(one_line).filter(|text| !text.is_empty());
    let text = text.ok_or_else(|| {
        let message = format!("variable {} of the template is empty; fill in every one", slot.name);
        Failure::new(FailureKind::TemplateInvalid, message)
    })?;
    if slot.name.bytes().all(|c| c.is_ascii_digit()) {
        return Ok(json!({ "type": "text", "text": text }));
    }
    Ok(json!({ "type": "text", "parameter_name": slot.name, "text": text }))
}

/// WhatsApp refuses line breaks, tabs and more than four spaces in variables.
fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}
