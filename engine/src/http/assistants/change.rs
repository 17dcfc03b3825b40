//! What is asked when an assistant is added or changed, and the checked assistant
//! that comes out of it.

use std::collections::BTreeMap;

use pointsman_rules::ids::AssistantId;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use utoipa::ToSchema;

use super::limits::LimitsForm;
use crate::flow::assistant::ask::place_of;
use crate::http::channels::form;
use crate::http::problem::{FieldProblem, Problem};
use crate::http::{Api, body, sealed};
use crate::plugins::manifest::SettingKind;
use crate::plugins::{ASSISTANT_KIND, Plugin};
use crate::store::assistants::{Assistant, Limits};

const NAME_CHARS_MAX: usize = 100;
/// Characters of instructions, wherever they are given.
pub(super) const INSTRUCTIONS_CHARS_MAX: usize = 8_000;

/// A new assistant.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewAssistant {
    /// Id of an installed AI plugin.
    #[schema(example = "openai")]
    plugin: String,
    /// Unique, whatever its case.
    #[schema(example = "Ada")]
    name: String,
    /// As the plugin's manifest describes them.
    #[serde(default)]
    #[schema(value_type = Object)]
    settings: Map<String, Value>,
    /// Secret settings by name; sealed, never shown again.
    #[serde(default)]
    secrets: BTreeMap<String, Option<String>>,
    /// May its settings point into a private network?
    #[serde(default)]
    allow_private_egress: bool,
    /// Is it asked anything? Yes when absent.
    active: Option<bool>,
    /// What it is told, whatever the channel.
    #[serde(default)]
    instructions: String,
    /// What it may do and use.
    #[serde(default)]
    limits: LimitsForm,
}

/// What may be changed. What is left out stays.
#[derive(Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct AssistantChange {
    /// Unique, whatever its case.
    name: Option<String>,
    /// Settings to change; `null` takes one back to its default.
    #[schema(value_type = Option<Object>)]
    settings: Option<Map<String, Value>>,
    /// Secrets to change; `null` removes one.
    secrets: Option<BTreeMap<String, Option<String>>>,
    /// May its settings point into a private network?
    allow_private_egress: Option<bool>,
    /// Is it asked anything?
    active: Option<bool>,
    /// What it is told, whatever the channel.
    instructions: Option<String>,
    /// All limits from now on; those that are left out are as usual.
    limits: Option<LimitsForm>,
}

impl NewAssistant {
    /// The assistant to keep.
    ///
    /// # Errors
    /// 422 with everything that is wrong with it.
    pub(super) async fn checked(self, api: &Api, id: AssistantId) -> Result<Assistant, Problem> {
        let blank = Assistant {
            id,
            plugin: self.plugin,
            name: String::new(),
            settings: json!({}),
            secrets: String::new(),
            secrets_set: BTreeMap::new(),
            allow_private_egress: false,
            active: true,
            instructions: String::new(),
            limits: Limits::default(),
            version: 1,
            created_ms: api.flow.clock.now_ms(),
        };
        let change = AssistantChange {
            name: Some(self.name),
            settings: Some(self.settings),
            secrets: Some(self.secrets),
            allow_private_egress: Some(self.allow_private_egress),
            active: self.active,
            instructions: Some(self.instructions),
            limits: Some(self.limits),
        };
        change.applied(api, blank).await
    }
}

impl AssistantChange {
    /// The assistant with this change.
    ///
    /// # Errors
    /// 422 with everything that is wrong with it.
    pub(super) async fn applied(self, api: &Api, mut it: Assistant) -> Result<Assistant, Problem> {
        let mut problems = Vec::new();
        if let Some(name) = &self.name {
            it.name = name.trim().to_owned();
            if it.name.is_empty() || it.name.chars().count() > NAME_CHARS_MAX {
                let message = format!("must have 1 to {NAME_CHARS_MAX} characters");
                problems.push(FieldProblem::new("/name", message));
            }
        }
        if let Some(instructions) = &self.instructions {
            it.instructions = checked_instructions(instructions, "/instructions", &mut problems);
        }
        if let Some(limits) = &self.limits {
            it.limits = limits.checked(&mut problems);
        }
        it.active = self.active.unwrap_or(it.active);
        it.allow_private_egress = self.allow_private_egress.unwrap_or(it.allow_private_egress);
        if self.settings.is_some() || self.secrets.is_some() || self.allow_private_egress.is_some() {
            self.form(api, &mut it, &mut problems).await?;
        }
        if problems.is_empty() { Ok(it) } else { Err(Problem::invalid(problems)) }
    }

    /// Settings and secrets: merged, checked against the manifest, then by the plugin itself.
    async fn form(
        self,
        api: &Api,
        it: &mut Assistant,
        problems: &mut Vec<FieldProblem>,
    ) -> Result<(), Problem> {
        let plugin = plugin_for(api, &it.plugin)?;
        let mut wanted = it.settings.as_object().cloned().unwrap_or_default();
        wanted.extend(self.settings.unwrap_or_default());
        let given = self.secrets.unwrap_or_default();
        let will_be_set = |name: &str| match given.get(name) {
            Some(value) => value.is_some(),
            None => it.secrets_set.contains_key(name),
        };
        let manifest = plugin.manifest();
        problems.extend(form::secrets(manifest, &given));
        match form::settings(manifest, &wanted, will_be_set, it.allow_private_egress) {
            Ok(settings) => it.settings = Value::Object(settings),
            Err(found) => problems.extend(found),
        }
        if !problems.is_empty() {
            return Ok(());
        }
        let verdict = plugin.validate(&it.settings.to_string(), ASSISTANT_KIND).await.map_err(|error| {
            let cause = &error as &dyn std::error::Error;
            tracing::warn!(error = cause, "a plugin could not check an assistant's settings");
            Problem::refused("plugin_failed", format!("the plugin could not check the settings: {error}"))
        })?;
        problems.extend(verdict.into_iter().map(|wrong| {
            let is_secret = manifest.setting(&wrong.setting).is_some_and(|s| s.kind == SettingKind::Secret);
            let part = if is_secret { "secrets" } else { "settings" };
            FieldProblem::new(format!("/{part}/{}", body::escape(&wrong.setting)), wrong.message)
        }));
        it.secrets = sealed::put(&api.flow, &place_of(it.id), &it.secrets, &mut it.secrets_set, given)?;
        Ok(())
    }
}

/// Instructions without space around them; what is wrong with them goes into `problems`.
pub(super) fn checked_instructions(text: &str, pointer: &str, problems: &mut Vec<FieldProblem>) -> String {
    if text.chars().count() > INSTRUCTIONS_CHARS_MAX {
        let message = format!("must have at most {INSTRUCTIONS_CHARS_MAX} characters");
        problems.push(FieldProblem::new(pointer, message));
    }
    text.trim().to_owned()
}

fn plugin_for(api: &Api, id: &str) -> Result<std::sync::Arc<Plugin>, Problem> {
    let found = api.flow.host.get(id).filter(|plugin| plugin.exports().assistant);
    found.ok_or_else(|| {
        let all = api.flow.host.list();
        let able = all.iter().filter(|it| it.exports().assistant).map(|it| it.manifest().id.as_str());
        let able = able.collect::<Vec<_>>().join(", ");
        Problem::field("/plugin", format!("no AI plugin `{id}` is installed; installed are: {able}"))
    })
}
