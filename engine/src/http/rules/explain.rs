//! "What did the rules make of it, and why did this one not fire?" Answered from
//! what was kept at the time; on demand the run is repeated with the version that ran.

use std::collections::HashMap;

use axum::Json;
use axum::extract::State;
use pointsman_rules::decide::{RuleRun, RunOutcome};
use pointsman_rules::event::Event as PastEvent;
use pointsman_rules::ids::{ConversationId, EventId, RuleId};
use pointsman_rules::lines;
use pointsman_rules::script::Script;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::dry_run::not_subscribed;
use super::shown::{self, EffectShown, RunShown};
use super::standing::{self, Standing};
use crate::clock::rfc3339;
use crate::flow::apply::{earlier_effect_of, effect_of};
use crate::flow::trials;
use crate::http::Api;
use crate::http::auth::{Principal, Role};
use crate::http::conversations::query_id;
use crate::http::events::Event;
use crate::http::hooks::flow_problem;
use crate::http::mask;
use crate::http::orders::{conversation, not_found};
use crate::http::paging::Query;
use crate::http::path::Id;
use crate::http::problem::Problem;
use crate::store::event_views::EventView;
use crate::store::replay::{self, Past};
use crate::store::rules::{Rule, Version};
use crate::store::{Tx, effects, messages, rules};

/// Events of a conversation that are looked back at for one rule.
const EVENTS_MAX: u32 = 20;

pub(super) fn router() -> OpenApiRouter<Api> {
    OpenApiRouter::default().routes(routes!(explain)).routes(routes!(why))
}

/// How much is wanted.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct Depth {
    /// Only this rule.
    rule: Option<String>,
    /// Repeat the runs and say which lines ran and what every condition read; admins only.
    lines: Option<bool>,
}

/// An event and what the rules made of it.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Explained {
    /// What happened.
    event: Event,
    /// When the rules looked; `null`: none of them wanted it, or it is too long ago.
    looked_at: Option<String>,
    /// Every rule, those that looked first, in the order they ran.
    rules: Vec<RunShown>,
}

/// What every rule made of one event: matched or not, why it was skipped, what it asked for and what became of that.
#[utoipa::path(get, path = "/api/v1/events/{id}/explain", tag = "rules", params(("id" = String, Path), Depth),
    responses((status = 200, body = Explained)))]
async fn explain(
    State(api): State<Api>,
    who: Principal,
    Id(id): Id<EventId>,
    Query(depth): Query<Depth>,
) -> Result<Json<Explained>, Problem> {
    let (only, with_lines) = (query_id::<RuleId>("rule", depth.rule.as_deref())?, depth.lines == Some(true));
    if with_lines {
        who.require(Role::Admin)?;
    }
    let (past, is_masked) = seen(&api, &who, id).await?;
    let known = Known::read(&api, &who).await?;
    let mut told = known.told(&api, &who, &past.event, only).await?;
    if with_lines {
        repeat(&api, &who, &past.event, &mut told).await?;
    }
    let tx = &mut api.read().await?;
    let at = replay::seen(tx, who.tenant, id).await?.map(|_| rfc3339(past.event.at_ms));
    for (run, kept) in &mut told {
        if let Some(kept) = kept {
            outcomes(tx, &who, id, kept, run).await?;
        }
    }
    let rules = told.into_iter().map(|(run, _)| run).collect();
    Ok(Json(Explained { event: shown_event(&who, past, is_masked)?, looked_at: at, rules }))
}

/// For which event it is asked: one, or the last ones of a conversation.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct About {
    /// Id of an event.
    event: Option<String>,
    /// Id of a conversation: its last 20 events.
    conversation: Option<String>,
}

/// Why a rule did or did not do something.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Why {
    /// The rule's name.
    name: String,
    /// The answers, the newest event first.
    events: Vec<WhyEvent>,
}

/// The answer for one event.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct WhyEvent {
    /// What happened.
    event: Event,
    /// What the rule made of it, and why.
    run: RunShown,
}

/// Why a rule did or did not fire, in sentences: on one event, or on the last ones of a conversation.
#[utoipa::path(get, path = "/api/v1/rules/{id}/why", tag = "rules", params(("id" = String, Path), About),
    responses((status = 200, body = Why)))]
