//! `pointsman plugin install` and `remove`: on a running server, over its API.

use std::path::PathBuf;

use clap::Args;
use serde_json::{Value, json};

use super::super::client::{ApiArgs, Client, encoded};
use super::super::error::CliError;
use super::super::output::{Out, text};
use super::build;
use crate::crypto::sha256_hex;

/// Install a plugin on a running server, or replace it
#[derive(Debug, Clone, Args)]
pub(in super::super) struct Install {
    /// A .wasm file, or the folder of a plugin, which is built first
    plugin: PathBuf,
    /// Let it call more than the one that it replaces; look at that with `plugin inspect --compare`
    #[arg(long)]
    consent: bool,
    #[command(flatten)]
    api: ApiArgs,
}

/// Remove a plugin that was installed on a running server
#[derive(Debug, Clone, Args)]
pub(in super::super) struct Remove {
    /// Its id
    id: String,
    #[command(flatten)]
    api: ApiArgs,
}

impl Install {
    pub(super) async fn run(self, out: Out) -> Result<(), CliError> {
        let wasm = build::wasm(&self.plugin).await?;
        let plugin = install(&Client::new(&self.api)?, wasm, self.consent).await?;
        Ok(out.result(&plugin, || {
            format!(
                "{} {} is installed\n  sha-256   {}",
                text(&plugin, "/id"),
                text(&plugin, "/version"),
                text(&plugin, "/digest")
            )
        })?)
    }
}

/// Installs a file; answers what the server says of it.
pub(super) async fn install(client: &Client, wasm: Vec<u8>, consent: bool) -> Result<Value, CliError> {
    let path = match consent {
        true => format!("/api/v1/plugins?consent={}", sha256_hex(&wasm)),
        false => "/api/v1/plugins".to_owned(),
    };
    match client.post_file(&path, "application/wasm", wasm).await {
        Err(CliError::Refused(mut refusal)) if refusal.code == "plugin_needs_consent" => {
            refusal.fields.push("when that is right, say so with --consent".into());
            Err(CliError::Refused(refusal))
        }
        other => other,
    }
}

impl Remove {
    pub(super) async fn run(self, out: Out) -> Result<(), CliError> {
        Client::new(&self.api)?.delete(&format!("/api/v1/plugins/{}", encoded(&self.id))).await?;
        Ok(out.result(&json!({"ok": true, "id": self.id}), || format!("{} is removed", self.id))?)
    }
}
