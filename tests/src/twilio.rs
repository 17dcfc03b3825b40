//! Twilio as the sender of webhooks: signs exactly as Twilio does (HMAC-SHA1
//! over URL and sorted parameters, base64; twilio.com/docs/usage/security) and
//! posts inbound messages and status callbacks. The vendor's API is in `vendor`.

use anyhow::{Result, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Value, json};

use crate::api::{Answer, text_at};
use crate::server::Server;
use crate::vendor::Vendor;

/// What stays as it is in a form body.
const FORM_SAFE: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'*');
/// The account of the stories.
pub const ACCOUNT_SID: &str = "AC00000000000000000000000000000001";
/// Its auth token; also the canary of the secrets story, so it must be unmistakable.
pub const AUTH_TOKEN: &str = "c4na7y0123456789abcdef0123456789";
/// Our number.
pub const NUMBER: &str = "+14155238886";

/// Fields in the order they are sent.
pub type Form = Vec<(String, String)>;

/// Encodes a form body: `+` for space, UTF-8, everything else percent-encoded.
pub fn encode(form: &[(String, String)]) -> String {
    let encode = |text: &str| utf8_percent_encode(text, FORM_SAFE).to_string().replace("%20", "+");
    let pairs: Vec<String> =
        form.iter().map(|(key, value)| format!("{}={}", encode(key), encode(value))).collect();
    pairs.join("&")
}

/// The value of `X-Twilio-Signature` for a form POST to this URL.
pub fn signature(auth_token: &str, url: &str, form: &[(String, String)]) -> String {
    let mut pairs: Vec<(&str, &str)> =
        form.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
    pairs.sort_unstable();
    pairs.dedup();
    let mut message = url.to_owned();
    for (key, value) in pairs {
        message.push_str(key);
        message.push_str(value);
    }
    let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, auth_token.as_bytes());
    STANDARD.encode(ring::hmac::sign(&key, message.as_bytes()))
}

/// How the channel of a story is set up.
#[derive(Debug, Clone)]
pub struct ChannelPlan {
    /// `whatsapp` or `sms`.
    pub kind: &'static str,
    /// The display name; unique per tenant.
    pub name: String,
    /// Fields of the request that differ from the plain case, e.g. `{"receive_only": true}`.
    pub extra: Value,
}

impl Default for ChannelPlan {
    fn default() -> Self {
        Self { kind: "whatsapp", name: "Sales WhatsApp".to_owned(), extra: json!({}) }
    }
}

/// A connected channel, seen from the vendor's side.
#[derive(Debug, Clone)]
pub struct Twilio {
    http: reqwest::Client,
    /// Our id of the channel.
    pub channel: String,
    /// The public URL that Twilio was told; signatures are made over it.
    pub webhook_url: String,
    /// `whatsapp` or `sms`.
    pub kind: &'static str,
    base: String,
}

/// The body that connects a Twilio channel whose API is the stand-in.
pub fn channel_body(plan: &ChannelPlan, vendor_url: &str, group: &str) -> Value {
    let mut body = json!({
        "provider": "twilio",
        "kind": plan.kind,
        "name": plan.name,
        "settings": {"account_sid": ACCOUNT_SID, "address": NUMBER, "base_url": vendor_url},
        "secrets": {"auth_token": AUTH_TOKEN},
        "default_group": group,
        "active": true,
        "allow_private_egress": true,
        "messages_per_second": 0,
    });
    if let (Some(body), Some(extra)) = (body.as_object_mut(), plan.extra.as_object()) {
        body.extend(extra.clone());
    }
    body
}

impl Twilio {
    /// Connects a WhatsApp channel with the default group Support.
    ///
    /// # Errors
    /// The API refuses it.
    pub async fn connect(server: &Server, vendor: &Vendor) -> Result<Self> {
        Self::connect_as(server, vendor, ChannelPlan::default()).await
    }