async fn why(
    State(api): State<Api>,
    who: Principal,
    Id(id): Id<RuleId>,
    Query(about): Query<About>,
) -> Result<Json<Why>, Problem> {
    let rule = rules::get(&mut api.read().await?, who.tenant, id).await?;
    let rule = rule.ok_or_else(|| Problem::not_found("rule"))?;
    let event = query_id::<EventId>("event", about.event.as_deref())?;
    let of = query_id::<ConversationId>("conversation", about.conversation.as_deref())?;
    let events = match (event, of) {
        (Some(event), None) => vec![seen(&api, &who, event).await?],
        (None, Some(of)) => {
            let is_masked = conversation(&api, &who, of).await?.is_masked;
            let newest = replay::newest(&mut api.read().await?, who.tenant, of, EVENTS_MAX).await?;
            newest.into_iter().map(|past| (past, is_masked)).collect()
        }
        _ => {
            let detail = "say about what: `?event=evt_…` or `?conversation=cnv_…`";
            return Err(Problem::malformed("bad_query", detail));
        }
    };
    let known = Known::read(&api, &who).await?;
    let mut answers = Vec::with_capacity(events.len());
    for (past, is_masked) in events {
        let told = known.told(&api, &who, &past.event, Some(id)).await?;
        if let Some((run, _)) = told.into_iter().next() {
            answers.push(WhyEvent { event: shown_event(&who, past, is_masked)?, run });
        }
    }
    Ok(Json(Why { name: rule.name, events: answers }))
}

/// An event that the caller may see; is its contact hidden from agents?
pub(super) async fn seen(api: &Api, who: &Principal, id: EventId) -> Result<(Past, bool), Problem> {
    let past = replay::event(&mut api.read().await?, who.tenant, id).await?;
    let past = past.ok_or_else(|| not_found("event"))?;
    let is_masked = match past.event.conversation {
        Some(of) => {
            let seen = conversation(api, who, of).await.map_err(|_| not_found("event"));
            // A conversation may be gone while its last events are being erased; those are for admins.
            if seen.is_err() && who.role < Role::Admin {
                return Err(not_found("event"));
            }
            seen.is_ok_and(|it| it.is_masked)
        }
        None if who.role < Role::Admin => return Err(not_found("event")),
        None => false,
    };
    Ok((past, is_masked))
}

fn shown_event(who: &Principal, past: Past, is_masked: bool) -> Result<Event, Problem> {
    let json = |value: serde_json::Result<serde_json::Value>| {
        value.map_err(|error| Problem::internal("an event cannot be shown", &error))
    };
    let mut view = EventView {
        id: past.event.id,
        conversation: past.event.conversation,
        channel: past.channel,
        seq: past.seq,
        kind: past.event.body.kind().name().to_owned(),
        body: json(serde_json::to_value(&past.event.body))?,
        cause: json(serde_json::to_value(&past.event.cause))?,
        at_ms: past.event.at_ms,
        is_masked,
    };
    mask::event(mask::hides(who), &mut view);
    Ok(Event::show(view))
}

/// The rules that there are now.
struct Known {
    rules: Vec<(Rule, Option<Version>)>,
}

impl Known {
    async fn read(api: &Api, who: &Principal) -> Result<Self, Problem> {
        Ok(Self { rules: rules::list(&mut api.read().await?, who.tenant).await? })
    }

    /// What each rule (or one) made of an event: those that looked, then those that did not, with the reason.
    async fn told(
        &self,
        api: &Api,
        who: &Principal,
        event: &PastEvent,
        only: Option<RuleId>,
    ) -> Result<Vec<(RunShown, Option<RuleRun>)>, Problem> {
        let tx = &mut api.read().await?;
        let kept = replay::seen(tx, who.tenant, event.id).await?;
        let others_looked = kept.is_some();
        let runs = kept.map(|kept| kept.runs).unwrap_or_default();
        let is_wanted = |id: RuleId| only.is_none_or(|only| id == only);
        let mut told = Vec::new();
        let absent = self.rules.iter().filter(|(rule, _)| !runs.iter().any(|run| run.rule == rule.id));
        for (rule, version) in absent.filter(|(rule, _)| is_wanted(rule.id)) {
            let then = standing::at(tx, who.tenant, rule, event.at_ms).await?;
            let reason = not_there((rule, version.as_ref()), &then, event, others_looked);
            told.push((shown::absent(rule.id.to_string(), rule.name.clone(), reason), None));
        }
        let looked = runs.into_iter().filter(|run| is_wanted(run.rule));
        Ok(looked.map(|run| (shown::run(&run), Some(run))).chain(told).collect())
    }
}

