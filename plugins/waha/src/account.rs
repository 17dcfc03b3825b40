//! The session as the account behind a channel: is a phone linked, and does WAHA
//! call us? Starting and linking is in `session`.

use pointsman_plugin::account::{Address, Report, Task};
use pointsman_plugin::{Context, Failure, Http, Retry};
use serde_json::Value;

use crate::api::{Api, not_ready, obstacle};
use crate::{config, ids, session};

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
    let found = api.look().await?.ok_or_else(missing)?;
    let now = session::session(found["status"].as_str().unwrap_or(""), &found["me"], api.context.now);
    match obstacle(&now) {
        Some(failure) => Err(failure),
        None => Ok(report(api, &found)),
    }
}

/// Whatever the webhook was: its key may have changed.
async fn connect(api: &Api<'_>) -> Result<Report, Failure> {
    let found = api.look().await?;
    let now = config::write(api, found.as_ref()).await?;
    Ok(Report { webhook_url: Some(api.context.webhook_url.clone()), ..report(api, &now) })
}

/// Nothing of this channel is left at WAHA but the stopped session, which its owner may want back.
async fn disconnect(api: &Api<'_>) -> Result<Report, Failure> {
    let Some(found) = api.look().await? else { return Ok(report(api, &Value::Null)) };
    api.succeed(api.session("POST", "/stop").idempotent()).await?;
    if config::has_ours(&found, api.context) {
        config::leave(api, &found).await?;
    }
    Ok(report(api, &Value::Null))
}

async fn list_addresses(api: &Api<'_>) -> Result<Report, Failure> {
    let all: Vec<Value> = api.read(api.at("GET", "sessions").query("all", "true")).await?;
    let address = |it: &Value| {
        let number = ids::phone(&ids::chat_id(it["me"]["id"].as_str()?))?;
        let label = format!("{number} (session {})", it["name"].as_str().unwrap_or("?"));
        Some(Address { address: number, label, kinds: vec![api.context.kind.clone()] })
    };
    Ok(Report { addresses: all.iter().filter_map(address).collect(), ..report(api, &Value::Null) })
}

fn missing() -> Failure {
    not_ready("WAHA has no such session yet; start it in the channel's settings", Retry::AfterOwnerActs)
}

fn report(api: &Api<'_>, session: &Value) -> Report {
    let me = &session["me"];
    Report {
        display_name: me["pushName"].as_str().map(str::to_owned),
        address: me["id"].as_str().map(ids::chat_id).as_deref().and_then(ids::phone),
        webhook_url: config::webhook_url(session, api.context),
        addresses: vec![],
        warnings: vec![],
        extras: vec![],
    }
}
