//! `pointsman rules pull`: a server's rules as files, one folder each, so that
//! they can be kept in git and pushed again. What is there already keeps its folder.

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};

use clap::Args;
use pointsman_rules::header::Header;
use serde_json::{Value, json};

use super::super::client::{ApiArgs, Client};
use super::super::error::CliError;
use super::super::output::Out;
use super::files::{self, RuleFile};
use super::{RULES, count};

const RULE: &str = "rule.rhai";
const CASES: &str = "cases.toml";
/// Longest name of a folder.
const SLUG_CHARS_MAX: usize = 60;

/// Write a server's rules into files
#[derive(Debug, Clone, Args)]
pub(in super::super) struct Pull {
    /// Where: a folder with rule.rhai and cases.toml for each rule; made when it is missing
    dir: PathBuf,
    #[command(flatten)]
    api: ApiArgs,
}

impl Pull {
    pub(super) async fn run(self, out: Out) -> Result<(), CliError> {
        let rules = Client::new(&self.api)?.list(RULES).await?;
        let failed = |error: io::Error| CliError::Failed(format!("{}: {error}", self.dir.display()));
        std::fs::create_dir_all(&self.dir).map_err(failed)?;
        let mut there = known(&self.dir);
        let (mut taken, mut items) = (Vec::new(), Vec::new());
        for rule in &rules {
            let name = rule["name"].as_str().unwrap_or_default();
            let source = rule["source"].as_str().unwrap_or_default();
            let cases = rule["cases"].as_str();
            let (path, cases_path) = match there.remove(&name.to_lowercase()) {
                Some(file) => (file.path, file.cases_path),
                None => {
                    let folder = free(&self.dir, name, &taken);
                    taken.push(folder.clone());
                    (folder.join(RULE), folder.join(CASES))
                }
            };
            let state =
                put(&path, Some(source)).map_err(failed)?.or(put(&cases_path, cases).map_err(failed)?);
            items.push(json!({"name": name, "path": path, "state": state.unwrap_or("unchanged")}));
        }
        let mut only_here: Vec<String> = there.into_values().map(|file| file.shown()).collect();
        only_here.sort();
        Ok(out.result(&json!({"items": &items, "only_here": &only_here}), || {
            let written = |it: &&Value| it["state"] != "unchanged";
            let line = |it: &Value| {
                format!(
                    "{}  {}",
                    it["state"].as_str().unwrap_or_default(),
                    it["name"].as_str().unwrap_or_default()
                )
            };
            let mut lines: Vec<String> = items.iter().filter(written).map(line).collect();
            lines.extend(only_here.iter().map(|path| format!("only here  {path}")));
            lines.push(format!(
                "{}, {} written",
                count(items.len(), "rule"),
                items.iter().filter(written).count()
            ));
            lines.join("\n")
        })?)
    }
}

/// Rules that lie in the folder already, by name.
fn known(dir: &Path) -> HashMap<String, RuleFile> {
    let found = files::find(&[dir.to_owned()]).unwrap_or_default(); // none at all is no mistake here
    let named = |file: RuleFile| Some((Header::parse(&file.source).ok()?.name.to_lowercase(), file));
    found.into_iter().filter_map(named).collect()
}

/// A folder for a rule that has none.
fn free(dir: &Path, name: &str, taken: &[PathBuf]) -> PathBuf {
    let slug = slug(name);
    let numbered = (2..).map(|n| dir.join(format!("{slug}-{n}")));
    let mut folders = std::iter::once(dir.join(&slug)).chain(numbered);
    let is_free = |folder: &PathBuf| !taken.contains(folder) && !folder.exists();
    folders.find(is_free).unwrap_or_else(|| dir.join(&slug))
}

/// Lower-case ASCII words with hyphens.
fn slug(name: &str) -> String {
    let words: String =
        name.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { ' ' }).collect();
    let slug = words.split_whitespace().collect::<Vec<_>>().join("-");
    let slug: String = slug.chars().take(SLUG_CHARS_MAX).collect();
    if slug.is_empty() { "rule".to_owned() } else { slug }
}

/// Makes the file say this, or not be there. Answers what changed.
fn put(path: &Path, wanted: Option<&str>) -> io::Result<Option<&'static str>> {
    let now = if path.is_file() { Some(std::fs::read_to_string(path)?) } else { None };
    match (now.as_deref(), wanted) {
        (now, wanted) if now == wanted => Ok(None),
        (Some(_), None) => std::fs::remove_file(path).map(|()| Some("changed")),
        (now, wanted) => {
            if let Some(folder) = path.parent() {
                std::fs::create_dir_all(folder)?;
            }
            std::fs::write(path, wanted.unwrap_or_default())?;
            Ok(Some(if now.is_some() { "changed" } else { "new" }))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_are_named_after_rules_and_never_shared() {
        assert_eq!(slug("VIP → priority & agent"), "vip-priority-agent");
        assert_eq!(slug("«»"), "rule");
        let dir = tempfile::tempdir().unwrap();
        let first = free(dir.path(), "A b", &[]);
        assert_eq!(first, dir.path().join("a-b"));
        assert_eq!(free(dir.path(), "a-B", &[first]), dir.path().join("a-b-2"));
    }

    #[test]
    fn a_file_is_written_once_and_goes_when_nothing_is_wanted() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x/cases.toml");
        assert_eq!(put(&path, None).unwrap(), None);
        assert_eq!(put(&path, Some("a")).unwrap(), Some("new"));
        assert_eq!(put(&path, Some("a")).unwrap(), None);
        assert_eq!(put(&path, Some("b")).unwrap(), Some("changed"));
        assert_eq!(put(&path, None).unwrap(), Some("changed"));
        assert!(!path.exists());
    }
}
