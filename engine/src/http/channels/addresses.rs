//! The numbers of the vendor's account, to choose a channel's from: for a channel
//! that is there, and while one is being connected. Keeps nothing.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use pointsman_rules::ids::ChannelId;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::access::{self, Manager};
use super::account::{context, refused};
use super::change::plugin_of;
use crate::http::Api;
use crate::http::auth::Role;
use crate::http::body;
use crate::http::paging::List;
use crate::http::path::Id;
use crate::http::problem::Problem;
use crate::plugins::{AccountAddress, AccountTask, ChannelContext, Plugin, Secret};

pub(super) fn router() -> OpenApiRouter<Api> {
    OpenApiRouter::default().routes(routes!(of_channel)).routes(routes!(of_account))
}

/// A number or account of the vendor's account.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct AddressView {
    /// As the vendor writes it.
    address: String,
    /// For people.
    label: String,
    /// Kinds of channel it can be used for.
    kinds: Vec<String>,
}

/// An account at a vendor, as a new channel would name it.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct AccountForm {
    /// Id of an installed plugin.
    #[schema(example = "twilio")]
    provider: String,
    /// One of the plugin's kinds.
    #[schema(example = "whatsapp")]
    kind: String,
    /// As the plugin's manifest describes them, as far as they are known.
    #[serde(default)]
    #[schema(value_type = Object)]
    settings: Map<String, Value>,
    /// Secret settings by name; used for this question only.
    #[serde(default)]
    secrets: BTreeMap<String, String>,
    /// May its settings point into a private network?
    #[serde(default)]
    allow_private_egress: bool,
}

/// Numbers and accounts of the vendor's account, to choose from.
#[utoipa::path(get, path = "/api/v1/channels/{id}/addresses", tag = "channels", params(("id" = String, Path)), responses((status = 200, body = List<AddressView>)))]
async fn of_channel(
    State(api): State<Api>,
    Manager(who): Manager,
    Id(id): Id<ChannelId>,
) -> Result<Json<List<AddressView>>, Problem> {
    let (plugin, context) = context(&api, &who, id).await?;
    ask(&plugin, &context).await
}

/// Numbers and accounts that a new channel could have, from the credentials it would have. Keeps nothing.
#[utoipa::path(post, path = "/api/v1/channels/addresses", tag = "channels", request_body = AccountForm, responses((status = 200, body = List<AddressView>)))]
async fn of_account(
    State(api): State<Api>,
    Manager(who): Manager,
    body::Json(form): body::Json<AccountForm>,
) -> Result<Json<List<AddressView>>, Problem> {
    let plugin = plugin_of(&api, &form.provider, &form.kind)?;
    if form.allow_private_egress || !access::may_be_personal(plugin.exports()) {
        who.require(Role::Admin)?;
    }
    let context = form.context(&plugin, &api, who.tenant.to_string());
    ask(&plugin, &context).await
}

impl AccountForm {
    /// As if the channel were there, with the defaults of what was left out.
    fn context(self, plugin: &Plugin, api: &Api, files_of: String) -> ChannelContext {
        let defaults = plugin.manifest().settings.iter();
        let mut settings: Map<String, Value> =
            defaults.filter_map(|it| Some((it.name.clone(), it.default.clone()?))).collect();
        settings.extend(self.settings.into_iter().filter(|(_, value)| !value.is_null()));
        let secrets = self.secrets.into_iter().map(|(name, value)| (name, Secret::new(value)));
        ChannelContext {
            channel_id: "new".to_owned(),
            kind: self.kind,
            address: String::new(),
            settings: Value::Object(settings).to_string(),
            secrets: Arc::new(secrets.collect()),
            webhook_url: String::new(),
            now_ms: api.flow.clock.now_ms(),
            locale: "en".to_owned(),
            allow_private_egress: self.allow_private_egress,
            files_of,
        }
    }
}

async fn ask(plugin: &Plugin, context: &ChannelContext) -> Result<Json<List<AddressView>>, Problem> {
    let report = plugin.account(context, AccountTask::ListAddresses).await.map_err(refused)?;
    let show = |it: AccountAddress| AddressView { address: it.address, label: it.label, kinds: it.kinds };
    Ok(Json(List::whole(report.addresses.into_iter().map(show).collect())))
}
