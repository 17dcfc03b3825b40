//! A case from something that happened: the event becomes the situation, what the
//! rule did becomes what is expected, and people become nobody in particular.

use axum::Json;
use axum::extract::State;
use pointsman_rules::case::{CASES_MAX, Cases, record, run_cases};
use pointsman_rules::decide::{CompiledRule, RuleSet, decide};
use pointsman_rules::ids::{EventId, RuleId, RuleVersionId};
use pointsman_rules::sandbox::Stopwatch;
use pointsman_rules::script::Script;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::dry_run::{field, parsed, stored};
use super::{check, view};
use crate::flow::replay::Moment;
use crate::flow::trials;
use crate::http::auth::Admin;
use crate::http::hooks::flow_problem;
use crate::http::path::Id;
use crate::http::problem::Problem;
use crate::http::{Api, Refused, body};
use crate::store::audit::{self, Change};
use crate::store::rules;

/// Longest name of a case, characters.
const NAME_CHARS_MAX: usize = 200;

pub(super) fn router() -> OpenApiRouter<Api> {
    OpenApiRouter::default().routes(routes!(record_case))
}

/// Which event becomes a case.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewCase {
    /// Id of the event.
    event_id: String,
    /// What the case shows; what the rule did when absent.
    name: Option<String>,
    /// `false`: only write it down and keep nothing.
    save: Option<bool>,
}

/// A case that was written down.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct RecordedCase {
    /// The case alone, TOML.
    case: String,
    /// All cases of the rule with it, TOML.
    cases: String,
    /// Was it added to the rule's cases?
    saved: bool,
}

/// Adds a case to a rule from an event that happened: what the published rule (or a first draft) does on it is expected
/// from now on. Names and numbers of people are replaced.
#[utoipa::path(post, path = "/api/v1/rules/{id}/cases", tag = "rules", params(("id" = String, Path)), request_body = NewCase,
    responses((status = 201, body = RecordedCase)))]
async fn record_case(
    State(api): State<Api>,
    Admin(who): Admin,
    Id(id): Id<RuleId>,
    body::Json(wanted): body::Json<NewCase>,
) -> Result<(axum::http::StatusCode, Json<RecordedCase>), Problem> {
    let event: EventId = field("/event_id", Some(&wanted.event_id))?
        .ok_or_else(|| Problem::field("/event_id", "must be an event's id"))?;
    if wanted.name.as_ref().is_some_and(|name| name.chars().count() > NAME_CHARS_MAX) {
        return Err(Problem::field("/name", format!("must have at most {NAME_CHARS_MAX} characters")));
    }
    let tenant = who.tenant;
    let mut tx = api.read().await?;
    let rule = rules::get(&mut tx, tenant, id).await?.ok_or_else(|| Problem::not_found("rule"))?;
    let version = match rule.published {
        Some(version) => rules::get_version(&mut tx, tenant, version).await?,
        None => None,
    };
    drop(tx);
    let source = version.map(|version| version.source).or(rule.draft.clone()).unwrap_or_default();
    let script = parsed(&api, &who, &source).await?;
    let ground = trials::ground(&api.flow, tenant).await.map_err(flow_problem)?;
    let moment = stored(&api, &ground, event).await?;
    let before = rule.cases.clone().unwrap_or_default();
    let (name, known) = (wanted.name, before.clone());
    let work = tokio::task::spawn_blocking(move || written(id, &script, &moment, name, &known));
    let (case, cases) = work.await.map_err(|error| Problem::internal("writing a case failed", &error))??;
    check::readable_cases(&cases)?;
    let saved = wanted.save.unwrap_or(true);
    if saved {
        let (clock, text) = (api.flow.clock.clone(), cases.clone());
        api.write(move |tx| {
            let (who, clock, text, before) = (who.clone(), clock.clone(), text.clone(), before.clone());
            Box::pin(async move {
                let now = rules::get(tx, tenant, id).await?.ok_or_else(|| Problem::not_found("rule"))?;
                if now.cases.clone().unwrap_or_default() != before {
                    let detail = "somebody changed the rule's cases at the same moment; try again";
                    return Err(Problem::conflict("changed_meanwhile", detail).into());
                }
                let old = view::rule(now.clone(), None);
                let rule = rules::Rule { cases: Some(text), updated_ms: clock.now_ms(), ..now };
                rules::update(tx, tenant, &rule).await?;
                let what = Change::edited(&old, &view::rule(rule, None));
                Ok::<_, Refused>(audit::append(tx, tenant, &who.did(&clock, "rule.change", id, what)).await?)
            })
        })
        .await?;
        api.changed(tenant, None);
    }
    Ok((axum::http::StatusCode::CREATED, Json(RecordedCase { case, cases, saved })))
}

/// The case, and all cases with it. It is tried before it is believed.
fn written(
    id: RuleId,
    script: &Script,
    moment: &Moment,
    name: Option<String>,
    known: &str,
) -> Result<(String, String), Problem> {
    let rule = CompiledRule { id, version: RuleVersionId::new(0, 0), script: script.clone() };
    let decision = decide(&RuleSet::new(vec![rule]), &moment.event, &moment.facts, &Stopwatch::stopped());
    let Some(run) = decision.runs.first() else {
        let (_, sentence) = super::dry_run::not_subscribed(script, &moment.event.body);
        return Err(Problem::refused("not_subscribed", sentence));
    };
    let name = name.unwrap_or_else(|| {
        let did: Vec<_> = run.intents.iter().map(|(_, intent)| intent.word()).collect();
        let did = if did.is_empty() { "does nothing".to_owned() } else { did.join(", ") };
        format!("{}: {did}", moment.event.body.kind().name())
    });
    let case = record::write(&name, script, (&moment.event, &moment.facts), run)
        .map_err(|detail| Problem::refused("case_without_run", detail))?;
    let cases = match known.trim_end() {
        "" => case.clone(),
        known => format!("{known}\n\n{case}"),
    };
    let parsed = Cases::parse(&case)
        .map_err(|problems| not_reproduced(&case, problems.first().map(ToString::to_string)))?;
    if let Some(failed) = run_cases(script, &parsed).into_iter().find(|result| !result.passed) {
        return Err(not_reproduced(&case, Some(failed.diff)));
    }
    if Cases::parse(&cases).is_ok_and(|all| all.cases.len() > CASES_MAX) {
        return Err(Problem::refused("too_many_cases", format!("a rule has at most {CASES_MAX} cases")));
    }
    Ok((case, cases))
}

/// Without names and numbers the rule does something else, or it reads what a case cannot say.
fn not_reproduced(case: &str, difference: Option<String>) -> Problem {
    let detail = format!(
        "without the contact's name and numbers the rule does something else here ({}); take the TOML in `case` and \
         write what is missing by hand",
        difference.unwrap_or_default().replace('\n', "; ")
    );
    Problem::refused("not_reproduced", detail).with("case", case.to_owned())
}
