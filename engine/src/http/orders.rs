//! From a request to a command and back: who may see the conversation, what the
//! flow room refused, and what is still waiting for its turn.

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use pointsman_rules::ids::{ChannelId, ConversationId, MessageId};
use serde::Serialize;
use utoipa::ToSchema;

use super::Api;
use super::auth::{Principal, Role};
use super::hooks::flow_problem;
use super::mask;
use super::problem::Problem;
use crate::flow::OrderError;
use crate::flow::command::{Command, Order};
use crate::store::conversation_views::{self, ConversationView};
use crate::store::filter::Sight;

/// What became of a command.
#[derive(Debug)]
pub(super) enum Carried {
    /// A turn has carried it out.
    Out,
    /// It is kept and will be carried out, but its lane is busy.
    NotYet(Pending),
}

/// 202: the command is kept and will be carried out; its lane is busy.
#[derive(Debug, Serialize, ToSchema)]
pub struct Pending {
    /// Always `true`.
    pending: bool,
    /// The id that the message will have.
    #[schema(value_type = Option<String>)]
    message: Option<MessageId>,
    /// What to do.
    detail: &'static str,
}

impl Pending {
    pub(super) fn answer(self) -> Response {
        (StatusCode::ACCEPTED, Json(self)).into_response()
    }
}

/// What this caller may see.
pub(super) fn sight(who: &Principal) -> Sight {
    match (who.role, who.user()) {
        (Role::Agent, Some(user)) => Sight::Agent(user),
        (Role::Agent, None) => Sight::Ungrouped,
        _ => Sight::All,
    }
}

/// The conversation, if the caller may see it.
pub(super) async fn conversation(
    api: &Api,
    who: &Principal,
    id: ConversationId,
) -> Result<ConversationView, Problem> {
    let found = conversation_views::get(&mut api.read().await?, who.tenant, sight(who), id).await?;
    let mut found = found.ok_or_else(|| not_found("conversation"))?;
    mask::conversation(who, &mut found);
    Ok(found)
}

/// 404 that does not tell whether somebody else has one.
pub(super) fn not_found(what: &str) -> Problem {
    Problem::new(
        StatusCode::NOT_FOUND,
        "not_found",
        format!("there is no such {what}, or it is not yours to see"),
    )
}

/// Gives a command to a conversation that the caller may see.
pub(super) async fn order(
    api: &Api,
    who: &Principal,
    id: ConversationId,
    command: Command,
) -> Result<Carried, Problem> {
    conversation(api, who, id).await?;
    give(api, who, None, Order { conversation: Some(id), actor: who.actor(), command }).await
}

/// Gives the command that writes to somebody first.
pub(super) async fn start(
    api: &Api,
    who: &Principal,
    channel: ChannelId,
    command: Command,
) -> Result<Carried, Problem> {
    give(api, who, Some(channel), Order { conversation: None, actor: who.actor(), command }).await
}

pub(super) async fn give(
    api: &Api,
    who: &Principal,
    channel: Option<ChannelId>,
    order: Order,
) -> Result<Carried, Problem> {
    let message = match &order.command {
        Command::Start { message, .. } | Command::Send { message, .. } | Command::Note { message, .. } => {
            Some(*message)
        }
        _ => None,
    };
    match api.flow.order(who.tenant, channel, order).await {
        Ok(_) => Ok(Carried::Out),
        Err(OrderError::TimedOut) => Ok(Carried::NotYet(Pending {
            pending: true,
            message,
            detail: "the request is kept and will be carried out; look again in a moment, do not repeat it",
        })),
        Err(OrderError::NotFound) => Err(not_found("conversation")),
        Err(OrderError::Refused { code, detail, message }) => {
            let problem = Problem::refused(code, detail);
            Err(match message {
                Some(message) => problem.with("message", message.to_string()),
                None => problem,
            })
        }
        Err(OrderError::Flow(error)) => Err(flow_problem(error)),
    }
}
