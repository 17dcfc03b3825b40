//! What a channel's plugin can do with the vendor's account: check it, point
//! the vendor's webhook at us, list its numbers. The result is the channel's
//! state.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use pointsman_rules::ids::ChannelId;
use serde::Serialize;
use serde_json::json;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::load;
use crate::http::auth::{Admin, Principal};
use crate::http::paging::List;
use crate::http::path::Id;
use crate::http::problem::Problem;
use crate::http::{Api, Refused};
use crate::plugins::{AccountReport, AccountTask, ChannelContext, Failure, FailureKind, Plugin};
use crate::store::audit::{self, Change};
use crate::store::channels;

pub(super) fn router() -> OpenApiRouter<Api> {
    OpenApiRouter::default().routes(routes!(check)).routes(routes!(connect)).routes(routes!(addresses))
}

/// What the vendor says about the account.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct AccountView {
    /// Does the vendor know our credentials?
    ok: bool,
    /// Name of the account.
    display_name: Option<String>,
    /// Its address, as the vendor writes it.
    address: Option<String>,
    /// The webhook URL that the vendor has now.
    webhook_url: Option<String>,
    /// Is it ours? `null`: the vendor does not say.
    webhook_is_ours: Option<bool>,
    /// What to look at.
    warnings: Vec<String>,
    /// Why it is not ok.
    failure: Option<FailureView>,
}

/// Why the vendor said no.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct FailureView {
    /// `auth_failed`, `vendor_unavailable`, …
    kind: String,
    /// One sentence.
    message: String,
    /// As the vendor sent it.
    vendor_code: Option<String>,
    /// The vendor's own words.
    vendor_message: Option<String>,
}

impl From<Failure> for FailureView {
    fn from(failure: Failure) -> Self {
        Self {
            kind: failure.kind.word().to_owned(),
            message: failure.message,
            vendor_code: failure.vendor_code,
            vendor_message: failure.vendor_message,
        }
    }
}

/// A number or account of the vendor's account.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct AddressView {
    /// As the vendor writes it.
    address: String,
    /// For people.
    label: String,
    /// Kinds of channel it can be used for.
    kinds: Vec<String>,
}

/// Asks the vendor whether the credentials hold. Changes nothing there.
#[utoipa::path(post, path = "/api/v1/channels/{id}/check", tag = "channels", params(("id" = String, Path)), responses((status = 200, body = AccountView)))]
async fn check(
    State(api): State<Api>,
    Admin(who): Admin,
    Id(id): Id<ChannelId>,
) -> Result<Json<AccountView>, Problem> {
    report(&api, &who, id, AccountTask::Check, "channel.check").await.map(Json)
}

/// Points the vendor's webhook at us. Safe to repeat.
#[utoipa::path(post, path = "/api/v1/channels/{id}/connect", tag = "channels", params(("id" = String, Path)), responses((status = 200, body = AccountView)))]
async fn connect(
    State(api): State<Api>,
    Admin(who): Admin,
    Id(id): Id<ChannelId>,
) -> Result<Json<AccountView>, Problem> {
    report(&api, &who, id, AccountTask::Connect, "channel.connect").await.map(Json)
}

/// Numbers and accounts of the vendor's account, to choose from.
#[utoipa::path(get, path = "/api/v1/channels/{id}/addresses", tag = "channels", params(("id" = String, Path)), responses((status = 200, body = List<AddressView>)))]
async fn addresses(
    State(api): State<Api>,
    Admin(who): Admin,
    Id(id): Id<ChannelId>,
) -> Result<Json<List<AddressView>>, Problem> {
    let (plugin, context) = context(&api, &who, id).await?;
    let report = plugin.account(&context, AccountTask::ListAddresses).await.map_err(refused)?;
    let show = |a: crate::plugins::AccountAddress| AddressView {
        address: a.address,
        label: a.label,
        kinds: a.kinds,
    };
    Ok(Json(List::whole(report.addresses.into_iter().map(show).collect())))
}

/// The channel's plugin and what it is told.
pub(super) async fn context(
    api: &Api,
    who: &Principal,
    id: ChannelId,
) -> Result<(Arc<Plugin>, ChannelContext), Problem> {
    let channel = load(&mut api.read().await?, who, id).await?;
    api.flow.channel_context(who.tenant, id).await?.ok_or_else(|| {
        let detail = format!("no plugin `{}` is installed; install it first", channel.provider);
        Problem::refused("no_plugin", detail)
    })
}

