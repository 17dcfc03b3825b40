//! How commands fail: one sentence that says what to do, and an exit code that scripts can rely on.

use std::fmt::Write as _;
use std::io;

use crate::app::AppError;
use crate::config::ConfigError;
use crate::store::StoreError;

/// It failed: refused by the server, a rule with mistakes, a failed check.
pub(super) const EXIT_FAILURE: u8 = 1;
/// The command line itself is wrong.
pub(super) const EXIT_USAGE: u8 = 2;
/// A plan that was shown and not carried out: there is something to do.
pub(super) const EXIT_PENDING: u8 = 3;
/// The settings are wrong (EX_USAGE of sysexits.h).
pub(super) const EXIT_CONFIG: u8 = 64;
/// The server or the database does not answer (EX_UNAVAILABLE of sysexits.h).
pub(super) const EXIT_UNAVAILABLE: u8 = 69;

/// Why a command failed.
#[derive(Debug, thiserror::Error)]
pub(super) enum CliError {
    /// Wrong settings.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// A setting that only its use shows to be wrong.
    #[error("{0}")]
    Setting(String),
    /// A command line that only the command itself can judge.
    #[error("{0}")]
    Usage(String),
    /// The server or the database does not answer.
    #[error("{0}")]
    Unavailable(String),
    /// The server refused.
    #[error(transparent)]
    Refused(#[from] Box<Refusal>),
    /// Anything else.
    #[error("{0}")]
    Failed(String),
    /// The command has already said what there is to do.
    #[error("")]
    Pending,
    /// The command has already said what is wrong.
    #[error("")]
    Said,
    /// Standard output cannot be written.
    #[error("standard output cannot be written: {0}")]
    Output(#[from] io::Error),
}

/// What the server said when it refused: problem+json.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Refusal {
    /// HTTP status.
    pub(super) status: u16,
    /// Stable word, e.g. `window_closed`; empty when the answer was not ours.
    pub(super) code: String,
    /// One sentence.
    pub(super) detail: String,
    /// For the operator of the server.
    pub(super) request_id: Option<String>,
    /// One line per wrong field.
    pub(super) fields: Vec<String>,
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let detail = self.detail.trim_end_matches('.');
        write!(f, "{detail} (")?;
        if !self.code.is_empty() {
            write!(f, "{}, ", self.code)?;
        }
        write!(f, "HTTP {}", self.status)?;
        if let Some(id) = &self.request_id {
            write!(f, ", request {id}")?;
        }
        f.write_char(')')?;
        for line in &self.fields {
            write!(f, "\n  {}", line.replace('\n', "\n  "))?;
        }
        if self.status == 401 {
            f.write_str("\n  give a key with --key or POINTSMAN_KEY; `pointsman key create` makes one")?;
        }
        Ok(())
    }
}

impl std::error::Error for Refusal {}

impl CliError {
    /// What the process answers its caller.
    pub(super) fn exit_code(&self) -> u8 {
        match self {
            Self::Config(_) | Self::Setting(_) => EXIT_CONFIG,
            Self::Usage(_) => EXIT_USAGE,
            Self::Pending => EXIT_PENDING,
            Self::Unavailable(_) => EXIT_UNAVAILABLE,
            Self::Refused(refusal) if refusal.status >= 502 => EXIT_UNAVAILABLE,
            Self::Refused(_) | Self::Failed(_) | Self::Said => EXIT_FAILURE,
            // `pointsman tail | head` ends this way, and nothing is wrong.
            Self::Output(error) if error.kind() == io::ErrorKind::BrokenPipe => 0,
            Self::Output(_) => EXIT_FAILURE,
        }
    }

    /// For standard error; `None`: nothing is left to say.
    pub(super) fn said(&self, json: bool) -> Option<String> {
        if matches!(self, Self::Said | Self::Pending) || self.exit_code() == 0 {
            return None;
        }
        if !json {
            return Some(match self {
                Self::Config(mistakes) => mistakes.to_string(),
                other => format!("error: {other}"),
            });
        }
        let mut error = serde_json::json!({"error": self.to_string(), "exit": self.exit_code()});
        if let Self::Refused(refusal) = self {
            error["error"] = refusal.detail.clone().into();
            error["code"] = refusal.code.clone().into();
            error["status"] = refusal.status.into();
            error["request_id"] = refusal.request_id.clone().into();
            error["fields"] = refusal.fields.clone().into();
        }
        Some(error.to_string())
    }
}

impl From<Refusal> for CliError {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(Box::new(refusal))
    }
}

impl From<StoreError> for CliError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Database { .. }
            | StoreError::Sqlite { .. }
            | StoreError::InUse
            | StoreError::Busy
            | StoreError::Moved(_)
            | StoreError::Closed => Self::Unavailable(with_causes(&error)),
            StoreError::BadRow { .. }
            | StoreError::Url(_)
            | StoreError::Migrate(_)
            | StoreError::NotOnDisk => Self::Failed(with_causes(&error)),
        }
    }
}

impl From<AppError> for CliError {
    fn from(error: AppError) -> Self {
        match error {
            AppError::Store(error) => error.into(),
            AppError::MasterKey(_) => Self::Setting(with_causes(&error)),
            AppError::Listen { .. } => Self::Unavailable(with_causes(&error)),
            other => Self::Failed(with_causes(&other)),
        }
    }
}

/// An error and all its causes in one line. Some libraries repeat their cause in their own text; it is said once.
pub(super) fn with_causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let cause_text = error.to_string();
        if !text.ends_with(&cause_text) {
            let _ = write!(text, ": {cause_text}"); // writing to a String cannot fail
        }
        cause = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::master_key::MasterKeyError;

    fn refusal(status: u16) -> Refusal {
        Refusal {
            status,
            code: "window_closed".into(),
            detail: "The window is closed.".into(),
            request_id: Some("req_1".into()),
            fields: vec!["/text: too late".into()],
        }
    }

    #[test]
    fn a_refusal_is_a_sentence_with_code_and_request() {
        let error = CliError::from(refusal(422));
        assert_eq!(
            error.said(false).unwrap(),
            "error: The window is closed (window_closed, HTTP 422, request req_1)\n  /text: too late"
        );
        let json: serde_json::Value = serde_json::from_str(&error.said(true).unwrap()).unwrap();
        assert_eq!((&json["code"], &json["exit"]), (&"window_closed".into(), &1.into()));
    }

    #[test]
    fn a_repeated_cause_is_said_once() {
        let source = sqlx::Error::Io(io::Error::other("refused"));
        let error = StoreError::Database { what: "connect", source };
        let text = with_causes(&error);
        assert_eq!(text.matches("refused").count(), 1, "{text}");
    }

    #[test]
    fn exit_codes_are_what_is_documented() {
        assert_eq!(CliError::Config(ConfigError(vec![])).exit_code(), 64);
        let wrong_key = AppError::MasterKey(MasterKeyError::Foreign("master.key".into()));
        assert_eq!(CliError::from(wrong_key).exit_code(), 64);
        assert_eq!(CliError::Usage(String::new()).exit_code(), 2);
        assert_eq!(CliError::from(StoreError::InUse).exit_code(), 69);
        assert_eq!(CliError::from(refusal(503)).exit_code(), 69);
        assert_eq!(CliError::from(refusal(404)).exit_code(), 1);
        let closed = CliError::Output(io::ErrorKind::BrokenPipe.into());
        assert_eq!((closed.exit_code(), closed.said(false)), (0, None));
    }
}
