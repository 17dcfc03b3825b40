//! How often each rule was started in the conversation, which its quota counts,
//! and who is told when a rule is parked by it.

use pointsman_rules::decide::{RuleRun, RunOutcome, SkipReason};
use pointsman_rules::ids::RuleId;

use super::{Case, Notice, NoticeTo, Refused};

impl Case<'_> {
    /// Forgets how often a rule was started here: its quota begins again.
    pub(in crate::flow) fn resume_rule(&mut self, rule: RuleId) -> Result<(), Refused> {
        self.open_case()?.facts.rule_starts.remove(&rule);
        self.touched = true;
        Ok(())
    }

    /// Counts the rules that asked for something, and tells admins once about each that the quota holds back now.
    pub(in crate::flow) fn note_starts(&mut self, runs: &[RuleRun]) {
        let (now_ms, quota) = (self.now_ms, self.view.directory.quotas.starts);
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
            if starts.told_ms.is_some_and(|told_ms| told_ms > now_ms - quota.ms()) {
                continue;
            }
            starts.told_ms = Some(now_ms);
            self.out.holds.push((run.rule, conversation.facts.id));
            let (name, count, minutes) = (&run.name, quota.starts_max, quota.minutes);
            self.out.notices.push(Notice {
                to: NoticeTo::Admins,
                kind: "rule",
                conversation: conversation.facts.id,
                event: None,
                text: format!(
                    "The rule `{name}` was started {count} times in {minutes} minutes here and is parked for \
                     this contact until that has calmed down. Look whether it answers a machine, or itself."
                ),
            });
        }
        conversation.facts.rule_starts.retain(|_, starts| {
            starts.at_ms.retain(|at_ms| *at_ms > now_ms - quota.ms());
            !starts.at_ms.is_empty()
        });
    }
}
