//! Checks of single files. Each gives one line per finding: `path:line: what`.

use crate::File;

/// Longest file without an entry in [`LONG_FILES`].
const LINES_MAX: usize = 500;

/// Longer files and why each is better in one piece.
pub(crate) const LONG_FILES: &[(&str, &str)] = &[];

fn is_rust(file: &File) -> bool {
    file.path.ends_with(".rs")
}

/// Our own checks name what they look for, so they are left out where that matters.
fn is_tidy(file: &File) -> bool {
    file.path.starts_with("tests/tests/tidy/")
}

fn lines_with(file: &File, is_bad: impl Fn(&str) -> Option<String>) -> Vec<String> {
    let lines = file.text.lines().enumerate();
    lines
        .filter_map(|(number, line)| Some(format!("{}:{}: {}", file.path, number + 1, is_bad(line)?)))
        .collect()
}

pub(crate) fn missing_header(file: &File) -> Vec<String> {
    let is_missing = is_rust(file) && !file.text.starts_with("//! ");
    is_missing.then(|| format!("{}:1: no `//!` header", file.path)).into_iter().collect()
}

pub(crate) fn bad_name(file: &File) -> Vec<String> {
    let name = file.path.rsplit('/').next().unwrap_or_default();
    let is_bad =
        matches!(name, "mod.rs" | "util.rs" | "utils.rs" | "helpers.rs" | "prelude.rs" | "common.rs");
    is_bad.then(|| file.path.clone()).into_iter().collect()
}

pub(crate) fn too_long(file: &File) -> Vec<String> {
    let lines = file.text.lines().count();
    let is_listed = LONG_FILES.iter().any(|(path, _)| *path == file.path);
    let is_long = is_rust(file) && lines > LINES_MAX && !is_listed;
    is_long.then(|| format!("{}: {lines} lines, more than {LINES_MAX}", file.path)).into_iter().collect()
}

/// Names of the types that the API's document describes, with their file.
pub(crate) fn schema_names(file: &File) -> Vec<(String, String)> {
    if !file.path.starts_with("engine/src/http") {
        return Vec::new();
    }
    let mut found = Vec::new();
    let (mut is_described, mut alias) = (false, None);
    for line in file.text.lines() {
        if let Some(given) = line.strip_prefix("#[schema(as = ") {
            alias = given.split([')', ',']).next().map(str::to_owned);
        }
        is_described |= line.starts_with("#[derive(") && line.contains("ToSchema");
        let words: Vec<&str> = line.split([' ', '<', '{', '(', ';']).collect();
        let at = words.iter().position(|word| matches!(*word, "struct" | "enum"));
        let Some(name) = at.and_then(|at| words.get(at + 1)).filter(|_| !line.starts_with([' ', '/'])) else {
            continue;
        };
        if std::mem::take(&mut is_described) {
            let name = alias.take().unwrap_or_else(|| (*name).to_owned());
            found.push((name, file.path.clone()));
        }
    }
    found
}

pub(crate) fn unfinished(file: &File) -> Vec<String> {
    if !is_rust(file) || is_tidy(file) {
        return Vec::new();
    }
    let words = ["TODO", "FIXME", "XXX:", "HACK:", "todo!(", "unimplemented!(", "dbg!("];
    lines_with(file, |line| words.iter().find(|word| line.contains(**word)).map(|word| (*word).to_owned()))
}

/// A string literal that begins like a statement. Migrations are `.sql` files.
pub(crate) fn sql_outside_store(file: &File) -> Vec<String> {
    let is_checked = is_rust(file) && file.path.starts_with("engine/src/");
    if !is_checked || file.path.starts_with("engine/src/store") {
        return Vec::new();
    }
    let starts = ["select ", "insert into ", "update ", "delete from ", "create table ", "with "];
    // English sentences begin like this too; a statement names its table or columns further on.
    let signs = [" from ", " values", " set ", " where ", " ("];
    lines_with(file, |line| {
        let text = line.split_once('"')?.1.to_lowercase();
        let is_sql = starts.iter().any(|start| text.starts_with(start))
            && signs.iter().any(|sign| text.contains(sign));
        let is_sql = is_sql && (text.contains('$') || text.contains('*') || text.contains(" from "));
        (is_sql && !line.trim_start().starts_with("//")).then(|| "SQL".to_owned())
    })
}

pub(crate) fn machine_path(file: &File) -> Vec<String> {
    if is_tidy(file) {
        return Vec::new();
    }
    let paths = ["/home/", "/Users/", "/root/", "/work/", "/tmp/", "C:\\\\"];
    lines_with(file, |line| {
        let found = paths.iter().find(|path| line.contains(**path))?;
        // A place that every Unix has, given as a default that can be changed.
        let is_default = line.contains("TMPDIR:-/tmp");
        (!is_default).then(|| (*found).to_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    type Check = fn(&File) -> Vec<String>;

    fn file(path: &str, text: &str) -> File {
        File { path: path.to_owned(), text: text.to_owned() }
    }

    #[test]
    fn each_check_fails_when_violated() {
        let cases: [(Check, &str, &str); 8] = [
            (missing_header, "engine/src/a.rs", "use std::fmt;\n"),
            (bad_name, "engine/src/http/mod.rs", "//! x\n"),
            (bad_name, "engine/src/util.rs", "//! x\n"),
            (too_long, "engine/src/a.rs", &"x\n".repeat(LINES_MAX + 1)),
            (unfinished, "engine/src/a.rs", "fn a() { todo!() }\n"),
            (unfinished, "rules/src/a.rs", "// FIXME later\n"),
            (sql_outside_store, "engine/src/http/a.rs", "let q = \"select id from users where id = $1\";\n"),
            (machine_path, "Makefile", "DATA = /home/ana/data\n"),
        ];
        for (check, path, text) in cases {
            assert_eq!(check(&file(path, text)).len(), 1, "{path}: {text}");
        }
    }

    #[test]
    fn good_files_pass() {
        let good = file("engine/src/a.rs", "//! Says why.\nlet q = \"select a group first\";\n");
        for check in [missing_header, bad_name, too_long, unfinished, sql_outside_store, machine_path] {
            assert_eq!(check(&good), Vec::<String>::new());
        }
        let store = file("engine/src/store/a.rs", "//! x\nlet q = \"delete from users where id = $1\";\n");
        assert_eq!(sql_outside_store(&store), Vec::<String>::new());
    }
}
