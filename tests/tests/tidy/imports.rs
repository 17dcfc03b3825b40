//! Who may import whom: `main → app → http, worker → flow → plugins, store →
//! pointsman-rules`; `bus`, `clock`, `config`, `crypto` and `telemetry` are leaves.
//! Read from `use` lines and paths, which is all that Rust needs to reach a room.

use crate::File;

/// Each room of the engine with the rooms it may use.
const ROOMS: &[(&str, &[&str])] = &[
    ("main", &["cli", "app", "config", "telemetry"]),
    ("cli", &["app", "config", "telemetry", "store", "plugins", "clock", "crypto"]),
    ("app", &["http", "worker", "flow", "plugins", "store", "bus", "clock", "config", "crypto", "telemetry"]),
    ("http", &["flow", "plugins", "store", "bus", "clock", "config", "crypto", "telemetry"]),
    ("worker", &["flow", "store", "bus", "clock", "config", "telemetry"]),
    ("flow", &["plugins", "store", "bus", "clock", "config", "crypto", "telemetry"]),
    ("plugins", &["clock", "config", "crypto", "telemetry"]),
    ("store", &["clock", "crypto", "config", "telemetry"]),
    // Above the store, which does not know it: its news name the store's tasks.
    ("bus", &["store"]),
    ("clock", &[]),
    ("config", &["crypto"]),
    ("crypto", &["clock"]),
    ("telemetry", &["config"]),
];

/// Crates that only some rooms may know.
const CRATES: &[(&str, &[&str])] = &[
    ("sqlx", &["store"]),
    ("apalis", &["worker"]),
    ("apalis_core", &["worker"]),
    ("axum", &["http", "app"]),
    ("utoipa", &["http"]),
    ("wasmtime", &["plugins"]),
    ("wit_component", &["plugins"]),
    ("pointsman_cases", &["plugins"]),
    ("clap", &["cli", "main"]),
];

/// What the pure room must not know.
const IMPURE: &[&str] = &[
    "tokio::",
    "sqlx::",
    "reqwest::",
    "axum::",
    "rand::",
    "std::time::SystemTime",
    "std::time::Instant",
    "SystemTime::now",
    "Instant::now",
    "Timestamp::now",
    "Zoned::now",
    "std::fs",
    "std::net",
    "std::process",
    "std::thread",
    "std::env",
    "async fn",
    ".await",
];

/// Files that try rules on the past: they must have no way to a vendor or another program.
const TRIALS: &[&str] = &[
    "engine/src/flow/replay",
    "engine/src/flow/trial.rs",
    "engine/src/flow/backtest",
    "engine/src/flow/shadow",
];

/// Neighbours that lead out of the process, or hold what does.
const WAYS_OUT: &[&str] = &[
    "Flow",
    "accept",
    "account",
    "apply",
    "command",
    "deliver",
    "fetch",
    "file",
    "order",
    "templates",
    "trials",
    "turn",
    "upload",
    "webhook",
];

/// The room of an engine file: the first part of its path; none for the root.
fn room(path: &str) -> Option<&str> {
    let inner = path.strip_prefix("engine/src/")?;
    let first = inner.split('/').next()?;
    let name = first.strip_suffix(".rs").unwrap_or(first);
    (name != "lib").then_some(name)
}

/// The code of a line: without comments.
fn code(line: &str) -> &str {
    let line = line.split("//").next().unwrap_or_default();
    line.trim()
}

/// The names that follow `prefix` in a line, also inside `prefix{a, b::c}`.
fn names_after(line: &str, prefix: &str) -> Vec<String> {
    let mut names = Vec::new();
    for (position, _) in line.match_indices(prefix) {
        let is_start = !line[..position].ends_with(|c: char| c.is_alphanumeric() || c == '_' || c == ':');
        let rest = &line[position + prefix.len()..];
        if !is_start {
            continue;
        }
        let word = |text: &str| {
            text.trim().split(|c: char| !c.is_alphanumeric() && c != '_').next().map(str::to_owned)
        };
        match rest.strip_prefix('{') {
            None => names.extend(word(rest)),
            Some(list) => {
                let mut depth = 0;
                let parts = list.split(|c| {
                    match c {
                        '{' => depth += 1,
                        '}' => depth -= 1,
                        _ => {}
                    }
                    c == ',' && depth == 0
                });
                names.extend(parts.filter_map(word));
            }
        }
    }
    names.retain(|name| !name.is_empty());
    names
}

