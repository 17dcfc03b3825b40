//! Who sent a webhook: the header `X-Telegram-Bot-Api-Secret-Token` carries the
//! secret that was given with `setWebhook`.

use pointsman_plugin::webhook::{Claim, Proof, Reply, Request, TokenProof, Verdict};
use pointsman_plugin::{Context, Pair};
use serde::Deserialize;
use serde_json::json;

use crate::settings::WEBHOOK_SECRET;

const HEADER: &str = "x-telegram-bot-api-secret-token";

/// A pressed button, as far as it must be answered.
#[derive(Deserialize)]
struct Pressed {
    callback_query: Query,
}

#[derive(Deserialize)]
struct Query {
    id: String,
}

pub(crate) fn authenticate(context: &Context, request: &Request) -> Verdict {
    let Some(presented) = request.header(HEADER) else {
        return Verdict::refuse("the header X-Telegram-Bot-Api-Secret-Token is missing or repeated");
    };
    if !context.has_secret(WEBHOOK_SECRET) {
        return Verdict::refuse("the channel has no webhook secret; enter it and connect the channel");
    }
    let proof = Proof::Token(TokenProof { secret: WEBHOOK_SECRET.into(), presented: presented.into() });
    Verdict::Accept(Claim { proofs: vec![proof], reply: reply(request) })
}

/// A pressed button turns until it is answered, and Telegram takes one call as the answer to a webhook.
fn reply(request: &Request) -> Reply {
    let Ok(Pressed { callback_query }) = pointsman_plugin::json(&request.body) else {
        return Reply { status: 200, headers: vec![], body: vec![] };
    };
    let call = json!({ "method": "answerCallbackQuery", "callback_query_id": callback_query.id });
    let content_type = Pair { name: "content-type".into(), value: "application/json".into() };
    Reply { status: 200, headers: vec![content_type], body: call.to_string().into_bytes() }
}
