//! Webhooks of a case through the host's own door: claim, proofs, and only then
//! the parsing. Forgeries must be refused and damage survived.

use pointsman_cases::{Case, Difference, Request};
use serde_json::{Value, json};

use super::super::wire::{Verdict, WebhookRequest};
use super::super::{CallError, ChannelContext, Plugin};
use super::{context, shape};

/// What comes of a webhook.
pub(in super::super) async fn outcome(plugin: &Plugin, channel: &ChannelContext, from: &Request) -> Value {
    let request = request(from);
    let received = match received(plugin, channel, &request).await {
        Ok(received) => received,
        Err(error) => return shape::crash(&error),
    };
    if received["verdict"] != "accept" {
        return received;
    }
    match received == outcome_again(plugin, channel, &request, &received).await {
        true => received,
        false => json!({ "crash": "parsing the same webhook twice gave different events" }),
    }
}

async fn received(
    plugin: &Plugin,
    channel: &ChannelContext,
    request: &WebhookRequest,
) -> Result<Value, CallError> {
    let (verdict, parsed) = plugin.receive(channel, request).await?;
    Ok(match (verdict, parsed) {
        (Verdict::Reject(_), _) => json!({ "verdict": "refused" }),
        (Verdict::Answer(reply), _) => json!({ "verdict": "answer", "reply": shape::reply(&reply) }),
        (Verdict::Accept(reply), parsed) => {
            let mut outcome = json!({ "verdict": "accept", "reply": shape::reply(&reply) });
            match parsed {
                Some(Ok(events)) => outcome["events"] = json!(events),
                Some(Err(failure)) => outcome["failure"] = json!(failure),
                None => {}
            }
            outcome
        }
    })
}

/// The outcome with what the plugin parses now, in an instance of its own as after an upgrade or a replay.
async fn outcome_again(
    plugin: &Plugin,
    channel: &ChannelContext,
    request: &WebhookRequest,
    first: &Value,
) -> Value {
    let mut outcome = json!({ "verdict": first["verdict"], "reply": first["reply"] });
    match plugin.parse(channel, request).await {
        Ok(Ok(events)) => outcome["events"] = json!(events),
        Ok(Err(failure)) => outcome["failure"] = json!(failure),
        Err(error) => return shape::crash(&error),
    }
    outcome
}

/// What a forger or a broken vendor would find.
pub(super) async fn attack(plugin: &Plugin, case: &Case) -> Vec<Difference> {
    let forgeries = match case.forgeries() {
        Ok(forgeries) => forgeries,
        Err(difference) => return vec![difference],
    };
    let mut found = Vec::new();
    for forgery in forgeries {
        let channel = context(case, &forgery.secrets);
        match plugin.authenticate(&channel, &request(&forgery.request)).await {
            Ok(Verdict::Reject(_)) => {}
            Ok(Verdict::Accept(_) | Verdict::Answer(_)) => found.push(forgery.accepted()),
            Err(error) => found.push(crashed(&error)),
        }
    }
    let channel = context(case, &case.context.secrets);
    for damaged in case.damaged() {
        if let Err(error) = plugin.parse(&channel, &request(&damaged)).await {
            found.push(crashed(&error));
        }
    }
    found
}

fn crashed(error: &CallError) -> Difference {
    Difference { at: "attack".into(), expected: Value::Null, actual: error.to_string().into() }
}

/// The webhook in the engine's words.
pub(in super::super) fn request(from: &Request) -> WebhookRequest {
    WebhookRequest {
        method: from.method.clone(),
        url: from.url.clone(),
        query: from.query.clone(),
        headers: from.headers.clone(),
        body: from.body.clone(),
        remote_address: None,
    }
}
