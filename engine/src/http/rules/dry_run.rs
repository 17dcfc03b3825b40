//! Dry runs: rules on an event that was, that was edited, or that is made up.
//! Nothing is performed and nothing is kept.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use pointsman_rules::case::given;
use pointsman_rules::decide::{CompiledRule, RuleSet, RunOutcome, decide};
use pointsman_rules::event::{CauseStep, Event, EventBody, EventKind};
use pointsman_rules::facts::Facts;
use pointsman_rules::ids::{ChannelId, EventId, RuleId, RuleVersionId};
use pointsman_rules::lines;
use pointsman_rules::sandbox::Stopwatch;
use pointsman_rules::script::Script;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::check;
use super::shown::{self, RunShown};
use crate::flow::catalog::TenantView;
use crate::flow::replay::{Ground, Moment};
use crate::flow::trials;
use crate::http::Api;
use crate::http::auth::{Admin, Principal};
use crate::http::body;
use crate::http::hooks::flow_problem;
use crate::http::problem::Problem;
use crate::store::{replay, rules};

pub(super) fn router() -> OpenApiRouter<Api> {
    OpenApiRouter::default().routes(routes!(dry_run))
}

/// What to run, and on what.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct DryRun {
    /// A rule file. Without it and without `rule`, all published rules run.
    source: Option<String>,
    /// Id of a rule: its draft, or what is published while it has none.
    rule: Option<String>,
    /// With `rule`: what is published, even if there is a draft.
    #[serde(default)]
    published: bool,
    /// Id of an event that happened. Without it one is made up.
    event_id: Option<String>,
    /// Fields of the event that are different, or of the one that is made up: `type` and what belongs to it.
    #[serde(default)]
    #[schema(value_type = Object)]
    event: Map<String, Value>,
    /// Facts that are different, in the words of cases: `{"message": {"text": "…"}, "conversation": {"status": "open"}}`.
    #[serde(default)]
    #[schema(value_type = Object)]
    given: Map<String, Value>,
    /// Id of the channel on which a made-up event happens; a usual WhatsApp number when absent.
    channel: Option<String>,
    /// Does another rule cause the event?
    #[serde(default)]
    caused_by_rule: bool,
    /// Also say which lines ran and what every condition read.
    #[serde(default)]
    lines: bool,
}

/// What would happen.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct DryRunView {
    /// The event, as the rules saw it.
    #[schema(value_type = Object)]
    event: Value,
    /// Where the facts come from: `kept` (what rules saw at the time), `worked_out` (from the log), `edited`, `invented`.
    facts_are: &'static str,
    /// The facts, without what the channel can do.
    #[schema(value_type = Object)]
    facts: Value,
    /// What each rule made of it, in the order they ran.
    rules: Vec<RunShown>,
    /// What would be done, in this order.
    planned: Vec<PlannedShown>,
}

/// Something that would be done.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct PlannedShown {
    /// Which rule asks.
    #[schema(value_type = String)]
    rule: RuleId,
    /// On which line.
    line: u32,
    /// As a rule writes it.
    call: String,
}

/// Runs rules on one event without doing anything: a text, one rule, or all published ones; on a stored event, an edited
/// one, or one that is made up.
#[utoipa::path(post, path = "/api/v1/rules/dry-run", tag = "rules", request_body = DryRun, responses((status = 200, body = DryRunView)))]
async fn dry_run(
    State(api): State<Api>,
    Admin(who): Admin,
    body::Json(wanted): body::Json<DryRun>,
) -> Result<Json<DryRunView>, Problem> {
    let ground = trials::ground(&api.flow, who.tenant).await.map_err(flow_problem)?;
    let rules = chosen(&api, &who, &wanted).await?;
    let (moment, facts_are) = situation(&api, &ground, rules.set(), &wanted).await?;
    let work = tokio::task::spawn_blocking(move || tried(rules.set(), &moment, facts_are, wanted.lines));
    work.await.map(Json).map_err(|error| Problem::internal("a dry run failed", &error))
}

