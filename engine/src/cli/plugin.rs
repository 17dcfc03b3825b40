//! `pointsman plugin`: what a server has installed, and whether a file would be.

use std::path::PathBuf;
use std::sync::Arc;

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::client::{ApiArgs, Client};
use super::error::{CliError, with_causes};
use super::output::{Out, table, text};
use crate::clock::Clock;
use crate::plugins::{
    Compiler, DirectoryBlobs, EgressConfig, Host, HostConfig, Plugin as Installed, SystemLookup,
};

/// Plugins
#[derive(Debug, Clone, Subcommand)]
pub(super) enum Plugin {
    /// List the plugins of a running server
    List(List),
    /// Look whether a server would install a plugin file
    Check(Check),
}

/// List the plugins of a running server
#[derive(Debug, Clone, Args)]
pub(super) struct List {
    #[command(flatten)]
    api: ApiArgs,
}

/// Look whether a server would install a plugin file
#[derive(Debug, Clone, Args)]
pub(super) struct Check {
    /// A .wasm file, core module or component
    file: PathBuf,
}

impl Plugin {
    pub(super) async fn run(self, out: Out) -> Result<(), CliError> {
        match self {
            Self::List(list) => list.run(out).await,
            Self::Check(check) => check.run(out).await,
        }
    }
}

impl List {
    async fn run(self, out: Out) -> Result<(), CliError> {
        let plugins = Client::new(&self.api)?.list("/api/v1/plugins").await?;
        let row = |plugin: &Value| {
            let kinds = plugin["manifest"]["kinds"].as_array().into_iter().flatten();
            let kinds: Vec<_> = kinds.map(|kind| text(kind, "/kind")).collect();
            vec![text(plugin, "/id"), text(plugin, "/version"), text(plugin, "/state"), kinds.join(", ")]
        };
        Ok(out.result(&json!({"items": &plugins}), || {
            table(&["ID", "VERSION", "STATE", "KINDS"], &plugins.iter().map(row).collect::<Vec<_>>())
        })?)
    }
}

impl Check {
    async fn run(self, out: Out) -> Result<(), CliError> {
        let shown = self.file.display();
        let wasm =
            std::fs::read(&self.file).map_err(|error| CliError::Failed(format!("{shown}: {error}")))?;
        let scratch = Scratch::new()?;
        let host =
            Host::new(scratch.host_config()?).map_err(|error| CliError::Failed(with_causes(&error)))?;
        let plugin = host
            .install(&wasm)
            .await
            .map_err(|error| CliError::Failed(format!("{shown}: {}", with_causes(&error))))?;
        Ok(out.result(&described(&plugin), || summary(&plugin))?)
    }
}

/// A directory for one check, gone afterwards.
struct Scratch(PathBuf);

impl Scratch {
    fn new() -> Result<Self, CliError> {
        let name = format!("pointsman-check-{:032x}", Clock::system().random());
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir(&path)
            .map_err(|error| CliError::Failed(format!("{}: {error}", path.display())))?;
        Ok(Self(path))
    }

    fn host_config(&self) -> Result<HostConfig, CliError> {
        let program = std::env::current_exe().map_err(|error| CliError::Failed(error.to_string()))?;
        let clock = Clock::system();
        let mut cache_key = [0u8; 32];
        cache_key[..16].copy_from_slice(&clock.random().to_be_bytes());
        cache_key[16..].copy_from_slice(&clock.random().to_be_bytes());
        Ok(HostConfig {
            cache_dir: self.0.join("cache"),
            cache_key,
            compiler: Compiler::Child(program),
            egress: EgressConfig {
                lookup: Arc::new(SystemLookup),
                blobs: Arc::new(DirectoryBlobs::new(self.0.join("blobs"), Arc::new(move || clock.random()))),
            },
        })
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0); // what stays is in the system's temporary directory
    }
}

fn described(plugin: &Installed) -> Value {
    json!({"ok": true, "id": plugin.manifest().id, "digest": plugin.digest(), "manifest": plugin.manifest()})
}

fn summary(plugin: &Installed) -> String {
    let manifest = plugin.manifest();
    let kinds: Vec<_> = manifest.kinds.iter().map(|kind| kind.kind.as_str()).collect();
    let settings: Vec<_> = manifest
        .settings
        .iter()
        .map(
            |setting| {
                if setting.required { format!("{} (required)", setting.name) } else { setting.name.clone() }
            },
        )
        .collect();
    let or_none = |words: Vec<String>| if words.is_empty() { "none".to_owned() } else { words.join(", ") };
    [
        format!("{} {} would be installed", manifest.id, manifest.version),
        format!("  name      {}", manifest.name),
        format!("  publisher {}", manifest.publisher),
        format!("  kinds     {}", kinds.join(", ")),
        format!("  settings  {}", or_none(settings)),
        format!("  may call  {}", or_none(manifest.origins.clone())),
        format!("  sha-256   {}", plugin.digest()),
    ]
    .join("\n")
}
