//! What a channel's plugin can do with the vendor's account: check it, point
//! the vendor's webhook at us. The result is the channel's state.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use pointsman_rules::ids::ChannelId;
use serde::Serialize;
use serde_json::json;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::access::{self, Manager};
use super::health::WhomItCalls;
use crate::flow::account::{self, Checked};
use crate::flow::{channel_state, session};
use crate::http::auth::Principal;
use crate::http::path::Id;
use crate::http::problem::Problem;
use crate::http::{Api, Refused};
use crate::plugins::{AccountTask, ChannelContext, Failure, FailureKind, Plugin, SessionTask};
use crate::store::audit::{self, Change};

/// How long the removal of a channel waits for the vendor.
const LEAVE_TIME_MAX: Duration = Duration::from_secs(10);

pub(super) fn router() -> OpenApiRouter<Api> {
    OpenApiRouter::default().routes(routes!(check)).routes(routes!(connect)).routes(routes!(disconnect))
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
    /// Whom the vendor calls.
    webhook: WhomItCalls,
    /// What to look at.
    warnings: Vec<String>,
    /// Why it is not ok.
    failure: Option<FailureView>,
}

impl From<Checked> for AccountView {
    fn from(checked: Checked) -> Self {
        let webhook = WhomItCalls::from(&checked.webhook);
        let (report, failure) = match checked.outcome {
            Ok(report) => (Some(report), None),
            Err(failure) => (None, Some(failure.into())),
        };
        let mut warnings = report.as_ref().map(|report| report.warnings.clone()).unwrap_or_default();
        warnings.extend(webhook.advice.clone().filter(|_| webhook.state == "elsewhere"));
        let report = report.as_ref();
        Self {
            ok: failure.is_none(),
            display_name: report.and_then(|report| report.display_name.clone()),
            address: report.and_then(|report| report.address.clone()),
            webhook,
            warnings,
            failure,
        }
    }
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

/// Asks the vendor whether the credentials hold and whom it calls. Changes nothing there; a channel that works again
/// sends what waited.
#[utoipa::path(post, path = "/api/v1/channels/{id}/check", tag = "channels", params(("id" = String, Path)), responses((status = 200, body = AccountView)))]
async fn check(
    State(api): State<Api>,
    Manager(who): Manager,
    Id(id): Id<ChannelId>,
) -> Result<Json<AccountView>, Problem> {
    report(&api, &who, id, AccountTask::Check, "channel.check").await.map(Json)
}

/// Points the vendor's webhook at us. Safe to repeat.
#[utoipa::path(post, path = "/api/v1/channels/{id}/connect", tag = "channels", params(("id" = String, Path)), responses((status = 200, body = AccountView)))]
async fn connect(
    State(api): State<Api>,
    Manager(who): Manager,
    Id(id): Id<ChannelId>,
) -> Result<Json<AccountView>, Problem> {
    report(&api, &who, id, AccountTask::Connect, "channel.connect").await.map(Json)
}

/// Tells the vendor to call us no more. Safe to repeat.
#[utoipa::path(post, path = "/api/v1/channels/{id}/disconnect", tag = "channels", params(("id" = String, Path)), responses((status = 200, body = AccountView)))]
async fn disconnect(
    State(api): State<Api>,
    Manager(who): Manager,
    Id(id): Id<ChannelId>,
) -> Result<Json<AccountView>, Problem> {
    report(&api, &who, id, AccountTask::Disconnect, "channel.disconnect").await.map(Json)
}

/// The channel's plugin and what it is told.
pub(super) async fn context(
    api: &Api,
    who: &Principal,
    id: ChannelId,
) -> Result<(Arc<Plugin>, ChannelContext), Problem> {
    let channel = access::managed(&mut api.read().await?, who, id).await?;
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
    let checked = account::ask(&plugin, &context, task).await;
    let (tenant, clock) = (who.tenant, api.flow.clock.clone());
    let entry = who.did(&clock, action, id, Change::act(json!({"ok": checked.outcome.is_ok()})));
    let (kept, actor) = (checked.clone(), who.actor());
    let view = api.flow.catalog.view(&api.flow, tenant).await?;
    let news = api.write(move |tx| {
        let (entry, clock, kept, actor) = (entry.clone(), clock.clone(), kept.clone(), actor.clone());
        let view = view.clone();
        Box::pin(async move {
            let news = account::record(tx, (&clock, &view), (tenant, id), &kept, actor).await?;
            audit::append(tx, tenant, &entry).await?;
            Ok::<_, Refused>(news)
        })
    });
    let news = news.await?;
    channel_state::settle(&api.flow, tenant, id, news).await?;
    if checked.links_phone && task != AccountTask::Disconnect {
        // Whether it is connected is the session's to say.
        let with = (&*plugin, &context);
        session::act(&api.flow, (tenant, id), with, &SessionTask::State, who.actor()).await?.ok();
    }
    Ok(checked.into())
}

/// Tells the vendor that the channel goes. Should that fail, the vendor gets 404 from us, which it shows its owner.
pub(super) async fn take_leave(api: &Api, who: &Principal, id: ChannelId) {
    let Ok(Some((plugin, context))) = api.flow.channel_context(who.tenant, id).await else { return };
    if !plugin.exports().account {
        return;
    }
    let asked = account::ask(&plugin, &context, AccountTask::Disconnect);
    let is_done = tokio::time::timeout(LEAVE_TIME_MAX, asked).await;
    if !is_done.is_ok_and(|checked| checked.outcome.is_ok()) {
        tracing::info!(channel = %id, "the vendor was not told that the channel is gone");
    }
}