/// Why a rule did not look at an event, as the rule stood when the event came.
fn not_there(
    (rule, now): (&Rule, Option<&Version>),
    then: &Standing,
    event: &PastEvent,
    others_looked: bool,
) -> (&'static str, String) {
    let Some(version) = then.version.as_ref().or(now) else {
        return ("not_published", "It was never published; only published rules run.".to_owned());
    };
    let Ok(script) = Script::parse(&version.source) else {
        return (
            "unknown",
            "Its published text cannot be read by this version, so it does not run.".to_owned(),
        );
    };
    let told = not_subscribed(&script, &event.body);
    if !script.header().on.contains(&event.body.kind()) {
        return told;
    }
    if then.version.is_none() {
        let at = rfc3339(version.created_ms);
        return ("not_yet", format!("It was published after the event; version {} at {at}.", version.number));
    }
    if !then.is_on {
        let now = if rule.enabled { "it is on now" } else { "switch it on if it must run" };
        return ("off", format!("It was switched off at the time; {now}."));
    }
    if let Some(since) = &then.parked_since {
        let now = match rule.parked {
            Some(_) => "mend it and publish it, or resume it",
            None => "it runs again now",
        };
        return ("parked", format!("It had failed again and again and was parked since {since}; {now}."));
    }
    if event.conversation.is_none() {
        return (
            "not_subscribed",
            "The event belongs to no conversation, so no rule looks at it.".to_owned(),
        );
    }
    let sentence = match others_looked {
        true => {
            "It did not look at this event, although it was published and on; it may have been changed at that very \
             moment."
        }
        false => {
            "What rules made of this event is not kept (any more). A dry run on the event tells what it would do."
        }
    };
    ("unknown", sentence.to_owned())
}

/// Repeats the runs of those that ran, with the version that ran.
async fn repeat(
    api: &Api,
    who: &Principal,
    event: &PastEvent,
    told: &mut [(RunShown, Option<RuleRun>)],
) -> Result<(), Problem> {
    let ran = |run: &RuleRun| !matches!(run.outcome, RunOutcome::Skipped { .. });
    if !told.iter().any(|(_, kept)| kept.as_ref().is_some_and(ran)) {
        return Ok(());
    }
    let ground = trials::ground(&api.flow, who.tenant).await.map_err(flow_problem)?;
    let Some(moment) = ground.moment(&api.flow.db, event).await? else { return Ok(()) };
    let mut sources = HashMap::new();
    {
        let tx = &mut api.read().await?;
        for kept in told.iter().filter_map(|(_, kept)| kept.as_ref()).filter(|run| ran(run)) {
            if let Some(version) = rules::get_version(tx, who.tenant, kept.version).await? {
                sources.insert(kept.rule, version.source);
            }
        }
    }
    let work = tokio::task::spawn_blocking(move || {
        let traced = |(rule, source): (RuleId, String)| {
            let script = Script::parse(&source).ok()?;
            Some((rule.to_string(), lines::trace(&script, &moment.event, &moment.facts)))
        };
        sources.into_iter().filter_map(traced).collect::<HashMap<_, _>>()
    });
    let mut traces = work.await.map_err(|error| Problem::internal("repeating a run failed", &error))?;
    for (run, _) in told {
        run.lines = traces.remove(&run.rule);
    }
    Ok(())
}

/// What became of everything that left.
async fn outcomes(
    tx: &mut Tx,
    who: &Principal,
    event: EventId,
    kept: &RuleRun,
    run: &mut RunShown,
) -> Result<(), Problem> {
    for (ordinal, (line, intent)) in kept.intents.iter().enumerate().filter(|(_, (_, it))| it.is_reply()) {
        if kept.refusals.iter().any(|it| it.line == *line && it.intent == *intent) {
            continue;
        }
        let number = u32::try_from(ordinal).unwrap_or(u32::MAX);
        let mut id = effect_of(kept.version, event, number);
        let mut effect = effects::get(tx, who.tenant, id).await?;
        if effect.is_none() {
            let earlier = earlier_effect_of(kept.version, event, number);
            effect = effects::get(tx, who.tenant, earlier).await?;
            id = effect.as_ref().map_or(id, |_| earlier);
        }
        let message = match effect.as_ref().and_then(|effect| effect.message) {
            Some(message) => messages::get(tx, who.tenant, message).await?,
            None => None,
        };
        let Some(shown) = run.intents.get_mut(ordinal) else { continue };
        shown.effect = Some(EffectShown {
            id,
            state: effect.as_ref().map(|effect| effect.state.word()),
            attempts: effect.as_ref().map_or(0, |effect| effect.attempts),
            message: message.as_ref().map(|message| message.id.to_string()),
            status: message.as_ref().and_then(|message| message.status.clone()),
            failure: message.and_then(|it| it.failure).and_then(|text| serde_json::from_str(&text).ok()),
        });
    }
    Ok(())
}

#[cfg(test)]
mod tests;
