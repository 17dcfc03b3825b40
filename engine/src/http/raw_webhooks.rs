//! `/raw-webhooks`: what vendors sent, redacted, and parsing it again after a
//! plugin was mended.

use axum::Json;
use axum::extract::State;
use pointsman_rules::ids::{ChannelId, RawWebhookId};
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::auth::Admin;
use super::paging::{List, Query, decode, rows};
use super::path::Id;
use super::problem::Problem;
use super::{Api, Refused};
use crate::clock::rfc3339;
use crate::flow::{AcceptError, ReplayOutcome};
use crate::plugins::WebhookRequest;
use crate::store::audit::{self, Change};
use crate::store::raw_webhooks::{self, Filter, Kept};

/// Headers that prove who called; with them a webhook could be sent again.
const PROOFS: [&str; 5] = ["authorization", "cookie", "signature", "token", "secret"];
const REDACTED: &str = "***";

pub(super) fn router() -> OpenApiRouter<Api> {
    OpenApiRouter::default().routes(routes!(list)).routes(routes!(get)).routes(routes!(replay))
}

/// A kept webhook.
#[derive(Debug, Serialize, ToSchema)]
pub struct RawWebhookView {
    /// `raw_…`.
    id: String,
    /// The channel it came for.
    channel: String,
    /// When.
    #[schema(format = DateTime)]
    received_at: String,
    /// `stored`, `quarantined`, `replayed`, or `waiting` for the channel to be resumed.
    outcome: String,
    /// Why it could not be read.
    problem: Option<String>,
    /// HTTP method.
    method: String,
    /// Bytes of its body.
    size: usize,
    /// Header names and values; proofs are blanked out. Only when one webhook is asked for.
    #[schema(value_type = Option<Vec<Vec<String>>>)]
    headers: Option<Vec<(String, String)>>,
    /// The body as text; unreadable bytes are replaced. Only when one webhook is asked for.
    body: Option<String>,
}

/// Which webhooks are wanted.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct Wanted {
    /// Only of this channel.
    #[param(value_type = Option<String>)]
    channel: Option<ChannelId>,
    /// Only `stored`, `quarantined`, `replayed` or `waiting`.
    outcome: Option<String>,
    /// Items on the page, 1 to 200; 50 when absent.
    limit: Option<i64>,
    /// `next` of the page before.
    cursor: Option<String>,
}

/// What parsing it again gave.
#[derive(Debug, Serialize, ToSchema)]
pub struct ReplayView {
    /// How many events were read; those that are known already are dropped.
    events: usize,
}

/// Kept webhooks, newest first, without their bodies.
#[utoipa::path(get, path = "/api/v1/raw-webhooks", tag = "raw webhooks", params(Wanted), responses((status = 200, body = List<RawWebhookView>)))]
async fn list(
    State(api): State<Api>,
    Admin(who): Admin,
    Query(wanted): Query<Wanted>,
) -> Result<Json<List<RawWebhookView>>, Problem> {
    let count = rows(wanted.limit)?;
    let before = wanted.cursor.as_deref().map(decode).transpose()?;
    let filter = Filter { channel: wanted.channel, outcome: wanted.outcome, before };
    let found = raw_webhooks::list(&mut api.read().await?, who.tenant, &filter, count).await?;
    Ok(Json(List::page(found, count, |k| k.id, |k| view(k, false))))
}

/// One webhook with its body.
#[utoipa::path(get, path = "/api/v1/raw-webhooks/{id}", tag = "raw webhooks", params(("id" = String, Path)), responses((status = 200, body = RawWebhookView)))]
async fn get(
    State(api): State<Api>,
    Admin(who): Admin,
    Id(id): Id<RawWebhookId>,
) -> Result<Json<RawWebhookView>, Problem> {
    let found = raw_webhooks::get(&mut api.read().await?, who.tenant, id).await?;
    Ok(Json(view(found.ok_or_else(|| Problem::not_found("webhook"))?, true)))
}

