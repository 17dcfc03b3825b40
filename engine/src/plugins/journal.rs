//! What a plugin writes to its log: bounded, and without the channel's secrets.
//! A plugin never holds a secret, but a vendor may echo one into an answer.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use super::bindings::provider::pointsman::plugin::log;
use super::wire::Failure;
use crate::crypto::Secret;

/// Lines kept of one call; further ones are counted.
pub const LOG_LINES_MAX: usize = 100;
/// Longest line, bytes; longer ones are cut.
pub const LOG_LINE_BYTES_MAX: usize = 2 << 10;
/// Lines kept for reading back, per plugin.
const RECENT_LINES_MAX: usize = 200;
/// Shorter secrets are not looked for: they would blank out ordinary words.
const REDACTED_BYTES_MIN: usize = 4;
const REDACTED: &str = "***";

/// How much a line matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum LogLevel {
    /// For the plugin's author.
    Debug,
    /// Worth knowing.
    Info,
    /// Worth a look.
    Warn,
    /// Broken.
    Error,
}

impl From<log::Level> for LogLevel {
    fn from(level: log::Level) -> Self {
        match level {
            log::Level::Debug => Self::Debug,
            log::Level::Info => Self::Info,
            log::Level::Warn => Self::Warn,
            log::Level::Error => Self::Error,
        }
    }
}

/// One line that a plugin wrote.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogLine {
    /// How much it matters.
    pub level: LogLevel,
    /// At most 2 KiB, without secrets.
    pub text: String,
}

/// The log of one call.
pub(super) struct Journal {
    redactor: Arc<Redactor>,
    lines: Vec<LogLine>,
    dropped: u32,
}

impl Journal {
    pub(super) fn new(redactor: Arc<Redactor>) -> Self {
        Self { redactor, lines: Vec::new(), dropped: 0 }
    }

    /// This journal, for somebody who brings it back; an empty one stays.
    pub(super) fn take(&mut self) -> Self {
        let empty = Self::new(self.redactor.clone());
        std::mem::replace(self, empty)
    }

    pub(super) fn write(&mut self, level: LogLevel, message: &str) {
        if self.lines.len() == LOG_LINES_MAX {
            self.dropped += 1;
            return;
        }
        self.lines.push(LogLine { level, text: self.redactor.clean_line(message) });
    }

    /// The last line of level error: a panic hook writes there.
    pub(super) fn last_error(&self) -> Option<&str> {
        self.lines.iter().rev().find(|l| l.level == LogLevel::Error).map(|l| l.text.as_str())
    }

    fn drain(&mut self) -> impl Iterator<Item = LogLine> {
        let note = (self.dropped > 0).then(|| LogLine {
            level: LogLevel::Warn,
            text: format!("{} more lines were dropped; a call may write {LOG_LINES_MAX}", self.dropped),
        });
        self.dropped = 0;
        std::mem::take(&mut self.lines).into_iter().chain(note)
    }
}

/// The beginning of a text, whole characters only.
fn head(text: &str, bytes_max: usize) -> &str {
    &text[..text.floor_char_boundary(bytes_max)]
}

/// The last lines of a plugin, all calls together.
#[derive(Default)]
pub(super) struct RecentLog(Mutex<VecDeque<LogLine>>);

impl RecentLog {
    /// Takes over what a call wrote; the operator's log learns that there is something to read.
    pub(super) fn absorb(&self, plugin: &str, channel: &str, journal: &mut Journal) {
        if journal.lines.is_empty() {
            return;
        }
        let mut recent = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for line in journal.drain() {
            // The text may hold what a contact wrote, so it stays out of the operator's log by default.
            if line.level >= LogLevel::Warn {
                tracing::info!(plugin, channel, level = ?line.level, "the plugin wrote to its log");
            }
            tracing::trace!(plugin, channel, level = ?line.level, text = line.text, "plugin log");
            if recent.len() == RECENT_LINES_MAX {
                recent.pop_front();
            }
            recent.push_back(line);
        }
    }

    /// The lines, which are gone afterwards.
    pub(super) fn take(&self) -> Vec<LogLine> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner)).into()
    }

    pub(super) fn lines(&self) -> Vec<LogLine> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect()
    }
}

/// Takes known secrets out of texts, in the spellings that vendors echo: plain, percent-encoded, base64, JSON.
#[derive(Default)]
pub(super) struct Redactor {
    secrets: Arc<BTreeMap<String, Secret>>,
    /// Made when the first text comes: most calls have none.
    spellings: OnceLock<Vec<String>>,
}

impl Redactor {
    pub(super) fn new(secrets: Arc<BTreeMap<String, Secret>>) -> Self {
        Self { secrets, spellings: OnceLock::new() }
    }

