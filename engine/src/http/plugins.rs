//! `/plugins`: what is installed and what it offers; installing, upgrading and
//! removing. A plugin serves all organisations of an installation, so that only
//! owners of the first one change them.

mod inspect;

use std::sync::Arc;

use axum::Json;
use axum::body::Bytes;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::auth::{Admin, Owner, Principal, Role};
use super::paging::{List, Query};
use super::path::Id;
use super::problem::Problem;
use super::{Api, Refused, body};
use crate::bus::News;
use crate::plugins::{COMPONENT_BYTES_MAX, LogLevel, Plugin, permissions};
use crate::store::audit::{self, Change};
use crate::store::installed_plugins::{self, InstalledPlugin};
use crate::store::tenants;

const PLUGINS_PATH: &str = "/api/v1/plugins";

/// Is a plugin sent there? It may be larger than other bodies, and compiling it takes longer than other answers.
pub(super) fn takes_a_file(path: &str) -> bool {
    [PLUGINS_PATH, inspect::PATH].contains(&path)
}

pub(super) fn router() -> OpenApiRouter<Api> {
    let plugins = OpenApiRouter::default().routes(routes!(list, install)).routes(routes!(get, remove));
    plugins.merge(inspect::router())
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
    /// `folder`: it lies in the server's folder of plugins; `installed`: somebody installed it over the API.
    source: &'static str,
    /// `account`, `media`, `templates`, `sessions`, `backfill`: what it offers beyond webhooks and sending;
    /// `assistant`: that it is no provider but an assistant.
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

fn view(api: &Api, plugin: &Plugin) -> PluginView {
    let manifest = plugin.manifest();
    PluginView {
        id: manifest.id.clone(),
        name: manifest.name.clone(),
        version: manifest.version.clone(),
        digest: plugin.digest().to_owned(),
        state: "ready",
        source: match api.flow.host.adopted(&manifest.id) {
            Some(_) => "installed",
            None => "folder",
        },
        offers: plugin.exports().words(),
        manifest: serde_json::to_value(manifest).unwrap_or_default(),
    }
}

/// Installed plugins, by id.
#[utoipa::path(get, path = "/api/v1/plugins", tag = "plugins", responses((status = 200, body = List<PluginView>)))]
async fn list(State(api): State<Api>, _: Principal) -> Json<List<PluginView>> {
    Json(List::whole(api.flow.host.list().iter().map(|plugin| view(&api, plugin)).collect()))
}

/// One plugin, with the last lines of its log.
#[utoipa::path(get, path = "/api/v1/plugins/{id}", tag = "plugins", params(("id" = String, Path)), responses((status = 200, body = PluginDetail)))]
async fn get(State(api): State<Api>, _: Admin, Id(id): Id<String>) -> Result<Json<PluginDetail>, Problem> {
    let plugin = api.flow.host.get(&id).ok_or_else(|| Problem::not_found("plugin"))?;
    let lines = plugin.recent_log().into_iter();
    let log = lines.map(|line| PluginLine { level: word(line.level), text: line.text }).collect();
    Ok(Json(PluginDetail { view: view(&api, &plugin), log }))
}

/// How a plugin is installed.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct HowToInstall {
    /// Digest of the file, where it may call more than the one in use: somebody has looked at that.
    consent: Option<String>,
}

/// Installs a plugin or replaces the one with its id: the body is the `.wasm` file. When it may call more than the one in
/// use, it answers 409 `plugin_needs_consent` with `added` and `digest`; send it again with `consent` set to that digest.
/// Whatever is refused leaves the one in use as it is. Needs an owner of the installation's first organisation.
#[utoipa::path(post, path = "/api/v1/plugins", tag = "plugins", params(("consent" = Option<String>, Query, description = "Digest of the file, when it may call more than the one in use.")),
    request_body(content = String, content_type = "application/wasm", description = "The file."),
    responses((status = 201, body = PluginView), (status = 200, description = "It replaced another one", body = PluginView)))]
