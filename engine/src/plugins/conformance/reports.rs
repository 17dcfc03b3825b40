//! Whether the manifest says the truth about what the vendor reports of messages: rules wait for a `read` that a plugin
//! promises.

use std::collections::BTreeMap;

use pointsman_cases::{Case, Run};
use serde_json::Value;

use super::super::Plugin;
use super::super::cases::{self, webhook};
use super::{Conformance, Finding};

/// In order, as the manifest names them.
const STEPS: [&str; 4] = ["none", "sent", "delivered", "read"];

/// The furthest step that the cases of one kind show, and which case does.
#[derive(Default)]
struct Furthest {
    step: usize,
    case: String,
}

pub(super) async fn check(plugin: &Plugin, all: &[Case], found: &mut Conformance) {
    let mut heard: BTreeMap<&str, Furthest> = BTreeMap::new();
    for case in all {
        let Run::Webhook(request) = &case.run else { continue };
        let context = cases::context(case, &case.context.secrets);
        let step = furthest(&webhook::outcome(plugin, &context, request).await);
        let furthest = heard.entry(&case.context.kind).or_default();
        if step > furthest.step {
            *furthest = Furthest { step, case: case.name.clone() };
        }
    }
    for kind in &plugin.manifest.kinds {
        let promised = STEPS.iter().position(|step| *step == kind.capabilities.delivery_reports).unwrap_or(0);
        let shown = heard.remove(kind.kind.as_str()).unwrap_or_default();
        judge(&kind.kind, promised, shown, found);
    }
}

/// What is promised and not shown may only lack a case; the answer to a send says `sent`.
fn judge(kind: &str, promised: usize, shown: Furthest, found: &mut Conformance) {
    found.trials += 1;
    let (says, hears) = (STEPS[promised], STEPS[shown.step]);
    if shown.step > promised {
        let problem = format!("`delivery-reports` of {kind} says `{says}`, and `{hears}` is reported");
        found.findings.push(Finding { case: shown.case, tried: "delivery reports".to_owned(), problem });
    } else if shown.step < promised && promised > 1 {
        found.remarks.push(format!("no case shows that {kind} reports `{says}`; add one, or promise less"));
    }
}

/// The furthest step of the messages that a webhook tells of.
fn furthest(outcome: &Value) -> usize {
    let bodies = outcome["events"].as_array().into_iter().flatten().map(|event| &event["body"]);
    let states = bodies.filter_map(|body| body["value"]["delivery"]["state"].as_str());
    states.filter_map(|state| STEPS.iter().position(|step| *step == state)).max().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn more_than_promised_is_wrong_and_less_is_worth_a_look() {
        for (promised, step, findings, remarks) in [(3, 3, 0, 0), (2, 3, 1, 0), (3, 2, 0, 1), (1, 0, 0, 0)] {
            let mut found = Conformance::default();
            judge("sms", promised, Furthest { step, case: "a".to_owned() }, &mut found);
            assert_eq!((found.findings.len(), found.remarks.len()), (findings, remarks), "{promised} {step}");
        }
    }

    #[test]
    fn the_furthest_status_of_a_batch_counts() {
        let status =
            |state: &str| json!({"body": {"type": "status", "value": {"delivery": {"state": state}}}});
        let outcome =
            json!({"events": [status("sent"), status("read"), status("failed"), status("delivered")]});
        assert_eq!(STEPS[furthest(&outcome)], "read");
        assert_eq!(furthest(&json!({"verdict": "refused"})), 0);
    }
}
