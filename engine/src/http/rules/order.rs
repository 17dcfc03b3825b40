//! `/rules/order`: the order in which rules run. Positions stand in the rules'
//! texts, so moving a rule publishes its text with another `position:` line.

use std::collections::HashMap;

use axum::Json;
use axum::extract::State;
use pointsman_rules::header::Header;
use pointsman_rules::ids::RuleId;
use serde::Deserialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::view::{self, RuleView};
use crate::clock::Clock;
use crate::flow::publishing;
use crate::flow::rule_order::{STEP, positioned};
use crate::http::auth::{Admin, Principal};
use crate::http::paging::List;
use crate::http::problem::Problem;
use crate::http::{Api, Refused, body};
use crate::store::audit::{self, Change};
use crate::store::rules::{self, Rule, Version};

pub(super) fn router() -> OpenApiRouter<Api> {
    OpenApiRouter::default().routes(routes!(order))
}

/// The order that is wanted.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RuleOrder {
    /// The ids of all rules, the first to run first.
    #[schema(value_type = Vec<String>)]
    ids: Vec<RuleId>,
}

/// Puts the rules in this order: their positions become 10, 20, 30… A rule that moves gets a new version that differs
/// in its `position:` line only; a draft gets the same line.
#[utoipa::path(post, path = "/api/v1/rules/order", tag = "rules", request_body = RuleOrder, responses((status = 200, body = List<RuleView>)))]
async fn order(
    State(api): State<Api>,
    Admin(who): Admin,
    body::Json(wanted): body::Json<RuleOrder>,
) -> Result<Json<List<RuleView>>, Problem> {
    let (tenant, clock) = (who.tenant, api.flow.clock.clone());
    let ids = wanted.ids;
    let shown = api
        .write(move |tx| {
            let (ids, who, clock) = (ids.clone(), who.clone(), clock.clone());
            Box::pin(async move {
                let listed = rules::list(tx, tenant).await?;
                let mut known: HashMap<RuleId, (Rule, Option<Version>)> =
                    listed.into_iter().map(|it| (it.0.id, it)).collect();
                let is_whole = ids.len() == known.len();
                let found: Vec<_> = ids.iter().filter_map(|id| known.remove(id)).collect();
                if !is_whole || !known.is_empty() {
                    let detail =
                        "the list must name every rule once; read the rules again and repeat the order";
                    return Err(Problem::refused("order_incomplete", detail).into());
                }
                let mut shown = Vec::with_capacity(found.len());
                for ((rule, version), position) in found.into_iter().zip((1..).map(|n| n * STEP)) {
                    let before = view::rule(rule.clone(), version.clone());
                    let moved = rule.position != position;
                    let (rule, version) =
                        if moved { place(&clock, &who, rule, version, position) } else { (rule, version) };
                    if moved {
                        if let Some(version) = &version {
                            rules::insert_version(tx, tenant, version).await?;
                        }
                        rules::update(tx, tenant, &rule).await?;
                    }
                    let rule = Rule { version: rule.version + i64::from(moved), ..rule };
                    let id = rule.id;
                    let after = view::rule(rule, version);
                    if moved {
                        let entry = who.did(&clock, "rule.move", id, Change::edited(&before, &after));
                        audit::append(tx, tenant, &entry).await?;
                    }
                    shown.push(after);
                }
                Ok::<_, Refused>(shown)
            })
        })
        .await?;
    api.changed(tenant, None);
    Ok(Json(List::whole(shown)))
}

/// The rule at its new place. What was planned, and that it is parked, stays.
fn place(
    clock: &Clock,
    who: &Principal,
    rule: Rule,
    version: Option<Version>,
    position: i64,
) -> (Rule, Option<Version>) {
    let draft = rule.draft.as_deref().map(|draft| positioned(draft, position));
    let rule = Rule { draft, position, updated_ms: clock.now_ms(), ..rule };
    let Some(version) = version else { return (rule, None) };
    let source = positioned(&version.source, position);
    let header = Header { name: rule.name.clone(), position, ..Header::default() };
    let by = (who.id(), Some(format!("moved to position {position}")));
    let (moved, version) = publishing::published(clock, rule.clone(), source, &header, by);
    let (plan, plan_problem, parked) = (rule.plan, rule.plan_problem, rule.parked);
    (Rule { plan, plan_problem, parked, ..moved }, Some(version))
}
