//! The official account behind a channel: test the token, point its webhook at us. An account has one webhook.

use pointsman_plugin::account::{Address, Report, Task};
use pointsman_plugin::http::CallBuilder;
use pointsman_plugin::{Context, Failure, Http, http};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::send::{authorised, refusal};
use crate::settings::Settings;

const ENDPOINT: &str = "/v2/bot/channel/webhook/endpoint";

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Bot {
    basic_id: String,
    display_name: String,
}

#[derive(Deserialize)]
struct Endpoint {
    endpoint: String,
    active: bool,
}

pub(crate) async fn run(context: &Context, task: Task, http: &Http) -> Result<Report, Failure> {
    let settings = Settings::of(context)?;
    let bot: Bot = read(http, http::get(settings.api("/v2/bot/info"))).await?;
    let webhook = async || endpoint(http, &settings).await;
    match task {
        Task::Check => {
            let there = webhook().await?;
            let warnings = warnings(context, there.as_ref());
            Ok(report(&bot, there, warnings))
        }
        Task::Connect => {
            let wanted = json!({ "endpoint": context.webhook_url });
            let _: Value = read(http, http::method("PUT", settings.api(ENDPOINT)).json(&wanted)).await?;
            let there = webhook().await?;
            let warnings = warnings(context, there.as_ref());
            Ok(report(&bot, there, warnings))
        }
        Task::Disconnect => {
            let warning =
                "LINE has no call that takes a webhook away; switch \"Use webhook\" off in its console.";
            Ok(report(&bot, webhook().await?, vec![warning.into()]))
        }
        Task::ListAddresses => {
            let address = Address {
                address: bot.basic_id.clone(),
                label: bot.display_name.clone(),
                kinds: vec![context.kind.clone()],
            };
            Ok(Report { addresses: vec![address], ..report(&bot, None, vec![]) })
        }
        Task::Other(_) => Err(Failure::unsupported("this plugin is older than what was asked of it")),
    }
}

/// The webhook that LINE calls; 404 means none.
async fn endpoint(http: &Http, settings: &Settings) -> Result<Option<Endpoint>, Failure> {
    match read(http, http::get(settings.api(ENDPOINT))).await {
        Ok(there) => Ok(Some(there)),
        Err(failure) if failure.http_status == Some(404) => Ok(None),
        Err(failure) => Err(failure),
    }
}

fn warnings(context: &Context, there: Option<&Endpoint>) -> Vec<String> {
    match there {
        Some(it) if it.endpoint == context.webhook_url && it.active => vec![],
        Some(it) if it.endpoint == context.webhook_url => {
            vec!["LINE does not call the webhook; switch \"Use webhook\" on in LINE's console.".into()]
        }
        Some(_) => vec!["Messages go to another webhook now; connect the channel to receive them.".into()],
        None => vec!["LINE has no webhook yet; connect the channel to receive messages.".into()],
    }
}

fn report(bot: &Bot, webhook: Option<Endpoint>, warnings: Vec<String>) -> Report {
    Report {
        display_name: Some(bot.display_name.clone()),
        address: Some(bot.basic_id.clone()),
        webhook_url: webhook.map(|it| it.endpoint),
        addresses: vec![],
        warnings,
        extras: vec![],
    }
}

async fn read<T: DeserializeOwned>(http: &Http, call: CallBuilder) -> Result<T, Failure> {
    let call = authorised(call).build();
    let answer = http.exchange(call.clone()).await?;
    if !answer.is_success() {
        return Err(refusal(Failure::from_response(&call, &answer), &answer));
    }
    answer.json()
}
