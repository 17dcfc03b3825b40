//! `pointsman plugin inspect`: what a plugin says about itself, what it may do,
//! and how it differs from the one that a server has.

use std::path::PathBuf;

use clap::Args;
use serde_json::{Value, json};

use super::super::client::{ApiArgs, Client, encoded};
use super::super::error::CliError;
use super::super::output::{Out, printable};
use super::pack::kept_manifest;
use super::{build, loaded};
use crate::plugins::manifest::{Manifest, Setting};
use crate::plugins::{Abilities, Plugin, permissions};

/// Show what a plugin is, may do and changes
#[derive(Debug, Clone, Args)]
pub(in super::super) struct Inspect {
    /// A .wasm file, or the folder of a plugin, which is built first
    #[arg(default_value = ".")]
    plugin: PathBuf,
    /// Compare it with the plugin of the same id that a running server has
    #[arg(long)]
    compare: bool,
    #[command(flatten)]
    api: ApiArgs,
}

impl Inspect {
    pub(super) async fn run(self, out: Out) -> Result<(), CliError> {
        let wasm = build::wasm(&self.plugin).await?;
        let (plugin, _scratch) = loaded(&wasm).await?;
        let mut result = described(&plugin, wasm.len());
        let mut lines = vec![summary(&plugin, wasm.len())];
        if kept_manifest(&wasm).is_some_and(|kept| kept != *plugin.manifest()) {
            result["ok"] = json!(false);
            lines.push(
                "  WARNING   the manifest that was packed with it is another one; do not trust this file"
                    .into(),
            );
        }
        if self.compare {
            let changes = self.changes(plugin.manifest()).await?;
            let shown = if changes.is_empty() { vec!["nothing".to_owned()] } else { changes.clone() };
            result["changes"] = json!(changes);
            lines.push(format!("  changes   {}", shown.join("\n            ")));
        }
        Ok(out.result(&result, || lines.join("\n"))?)
    }

    /// How it differs from the server's; a server without it has nothing to compare.
    async fn changes(&self, new: &Manifest) -> Result<Vec<String>, CliError> {
        let path = format!("/api/v1/plugins/{}", encoded(&new.id));
        match Client::new(&self.api)?.get(&path).await {
            Ok(there) => {
                let old: Manifest = serde_json::from_value(there["manifest"].clone()).map_err(|error| {
                    CliError::Failed(format!("the server's manifest cannot be read: {error}"))
                })?;
                Ok(permissions::differences(&old, new).iter().map(|line| printable(line)).collect())
            }
            Err(CliError::Refused(refusal)) if refusal.status == 404 => {
                Ok(permissions::asked(new).iter().map(|it| format!("+ may call {it}")).collect())
            }
            Err(error) => Err(error),
        }
    }
}

/// For programs.
pub(super) fn described(plugin: &Plugin, bytes: usize) -> Value {
    json!({
        "ok": true, "id": plugin.manifest().id, "digest": plugin.digest(), "bytes": bytes,
        "offers": plugin.exports().words(), "manifest": plugin.manifest(),
    })
}

/// What an assistant can do, and whether what it reads may leave.
fn assistant(able: &Abilities) -> String {
    let tasks: Vec<_> = able.tasks.iter().map(|task| task.word()).collect();
    let place = if able.offline { "offline" } else { "sends conversations to a model" };
    format!("{}; {place}", tasks.join(", "))
}

/// For people.
pub(super) fn summary(plugin: &Plugin, bytes: usize) -> String {
    let manifest = plugin.manifest();
    let list = |words: Vec<String>| if words.is_empty() { "nothing".to_owned() } else { words.join(", ") };
    let setting = |setting: &Setting| {
        let is_secret = setting.kind.is_secret();
        let notes = [(setting.required, "required"), (is_secret, "secret")];
        let notes: Vec<_> = notes.iter().filter(|(is, _)| *is).map(|(_, word)| *word).collect();
        if notes.is_empty() {
            setting.name.clone()
        } else {
            format!("{} ({})", setting.name, notes.join(", "))
        }
    };
    let kind = |kind: &crate::plugins::manifest::ChannelKind| {
        let can = &kind.capabilities;
        format!("{} (text of {} {}, {} files)", kind.kind, can.text_max, can.text_unit, can.attachments_max)
    };
    let offers = plugin.exports().words().into_iter().map(str::to_owned).collect();
    [
        format!("{} {} would be installed", manifest.id, manifest.version),
        format!("  name      {}", manifest.name),
        format!("  publisher {}", manifest.publisher),
        match &manifest.assistant {
            Some(able) => format!("  assistant {}", assistant(able)),
            None => format!("  kinds     {}", list(manifest.kinds.iter().map(kind).collect())),
        },
        format!("  offers    {}", list(offers)),
        format!("  settings  {}", list(manifest.settings.iter().map(setting).collect())),
        format!("  may call  {}", list(permissions::asked(manifest).into_iter().collect())),
        format!("  size      {} KiB", bytes.div_ceil(1 << 10)),
        format!("  sha-256   {}", plugin.digest()),
    ]
    .iter()
    .map(|line| printable(line))
    .collect::<Vec<_>>()
    .join("\n")
}
