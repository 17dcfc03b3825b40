//! The account's templates: Content resources with their WhatsApp approval.

use std::collections::BTreeMap;

use pointsman_plugin::templates::{Button, Page, Slot, Template};
use pointsman_plugin::{Context, Failure, Http, http};
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::api::Api;

/// Templates of one page.
const PAGE_SIZE: &str = "100";

#[derive(Deserialize)]
struct Listing {
    contents: Vec<Content>,
    #[serde(default)]
    meta: Meta,
}

#[derive(Deserialize, Default)]
struct Meta {
    next_page_url: Option<String>,
}

#[derive(Deserialize)]
struct Content {
    sid: String,
    friendly_name: Option<String>,
    language: Option<String>,
    #[serde(default)]
    variables: Option<BTreeMap<String, Value>>,
    #[serde(default)]
    types: Map<String, Value>,
    approval_requests: Option<Approval>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Approval {
    name: Option<String>,
    category: Option<String>,
    status: Option<String>,
}

pub(crate) async fn list_page(context: &Context, cursor: Option<&str>, http: &Http) -> Result<Page, Failure> {
    let api = Api::new(context, http)?;
    let base = api.settings.content_base();
    // A page is a URL of Twilio's choice and gets our credentials: only at the same server.
    let elsewhere = |url: &str| !url.strip_prefix(base).is_some_and(|rest| rest.starts_with('/'));
    let call = match cursor {
        Some(url) if elsewhere(url) => {
            return Err(Failure::bad_response(
                "the list of templates has moved; start again with the first page",
            ));
        }
        Some(url) => http::get(url),
        None => http::get(format!("{base}/v1/ContentAndApprovals")).query("PageSize", PAGE_SIZE),
    };
    let listing: Listing = api.read(api.signed(call)).await?;
    let next = listing.meta.next_page_url.filter(|url| !url.is_empty());
    if next.as_deref().is_some_and(elsewhere) {
        return Err(Failure::bad_response("the next page of templates is at another server; it is not read"));
    }
    Ok(Page { templates: listing.contents.into_iter().map(template).collect(), next })
}

fn template(content: Content) -> Template {
    let approval = content.approval_requests.unwrap_or_default();
    let name = approval.name.filter(|name| !name.is_empty()).or(content.friendly_name);
    let kind = content.types.values().find(|kind| kind.is_object()).cloned().unwrap_or_default();
    let text = |member: &str| kind[member].as_str().unwrap_or("").to_owned();
    let body = text("body");
    let places =
        [("body", body.clone()), ("header", text("header_text")), ("header", kind["media"].to_string())];
    let slots = content.variables.unwrap_or_default().into_iter().map(|(name, example)| {
        let hole = format!("{{{{{name}}}}}");
        let place = places.iter().find(|(_, text)| text.contains(&hole)).map_or("button", |(place, _)| place);
        Slot {
            place: place.to_owned(),
            name,
            example: example.as_str().map(str::to_owned).filter(|text| !text.is_empty()),
        }
    });
    let mut slots: Vec<Slot> = slots.collect();
    // `10` comes after `9`.
    slots.sort_by_key(|slot| (slot.name.parse::<u32>().unwrap_or(u32::MAX), slot.name.clone()));
    Template {
        vendor_id: content.sid,
        name: name.unwrap_or_default(),
        language: content.language.unwrap_or_default(),
        category: approval.category.map(|category| category.to_lowercase()),
        status: approval.status.filter(|status| !status.is_empty()).unwrap_or_else(|| "unsubmitted".into()),
        header: Some(text("header_text")).filter(|header| !header.is_empty()),
        body,
        footer: Some(text("footer")).filter(|footer| !footer.is_empty()),
        slots,
        buttons: buttons(&kind),
        extras: vec![],
    }
}

fn buttons(kind: &Value) -> Vec<Button> {
    let text = |action: &Value, member: &str| action[member].as_str().map(str::to_owned);
    let button = |action: &Value| Button {
        kind: text(action, "type").unwrap_or_default().to_lowercase(),
        title: text(action, "title").unwrap_or_default(),
        value: ["url", "phone", "code", "id"].iter().find_map(|member| text(action, member)),
    };
    kind["actions"].as_array().into_iter().flatten().map(button).collect()
}
