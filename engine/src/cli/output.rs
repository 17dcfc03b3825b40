//! What commands print: for people, or JSON with `--json`. Results go to
//! standard output, everything else to standard error.

use std::io::{self, Write as _};

use serde_json::Value;

/// Where a command prints its result.
#[derive(Debug, Clone, Copy)]
pub(super) struct Out {
    /// JSON instead of text?
    pub(super) json: bool,
}

impl Out {
    /// One line for people or programs, as it is.
    ///
    /// # Errors
    /// Standard output is closed or full.
    pub(super) fn line(self, text: &str) -> io::Result<()> {
        let mut out = io::stdout().lock();
        writeln!(out, "{text}")?;
        out.flush()
    }

    /// The result: JSON when wanted, else the text.
    ///
    /// # Errors
    /// Standard output is closed or full.
    pub(super) fn result(self, value: &Value, text: impl FnOnce() -> String) -> io::Result<()> {
        if self.json { self.line(&format!("{value:#}")) } else { self.line(&text()) }
    }

    /// A remark that is no result.
    pub(super) fn remark(self, text: &str) {
        // Nobody can be told that standard error is gone.
        let _ = writeln!(io::stderr().lock(), "{text}");
    }
}

/// Columns under their heads, two spaces apart; the last one is not padded.
pub(super) fn table(heads: &[&str], rows: &[Vec<String>]) -> String {
    let mut widths: Vec<_> = heads.iter().map(|head| head.chars().count()).collect();
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let line = |cells: &mut dyn Iterator<Item = &str>| {
        let padded = cells.zip(&widths).map(|(cell, width)| format!("{cell:width$}"));
        padded.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    let mut lines = vec![line(&mut heads.iter().copied())];
    lines.extend(rows.iter().map(|row| line(&mut row.iter().map(String::as_str))));
    lines.join("\n")
}

/// Text from outside, safe on a terminal: no control characters, one line.
pub(super) fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

/// A text of several lines, each safe on a terminal.
pub(super) fn lines(value: &Value) -> String {
    let lines: Vec<_> = value.as_str().unwrap_or_default().lines().map(printable).collect();
    lines.join("\n")
}

/// A field as text; empty when it is absent.
pub(super) fn text(value: &Value, pointer: &str) -> String {
    match value.pointer(pointer) {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(text)) => printable(text),
        Some(other) => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let rows = vec![vec!["chn_1".into(), "Ventas España".into()], vec!["x".into(), String::new()]];
        assert_eq!(table(&["ID", "NAME"], &rows), "ID     NAME\nchn_1  Ventas España\nx");
    }

    #[test]
    fn texts_from_outside_cannot_steer_the_terminal() {
        assert_eq!(printable("a\u{1b}[2Jb\nc\u{9b}d"), "a [2Jb c d");
        let value = serde_json::json!({"a": {"b": "x\ty"}, "n": 3, "z": null});
        assert_eq!(
            (text(&value, "/a/b"), text(&value, "/n"), text(&value, "/z")),
            ("x y".into(), "3".into(), String::new())
        );
    }
}
