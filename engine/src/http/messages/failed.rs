//! What can be done about a message that failed: send it once more, or delete it.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use pointsman_rules::ids::MessageId;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::{Message, answer};
use crate::flow::command::Command;
use crate::http::Api;
use crate::http::auth::Principal;
use crate::http::orders::{Carried, Pending, not_found, order, sight};
use crate::http::path::Id;
use crate::http::problem::Problem;
use crate::store::message_views;

pub(super) fn router() -> OpenApiRouter<Api> {
    OpenApiRouter::default().routes(routes!(discard)).routes(routes!(retry))
}

/// Deletes a message that failed, for everybody. What may have reached the contact stays.
#[utoipa::path(delete, path = "/api/v1/messages/{id}", tag = "messages", params(("id" = String, Path)),
    responses((status = 204), (status = 202, body = Pending)))]
async fn discard(State(api): State<Api>, who: Principal, Id(id): Id<MessageId>) -> Result<Response, Problem> {
    Ok(match give(&api, &who, id, Command::Discard { message: id }).await? {
        Carried::NotYet(pending) => pending.answer(),
        Carried::Out => StatusCode::NO_CONTENT.into_response(),
    })
}

/// Sends a failed or unclear message once more, as the same message.
#[utoipa::path(post, path = "/api/v1/messages/{id}/retry", tag = "messages", params(("id" = String, Path)),
    responses((status = 200, body = Message), (status = 202, body = Pending)))]
async fn retry(State(api): State<Api>, who: Principal, Id(id): Id<MessageId>) -> Result<Response, Problem> {
    retry_message(&api, &who, id).await
}

/// Orders a message to be sent once more.
pub(in crate::http) async fn retry_message(
    api: &Api,
    who: &Principal,
    id: MessageId,
) -> Result<Response, Problem> {
    let carried = give(api, who, id, Command::Retry { message: id }).await?;
    answer(api, who, carried, id, StatusCode::OK).await
}

/// Gives a command to the conversation of a message that the caller may see.
async fn give(api: &Api, who: &Principal, id: MessageId, command: Command) -> Result<Carried, Problem> {
    let found = message_views::get(&mut api.read().await?, who.tenant, sight(who), id).await?;
    let conversation = found.ok_or_else(|| not_found("message"))?.message.conversation;
    order(api, who, conversation, command).await
}
