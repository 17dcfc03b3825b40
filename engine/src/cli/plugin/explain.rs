//! `pointsman plugin explain`: what a code means and what to do.

use clap::Args;
use serde_json::json;

use super::super::error::CliError;
use super::super::output::{Out, table};
use crate::plugins::explain::{ALL, explain};

/// Say what a code like P101 means and what to do
#[derive(Debug, Clone, Args)]
pub(in super::super) struct Explain {
    /// The code; all of them when it is left out
    code: Option<String>,
}

impl Explain {
    pub(super) fn run(&self, out: Out) -> Result<(), CliError> {
        let Some(code) = &self.code else {
            let items: Vec<_> = ALL.iter().map(|it| json!({"code": it.code, "what": it.what})).collect();
            let rows: Vec<_> = ALL.iter().map(|it| vec![it.code.to_owned(), it.what.to_owned()]).collect();
            return Ok(out.result(&json!({"items": items}), || table(&["CODE", "WHAT"], &rows))?);
        };
        let Some(it) = explain(code) else {
            let said = format!("there is no code `{code}`; `pointsman plugin explain` lists them");
            return Err(CliError::Usage(said));
        };
        let result = json!({"code": it.code, "what": it.what, "cause": it.cause, "fix": it.fix});
        Ok(out
            .result(&result, || format!("{}: {}\n\nWhy: {}\n\nDo: {}", it.code, it.what, it.cause, it.fix))?)
    }
}
