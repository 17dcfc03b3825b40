//! Makes a case of a webhook that a vendor really sent: people's numbers, names
//! and words are replaced by stable fakes, and the signature is made anew with a
//! secret of nobody. How a vendor writes signatures is found out by asking the
//! plugin, which is the only one that knows.

use std::collections::BTreeMap;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::hmac;
use serde_json::Value;

use super::bindings::webhook::exports::pointsman::plugin::webhook::{HmacAlgorithm, Proof};
use super::wire::{Verdict, WebhookRequest};
use super::{CallError, ChannelContext, Plugin, Secret, webhook};
use crate::crypto::sha256_hex;

/// From so many digits on, a number may be somebody's.
const DIGITS_MIN: usize = 7;
/// Numbers between these are times, in seconds or in milliseconds: 2015 to 2065.
const TIMES: [std::ops::Range<u64>; 2] = [1_420_000_000..3_000_000_000, 1_420_000_000_000..3_000_000_000_000];
/// Members that hold what people say or are called.
const WORDS: [&str; 14] = [
    "text",
    "body",
    "caption",
    "name",
    "title",
    "first_name",
    "last_name",
    "username",
    "display_name",
    "profile_name",
    "pushname",
    "profilename",
    "formatted_name",
    "description",
];
/// How vendors write what stands before a signature.
const PREFIXES: [&str; 3] = ["", "sha256=", "v0="];

/// The webhook without anything of anybody, signed with these secrets so that the plugin takes it.
///
/// # Errors
/// The plugin crashes. `None`: no way was found to sign it so that the plugin takes it.
pub async fn anonymous(
    plugin: &Plugin,
    context: &ChannelContext,
    recorded: &WebhookRequest,
) -> Result<Option<WebhookRequest>, CallError> {
    let mut request = recorded.clone();
    request.body = redacted(&recorded.body);
    let blank: Vec<usize> = (0..request.headers.len()).filter(|at| request.headers[*at].1 == "***").collect();
    if is_taken(plugin, context, &request).await? {
        return Ok(Some(request));
    }
    for at in blank {
        for secret in context.secrets.values() {
            request.headers[at].1 = secret.expose().to_owned();
            if is_taken(plugin, context, &request).await? {
                return Ok(Some(request));
            }
        }
        for (spelling, bytes) in spellings() {
            // Any tag of the right length shows what is signed, and with which key.
            request.headers[at].1 = spelling(&vec![0; bytes]);
            for proof in webhook::claimed(&plugin.runner, context, &request).await? {
                let Some(tag) = tag(&proof, &context.secrets) else { continue };
                request.headers[at].1 = spelling(&tag);
                if is_taken(plugin, context, &request).await? {
                    return Ok(Some(request));
                }
            }
        }
        request.headers[at].1 = "***".into();
    }
    Ok(None)
}

async fn is_taken(
    plugin: &Plugin,
    context: &ChannelContext,
    request: &WebhookRequest,
) -> Result<bool, CallError> {
    Ok(!matches!(plugin.authenticate(context, request).await?, Verdict::Reject(_)))
}

type Spelling = Box<dyn Fn(&[u8]) -> String + Send>;