    /// Connects a channel after a plan.
    ///
    /// # Errors
    /// The API refuses it.
    pub async fn connect_as(server: &Server, vendor: &Vendor, plan: ChannelPlan) -> Result<Self> {
        let api = server.api()?;
        let group = api.find("/api/v1/groups", "name", "Support").await?;
        let body = channel_body(&plan, vendor.url(), text_at(&group, "/id")?);
        let channel = api.post("/api/v1/channels", body).await?.expect(201)?;
        vendor.deliver_callbacks_to(server.url());
        Self::of(server, &channel, plan.kind)
    }

    /// The vendor's side of a channel that exists.
    ///
    /// # Errors
    /// The channel lacks its id or webhook URL.
    pub fn of(server: &Server, channel: &Value, kind: &'static str) -> Result<Self> {
        let webhook_url = text_at(channel, "/webhook_url")?.to_owned();
        ensure!(
            webhook_url.starts_with(crate::server::PUBLIC_URL),
            "not under the public URL: {webhook_url}"
        );
        Ok(Self {
            http: crate::http_client()?,
            channel: text_at(channel, "/id")?.to_owned(),
            webhook_url,
            kind,
            base: server.url().to_owned(),
        })
    }

    /// A channel that only makes forms: it has no server.
    ///
    /// # Errors
    /// The channel lacks its id or webhook URL.
    pub fn for_requests(channel: &Value) -> Result<Self> {
        Ok(Self {
            http: crate::http_client()?,
            channel: text_at(channel, "/id")?.to_owned(),
            webhook_url: text_at(channel, "/webhook_url")?.to_owned(),
            kind: "whatsapp",
            base: String::new(),
        })
    }

    /// An address as this kind of channel writes it: `whatsapp:+34…` or `+34…`.
    pub fn address(&self, phone: &str) -> String {
        if self.kind == "whatsapp" { format!("whatsapp:{phone}") } else { phone.to_owned() }
    }

    /// A text message of a customer, with the fields Twilio sends. `sid`: `SM` and 32 hex digits.
    pub fn inbound(&self, phone: &str, sid: &str, text: &str) -> Form {
        let mut form = vec![
            ("AccountSid", ACCOUNT_SID.to_owned()),
            ("ApiVersion", "2010-04-01".to_owned()),
            ("MessageSid", sid.to_owned()),
            ("SmsSid", sid.to_owned()),
            ("SmsMessageSid", sid.to_owned()),
            ("SmsStatus", "received".to_owned()),
            ("NumMedia", "0".to_owned()),
            ("NumSegments", "1".to_owned()),
            ("From", self.address(phone)),
            ("To", self.address(NUMBER)),
            ("Body", text.to_owned()),
        ];
        if self.kind == "whatsapp" {
            form.push(("WaId", phone.trim_start_matches('+').to_owned()));
            form.push(("ProfileName", format!("Customer {phone}")));
            form.push(("MessageType", "text".to_owned()));
            form.push(("ReferralNumMedia", "0".to_owned()));
        }
        form.into_iter().map(|(key, value)| (key.to_owned(), value)).collect()
    }

    /// Signs and posts a webhook.
    ///
    /// # Errors
    /// No answer came.
    pub async fn deliver(&self, form: &[(String, String)]) -> Result<Answer> {
        let signed = signature(AUTH_TOKEN, &self.webhook_url, form);
        self.deliver_raw(encode(form).into_bytes(), Some(&signed)).await
    }

    /// Posts any bytes with any signature to the channel's webhook.
    ///
    /// # Errors
    /// No answer came.
    pub async fn deliver_raw(&self, body: Vec<u8>, signed: Option<&str>) -> Result<Answer> {
        let url = crate::server::to_local(&self.webhook_url, &self.base);
        post_form(&self.http, &url, body, signed).await
    }

