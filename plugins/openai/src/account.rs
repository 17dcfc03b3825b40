//! The connection: does the server take the key, and which models has it?

use pointsman_plugin::account::{Address, Report, Task};
use pointsman_plugin::http::Http;
use pointsman_plugin::{Context, Failure};
use serde_json::Value;

use crate::api::Api;
use crate::errors;

/// Models that are listed; some servers offer thousands.
const MODELS_MAX: usize = 500;

pub(crate) async fn run(context: &Context, task: Task, http: &Http) -> Result<Report, Failure> {
    let api = Api::new(context, http)?;
    match task {
        Task::Check => check(&api).await,
        Task::ListAddresses => {
            let addresses = models(&api).await?.unwrap_or_default().into_iter().map(address).collect();
            Ok(Report { addresses, ..report() })
        }
        Task::Connect | Task::Disconnect => {
            Err(Failure::unsupported("a model is never connected; it is only asked"))
        }
        Task::Other(_) => Err(Failure::unsupported("this plugin is older than what was asked of it")),
    }
}

async fn check(api: &Api<'_>) -> Result<Report, Failure> {
    let model = api.settings.model();
    let mut report = Report { display_name: Some(model.to_owned()), ..report() };
    match models(api).await? {
        None => report.warnings.push("The server does not list its models; the first task will show.".into()),
        // Azure lists what could be deployed, not what is.
        Some(_) if api.settings.azure_api_version().is_some() => {}
        Some(models) if models.iter().any(|id| id == model) => {}
        Some(_) => {
            report.warnings.push(format!("The server does not list a model `{model}`; correct its name."))
        }
    }
    Ok(report)
}

/// Their names; `None` when the server has no list.
async fn models(api: &Api<'_>) -> Result<Option<Vec<String>>, Failure> {
    let response = api.exchange(api.models()).await?;
    if matches!(response.status, 404 | 405) {
        return Ok(None);
    }
    if !response.is_success() {
        return Err(errors::refusal(&response));
    }
    let body: Value = response.json()?;
    let Some(data) = body["data"].as_array() else {
        return Err(Failure::bad_response("the server's list of models is no list; is the base URL right?"));
    };
    let ids = data.iter().filter_map(|model| model["id"].as_str()).map(str::to_owned);
    Ok(Some(ids.take(MODELS_MAX).collect()))
}

fn address(id: String) -> Address {
    Address { label: id.clone(), address: id, kinds: vec!["assistant".into()] }
}

fn report() -> Report {
    Report {
        display_name: None,
        address: None,
        webhook_url: None,
        addresses: vec![],
        warnings: vec![],
        extras: vec![],
    }
}