    /// A text without secrets, cut to the length of a log line. Of a long one only the beginning is read, and what may be
    /// a part of a secret at its end is left out: 8 MiB cost what a line costs.
    pub(super) fn clean_line(&self, text: &str) -> String {
        let spellings = self.spellings.get_or_init(|| spellings(&self.secrets));
        let longest = spellings.first().map_or(0, String::len);
        let read = head(text, LOG_LINE_BYTES_MAX + longest);
        let mut line = read.to_owned();
        for spelling in spellings {
            if line.contains(spelling.as_str()) {
                line = line.replace(spelling.as_str(), REDACTED);
            }
        }
        let kept = if read.len() < text.len() { line.len().saturating_sub(longest) } else { line.len() };
        line.truncate(head(&line, kept.min(LOG_LINE_BYTES_MAX)).len());
        line.shrink_to_fit();
        line
    }

    pub(super) fn clean_failure(&self, mut failure: Failure) -> Failure {
        failure.message = self.clean_line(&failure.message);
        failure.vendor_message = failure.vendor_message.map(|text| self.clean_line(&text));
        failure
    }
}

/// Longest first, so that a spelling that contains another goes as a whole.
fn spellings(secrets: &BTreeMap<String, Secret>) -> Vec<String> {
    let mut spellings = Vec::new();
    for secret in secrets.values().map(Secret::expose).filter(|s| s.len() >= REDACTED_BYTES_MIN) {
        let json = serde_json::Value::from(secret).to_string();
        spellings.extend([
            secret.to_owned(),
            utf8_percent_encode(secret, NON_ALPHANUMERIC).to_string(),
            url::form_urlencoded::byte_serialize(secret.as_bytes()).collect(),
            STANDARD.encode(secret).trim_end_matches('=').to_owned(),
            URL_SAFE.encode(secret).trim_end_matches('=').to_owned(),
            json.get(1..json.len() - 1).unwrap_or(secret).to_owned(),
        ]);
    }
    spellings.sort_by_key(|s| std::cmp::Reverse(s.len()));
    spellings.dedup();
    spellings
}

#[cfg(test)]
mod tests {
    use super::*;

    fn journal() -> Journal {
        let secrets = BTreeMap::from([("auth_token".to_owned(), Secret::new("s3cr/t \"x\""))]);
        Journal::new(Arc::new(Redactor::new(Arc::new(secrets))))
    }

    #[test]
    fn secrets_vanish_in_every_spelling() {
        let mut journal = journal();
        for text in [
            "plain s3cr/t \"x\" end",
            "percent s3cr%2Ft%20%22x%22 end",
            "form s3cr%2Ft+%22x%22 end",
            "base64 czNjci90ICJ4Ig== end",
            r#"json s3cr/t \"x\" end"#,
        ] {
            journal.write(LogLevel::Info, text);
        }
        for line in journal.drain() {
            assert!(line.text.contains("***") && line.text.ends_with("end"), "{line:?}");
            assert!(!line.text.contains("s3cr") && !line.text.contains("czNj"), "{line:?}");
        }
    }

    #[test]
    fn no_part_of_a_secret_is_left_where_a_line_is_cut() {
        let redactor = journal().redactor;
        let secret = "s3cr/t \"x\"";
        for before in LOG_LINE_BYTES_MAX - 20..LOG_LINE_BYTES_MAX + 60 {
            let (secrets, rest) = (secret.repeat(before / secret.len()), "x".repeat(before % secret.len()));
            for start in ["x".repeat(before), format!("{secrets}{rest}")] {
                let line = redactor.clean_line(&format!("{start}{secret}{}", "y".repeat(100_000)));
                assert!(line.len() <= LOG_LINE_BYTES_MAX && !line.contains("s3"), "{before}: {line}");
            }
        }
    }

    #[test]
    fn a_cut_line_holds_no_more_memory_than_it_shows() {
        let line = journal().redactor.clean_line(&"x".repeat(8 << 20));
        assert_eq!((line.len(), line.capacity()), (LOG_LINE_BYTES_MAX, LOG_LINE_BYTES_MAX));
    }

    #[test]
    fn lines_are_bounded_in_number_and_length() {
        let mut journal = journal();
        for _ in 0..150 {
            journal.write(LogLevel::Info, &"é".repeat(5_000));
        }
        let lines: Vec<_> = journal.drain().collect();
        assert_eq!(lines.len(), LOG_LINES_MAX + 1);
        assert!(lines.iter().all(|l| l.text.len() <= LOG_LINE_BYTES_MAX));
        assert!(lines[LOG_LINES_MAX].text.starts_with("50 more lines were dropped"));
    }
}
