//! `POST /conversations/{id}/{action}`: what people do to a conversation. Each
//! is a command of the conversation's lane, answered with its new state.

use axum::Json as JsonAnswer;
use axum::extract::{Path, State};
use axum::response::{IntoResponse as _, Response};
use pointsman_rules::facts::{AiState, Priority, Status};
use pointsman_rules::ids::{ConversationId, GroupId, RuleId, UserId};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::auth::Principal;
use super::body;
use super::conversations::Conversation;
use super::orders::{Carried, Pending, conversation, not_found, order};
use super::problem::Problem;
use super::{Api, body::BODY_BYTES_MAX};
use crate::clock::parse_rfc3339;
use crate::flow::command::Command;

pub(super) fn router() -> OpenApiRouter<Api> {
    OpenApiRouter::default().routes(routes!(act))
}

/// What an action may carry; which fields it takes depends on the action.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Action {
    /// `assign`: id of a user, or `null` for nobody.
    #[schema(value_type = Option<String>)]
    agent: Option<UserId>,
    /// `route`: id of a group, or `null` for none.
    #[schema(value_type = Option<String>)]
    group: Option<GroupId>,
    /// `end`, `status`: `open`, `pending`, `on_hold` or `closed`.
    status: Option<String>,
    /// `snooze`, `ai`: a time, RFC 3339.
    until: Option<String>,
    /// `ai`, `block`: on or off.
    on: Option<bool>,
    /// `ai`: why, one sentence.
    reason: Option<String>,
    /// `priority`: `low`, `normal`, `high` or `urgent`.
    priority: Option<String>,
    /// `labels`: to add.
    #[serde(default)]
    add: Vec<String>,
    /// `labels`: to take away.
    #[serde(default)]
    remove: Vec<String>,
    /// `run-rule`: id of a rule.
    #[schema(value_type = Option<String>)]
    rule: Option<RuleId>,
}

/// Does something to a conversation: `assign {agent}`, `accept` or `decline` (what is offered to you), `route {group}`, `end {status}`, `status {status}`, `archive`,
/// `reopen`, `snooze {until}`, `postpone-idle`, `ai {on, until?, reason?}`, `priority {priority}`,
/// `labels {add, remove}`, `block {on}`, `run-rule {rule}` or `read`.
#[utoipa::path(post, path = "/api/v1/conversations/{id}/{action}", tag = "conversations",
    params(("id" = String, Path), ("action" = String, Path)), request_body = Action,
    responses((status = 200, body = Conversation), (status = 202, body = Pending)))]
async fn act(
    State(api): State<Api>,
    who: Principal,
    Path((id, action)): Path<(String, String)>,
    request: axum::extract::Request,
) -> Result<Response, Problem> {
    let id: ConversationId = id.parse().map_err(|_| not_found("conversation"))?;
    let known = conversation(&api, &who, id).await?;
    let bytes = body::bytes(request, BODY_BYTES_MAX).await?;
    let command = command(&action, &bytes, &known)?;
    match order(&api, &who, id, command).await? {
        Carried::NotYet(pending) => Ok(pending.answer()),
        Carried::Out => {
            // Routing a conversation away may take it out of the caller's sight; the answer is what it became.
            let now_ms = api.flow.clock.now_ms();
            let found = conversation(&api, &who, id).await.unwrap_or(known);
            Ok(JsonAnswer(Conversation::show(found, now_ms)).into_response())
        }
    }
}

fn command(
    action: &str,
    bytes: &[u8],
    known: &crate::store::conversation_views::ConversationView,
) -> Result<Command, Problem> {
    Ok(match action {
        "assign" => Command::Assign { agent: given(bytes, "agent")?.agent },
        "route" => Command::Route { group: given(bytes, "group")?.group },
        "end" => Command::End {
            status: word(given(bytes, "status")?.status, "status", Status::from_word, Status::WORDS)?,
        },
        "status" => Command::SetStatus {
            status: word(given(bytes, "status")?.status, "status", Status::from_word, Status::WORDS)?,
        },
        "accept" => plain(bytes, Command::Accept)?,
        "decline" => plain(bytes, Command::Decline)?,
        "archive" => plain(bytes, Command::Archive)?,
        "reopen" => plain(bytes, Command::Reopen)?,
        "read" => plain(bytes, Command::MarkRead)?,
        "postpone-idle" => plain(bytes, Command::PostponeIdle)?,
        "snooze" => {
            Command::Snooze { until_ms: time(given(bytes, "until")?.until.as_deref().unwrap_or_default())? }
        }
        "ai" => set_ai(given(bytes, "on")?)?,
        "priority" => {
            let priority = given(bytes, "priority")?.priority;
            Command::SetPriority {
                priority: word(priority, "priority", Priority::from_word, Priority::WORDS)?,
            }
        }
        "labels" => {
            let Action { add, remove, .. } = parse::<Action>(bytes)?;
            // A label that is added and taken away in one request goes.
            Command::Label { add: add.into_iter().filter(|label| !remove.contains(label)).collect(), remove }
        }
        "block" => {
            Command::Block { contact: known.conversation.contact, on: given(bytes, "on")?.on.unwrap_or(true) }
        }
        "run-rule" => Command::RunRule { rule: required(given(bytes, "rule")?.rule, "rule")? },
        _ => {
            let detail = format!("a conversation knows no action `{action}`; /api/docs lists what there is");
            return Err(Problem::new(axum::http::StatusCode::NOT_FOUND, "no_such_action", detail));
        }
    })
}

fn set_ai(asked: Action) -> Result<Command, Problem> {
    let state = match (required(asked.on, "on")?, asked.until.as_deref()) {
        (true, None) => AiState::On,
        (false, None) => AiState::Off,
        (false, Some(until)) => AiState::Suspended { until_ms: time(until)? },
        (true, Some(_)) => return Err(Problem::field("/until", "goes with `on: false`: off until then")),
    };
    Ok(Command::SetAi { state, reason: asked.reason })
}

/// The body, which must name this field (`null` counts).
fn given(bytes: &[u8], field: &str) -> Result<Action, Problem> {
    let object: serde_json::Map<String, serde_json::Value> = parse(bytes)?;
    if !object.contains_key(field) {
        parse::<Action>(bytes)?; // an unknown field is the better hint
        return Err(Problem::field(format!("/{field}"), "is missing; it must be given"));
    }
    parse(bytes)
}

/// An action that needs nothing; an empty object is welcome.
fn plain(bytes: &[u8], command: Command) -> Result<Command, Problem> {
    parse::<Nothing>(bytes).map(|Nothing {}| command)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Nothing {}

fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Problem> {
    body::parse(if bytes.trim_ascii().is_empty() { b"{}" } else { bytes })
}

fn required<T>(value: Option<T>, field: &str) -> Result<T, Problem> {
    value.ok_or_else(|| Problem::field(format!("/{field}"), "must be given"))
}

fn word<T>(
    text: Option<String>,
    field: &str,
    read: impl Fn(&str) -> Option<T>,
    words: &[&str],
) -> Result<T, Problem> {
    text.as_deref()
        .and_then(read)
        .ok_or_else(|| Problem::field(format!("/{field}"), format!("must be one of {}", words.join(", "))))
}

fn time(text: &str) -> Result<i64, Problem> {
    parse_rfc3339(text)
        .map_err(|_| Problem::field("/until", "must be a time with an offset, like 2026-05-01T09:00:00Z"))
}

#[cfg(test)]
#[path = "actions_tests.rs"]
mod tests;