/// Imports over several lines become one.
fn statements(text: &str) -> Vec<(usize, String)> {
    let mut found: Vec<(usize, String)> = Vec::new();
    let mut open: Option<(usize, String)> = None;
    for (number, line) in text.lines().enumerate() {
        let line = code(line);
        match &mut open {
            Some((_, statement)) => {
                statement.push_str(line);
                if line.ends_with(';') {
                    found.extend(open.take());
                }
            }
            None if line.contains("use ") && line.contains('{') && !line.ends_with(';') => {
                open = Some((number + 1, line.to_owned()));
            }
            None => found.push((number + 1, line.to_owned())),
        }
    }
    found
}

/// Everything in a file up to its inline tests, which may use what they like.
fn productive(text: &str) -> &str {
    text.split("#[cfg(test)]\nmod ").next().unwrap_or(text)
}

/// Files of tests may use what they like, too.
fn is_test(path: &str) -> bool {
    path.ends_with("/testing.rs") || path.ends_with("/tests.rs") || path.contains("/tests/")
}

pub(crate) fn violations(file: &File) -> Vec<String> {
    let Some(room) = room(&file.path).filter(|_| file.path.ends_with(".rs")) else { return Vec::new() };
    if file.path.ends_with("/testing.rs") || file.path.ends_with("/tests.rs") || file.path.contains("/tests/")
    {
        return Vec::new();
    }
    let Some((_, allowed)) = ROOMS.iter().find(|(name, _)| *name == room) else {
        return vec![format!("{}:1: an unknown room `{room}`; add it to the plan in imports.rs", file.path)];
    };
    let mut found = Vec::new();
    for (number, line) in statements(productive(&file.text)) {
        let prefix = if room == "main" || room == "cli" { "pointsman::" } else { "crate::" };
        for target in names_after(&line, prefix).into_iter().chain(names_after(&line, "crate::")) {
            let is_room = ROOMS.iter().any(|(name, _)| *name == target);
            if is_room && target != room && !allowed.contains(&target.as_str()) {
                found.push(format!("{}:{number}: `{room}` uses `{target}`", file.path));
            }
        }
        for (name, rooms) in CRATES {
            let is_used = !names_after(&line, &format!("{name}::")).is_empty();
            if is_used && !rooms.contains(&room) {
                found.push(format!("{}:{number}: `{room}` uses the crate `{name}`", file.path));
            }
        }
    }
    found.dedup();
    found
}

/// Trials read and count; what could send is not even in their reach.
pub(crate) fn ways_out(file: &File) -> Vec<String> {
    if !TRIALS.iter().any(|path| file.path.starts_with(path)) || is_test(&file.path) {
        return Vec::new();
    }
    let mut found = Vec::new();
    for (number, line) in statements(productive(&file.text)) {
        let rooms =
            names_after(&line, "crate::").into_iter().filter(|name| name == "plugins" || name == "bus");
        let neighbours = ["super::", "super::super::", "crate::flow::"]
            .iter()
            .flat_map(|prefix| names_after(&line, prefix))
            .filter(|name| WAYS_OUT.contains(&name.as_str()));
        let crates = names_after(&line, "reqwest::").into_iter().map(|_| "reqwest".to_owned());
        for name in rooms.chain(neighbours).chain(crates) {
            found.push(format!("{}:{number}: uses `{name}`", file.path));
        }
    }
    found
}

pub(crate) fn impurities(file: &File) -> Vec<String> {
    if !file.path.starts_with("rules/src/") || !file.path.ends_with(".rs") || is_test(&file.path) {
        return Vec::new();
    }
    let lines = productive(&file.text).lines().enumerate();
    lines
        .filter_map(|(number, line)| {
            let line = code(line);
            let found = IMPURE.iter().find(|word| line.contains(**word))?;
            let is_name = line.contains(&format!("\"{found}"));
            (!is_name).then(|| format!("{}:{}: {found}", file.path, number + 1))
        })
        .collect()
}

