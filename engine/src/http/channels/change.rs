//! What is asked when a channel is connected or changed, and the checked
//! channel that comes out of it.

use std::collections::BTreeMap;
use std::sync::Arc;

use pointsman_rules::ids::{ChannelId, GroupId, UserId};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use utoipa::ToSchema;

use super::view::MINUTE_MS;
use super::{access, form, switch};
use crate::crypto::random_token;
use crate::flow::catalog::secrets_place;
use crate::flow::channel_state::{DEGRADED, FAILED};
use crate::http::auth::{Principal, Role};
use crate::http::problem::{FieldProblem, Problem};
use crate::http::{Api, body, sealed};
use crate::plugins::Plugin;
use crate::store::channels::Channel;

/// A week.
const IDLE_END_MINUTES_MAX: u32 = 7 * 24 * 60;
/// A year.
const REOPEN_MINUTES_MAX: u32 = 366 * 24 * 60;
/// Messages that a channel may be allowed per second at most.
const RATE_MAX: u32 = 10_000;
const NAME_CHARS_MAX: usize = 100;

/// A new channel.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewChannel {
    /// Id of an installed plugin.
    #[schema(example = "twilio")]
    provider: String,
    /// One of the plugin's kinds.
    #[schema(example = "whatsapp")]
    kind: String,
    /// For people.
    #[schema(example = "Sales WhatsApp")]
    name: String,
    /// Our number or account, where the settings do not say it.
    address: Option<String>,
    /// As the plugin's manifest describes them.
    #[serde(default)]
    #[schema(value_type = Object)]
    settings: Map<String, Value>,
    /// Secret settings by name; sealed, never shown again.
    #[serde(default)]
    secrets: BTreeMap<String, Option<String>>,
    /// Team for new conversations.
    #[schema(value_type = Option<String>)]
    default_group: Option<GroupId>,
    /// Agent for new conversations.
    #[schema(value_type = Option<String>)]
    assigned_agent: Option<UserId>,
    /// BCP 47.
    language: Option<String>,
    /// Your own account, seen by you and by admins? Only where a phone is linked.
    #[serde(default)]
    pub(super) personal: bool,
    /// Take and send messages? Needs a default group or an assigned agent.
    #[serde(default)]
    active: bool,
    /// Only read along?
    #[serde(default)]
    receive_only: bool,
    /// Hide addresses from agents?
    #[serde(default)]
    masked: bool,
    /// May its settings point into a private network?
    #[serde(default)]
    allow_private_egress: bool,
    /// A live chat ends after so much silence; as the tenant's settings say when absent, 0: never.
    idle_end_minutes: Option<u32>,
    /// Messages that may leave per second, 0 for any number; as the provider says when absent.
    messages_per_second: Option<u32>,
    /// What an inbound message does to a closed conversation; `reopen` when absent.
    reopen: Option<Reopen>,
}

/// What may be changed. What is left out stays.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ChannelChange {
    /// For people.
    name: Option<String>,
    /// Our number or account.
    address: Option<String>,
    /// Settings to change; `null` takes one back to its default.
    #[schema(value_type = Option<Object>)]
    settings: Option<Map<String, Value>>,
    /// Secrets to change; `null` removes one.
    secrets: Option<BTreeMap<String, Option<String>>>,
    /// Team for new conversations; `null` for none.
    #[serde(default, deserialize_with = "body::given")]
    #[schema(value_type = Option<String>)]
    default_group: Option<Option<GroupId>>,
    /// Agent for new conversations; `null` for none.
    #[serde(default, deserialize_with = "body::given")]
    #[schema(value_type = Option<String>)]
    assigned_agent: Option<Option<UserId>>,
    /// BCP 47; `null` for none.
    #[serde(default, deserialize_with = "body::given")]
    #[schema(value_type = Option<String>)]
    language: Option<Option<String>>,
    /// Take and send messages?
    active: Option<bool>,
    /// Only read along?
    receive_only: Option<bool>,
    /// Hide addresses from agents?
    masked: Option<bool>,
    /// May its settings point into a private network?
    allow_private_egress: Option<bool>,
    /// A live chat ends after so much silence; 0: never.
    idle_end_minutes: Option<u32>,
    /// Messages that may leave per second, 0 for any number; `null` for as many as the provider says.
    #[serde(default, deserialize_with = "body::given")]
    #[schema(value_type = Option<u32>)]
    messages_per_second: Option<Option<u32>>,
    /// What an inbound message does to a closed conversation.
    reopen: Option<Reopen>,
}

/// What an inbound message does to a closed conversation.
#[derive(Debug, Clone, Copy, Deserialize, ToSchema)]
#[serde(tag = "policy", rename_all = "snake_case", deny_unknown_fields)]
#[expect(clippy::enum_variant_names, reason = "the words of the API")]
pub(crate) enum Reopen {
    /// It goes on.
    Reopen,
    /// A new one begins.
    New,
    /// It goes on for so long, then a new one begins.
    ReopenWithin {
        /// Minutes since it was closed.
        within_minutes: u32,
    },
}

