//! How often each rule was started in the conversation, which its quota counts,
//! and who is told when a rule is parked by it.

use pointsman_rules::decide::{RuleRun, RunOutcome, STARTS_MAX, STARTS_MS, SkipReason};

use super::{Case, Notice, NoticeTo};

impl Case<'_> {
    /// Counts the rules that asked for something, and tells admins once about each that the quota holds back now.
    pub(in crate::flow) fn note_starts(&mut self, runs: &[RuleRun]) {
        let now_ms = self.now_ms;
        let Some(conversation) = self.conversation.as_mut() else { return };
        for run in runs {
            let is_parked = run.outcome == RunOutcome::Skipped { reason: SkipReason::Quota };
            if !is_parked && run.outcome != RunOutcome::Matched {
                continue;
            }
            self.touched = true;
            let starts = conversation.facts.rule_starts.entry(run.rule).or_default();
            if !is_parked {
                starts.at_ms.push(now_ms);
                continue;
            }
            if starts.told_ms.is_some_and(|told_ms| told_ms > now_ms - STARTS_MS) {
                continue;
            }
            starts.told_ms = Some(now_ms);
            let (name, minutes) = (&run.name, STARTS_MS / 60_000);
            self.out.notices.push(Notice {
                to: NoticeTo::Admins,
                kind: "rule",
                conversation: conversation.facts.id,
                event: None,
                text: format!(
                    "The rule `{name}` was started {STARTS_MAX} times in {minutes} minutes here and is parked for \
                     this contact until that has calmed down. Look whether it answers a machine, or itself."
                ),
            });
        }
        conversation.facts.rule_starts.retain(|_, starts| {
            starts.at_ms.retain(|at_ms| *at_ms > now_ms - STARTS_MS);
            !starts.at_ms.is_empty()
        });
    }
}