    /// Signs and posts a status callback to the URL that our own request named.
    ///
    /// # Errors
    /// No answer came.
    pub async fn callback(&self, callback_url: &str, form: &[(String, String)]) -> Result<Answer> {
        let url = crate::server::to_local(callback_url, &self.base);
        let signed = signature(AUTH_TOKEN, callback_url, form);
        post_form(&self.http, &url, encode(form).into_bytes(), Some(&signed)).await
    }
}

/// The fields of a status callback. `error`: Twilio's code of a failure.
pub fn status_form(sid: &str, to: &str, status: &str, error: Option<u32>) -> Form {
    let from = if to.starts_with("whatsapp:") { format!("whatsapp:{NUMBER}") } else { NUMBER.to_owned() };
    let mut form = vec![
        ("AccountSid", ACCOUNT_SID.to_owned()),
        ("ApiVersion", "2010-04-01".to_owned()),
        ("MessageSid", sid.to_owned()),
        ("SmsSid", sid.to_owned()),
        ("From", from),
        ("To", to.to_owned()),
        ("MessageStatus", status.to_owned()),
        ("SmsStatus", status.to_owned()),
    ];
    if let Some(code) = error {
        form.push(("ErrorCode", code.to_string()));
    }
    form.into_iter().map(|(key, value)| (key.to_owned(), value)).collect()
}

/// A message id of the vendor: `SM` and 32 hex digits.
pub fn sid(number: u64) -> String {
    format!("SM{number:032x}")
}

async fn post_form(http: &reqwest::Client, url: &str, body: Vec<u8>, signed: Option<&str>) -> Result<Answer> {
    let mut request =
        http.post(url).header("content-type", "application/x-www-form-urlencoded; charset=UTF-8");
    if let Some(signed) = signed {
        request = request.header("x-twilio-signature", signed);
    }
    let response = request.body(body).send().await?;
    Answer::read(format!("POST {url}"), response).await
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOKEN: &str = "0123456789abcdef0123456789abcdef";
    const URL: &str = "https://crm.example.com/hooks/twilio";

    fn form(pairs: &[(&str, &str)]) -> Form {
        pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    }

    /// The first vector is published by Twilio; the others were computed with Twilio's Python library 9.13.0.
    #[test]
    fn signs_as_twilio_does() {
        let calls = form(&[
            ("CallSid", "CA1234567890ABCDE"),
            ("Caller", "+14158675309"),
            ("Digits", "1234"),
            ("From", "+14158675309"),
            ("To", "+18005551212"),
        ]);
        let published = "https://mycompany.com/myapp.php?foo=1&bar=2";
        assert_eq!(signature("12345", published, &calls), "RSOYDt4T1cUTdK1PDd93/VVr8B8=");
        let plain = form(&[("Body", "hi"), ("From", "+15550001111")]);
        assert_eq!(signature(TOKEN, URL, &plain), "EGsI2eO1QZZwfLjSQVyHQ1QwbtQ=");
        let repeated = form(&[
            ("MediaUrl", "https://b.example/2"),
            ("MediaUrl", "https://a.example/1"),
            ("MediaUrl", "https://b.example/2"),
            ("Body", "x"),
        ]);
        assert_eq!(signature(TOKEN, URL, &repeated), "au6TKpgBhAkE+PCM/qpv3MNzcgc=");
        let empty = form(&[("Body", ""), ("NumMedia", "1"), ("From", "whatsapp:+15550001111")]);
        assert_eq!(signature(TOKEN, URL, &empty), "i8Ydxsz6DTwwSbgNaPqPPrcnC8s=");
        let cased = form(&[("body", "lower"), ("Body", "upper"), ("_x", "u"), ("Zed", "z")]);
        assert_eq!(signature(TOKEN, URL, &cased), "enLYkfkN5nMNd9HiOVYYQRg6v8I=");
    }

    #[test]
    fn forms_are_encoded_as_browsers_do() {
        let form = form(&[("Body", "a b&c=ñ+"), ("To", "whatsapp:+1")]);
        assert_eq!(encode(&form), "Body=a+b%26c%3D%C3%B1%2B&To=whatsapp%3A%2B1");
    }
}
