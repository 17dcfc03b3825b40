//! The stand-in's routes. Shapes after twilio-oai `twilio_api_v2010.json`,
//! `twilio_messaging_v2.json` and `twilio_content_v1.json`.

use std::time::Instant;

use axum::extract::{ConnectInfo, Path, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use percent_encoding::percent_decode_str;
use serde_json::{Value, json};

use super::door::Cutter;
use super::{Fault, Sent, Shared, callbacks};
use crate::twilio::{ACCOUNT_SID, Form, NUMBER, sid};

/// Longest text Twilio takes (error 21617 above it).
const BODY_CHARACTERS_MAX: usize = 1600;
/// Bytes of the answer that still pass before [`Fault::HalfBody`] cuts the connection.
const HALF_BODY_BYTES: i64 = 300;

pub(super) fn routes(shared: Shared) -> Router {
    Router::new()
        .route("/2010-04-01/Accounts/{account}/Messages.json", post(create_message))
        .route("/2010-04-01/Accounts/{account}/IncomingPhoneNumbers.json", get(numbers))
        .route("/2010-04-01/Accounts/{account}/IncomingPhoneNumbers/{number}", post(set_number))
        .route("/2010-04-01/Accounts/{account}", get(account))
        .route("/v2/Channels/Senders", get(senders))
        .route("/v2/Channels/Senders/{sender}", post(set_sender))
        .route("/v1/ContentAndApprovals", get(templates))
        .route("/v2/ContentAndApprovals", get(templates))
        .with_state(shared)
}

pub(super) fn error(status: u16, code: u32, message: &str) -> Response {
    let body = json!({
        "code": code,
        "message": message,
        "more_info": format!("https://www.twilio.com/docs/errors/{code}"),
        "status": status,
    });
    (StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR), Json(body)).into_response()
}

/// Checks user and password as Twilio does: account SID and auth token.
pub(super) fn authorize(shared: &Shared, headers: &HeaderMap) -> Result<(), Box<Response>> {
    let expected = format!("{ACCOUNT_SID}:{}", shared.lock().auth_token);
    let given = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let pair =
        given.and_then(|value| value.strip_prefix("Basic ")).and_then(|text| STANDARD.decode(text).ok());
    if pair.is_some_and(|pair| pair == expected.as_bytes()) {
        return Ok(());
    }
    Err(Box::new(error(401, 20003, "Authenticate")))
}

fn parse_form(body: &str) -> Form {
    let decode = |text: &str| percent_decode_str(&text.replace('+', " ")).decode_utf8_lossy().into_owned();
    let pairs = body.split('&').filter(|pair| !pair.is_empty());
    pairs
        .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
        .map(|(k, v)| (decode(k), decode(v)))
        .collect()
}

/// What Twilio would say against this request: its error code and a sentence.
fn complaint(media_type: &str, account: &str, form: &Form) -> Option<(u32, String)> {
    let field = |name: &str| form.iter().find(|(key, _)| key == name).map_or("", |(_, value)| value.as_str());
    if !media_type.starts_with("application/x-www-form-urlencoded") {
        return Some((20422, format!("the content type must be a form, not {media_type}")));
    }
    if account != ACCOUNT_SID {
        return Some((20404, format!("no account {account}")));
    }
    let (to, from) = (field("To"), field("From"));
    if to.is_empty() {
        return Some((21604, "A 'To' phone number is required".to_owned()));
    }
    if from.trim_start_matches("whatsapp:") != NUMBER && field("MessagingServiceSid").is_empty() {
        return Some((21603, format!("A 'From' phone number is required, not {from:?}")));
    }
    if to.starts_with("whatsapp:") != from.starts_with("whatsapp:") && !from.is_empty() {
        return Some((21212, "From and To must be addresses of the same channel".to_owned()));
    }
    if ["Body", "MediaUrl", "ContentSid"].iter().all(|name| field(name).is_empty()) {
        return Some((21602, "Message body is required".to_owned()));
    }
    if field("Body").chars().count() > BODY_CHARACTERS_MAX {
        return Some((21617, "The concatenated message body exceeds the 1600 character limit".to_owned()));
    }
    let callback = field("StatusCallback");
    if !callback.is_empty() && !callback.starts_with("https://") && !callback.starts_with("http://") {
        return Some((21609, format!("Invalid 'StatusCallback' URL {callback:?}")));
    }
    None
}

