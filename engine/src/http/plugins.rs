//! `/plugins`: what is installed and what it offers.

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::Api;
use super::auth::{Admin, Principal};
use super::paging::List;
use super::path::Id;
use super::problem::Problem;
use crate::plugins::{LogLevel, Plugin};

pub(super) fn router() -> OpenApiRouter<Api> {
    OpenApiRouter::default().routes(routes!(list)).routes(routes!(get))
}

/// An installed plugin.
#[derive(Debug, Serialize, ToSchema)]
pub struct PluginView {
    /// `twilio`.
    id: String,
    /// For people.
    name: String,
    /// The plugin's own version.
    version: String,
    /// SHA-256 of the installed file, hex.
    digest: String,
    /// `ready`.
    state: &'static str,
    /// `account`, `media`, `templates`, `sessions`, `backfill`: what it offers beyond webhooks and sending.
    offers: Vec<&'static str>,
    /// Settings, kinds with capabilities, origins: what it says about itself.
    #[schema(value_type = Object)]
    manifest: serde_json::Value,
}

/// A plugin with its log.
#[derive(Debug, Serialize, ToSchema)]
pub struct PluginDetail {
    /// All about it.
    #[serde(flatten)]
    view: PluginView,
    /// The last lines that it wrote, oldest first.
    log: Vec<PluginLine>,
}

/// A line of a plugin's log.
#[derive(Debug, Serialize, ToSchema)]
pub struct PluginLine {
    /// How bad.
    level: &'static str,
    /// What it said; without secrets.
    text: String,
}

fn view(plugin: &Plugin) -> PluginView {
    let (manifest, exports) = (plugin.manifest(), plugin.exports());
    let offers = [
        ("account", exports.account),
        ("media", exports.media),
        ("templates", exports.templates),
        ("sessions", exports.sessions),
        ("backfill", exports.backfill),
    ];
    PluginView {
        id: manifest.id.clone(),
        name: manifest.name.clone(),
        version: manifest.version.clone(),
        digest: plugin.digest().to_owned(),
        state: "ready",
        offers: offers.into_iter().filter_map(|(name, there)| there.then_some(name)).collect(),
        manifest: serde_json::to_value(manifest).unwrap_or_default(),
    }
}

/// Installed plugins, by id.
#[utoipa::path(get, path = "/api/v1/plugins", tag = "plugins", responses((status = 200, body = List<PluginView>)))]
async fn list(State(api): State<Api>, _: Principal) -> Json<List<PluginView>> {
    Json(List::whole(api.flow.host.list().iter().map(|plugin| view(plugin)).collect()))
}

/// One plugin, with the last lines of its log.
#[utoipa::path(get, path = "/api/v1/plugins/{id}", tag = "plugins", params(("id" = String, Path)), responses((status = 200, body = PluginDetail)))]
async fn get(State(api): State<Api>, _: Admin, Id(id): Id<String>) -> Result<Json<PluginDetail>, Problem> {
    let plugin = api.flow.host.get(&id).ok_or_else(|| Problem::not_found("plugin"))?;
    let lines = plugin.recent_log().into_iter();
    let log = lines.map(|line| PluginLine { level: word(line.level), text: line.text }).collect();
    Ok(Json(PluginDetail { view: view(&plugin), log }))
}

fn word(level: LogLevel) -> &'static str {
    match level {
        LogLevel::Debug => "debug",
        LogLevel::Info => "info",
        LogLevel::Warn => "warn",
        LogLevel::Error => "error",
    }
}
