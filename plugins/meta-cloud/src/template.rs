//! A template with its holes filled. Numbering restarts in each component, named
//! holes carry their name, and a button is found by its place in the template.

use std::collections::BTreeMap;

use pointsman_plugin::sender::{Slot, Template};
use pointsman_plugin::webhook::Location;
use pointsman_plugin::{Failure, FailureKind};
use serde_json::{Value, json};

use crate::api::Api;
use crate::{media, send};

/// Holes of a header that are no text: a file, or a place.
pub(crate) const FILE_HEADERS: [&str; 3] = ["image", "video", "document"];
pub(crate) const PLACE_HEADER: [&str; 4] = ["latitude", "longitude", "name", "address"];
/// The hole of a button that copies a code.
pub(crate) const CODE: &str = "code";

pub(crate) async fn object(api: &Api<'_>, template: &Template) -> Result<Value, Failure> {
    let mut places: BTreeMap<&str, Vec<&Slot>> = BTreeMap::new();
    for slot in &template.slots {
        places.entry(slot.place.as_str()).or_default().push(slot);
    }
    let mut components = vec![];
    for (place, mut slots) in places {
        // `10` comes after `9`.
        slots.sort_by_key(|slot| (slot.name.parse::<u32>().unwrap_or(u32::MAX), slot.name.clone()));
        components.push(match place {
            "header" => json!({ "type": "header", "parameters": header(api, &slots).await? }),
            "body" => json!({ "type": "body", "parameters": texts(&slots)? }),
            button => self::button(button.strip_prefix("button").unwrap_or(""), &slots)?,
        });
    }
    let mut object = json!({ "name": template.name, "language": { "code": template.language } });
    if !components.is_empty() {
        object["components"] = components.into();
    }
    Ok(object)
}

fn empty(slot: &Slot) -> Failure {
    let message = format!("variable {} of the template is empty; fill in every one", slot.name);
    Failure::new(FailureKind::TemplateInvalid, message)
}

/// WhatsApp refuses line breaks, tabs and long runs of spaces in variables.
fn filled(slot: &Slot) -> Result<String, Failure> {
    let words: Vec<&str> = slot.text.as_deref().unwrap_or("").split_whitespace().collect();
    if words.is_empty() { Err(empty(slot)) } else { Ok(words.join(" ")) }
}

fn texts(slots: &[&Slot]) -> Result<Vec<Value>, Failure> {
    let parameter = |slot: &&Slot| {
        let mut parameter = json!({ "type": "text", "text": filled(slot)? });
        if slot.name.parse::<u32>().is_err() {
            parameter["parameter_name"] = json!(slot.name);
        }
        Ok(parameter)
    };
    slots.iter().map(parameter).collect()
}

async fn header(api: &Api<'_>, slots: &[&Slot]) -> Result<Vec<Value>, Failure> {
    if let [slot] = slots {
        if let Some(file) = &slot.media {
            let kind = send::kind_of(file.family);
            let mut object = json!({ "id": media::upload(api, file).await? });
            if kind == "document" {
                object["filename"] = json!(file.file_name);
            }
            return Ok(vec![json!({ "type": kind, kind: object })]);
        }
        if FILE_HEADERS.contains(&slot.name.as_str()) {
            let link = filled(slot)?;
            return Ok(vec![json!({ "type": slot.name, slot.name.as_str(): { "link": link } })]);
        }
    }
    if slots.iter().any(|slot| slot.name == "latitude") {
        place(slots).map(|place| vec![place])
    } else {
        texts(slots)
    }
}

fn place(slots: &[&Slot]) -> Result<Value, Failure> {
    let text = |name: &str| slots.iter().find(|slot| slot.name == name).map(|slot| filled(slot)).transpose();
    let degrees = |name: &str| {
        let value = text(name)?.and_then(|text| text.parse::<f64>().ok()).filter(|value| value.is_finite());
        value.ok_or_else(|| {
            let message = format!("the {name} of the template's place must be a number of degrees");
            Failure::new(FailureKind::TemplateInvalid, message)
        })
    };
    let place = Location {
        latitude: degrees("latitude")?,
        longitude: degrees("longitude")?,
        name: text("name")?,
        address: text("address")?,
    };
    Ok(json!({ "type": "location", "location": send::location(&place) }))
}

/// `.2`: the third button of the template.
fn button(place: &str, slots: &[&Slot]) -> Result<Value, Failure> {
    let index = place.strip_prefix('.').unwrap_or("0");
    let [slot] = slots else {
        return Err(Failure::new(FailureKind::TemplateInvalid, "a button of a template has one variable"));
    };
    let value = filled(slot)?;
    let (kind, parameter) = match slot.name.as_str() {
        CODE => ("copy_code", json!({ "type": "coupon_code", "coupon_code": value })),
        _ => ("url", json!({ "type": "text", "text": value })),
    };
    Ok(json!({ "type": "button", "sub_type": kind, "index": index, "parameters": [parameter] }))
}
