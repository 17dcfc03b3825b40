//! What is wrong with a rule, said to its author: where, what, and what to do.
//! The same shape serves the check pass, a failed run and the cases file.

use std::borrow::Cow;
use std::fmt;

use serde::{Deserialize, Serialize};

/// Does a problem keep the rule from running?
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// It does.
    #[default]
    Error,
    /// It does not, but it is hardly meant.
    Warning,
}

impl Severity {
    /// `error` or `warning`.
    pub fn word(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warning => "warning",
        }
    }
}

/// One mistake in a rule file or a cases file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// From 1; 0 when no place can be named.
    pub line: u32,
    /// In characters, from 1; 0 when only the line is known.
    pub column: u32,
    /// Stable word for programs, e.g. `unknown_function`.
    pub code: Cow<'static, str>,
    /// One sentence for the author.
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
    /// Does it keep the rule from running?
    #[serde(default)]
    pub severity: Severity,
}

impl Problem {
    /// A problem without a hint.
    pub fn new(line: u32, column: u32, code: &'static str, message: impl Into<String>) -> Self {
        let (code, message) = (Cow::Borrowed(code), message.into());
        Self { line, column, code, message, hint: None, severity: Severity::Error }
    }

    /// The same problem as one that does not keep the rule from running.
    #[must_use]
    pub fn as_warning(self) -> Self {
        Self { severity: Severity::Warning, ..self }
    }

    /// Does it keep the rule from running?
    pub fn is_error(&self) -> bool {
        self.severity == Severity::Error
    }

    /// The same problem with advice.
    #[must_use]
    pub fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// The same problem, asking whether the nearest known name was meant.
    #[must_use]
    pub fn with_nearest<'a>(self, name: &str, known: impl IntoIterator<Item = &'a str>) -> Self {
        match nearest(name, known) {
            Some(near) => self.with_hint(format!("did you mean `{near}`?")),
            None => self,
        }
    }

    /// The problem with the line it is about and a caret under the place.
    pub fn render(&self, source: &str) -> String {
        let mut out = format!("{}[{}]: {}", self.severity.word(), self.code, self.message);
        let line = usize::try_from(self.line).ok().and_then(|n| n.checked_sub(1));
        if let Some(text) = line.and_then(|n| source.lines().nth(n)) {
            let number = self.line.to_string();
            let margin = " ".repeat(number.len());
            out.push_str(&format!("\n{margin}--> line {}, column {}", self.line, self.column));
            out.push_str(&format!("\n{margin} |\n{number} | {text}"));
            if let Some(before) = usize::try_from(self.column).ok().and_then(|n| n.checked_sub(1)) {
                // Tabs stay tabs, so that the caret stands under its place in any editor.
                let pad: String =
                    text.chars().take(before).map(|c| if c == '\t' { '\t' } else { ' ' }).collect();
                out.push_str(&format!("\n{margin} | {pad}^"));
            }
        }
        if let Some(hint) = &self.hint {
            out.push_str(&format!("\n  = {hint}"));
        }
        out
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.line > 0 {
            write!(f, "line {}, column {}: ", self.line, self.column)?;
        }
        f.write_str(&self.message)?;
        match &self.hint {
            Some(hint) => write!(f, " ({hint})"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for Problem {}

/// The known name that is most like the given one, if any is like it at all.
pub(crate) fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let wanted = name.to_lowercase();
    let allowed = (wanted.chars().count() / 3).max(2);
    known
        .into_iter()
        .map(|candidate| (strsim::damerau_levenshtein(&wanted, &candidate.to_lowercase()), candidate))
        .filter(|(distance, candidate)| *distance <= allowed && *distance < candidate.chars().count())
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_caret_stands_under_the_place() {
        let problem = Problem::new(2, 3, "unknown_function", "`foo` is not known").with_hint("use bar");
        assert_eq!(
            problem.render("first\n\tefoo();\n"),
            "error[unknown_function]: `foo` is not known\n --> line 2, column 3\n  |\n2 | \tefoo();\n  | \t ^\n  = use bar"
        );
    }

    #[test]
    fn a_problem_past_the_end_still_renders() {
        let problem = Problem::new(9, 1, "x", "gone");
        assert_eq!(problem.render("one line"), "error[x]: gone");
    }

    #[test]
    fn only_similar_names_are_offered() {
        assert_eq!(nearest("Biling", ["Support", "Billing"]), Some("Billing"));
        assert_eq!(nearest("ab", ["xy", "zz"]), None);
        assert_eq!(nearest("spaceship", ["Support", "Billing"]), None);
    }
}