async fn install(
    State(api): State<Api>,
    Owner(who): Owner,
    Query(how): Query<HowToInstall>,
    request: Request,
) -> Result<(StatusCode, Json<PluginView>), Problem> {
    of_the_first(&api, &who).await?;
    let (wasm, plugin) = sent(&api, request).await?;
    let (id, digest) = (plugin.manifest().id.clone(), plugin.digest().to_owned());
    let before = api.flow.host.get(&id);
    if let Some(before) = &before {
        allowed(before, &plugin, how.consent.as_deref())?;
    }
    let row = InstalledPlugin {
        id: id.clone(),
        version: plugin.manifest().version.clone(),
        digest,
        installed_by: who.id(),
        installed_ms: api.flow.clock.now_ms(),
    };
    let told = |plugin: &Plugin| {
        let may_call = permissions::asked(plugin.manifest());
        serde_json::json!({"version": plugin.manifest().version, "digest": plugin.digest(), "may_call": may_call})
    };
    let change = match &before {
        Some(before) => Change::edited(&told(before), &told(&plugin)),
        None => Change::made(&told(&plugin)),
    };
    let entry = who.did(&api.flow.clock, "plugin.install", &id, change);
    let (tenant, kinds) =
        (who.tenant, plugin.manifest().kinds.iter().map(|kind| kind.kind.clone()).collect::<Vec<_>>());
    api.write(move |tx| {
        let (row, entry, wasm, kinds) = (row.clone(), entry.clone(), wasm.clone(), kinds.clone());
        Box::pin(async move {
            let in_use = installed_plugins::kinds_in_use(tx, &row.id).await?;
            if let Some(lost) = in_use.iter().find(|kind| !kinds.contains(kind)) {
                let detail = format!("channels of kind {lost} use this plugin, and it does not offer that any more; delete them first, or keep the kind");
                return Err(Problem::conflict("plugin_in_use", detail).into());
            }
            installed_plugins::put(tx, &row, &wasm).await?;
            Ok::<_, Refused>(audit::append(tx, tenant, &entry).await?)
        })
    })
    .await?;
    api.flow.host.adopt(plugin.clone());
    api.flow.bus.publish(News::Plugins);
    let status = if before.is_some() { StatusCode::OK } else { StatusCode::CREATED };
    Ok((status, Json(view(&api, &plugin))))
}

/// The plugin of a body that has passed every check, and its bytes.
async fn sent(api: &Api, request: Request) -> Result<(Bytes, Arc<Plugin>), Problem> {
    let wasm = body::bytes(request, COMPONENT_BYTES_MAX).await?;
    match api.flow.host.prepare(&wasm).await {
        Ok(plugin) => Ok((wasm, plugin)),
        Err(error) => {
            let said = error.to_string();
            let code = said.split(':').next().unwrap_or_default().to_owned();
            Err(Problem::refused("plugin_refused", &said).with("plugin_code", code))
        }
    }
}

/// May it take the place of the one in use?
fn allowed(before: &Plugin, plugin: &Plugin, consent: Option<&str>) -> Result<(), Problem> {
    let added = permissions::added(before.manifest(), plugin.manifest());
    if added.is_empty() || consent == Some(plugin.digest()) {
        return Ok(());
    }
    let detail = format!(
        "version {} of {} may call more than {}: {}; when that is right, install it again with `consent` set to its digest",
        plugin.manifest().version,
        plugin.manifest().id,
        before.manifest().version,
        added.join(", ")
    );
    Err(Problem::conflict("plugin_needs_consent", detail)
        .with("added", added)
        .with("digest", plugin.digest()))
}

/// Removes a plugin that was installed over the API. If the server's folder has one with its id, that one is back;
/// otherwise no channel may use it. Needs an owner of the installation's first organisation.
#[utoipa::path(delete, path = "/api/v1/plugins/{id}", tag = "plugins", params(("id" = String, Path)), responses((status = 204)))]
async fn remove(
    State(api): State<Api>,
    Owner(who): Owner,
    Id(id): Id<String>,
) -> Result<StatusCode, Problem> {
    of_the_first(&api, &who).await?;
    if api.flow.host.get(&id).is_none() {
        return Err(Problem::not_found("plugin"));
    }
    let in_folder = api.flow.host.of_folder(&id);
    let offered: Vec<String> =
        in_folder.iter().flat_map(|it| it.manifest().kinds.iter().map(|kind| kind.kind.clone())).collect();
    let (tenant, gone, is_in_folder) = (who.tenant, id.clone(), in_folder.is_some());
    let entry =
        who.did(&api.flow.clock, "plugin.remove", &id, Change::removed(&serde_json::json!({"id": id})));
    api.write(move |tx| {
        let (gone, offered, entry) = (gone.clone(), offered.clone(), entry.clone());
        Box::pin(async move {
            let in_use = installed_plugins::kinds_in_use(tx, &gone).await?;
            if let Some(kind) = in_use.iter().find(|kind| !offered.contains(kind)) {
                let detail = format!("channels of kind {kind} use this plugin; delete them first");
                return Err(Problem::conflict("plugin_in_use", detail).into());
            }
            if !installed_plugins::remove(tx, &gone).await? {
                let detail = if is_in_folder {
                    "this plugin lies in the server's folder of plugins; take it out there and start the server anew"
                } else {
                    "another process has just removed this plugin"
                };
                return Err(Problem::conflict("plugin_of_folder", detail).into());
            }
            Ok::<_, Refused>(audit::append(tx, tenant, &entry).await?)
        })
    })
    .await?;
    api.flow.host.abandon(&id);
    api.flow.bus.publish(News::Plugins);
    Ok(StatusCode::NO_CONTENT)
}