async fn create_message(
    State(shared): State<Shared>,
    ConnectInfo(cutter): ConnectInfo<Cutter>,
    Path(account): Path<String>,
    headers: HeaderMap,
    body: String,
) -> Response {
    let authorized = authorize(&shared, &headers);
    let media_type =
        headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let form = parse_form(&body);
    let complaint = complaint(media_type, &account, &form);
    let (order, fault, given) = {
        let mut state = shared.lock();
        let order = state.sent.len();
        let planned = state.plan.as_ref().and_then(|plan| plan(order));
        let fault = state.next_faults.pop_front().or(planned);
        let processed = authorized.is_ok() && complaint.is_none() && fault.is_none_or(Fault::is_accepted);
        let given = processed.then(|| sid(state.next_sid));
        state.next_sid += 1;
        let reason = complaint.as_ref().map(|(_, text)| text.clone());
        let (form, sid) = (form.clone(), given.clone());
        state.sent.push(Sent { order, at: Instant::now(), form, fault, sid, complaint: reason });
        (order, fault, given)
    };
    if let Some(given) = &given {
        callbacks::start(&shared, order, given, &form);
    }
    match (authorized, complaint, fault) {
        (Err(refusal), _, _) => *refusal,
        (_, Some((code, text)), _) => error(400, code, &text),
        (_, _, Some(Fault::RateLimited(seconds))) => {
            let mut answer = error(429, 20429, "Too Many Requests");
            answer.headers_mut().insert(header::RETRY_AFTER, seconds.into());
            answer
        }
        (_, _, Some(Fault::ServerError)) => {
            (StatusCode::SERVICE_UNAVAILABLE, "<html>upstream unavailable</html>").into_response()
        }
        (_, _, Some(Fault::Unauthorized)) => error(401, 20003, "Authenticate"),
        (_, _, Some(Fault::Refused(code))) => error(400, code, "refused by plan"),
        (_, _, fault) => {
            match fault {
                Some(Fault::Slow(time)) => tokio::time::sleep(time).await,
                Some(Fault::CutAfter) => cutter.cut_after(0),
                Some(Fault::HalfBody) => cutter.cut_after(HALF_BODY_BYTES),
                _ => {}
            }
            (StatusCode::CREATED, Json(created(&form, given.as_deref().unwrap_or_default()))).into_response()
        }
    }
}

fn created(form: &Form, given: &str) -> Value {
    let field = |name: &str| form.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str());
    let date = "Sat, 21 Nov 2026 05:01:45 +0000";
    let uri = format!("/2010-04-01/Accounts/{ACCOUNT_SID}/Messages/{given}");
    json!({
        "account_sid": ACCOUNT_SID, "api_version": "2010-04-01", "body": field("Body"),
        "date_created": date, "date_sent": null, "date_updated": date, "direction": "outbound-api",
        "error_code": null, "error_message": null, "from": field("From"), "messaging_service_sid": null,
        "num_media": "0", "num_segments": "1", "price": null, "price_unit": null, "sid": given,
        "status": "queued", "subresource_uris": {"media": format!("{uri}/Media.json")},
        "to": field("To"), "uri": format!("{uri}.json"),
    })
}

async fn account(State(shared): State<Shared>, Path(file): Path<String>, headers: HeaderMap) -> Response {
    if let Err(refusal) = authorize(&shared, &headers) {
        return *refusal;
    }
    if file != format!("{ACCOUNT_SID}.json") {
        return error(404, 20404, "The requested resource was not found");
    }
    let token = shared.lock().auth_token.clone();
    // Twilio's real answer carries the token; the secrets story checks that it goes nowhere.
    Json(json!({"sid": ACCOUNT_SID, "status": "active", "type": "Full", "friendly_name": "Stories",
        "auth_token": token, "owner_account_sid": ACCOUNT_SID}))
    .into_response()
}

