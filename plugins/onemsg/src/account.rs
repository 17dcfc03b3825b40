//! The channel at 1msg: test it, and add our webhook to those it has. Its cabinet
//! keeps one of its own there, which must stay.

use pointsman_plugin::account::{Address, Report, Task};
use pointsman_plugin::{Context, Failure, FailureKind, Http, Retry};
use serde_json::{Value, json};

use crate::api::Api;

/// Webhooks that 1msg keeps for one channel.
const WEBHOOKS_MAX: usize = 5;

pub(crate) async fn run(context: &Context, task: Task, http: &Http) -> Result<Report, Failure> {
    let api = Api::new(context, http)?;
    match task {
        Task::Check => check(&api).await,
        Task::Connect => connect(&api).await,
        Task::Disconnect => disconnect(&api).await,
        Task::ListAddresses => Ok(Report { addresses: own_address(context), ..report(&api, &[]) }),
        Task::Other(_) => Err(Failure::unsupported("this plugin is older than what was asked of it")),
    }
}

async fn check(api: &Api<'_>) -> Result<Report, Failure> {
    let answer = api.read(api.get("status")).await?;
    match answer["status"].as_str().unwrap_or("") {
        "connected" | "connecting" => {}
        "unregistered" => {
            let message = "the channel has no WhatsApp number yet; finish setting it up in the 1msg cabinet";
            return Err(Failure::new(FailureKind::PermissionDenied, message).retry(Retry::AfterOwnerActs));
        }
        "disconnected" | "uninitialized" => {
            let message =
                "1msg has no connection to WhatsApp now; it comes back by itself, or the cabinet says more";
            return Err(Failure::new(FailureKind::VendorUnavailable, message).retry(Retry::After(0)));
        }
        _ => {
            return Err(Failure::bad_response(
                "1msg does not say how the channel is; is the API URL the channel's own?",
            ));
        }
    }
    let webhooks = webhooks(api).await?;
    let mut report = report(api, &webhooks);
    if !webhooks.contains(&api.context.webhook_url) {
        report.warnings.push("1msg does not call us; connect the channel to receive messages.".to_owned());
    }
    Ok(report)
}

/// Adds ours, reads the list again to be sure, and asks for news of deliveries.
async fn connect(api: &Api<'_>) -> Result<Report, Failure> {
    let mut webhooks = webhooks(api).await?;
    if !webhooks.contains(&api.context.webhook_url) {
        if webhooks.len() >= WEBHOOKS_MAX {
            let message = format!(
                "the channel has {WEBHOOKS_MAX} webhooks, as many as 1msg keeps; remove one in the cabinet"
            );
            return Err(Failure::new(FailureKind::SettingsInvalid, message).retry(Retry::AfterOwnerActs));
        }
        webhooks.push(api.context.webhook_url.clone());
    }
    // Also when it is there: 1msg switches a webhook off that failed for long, and on again by this.
    write(api, &webhooks).await?;
    let settings = json!({ "ackNotificationsOn": true });
    api.read(api.post("settings", &settings).idempotent()).await?;
    let webhooks = self::webhooks(api).await?;
    if !webhooks.contains(&api.context.webhook_url) {
        return Err(Failure::bad_response("1msg did not keep our webhook; add it in the cabinet"));
    }
    Ok(report(api, &webhooks))
}

async fn disconnect(api: &Api<'_>) -> Result<Report, Failure> {
    let mut webhooks = webhooks(api).await?;
    if webhooks.contains(&api.context.webhook_url) {
        webhooks.retain(|url| *url != api.context.webhook_url);
        if webhooks.is_empty() {
            let none = json!({ "webhookUrl": "" });
            api.read(api.post("settings", &none).idempotent()).await?;
        } else {
            write(api, &webhooks).await?;
        }
    }
    Ok(report(api, &webhooks))
}

async fn write(api: &Api<'_>, webhooks: &[String]) -> Result<(), Failure> {
    let body = json!({ "webhookUrl": webhooks });
    api.read(api.post("webhook", &body).idempotent()).await.map(drop)
}

/// A URL, several with commas between, or a list.
async fn webhooks(api: &Api<'_>) -> Result<Vec<String>, Failure> {
    let answer = api.read(api.get("webhook")).await?;
    let urls: Vec<&str> = match &answer["webhookUrl"] {
        Value::String(urls) => urls.split(',').collect(),
        Value::Array(urls) => urls.iter().filter_map(Value::as_str).collect(),
        _ => vec![],
    };
    Ok(urls.into_iter().map(|url| url.trim().to_owned()).filter(|url| !url.is_empty()).collect())
}

fn own_address(context: &Context) -> Vec<Address> {
    let address = context.address.clone();
    let own = Address { label: address.clone(), address, kinds: vec![context.kind.clone()] };
    if own.address.is_empty() { vec![] } else { vec![own] }
}

/// The cabinet's own webhook beside ours takes nothing away.
fn report(api: &Api<'_>, webhooks: &[String]) -> Report {
    let ours = webhooks.iter().find(|url| **url == api.context.webhook_url);
    Report {
        display_name: None,
        address: None,
        webhook_url: ours.cloned(),
        addresses: vec![],
        warnings: vec![],
        extras: vec![],
    }
}
