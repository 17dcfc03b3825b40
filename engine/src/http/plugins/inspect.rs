//! `/plugins/inspect`: what a file would be as a plugin, before anybody installs
//! it. Must not change anything.

use axum::Json;
use axum::extract::{Request, State};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::{PluginView, of_the_first, sent, view};
use crate::http::Api;
use crate::http::auth::Owner;
use crate::http::problem::Problem;
use crate::plugins::permissions;

pub(super) const PATH: &str = "/api/v1/plugins/inspect";

pub(super) fn router() -> OpenApiRouter<Api> {
    OpenApiRouter::default().routes(routes!(inspect))
}

/// A plugin that passes every check and is not installed.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct PluginCandidate {
    /// `twilio`.
    id: String,
    /// For people.
    name: String,
    /// The plugin's own version.
    version: String,
    /// SHA-256 of the file, hex.
    digest: String,
    /// Size of the file.
    bytes: usize,
    /// What it offers beyond webhooks and sending.
    offers: Vec<&'static str>,
    /// Settings, kinds with capabilities, origins: what it says about itself.
    #[schema(value_type = Object)]
    manifest: serde_json::Value,
    /// The one that it would replace; `null`: none has its id.
    replaces: Option<PluginView>,
    /// What it may call and the one that it would replace may not. Unless this is empty, installing it needs `consent`.
    needs_consent: Vec<String>,
}

/// Checks a plugin as installing it would, says what it is and what it may call, and installs nothing: the body is the
/// `.wasm` file. Needs an owner of the installation's first organisation.
#[utoipa::path(post, path = PATH, tag = "plugins",
    request_body(content = String, content_type = "application/wasm", description = "The file."),
    responses((status = 200, body = PluginCandidate)))]
async fn inspect(
    State(api): State<Api>,
    Owner(who): Owner,
    request: Request,
) -> Result<Json<PluginCandidate>, Problem> {
    of_the_first(&api, &who).await?;
    let (wasm, plugin) = sent(&api, request).await?;
    let manifest = plugin.manifest();
    let in_use = api.flow.host.get(&manifest.id);
    let added = |before: &crate::plugins::Plugin| permissions::added(before.manifest(), manifest);
    Ok(Json(PluginCandidate {
        id: manifest.id.clone(),
        name: manifest.name.clone(),
        version: manifest.version.clone(),
        digest: plugin.digest().to_owned(),
        bytes: wasm.len(),
        offers: plugin.exports().words(),
        manifest: serde_json::to_value(manifest).unwrap_or_default(),
        needs_consent: in_use.as_deref().map(added).unwrap_or_default(),
        replaces: in_use.map(|before| view(&api, &before)),
    }))
}
