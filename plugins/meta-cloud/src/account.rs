//! The account behind a channel: test the connection, point the number's webhook
//! at us, list the numbers. A WhatsApp number has its own webhook URL, which wins
//! over the account's and the app's; a page is subscribed to the app's.

use pointsman_plugin::account::{Address, Report, Task};
use pointsman_plugin::{Context, Failure, FailureKind, Http, Retry, http};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::api::Api;
use crate::json::{list, text};
use crate::settings::{MESSENGER, VERIFY_TOKEN, WHATSAPP};

const NUMBER_FIELDS: &str =
    "verified_name,display_phone_number,quality_rating,code_verification_status,status,webhook_configuration";
const PAGE_FIELDS: &str = "messages,messaging_postbacks,message_deliveries,message_reads,message_echoes,message_reactions,message_edits";
/// Whose webhook URL counts: the number's before the account's before the app's.
const PRECEDENCE: [&str; 3] = ["phone_number", "whatsapp_business_account", "application"];
/// Numbers that are listed; an account has two, and 20 at most.
const NUMBERS_MAX: &str = "100";

#[derive(Deserialize)]
struct Listing {
    data: Vec<Value>,
}

pub(crate) async fn run(context: &Context, task: Task, http: &Http) -> Result<Report, Failure> {
    let api = Api::new(context, http)?;
    let on_whatsapp = context.kind == WHATSAPP;
    match task {
        Task::Check if on_whatsapp => check_number(&api).await,
        Task::Check => check_page(&api).await,
        Task::Connect if on_whatsapp => connect_number(&api).await,
        Task::Connect => connect_page(&api).await,
        Task::Disconnect if on_whatsapp => disconnect_number(&api).await,
        // Other programs of the app may use the page's subscription.
        Task::Disconnect => Ok(report(&api, None, None, vec![])),
        Task::ListAddresses if on_whatsapp => list_numbers(&api).await,
        Task::ListAddresses => {
            Err(Failure::unsupported("enter the id of the page or Instagram account by hand"))
        }
        Task::Other(_) => Err(Failure::unsupported("this plugin is older than what was asked of it")),
    }
}

async fn check_number(api: &Api<'_>) -> Result<Report, Failure> {
    let number = number(api).await?;
    let mut warnings = vec![];
    if text(&number, "code_verification_status").is_some_and(|status| status != "VERIFIED") {
        warnings.push("The number is not verified; verify it in Meta's WhatsApp Manager.".to_owned());
    }
    if let Some(status) = text(&number, "status").filter(|status| status != "CONNECTED") {
        warnings.push(format!("The number is {}; look into Meta's WhatsApp Manager.", status.to_lowercase()));
    }
    if text(&number, "quality_rating").is_some_and(|rating| rating == "RED") {
        warnings
            .push("Meta rates the number's quality as low: people block or report its messages.".to_owned());
    }
    let webhook_url = webhook_url(&number);
    if webhook_url.as_deref() != Some(api.context.webhook_url.as_str()) {
        warnings.push("Messages go to another webhook now; connect the channel to receive them.".to_owned());
    }
    warnings.extend(subscription_trouble(api).await);
    Ok(report(api, Some(&number), webhook_url, warnings))
}

async fn number(api: &Api<'_>) -> Result<Value, Failure> {
    api.read(http::get(api.url(api.own_id()?)).query("fields", NUMBER_FIELDS)).await
}

fn webhook_url(number: &Value) -> Option<String> {
    PRECEDENCE.iter().find_map(|level| text(&number["webhook_configuration"], level))
}

/// Without a subscription of the account to the app no messages come, though Meta's own test does.
async fn subscription_trouble(api: &Api<'_>) -> Option<String> {
    let Some(account) = api.settings.business_account_id() else {
        return Some("Without the WhatsApp Business Account's id templates cannot be listed and the app's subscription cannot be checked; enter it in the settings.".into());
    };
    match subscriptions(api, account).await {
        Ok(apps) if apps.is_empty() => {
            Some("The account is not subscribed to the app, so no messages come; connect the channel.".into())
        }
        Ok(_) => None,
        Err(failure) => Some(format!("The app's subscription could not be checked: {}.", failure.message)),
    }
}

async fn subscriptions(api: &Api<'_>, account: &str) -> Result<Vec<Value>, Failure> {
    let listing: Listing = api.read(http::get(api.url(&format!("{account}/subscribed_apps")))).await?;
    Ok(listing.data)
}

