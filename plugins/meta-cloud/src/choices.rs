//! Buttons and lists on WhatsApp. Limits after Meta's pages on interactive
//! messages; what does not fit is refused with its limit, never cut.

use std::collections::BTreeSet;

use pointsman_plugin::sender::{Choices, Item};
use pointsman_plugin::{Failure, FailureKind};
use serde_json::{Value, json};

/// Buttons of one message; more become a list.
pub(crate) const BUTTONS_MAX: usize = 3;
/// Rows of a list, over all of its sections.
pub(crate) const ROWS_MAX: usize = 10;
/// Text of the message, characters.
const BODY_CHARS_MAX: usize = 1_024;
/// Header and footer, characters.
const EDGE_CHARS_MAX: usize = 60;
/// Title of a button, and the label that opens a list, characters.
const BUTTON_CHARS_MAX: usize = 20;
/// Title of a row, characters.
const ROW_CHARS_MAX: usize = 24;
/// Small print of a row, characters.
const DESCRIPTION_CHARS_MAX: usize = 72;
/// Id of a row, characters; buttons take 256.
const ID_CHARS_MAX: usize = 200;
/// What opens a list when nobody says it: no word fits every language.
const LABEL: &str = "…";

pub(crate) fn object(choices: &Choices) -> Result<Value, Failure> {
    let count = choices.items.len();
    if count == 0 || count > ROWS_MAX {
        return Err(Failure::unsupported(format!("WhatsApp shows 1 to {ROWS_MAX} choices; offer fewer")));
    }
    fits(&choices.text, BODY_CHARS_MAX, "text")?;
    for (what, text) in [("header", &choices.header), ("footer", &choices.footer)] {
        fits(text.as_deref().unwrap_or("-"), EDGE_CHARS_MAX, what)?;
    }
    let distinct: BTreeSet<&str> = choices.items.iter().map(|item| item.id.as_str()).collect();
    if distinct.len() < count {
        let message = "two choices have the same id; give each its own";
        return Err(Failure::new(FailureKind::ContentRejected, message));
    }
    let plain = choices.items.iter().all(|item| item.description.is_none());
    let is_buttons = choices.list_label.is_none() && plain && count <= BUTTONS_MAX;
    let title_max = if is_buttons { BUTTON_CHARS_MAX } else { ROW_CHARS_MAX };
    for item in &choices.items {
        fits(&item.title, title_max, "title of a choice")?;
        fits(&item.id, ID_CHARS_MAX, "id of a choice")?;
        fits(item.description.as_deref().unwrap_or("-"), DESCRIPTION_CHARS_MAX, "description of a choice")?;
    }
    let label = choices.list_label.as_deref().unwrap_or(LABEL);
    fits(label, BUTTON_CHARS_MAX, "label of the list")?;
    let mut object = if is_buttons { buttons(&choices.items) } else { list(&choices.items, label) };
    object["body"] = json!({ "text": choices.text });
    if let Some(header) = &choices.header {
        object["header"] = json!({ "type": "text", "text": header });
    }
    if let Some(footer) = &choices.footer {
        object["footer"] = json!({ "text": footer });
    }
    Ok(object)
}

fn buttons(items: &[Item]) -> Value {
    let button = |item: &Item| json!({ "type": "reply", "reply": { "id": item.id, "title": item.title } });
    json!({ "type": "button", "action": { "buttons": items.iter().map(button).collect::<Vec<_>>() } })
}

fn list(items: &[Item], label: &str) -> Value {
    let row = |item: &Item| match &item.description {
        Some(text) => json!({ "id": item.id, "title": item.title, "description": text }),
        None => json!({ "id": item.id, "title": item.title }),
    };
    let rows: Vec<Value> = items.iter().map(row).collect();
    json!({ "type": "list", "action": { "button": label, "sections": [{ "rows": rows }] } })
}

fn fits(text: &str, chars_max: usize, what: &str) -> Result<(), Failure> {
    if (1..=chars_max).contains(&text.chars().count()) {
        return Ok(());
    }
    let message = format!("the {what} must have 1 to {chars_max} characters; shorten it");
    Err(Failure::new(FailureKind::ContentTooLong, message))
}
