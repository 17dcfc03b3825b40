//! Finds rule files: the given ones, and all below the given directories.

use std::io;
use std::path::{Path, PathBuf};

use super::super::error::CliError;

/// Longest file that is read; the rules crate has smaller limits of its own.
const FILE_BYTES_MAX: u64 = 1 << 20;
/// How deep directories are searched; links could make them endless.
const DEPTH_MAX: usize = 16;
const EXTENSION: &str = "rhai";
const CASES: &str = "cases.toml";

/// A rule file and the cases beside it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct RuleFile {
    pub(super) path: PathBuf,
    pub(super) source: String,
    /// `NAME.cases.toml` for `NAME.rhai`, else `cases.toml`.
    pub(super) cases_path: PathBuf,
    pub(super) cases: Option<String>,
}

impl RuleFile {
    pub(super) fn shown(&self) -> String {
        self.path.display().to_string()
    }

    pub(super) fn cases_shown(&self) -> String {
        self.cases_path.display().to_string()
    }
}

/// All rule files at or below these paths, by path.
///
/// # Errors
/// A path is not there or cannot be read, or there is no rule at all.
pub(super) fn find(paths: &[PathBuf]) -> Result<Vec<RuleFile>, CliError> {
    let mut found = Vec::new();
    for path in paths {
        search(path, 0, &mut found)
            .map_err(|error| CliError::Failed(format!("{}: {error}", path.display())))?;
    }
    found.sort();
    found.dedup();
    if found.is_empty() {
        return Err(CliError::Failed("there is no rule file; rules end in .rhai".to_owned()));
    }
    let read = |path: &PathBuf| {
        open(path, found.iter().filter(|other| other.parent() == path.parent()).count() == 1)
            .map_err(|error| CliError::Failed(format!("{}: {error}", path.display())))
    };
    found.iter().map(read).collect()
}

/// The one rule file at or below this path.
///
/// # Errors
/// It cannot be read, or there are several.
pub(super) fn one(path: &Path) -> Result<RuleFile, CliError> {
    let mut found = find(&[path.to_owned()])?;
    match found.len() {
        1 => Ok(found.remove(0)),
        _ => Err(CliError::Usage(format!("{} holds several rules; give one", path.display()))),
    }
}

fn search(path: &Path, depth: usize, found: &mut Vec<PathBuf>) -> io::Result<()> {
    if !path.is_dir() {
        // A file that is named is read, whatever its name.
        std::fs::metadata(path)?;
        found.push(path.to_owned());
        return Ok(());
    }
    if depth >= DEPTH_MAX {
        return Ok(());
    }
    for entry in std::fs::read_dir(path)? {
        let path = entry?.path();
        if path.is_dir() || path.extension().is_some_and(|extension| extension == EXTENSION) {
            search(&path, depth + 1, found)?;
        }
    }
    Ok(())
}

/// `alone`: no other rule of the run lies in the same directory, so `cases.toml` can only be its own.
fn open(path: &Path, alone: bool) -> io::Result<RuleFile> {
    let source = read(path)?;
    let own = path.with_extension(CASES);
    let shared = path.with_file_name(CASES);
    let cases_path = if !own.is_file() && alone { shared } else { own };
    let cases = if cases_path.is_file() { Some(read(&cases_path)?) } else { None };
    Ok(RuleFile { path: path.to_owned(), source, cases_path, cases })
}

fn read(path: &Path) -> io::Result<String> {
    if std::fs::metadata(path)?.len() > FILE_BYTES_MAX {
        return Err(io::Error::other(format!("is longer than {FILE_BYTES_MAX} bytes")));
    }
    std::fs::read_to_string(path)
}