async fn connect_number(api: &Api<'_>) -> Result<Report, Failure> {
    if !api.context.has_secret(VERIFY_TOKEN) {
        let message = "the channel has no verify token; enter any long random text and connect again";
        return Err(Failure::new(FailureKind::SettingsInvalid, message).retry(Retry::AfterOwnerActs));
    }
    if let Some(account) = api.settings.business_account_id()
        && subscriptions(api, account).await?.is_empty()
    {
        api.succeed(http::post(api.url(&format!("{account}/subscribed_apps"))).idempotent()).await?;
    }
    let number = number(api).await?;
    let ours = &api.context.webhook_url;
    if webhook_url(&number).as_ref() != Some(ours) {
        let wanted =
            json!({ "webhook_configuration": { "override_callback_uri": ours, "verify_token": "" } });
        let call = http::post(api.url(api.own_id()?)).json(&wanted).idempotent();
        api.succeed(call.json_secret("/webhook_configuration/verify_token", VERIFY_TOKEN)).await?;
    }
    Ok(report(api, Some(&number), Some(ours.clone()), vec![]))
}

async fn disconnect_number(api: &Api<'_>) -> Result<Report, Failure> {
    let number = number(api).await?;
    let own = text(&number["webhook_configuration"], PRECEDENCE[0]);
    if own.as_ref() != Some(&api.context.webhook_url) {
        return Ok(report(api, Some(&number), webhook_url(&number), vec![]));
    }
    let none = json!({ "webhook_configuration": { "override_callback_uri": "" } });
    api.succeed(http::post(api.url(api.own_id()?)).json(&none).idempotent()).await?;
    Ok(report(api, Some(&number), None, vec![]))
}

async fn list_numbers(api: &Api<'_>) -> Result<Report, Failure> {
    let account = api.settings.business_account_id().ok_or_else(|| {
        let message = "numbers belong to the WhatsApp Business Account; enter its id in the settings";
        Failure::new(FailureKind::SettingsInvalid, message)
    })?;
    let call = http::get(api.url(&format!("{account}/phone_numbers"))).query("limit", NUMBERS_MAX);
    let listing: Listing = api.read(call).await?;
    let address = |it: &Value| {
        let names = [text(it, "display_phone_number"), text(it, "verified_name")];
        let label = names.into_iter().flatten().collect::<Vec<_>>().join(" · ");
        Some(Address { address: text(it, "id")?, label, kinds: vec![WHATSAPP.into()] })
    };
    let addresses = listing.data.iter().filter_map(address).collect();
    Ok(Report { address: None, addresses, ..report(api, None, None, vec![]) })
}

async fn check_page(api: &Api<'_>) -> Result<Report, Failure> {
    let fields = if api.context.kind == MESSENGER { "name" } else { "username" };
    let page: Value = api.read(http::get(api.url(api.own_id()?)).query("fields", fields)).await?;
    let mut warnings = vec![];
    if api.context.kind == MESSENGER {
        let url = api.url(&format!("{}/subscribed_apps", api.own_id()?));
        let apps: Result<Value, Failure> = api.read(http::get(url)).await;
        match apps {
            Ok(apps) if list(&apps, "data").is_empty() => {
                warnings.push(
                    "The page is not subscribed to the app, so no messages come; connect the channel."
                        .to_owned(),
                );
            }
            Ok(_) => {}
            Err(failure) => {
                warnings.push(format!("The app's subscription could not be checked: {}.", failure.message));
            }
        }
    }
    let name = text(&page, fields);
    Ok(Report { display_name: name, ..report(api, None, None, warnings) })
}

async fn connect_page(api: &Api<'_>) -> Result<Report, Failure> {
    if api.context.kind == MESSENGER {
        let url = api.url(&format!("{}/subscribed_apps", api.own_id()?));
        api.succeed(http::post(url).query("subscribed_fields", PAGE_FIELDS).idempotent()).await?;
    }
    let by_hand = "Enter the webhook URL and the verify token in the app's dashboard too: pages and Instagram accounts have no webhook of their own.";
    Ok(report(api, None, None, vec![by_hand.to_owned()]))
}

fn report(
    api: &Api<'_>,
    number: Option<&Value>,
    webhook_url: Option<String>,
    warnings: Vec<String>,
) -> Report {
    Report {
        display_name: number.and_then(|number| text(number, "verified_name")),
        address: api.own_id().ok().map(str::to_owned),
        webhook_url,
        addresses: vec![],
        warnings,
        extras: vec![],
    }
}