/// The rules to run.
enum Chosen {
    One(RuleSet),
    All(Arc<TenantView>),
}

impl Chosen {
    fn set(&self) -> &RuleSet {
        match self {
            Self::One(set) => set,
            Self::All(view) => &view.rules,
        }
    }
}

async fn chosen(api: &Api, who: &Principal, wanted: &DryRun) -> Result<Chosen, Problem> {
    let alone = |id, version, script| Chosen::One(RuleSet::new(vec![CompiledRule { id, version, script }]));
    let nowhere = RuleVersionId::new(0, 0);
    if let Some(source) = &wanted.source {
        let id = field("/rule", wanted.rule.as_deref())?.unwrap_or_else(|| RuleId::new(0, 1));
        return Ok(alone(id, nowhere, parsed(api, who, source).await?));
    }
    let Some(id) = field::<RuleId>("/rule", wanted.rule.as_deref())? else {
        return Ok(Chosen::All(api.flow.catalog.view(&api.flow, who.tenant).await.map_err(flow_problem)?));
    };
    let mut tx = api.read().await?;
    let rule = rules::get(&mut tx, who.tenant, id).await?.ok_or_else(|| Problem::not_found("rule"))?;
    let draft = rule.draft.filter(|_| !wanted.published);
    let version = match rule.published {
        Some(version) => rules::get_version(&mut tx, who.tenant, version).await?,
        None => None,
    };
    drop(tx);
    match (draft, version) {
        (Some(draft), _) => Ok(alone(id, nowhere, parsed(api, who, &draft).await?)),
        (None, Some(version)) => Ok(alone(id, version.id, parsed(api, who, &version.source).await?)),
        (None, None) => {
            Err(Problem::conflict("not_published", "the rule was never published; leave out `published`"))
        }
    }
}

/// A text that can run. Names that are not there are no reason to refuse it: the run shows what becomes of them.
pub(super) async fn parsed(api: &Api, who: &Principal, source: &str) -> Result<Script, Problem> {
    match Script::parse(source) {
        Ok(script) => Ok(script),
        Err(_) => check::checked(api, who.tenant, source, None).await,
    }
}

async fn situation(
    api: &Api,
    ground: &Ground,
    rules: &RuleSet,
    wanted: &DryRun,
) -> Result<(Moment, &'static str), Problem> {
    let given = Value::Object(wanted.given.clone());
    let told = |message: String| Problem::field("/given", message);
    let (mut moment, facts_are) = match field::<EventId>("/event_id", wanted.event_id.as_deref())? {
        Some(id) => {
            let moment = stored(api, ground, id).await?;
            if wanted.given.is_empty() && wanted.event.is_empty() {
                let facts_are = if moment.is_exact { "kept" } else { "worked_out" };
                (moment, facts_are)
            } else {
                let (event, facts) =
                    given::edited((&moment.event, &moment.facts), wanted.event.clone(), &given)
                        .map_err(told)?;
                (Moment { event, facts, is_exact: false }, "edited")
            }
        }
        None => {
            let channel = match field::<ChannelId>("/channel", wanted.channel.as_deref())? {
                Some(id) => Some(ground.channels.get(&id).ok_or_else(|| {
                    Problem::field("/channel", "there is no such channel, or its plugin is not there")
                })?),
                None => None,
            };
            let only = rules.rules().first().filter(|_| rules.rules().len() == 1);
            let kind = only.and_then(|rule| rule.script.header().on.first().copied());
            let id = only.map_or_else(|| RuleId::new(0, 1), |rule| rule.id);
            let place = (ground.directory.as_ref(), channel.map(AsRef::as_ref));
            let kind = kind.or(Some(EventKind::MessageReceived));
            let now_ms = api.flow.clock.now_ms();
            let (event, facts) =
                given::invented(kind, wanted.event.clone(), &given, place, id, now_ms).map_err(told)?;
            (Moment { event, facts, is_exact: false }, "invented")
        }
    };
    if wanted.caused_by_rule {
        let step = CauseStep { event: EventId::new(0, 2), rule: RuleId::new(0, 2) };
        moment.event.cause.chain.push(step);
    }
    Ok((moment, facts_are))
}

