//! `pointsman plugin build`: cargo or npm builds the plugin of a folder, and it
//! is loaded as a server would load it.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use clap::Args;
use serde_json::{Value, json};
use tokio::process::Command;

use super::super::error::CliError;
use super::super::output::Out;
use super::inspect::{described, summary};
use super::loaded;

const TARGET: &str = "wasm32-unknown-unknown";
const PROFILE: &str = "guest";
const NO_TARGET: &str = "Rust cannot build plugins here yet; run `rustup target add wasm32-unknown-unknown`";
/// What the script `build` of a plugin in JavaScript writes.
const OF_NODE: &str = "plugin.wasm";

/// Build the plugin of a folder and look whether a server would install it
#[derive(Debug, Clone, Args)]
pub(in super::super) struct Build {
    /// Folder of the plugin
    #[arg(default_value = ".")]
    dir: PathBuf,
}

impl Build {
    pub(super) async fn run(self, out: Out) -> Result<(), CliError> {
        let wasm = wasm(&self.dir).await?;
        let (plugin, _scratch) = loaded(&wasm).await?;
        let file = self.dir.join(format!("{}.wasm", plugin.manifest().id));
        write(&file, &wasm)?;
        let mut described = described(&plugin, wasm.len());
        described["file"] = json!(file);
        Ok(out.result(&described, || {
            format!("{}\n  file      {}", summary(&plugin, wasm.len()), file.display())
        })?)
    }
}

/// The bytes of a `.wasm` file, or of what a folder builds.
pub(super) async fn wasm(from: &Path) -> Result<Vec<u8>, CliError> {
    let file = if !from.is_dir() {
        from.to_owned()
    } else if from.join("Cargo.toml").is_file() {
        cargo(from).await?
    } else if from.join("package.json").is_file() {
        npm(from).await?
    } else {
        let said = format!(
            "{} is no plugin: there is neither Cargo.toml nor package.json; `pointsman plugin new` makes one",
            from.display()
        );
        return Err(CliError::Usage(said));
    };
    std::fs::read(&file).map_err(|error| CliError::Failed(format!("{}: {error}", file.display())))
}

/// Where the cases of a plugin lie, unless somebody says otherwise.
pub(super) fn cases_of(from: &Path, given: Option<PathBuf>) -> PathBuf {
    let folder = if from.is_dir() { from } else { from.parent().unwrap_or(from) };
    given.unwrap_or_else(|| folder.join("cases"))
}

/// Writes a file, or says which one could not be written.
pub(super) fn write(path: &Path, bytes: &[u8]) -> Result<(), CliError> {
    std::fs::write(path, bytes).map_err(|error| CliError::Failed(format!("{}: {error}", path.display())))
}

async fn cargo(dir: &Path) -> Result<PathBuf, CliError> {
    let mut cargo = Command::new("cargo");
    cargo.args(["build", "--profile", PROFILE, "--target", TARGET, "--lib"]);
    cargo
        .args(["--message-format", "json-render-diagnostics", "--manifest-path"])
        .arg(dir.join("Cargo.toml"));
    let built = cargo.stdin(Stdio::null()).stderr(Stdio::inherit()).output().await;
    let built = built.map_err(|error| {
        CliError::Unavailable(format!(
            "cargo cannot be started ({error}); install Rust from https://rustup.rs"
        ))
    })?;
    if !built.status.success() {
        let said = if has_target().await {
            "cargo could not build the plugin; its own words are above"
        } else {
            NO_TARGET
        };
        return Err(CliError::Failed(said.into()));
    }
    artifact(&built.stdout).ok_or_else(|| {
        CliError::Failed(
            "cargo built no .wasm file; Cargo.toml needs crate-type = [\"cdylib\", \"rlib\"]".into(),
        )
    })
}

/// Installs what `package.json` names, when nobody has, and runs its script `build`.
async fn npm(dir: &Path) -> Result<PathBuf, CliError> {
    if !dir.join("node_modules").is_dir() {
        let install = if dir.join("package-lock.json").is_file() { "ci" } else { "install" };
        run_npm(dir, &[install, "--no-audit", "--no-fund"]).await?;
    }
    run_npm(dir, &["run", "--silent", "build"]).await?;
    Ok(dir.join(OF_NODE))
}

async fn run_npm(dir: &Path, args: &[&str]) -> Result<(), CliError> {
    let mut npm = Command::new("npm");
    // What npm says is no result of ours.
    npm.args(args).current_dir(dir).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::inherit());
    let status = npm.status().await.map_err(|error| {
        CliError::Unavailable(format!(
            "npm cannot be started ({error}); install Node.js from https://nodejs.org"
        ))
    })?;
    if status.success() {
        return Ok(());
    }
    Err(CliError::Failed(format!("`npm {}` failed; its own words are above", args.join(" "))))
}

/// The last .wasm file that cargo told of: the plugin comes after what it depends on.
fn artifact(messages: &[u8]) -> Option<PathBuf> {
    let messages = messages.split(|byte| *byte == b'\n');
    let messages = messages.filter_map(|line| serde_json::from_slice::<Value>(line).ok());
    let files = messages.filter(|it| it["reason"] == "compiler-artifact");
    let files = files.flat_map(|it| it["filenames"].as_array().cloned().unwrap_or_default());
    let mut files = files.filter_map(|name| name.as_str().map(PathBuf::from));
    files.rfind(|file| file.extension().is_some_and(|it| it == "wasm"))
}

async fn has_target() -> bool {
    let asked = Command::new("rustc").args(["--print", "target-libdir", "--target", TARGET]).output().await;
    asked.is_ok_and(|it| Path::new(String::from_utf8_lossy(&it.stdout).trim()).is_dir())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_plugin_is_the_last_wasm_file() {
        let messages = br#"{"reason":"compiler-artifact","filenames":["/t/libserde.rlib"]}
not json
{"reason":"compiler-artifact","filenames":["/t/acme.wasm","/t/libacme.rlib"]}
{"reason":"build-finished","success":true}"#;
        assert_eq!(artifact(messages), Some(PathBuf::from("/t/acme.wasm")));
        assert_eq!(artifact(b""), None);
    }
}