async fn numbers(State(shared): State<Shared>, headers: HeaderMap) -> Response {
    if let Err(refusal) = authorize(&shared, &headers) {
        return *refusal;
    }
    let number = json!({
        "sid": "PN00000000000000000000000000000001", "phone_number": NUMBER, "friendly_name": "Stories",
        "sms_url": shared.lock().webhook_urls.last(), "sms_method": "POST", "sms_fallback_url": "",
        "status_callback": "", "capabilities": {"sms": true, "mms": true, "voice": false},
    });
    Json(json!({"incoming_phone_numbers": [number], "page": 0, "page_size": 50, "next_page_uri": null}))
        .into_response()
}

async fn set_number(State(shared): State<Shared>, headers: HeaderMap, body: String) -> Response {
    if let Err(refusal) = authorize(&shared, &headers) {
        return *refusal;
    }
    let form = parse_form(&body);
    let urls = form.into_iter().filter(|(key, _)| key == "SmsUrl").map(|(_, value)| value);
    shared.lock().webhook_urls.extend(urls);
    Json(json!({"sid": "PN00000000000000000000000000000001", "phone_number": NUMBER})).into_response()
}

async fn senders(State(shared): State<Shared>, headers: HeaderMap) -> Response {
    if let Err(refusal) = authorize(&shared, &headers) {
        return *refusal;
    }
    let url = shared.lock().webhook_urls.last().cloned();
    let sender = json!({"sid": "XE00000000000000000000000000000001", "sender_id": format!("whatsapp:{NUMBER}"),
        "status": "ONLINE", "webhook": {"callback_url": url, "callback_method": "POST"}});
    Json(json!({"senders": [sender], "meta": {"page": 0, "page_size": 50, "next_page_url": null, "key": "senders"}}))
        .into_response()
}

async fn set_sender(State(shared): State<Shared>, headers: HeaderMap, Json(body): Json<Value>) -> Response {
    if let Err(refusal) = authorize(&shared, &headers) {
        return *refusal;
    }
    if let Some(url) = body.pointer("/webhook/callback_url").and_then(Value::as_str) {
        shared.lock().webhook_urls.push(url.to_owned());
    }
    (
        StatusCode::ACCEPTED,
        Json(json!({"sid": "XE00000000000000000000000000000001", "status": "ONLINE:UPDATING"})),
    )
        .into_response()
}

async fn templates(State(shared): State<Shared>, headers: HeaderMap) -> Response {
    if let Err(refusal) = authorize(&shared, &headers) {
        return *refusal;
    }
    let template = |number: u32, name: &str, status: &str, body: &str| {
        json!({
            "sid": format!("HX{number:032x}"), "friendly_name": name, "language": "en",
            "variables": {"1": "Ana"}, "types": {"twilio/text": {"body": body}},
            "approval_requests": {"name": name, "category": "UTILITY", "content_type": "twilio/text",
                "status": status, "rejection_reason": ""},
        })
    };
    let mut with_header = template(3, "invoice", "approved", "Hello {{1}}, here it is.");
    with_header["variables"] = json!({"1": "Ana", "2": "881"});
    with_header["types"]["twilio/text"]["header_text"] = json!("Invoice {{2}}");
    let contents = [
        template(1, "order_ready", "approved", "Hello {{1}}, your order is ready."),
        template(2, "old_offer", "rejected", "Buy now, {{1}}!"),
        with_header,
    ];
    Json(json!({"contents": contents, "meta": {"page": 0, "page_size": 50, "next_page_url": null, "key": "contents"}}))
        .into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(pairs: &[(&str, &str)]) -> Option<u32> {
        let form: Form = pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        complaint("application/x-www-form-urlencoded", ACCOUNT_SID, &form).map(|(code, _)| code)
    }

    #[test]
    fn refuses_what_twilio_refuses() {
        let from = format!("whatsapp:{NUMBER}");
        let good = [("To", "whatsapp:+34600"), ("From", &from), ("Body", "hi")];
        assert_eq!(judged(&good), None);
        assert_eq!(judged(&good[1..]), Some(21604));
        assert_eq!(judged(&[good[0], good[2]]), Some(21603));
        assert_eq!(judged(&good[..2]), Some(21602));
        assert_eq!(judged(&[("To", "+34600"), good[1], good[2]]), Some(21212));
        let long = "x".repeat(1601);
        assert_eq!(judged(&[good[0], good[1], ("Body", &long)]), Some(21617));
        assert_eq!(judged(&[good[0], good[1], good[2], ("StatusCallback", "/x")]), Some(21609));
    }
}
