//! Who signed a webhook. The message that Twilio signs is the URL it called and,
//! for forms, the sorted fields; the host checks the HMAC. Rules after Twilio's
//! page on webhook security and the behaviour of its own libraries.

use std::collections::BTreeSet;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use pointsman_plugin::webhook::{Claim, HmacAlgorithm, HmacProof, Proof, Reply, Request, Verdict};
use pointsman_plugin::{Context, Form, Pair};
use sha2::{Digest, Sha256};

use crate::account::RETRY_FRAGMENT;
use crate::settings::{AUTH_TOKEN, AUTH_TOKEN_SECONDARY, Settings, WEBHOOK_SHARED_SECRET};
use crate::status;

const FORM: &str = "application/x-www-form-urlencoded";
const SHA1_BYTES: usize = 20;
const SHA256_BYTES: usize = 32;

/// What a webhook carries, by the way it came.
pub(crate) enum Payload {
    /// The body of a POST, or the query of a GET.
    Fields(Form),
    /// A body that is no form; the URL carries its SHA-256.
    Body,
}

impl Payload {
    pub(crate) fn of(request: &Request) -> Self {
        if request.method == "GET" || request.body.is_empty() {
            let pair = |pair: &Pair| (pair.name.clone(), pair.value.clone());
            return Self::Fields(request.query.iter().map(pair).collect());
        }
        match request.media_type().as_str() {
            FORM => Self::Fields(Form::parse(&request.body)),
            _ => Self::Body,
        }
    }
}

pub(crate) fn authenticate(context: &Context, request: &Request) -> Verdict {
    let Some(tag) = request.header("x-twilio-signature").and_then(|tag| STANDARD.decode(tag.trim()).ok())
    else {
        return Verdict::refuse("the header X-Twilio-Signature is missing, repeated or not base64");
    };
    let payload = Payload::of(request);
    let fields = match &payload {
        Payload::Fields(form) => {
            let Ok(settings) = context.settings::<Settings>() else {
                return Verdict::refuse("the channel's settings do not fit; save them again");
            };
            if form.filled("AccountSid").is_some_and(|sid| sid != settings.account_sid()) {
                return Verdict::refuse("the webhook is of another Twilio account; check the account SID");
            }
            if request.method == "GET" || request.body.is_empty() {
                String::new()
            } else {
                signed_fields(form)
            }
        }
        Payload::Body if is_the_body(request) => String::new(),
        Payload::Body => {
            return Verdict::refuse("the body is no form and the URL's bodySHA256 does not vouch for it");
        }
    };
    let (algorithm, keys) = match keys(context, request, tag.len()) {
        Ok(keys) => keys,
        Err(why) => return Verdict::refuse(why),
    };
    let mut proofs = vec![];
    for url in urls(&request.url, &context.webhook_url) {
        let message = format!("{url}{fields}").into_bytes();
        proofs.extend(keys.iter().map(|key| {
            let (message, tag) = (message.clone(), tag.clone());
            Proof::Hmac(HmacProof { algorithm, key: (*key).to_owned(), message, tag })
        }));
    }
    Verdict::Accept(Claim { proofs, reply: reply(&payload) })
}