impl NewChannel {
    /// The channel to keep.
    ///
    /// # Errors
    /// 422 with everything that is wrong with it.
    pub(super) async fn checked(self, api: &Api, who: &Principal, id: ChannelId) -> Result<Channel, Problem> {
        let owner = self.owner(api, who)?;
        let (now_ms, hook_key) = (api.flow.clock.now_ms(), random_token(&api.flow.clock, ""));
        let idle_end_minutes = api.flow.catalog.view(&api.flow, who.tenant).await?.settings.idle_end_minutes;
        let blank = Channel {
            id,
            provider: self.provider,
            kind: self.kind,
            name: String::new(),
            address: String::new(),
            settings: json!({}),
            secrets: String::new(),
            secrets_set: BTreeMap::new(),
            hook_key,
            default_group: None,
            assigned_user: None,
            owner,
            language: None,
            active: false,
            receive_only: false,
            masked: false,
            allow_private_egress: false,
            idle_end_ms: 0,
            messages_per_second: None,
            reopen_policy: Value::Null,
            state: "paused".to_owned(),
            state_reason: Some("it was not switched on yet".to_owned()),
            state_since_ms: now_ms,
            version: 1,
            created_ms: now_ms,
        };
        let change = ChannelChange {
            name: Some(self.name),
            address: self.address,
            settings: Some(self.settings),
            secrets: Some(self.secrets),
            default_group: Some(self.default_group),
            assigned_agent: Some(self.assigned_agent.or(owner)),
            language: Some(self.language),
            active: Some(self.active),
            receive_only: Some(self.receive_only),
            masked: Some(self.masked),
            allow_private_egress: Some(self.allow_private_egress),
            idle_end_minutes: Some(self.idle_end_minutes.unwrap_or(idle_end_minutes)),
            messages_per_second: Some(self.messages_per_second),
            reopen: Some(self.reopen.unwrap_or(Reopen::Reopen)),
        };
        let channel = change.applied(api, blank.clone()).await?;
        access::check_owner_fields(who, &blank, &channel)?;
        Ok(channel)
    }

    /// Whose own it will be.
    fn owner(&self, api: &Api, who: &Principal) -> Result<Option<UserId>, Problem> {
        if !self.personal {
            who.require(Role::Admin)?;
            return Ok(None);
        }
        let owner = who.user().ok_or_else(|| {
            Problem::field("/personal", "is for people; a program connects the company's channels")
        })?;
        // A plugin that is missing is named further on.
        let plugin = api.flow.host.get(&self.provider);
        if plugin.is_some_and(|plugin| !access::may_be_personal(plugin.exports())) {
            let message = "this provider has no personal accounts; an admin connects it for the company";
            return Err(Problem::field("/personal", message));
        }
        Ok(Some(owner))
    }
}

impl ChannelChange {
    /// The channel with this change.
    ///
    /// # Errors
    /// 422 with everything that is wrong with it.
    pub(super) async fn applied(self, api: &Api, mut ch: Channel) -> Result<Channel, Problem> {
        let plugin = plugin_of(api, &ch.provider, &ch.kind)?;
        let mut problems = self.plain_fields(&mut ch);
        if self.settings.is_some() || self.secrets.is_some() || self.allow_private_egress.is_some() {
            self.form(api, &plugin, &mut ch, &mut problems).await?;
        }
        if let Some(address) = self.address {
            ch.address = address.trim().to_owned();
        }
        let (now_ms, has_account) = (api.flow.clock.now_ms(), plugin.exports().account);
        match self.active {
            Some(true) => switch::switch_on(&mut ch, has_account, now_ms),
            Some(false) => switch::switch_off(&mut ch, None, now_ms),
            None => {}
        }
        let is_new = self.settings.is_some() || self.secrets.is_some();
        if is_new && ch.active && matches!(ch.state.as_str(), FAILED | DEGRADED) {
            switch::connecting(&mut ch, has_account, now_ms);
        }
        if problems.is_empty() { Ok(ch) } else { Err(Problem::invalid(problems)) }
    }

