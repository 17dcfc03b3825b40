//! The account's templates, with their holes. The list says upper case, a message
//! lower case; the same name exists once for each language.

use pointsman_plugin::templates::{Button, Page, Slot, Template};
use pointsman_plugin::{Context, Failure, FailureKind, Http, http};
use serde::Deserialize;
use serde_json::Value;

use crate::api::Api;
use crate::json::{id, list, text};
use crate::news;
use crate::template::{CODE, FILE_HEADERS, PLACE_HEADER};

/// Templates of one page.
const PAGE_SIZE: &str = "100";
const FIELDS: &str = "id,name,language,status,category,parameter_format,components";

#[derive(Deserialize)]
struct Listing {
    data: Vec<Value>,
    #[serde(default)]
    paging: Value,
}

pub(crate) async fn list_page(context: &Context, cursor: Option<&str>, http: &Http) -> Result<Page, Failure> {
    let api = Api::new(context, http)?;
    let account = api.settings.business_account_id().ok_or_else(|| {
        let message = "templates belong to the WhatsApp Business Account; enter its id in the settings";
        Failure::new(FailureKind::SettingsInvalid, message)
    })?;
    let call = http::get(api.url(&format!("{account}/message_templates")));
    let mut call = call.query("fields", FIELDS).query("limit", PAGE_SIZE);
    if let Some(after) = cursor {
        call = call.query("after", after);
    }
    let listing: Listing = api.read(call).await?;
    // `next` is a whole URL with the token in it; the cursor alone is enough.
    let has_next = listing.paging["next"].is_string();
    let next = text(&listing.paging["cursors"], "after").filter(|_| has_next);
    Ok(Page { templates: listing.data.iter().filter_map(template).collect(), next })
}

fn template(it: &Value) -> Option<Template> {
    let components = list(it, "components");
    let component = |kind: &str| components.iter().find(|it| it["type"] == kind).unwrap_or(&Value::Null);
    let (header, body) = (component("HEADER"), component("BODY"));
    let buttons = list(component("BUTTONS"), "buttons");
    let mut slots = header_slots(header);
    slots.extend(holes(body, "body", "text", &examples(body, "body_text", "body_text_named_params")));
    slots.extend(buttons.iter().enumerate().flat_map(|(at, button)| button_slots(at, button)));
    Some(Template {
        vendor_id: id(it, "id").unwrap_or_default(),
        name: text(it, "name")?,
        language: text(it, "language")?,
        category: text(it, "category").map(|category| category.to_lowercase()),
        status: news::state(&text(it, "status").unwrap_or_else(|| "UNKNOWN".into())),
        header: None,
        body: text(body, "text").unwrap_or_default(),
        footer: None,
        slots,
        buttons: buttons.iter().map(button).collect(),
        extras: vec![],
    })
}

fn header_slots(header: &Value) -> Vec<Slot> {
    let format = text(header, "format").unwrap_or_default().to_lowercase();
    let slot = |name: &str| Slot { place: "header".into(), name: name.into(), example: None };
    match format.as_str() {
        "text" => {
            holes(header, "header", "text", &examples(header, "header_text", "header_text_named_params"))
        }
        "location" => PLACE_HEADER.iter().map(|name| slot(name)).collect(),
        kind if FILE_HEADERS.contains(&kind) => vec![slot(kind)],
        // A GIF is a video to WhatsApp.
        "gif" => vec![slot("video")],
        _ => vec![],
    }
}

/// Examples by name, or by number from 1 on: `[["Ana","881"]]`, `["881"]` or `[{param_name, example}]`.
fn examples(component: &Value, by_number: &str, by_name: &str) -> Vec<(String, String)> {
    let example = &component["example"];
    let first = &example[by_number][0];
    let numbered = if first.is_array() { first } else { &example[by_number] };
    let values = numbered.as_array().map_or(&[][..], Vec::as_slice);
    let numbered = values
        .iter()
        .enumerate()
        .filter_map(|(at, value)| Some(((at + 1).to_string(), value.as_str()?.to_owned())));
    let named =
        list(example, by_name).iter().filter_map(|it| Some((text(it, "param_name")?, text(it, "example")?)));
    numbered.chain(named).collect()
}

/// The holes `{{…}}` of a text, each once.
fn holes(of: &Value, place: &str, member: &str, examples: &[(String, String)]) -> Vec<Slot> {
    let text = text(of, member).unwrap_or_default();
    let mut slots: Vec<Slot> = vec![];
    for piece in text.split("{{").skip(1) {
        let Some((name, _)) = piece.split_once("}}") else { continue };
        let name = name.trim();
        if name.is_empty() || slots.iter().any(|slot| slot.name == name) {
            continue;
        }
        let example = examples.iter().find(|(key, _)| key == name).map(|(_, value)| value.clone());
        slots.push(Slot { place: place.into(), name: name.into(), example });
    }
    slots
}

fn button_slots(at: usize, button: &Value) -> Vec<Slot> {
    let place = format!("button.{at}");
    let example = list(button, "example").first().or(Some(&button["example"]));
    let example = example.and_then(Value::as_str).map(str::to_owned);
    match button["type"].as_str() {
        Some("URL") => {
            let mut slots = holes(button, &place, "url", &[]);
            slots.iter_mut().for_each(|slot| slot.example.clone_from(&example));
            slots
        }
        // The button that copies or fills in a one-time password takes it as a variable of its URL.
        Some("OTP") => vec![Slot { place, name: "1".into(), example }],
        Some("COPY_CODE") => vec![Slot { place, name: CODE.into(), example }],
        _ => vec![],
    }
}

fn button(it: &Value) -> Button {
    Button {
        kind: text(it, "type").unwrap_or_default().to_lowercase(),
        title: text(it, "text").unwrap_or_default(),
        value: ["url", "phone_number"].iter().find_map(|member| text(it, member)),
    }
}
