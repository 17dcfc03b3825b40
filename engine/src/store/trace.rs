//! What rules made of an event, as the log keeps it. Most rules do nothing most
//! of the time; of those only the version is kept, and how long it took. Which
//! rule it is of and what that was called then is found by the version, which is
//! never removed.

use std::collections::{BTreeSet, HashMap};

use pointsman_rules::decide::{RuleRun, RunOutcome, SkipReason};
use pointsman_rules::ids::{RuleId, RuleVersionId, TenantId};
use serde::{Deserialize, Serialize};

use super::text::places;
use super::{Arg, Columns, StoreError, Tx};
use crate::args;

/// Versions that are asked for at once, at most.
const VERSIONS_MAX: usize = 64;
/// Characters of a script that its name is found in.
const HEAD_CHARS: u32 = 1_000;

/// One rule's part; what was kept before runs were packed is whole.
#[derive(Debug, Serialize, Deserialize)]
#[serde(untagged)]
enum Part {
    /// It ran and asked for nothing: operations, microseconds.
    NotMatched(RuleVersionId, u64, u64),
    /// It did not run.
    Skipped(RuleVersionId, SkipReason),
    /// It asked for something, or failed.
    Whole(Box<RuleRun>),
}

impl Part {
    fn of(run: &RuleRun) -> Self {
        let RuleRun { version, ops, micros, .. } = *run;
        if !(run.intents.is_empty() && run.refusals.is_empty() && run.overridden.is_empty()) {
            return Self::Whole(Box::new(run.clone()));
        }
        match run.outcome {
            RunOutcome::NotMatched => Self::NotMatched(version, ops, micros),
            RunOutcome::Skipped { reason } if ops == 0 && micros == 0 => Self::Skipped(version, reason),
            _ => Self::Whole(Box::new(run.clone())),
        }
    }

    fn version(&self) -> Option<RuleVersionId> {
        match self {
            Self::NotMatched(version, ..) | Self::Skipped(version, _) => Some(*version),
            Self::Whole(_) => None,
        }
    }

    /// `None`: its version is gone, with everything of its tenant.
    fn run(self, rules: &HashMap<RuleVersionId, (RuleId, String)>) -> Option<RuleRun> {
        let (version, outcome, ops, micros) = match self {
            Self::Whole(run) => return Some(*run),
            Self::NotMatched(version, ops, micros) => (version, RunOutcome::NotMatched, ops, micros),
            Self::Skipped(version, reason) => (version, RunOutcome::Skipped { reason }, 0, 0),
        };
        let (rule, name) = rules.get(&version)?.clone();
        let (intents, refusals, overridden) = Default::default();
        Some(RuleRun { rule, version, name, outcome, intents, refusals, overridden, ops, micros })
    }
}

/// What is kept of these.
pub fn pack(runs: &[RuleRun]) -> String {
    serde_json::to_string(&runs.iter().map(Part::of).collect::<Vec<_>>()).unwrap_or_else(|_| "[]".to_owned())
}

/// Runs that were read, still packed.
pub(super) struct Packed(Vec<Part>);

impl Packed {
    /// From the column `trace`.
    ///
    /// # Errors
    /// It cannot be read.
    pub(super) fn of(columns: &mut Columns<'_>) -> Result<Self, StoreError> {
        columns.json("trace").map(Self)
    }
}

/// The runs, in the order in which they were packed.
///
/// # Errors
/// The database's own, or a row that cannot be read.
pub(super) async fn unpack(
    tx: &mut Tx,
    tenant: TenantId,
    packed: Vec<Packed>,
) -> Result<Vec<Vec<RuleRun>>, StoreError> {
    let versions: BTreeSet<_> = packed.iter().flat_map(|it| &it.0).filter_map(Part::version).collect();
    let versions: Vec<_> = versions.into_iter().collect();
    let mut rules = HashMap::new();
    for versions in versions.chunks(VERSIONS_MAX) {
        let sql = format!(
            "select id, rule_id, substr(source, 1, {HEAD_CHARS}) as head from rule_versions \
             where tenant_id = $1 and id in ({})",
            places(2, versions.len())
        );
        let mut args = args![tenant];
        args.extend(versions.iter().map(|id| Arg::from(*id)));
        for row in tx.all("read what rules were called", &sql, args).await? {
            let c = &mut row.columns("rule_versions");
            let (version, rule) = (c.id("id")?, c.id("rule_id")?);
            rules.insert(version, (rule, name(&c.text("head")?)));
        }
    }
    let runs = |it: Packed| it.0.into_iter().filter_map(|part| part.run(&rules)).collect();
    Ok(packed.into_iter().map(runs).collect())
}

/// The first line of a published script that says something is its name.
fn name(head: &str) -> String {
    let lines = head.lines().filter_map(|line| line.trim().strip_prefix("//!"));
    lines.map(str::trim).find(|line| !line.is_empty()).unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use pointsman_rules::intent::Intent;
    use pointsman_rules::problem::Problem;

    use super::super::testing::each_db;
    use super::super::views_fixture as rows;
    use super::*;

    fn run(n: u128, name: &str, outcome: RunOutcome) -> RuleRun {
        RuleRun {
            rule: rows::rule(n),
            version: RuleVersionId::new(rows::NOW_MS, n),
            name: name.to_owned(),
            outcome,
            intents: Vec::new(),
            refusals: Vec::new(),
            overridden: Vec::new(),
            ops: 0,
            micros: 0,
        }
    }

    #[test]
    fn runs_come_back_as_they_were_and_those_that_did_nothing_are_short() {
        each_db(|db| async move {
            let columns = "tenant_id, id, rule_id, number, source, author, created_ms";
            for (n, source) in
                [(1, "//! Refunds\n//! on: message.received\n"), (2, "\n//!\n//! Late — «noche»\n")]
            {
                let version = RuleVersionId::new(rows::NOW_MS, n);
                let values = args![rows::tenant(1), version, rows::rule(n), 1_i64, source, "system", 0_i64];
                rows::insert(&db, "rule_versions", columns, values).await;
            }
            let quiet = RuleRun { ops: 12, micros: 3, ..run(1, "Refunds", RunOutcome::NotMatched) };
            let skipped = run(2, "Late — «noche»", RunOutcome::Skipped { reason: SkipReason::CausedByRule });
            let short = [quiet, skipped];
            let (first, second) = (short[0].version, short[1].version);
            assert_eq!(pack(&short), format!(r#"[["{first}",12,3],["{second}","caused_by_rule"]]"#));
            // Their versions are not there: they are whole.
            let asked =
                RuleRun { intents: vec![(4, Intent::StopRules)], ..run(8, "Stops", RunOutcome::Matched) };
            let problem = Problem::new(3, 1, "too_many_operations", "it ran for too long");
            let all: Vec<_> =
                short.into_iter().chain([asked, run(9, "Fails", RunOutcome::Failed { problem })]).collect();

            let read = |text: String| Packed(serde_json::from_str(&text).unwrap());
            let before_packing = serde_json::to_string(&all).unwrap();
            let tx = &mut db.read().await.unwrap();
            let found =
                unpack(tx, rows::tenant(1), vec![read(pack(&all)), read(before_packing)]).await.unwrap();
            assert_eq!(found, [all.clone(), all.clone()]);
            let elsewhere = unpack(tx, rows::tenant(2), vec![read(pack(&all))]).await.unwrap();
            assert_eq!(elsewhere, [all[2..].to_vec()]);
        });
    }
}
