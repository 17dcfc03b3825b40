//! The engine speaks English and gives each refusal a code; the console says the
//! code in the person's language. Both directions are checked: a code without a
//! sentence, and a sentence without a code.

use std::collections::BTreeSet;

use crate::File;

/// What a code stands in first place of; a status may stand before it.
const OPENERS: [&str; 10] = [
    "refuse(",
    "refused(",
    "conflict(",
    "malformed(",
    "unavailable(",
    "barred(",
    "Refused::new(",
    "Problem::new(",
    "Self::new(",
    "code: ",
];
/// Where kinds and classes of vendors' failures are named, `Variant = "kind", "class";` a line.
const FAILURES: &str = "engine/src/plugins/wire/failure.rs";
/// Codes that are worked out: of callers' webhooks (`HookError::code`), and the few that a condition chooses.
const WORKED_OUT: [&str; 8] = [
    "failed",
    "forged",
    "malformed",
    "nobody_named",
    "template_required",
    "unknown",
    "unknown_hook",
    "vendor_refused",
];

/// Codes that a file of the engine or of the rules refuses with.
fn codes(file: &File) -> BTreeSet<String> {
    if file.path == FAILURES {
        let pairs = file.text.lines().filter_map(|line| line.split_once(" = \"")?.1.strip_suffix("\";"));
        return pairs.flat_map(|pair| pair.split("\", \"")).map(str::to_owned).collect();
    }
    let is_ours = ["engine/src/http", "engine/src/flow", "rules/src"];
    let is_ours = is_ours.iter().any(|room| file.path.starts_with(room)) && file.path.ends_with(".rs");
    let is_test = ["tests.rs", "testing.rs"].iter().any(|end| file.path.ends_with(end));
    if !is_ours || is_test || file.path.contains("/tests/") {
        return BTreeSet::new();
    }
    let text = file.text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
    OPENERS.iter().flat_map(|opener| text.split(opener).skip(1)).filter_map(code).collect()
}

/// The code at the beginning of arguments.
fn code(arguments: &str) -> Option<String> {
    let given = arguments.trim_start();
    let status =
        given.split_once(',').filter(|(first, _)| first.contains("StatusCode::") && !first.contains('"'));
    let given = status.map_or(given, |(_, rest)| rest.trim_start());
    let (word, _) = given.strip_prefix('"')?.split_once('"')?;
    let is_code = !word.is_empty() && word.bytes().all(|it| it.is_ascii_lowercase() || it == b'_');
    is_code.then(|| word.to_owned())
}

/// What is missing in the console's sentences or too much there, given all files of the project.
pub(crate) fn gaps(sentences: &serde_json::Map<String, serde_json::Value>, files: &[File]) -> Vec<String> {
    let worked_out = WORKED_OUT.iter().map(|it| (*it).to_owned());
    let codes: BTreeSet<String> = files.iter().flat_map(codes).chain(worked_out).collect();
    let said: BTreeSet<String> = sentences.keys().cloned().collect();
    let missing = codes.difference(&said).map(|code| format!("`{code}` has no sentence"));
    let leftover = said.difference(&codes).map(|code| format!("no code is `{code}`"));
    missing.chain(leftover).collect()
}

#[test]
fn codes_are_found_where_something_is_refused() {
    let text = "Err(Problem::conflict(\"in_use\", detail))\nProblem::new(\n    StatusCode::NOT_FOUND,\n    \"gone\",\n)\n\
                Refused::new(\"late\", why)\nBarred { code: \"loop\".to_owned() }\nrefuse(code, \"not a code\")\n\
                #[cfg(test)]\nmod tests {\n    refuse(\"never\")\n}\n";
    let file = |path: &str| File { path: path.into(), text: text.into() };
    let found = codes(&file("engine/src/http/x.rs"));
    assert_eq!(found.into_iter().collect::<Vec<_>>(), ["gone", "in_use", "late", "loop"]);
    assert!(codes(&file("engine/src/cli/x.rs")).is_empty());
    let kinds = File { path: FAILURES.into(), text: "    AuthFailed = \"auth_failed\", \"auth\";\n".into() };
    assert_eq!(codes(&kinds).into_iter().collect::<Vec<_>>(), ["auth", "auth_failed"]);
}
