//! Webhooks as the host treats them: claim, proofs, and only then the parsing.

use std::collections::BTreeMap;

use pointsman_cases::Case;
use serde_json::{Value, json};

use super::{proof, shape};
use crate::webhook::{Request, Verdict};
use crate::{Context, Pair, Provider};

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
    let is_url_proof = claim.proofs.is_empty() && is_unsigned::<P>(context);
    if !is_url_proof && !proof::any_holds(&claim.proofs, secrets) {
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

/// Is the secret URL the only proof that the vendor offers?
fn is_unsigned<P: Provider>(context: &Context) -> bool {
    let kinds = P::describe().kinds;
    kinds.iter().any(|it| it.kind == context.kind && it.capabilities.unsigned_webhooks)
}

/// Every forgery must be refused, and damaged bodies must not panic.
pub(super) fn attack<P: Provider>(case: &Case) -> Result<(), String> {
    let context = super::context(case);
    for forgery in case.forgeries().map_err(|found| found.to_string())? {
        let outcome = outcome::<P>(&context, &forgery.secrets, &request(&forgery.request))?;
        if outcome["verdict"] != "refused" {
            return Err(forgery.accepted().to_string());
        }
    }
    for damaged in case.damaged() {
        let damaged = request(&damaged);
        // Any result will do; a panic would fail the test.
        let _ = (P::authenticate(&context, &damaged), P::parse(&context, &damaged));
    }
    Ok(())
}

/// The webhook in the contract's words.
pub fn request(from: &pointsman_cases::Request) -> Request {
    let pairs = |pairs: &[(String, String)]| {
        pairs.iter().map(|(name, value)| Pair { name: name.clone(), value: value.clone() }).collect()
    };
    Request {
        method: from.method.clone(),
        url: from.url.clone(),
        query: pairs(&from.query),
        headers: pairs(&from.headers),
        body: from.body.clone(),
        remote_address: None,
    }
}