/// A failure as the answer to a question that has no other.
pub(super) fn refused(failure: Failure) -> Problem {
    let code = if failure.kind == FailureKind::Unsupported { "unsupported" } else { "vendor_refused" };
    Problem::refused(code, failure.message)
        .with("kind", failure.kind.word())
        .with("vendor_code", failure.vendor_code)
        .with("vendor_message", failure.vendor_message)
}

async fn report(
    api: &Api,
    who: &Principal,
    id: ChannelId,
    task: AccountTask,
    action: &'static str,
) -> Result<AccountView, Problem> {
    let (plugin, context) = context(api, who, id).await?;
    if !plugin.exports().account {
        return Err(Problem::refused("unsupported", "this provider has no account that could be asked"));
    }
    let view = match plugin.account(&context, task).await {
        Ok(report) => good(report, &context.webhook_url),
        Err(failure) => bad(failure),
    };
    let (state, reason) = state(&view);
    let (tenant, now_ms) = (who.tenant, api.flow.clock.now_ms());
    let entry = who.did(&api.flow.clock, action, id, Change::act(json!({"ok": view.ok})));
    let address = view.address.clone();
    api.write(move |tx| {
        let (entry, reason, address) = (entry.clone(), reason.clone(), address.clone());
        Box::pin(async move {
            let Some(mut channel) = channels::get(tx, tenant, id).await? else { return Ok(()) };
            if let (true, Some(address)) = (channel.address.is_empty(), address) {
                channel.address = address;
                channels::update(tx, tenant, &channel).await?;
            }
            if channel.active {
                channels::set_state(tx, tenant, id, state, reason.as_deref(), now_ms).await?;
            }
            Ok::<_, Refused>(audit::append(tx, tenant, &entry).await?)
        })
    })
    .await?;
    api.changed(tenant, Some(id));
    Ok(view)
}

fn good(report: AccountReport, ours: &str) -> AccountView {
    let is_ours = report.webhook_url.as_deref().map(|url| url == ours);
    let mut warnings = report.warnings;
    if is_ours == Some(false) {
        warnings.push(format!("the vendor calls another webhook address; set it to {ours} or use `connect`"));
    }
    AccountView {
        ok: true,
        display_name: report.display_name,
        address: report.address,
        webhook_url: report.webhook_url,
        webhook_is_ours: is_ours,
        warnings,
        failure: None,
    }
}

fn bad(failure: Failure) -> AccountView {
    AccountView {
        ok: false,
        display_name: None,
        address: None,
        webhook_url: None,
        webhook_is_ours: None,
        warnings: Vec::new(),
        failure: Some(failure.into()),
    }
}

/// The state of a channel after such a report.
fn state(view: &AccountView) -> (&'static str, Option<String>) {
    match (&view.failure, view.webhook_is_ours) {
        (Some(failure), _)
            if matches!(failure.kind.as_str(), "auth_failed" | "permission_denied" | "settings_invalid") =>
        {
            ("failed", Some(failure.message.clone()))
        }
        (Some(failure), _) => ("degraded", Some(failure.message.clone())),
        (None, Some(false)) => ("degraded", view.warnings.last().cloned()),
        (None, _) => ("connected", None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plugins::Certainty;

    #[test]
    fn a_report_becomes_the_channels_state() {
        let report = |url: Option<&str>| AccountReport {
            display_name: None,
            address: None,
            webhook_url: url.map(str::to_owned),
            addresses: vec![],
            warnings: vec![],
        };
        assert_eq!(state(&good(report(None), "https://us/h")).0, "connected");
        assert_eq!(state(&good(report(Some("https://us/h")), "https://us/h")).0, "connected");
        let (word, reason) = state(&good(report(Some("https://them/h")), "https://us/h"));
        assert!(word == "degraded" && reason.unwrap().contains("https://us/h"));
        let failure = |kind| Failure { kind, ..Failure::internal(Certainty::NotPerformed, "no") };
        assert_eq!(state(&bad(failure(FailureKind::AuthFailed))).0, "failed");
        assert_eq!(state(&bad(failure(FailureKind::VendorUnavailable))), ("degraded", Some("no".to_owned())));
    }
}
