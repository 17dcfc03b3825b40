//! What no compiler checks: the house plan. Imports go one way, every file says
//! what it is for, files stay short, SQL stays in its room, nothing unfinished
//! and nothing of this machine is left lying about. The rules are in `rules.rs`
//! and are themselves tested there, so that a silent check cannot pass.

mod coverage;
mod imports;
mod refusals;
mod rules;

use std::path::{Path, PathBuf};

/// Folders that hold no source of ours.
const SKIPPED: [&str; 5] = ["target", ".git", "node_modules", "data", "dist"];

/// One file of the project: its path from the root with `/`, and its text.
pub(crate) struct File {
    pub(crate) path: String,
    pub(crate) text: String,
}

fn root() -> PathBuf {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/..")).to_owned()
}

fn collect(dir: &Path, root: &Path, files: &mut Vec<File>) -> anyhow::Result<()> {
    let mut entries = Vec::new();
    for entry in std::fs::read_dir(dir)? {
        entries.push(entry?.path());
    }
    entries.sort();
    for path in entries {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if path.is_symlink() || SKIPPED.contains(&name.as_str()) {
            continue;
        }
        if path.is_dir() {
            collect(&path, root, files)?;
        } else if let Ok(text) = std::fs::read_to_string(&path) {
            let path = path.strip_prefix(root)?.to_string_lossy().replace('\\', "/");
            files.push(File { path, text });
        }
    }
    Ok(())
}

fn project() -> Vec<File> {
    let root = root();
    let mut files = Vec::new();
    collect(&root, &root, &mut files).expect("the project's folders are readable");
    assert!(files.iter().any(|file| file.path == "engine/src/lib.rs"), "this is not the project's root");
    files
}

fn check(name: &str, rule: impl Fn(&File) -> Vec<String>) {
    let found: Vec<String> = project().iter().flat_map(rule).collect();
    assert!(found.is_empty(), "{name}:\n{}", found.join("\n"));
}

#[test]
fn imports_go_one_way() {
    check("an import points up, or a room uses what it must not know", imports::violations);
}

#[test]
fn plugins_do_without_the_engine() {
    check("a plugin or its kit depends on the engine", imports::dependencies);
}

#[test]
fn trials_of_rules_have_no_way_out() {
    check("what tries rules on the past could reach a vendor", imports::ways_out);
}

#[test]
fn the_rules_room_is_pure() {
    check("`rules` decides and does nothing else", imports::impurities);
}

#[test]
fn every_file_says_what_it_is_for() {
    check("a file starts with `//!`", rules::missing_header);
}

#[test]
fn files_are_found_by_name() {
    check("no mod.rs, no util, no prelude", rules::bad_name);
}

#[test]
fn files_stay_short() {
    check("split the file, or list it with a reason in rules.rs", rules::too_long);
}

#[test]
fn the_list_of_long_files_has_no_leftovers() {
    let files = project();
    for (path, reason) in rules::LONG_FILES {
        assert!(!reason.is_empty(), "{path} has no reason");
        assert!(files.iter().any(|file| file.path == *path), "{path} is gone; take it off the list");
    }
}

#[test]
fn nothing_unfinished_is_left() {
    check("finish it or take it out", rules::unfinished);
}

#[test]
fn sql_is_said_in_the_store_only() {
    check("move the statement to engine/src/store", rules::sql_outside_store);
}

#[test]
fn no_path_of_a_machine_is_written_down() {
    check("a path of somebody's machine", rules::machine_path);
}

#[test]
fn the_table_of_coverage_is_true() {
    let files = project();
    let table = files.iter().find(|file| file.path == "docs/coverage.md").expect("docs/coverage.md is there");
    let lies = coverage::lies(&table.text, &files);
    assert!(lies.is_empty(), "docs/coverage.md:\n{}", lies.join("\n"));
}

#[test]
fn the_console_says_every_refusal_in_every_language() {
    let files = project();
    let in_other_languages = |file: &&File| file.path.starts_with("engine/console/messages/refusals.");
    let found: Vec<String> = files
        .iter()
        .filter(in_other_languages)
        .flat_map(|file| {
            let sentences = serde_json::from_str(&file.text).expect("an object of sentences");
            let gaps = refusals::gaps(&sentences, &files).into_iter();
            gaps.map(|gap| format!("{}: {gap}", file.path))
        })
        .collect();
    assert!(found.is_empty(), "{}", found.join("\n"));
    assert!(files.iter().any(|file| in_other_languages(&file)), "no file of sentences");
}

/// Two types of one name would share one entry of the API's document, and one of them would be described wrongly.
#[test]
fn types_of_the_api_have_names_of_their_own() {
    let files = project();
    let names: Vec<(String, String)> = files.iter().flat_map(rules::schema_names).collect();
    assert!(names.len() > 50, "only {} types are described", names.len());
    for (index, (name, path)) in names.iter().enumerate() {
        let other = names.iter().skip(index + 1).find(|(other, _)| other == name);
        assert!(other.is_none(), "{name} is in {path} and in {}", other.map_or("", |(_, path)| path));
    }
}

#[test]
fn the_licence_is_there_in_full() {
    let text = std::fs::read_to_string(root().join("LICENSE")).unwrap();
    assert!(text.contains("Apache License") && text.contains("END OF TERMS AND CONDITIONS"));
    let manifest = std::fs::read_to_string(root().join("Cargo.toml")).unwrap();
    assert!(manifest.contains("license = \"Apache-2.0\""));
}
