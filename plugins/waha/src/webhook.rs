//! Webhooks: proof and envelope. A webhook holds one event. Bodies of 2024 have
//! no id and no time in the envelope; nothing here depends on them. Every retry of
//! a delivery has the same `X-Webhook-Request-Id`.

use pointsman_plugin::webhook::{
    Claim, Event, EventBody, HmacAlgorithm, HmacProof, Proof, Reply, Request, Verdict,
};
use pointsman_plugin::{Context, Extra, Failure, FailureKind, Retry};
use serde_json::{Value, json};

use crate::settings::{HMAC_KEY, Settings};
use crate::{ack, ids, inbound, session};

const TAG: &str = "x-webhook-hmac";

/// `X-Webhook-Hmac` is the HMAC-SHA512 of the body alone. A fork signs otherwise and says so in a version
/// header; it fails here.
pub(crate) fn authenticate(request: &Request) -> Verdict {
    if request.header("x-webhook-hmac-version").is_some_and(|version| version != "1") {
        return Verdict::refuse("the webhook is signed in a way that WAHA's documentation does not know");
    }
    if request.header("x-webhook-hmac-algorithm").is_some_and(|name| !name.eq_ignore_ascii_case("sha512")) {
        return Verdict::refuse("the webhook is not signed with sha512");
    }
    let Some(tag) = request.header(TAG).and_then(unhex) else {
        return Verdict::refuse(
            "the webhook is not signed; connect the channel, so that WAHA learns the webhook key",
        );
    };
    let proof = HmacProof {
        algorithm: HmacAlgorithm::Sha512,
        key: HMAC_KEY.into(),
        message: request.body.clone(),
        tag,
    };
    let reply = Reply { status: 200, headers: vec![], body: vec![] };
    Verdict::Accept(Claim { proofs: vec![Proof::Hmac(proof)], reply })
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let digit = |c: u8| char::from(c).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let pairs = text.as_bytes().chunks(2);
    pairs.map(|pair| Some(digit(pair[0])? << 4 | digit(*pair.get(1)?)?)).collect()
}

/// One webhook, opened.
pub(crate) struct Envelope<'a> {
    pub(crate) context: &'a Context,
    pub(crate) settings: Settings,
    pub(crate) body: &'a Value,
    request_id: Option<&'a str>,
}

impl<'a> Envelope<'a> {
    /// A message that no webhook told.
    pub(crate) fn of_past(context: &'a Context, settings: Settings, body: &'a Value) -> Self {
        Self { context, settings, body, request_id: None }
    }
}

impl Envelope<'_> {
    pub(crate) fn payload(&self) -> &Value {
        &self.body["payload"]
    }

    /// When WAHA made the event, unix milliseconds; of old ones, when it came.
    pub(crate) fn at_ms(&self) -> u64 {
        self.body["timestamp"].as_u64().unwrap_or(self.context.now)
    }

    /// Our own address, as far as the event says it.
    pub(crate) fn own_address(&self) -> String {
        let me = self.body["me"]["id"].as_str().map(ids::chat_id);
        me.as_deref().and_then(ids::phone).unwrap_or_else(|| self.context.address.clone())
    }

    /// The same for every delivery of this event.
    pub(crate) fn delivery_key(&self) -> String {
        let id = self.request_id.or_else(|| self.body["id"].as_str());
        id.map_or_else(|| self.at_ms().to_string(), str::to_owned)
    }

    /// Something that is kept and not shown.
    pub(crate) fn other(&self, key: &str, what: &Value) -> Event {
        Event {
            dedupe_key: format!("other:{}", self.delivery_key()),
            body: EventBody::Other(Extra::new(key, what)),
        }
    }

    pub(crate) fn unreadable(&self, why: &str) -> Event {
        Event {
            dedupe_key: format!("unreadable:{}", self.delivery_key()),
            body: EventBody::Unreadable(why.to_owned()),
        }
    }
}

pub(crate) fn parse(context: &Context, request: &Request) -> Result<Vec<Event>, Failure> {
    let body: Value = pointsman_plugin::json(&request.body).map_err(|_| {
        Failure::bad_response("the webhook is not JSON; point only WAHA's webhooks at this channel")
    })?;
    let settings: Settings = context.settings()?;
    let Some(event) = body["event"].as_str() else {
        return Err(Failure::bad_response(
            "the webhook names no event; point only WAHA's webhooks at this channel",
        ));
    };
    if body["session"].as_str().is_some_and(|session| session != settings.session()) {
        let message =
            "the webhook is of another session; give every session a channel with a webhook key of its own";
        return Err(Failure::new(FailureKind::SettingsInvalid, message).retry(Retry::AfterOwnerActs));
    }
    let request_id = request.header("x-webhook-request-id");
    let envelope = Envelope { context, settings, body: &body, request_id };
    let event = match event {
        "session.status" => session::event(&envelope),
        "message" | "message.any" => inbound::message(&envelope),
        "message.reaction" => inbound::reaction(&envelope),
        "message.edited" => inbound::edited(&envelope),
        "message.revoked" => inbound::revoked(&envelope),
        "message.ack" | "message.ack.group" => ack::event(&envelope),
        "poll.vote" => inbound::vote(&envelope),
        other => envelope.other("waha.event", &json!(other)),
    };
    Ok(vec![event])
}
