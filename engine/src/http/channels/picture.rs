//! `/channels/{id}/session/picture`: the picture of the linked account, fetched
//! from where the vendor says it is and drawn anew, so that a browser asks nobody
//! but us and gets nothing but a picture.

use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse as _, Response};
use pointsman_rules::ids::ChannelId;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::access::Manager;
use super::session::linked;
use crate::flow::thumbnail;
use crate::http::Api;
use crate::http::path::Id;
use crate::http::problem::Problem;
use crate::store::channel_sessions;

/// Profile pictures change rarely, and asking for one shows the vendor that we look.
const KEPT: &str = "private, max-age=3600";

pub(super) fn router() -> OpenApiRouter<Api> {
    OpenApiRouter::default().routes(routes!(picture))
}

/// The picture of the linked account, small. 404 when it has none, or the vendor does not give it now.
#[utoipa::path(get, path = "/api/v1/channels/{id}/session/picture", tag = "channels", params(("id" = String, Path)),
    responses((status = 200, content((Vec<u8> = "image/jpeg")))))]
async fn picture(
    State(api): State<Api>,
    Manager(who): Manager,
    Id(id): Id<ChannelId>,
) -> Result<Response, Problem> {
    let (plugin, context) = linked(&api, &who, id).await?;
    let known = channel_sessions::get(&mut api.read().await?, who.tenant, id).await?;
    let none = || Problem::not_found("picture");
    let url = known.and_then(|it| it.picture_url).ok_or_else(none)?;
    let source = plugin.fetch_picture(&context, &url).await.map_err(|_| none())?;
    let small = thumbnail::once(&api.flow, source).await.ok_or_else(none)?;
    let about = [(header::CONTENT_TYPE, thumbnail::CONTENT_TYPE), (header::CACHE_CONTROL, KEPT)];
    Ok((about, small).into_response())
}