/// Plugins are built without the engine, and the format of cases without either runner.
pub(crate) fn dependencies(file: &File) -> Vec<String> {
    let forbidden: &[&str] = match file.path.as_str() {
        "plugins/cases/Cargo.toml" => &["pointsman", "pointsman-plugin", "pointsman-rules"],
        path if path.starts_with("plugins/") && path.ends_with("/Cargo.toml") => {
            &["pointsman", "pointsman-rules"]
        }
        _ => return Vec::new(),
    };
    let lines = file.text.lines().enumerate();
    lines
        .filter_map(|(number, line)| {
            let name = line.split(['=', '.']).next().unwrap_or_default().trim();
            let is_bad = forbidden.contains(&name);
            is_bad.then(|| format!("{}:{}: depends on `{name}`", file.path, number + 1))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(path: &str, text: &str) -> usize {
        violations(&File { path: path.to_owned(), text: text.to_owned() }).len()
    }

    #[test]
    fn every_room_that_is_named_exists_in_the_plan() {
        let is_known = |name: &str| ROOMS.iter().any(|(room, _)| *room == name);
        assert!(ROOMS.iter().flat_map(|(_, allowed)| *allowed).all(|name| is_known(name)));
    }

    #[test]
    fn upward_imports_are_found() {
        assert_eq!(judged("engine/src/store/users.rs", "use crate::flow::turn;\n"), 1);
        assert_eq!(judged("engine/src/flow.rs", "use crate::{\n    http::Router,\n    store::Db,\n};\n"), 1);
        assert_eq!(judged("engine/src/clock.rs", "let x = crate::store::Db::new();\n"), 1);
        assert_eq!(judged("engine/src/plugins/call.rs", "use crate::{clock::Clock, store::{Db, Tx}};\n"), 1);
        assert_eq!(judged("engine/src/flow/turn.rs", "use apalis::prelude::Monitor;\n"), 1);
        assert_eq!(judged("engine/src/http/a.rs", "sqlx::query(\"x\")\n"), 1);
        assert_eq!(judged("engine/src/misc/a.rs", "//! x\n"), 1);
    }

    #[test]
    fn downward_imports_pass() {
        assert_eq!(
            judged("engine/src/http/a.rs", "use crate::{flow::accept, store::Db};\nuse axum::Json;\n"),
            0
        );
        assert_eq!(judged("engine/src/store/a.rs", "use crate::store::tx::Tx; // not crate::flow::x\n"), 0);
        let test = "//! x\n#[cfg(test)]\nmod tests {\n    use crate::http::x;\n}\n";
        assert_eq!(judged("engine/src/store/a.rs", test), 0);
        assert_eq!(judged("engine/src/flow/a.rs", "use pointsman_rules::ids::UserId;\n"), 0);
    }

    #[test]
    fn plugins_that_need_the_engine_are_found() {
        let count =
            |path: &str, text: &str| dependencies(&File { path: path.into(), text: text.to_owned() }).len();
        assert_eq!(count("plugins/sdk/Cargo.toml", "pointsman = { workspace = true }\n"), 1);
        assert_eq!(count("plugins/cases/Cargo.toml", "pointsman-plugin.workspace = true\n"), 1);
        assert_eq!(count("plugins/sdk/Cargo.toml", "pointsman-cases = { workspace = true }\n"), 0);
    }

    #[test]
    fn a_trial_with_a_way_out_is_found() {
        let count = |text: &str| {
            ways_out(&File { path: "engine/src/flow/backtest.rs".into(), text: text.to_owned() }).len()
        };
        assert_eq!(count("use crate::plugins::Host;\n"), 1);
        assert_eq!(count("use super::{Flow, FlowError};\n"), 1);
        assert_eq!(count("use super::deliver::Begun;\nuse reqwest::Client;\n"), 2);
        assert_eq!(count("use super::replay::Ground; // not crate::plugins\nuse crate::store::Db;\n"), 0);
    }

    #[test]
    fn impurity_is_found() {
        let count =
            |text: &str| impurities(&File { path: "rules/src/a.rs".into(), text: text.to_owned() }).len();
        assert_eq!(count("use std::time::SystemTime;\n"), 1);
        assert_eq!(count("let now = jiff::Timestamp::now();\n"), 1);
        assert_eq!(count("use std::time::Duration; // no tokio here\n"), 0);
    }
}
