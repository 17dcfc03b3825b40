//! The account's templates. The list comes in several forms: bare or in an object,
//! components as JSON or as text that holds JSON, a language as text or object.

use pointsman_plugin::templates::{Button, Page, Slot, Template};
use pointsman_plugin::{Context, Failure, Http};
use serde_json::Value;

use crate::api::Api;
use crate::errors;
use crate::inbound::text;
use crate::template::SEPARATOR;

/// Templates of one page; a shorter one is the last.
const PAGE_ROWS: usize = 100;
/// What a header that is no text holds.
const MEDIA_HEADERS: [&str; 3] = ["IMAGE", "VIDEO", "DOCUMENT"];
/// Names that a namespace has had.
const NAMESPACES: [&str; 3] = ["namespace", "message_template_namespace", "messageTemplateNamespace"];

pub(crate) async fn list_page(context: &Context, cursor: Option<&str>, http: &Http) -> Result<Page, Failure> {
    let api = Api::new(context, http)?;
    let offset: usize = cursor.and_then(|text| text.parse().ok()).unwrap_or(0);
    let call = api.get("templates").query("limit", PAGE_ROWS.to_string()).query("offset", offset.to_string());
    let answer = api.read(call).await?;
    let Some(rows) = answer.as_array().or_else(|| answer["templates"].as_array()) else {
        return Err(errors::unsent(&answer));
    };
    // Equal on all templates of an account, and missing on some.
    let common = rows.iter().find_map(namespace);
    let total = answer["total"].as_u64().and_then(|total| usize::try_from(total).ok());
    // Old versions know no pages and send everything at once.
    let is_last = rows.len() != PAGE_ROWS || total.is_some_and(|total| offset + rows.len() >= total);
    let next = (!is_last).then(|| (offset + rows.len()).to_string());
    Ok(Page { templates: rows.iter().filter_map(|row| template(row, common)).collect(), next })
}

fn namespace(row: &Value) -> Option<&str> {
    NAMESPACES.iter().find_map(|name| row[*name].as_str()).filter(|it| !it.is_empty())
}

fn template(row: &Value, common: Option<&str>) -> Option<Template> {
    let name = text(row, "name")?;
    let language = text(row, "language").or_else(|| text(&row["language"], "code")).unwrap_or_default();
    let components = match &row["components"] {
        Value::String(json) => serde_json::from_str(json).unwrap_or_default(),
        other => other.clone(),
    };
    let components = components.as_array().cloned().unwrap_or_default();
    let of = |kind: &str| {
        components.iter().find(|it| it["type"].as_str().is_some_and(|t| t.eq_ignore_ascii_case(kind)))
    };
    let body = of("BODY").and_then(|it| text(it, "text")).unwrap_or_default();
    let id = text(row, "id").unwrap_or_else(|| format!("{name}|{language}"));
    let space = namespace(row).or(common).unwrap_or_default();
    Some(Template {
        vendor_id: format!("{space}{SEPARATOR}{id}"),
        language,
        category: text(row, "category").map(|category| category.to_lowercase()),
        status: text(row, "status").unwrap_or_default().to_lowercase(),
        slots: slots(&body, of("HEADER"), of("BUTTONS")),
        buttons: buttons(of("BUTTONS")),
        header: None,
        body,
        footer: None,
        name,
        extras: vec![],
    })
}

/// Header, body, then buttons by their position. Fixed buttons have no hole: the menu comes by itself.
fn slots(body: &str, header: Option<&Value>, buttons: Option<&Value>) -> Vec<Slot> {
    let slot = |place: &str, name: String| Slot { place: place.to_owned(), name, example: None };
    let mut slots = vec![];
    if let Some(header) = header {
        match text(header, "format") {
            Some(format) if MEDIA_HEADERS.contains(&format.as_str()) => {
                slots.push(slot("header", format.to_lowercase()))
            }
            _ => slots.extend(
                holes(&text(header, "text").unwrap_or_default()).into_iter().map(|name| slot("header", name)),
            ),
        }
    }
    slots.extend(holes(body).into_iter().map(|name| slot("body", name)));
    let all = buttons.and_then(|it| it["buttons"].as_array());
    for (index, button) in all.into_iter().flatten().enumerate() {
        let found = holes(&text(button, "url").unwrap_or_default());
        slots.extend(found.into_iter().map(|name| slot(&format!("button.{index}"), name)));
    }
    slots
}

/// Names in double braces, each once; numbers by value, names in the order of the text.
fn holes(text: &str) -> Vec<String> {
    let mut names: Vec<String> = vec![];
    for part in text.split("{{").skip(1) {
        let Some((name, _)) = part.split_once("}}") else { continue };
        let name = name.trim().to_owned();
        if !name.is_empty() && !name.contains(['{', '}']) && !names.contains(&name) {
            names.push(name);
        }
    }
    if names.iter().all(|name| name.parse::<u32>().is_ok()) {
        names.sort_by_key(|name| name.parse::<u32>().unwrap_or(u32::MAX));
    }
    names
}

fn buttons(component: Option<&Value>) -> Vec<Button> {
    let all = component.and_then(|it| it["buttons"].as_array());
    let button = |it: &Value| Button {
        kind: text(it, "type").unwrap_or_default().to_lowercase(),
        title: text(it, "text").unwrap_or_default(),
        value: ["url", "phone_number"].iter().find_map(|name| text(it, name)),
    };
    all.into_iter().flatten().map(button).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn holes_are_named_once_and_numbers_in_order() {
        assert_eq!(holes("{{2}} {{ 10 }} {{1}} {{2}}"), ["1", "2", "10"]);
        assert_eq!(holes("{{name}} has {{order_id}}"), ["name", "order_id"]);
        assert_eq!(holes("{{}} {{a"), Vec::<String>::new());
    }
}
