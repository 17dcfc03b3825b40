//! SMS numbers: `IncomingPhoneNumbers`.

use pointsman_plugin::{Failure, http};
use serde::Deserialize;
use serde_json::{Map, Value};

use super::{Line, PAGES_MAX};
use crate::api::Api;

#[derive(Deserialize)]
struct Listing {
    incoming_phone_numbers: Vec<Number>,
    next_page_uri: Option<String>,
}

#[derive(Deserialize)]
struct Number {
    sid: String,
    phone_number: String,
    friendly_name: Option<String>,
    sms_url: Option<String>,
    #[serde(default)]
    capabilities: Value,
}

pub(super) async fn find(api: &Api<'_>, address: &str) -> Result<Option<Line>, Failure> {
    let call = http::get(api.resource("IncomingPhoneNumbers.json")).query("PhoneNumber", address);
    let listing: Listing = api.read(api.signed(call)).await?;
    Ok(listing.incoming_phone_numbers.into_iter().find(|number| number.phone_number == address).map(line))
}

pub(super) async fn all(api: &Api<'_>) -> Result<Vec<Line>, Failure> {
    let mut call = http::get(api.resource("IncomingPhoneNumbers.json")).query("PageSize", "100");
    let mut lines = vec![];
    for _ in 0..PAGES_MAX {
        let listing: Listing = api.read(api.signed(call)).await?;
        lines.extend(listing.incoming_phone_numbers.into_iter().map(line));
        let Some(next) = listing.next_page_uri.filter(|uri| uri.starts_with('/')) else { break };
        call = http::get(format!("{}{next}", api.settings.base()));
    }
    Ok(lines)
}

fn line(number: Number) -> Line {
    let mut warnings = vec![];
    if number.capabilities["sms"] == false {
        warnings.push("This number cannot send or receive SMS.".to_owned());
    }
    Line {
        sid: number.sid,
        label: number.friendly_name.unwrap_or_else(|| number.phone_number.clone()),
        address: number.phone_number,
        webhook_url: number.sms_url,
        warnings,
        others: Map::new(),
    }
}

/// Only the SMS webhook; voice and fallbacks stay as they are.
pub(super) async fn set_webhook(api: &Api<'_>, line: &Line, url: &str) -> Result<(), Failure> {
    let resource = api.resource(&format!("IncomingPhoneNumbers/{}.json", line.sid));
    let fields = [("SmsUrl", url), ("SmsMethod", "POST")];
    api.succeed(api.signed(http::post(resource)).form(fields).idempotent()).await.map(drop)
}