/// May they change what serves all organisations of the installation?
pub(super) async fn may_install(api: &Api, who: &Principal) -> Result<bool, Problem> {
    let first = tenants::list(&mut api.read().await?).await?.first().map(|tenant| tenant.id);
    Ok(who.role == Role::Owner && first == Some(who.tenant))
}

/// Refuses everybody but owners of the installation's first organisation.
async fn of_the_first(api: &Api, who: &Principal) -> Result<(), Problem> {
    if may_install(api, who).await? {
        return Ok(());
    }
    let detail = "plugins serve all organisations of this installation; ask an owner of its first one";
    Err(Problem::forbidden(detail))
}

fn word(level: LogLevel) -> &'static str {
    match level {
        LogLevel::Debug => "debug",
        LogLevel::Info => "info",
        LogLevel::Warn => "warn",
        LogLevel::Error => "error",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::auth::Role;
    use crate::http::testing::{NOW_MS, Stage};
    use pointsman_rules::ids::TenantId;

    async fn post(stage: &Stage, path: &str, key: &str, file: &str) -> crate::http::testing::Answer {
        let bearer = format!("Bearer {key}");
        let headers = [("authorization", bearer.as_str()), ("content-type", "application/wasm")];
        stage.send_text("POST", path, &headers, file).await
    }

    #[tokio::test]
    async fn what_does_not_load_is_refused_with_its_code_and_changes_nothing() {
        let stage = Stage::new().await;
        let owner = stage.key(Role::Owner).await;
        assert_eq!(stage.get("/api/v1/me", &owner).await.expect(200)["may_install"], true);
        for (file, code) in [("\0asm\x01\0\0\0", "P110"), ("<html>not found</html>", "P103")] {
            for path in [PLUGINS_PATH, inspect::PATH] {
                let problem = post(&stage, path, &owner, file).await.problem(422, "plugin_refused");
                assert_eq!(problem["plugin_code"], code, "{problem}");
            }
        }
        assert_eq!(stage.get(PLUGINS_PATH, &owner).await.expect(200)["items"], serde_json::json!([]));
        let path = format!("{PLUGINS_PATH}?force=true");
        let bearer = format!("Bearer {owner}");
        let answer = stage.send_text("POST", &path, &[("authorization", bearer.as_str())], "x").await;
        assert!(answer.status.is_client_error(), "an unknown parameter is taken: {}", answer.text);
        stage.delete(&format!("{PLUGINS_PATH}/acme"), &owner).await.problem(404, "not_found");
    }

    #[tokio::test]
    async fn only_owners_of_the_first_organisation_change_plugins() {
        let stage = Stage::new().await;
        let second = TenantId::new(NOW_MS + 1, 2);
        stage
            .write(move |tx| {
                Box::pin(async move {
                    let row = tenants::Tenant { id: second, name: "Second".into() };
                    tenants::insert(tx, &row, NOW_MS + 1).await
                })
            })
            .await;
        let (admin, other) = (stage.key(Role::Admin).await, stage.key_of(second, Role::Owner).await);
        for key in [&admin, &other] {
            for path in [PLUGINS_PATH, inspect::PATH] {
                post(&stage, path, key, "x").await.problem(403, "forbidden");
            }
            assert_eq!(stage.get("/api/v1/me", key).await.expect(200)["may_install"], false);
            stage.delete(&format!("{PLUGINS_PATH}/acme"), key).await.problem(403, "forbidden");
        }
    }
}
