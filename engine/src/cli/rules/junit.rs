//! JUnit XML, as build servers show it: suites of cases, each passed or failed.

use std::fmt::Write as _;
use std::path::Path;

use super::super::error::CliError;

/// Cases that belong together: those of one file.
pub(super) struct Suite {
    pub(super) name: String,
    pub(super) cases: Vec<Case>,
}

/// One case.
pub(super) struct Case {
    pub(super) name: String,
    /// What was wrong; `None`: it passed.
    pub(super) failure: Option<String>,
}

/// Writes the report.
///
/// # Errors
/// The file cannot be written.
pub(super) fn write(path: &Path, suites: &[Suite]) -> Result<(), CliError> {
    let failed = |error| CliError::Failed(format!("{}: {error}", path.display()));
    std::fs::write(path, xml(suites)).map_err(failed)
}

fn xml(suites: &[Suite]) -> String {
    let mut out =
        String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites name=\"pointsman rules\">\n");
    // Writing to a String cannot fail.
    for suite in suites {
        let failures = suite.cases.iter().filter(|case| case.failure.is_some()).count();
        let (name, tests) = (escaped(&suite.name), suite.cases.len());
        let _ = writeln!(out, "  <testsuite name=\"{name}\" tests=\"{tests}\" failures=\"{failures}\">");
        for case in &suite.cases {
            let place = format!("name=\"{}\" classname=\"{name}\"", escaped(&case.name));
            let _ = match &case.failure {
                None => writeln!(out, "    <testcase {place}/>"),
                Some(text) => {
                    let text = escaped(text);
                    writeln!(
                        out,
                        "    <testcase {place}><failure message=\"failed\">{text}</failure></testcase>"
                    )
                }
            };
        }
        out.push_str("  </testsuite>\n");
    }
    out.push_str("</testsuites>\n");
    out
}

/// As text and in attributes; characters that XML does not have become spaces.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\n' | '\t' => out.push(c),
            c if c.is_control() || matches!(c, '\u{fffe}' | '\u{ffff}') => out.push(' '),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_is_well_formed_whatever_a_case_is_called() {
        let cases = vec![
            Case { name: "a < b & \"c\"".into(), failure: None },
            Case { name: "x".into(), failure: Some("- <old>\n+ new\u{1b}".into()) },
        ];
        let xml = xml(&[Suite { name: "rule.rhai".into(), cases }]);
        assert!(xml.contains("<testsuite name=\"rule.rhai\" tests=\"2\" failures=\"1\">"), "{xml}");
        assert!(xml.contains("name=\"a &lt; b &amp; &quot;c&quot;\""), "{xml}");
        assert!(xml.contains(">- &lt;old&gt;\n+ new </failure>"), "{xml}");
    }
}
