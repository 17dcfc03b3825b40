//! `pointsman plugin new`: a folder with a plugin that passes its tests. It is
//! the example of this repository under another name, with the SDK and the
//! contract beside it, so that it needs nothing but cargo or npm.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use serde_json::json;
use toml::{Table, Value};

use super::super::error::CliError;
use super::super::output::Out;

/// Longest name of a plugin, characters.
const NAME_CHARS_MAX: usize = 40;
/// Folders of the SDK, in the scaffold's `kit/`.
const KIT: [&str; 3] = ["sdk", "cases", "wit"];
const IGNORED: &str = "/target\n/node_modules\n/*.wasm\n";
/// Where a service that runs tests finds what to do.
const CI_FILE: &str = ".github/workflows/plugin.yml";
const CI_HEAD: &str = "name: plugin\non: [push, pull_request]\njobs:\n  test:\n    runs-on: ubuntu-latest\n    steps:\n      - uses: actions/checkout@v4\n";
const CI_RUST: &str = "      - run: rustup target add wasm32-unknown-unknown\n      - run: cargo test\n      - run: cargo build --profile guest --target wasm32-unknown-unknown\n";
const CI_JS: &str = "      - run: npm install\n      - run: npm run build\n";

/// The files of the example and of the SDK: where they lie in this repository, and what is in them.
const FILES: &[(&str, &str)] = include!(concat!(env!("OUT_DIR"), "/kit.rs"));
/// Versions and lints of this repository.
const WORKSPACE: &str = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../Cargo.toml"));

/// Make a plugin that passes its tests, to go on from
#[derive(Debug, Clone, Args)]
pub(in super::super) struct New {
    /// What the provider is called: lower case letters, digits and hyphens
    name: String,
    /// What to write it in
    #[arg(long, value_enum, default_value_t = Lang::Rust)]
    lang: Lang,
    /// Where to put it [default: a folder of this name]
    #[arg(long)]
    dir: Option<PathBuf>,
}

/// What a plugin is written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Lang {
    /// Built by cargo.
    Rust,
    /// Built by npm; JavaScript in QuickJS.
    Js,
}

impl New {
    pub(super) fn run(&self, out: Out) -> Result<(), CliError> {
        let name = checked(&self.name)?;
        let dir = self.dir.clone().unwrap_or_else(|| PathBuf::from(name));
        let is_empty = std::fs::read_dir(&dir).map_or(true, |mut entries| entries.next().is_none());
        if !is_empty {
            let said = format!("{} is not empty; name another folder with --dir", dir.display());
            return Err(CliError::Failed(said));
        }
        for (path, text) in scaffold(name, self.lang)? {
            write(&dir.join(path), &text)?;
        }
        let shown = dir.display();
        Ok(out.result(&json!({"ok": true, "name": name, "dir": dir}), || {
            format!("{shown} has a plugin that works. Go on with:\n  cd {shown}\n  pointsman plugin test")
        })?)
    }
}

fn checked(name: &str) -> Result<&str, CliError> {
    let is_word = name
        .split('-')
        .all(|part| !part.is_empty() && part.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit()));
    if is_word && name.starts_with(|c: char| c.is_ascii_lowercase()) && name.len() <= NAME_CHARS_MAX {
        return Ok(name);
    }
    Err(CliError::Usage(format!(
        "`{name}` cannot be the name: it takes a letter first, then lower case letters, digits and single hyphens, at \
         most {NAME_CHARS_MAX} characters, like acme-sms"
    )))
}

fn write(path: &Path, text: &str) -> Result<(), CliError> {
    let failed = |error: std::io::Error| CliError::Failed(format!("{}: {error}", path.display()));
    if let Some(parent) = path.parent() {
        std::fs::create_dir_all(parent).map_err(failed)?;
    }
    std::fs::write(path, text).map_err(failed)
}

/// The files of a plugin of this name, by path in its folder.
fn scaffold(name: &str, lang: Lang) -> Result<Vec<(String, String)>, CliError> {
    let (example, ci) = match lang {
        Lang::Rust => ("examples/plugin/", CI_RUST),
        Lang::Js => ("examples/plugin-js/", CI_JS),
    };
    let mut files = Vec::new();
    for (path, text) in FILES {
        if let Some(path) = path.strip_prefix(example) {
            let is_contract = path.starts_with("wit/");
            let text = if is_contract { (*text).to_owned() } else { renamed(text, name) };
            let text = if path == "Cargo.toml" { format!("{text}\n{}", workspace()?) } else { text };
            files.push((path.to_owned(), text));
        } else if let Some(path) = path.strip_prefix("plugins/").filter(|_| lang == Lang::Rust) {
            files.push((format!("kit/{path}"), (*text).to_owned()));
        }
    }
    files.push((".gitignore".to_owned(), IGNORED.to_owned()));
    files.push((CI_FILE.to_owned(), format!("{CI_HEAD}{ci}")));
    Ok(files)
}

