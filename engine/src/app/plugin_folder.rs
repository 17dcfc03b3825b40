//! The plugins that lie in a folder: installed at the start, one by one. One
//! that is refused does not keep the others from working.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::AppError;
use crate::clock::Clock;
use crate::config::Config;
use crate::crypto::Keyring;
use crate::plugins::{Compiler, DirectoryBlobs, EgressConfig, Host, HostConfig, SystemLookup};

/// Seals compiled plugins; another key than that of secrets.
const CACHE_KEY_PURPOSE: &str = "plugin-cache";

/// What the host needs, from settings.
///
/// # Errors
/// This program cannot find its own file.
pub fn host_config(config: &Config, keyring: &Keyring, clock: &Clock) -> Result<HostConfig, AppError> {
    let random = clock.clone();
    Ok(HostConfig {
        cache_dir: config.plugins.cache_dir.clone(),
        cache_key: keyring.derive(CACHE_KEY_PURPOSE),
        compiler: Compiler::Child(std::env::current_exe().map_err(AppError::OwnPath)?),
        egress: EgressConfig {
            lookup: Arc::new(SystemLookup),
            blobs: Arc::new(DirectoryBlobs::new(
                config.store.data_dir.join("blobs"),
                Arc::new(move || random.random()),
            )),
        },
    })
}

/// The `*.wasm` files of a folder, by name.
///
/// # Errors
/// The folder cannot be read.
pub fn files(folder: &Path) -> std::io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "wasm") && path.is_file() {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

/// Installs all plugins of a folder and logs how it went.
pub async fn install_all(host: &Host, folder: &Path) {
    let files = match files(folder) {
        Ok(files) => files,
        Err(error) => {
            tracing::warn!(folder = %folder.display(), %error, "no plugins: give their folder with --plugins");
            return;
        }
    };
    if files.is_empty() {
        tracing::warn!(folder = %folder.display(), "no plugins: there is no .wasm file in the plugin folder");
    }
    for file in files {
        install(host, &file).await;
    }
}

async fn install(host: &Host, file: &Path) {
    let shown = file.display();
    let wasm = match tokio::fs::read(file).await {
        Ok(wasm) => wasm,
        Err(error) => {
            tracing::error!(file = %shown, %error, "a plugin cannot be read; check its permissions");
            return;
        }
    };
    match host.install(&wasm).await {
        Ok(plugin) => {
            let manifest = plugin.manifest();
            tracing::info!(plugin = manifest.id, version = manifest.version, "installed");
        }
        Err(error) => tracing::error!(file = %shown, %error, "a plugin is refused; its channels do not work"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_wasm_files_are_plugins() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["b.wasm", "a.wasm", "a.d", "notes.txt"] {
            std::fs::write(folder.path().join(name), "").unwrap();
        }
        std::fs::create_dir(folder.path().join("deps.wasm")).unwrap();
        let names: Vec<_> =
            files(folder.path()).unwrap().iter().map(|f| f.file_name().unwrap().to_owned()).collect();
        assert_eq!(names, ["a.wasm", "b.wasm"]);
    }
}