/// Which algorithm and secrets sign here. With Twilio's shared keys a second header says so.
fn keys(
    context: &Context,
    request: &Request,
    tag_bytes: usize,
) -> Result<(HmacAlgorithm, Vec<&'static str>), &'static str> {
    let shared = request.headers.iter().any(|header| header.name == "x-twilio-webhooks-signature-settings");
    let (algorithm, bytes, names) = if shared {
        let settings = request.header("x-twilio-webhooks-signature-settings").unwrap_or("");
        if !settings.split(',').any(|part| part.trim() == "algorithm=HMAC_SHA256") {
            return Err("the webhook is signed with a shared key of an unknown algorithm");
        }
        (HmacAlgorithm::Sha256, SHA256_BYTES, vec![WEBHOOK_SHARED_SECRET])
    } else {
        (HmacAlgorithm::Sha1, SHA1_BYTES, vec![AUTH_TOKEN, AUTH_TOKEN_SECONDARY])
    };
    if tag_bytes != bytes {
        return Err("the signature has the wrong length");
    }
    let names: Vec<_> = names.into_iter().filter(|name| context.has_secret(name)).collect();
    match (names.is_empty(), shared) {
        (false, _) => Ok((algorithm, names)),
        (true, true) => Err("the webhook is signed with a shared key; enter it as webhook_shared_secret"),
        (true, false) => Err("the channel has no auth token; enter it"),
    }
}

/// Distinct pairs of key and value, by code point of the key and then of the value.
fn signed_fields(form: &Form) -> String {
    let sorted: BTreeSet<(&str, &str)> = form.pairs().collect();
    sorted.into_iter().flat_map(|(name, value)| [name, value]).collect()
}

/// Is the hash in the URL, which is signed, that of the body?
fn is_the_body(request: &Request) -> bool {
    use std::fmt::Write as _;
    let digest = Sha256::digest(&request.body).iter().fold(String::new(), |mut hex, byte| {
        // Writing to a string cannot fail.
        let _ = write!(hex, "{byte:02x}");
        hex
    });
    let mut claimed = request.query.iter().filter(|field| field.name == "bodySHA256");
    claimed.next().is_some_and(|field| field.value.eq_ignore_ascii_case(&digest)) && claimed.next().is_none()
}

/// The ways Twilio may have written the URL it called: without and with a port;
/// with the user and the fragment of the configured URL, which no request carries.
fn urls(called: &str, configured: &str) -> Vec<String> {
    let Some((scheme, rest)) = called.split_once("://") else { return vec![called.to_owned()] };
    let (authority, path) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
    let (user, host) =
        authority.rsplit_once('@').map_or((None, authority), |(user, host)| (Some(user), host));
    let users = match user {
        Some(user) => vec![Some(user)],
        None => vec![None, user_of(configured)],
    };
    let fragments = match called.contains('#') {
        true => vec![""],
        false => vec!["", configured.find('#').map_or("", |at| &configured[at..]), RETRY_FRAGMENT],
    };
    let mut urls = vec![];
    for user in users {
        let user = user.map(|user| format!("{user}@")).unwrap_or_default();
        for host in ports(scheme, host) {
            urls.extend(fragments.iter().map(|fragment| format!("{scheme}://{user}{host}{path}{fragment}")));
        }
    }
    let mut seen = BTreeSet::new();
    urls.retain(|url| seen.insert(url.clone()));
    urls
}

fn user_of(url: &str) -> Option<&str> {
    let rest = url.split_once("://")?.1;
    rest.split(['/', '?', '#']).next()?.rsplit_once('@').map(|(user, _)| user)
}

/// The host without its port, and with it: the one that is there or the scheme's own.
fn ports(scheme: &str, host: &str) -> [String; 2] {
    let port_at = host.rfind(':').filter(|at| !host[*at..].contains(']'));
    let (bare, port) = port_at.map_or((host, None), |at| (&host[..at], Some(&host[at + 1..])));
    let port = port.unwrap_or(if scheme == "http" { "80" } else { "443" });
    [bare.to_owned(), format!("{bare}:{port}")]
}

/// An empty TwiML document for messages: anything else may be sent as a reply or logged as an error.
fn reply(payload: &Payload) -> Reply {
    let is_message = matches!(payload, Payload::Fields(form) if !status::is_status(form) && form.get("MessageSid").is_some());
    if !is_message {
        return Reply { status: 204, headers: vec![], body: vec![] };
    }
    let content_type = Pair { name: "content-type".into(), value: "text/xml".into() };
    let body = b"<?xml version=\"1.0\" encoding=\"UTF-8\"?><Response/>".to_vec();
    Reply { status: 200, headers: vec![content_type], body }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_port_is_tried_without_and_with() {
        for (scheme, host, expected) in [
            ("https", "a.test", ["a.test", "a.test:443"]),
            ("http", "a.test", ["a.test", "a.test:80"]),
            ("https", "a.test:8443", ["a.test", "a.test:8443"]),
            ("https", "[::1]", ["[::1]", "[::1]:443"]),
            ("https", "[::1]:9", ["[::1]", "[::1]:9"]),
        ] {
            assert_eq!(ports(scheme, host), expected, "{scheme} {host}");
        }
    }

    #[test]
    fn the_query_is_never_rewritten() {
        let urls = urls("https://a.test/h?name=O'Brien&b=%2f+x&a=1", "");
        assert!(urls.iter().all(|url| url.contains("/h?name=O'Brien&b=%2f+x&a=1")), "{urls:?}");
    }
}
