//! Who sent a webhook: `X-Hub-Signature-256` is the HMAC-SHA256 of the raw body
//! with the app secret, and the GET that verifies a subscription presents the
//! verify token. After Meta's page on webhooks and its Node library.

use pointsman_plugin::webhook::{
    Claim, HmacAlgorithm, HmacProof, Proof, Reply, Request, TokenProof, Verdict,
};
use pointsman_plugin::{Context, Pair};

use crate::settings::{APP_SECRET, VERIFY_TOKEN};

const PREFIX: &str = "sha256=";
const TAG_BYTES: usize = 32;
/// Longest challenge that is echoed; Meta's have ten digits.
const CHALLENGE_CHARS_MAX: usize = 256;

pub(crate) fn authenticate(context: &Context, request: &Request) -> Verdict {
    if request.method == "GET" { verification(context, request) } else { delivery(context, request) }
}

/// `?hub.mode=subscribe&hub.challenge=…&hub.verify_token=…`: the answer is the challenge itself.
fn verification(context: &Context, request: &Request) -> Verdict {
    let field = |name: &str| request.query_field(name).unwrap_or("");
    if field("hub.mode") != "subscribe" {
        return Verdict::refuse("a GET that does not ask for a subscription");
    }
    if !context.has_secret(VERIFY_TOKEN) {
        return Verdict::refuse("the channel has no verify token; enter it");
    }
    let challenge = field("hub.challenge");
    let is_plain = |c: u8| c.is_ascii_alphanumeric() || matches!(c, b'-' | b'_' | b'.');
    if !(1..=CHALLENGE_CHARS_MAX).contains(&challenge.len()) || !challenge.bytes().all(is_plain) {
        return Verdict::refuse("the challenge of a subscription is missing or not plain");
    }
    let token = TokenProof { secret: VERIFY_TOKEN.into(), presented: field("hub.verify_token").into() };
    let content_type = Pair { name: "content-type".into(), value: "text/plain".into() };
    let reply = Reply { status: 200, headers: vec![content_type], body: challenge.as_bytes().to_vec() };
    Verdict::Answer(Claim { proofs: vec![Proof::Token(token)], reply })
}

fn delivery(context: &Context, request: &Request) -> Verdict {
    let tag =
        request.header("x-hub-signature-256").and_then(|header| header.strip_prefix(PREFIX)).and_then(hex);
    let Some(tag) = tag else {
        return Verdict::refuse(
            "the header X-Hub-Signature-256 is missing, repeated or not `sha256=` and hex",
        );
    };
    if !context.has_secret(APP_SECRET) {
        return Verdict::refuse("the channel has no app secret; enter it");
    }
    let proof = HmacProof {
        algorithm: HmacAlgorithm::Sha256,
        key: APP_SECRET.into(),
        message: request.body.clone(),
        tag,
    };
    let reply = Reply { status: 200, headers: vec![], body: vec![] };
    Verdict::Accept(Claim { proofs: vec![Proof::Hmac(proof)], reply })
}

/// 64 lower-case hex digits.
fn hex(text: &str) -> Option<Vec<u8>> {
    let digit = |c: u8| match c {
        b'0'..=b'9' => Some(c - b'0'),
        b'a'..=b'f' => Some(c - b'a' + 10),
        _ => None,
    };
    let bytes: Option<Vec<u8>> = text
        .as_bytes()
        .chunks(2)
        .map(|pair| Some(digit(*pair.first()?)? << 4 | digit(*pair.get(1)?)?))
        .collect();
    bytes.filter(|bytes| bytes.len() == TAG_BYTES)
}
