//! `/groups/{id}/instructions`: what assistants are told while a group has the
//! conversation.

use axum::extract::State;
use pointsman_rules::ids::GroupId;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::change::checked_instructions;
use crate::http::auth::Admin;
use crate::http::etag::{IfMatch, Tagged};
use crate::http::path::Id;
use crate::http::problem::Problem;
use crate::http::{Api, Refused, body};
use crate::store::audit::{self, Change};
use crate::store::{channel_assistants, groups};

pub(super) fn router() -> OpenApiRouter<Api> {
    OpenApiRouter::default().routes(routes!(get, set))
}

/// What assistants are told while a group has the conversation.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct GroupInstructions {
    /// Empty: nothing.
    #[schema(example = "Offer a call back; never promise a refund.")]
    instructions: String,
}

/// What assistants are told while this group has the conversation.
#[utoipa::path(get, path = "/api/v1/groups/{id}/instructions", tag = "assistants", params(("id" = String, Path)), responses((status = 200, body = GroupInstructions)))]
async fn get(
    State(api): State<Api>,
    Admin(who): Admin,
    Id(id): Id<GroupId>,
) -> Result<Tagged<GroupInstructions>, Problem> {
    let tx = &mut api.read().await?;
    if groups::get(tx, who.tenant, id).await?.is_none() {
        return Err(Problem::not_found("group"));
    }
    let found = channel_assistants::group_instructions(tx, who.tenant, id).await?;
    let (instructions, version) = found.unwrap_or_default();
    Ok(Tagged::ok(version, GroupInstructions { instructions }))
}

/// Says what assistants are told while this group has the conversation.
#[utoipa::path(put, path = "/api/v1/groups/{id}/instructions", tag = "assistants", params(("id" = String, Path)), request_body = GroupInstructions, responses((status = 200, body = GroupInstructions)))]
async fn set(
    State(api): State<Api>,
    Admin(who): Admin,
    Id(id): Id<GroupId>,
    seen: IfMatch,
    body::Json(given): body::Json<GroupInstructions>,
) -> Result<Tagged<GroupInstructions>, Problem> {
    let mut problems = Vec::new();
    let instructions = checked_instructions(&given.instructions, "/instructions", &mut problems);
    if !problems.is_empty() {
        return Err(Problem::invalid(problems));
    }
    let (tenant, inside) = (who.tenant, api.clone());
    let after = GroupInstructions { instructions };
    let wanted = after.clone();
    let version = api.write(move |tx| {
        let (api, who, seen, wanted) = (inside.clone(), who.clone(), seen.clone(), wanted.clone());
        Box::pin(async move {
            if groups::get(tx, tenant, id).await?.is_none() {
                return Err(Problem::not_found("group").into());
            }
            let before = channel_assistants::group_instructions(tx, tenant, id).await?;
            let (instructions, version) = before.unwrap_or_default();
            seen.check(version)?;
            channel_assistants::set_group_instructions(tx, tenant, id, &wanted.instructions).await?;
            let what = Change::edited(&GroupInstructions { instructions }, &wanted);
            audit::append(tx, tenant, &who.did(&api.flow.clock, "group.instructions", id, what)).await?;
            Ok::<_, Refused>(version + 1)
        })
    });
    Ok(Tagged::ok(version.await?, after))
}
