//! `pointsman plugin test`: the case folders of a plugin, in the sandbox that
//! the server uses, without a network.

use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::{Value, json};

use super::super::error::CliError;
use super::super::output::Out;
use super::{build, loaded};
use crate::plugins::Plugin;
use crate::plugins::cases::{self, CaseReport};

/// Run the cases of a plugin in the sandbox
#[derive(Debug, Clone, Args)]
pub(in super::super) struct Test {
    /// Folder of the plugin, which is built first, or a .wasm file
    #[arg(default_value = ".")]
    plugin: PathBuf,
    /// Folder of the cases [default: cases beside the plugin]
    #[arg(long)]
    cases: Option<PathBuf>,
    /// Write what comes of every case to its expect.json; read the difference before you commit it
    #[arg(long)]
    update: bool,
}

impl Test {
    pub(super) async fn run(self, out: Out) -> Result<(), CliError> {
        let wasm = build::wasm(&self.plugin).await?;
        let (plugin, _scratch) = loaded(&wasm).await?;
        let folder = build::cases_of(&self.plugin, self.cases);
        if self.update {
            cases::record(&plugin, &folder).await.map_err(|error| CliError::Failed(error.to_string()))?;
        }
        let reports = run(&plugin, &folder).await?;
        out.result(&result(&reports), || told(&reports))?;
        if failed(&reports) == 0 { Ok(()) } else { Err(CliError::Said) }
    }
}

/// Runs the cases of a folder, of which there is one at least.
pub(super) async fn run(plugin: &Plugin, folder: &Path) -> Result<Vec<CaseReport>, CliError> {
    let reports = cases::run(plugin, folder).await.map_err(|error| CliError::Failed(error.to_string()))?;
    some(reports, folder)
}

/// A plugin without cases has shown nothing.
pub(super) fn some(reports: Vec<CaseReport>, folder: &Path) -> Result<Vec<CaseReport>, CliError> {
    if reports.is_empty() {
        let said = format!("{} has no cases; make a folder with case.toml in it", folder.display());
        return Err(CliError::Failed(said));
    }
    Ok(reports)
}

/// How many did not pass.
pub(super) fn failed(reports: &[CaseReport]) -> usize {
    reports.iter().filter(|report| !report.passed()).count()
}

/// For programs.
pub(super) fn result(reports: &[CaseReport]) -> Value {
    let case = |report: &CaseReport| {
        let differences: Vec<_> = report.differences.iter().map(ToString::to_string).collect();
        json!({"name": report.name, "passed": report.passed(), "differences": differences})
    };
    let failed = failed(reports);
    json!({"ok": failed == 0, "failed": failed, "cases": reports.iter().map(case).collect::<Vec<_>>()})
}

/// For people.
pub(super) fn told(reports: &[CaseReport]) -> String {
    let mut lines = Vec::new();
    for report in reports {
        lines.push(format!("{} {}", if report.passed() { "ok    " } else { "FAILED" }, report.name));
        let difference =
            |it: &cases::Difference| format!("       {}", it.to_string().replace('\n', "\n       "));
        lines.extend(report.differences.iter().map(difference));
    }
    let failed = failed(reports);
    lines.push(format!("{} passed, {failed} failed", reports.len() - failed));
    lines.join("\n")
}
