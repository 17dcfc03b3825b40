//! Webhooks as the host treats them: claim, proofs, and only then the parsing.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::case::{Case, Run};
use super::{proof, shape};
use crate::webhook::{Request, Verdict};
use crate::{Context, Provider};

/// Changed bodies that `parse` must survive, for each case.
const DAMAGED_BODIES: usize = 200;

pub(super) fn outcome<P: Provider>(
    context: &Context,
    secrets: &BTreeMap<String, String>,
    request: &Request,
) -> Result<Value, String> {
    let (word, claim) = match P::authenticate(context, request) {
        Verdict::Accept(claim) => ("accept", claim),
        Verdict::Answer(claim) => ("answer", claim),
        Verdict::Reject(_) => return Ok(json!({ "verdict": "refused" })),
    };
    if !proof::any_holds(&claim.proofs, secrets) {
        return Ok(json!({ "verdict": "refused" }));
    }
    let mut outcome = json!({ "verdict": word, "reply": shape::reply(&claim.reply) });
    if word == "accept" {
        let parsed = P::parse(context, request);
        if parsed != P::parse(context, request) {
            return Err("parsing the same webhook twice gave different events".into());
        }
        match parsed {
            Ok(events) => outcome["events"] = events.iter().map(shape::event).collect(),
            Err(failure) => outcome["failure"] = shape::failure(&failure),
        }
    }
    Ok(outcome)
}

/// Every mutation of the case must be refused, and damaged bodies must not panic.
pub(super) fn mutations<P: Provider>(case: &Case) -> Result<(), String> {
    let Run::Webhook(request) = &case.run else { return Ok(()) };
    let context = case.context();
    for mutation in &case.mutations {
        let changed = mutation.apply(&case.signature, request, &case.secrets);
        if changed.is_empty() {
            return Err(format!("mutation {mutation:?} finds nothing to change"));
        }
        for (request, secrets) in changed {
            let outcome = outcome::<P>(&context, &secrets, &request)?;
            if outcome["verdict"] != "refused" {
                return Err(format!("mutation {mutation:?} was not refused: {}", request.url));
            }
        }
    }
    for round in 0..DAMAGED_BODIES.min(request.body.len() * 8) {
        let mut damaged = request.clone();
        let at = round * 7919 % damaged.body.len();
        match round % 3 {
            0 => damaged.body[at] ^= 1 << (round % 8),
            1 => damaged.body.truncate(at),
            _ => damaged.body.insert(at, u8::try_from(round % 256).unwrap_or(0)),
        }
        // Any result will do; a panic would fail the test.
        let _ = (P::authenticate(&context, &damaged), P::parse(&context, &damaged));
    }
    Ok(())
}
