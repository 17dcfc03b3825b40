//! Rule files on disk: what is found, what is wrong with them, how their cases go.

use std::path::Path;

use super::*;

const GOOD: &str = "//! Urgent\n//!\n//! on: message.received\n\nif message.text.contains_any([\"fire\"]) { set_priority(\"urgent\"); }\n";
const CASES: &str = "[[case]]\nname = \"fire is urgent\"\ngiven.message.text = \"fire!\"\nexpect = ['set_priority(\"urgent\")']\n";

fn write(folder: &Path, name: &str, text: &str) -> PathBuf {
    let path = folder.join(name);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(&path, text).unwrap();
    path
}

#[test]
fn directories_are_searched_and_cases_found_beside() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "one/rule.rhai", GOOD);
    write(folder.path(), "one/cases.toml", CASES);
    write(folder.path(), "two/a.rhai", GOOD);
    write(folder.path(), "two/b.rhai", GOOD);
    write(folder.path(), "two/b.cases.toml", CASES);
    write(folder.path(), "two/cases.toml", CASES);
    write(folder.path(), "notes.txt", "");
    let found = files::find(&[folder.path().to_owned(), folder.path().join("one")]).unwrap();
    let cases: Vec<_> = found.iter().map(|file| file.cases.is_some()).collect();
    // Two rules in one directory cannot share `cases.toml`.
    assert_eq!(cases, [true, false, true], "{found:?}");
}

#[test]
fn a_path_that_is_not_there_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let missing = folder.path().join("missing.rhai");
    assert!(files::find(&[missing]).unwrap_err().to_string().contains("missing.rhai"));
    assert!(files::find(&[folder.path().to_owned()]).unwrap_err().to_string().contains("no rule file"));
}

#[test]
fn a_mistake_is_shown_with_place_excerpt_and_hint() {
    let folder = tempfile::tempdir().unwrap();
    let path = write(folder.path(), "bad.rhai", &GOOD.replace("set_priority", "set_prioritty"));
    let files = files::find(&[path]).unwrap();
    let wrong = read(&files[0]).unwrap_err();
    let text = wrong[0].text();
    assert!(text.contains("bad.rhai:5:42\n"), "{text}");
    assert!(text.contains("5 | if message.text") && text.contains("^"), "{text}");
    assert!(text.contains("did you mean `set_priority`?"), "{text}");
    assert!(matches!(check(&files, None, Out { json: false }), Err(CliError::Said)));
}

#[test]
fn cases_pass_and_fail_with_a_difference() {
    let folder = tempfile::tempdir().unwrap();
    let path = write(folder.path(), "rule.rhai", GOOD);
    write(folder.path(), "cases.toml", CASES);
    let good = files::find(std::slice::from_ref(&path)).unwrap();
    assert!(test(&good, None, Out { json: false }).is_ok());
    write(folder.path(), "cases.toml", &CASES.replace("\"urgent\")", "\"low\")"));
    let bad = files::find(&[path]).unwrap();
    assert!(matches!(test(&bad, None, Out { json: true }), Err(CliError::Said)));
    let (script, cases) = read(&bad[0]).ok().unwrap();
    let text = case_lines(&bad[0], &run_cases(&script, &cases.unwrap()));
    assert!(text.contains("FAIL  fire is urgent") && text.contains("cases.toml:1"), "{text}");
}

#[test]
fn warnings_are_told_and_let_pass() {
    let folder = tempfile::tempdir().unwrap();
    let path = write(folder.path(), "rule.rhai", &GOOD.replace("if message", "return;\nif message"));
    let files = files::find(&[path]).unwrap();
    assert!(check(&files, None, Out { json: false }).is_ok());
    let (script, _) = read(&files[0]).ok().unwrap();
    assert_eq!(script.warnings()[0].code, "unreachable_code");
}