/// Reads a webhook again with the plugin as it is now. Events that are known already are dropped.
#[utoipa::path(post, path = "/api/v1/raw-webhooks/{id}/replay", tag = "raw webhooks", params(("id" = String, Path)), responses((status = 200, body = ReplayView)))]
async fn replay(
    State(api): State<Api>,
    Admin(who): Admin,
    Id(id): Id<RawWebhookId>,
) -> Result<Json<ReplayView>, Problem> {
    let outcome = api.flow.replay(who.tenant, id).await.map_err(|error| match error {
        AcceptError::Flow(error) => Problem::from(error),
        AcceptError::Overloaded { retry_after_s } => Problem::too_many(error.to_string(), retry_after_s),
        other => Problem::refused("plugin_failed", other.to_string()),
    })?;
    match outcome {
        ReplayOutcome::NotFound => Err(Problem::not_found("webhook")),
        ReplayOutcome::StillUnreadable { reason } => {
            Err(Problem::refused("still_unreadable", format!("the plugin still cannot read it: {reason}")))
        }
        ReplayOutcome::Replayed { events } => {
            let (tenant, entry) = (
                who.tenant,
                who.did(&api.flow.clock, "raw_webhook.replay", id, Change::act(json!({"events": events}))),
            );
            api.write(move |tx| {
                let entry = entry.clone();
                Box::pin(async move { Ok::<_, Refused>(audit::append(tx, tenant, &entry).await?) })
            })
            .await?;
            Ok(Json(ReplayView { events }))
        }
    }
}

fn view(kept: Kept, whole: bool) -> RawWebhookView {
    let request: Option<WebhookRequest> = serde_json::from_str(&kept.request).ok();
    let redact = |(name, value): &(String, String)| {
        let is_proof = PROOFS.iter().any(|proof| name.contains(proof));
        (name.clone(), if is_proof { REDACTED.to_owned() } else { value.clone() })
    };
    RawWebhookView {
        id: kept.id.to_string(),
        channel: kept.channel.to_string(),
        received_at: rfc3339(kept.received_ms),
        outcome: kept.outcome,
        problem: kept.problem,
        method: request.as_ref().map_or_else(String::new, |r| r.method.clone()),
        size: request.as_ref().map_or(0, |r| r.body.len()),
        headers: request.as_ref().filter(|_| whole).map(|r| r.headers.iter().map(redact).collect()),
        body: request.as_ref().filter(|_| whole).map(|r| String::from_utf8_lossy(&r.body).into_owned()),
    }
}

#[cfg(test)]
mod tests {
    use pointsman_rules::ids::{ChannelId, RawWebhookId};
    use serde_json::json;

    use crate::http::auth::Role;
    use crate::http::testing::Stage;
    use crate::plugins::WebhookRequest;
    use crate::store::raw_webhooks::Kept;
    use crate::store::raw_webhooks::tests::insert;

    #[tokio::test]
    async fn a_webhook_is_shown_without_its_proofs() {
        let stage = Stage::new().await;
        let admin = stage.key(Role::Admin).await;
        let request = WebhookRequest {
            method: "POST".into(),
            url: "https://us.test/hooks/secretkey".into(),
            query: vec![],
            headers: vec![("x-twilio-signature".into(), "proof".into()), ("host".into(), "us.test".into())],
            body: b"Body=hello".to_vec(),
            remote_address: None,
        };
        let kept = Kept {
            id: RawWebhookId::new(5, 0),
            channel: ChannelId::new(1, 1),
            received_ms: 5,
            request: serde_json::to_string(&request).unwrap(),
            outcome: "quarantined".into(),
            problem: Some("odd".into()),
        };
        let (tenant, id) = (stage.tenant, kept.id);
        stage
            .write(move |tx| {
                let kept = kept.clone();
                Box::pin(async move { insert(tx, tenant, &kept).await })
            })
            .await;
        let list = stage.get("/api/v1/raw-webhooks?outcome=quarantined", &admin).await.expect(200);
        assert_eq!((&list["items"][0]["size"], &list["items"][0]["body"]), (&json!(10), &json!(null)));
        assert_eq!(
            stage.get("/api/v1/raw-webhooks?outcome=stored", &admin).await.expect(200)["items"],
            json!([])
        );
        let answer = stage.get(&format!("/api/v1/raw-webhooks/{id}"), &admin).await;
        assert!(!answer.text.contains("proof") && !answer.text.contains("secretkey"), "{}", answer.text);
        assert_eq!(answer.expect(200)["body"], "Body=hello");
        let replay = format!("/api/v1/raw-webhooks/{}/replay", RawWebhookId::new(6, 0));
        stage.post(&replay, &admin, json!({})).await.problem(404, "not_found");
    }
}
