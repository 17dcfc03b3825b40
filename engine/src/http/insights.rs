//! `/conversations/{id}/insights` and `/suggest`: asking the channel's assistant
//! now. What it judges is kept with the conversation; a suggestion is only shown,
//! and never sent by itself.

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use pointsman_rules::event::Actor;
use pointsman_rules::ids::{ConversationId, JobId};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::auth::Principal;
use super::body::{self, Nothing};
use super::conversations::Conversation;
use super::hooks::flow_problem;
use super::orders::{self, Carried, conversation, not_found};
use super::path::Id;
use super::problem::Problem;
use super::{Api, auth};
use crate::flow::assistant::ask::{NotAsked, Thought, think};
use crate::flow::assistant::bill::pay;
use crate::flow::assistant::run::judgement;
use crate::flow::command::{Command, Order};
use crate::plugins::{AssistOutcome, AssistTask};

pub(super) fn router() -> OpenApiRouter<Api> {
    OpenApiRouter::default().routes(routes!(insights)).routes(routes!(suggest))
}

/// A draft for a person.
#[derive(Debug, Serialize, ToSchema)]
struct Suggestion {
    /// For which conversation. By it a kept answer to a repeated request is found when the contact is erased.
    #[schema(value_type = String)]
    conversation: ConversationId,
    /// What could be written; `null`: the assistant would rather have a person, or nothing said.
    text: Option<String>,
    /// Why there is no text.
    reason: Option<String>,
    /// Which model wrote it, as its vendor calls it.
    model: Option<String>,
}

/// Asks the channel's assistant for sentiment, summary and language, and keeps them with the conversation.
#[utoipa::path(post, path = "/api/v1/conversations/{id}/insights", tag = "conversations", params(("id" = String, Path)),
    request_body = Nothing, responses((status = 200, body = Conversation), (status = 202, body = orders::Pending)))]
async fn insights(
    State(api): State<Api>,
    who: Principal,
    Id(id): Id<ConversationId>,
    body::Json(Nothing {}): body::Json<Nothing>,
) -> Result<Response, Problem> {
    to_its_end(judge(api, who, id)).await
}

async fn judge(api: Api, who: Principal, id: ConversationId) -> Result<Response, Problem> {
    let known = conversation(&api, &who, id).await?;
    let Thought { said, run, bill } = asked(&api, &who, id, AssistTask::Insights).await?;
    pay(&api.flow, who.tenant, bill).await.map_err(flow_problem)?;
    let found = judgement(said);
    let problem = found.as_ref().err().cloned();
    let carried = give(&api, &who, id, Command::Judged { found, run }).await?;
    match (problem, carried) {
        (Some(problem), _) => Err(Problem::unavailable("assistant_failed", problem)),
        (None, Carried::NotYet(pending)) => Ok(pending.answer()),
        (None, Carried::Out) => {
            let found = conversation(&api, &who, id).await.unwrap_or(known);
            Ok(Json(Conversation::show(found, api.flow.clock.now_ms())).into_response())
        }
    }
}

/// Asks the channel's assistant for a draft. It is shown to you and goes nowhere.
#[utoipa::path(post, path = "/api/v1/conversations/{id}/suggest", tag = "conversations", params(("id" = String, Path)),
    request_body = Nothing, responses((status = 200, body = Suggestion)))]
async fn suggest(
    State(api): State<Api>,
    who: Principal,
    Id(id): Id<ConversationId>,
    body::Json(Nothing {}): body::Json<Nothing>,
) -> Result<Json<Suggestion>, Problem> {
    to_its_end(draft(api, who, id)).await
}

async fn draft(api: Api, who: Principal, id: ConversationId) -> Result<Json<Suggestion>, Problem> {
    conversation(&api, &who, id).await?;
    let Thought { said, run, bill } = asked(&api, &who, id, AssistTask::Suggest).await?;
    pay(&api.flow, who.tenant, bill).await.map_err(flow_problem)?;
    let model = run.model.clone();
    let problem = said.as_ref().err().cloned();
    give(&api, &who, id, Command::Suggested { problem, run }).await?;
    let (text, reason) = match said {
        Ok(AssistOutcome::Reply { text }) => (Some(text), None),
        Ok(AssistOutcome::Handoff { reason, note }) if note.trim().is_empty() => (None, Some(reason)),
        Ok(AssistOutcome::Handoff { note, .. }) => (None, Some(note)),
        Ok(_) => (None, Some("Nothing needs to be said.".to_owned())),
        Err(problem) => return Err(Problem::unavailable("assistant_failed", problem)),
    };
    Ok(Json(Suggestion { conversation: id, text, reason, model }))
}

/// Goes on when the caller goes away: the model was asked, so what it costs is counted and what it said is kept.
async fn to_its_end<T: Send + 'static>(
    work: impl Future<Output = Result<T, Problem>> + Send + 'static,
) -> Result<T, Problem> {
    tokio::spawn(work).await.unwrap_or_else(|error| Err(Problem::internal("ask an assistant", &error)))
}

async fn asked(
    api: &Api,
    who: &auth::Principal,
    id: ConversationId,
    task: AssistTask,
) -> Result<Thought, Problem> {
    let clock = &api.flow.clock;
    let call = JobId::new(clock.now_ms(), clock.random());
    think(&api.flow, who.tenant, id, task, call).await.map_err(|why| match why {
        NotAsked::NotFound => not_found("conversation"),
        NotAsked::NoConsent(_) => Problem::conflict("no_assistant", why.to_string()),
        NotAsked::Spent(_) => Problem::refused("assistant_budget", why.to_string()),
        NotAsked::Flow(error) => flow_problem(error),
    })
}

/// What an assistant said goes into the lane in its name; who asked is in the log of the API.
async fn give(api: &Api, who: &Principal, id: ConversationId, command: Command) -> Result<Carried, Problem> {
    let order = Order { conversation: Some(id), actor: Actor::Assistant, command };
    orders::give(api, who, None, order).await
}
