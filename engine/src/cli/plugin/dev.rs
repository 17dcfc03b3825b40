//! `pointsman plugin dev`: whenever a file of a plugin changes, it is built,
//! tested and installed on the running server. What does not build, load or pass
//! leaves the one before it in use.

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use clap::Args;
use serde_json::json;

use super::super::client::{ApiArgs, Client};
use super::super::error::CliError;
use super::super::output::{Out, text};
use super::{build, install, loaded, test};

/// How often the files are looked at.
const LOOK_EVERY: Duration = Duration::from_millis(300);
/// What builds write.
const BUILT: [&str; 3] = ["target", "node_modules", ".git"];

/// Build, test and install a plugin whenever its files change
#[derive(Debug, Clone, Args)]
pub(in super::super) struct Dev {
    /// Folder of the plugin
    #[arg(default_value = ".")]
    dir: PathBuf,
    /// Build and test only
    #[arg(long)]
    no_install: bool,
    #[command(flatten)]
    api: ApiArgs,
}

impl Dev {
    pub(super) async fn run(self, out: Out) -> Result<(), CliError> {
        let client = if self.no_install { None } else { Some(Client::new(&self.api)?) };
        let mut seen = None;
        loop {
            let newest = newest(&self.dir);
            if newest != seen {
                seen = newest;
                out.remark("building and testing …");
                match self.round(client.as_ref(), out).await {
                    Ok(()) => {}
                    Err(error @ (CliError::Usage(_) | CliError::Output(_))) => return Err(error),
                    Err(error) => {
                        let said = error.said(false).unwrap_or_default();
                        out.line(&format!("{said}\nwaiting for a change; the server keeps what it has"))?;
                    }
                }
            }
            tokio::select! {
                () = tokio::time::sleep(LOOK_EVERY) => {}
                _ = tokio::signal::ctrl_c() => return Ok(()),
            }
        }
    }

    async fn round(&self, client: Option<&Client>, out: Out) -> Result<(), CliError> {
        let wasm = build::wasm(&self.dir).await?;
        let (plugin, _scratch) = loaded(&wasm).await?;
        let reports = test::run(&plugin, &build::cases_of(&self.dir, None)).await?;
        if test::failed(&reports) > 0 {
            return Err(CliError::Failed(test::told(&reports)));
        }
        let mut said = format!("{} cases pass", reports.len());
        if let Some(client) = client {
            // Whoever develops a plugin knows what it calls.
            let there = install::install(client, wasm, true).await?;
            said.push_str(&format!("; {} {} is installed", text(&there, "/id"), text(&there, "/version")));
        }
        Ok(out.result(&json!({"ok": true, "cases": reports.len(), "digest": plugin.digest()}), || said)?)
    }
}

/// When the last file was written that a person writes.
fn newest(dir: &Path) -> Option<SystemTime> {
    let entries = std::fs::read_dir(dir).ok()?;
    let times = entries.filter_map(Result::ok).filter_map(|entry| {
        let (path, name) = (entry.path(), entry.file_name());
        let is_built = BUILT.iter().any(|it| name == *it)
            || path.extension().is_some_and(|end| end == "wasm" || end == "lock");
        if is_built {
            return None;
        }
        if path.is_dir() { newest(&path) } else { entry.metadata().ok()?.modified().ok() }
    });
    times.max()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_builds_write_is_no_change() {
        let dir = tempfile::tempdir().unwrap();
        let write = |path: &str| {
            let path = dir.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, "x").unwrap();
        };
        for built in ["target/a", "node_modules/b/c", "plugin.wasm", "Cargo.lock"] {
            write(built);
        }
        assert_eq!(newest(dir.path()), None);
        write("src/lib.rs");
        let first = newest(dir.path());
        assert!(first.is_some());
        let file = std::fs::File::options().write(true).open(dir.path().join("src/lib.rs")).unwrap();
        file.set_modified(first.unwrap() + Duration::from_secs(1)).unwrap();
        assert!(newest(dir.path()) > first);
    }
}
