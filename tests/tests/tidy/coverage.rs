//! `docs/coverage.md` tells the truth: every number is there once, and what
//! "works" names a test that exists and names the number.

use crate::File;

/// The checklist's length.
const NUMBERS: usize = 108;
/// How many lines above a test its numbers may stand: attributes and documentation lie between.
const LINES_ABOVE: usize = 6;

/// What is wrong with the table, given all files of the project.
pub(crate) fn lies(table: &str, files: &[File]) -> Vec<String> {
    let rows: Vec<Vec<&str>> = table
        .lines()
        .filter(|line| line.starts_with("| S"))
        .map(|line| line.trim_matches('|').split('|').map(str::trim).collect())
        .collect();
    let mut found = Vec::new();
    for number in 1..=NUMBERS {
        let id = format!("S{number:02}");
        let count = rows.iter().filter(|row| row.first() == Some(&id.as_str())).count();
        if count != 1 {
            found.push(format!("{id} stands {count} times in the table"));
        }
    }
    for row in &rows {
        let [id, _, tests, state, _] = row.as_slice() else {
            found.push(format!("{row:?} has not five columns"));
            continue;
        };
        let tests: Vec<&str> =
            tests.split('`').filter(|it| !it.trim_matches([' ', ',']).is_empty()).collect();
        if matches!(*state, "works" | "partly") && tests.is_empty() {
            found.push(format!("{id} {state}, but no test shows it"));
        }
        for test in tests {
            if let Some(lie) = untrue(id, test, files) {
                found.push(lie);
            }
        }
    }
    found
}

fn untrue(id: &str, test: &str, files: &[File]) -> Option<String> {
    for file in files {
        // Browser stories are named by sentences.
        let head = match file.path.rsplit_once('.') {
            Some((_, "rs")) => format!("fn {test}("),
            Some((path, "ts")) if path.ends_with(".story") => format!("test('{test}'"),
            _ => continue,
        };
        let lines: Vec<&str> = file.text.lines().collect();
        let Some(at) = lines.iter().position(|line| line.contains(&head)) else { continue };
        let above = lines.get(at.saturating_sub(LINES_ABOVE)..at).unwrap_or_default();
        let names = above.iter().filter(|line| line.trim_start().starts_with("//"));
        let is_named =
            names.flat_map(|line| line.split(|c: char| !c.is_ascii_alphanumeric())).any(|w| w == id);
        return (!is_named).then(|| format!("{}: `{test}` does not name {id}", file.path));
    }
    Some(format!("{id}: there is no test `{test}`"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(text: &str) -> File {
        File { path: "a.rs".into(), text: text.into() }
    }

    #[test]
    fn a_lie_is_found() {
        let files = [file("// S01, S02\n#[test]\nfn it_works() {}\n\nfn other() {}\n")];
        assert_eq!(untrue("S01", "it_works", &files), None);
        let story = File {
            path: "a.story.ts".into(),
            text: "// S07\ntest('a chat begins', async () => {})\n".into(),
        };
        assert_eq!(untrue("S07", "a chat begins", &[story]), None);
        assert!(untrue("S03", "it_works", &files).unwrap().contains("does not name S03"));
        assert!(untrue("S01", "nothing", &files).unwrap().contains("no test `nothing`"));
        let lies = lies("| S01 | a | | works | |\n| S02 | b | `it_works` | works | |\n", &files);
        assert!(lies.iter().any(|lie| lie == "S01 works, but no test shows it"), "{lies:?}");
        assert!(lies.iter().any(|lie| lie == "S03 stands 0 times in the table"), "{lies:?}");
        assert!(!lies.iter().any(|lie| lie.contains("S02")), "{lies:?}");
    }
}
