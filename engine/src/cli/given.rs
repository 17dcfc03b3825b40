//! A longer text on the command line: as it stands there, or out of a file.

use std::io::Read as _;
use std::path::{Path, PathBuf};

use clap::Args;

use super::error::CliError;

/// A text or a file that holds it
#[derive(Debug, Clone, Args)]
#[group(multiple = false)]
pub(super) struct Given {
    /// What it says
    #[arg(long)]
    text: Option<String>,
    /// A file that says it; - for standard input
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,
}

impl Given {
    /// The text, if one was given.
    ///
    /// # Errors
    /// The file cannot be read.
    pub(super) fn read(self) -> Result<Option<String>, CliError> {
        match (self.text, self.file) {
            (Some(text), _) => Ok(Some(text)),
            (None, Some(file)) => text_of(&file).map(Some),
            (None, None) => Ok(None),
        }
    }
}

/// What a file says; - for standard input.
///
/// # Errors
/// It cannot be read, or is no text.
pub(super) fn text_of(file: &Path) -> Result<String, CliError> {
    let read = if file == Path::new("-") {
        let mut text = String::new();
        std::io::stdin().read_to_string(&mut text).map(|_| text)
    } else {
        std::fs::read_to_string(file)
    };
    read.map_err(|error| CliError::Failed(format!("{}: {error}", file.display())))
}