    fn plain_fields(&self, ch: &mut Channel) -> Vec<FieldProblem> {
        let mut problems = Vec::new();
        if let Some(name) = &self.name {
            ch.name = name.trim().to_owned();
            if ch.name.is_empty() || ch.name.chars().count() > NAME_CHARS_MAX {
                problems
                    .push(FieldProblem::new("/name", format!("must have 1 to {NAME_CHARS_MAX} characters")));
            }
        }
        ch.default_group = self.default_group.unwrap_or(ch.default_group);
        ch.assigned_user = self.assigned_agent.unwrap_or(ch.assigned_user);
        ch.language = self.language.clone().unwrap_or_else(|| ch.language.take());
        ch.receive_only = self.receive_only.unwrap_or(ch.receive_only);
        ch.masked = self.masked.unwrap_or(ch.masked);
        ch.allow_private_egress = self.allow_private_egress.unwrap_or(ch.allow_private_egress);
        if let Some(minutes) = self.idle_end_minutes {
            ch.idle_end_ms = i64::from(minutes) * MINUTE_MS;
            if minutes > IDLE_END_MINUTES_MAX {
                let message = format!("must be at most {IDLE_END_MINUTES_MAX}; 0 for never");
                problems.push(FieldProblem::new("/idle_end_minutes", message));
            }
        }
        if let Some(rate) = self.messages_per_second {
            ch.messages_per_second = rate.map(i64::from);
            if rate.is_some_and(|rate| rate > RATE_MAX) {
                let message = format!("must be at most {RATE_MAX}; 0 for any number");
                problems.push(FieldProblem::new("/messages_per_second", message));
            }
        }
        match self.reopen {
            Some(Reopen::Reopen) => ch.reopen_policy = json!({"policy": "reopen"}),
            Some(Reopen::New) => ch.reopen_policy = json!({"policy": "new"}),
            Some(Reopen::ReopenWithin { within_minutes: minutes @ 1..=REOPEN_MINUTES_MAX }) => {
                let ms = i64::from(minutes) * MINUTE_MS;
                ch.reopen_policy = json!({"policy": "reopen_within", "ms": ms});
            }
            Some(Reopen::ReopenWithin { .. }) => {
                let message = format!("must be from 1 to {REOPEN_MINUTES_MAX}");
                problems.push(FieldProblem::new("/reopen/within_minutes", message));
            }
            None => {}
        }
        problems
    }

    /// Settings and secrets: merged, checked against the manifest, then by the plugin itself.
    async fn form(
        &self,
        api: &Api,
        plugin: &Arc<Plugin>,
        ch: &mut Channel,
        problems: &mut Vec<FieldProblem>,
    ) -> Result<(), Problem> {
        let mut wanted = ch.settings.as_object().cloned().unwrap_or_default();
        wanted.extend(self.settings.clone().unwrap_or_default());
        let manifest = plugin.manifest();
        let mut given = self.secrets.clone().unwrap_or_default();
        let random = || random_token(&api.flow.clock, "");
        form::generate(manifest, &mut given, |name| ch.secrets_set.contains_key(name), random);
        let will_be_set = |name: &str| match given.get(name) {
            Some(value) => value.is_some(),
            None => ch.secrets_set.contains_key(name),
        };
        problems.extend(form::secrets(manifest, &given));
        match form::settings(manifest, &wanted, will_be_set, ch.allow_private_egress) {
            Ok(settings) => {
                if let Some(address) = form::address(manifest, &settings) {
                    ch.address = address;
                }
                ch.settings = Value::Object(settings);
            }
            Err(found) => problems.extend(found),
        }
        if !problems.is_empty() {
            return Ok(());
        }
        let verdict = plugin.validate(&ch.settings.to_string(), &ch.kind).await.map_err(|error| {
            tracing::warn!(
                error = &error as &dyn std::error::Error,
                "a plugin could not check a channel's settings"
            );
            Problem::refused("plugin_failed", format!("the plugin could not check the settings: {error}"))
        })?;
        problems.extend(verdict.into_iter().map(|wrong| {
            let is_secret = manifest.setting(&wrong.setting).is_some_and(|s| s.kind.is_secret());
            let part = if is_secret { "secrets" } else { "settings" };
            FieldProblem::new(format!("/{part}/{}", body::escape(&wrong.setting)), wrong.message)
        }));
        ch.secrets = sealed::put(&api.flow, &secrets_place(ch.id), &ch.secrets, &mut ch.secrets_set, given)?;
        Ok(())
    }
}

/// The plugin of this name, which has this kind of channel.
///
/// # Errors
/// 422 with what there is.
pub(super) fn plugin_of(api: &Api, provider: &str, kind: &str) -> Result<Arc<Plugin>, Problem> {
    let Some(plugin) = api.flow.host.get(provider) else {
        let known: Vec<String> = api.flow.host.list().iter().map(|p| p.manifest().id.clone()).collect();
        let message = format!("no plugin `{provider}` is installed; installed are: {}", known.join(", "));
        return Err(Problem::field("/provider", message));
    };
    if plugin.manifest().assistant.is_some() {
        let message = format!("{provider} is an assistant and has no channels; choose a provider");
        return Err(Problem::field("/provider", message));
    }
    if plugin.capabilities(kind).is_none() {
        let kinds: Vec<&str> = plugin.manifest().kinds.iter().map(|k| k.kind.as_str()).collect();
        let message = format!("{provider} has no kind `{kind}`; it has {}", kinds.join(", "));
        return Err(Problem::field("/kind", message));
    }
    Ok(plugin)
}
