//! The order of rules. The text of a rule is the truth: moving one writes its
//! `position:` line, so that files and database stay equal.

/// Between two neighbours, so that a rule can be put there by hand.
pub const STEP: i64 = 10;
const KEY: &str = "position";

/// The text with this position in its header.
pub fn positioned(source: &str, position: i64) -> String {
    let line = format!("//! {KEY}: {position}");
    let mut out: Vec<&str> = source.split('\n').collect();
    let is_header = |text: &&str| text.trim_start().starts_with("//!");
    let is_key = |text: &str, key: &str| {
        let text = text.trim_start().trim_start_matches("//!").trim_start();
        text.strip_prefix(key).is_some_and(|rest| rest.trim_start().starts_with(':'))
    };
    let first = out.iter().position(|text| !text.trim().is_empty()).unwrap_or(0);
    let end = first + out.iter().skip(first).take_while(|text| is_header(text)).count();
    // The first line is the name, whatever it looks like.
    let keys = || (first + 1..end).rev();
    if let Some(at) = keys().find(|at| is_key(out[*at], KEY)) {
        out[at] = &line;
    } else {
        let after = keys().find(|at| is_key(out[*at], "on")).map_or(end, |at| at + 1);
        out.insert(after, &line);
    }
    out.join("\n")
}

#[cfg(test)]
mod tests {
    use pointsman_rules::header::Header;

    use super::*;

    #[test]
    fn only_the_position_changes() {
        let cases = [
            ("//! A\n//! on: note.added\n\nx();\n", "//! A\n//! on: note.added\n//! position: 30\n\nx();\n"),
            (
                "\n//! A\n//! position : 5\n//! on: note.added",
                "\n//! A\n//! position: 30\n//! on: note.added",
            ),
            (
                "//! position: what\n//!\n//! on: note.added\n//! stage: reply\nx();",
                "//! position: what\n//!\n//! on: note.added\n//! position: 30\n//! stage: reply\nx();",
            ),
        ];
        for (source, wanted) in cases {
            assert_eq!(positioned(source, 30), wanted);
            assert_eq!(positioned(wanted, 30), wanted, "once more changes nothing");
            let header = Header::parse(wanted).unwrap();
            assert_eq!(Header { position: 30, ..Header::parse(source).unwrap() }, header);
        }
    }
}
