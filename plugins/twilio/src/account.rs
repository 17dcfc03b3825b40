//! The account behind a channel: test the connection, point the number's webhook
//! at us, list the numbers. The account's record holds the auth token; only the
//! fields named here are ever read from it.

use pointsman_plugin::account::{Address, Report, Task};
use pointsman_plugin::{Context, Failure, FailureKind, Http, Retry, http};
use serde::Deserialize;

use crate::address::{self, WHATSAPP_KIND};
use crate::api::Api;

mod number;
mod sender;

/// Without this Twilio does not repeat a webhook after a server error: it would
/// only stay in Twilio's own log. Five repeats, on any trouble, 10 s for an answer
/// (Twilio's "connection overrides").
pub(crate) const RETRY_FRAGMENT: &str = "#rc=5&rp=all&rt=10000";
/// Twilio's shared number for trying out WhatsApp.
const SANDBOX: &str = "whatsapp:+14155238886";
/// Pages of numbers that are read; an account with more is listed in part.
const PAGES_MAX: usize = 4;

#[derive(Deserialize)]
struct Record {
    friendly_name: Option<String>,
    status: Option<String>,
    #[serde(rename = "type")]
    kind: Option<String>,
}

/// A number of the account, whatever it is for.
struct Line {
    /// Where it is changed.
    sid: String,
    address: String,
    label: String,
    webhook_url: Option<String>,
    warnings: Vec<String>,
    /// WhatsApp: URLs beside ours which a change must repeat.
    others: serde_json::Map<String, serde_json::Value>,
}

pub(crate) async fn run(context: &Context, task: Task, http: &Http) -> Result<Report, Failure> {
    let api = Api::new(context, http)?;
    match task {
        Task::Check => check(&api).await,
        Task::Connect => connect(&api).await,
        Task::Disconnect => disconnect(&api).await,
        Task::ListAddresses => list_addresses(&api).await,
        Task::Other(_) => Err(Failure::unsupported("this plugin is older than what was asked of it")),
    }
}

async fn check(api: &Api<'_>) -> Result<Report, Failure> {
    let url = format!("{}/2010-04-01/Accounts/{}.json", api.settings.base(), api.settings.account_sid());
    // The auth token must be right even where an API key sends: it signs the webhooks.
    let record: Record = api.read(api.signed_by_owner(http::get(url))).await?;
    if let Some(status) = record.status.as_deref().filter(|status| *status != "active") {
        let message = format!("the Twilio account is {status}; look into the Twilio console");
        return Err(Failure::new(FailureKind::PermissionDenied, message).retry(Retry::AfterOwnerActs));
    }
    let mut warnings = vec![];
    if record.kind.as_deref() == Some("Trial") {
        warnings.push("This is a trial account: it only writes to verified numbers.".to_owned());
    }
    let address = api.address()?;
    let found = match find(api, &address).await {
        Ok(found) => found,
        Err(failure) if failure.kind == FailureKind::AuthFailed => return Err(failure),
        Err(failure) => {
            warnings.push(format!("The number could not be looked up: {}.", failure.message));
            return Ok(report(record.friendly_name, &address, None, warnings));
        }
    };
    let webhook_url = match found {
        Some(line) => {
            warnings.extend(line.warnings);
            line.webhook_url
        }
        None => {
            warnings.push(not_found(&address));
            None
        }
    };
    if webhook_url.as_deref().is_some_and(|url| !is_ours(api, url)) {
        warnings.push("Messages go to another webhook now; connect the channel to receive them.".to_owned());
    }
    Ok(report(record.friendly_name, &address, webhook_url, warnings))
}

async fn connect(api: &Api<'_>) -> Result<Report, Failure> {
    let address = api.address()?;
    let line = find(api, &address).await?.ok_or_else(|| {
        Failure::new(FailureKind::SettingsInvalid, not_found(&address)).retry(Retry::AfterOwnerActs)
    })?;
    let url = our_url(api);
    if line.webhook_url.as_deref() != Some(url.as_str()) {
        set_webhook(api, &line, &url).await?;
    }
    let mut warnings = line.warnings;
    if api.settings.messaging_service_sid().is_some() {
        warnings.push(
            "Numbers of a messaging service may use the service's own webhook; set \"Defer to sender's webhook\" in its integration settings."
                .to_owned(),
        );
    }
    Ok(report(None, &address, Some(url), warnings))
}

async fn disconnect(api: &Api<'_>) -> Result<Report, Failure> {
    let address = api.address()?;
    let Some(line) = find(api, &address).await? else { return Ok(report(None, &address, None, vec![])) };
    if line.webhook_url.as_deref().is_some_and(|url| is_ours(api, url)) {
        set_webhook(api, &line, "").await?;
        return Ok(report(None, &address, None, vec![]));
    }
    Ok(report(None, &address, line.webhook_url, vec![]))
}

async fn list_addresses(api: &Api<'_>) -> Result<Report, Failure> {
    let lines =
        if api.context.kind == WHATSAPP_KIND { sender::all(api).await? } else { number::all(api).await? };
    let kinds = vec![api.context.kind.clone()];
    let address = |line: Line| Address { address: line.address, label: line.label, kinds: kinds.clone() };
    let addresses = lines.into_iter().map(address).collect();
    Ok(Report { addresses, ..report(None, "", None, vec![]) })
}

async fn find(api: &Api<'_>, address: &str) -> Result<Option<Line>, Failure> {
    if api.context.kind == WHATSAPP_KIND {
        let lines = sender::all(api).await?;
        return Ok(lines.into_iter().find(|line| line.address == address));
    }
    // Short codes and sender names are not among the account's numbers.
    if address::phone(address).is_none() { Ok(None) } else { number::find(api, address).await }
}

async fn set_webhook(api: &Api<'_>, line: &Line, url: &str) -> Result<(), Failure> {
    if api.context.kind == WHATSAPP_KIND {
        sender::set_webhook(api, line, url).await
    } else {
        number::set_webhook(api, line, url).await
    }
}

fn not_found(address: &str) -> String {
    if address == SANDBOX {
        return "This is WhatsApp's sandbox: enter the webhook URL in the Twilio console, under the sandbox settings.".into();
    }
    "The number is not one of this account's; check the number, or set the webhook URL in the Twilio console."
        .into()
}

fn report(name: Option<String>, address: &str, webhook_url: Option<String>, warnings: Vec<String>) -> Report {
    Report {
        display_name: name,
        address: Some(address.to_owned()).filter(|address| !address.is_empty()),
        webhook_url: webhook_url.filter(|url| !url.is_empty()),
        addresses: vec![],
        warnings,
        extras: vec![],
    }
}

/// The webhook URL with the wish for repeats, unless it carries a fragment already.
fn our_url(api: &Api<'_>) -> String {
    let url = &api.context.webhook_url;
    if url.contains('#') { url.clone() } else { format!("{url}{RETRY_FRAGMENT}") }
}

fn is_ours(api: &Api<'_>, url: &str) -> bool {
    let bare = |url: &str| url.split('#').next().unwrap_or("").to_owned();
    !url.is_empty() && bare(url) == bare(&api.context.webhook_url)
}
