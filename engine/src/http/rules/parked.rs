//! What holds a rule back by itself: five failures in a row hold it everywhere,
//! the quota of starts in one conversation. Both can be ended by hand.

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use pointsman_rules::ids::{ConversationId, RuleId};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::find;
use super::view::{self, ParkedView, RuleView};
use crate::clock::rfc3339;
use crate::flow::command::Command;
use crate::http::auth::Admin;
use crate::http::etag::Tagged;
use crate::http::hooks::flow_problem;
use crate::http::orders::{Carried, order};
use crate::http::path::Id;
use crate::http::problem::Problem;
use crate::http::{Api, Refused, body};
use crate::store::audit::{self, Change};
use crate::store::rules::Rule;
use crate::store::{conversations, rule_health, rules};

/// Conversations that are listed; there should be none.
const HELD_MAX: i64 = 200;

pub(super) fn router() -> OpenApiRouter<Api> {
    OpenApiRouter::default().routes(routes!(parked)).routes(routes!(resume))
}

/// What holds a rule back.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Holds {
    /// It failed again and again and runs nowhere; `null`: it runs.
    parked: Option<ParkedView>,
    /// Where it was started as often as the quota allows, the latest first.
    conversations: Vec<HeldView>,
}

/// A conversation in which the quota of starts holds a rule back.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct HeldView {
    /// Which.
    #[schema(value_type = String)]
    conversation: ConversationId,
    /// Since when.
    #[schema(format = DateTime)]
    since: String,
    /// When it may start again by itself.
    #[schema(format = DateTime)]
    until: String,
}

/// What to resume.
#[derive(Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Resumption {
    /// Only what the quota holds back in this conversation; the whole rule when absent.
    #[schema(value_type = Option<String>)]
    conversation: Option<ConversationId>,
}

/// What holds this rule back: its own failures everywhere, or the quota of starts in single conversations.
#[utoipa::path(get, path = "/api/v1/rules/{id}/parked", tag = "rules", params(("id" = String, Path)), responses((status = 200, body = Holds)))]
async fn parked(
    State(api): State<Api>,
    Admin(who): Admin,
    Id(id): Id<RuleId>,
) -> Result<Json<Holds>, Problem> {
    let desk = api.flow.catalog.view(&api.flow, who.tenant).await.map_err(flow_problem)?;
    let quota = desk.directory.quotas.starts;
    let (now_ms, tenant) = (api.flow.clock.now_ms(), who.tenant);
    let mut tx = api.read().await?;
    let rule = rules::get(&mut tx, tenant, id).await?.ok_or_else(|| Problem::not_found("rule"))?;
    let held = rule_health::held(&mut tx, tenant, id, now_ms - quota.ms(), HELD_MAX).await?;
    let ids: Vec<_> = held.iter().map(|it| (tenant, it.conversation)).collect();
    let loaded = conversations::load(&mut tx, &ids).await?;
    let until = |conversation: ConversationId| {
        let facts = &loaded.iter().find(|it| it.facts.id == conversation)?.facts;
        let counted = facts.rule_starts.get(&id)?.at_ms.iter().filter(|at_ms| **at_ms > now_ms - quota.ms());
        let counted: Vec<i64> = counted.copied().collect();
        // It may start again once fewer than the quota are counted.
        let last = counted.len().checked_sub(quota.starts_max)?;
        counted.get(last).map(|at_ms| at_ms + quota.ms())
    };
    let shown = held.iter().filter_map(|it| {
        let until = rfc3339(until(it.conversation)?);
        Some(HeldView { conversation: it.conversation, since: rfc3339(it.since_ms), until })
    });
    let shown = shown.collect();
    Ok(Json(Holds { parked: rule.parked.map(view::parked), conversations: shown }))
}

/// Lets a parked rule run again as it is, or in one conversation.
#[utoipa::path(post, path = "/api/v1/rules/{id}/resume", tag = "rules", params(("id" = String, Path)), request_body = Resumption,
    responses((status = 200, body = RuleView), (status = 202, body = crate::http::orders::Pending)))]
async fn resume(
    State(api): State<Api>,
    Admin(who): Admin,
    Id(id): Id<RuleId>,
    body::Json(what): body::Json<Resumption>,
) -> Result<Response, Problem> {
    let (tenant, clock) = (who.tenant, api.flow.clock.clone());
    if let Some(conversation) = what.conversation {
        rules::get(&mut api.read().await?, tenant, id).await?.ok_or_else(|| Problem::not_found("rule"))?;
        if let Carried::NotYet(pending) =
            order(&api, &who, conversation, Command::ResumeRule { rule: id }).await?
        {
            return Ok(pending.answer());
        }
    }
    let (rule, version) = api
        .write(move |tx| {
            let (who, clock) = (who.clone(), clock.clone());
            Box::pin(async move {
                let (rule, version) = find(tx, tenant, id).await?;
                let change = match what.conversation {
                    Some(conversation) => Change::act(serde_json::json!({"conversation": conversation})),
                    None if rule.parked.is_none() => {
                        let detail =
                            "this rule is not parked; look at `enabled`, and whether it is published";
                        return Err(Problem::conflict("not_parked", detail).into());
                    }
                    None => {
                        rule_health::clear(tx, tenant, id).await?;
                        let after = Rule { parked: None, ..rule.clone() };
                        Change::edited(
                            &view::rule(rule.clone(), version.clone()),
                            &view::rule(after, version.clone()),
                        )
                    }
                };
                audit::append(tx, tenant, &who.did(&clock, "rule.resume", id, change)).await?;
                let parked = rule.parked.filter(|_| what.conversation.is_some());
                Ok::<_, Refused>((Rule { parked, ..rule }, version))
            })
        })
        .await?;
    api.changed(tenant, None);
    Ok(Tagged::ok(rule.version, view::rule(rule, version)).into_response())
}
