//! The bot behind a channel: test the token, point its webhook at us. A bot has
//! one webhook, so connecting takes it over.

use pointsman_plugin::account::{Address, Report, Task};
use pointsman_plugin::{Context, Failure, FailureKind, Http, Retry};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::api::Api;
use crate::settings::WEBHOOK_SECRET;

/// What is asked for by name: some kinds only come so.
const UPDATES: [&str; 5] =
    ["message", "edited_message", "callback_query", "message_reaction", "my_chat_member"];
/// Calls at the same time; Telegram's own default.
const CONNECTIONS_MAX: u32 = 40;
/// More waiting updates than these are trouble.
const WAITING_MAX: u64 = 100;

#[derive(Deserialize)]
struct Me {
    first_name: String,
    username: Option<String>,
}

#[derive(Deserialize)]
struct Webhook {
    #[serde(default)]
    url: String,
    #[serde(default)]
    pending_update_count: u64,
    last_error_message: Option<String>,
    allowed_updates: Option<Vec<String>>,
}

pub(crate) async fn run(context: &Context, task: Task, http: &Http) -> Result<Report, Failure> {
    let api = Api::new(context, http)?;
    match task {
        Task::Check => check(&api).await,
        Task::Connect => connect(&api).await,
        Task::Disconnect => disconnect(&api).await,
        Task::ListAddresses => {
            let me = me(&api).await?;
            let address = user_name(&me).unwrap_or_default();
            let addresses =
                vec![Address { address, label: me.first_name.clone(), kinds: vec![context.kind.clone()] }];
            Ok(Report { addresses, ..report(Some(&me), None, vec![]) })
        }
        Task::Other(_) => Err(Failure::unsupported("this plugin is older than what was asked of it")),
    }
}

async fn check(api: &Api<'_>) -> Result<Report, Failure> {
    let me = me(api).await?;
    let webhook = webhook(api).await?;
    let mut warnings = vec![];
    if webhook.url != api.context.webhook_url {
        warnings.push("Messages go to another webhook now; connect the channel to receive them.".to_owned());
    }
    let lacks = |updates: &Vec<String>| UPDATES.iter().any(|kind| !updates.iter().any(|it| it == kind));
    if webhook.url == api.context.webhook_url && webhook.allowed_updates.as_ref().is_none_or(lacks) {
        warnings.push("Telegram leaves some kinds of updates out; connect the channel again.".to_owned());
    }
    if webhook.pending_update_count > WAITING_MAX {
        let trouble =
            webhook.last_error_message.map(|words| format!(" Telegram says: {words}.")).unwrap_or_default();
        warnings
            .push(format!("{} messages wait to be delivered to us.{trouble}", webhook.pending_update_count));
    }
    let url = Some(webhook.url).filter(|url| !url.is_empty());
    Ok(report(Some(&me), url, warnings))
}

async fn me(api: &Api<'_>) -> Result<Me, Failure> {
    api.read(api.method("getMe").idempotent()).await
}

async fn webhook(api: &Api<'_>) -> Result<Webhook, Failure> {
    api.read(api.method("getWebhookInfo").idempotent()).await
}

async fn connect(api: &Api<'_>) -> Result<Report, Failure> {
    if !api.context.has_secret(WEBHOOK_SECRET) {
        let message = "the channel has no webhook secret; enter any long random text and connect again";
        return Err(Failure::new(FailureKind::SettingsInvalid, message).retry(Retry::AfterOwnerActs));
    }
    let me = me(api).await?;
    let url = &api.context.webhook_url;
    let wanted = json!({
        "url": url,
        "secret_token": "",
        "allowed_updates": UPDATES,
        "max_connections": CONNECTIONS_MAX,
        "drop_pending_updates": false,
    });
    let call = api.method("setWebhook").json(&wanted).json_secret("/secret_token", WEBHOOK_SECRET);
    let _: Value = api.read(call.idempotent()).await?;
    Ok(report(Some(&me), Some(url.clone()), vec![]))
}

async fn disconnect(api: &Api<'_>) -> Result<Report, Failure> {
    let webhook = webhook(api).await?;
    if webhook.url != api.context.webhook_url {
        return Ok(report(None, Some(webhook.url).filter(|url| !url.is_empty()), vec![]));
    }
    let keep = json!({ "drop_pending_updates": false });
    let _: Value = api.read(api.method("deleteWebhook").json(&keep).idempotent()).await?;
    Ok(report(None, None, vec![]))
}

fn user_name(me: &Me) -> Option<String> {
    me.username.as_deref().map(|name| format!("@{name}"))
}

fn report(me: Option<&Me>, webhook_url: Option<String>, warnings: Vec<String>) -> Report {
    Report {
        display_name: me.map(|me| me.first_name.clone()),
        address: me.and_then(user_name),
        webhook_url,
        addresses: vec![],
        warnings,
        extras: vec![],
    }
}