/// The example's text with this name in place of its own.
fn renamed(text: &str, name: &str) -> String {
    let capital = |part: &str| {
        let mut letters = part.chars();
        let first = letters.next().map(|c| c.to_ascii_uppercase());
        first.into_iter().chain(letters).collect::<String>()
    };
    let camel: String = name.split('-').map(capital).collect();
    text.replace("pointsman_acme", &format!("pointsman_{}", name.replace('-', "_")))
        .replace("acme", name)
        .replace("Acme", &camel)
}

/// What the scaffold's `Cargo.toml` needs of ours: versions of what it and the SDK use, lints, how a plugin is built.
fn workspace() -> Result<String, CliError> {
    let read = |text: &str| {
        text.parse::<Table>()
            .map_err(|error| CliError::Failed(format!("the kit in this program is broken: {error}")))
    };
    let mut ours = read(WORKSPACE)?;
    let mut used = BTreeSet::new();
    for (_, text) in FILES.iter().filter(|(path, _)| path.ends_with("Cargo.toml")) {
        let manifest = read(text)?;
        for group in ["dependencies", "dev-dependencies"] {
            used.extend(
                manifest.get(group).and_then(Value::as_table).into_iter().flat_map(|it| it.keys().cloned()),
            );
        }
    }
    let mut take = |path: [&str; 2]| ours.get_mut(path[0])?.as_table_mut()?.remove(path[1]);
    let mut workspace = Table::new();
    for key in ["resolver", "package", "lints"] {
        workspace.extend(take(["workspace", key]).map(|value| (key.to_owned(), value)));
    }
    let members = KIT.iter().filter(|folder| **folder != "wit").map(|folder| format!("kit/{folder}").into());
    workspace.insert("members".into(), Value::Array(members.collect()));
    if let Some(Value::Table(mut dependencies)) = take(["workspace", "dependencies"]) {
        dependencies.retain(|name, _| used.contains(name));
        for path in dependencies.iter_mut().filter_map(|(_, it)| it.get_mut("path")) {
            let moved = path.as_str().map(|path| path.replace("plugins/", "kit/"));
            *path = moved.unwrap_or_default().into();
        }
        workspace.insert("dependencies".into(), dependencies.into());
    }
    let mut manifest = Table::from_iter([("workspace".to_owned(), workspace.into())]);
    let guest = take(["profile", "guest"]).map(|guest| ("guest".to_owned(), guest));
    manifest.insert("profile".into(), Table::from_iter(guest).into());
    toml::to_string(&manifest).map_err(|error| CliError::Failed(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_that_a_crate_and_a_provider_may_have() {
        for good in ["acme", "acme-sms", "a1"] {
            assert!(checked(good).is_ok(), "{good}");
        }
        for bad in ["", "Acme", "1acme", "-a", "a-", "a--b", "a_b", "a b", "../x", &"a".repeat(41)] {
            assert!(matches!(checked(bad), Err(CliError::Usage(_))), "{bad}");
        }
    }

    #[test]
    fn everything_is_named_anew_and_whole() {
        let files = scaffold("my-vendor", Lang::Rust).unwrap();
        let text =
            |path: &str| &files.iter().find(|(it, _)| it == path).unwrap_or_else(|| panic!("{path}")).1;
        for (path, text) in files.iter().filter(|(path, _)| !path.starts_with("kit/")) {
            assert!(!text.to_lowercase().contains("acme"), "{path}");
        }
        assert!(text("tests/cases.rs").contains("use pointsman_my_vendor::MyVendor;"));
        assert!(text("kit/wit/plugin.wit").contains("package pointsman:plugin"));
        let manifest: Table = text("Cargo.toml").parse().unwrap();
        let dependencies = manifest["workspace"]["dependencies"].as_table().unwrap();
        assert_eq!(dependencies["pointsman-plugin"]["path"].as_str(), Some("kit/sdk"));
        assert!(dependencies.contains_key("wit-bindgen") && !dependencies.contains_key("axum"));
        assert_eq!(manifest["package"]["name"].as_str(), Some("pointsman-my-vendor"));
        assert!(manifest["profile"]["guest"].is_table());
    }

    #[test]
    fn in_javascript_it_has_its_cases_and_the_contract_too() {
        let files = scaffold("my-vendor", Lang::Js).unwrap();
        let text =
            |path: &str| &files.iter().find(|(it, _)| it == path).unwrap_or_else(|| panic!("{path}")).1;
        assert!(text("plugin.js").contains("id: \"my-vendor\""));
        assert!(text("wit/plugin.wit").contains("package pointsman:plugin"));
        assert!(text("cases/send-text/http/01.toml").contains("https://api.my-vendor.example/v1/messages"));
        assert!(files.iter().all(|(path, _)| !path.starts_with("kit/") && !path.contains("node_modules")));
    }
}
