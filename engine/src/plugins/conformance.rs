//! What every plugin must keep beyond its own cases, tried on the webhooks and messages that the cases recorded:
//! forgeries and odd webhooks, the vendor's HTTP failures, every kind of content, the longest text, and half of the
//! limits at most. Runs in the sandbox, without a network. Knows no vendor.

mod answers;
mod contents;
mod length;
mod reports;
mod sessions;
mod vendor;
mod webhooks;

use std::collections::BTreeSet;
use std::path::Path;

use pointsman_cases::{Case, CaseError, Run};
use serde::Serialize;
use url::Url;

use super::cases::{self, CaseReport};
use super::wire::{Failure, OutboundMessage};
use super::{ChannelContext, Plugin, install};

/// Share of a limit that one call may use, per thousand: a bad day doubles everything.
const USE_PERMILLE_MAX: u64 = 500;
/// A busy machine makes a call look slow; the best of so many tries counts.
const TRIES: usize = 4;

/// What a plugin does not keep.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// The case whose recording was changed; empty when it is about the plugin as a whole.
    pub case: String,
    /// What was tried.
    pub tried: String,
    /// What came of it, and what must.
    pub problem: String,
}

/// How a plugin did.
#[derive(Debug, Default, Serialize)]
pub struct Conformance {
    /// Trials made.
    pub trials: usize,
    /// What it does not keep; empty when all is well.
    pub findings: Vec<Finding>,
    /// Worth a look, and no mistake by itself.
    pub remarks: Vec<String>,
}

impl Conformance {
    /// Notes one trial and what is wrong with it.
    fn tried(&mut self, case: &Case, what: &str, problem: Option<String>) {
        self.trials += 1;
        let finding = |problem| Finding { case: case.name.clone(), tried: what.to_owned(), problem };
        self.findings.extend(problem.map(finding));
    }
}

/// A case's message with its channel.
struct Sending<'a> {
    plugin: &'a Plugin,
    case: &'a Case,
    context: ChannelContext,
    message: OutboundMessage,
}

impl Sending<'_> {
    /// What a failure tells that it must not.
    fn leak(&self, failure: &Failure) -> Option<String> {
        vendor::leak(self.case, &self.message.to.address, failure)
    }
}

/// Runs all checks on the cases of a folder, and the cases themselves. Takes the plugin's log with it, so give it a
/// plugin that serves nobody else.
///
/// # Errors
/// A file of a case is missing or not of the format.
pub async fn run(plugin: &Plugin, folder: &Path) -> Result<(Vec<CaseReport>, Conformance), CaseError> {
    let mut found = Conformance::default();
    describe(plugin, &mut found).await;
    let (mut reports, all) = (Vec::new(), Case::all(folder)?);
    for case in &all {
        reports.push(limits(plugin, case, &mut found).await?);
        match &case.run {
            Run::Webhook(request) => webhooks::check(plugin, case, request, &mut found).await,
            Run::Send(message) => {
                let Ok(message) = serde_json::from_value(message.clone()) else { continue };
                let context = cases::context(case, &case.context.secrets);
                answers::check(&Sending { plugin, case, context, message }, &mut found).await;
            }
            _ => {}
        }
    }
    for sending in one_of_each_kind(plugin, &all) {
        contents::check(&sending, &mut found).await;
        length::check(&sending, &mut found).await;
    }
    sessions::check(plugin, &all, &mut found).await;
    reports::check(plugin, &all, &mut found).await;
    unused_origins(plugin, &all, &mut found);
    Ok((reports, found))
}

/// Does it say the same about itself every time?
async fn describe(plugin: &Plugin, found: &mut Conformance) {
    found.trials += 1;
    let problem = match install::describe_again(&plugin.runner).await {
        Ok(again) if again == plugin.manifest => return,
        Ok(_) => "it says something else the second time; `describe` may depend on nothing".to_owned(),
        Err(error) => error.to_string(),
    };
    found.findings.push(Finding { case: String::new(), tried: "describe twice".into(), problem });
}

/// Runs a case as it is, and looks at what it used.
async fn limits(plugin: &Plugin, case: &Case, found: &mut Conformance) -> Result<CaseReport, CaseError> {
    let mut least = u64::MAX;
    let mut differences = Vec::new();
    for _ in 0..TRIES {
        plugin.runner.peak.take();
        differences = cases::check(plugin, case).await?;
        least = least.min(plugin.runner.peak.take());
        if least <= USE_PERMILLE_MAX {
            break;
        }
    }
    let problem = (least > USE_PERMILLE_MAX).then(|| {
        format!(
            "one call uses {} % of its CPU or memory; {} % is the most",
            least / 10,
            USE_PERMILLE_MAX / 10
        )
    });
    found.tried(case, "CPU and memory", problem);
    Ok(CaseReport { name: case.name.clone(), differences })
}

/// The first text that the cases send on every kind of channel.
fn one_of_each_kind<'a>(plugin: &'a Plugin, all: &'a [Case]) -> Vec<Sending<'a>> {
    let mut seen = BTreeSet::new();
    let mut first = Vec::new();
    for case in all {
        let Run::Send(message) = &case.run else { continue };
        if message["content"]["kind"] != "text" || seen.contains(&case.context.kind) {
            continue;
        }
        let Ok(message) = serde_json::from_value(message.clone()) else { continue };
        seen.insert(case.context.kind.clone());
        let context = cases::context(case, &case.context.secrets);
        first.push(Sending { plugin, case, context, message });
    }
    first
}

/// Whoever asks for more than it uses should not.
fn unused_origins(plugin: &Plugin, all: &[Case], found: &mut Conformance) {
    let called: BTreeSet<String> = all
        .iter()
        .flat_map(Case::urls)
        .filter_map(|url| Url::parse(url).ok())
        .map(|url| url.origin().ascii_serialization())
        .collect();
    for origin in plugin.manifest.origins.iter().filter(|origin| !called.contains(*origin)) {
        found
            .remarks
            .push(format!("no case calls {origin}; add one, or take it out of the manifest's origins"));
    }
}
