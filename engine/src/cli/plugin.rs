//! `pointsman plugin`: making plugins, testing them as a server would run them,
//! and what a server has installed.

mod build;
mod check;
mod dev;
mod explain;
mod inspect;
mod install;
mod new;
mod pack;
mod record;
mod test;

use std::path::PathBuf;
use std::sync::Arc;

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::client::{ApiArgs, Client};
use super::error::{CliError, with_causes};
use super::output::{Out, table, text};
use crate::clock::Clock;
use crate::plugins::{
    Compiler, DirectoryBlobs, EgressConfig, Host, HostConfig, Plugin as Loaded, SystemLookup,
};

/// Plugins
#[derive(Debug, Clone, Subcommand)]
pub(super) enum Plugin {
    /// Make a plugin that passes its tests, to go on from
    New(new::New),
    /// Build the plugin of a folder and look whether a server would install it
    Build(build::Build),
    /// Run the cases of a plugin in the sandbox
    Test(test::Test),
    /// Test a plugin and try what every plugin must keep
    Check(check::Check),
    /// Build, test and install a plugin whenever its files change
    Dev(dev::Dev),
    /// Show what a plugin is, may do and changes
    Inspect(inspect::Inspect),
    /// Check a plugin and make the one file to give away
    Pack(pack::Pack),
    /// Make cases of webhooks that a running server keeps
    Record(record::Record),
    /// Install a plugin on a running server, or replace it
    Install(install::Install),
    /// Remove a plugin that was installed on a running server
    Remove(install::Remove),
    /// List the plugins of a running server
    List(List),
    /// Say what a code like P101 means and what to do
    Explain(explain::Explain),
}

/// List the plugins of a running server
#[derive(Debug, Clone, Args)]
pub(super) struct List {
    #[command(flatten)]
    api: ApiArgs,
}

impl Plugin {
    pub(super) async fn run(self, out: Out) -> Result<(), CliError> {
        match self {
            Self::New(new) => new.run(out),
            Self::Build(build) => build.run(out).await,
            Self::Test(test) => test.run(out).await,
            Self::Check(check) => check.run(out).await,
            Self::Dev(dev) => dev.run(out).await,
            Self::Inspect(inspect) => inspect.run(out).await,
            Self::Pack(pack) => pack.run(out).await,
            Self::Record(record) => record.run(out).await,
            Self::Install(install) => install.run(out).await,
            Self::Remove(remove) => remove.run(out).await,
            Self::List(list) => list.run(out).await,
            Self::Explain(explain) => explain.run(out),
        }
    }
}

impl List {
    async fn run(self, out: Out) -> Result<(), CliError> {
        let plugins = Client::new(&self.api)?.list("/api/v1/plugins").await?;
        let row = |plugin: &Value| {
            let kinds = plugin["manifest"]["kinds"].as_array().into_iter().flatten();
            let kinds: Vec<_> = kinds.map(|kind| text(kind, "/kind")).collect();
            let words = ["/id", "/version", "/state", "/source"].map(|at| text(plugin, at));
            words.into_iter().chain([kinds.join(", ")]).collect()
        };
        Ok(out.result(&json!({"items": &plugins}), || {
            let rows = plugins.iter().map(row).collect::<Vec<_>>();
            table(&["ID", "VERSION", "STATE", "SOURCE", "KINDS"], &rows)
        })?)
    }
}

/// The plugin in a host of its own, and the directory that the host needs.
async fn loaded(wasm: &[u8]) -> Result<(Arc<Loaded>, Scratch), CliError> {
    let scratch = Scratch::new()?;
    let host = Host::new(scratch.host_config()?).map_err(|error| CliError::Failed(with_causes(&error)))?;
    let plugin = host.prepare(wasm).await.map_err(|error| CliError::Failed(with_causes(&error)))?;
    Ok((plugin, scratch))
}

/// A directory for one host, gone afterwards.
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
