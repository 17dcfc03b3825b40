//! Where what is tested lies once it is built: the binary, the plugins, the guests.

use std::path::PathBuf;

use anyhow::{Context, Result, ensure};

/// The binary under test: `POINTSMAN_BIN`, else the one next to this test's own executable.
///
/// # Errors
/// It is not there.
pub fn binary() -> Result<PathBuf> {
    let path = match std::env::var_os("POINTSMAN_BIN") {
        Some(path) => PathBuf::from(path),
        None => profile_dir()?.join("pointsman"),
    };
    ensure!(path.is_file(), "{} is missing; build it with `cargo build -p pointsman`", path.display());
    Ok(path)
}

/// The plugins under test: `POINTSMAN_PLUGINS`, else where the guest build puts them.
///
/// # Errors
/// They are not there.
pub fn plugins() -> Result<PathBuf> {
    let dir = match std::env::var_os("POINTSMAN_PLUGINS") {
        Some(dir) => PathBuf::from(dir),
        None => profile_dir()?.join("../wasm32-unknown-unknown/guest"),
    };
    ensure!(dir.is_dir(), "{} is missing; build the plugins with `make plugins`", dir.display());
    Ok(dir)
}

/// A guest that tests torment, as it was built: `POINTSMAN_TEST_PLUGINS`, else where the guest build puts it.
///
/// # Errors
/// It is not there.
pub fn guest(crate_name: &str) -> Result<Vec<u8>> {
    let dir = match std::env::var_os("POINTSMAN_TEST_PLUGINS") {
        Some(dir) => PathBuf::from(dir),
        None => profile_dir()?.join("../wasm32-unknown-unknown/guest"),
    };
    let path = dir.join(format!("{crate_name}.wasm"));
    std::fs::read(&path).with_context(|| format!("{}; build it with `make guests`", path.display()))
}

/// Where this build puts its programs.
pub(crate) fn profile_dir() -> Result<PathBuf> {
    let own = std::env::current_exe()?;
    let dir = own.parent().context("an executable lies in a directory")?;
    let dir = if dir.ends_with("deps") { dir.parent().unwrap_or(dir) } else { dir };
    Ok(dir.to_owned())
}
