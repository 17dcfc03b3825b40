//! Which ways of writing one URL a signature is good for: as Twilio's own
//! libraries judge, with the signatures they made.

use std::collections::BTreeMap;

use pointsman_plugin::testing::proof;
use pointsman_plugin::webhook::{Request, Verdict};
use pointsman_plugin::{Context, Pair, Provider};
use pointsman_twilio::Twilio;

const TOKEN: &str = "0123456789abcdef0123456789abcdef";
const PLAIN: &str = "https://crm.example.com/hooks/twilio";
const OTHER_PORT: &str = "https://crm.example.com:8443/hooks/twilio";
const DEFAULT_PORT: &str = "https://crm.example.com:443/hooks/twilio";
const HTTP: &str = "http://crm.example.com/hooks/twilio";

fn is_accepted(url: &str, signature: &str) -> bool {
    let context = Context {
        channel_id: "chn_case".into(),
        kind: "whatsapp".into(),
        address: "whatsapp:+14155238886".into(),
        settings: "{}".into(),
        secrets_set: vec!["auth_token".into()],
        webhook_url: PLAIN.into(),
        now: 0,
        locale: "en".into(),
        extras: vec![],
    };
    let header = |name: &str, value: &str| Pair { name: name.into(), value: value.into() };
    let request = Request {
        method: "POST".into(),
        url: url.into(),
        query: vec![],
        headers: vec![
            header("content-type", "application/x-www-form-urlencoded; charset=UTF-8"),
            header("x-twilio-signature", signature),
        ],
        body: b"Body=hi&From=%2B15550001111".to_vec(),
        remote_address: None,
    };
    let secrets = BTreeMap::from([("auth_token".to_owned(), TOKEN.to_owned())]);
    match Twilio::authenticate(&context, &request) {
        Verdict::Accept(claim) => proof::any_holds(&claim.proofs, &secrets),
        Verdict::Answer(_) | Verdict::Reject(_) => false,
    }
}

#[test]
fn a_signature_is_good_with_and_without_the_port() {
    let of_plain = "EGsI2eO1QZZwfLjSQVyHQ1QwbtQ=";
    let of_other_port = "JCMDYQvx43ehyXAr5a84DRcw4pQ=";
    let of_default_port = "oE7j+LazEqQbvAfqXPlK6vW2wKg=";
    for (signature, url, expected) in [
        (of_plain, PLAIN, true),
        (of_plain, OTHER_PORT, true),
        (of_plain, DEFAULT_PORT, true),
        (of_plain, HTTP, false),
        (of_other_port, PLAIN, false),
        (of_other_port, OTHER_PORT, true),
        (of_other_port, DEFAULT_PORT, false),
        (of_other_port, HTTP, false),
        (of_default_port, PLAIN, true),
        (of_default_port, OTHER_PORT, false),
        (of_default_port, DEFAULT_PORT, true),
        (of_default_port, HTTP, false),
    ] {
        assert_eq!(is_accepted(url, signature), expected, "{signature} at {url}");
    }
}
