//! `pointsman plugin check`: whether a server would install a plugin, its cases,
//! and what every plugin must keep.

use std::path::PathBuf;

use clap::Args;
use serde_json::json;

use super::super::error::CliError;
use super::super::output::Out;
use super::inspect::{described, summary};
use super::{build, loaded, test};
use crate::plugins::Plugin;
use crate::plugins::conformance::{self, Conformance};

/// Test a plugin and try what every plugin must keep
#[derive(Debug, Clone, Args)]
pub(in super::super) struct Check {
    /// Folder of the plugin, which is built first, or a .wasm file
    #[arg(default_value = ".")]
    plugin: PathBuf,
    /// Folder of the cases [default: cases beside the plugin]
    #[arg(long)]
    cases: Option<PathBuf>,
    /// Only look whether a server would install it
    #[arg(long, conflicts_with = "cases")]
    load_only: bool,
}

impl Check {
    pub(super) async fn run(self, out: Out) -> Result<(), CliError> {
        let wasm = build::wasm(&self.plugin).await?;
        let (plugin, _scratch) = loaded(&wasm).await?;
        let mut result = described(&plugin, wasm.len());
        let mut told = summary(&plugin, wasm.len());
        let mut is_good = true;
        if !self.load_only {
            let checked = checked(&plugin, self.plugin, self.cases).await?;
            is_good = checked.is_good();
            result["ok"] = json!(is_good);
            result["cases"] = test::result(&checked.reports);
            result["conformance"] = json!(checked.conformance);
            told = format!("{told}\n{}", checked.told());
        }
        out.result(&result, || told)?;
        if is_good { Ok(()) } else { Err(CliError::Said) }
    }
}

/// How a plugin did.
pub(super) struct Checked {
    reports: Vec<crate::plugins::cases::CaseReport>,
    conformance: Conformance,
}

/// Runs the cases of a plugin and what is made of them.
pub(super) async fn checked(
    plugin: &Plugin,
    from: PathBuf,
    cases: Option<PathBuf>,
) -> Result<Checked, CliError> {
    let folder = build::cases_of(&from, cases);
    let ran = conformance::run(plugin, &folder).await;
    let (reports, conformance) = ran.map_err(|error| CliError::Failed(error.to_string()))?;
    Ok(Checked { reports: test::some(reports, &folder)?, conformance })
}

impl Checked {
    /// Did everything pass?
    pub(super) fn is_good(&self) -> bool {
        test::failed(&self.reports) == 0 && self.conformance.findings.is_empty()
    }

    /// For people.
    pub(super) fn told(&self) -> String {
        let found = &self.conformance;
        let mut lines = vec![test::told(&self.reports)];
        lines.extend(
            found.findings.iter().map(|it| format!("FAILED {}: {}: {}", it.case, it.tried, it.problem)),
        );
        lines.extend(found.remarks.iter().map(|it| format!("note   {it}")));
        lines.push(format!("{} of {} trials failed", found.findings.len(), found.trials));
        lines.join("\n")
    }
}
