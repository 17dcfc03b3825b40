//! The plugins that lie in a folder: installed at the start, one by one. One
//! that is refused does not keep the others from working.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use super::AppError;
use crate::clock::Clock;
use crate::config::Config;
use crate::crypto::Keyring;
use crate::plugins::{
    BlobStore, BucketBlobs, Compiler, DirectoryBlobs, EgressConfig, Host, HostConfig, SystemLookup,
    sweep_partials,
};

/// A file that nobody wrote to for so long was left by a crash, milliseconds: an hour.
const PARTIAL_MS: i64 = 3_600_000;
/// Seals compiled plugins; another key than that of secrets.
const CACHE_KEY_PURPOSE: &str = "plugin-cache";

/// What the host needs, from settings.
///
/// # Errors
/// This program cannot find its own file, or the bucket's settings are wrong.
pub fn host_config(config: &Config, keyring: &Keyring, clock: &Clock) -> Result<HostConfig, AppError> {
    Ok(HostConfig {
        cache_dir: config.plugins.cache_dir.clone(),
        cache_key: keyring.derive(CACHE_KEY_PURPOSE),
        compiler: Compiler::Child(std::env::current_exe().map_err(AppError::OwnPath)?),
        egress: EgressConfig { lookup: Arc::new(SystemLookup), blobs: file_store(config, clock)? },
    })
}

/// Where the bytes of files are kept, free of what the last run left half written.
fn file_store(config: &Config, clock: &Clock) -> Result<Arc<dyn BlobStore>, AppError> {
    let chance = clock.clone();
    let random = Arc::new(move || chance.random());
    let (folder, blobs): (_, Arc<dyn BlobStore>) = match &config.files {
        None => {
            let folder = config.store.data_dir.join("blobs");
            (folder.clone(), Arc::new(DirectoryBlobs::new(folder, random)))
        }
        Some(bucket) => {
            let folder = config.store.data_dir.join("spool");
            (folder.clone(), Arc::new(BucketBlobs::new(bucket, folder, random)?))
        }
    };
    let before_ms = u64::try_from(clock.now_ms() - PARTIAL_MS).unwrap_or(0);
    let swept = sweep_partials(&folder, SystemTime::UNIX_EPOCH + Duration::from_millis(before_ms));
    match swept {
        Ok(0) => {}
        Ok(files) => tracing::info!(files, "removed what the last run left half written"),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {} // nothing was ever stored
        Err(error) => tracing::warn!(%error, "half written files cannot be removed"),
    }
    Ok(blobs)
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