/// A stored event with its facts.
///
/// # Errors
/// 404; or 422 when rules cannot be tried on it.
pub(super) async fn stored(api: &Api, ground: &Ground, id: EventId) -> Result<Moment, Problem> {
    let past = replay::event(&mut api.read().await?, ground.tenant, id).await?;
    let event = past.ok_or_else(|| Problem::not_found("event"))?.event;
    let found = ground.moment(&api.flow.db, &event).await?;
    found.ok_or_else(|| {
        let detail = "the event belongs to no conversation, or to one whose contact or channel is gone; rules \
                      cannot be tried on it";
        Problem::refused("event_without_facts", detail)
    })
}

fn tried(rules: &RuleSet, moment: &Moment, facts_are: &'static str, with_lines: bool) -> DryRunView {
    let (event, facts) = (&moment.event, &moment.facts);
    let decision = decide(rules, event, facts, &Stopwatch::stopped());
    let script = |id: RuleId| rules.rules().iter().find(|rule| rule.id == id).map(|rule| &rule.script);
    let mut runs: Vec<RunShown> = decision
        .runs
        .iter()
        .map(|run| {
            let ran = !matches!(run.outcome, RunOutcome::Skipped { .. });
            let lines = script(run.rule).filter(|_| with_lines && ran);
            RunShown { lines: lines.map(|script| lines::trace(script, event, facts)), ..shown::run(run) }
        })
        .collect();
    for run in &mut runs {
        run.version = run.version.take().filter(|version| *version != RuleVersionId::new(0, 0).to_string());
    }
    // A rule that was asked for is told why it did not run; of all rules, only those that looked are shown.
    if let ([rule], true) = (rules.rules(), runs.is_empty()) {
        let name = rule.script.header().name.clone();
        runs.push(shown::absent(rule.id.to_string(), name, not_subscribed(&rule.script, &event.body)));
    }
    let planned = decision.planned.iter();
    DryRunView {
        event: shown_event(event),
        facts_are,
        facts: shown_facts(facts),
        rules: runs,
        planned: planned
            .map(|it| PlannedShown { rule: it.rule, line: it.line, call: it.intent.as_call() })
            .collect(),
    }
}

/// Why a rule does not look at an event at all.
pub(super) fn not_subscribed(script: &Script, body: &EventBody) -> (&'static str, String) {
    let kind = body.kind();
    if script.header().on.contains(&kind) {
        return ("not_subscribed", format!("This `{}` is for another rule.", kind.name()));
    }
    let on: Vec<_> = script.header().on.iter().map(|kind| kind.name()).collect();
    let sentence = format!(
        "It runs on {}, and this is `{}`. Add the event to `on` in its header if it must run.",
        on.join(", "),
        kind.name()
    );
    ("not_subscribed", sentence)
}

fn shown_event(event: &Event) -> Value {
    let mut value = serde_json::to_value(&event.body).unwrap_or_default();
    if let Value::Object(fields) = &mut value {
        fields.insert("id".to_owned(), event.id.to_string().into());
        fields.insert("at".to_owned(), crate::clock::rfc3339(event.at_ms).into());
    }
    value
}

/// The facts without what the channel can do: that is large, and known by its id.
pub(super) fn shown_facts(facts: &Facts) -> Value {
    let mut value = serde_json::to_value(facts).unwrap_or_default();
    if let Some(Value::Object(channel)) = value.get_mut("channel") {
        channel.remove("capabilities");
    }
    value
}

/// An id in the body.
pub(super) fn field<T: std::str::FromStr<Err: std::fmt::Display>>(
    pointer: &str,
    text: Option<&str>,
) -> Result<Option<T>, Problem> {
    text.map(|text| text.parse().map_err(|error: T::Err| Problem::field(pointer, error.to_string())))
        .transpose()
}

#[cfg(test)]
mod tests;