/// Ways to write a tag, each with the lengths of SHA-1, SHA-256 and SHA-512.
fn spellings() -> Vec<(Spelling, usize)> {
    let mut all: Vec<(Spelling, usize)> = Vec::new();
    for bytes in [32, 20, 64] {
        for prefix in PREFIXES {
            all.push((Box::new(move |tag: &[u8]| format!("{prefix}{}", hex(tag))), bytes));
        }
        all.push((Box::new(|tag: &[u8]| STANDARD.encode(tag)), bytes));
    }
    all
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The tag that this proof should have.
fn tag(proof: &Proof, secrets: &Arc<BTreeMap<String, Secret>>) -> Option<Vec<u8>> {
    let Proof::Hmac(proof) = proof else { return None };
    let algorithm = match proof.algorithm {
        HmacAlgorithm::Sha1 => hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY,
        HmacAlgorithm::Sha256 => hmac::HMAC_SHA256,
        HmacAlgorithm::Sha512 => hmac::HMAC_SHA512,
    };
    let key = hmac::Key::new(algorithm, secrets.get(&proof.key)?.expose().as_bytes());
    Some(hmac::sign(&key, &proof.message).as_ref().to_vec())
}

/// A body with fakes in place of people: JSON or a form; anything else is left out.
fn redacted(body: &[u8]) -> Vec<u8> {
    if let Ok(mut json) = serde_json::from_slice::<Value>(body) {
        replace("", &mut json);
        return json.to_string().into_bytes();
    }
    let Ok(text) = std::str::from_utf8(body) else { return Vec::new() };
    let mut form = url::form_urlencoded::Serializer::new(String::new());
    for (name, value) in url::form_urlencoded::parse(text.as_bytes()) {
        form.append_pair(&name, &fake(&name, &value));
    }
    form.finish().into_bytes()
}

fn replace(name: &str, value: &mut Value) {
    match value {
        Value::String(text) => *text = fake(name, text),
        Value::Number(number) => {
            let is_somebodys = |number: &u64| {
                number.to_string().len() >= DIGITS_MIN && !TIMES.iter().any(|times| times.contains(number))
            };
            if let Some(known) = number.as_u64().filter(is_somebodys)
                && let Ok(other) = digits(&known.to_string()).parse::<u64>()
            {
                *value = other.into();
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| replace(name, item)),
        Value::Object(members) => members.iter_mut().for_each(|(name, member)| replace(name, member)),
        Value::Null | Value::Bool(_) => {}
    }
}

/// The same fake for the same text, everywhere and every time.
fn fake(name: &str, text: &str) -> String {
    let is_time = text.parse().is_ok_and(|number| TIMES.iter().any(|times| times.contains(&number)));
    if WORDS.contains(&name.to_ascii_lowercase().as_str()) && !text.is_empty() {
        return format!("words {}", &sha256_hex(text.as_bytes())[..6]);
    }
    if is_time {
        return text.to_owned();
    }
    let (mut out, mut run) = (String::new(), String::new());
    for c in text.chars().map(Some).chain([None]) {
        match c {
            Some(digit) if digit.is_ascii_digit() => run.push(digit),
            other => {
                out.push_str(&if run.len() >= DIGITS_MIN { digits(&run) } else { run.clone() });
                run.clear();
                out.extend(other);
            }
        }
    }
    out
}

/// Other digits, as many, always the same for the same ones; the first three stay, so that a number keeps its country.
fn digits(known: &str) -> String {
    const KEPT: usize = 3;
    let hash = sha256_hex(known.as_bytes());
    let fakes = hash.bytes().cycle().map(|byte| char::from(b'0' + byte % 10));
    known.chars().take(KEPT).chain(fakes.take(known.len() - KEPT)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn people_are_replaced_by_the_same_fakes_everywhere() {
        let body = br#"{"from":"34600111222","id":5012345678,"at":1767225600123,"ts":"1767225600","text":"my PIN is 1234","n":7,"to":"whatsapp:+34600111222"}"#;
        let made = String::from_utf8(redacted(body)).unwrap();
        let json: Value = serde_json::from_str(&made).unwrap();
        let number = json["from"].as_str().unwrap();
        assert_eq!(json["to"], format!("whatsapp:+{number}"));
        assert!(number.len() == 11 && number.starts_with("346") && number != "34600111222", "{made}");
        assert!(json["id"] != 5_012_345_678_u64 && json["id"].to_string().len() == 10, "{made}");
        assert_eq!(
            (&json["at"], &json["ts"], &json["n"]),
            (&1_767_225_600_123_u64.into(), &"1767225600".into(), &7.into())
        );
        assert!(!made.contains("PIN") && made == String::from_utf8(redacted(body)).unwrap());
        let form =
            String::from_utf8(redacted(b"From=whatsapp%3A%2B34600111222&Body=my+PIN&NumMedia=0")).unwrap();
        assert!(
            form.contains(&format!("From=whatsapp%3A%2B{number}")) && form.ends_with("NumMedia=0"),
            "{form}"
        );
        assert!(!form.contains("PIN"), "{form}");
        assert!(redacted(&[0xff, 0xfe]).is_empty());
    }
}
