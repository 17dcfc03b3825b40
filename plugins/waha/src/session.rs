//! The session of the linked phone: its states, its QR code, and linking by a code
//! instead. A QR code is good for a minute, the next five for 20 s each; then WAHA
//! gives up with `FAILED`. On every new code `SCAN_QR_CODE` is reported again.

use pointsman_plugin::http::Response;
use pointsman_plugin::sessions::{Outcome, Pairing, Qr, QrImage, Session, SessionState, Task};
use pointsman_plugin::webhook::{Event, EventBody};
use pointsman_plugin::{Certainty, Context, Failure, FailureKind, Http};
use serde_json::{Value, json};

use crate::api::{Api, not_ready};
use crate::webhook::Envelope;
use crate::{config, ids};

pub(crate) const LOST: &str =
    "the phone was unlinked or did not answer; restart the session, and scan the QR code if one is shown";
pub(crate) const PASSKEY: &str =
    "WhatsApp wants a passkey, which only WAHA's own dashboard can give; open it and finish there";
const UNSCANNED: &str = "scan the QR code with the phone: Linked devices, Link a device";
const STOPPED: &str = "the session is stopped";

/// WAHA's word for a state. A new one is passed on as it is.
pub(crate) fn state(word: &str) -> SessionState {
    match word {
        "STOPPED" => SessionState::Stopped,
        "STARTING" => SessionState::Starting,
        "SCAN_QR_CODE" => SessionState::NeedsQr,
        "PASSKEY_REQUIRED" | "PASSKEY_CONFIRMATION_REQUIRED" => SessionState::NeedsCode,
        "WORKING" => SessionState::Working,
        "FAILED" => SessionState::Failed,
        other => SessionState::Other(other.to_ascii_lowercase()),
    }
}

/// A session from WAHA's answer or webhook; `me` is who is linked.
pub(crate) fn session(status: &str, me: &Value, at_ms: u64) -> Session {
    let state = state(status);
    let reason = match &state {
        SessionState::Failed => Some(LOST),
        SessionState::NeedsCode => Some(PASSKEY),
        SessionState::NeedsQr => Some(UNSCANNED),
        SessionState::Stopped => Some(STOPPED),
        _ => None,
    };
    let linked = if state == SessionState::Working { me } else { &Value::Null };
    Session {
        reason: reason.map(str::to_owned),
        at: at_ms,
        account_name: linked["pushName"].as_str().filter(|name| !name.is_empty()).map(str::to_owned),
        picture_url: None,
        extras: vec![],
        address: linked["id"].as_str().map(ids::chat_id).as_deref().and_then(ids::phone),
        state,
    }
}

/// `session.status`. Old ones have no time of their own; the newest of `statuses` says it as well.
pub(crate) fn event(envelope: &Envelope<'_>) -> Event {
    let payload = envelope.payload();
    let Some(status) = payload["status"].as_str() else {
        return envelope.unreadable("the news of the session names no state");
    };
    let newest = payload["statuses"].as_array().and_then(|all| all.last());
    let at_ms = newest.and_then(|it| it["timestamp"].as_u64()).unwrap_or_else(|| envelope.at_ms());
    // A new QR code is the same state at another time.
    let dedupe_key = format!("session:{status}:{}", envelope.delivery_key());
    Event { dedupe_key, body: EventBody::Session(session(status, &envelope.body["me"], at_ms)) }
}

pub(crate) async fn run(context: &Context, task: Task, http: &Http) -> Result<Outcome, Failure> {
    let api = Api::new(context, http)?;
    match task {
        Task::Start => start(&api).await.map(Outcome::Session),
        Task::Restart => act(&api, "/restart").await.map(Outcome::Session),
        Task::Stop => act(&api, "/stop").await.map(Outcome::Session),
        Task::Logout => {
            act(&api, "/logout").await?;
            // WAHA starts over and shows QR codes that nobody asked for.
            act(&api, "/stop").await.map(Outcome::Session)
        }
        Task::State => look(&api).await.map(Outcome::Session),
        Task::Qr => qr(&api).await,
        Task::PairingCode(phone) => pairing_code(&api, &phone).await,
        Task::Other(_) => Err(Failure::unsupported("this plugin is older than what was asked of it")),
    }
}

/// Makes the session or gives it our webhook, and starts it unless it runs.
async fn start(api: &Api<'_>) -> Result<Session, Failure> {
    let found = api.look().await?;
    let is_ours = found.as_ref().is_some_and(|session| config::has_ours(session, api.context));
    let now = match found {
        Some(session) if is_ours => session,
        other => config::write(api, other.as_ref()).await?,
    };
    let session = read(api, &now)?;
    match session.state {
        SessionState::Stopped => act(api, "/start").await,
        SessionState::Failed => act(api, "/restart").await,
        _ => Ok(session),
    }
}

/// `start`, `stop`, `restart` and `logout` may be repeated. Versions before 2025 refuse a second start.
async fn act(api: &Api<'_>, action: &str) -> Result<Session, Failure> {
    let call = api.session("POST", action).idempotent().build();
    match api.succeed(call).await {
        Ok(response) => read(api, &response.json().unwrap_or(Value::Null)),
        Err(failure) if failure.http_status == Some(422) && action == "/start" => look(api).await,
        Err(failure) if failure.http_status == Some(404) && action == "/stop" => {
            Ok(session("STOPPED", &Value::Null, api.context.now))
        }
        Err(failure) => Err(failure),
    }
}

/// How it is, with name and picture when somebody is linked.
async fn look(api: &Api<'_>) -> Result<Session, Failure> {
    let Some(found) = api.look().await? else {
        return Ok(Session {
            reason: Some("WAHA has no such session; start it".into()),
            ..session("STOPPED", &Value::Null, api.context.now)
        });
    };
    let mut session = read(api, &found)?;
    if session.state == SessionState::Working {
        // A missing picture must not hide that it works.
        if let Ok(profile) =
            api.read::<Value>(api.at("GET", &format!("{}/profile", api.settings.session()))).await
        {
            let text = |name: &str| profile[name].as_str().filter(|text| !text.is_empty()).map(str::to_owned);
            session.picture_url = text("picture");
            session.account_name = text("name").or(session.account_name);
        }
    }
    Ok(session)
}

/// The session in an answer; answers without one say that the call was taken.
fn read(api: &Api<'_>, answer: &Value) -> Result<Session, Failure> {
    match answer["status"].as_str() {
        Some(status) => Ok(session(status, &answer["me"], api.context.now)),
        None if answer.is_null() => Ok(session("STARTING", &Value::Null, api.context.now)),
        None => Err(Failure::bad_response("WAHA's answer names no state of the session; is it WAHA?")),
    }
}

/// The code as text; versions that only make pictures send one.
async fn qr(api: &Api<'_>) -> Result<Outcome, Failure> {
    let call = api.at("GET", &format!("{}/auth/qr", api.settings.session())).query("format", "raw");
    let response: Response =
        api.succeed(call.header("accept", pointsman_plugin::http::plain("application/json"))).await?;
    if response.header("content-type").is_some_and(|kind| kind.starts_with("image/png")) {
        return Ok(Outcome::Qr(Qr { image: QrImage::Png(response.body), expires_at: None }));
    }
    let answer: Value = response.json()?;
    match answer["value"].as_str().filter(|value| !value.is_empty()) {
        Some(value) => Ok(Outcome::Qr(Qr { image: QrImage::Text(value.to_owned()), expires_at: None })),
        None => Err(not_ready(
            "WAHA has no QR code now; try again in a moment",
            pointsman_plugin::Retry::After(1_000),
        )),
    }
}

/// The code that is typed under "Link with phone number instead".
async fn pairing_code(api: &Api<'_>, phone: &str) -> Result<Outcome, Failure> {
    let digits: String = phone.chars().filter(char::is_ascii_digit).collect();
    if ids::phone(&format!("{digits}@c.us")).is_none() {
        let message = "enter the phone's number with its country code, like `+12132132130`";
        return Err(Failure::new(FailureKind::RecipientInvalid, message));
    }
    let path = format!("{}/auth/request-code", api.settings.session());
    let call = api.at("POST", &path).json(&json!({ "phoneNumber": digits }));
    let answer: Value = api.read(call).await.map_err(|failure| failure.effect(Certainty::NotPerformed))?;
    match answer["code"].as_str() {
        Some(code) => Ok(Outcome::PairingCode(Pairing { code: code.to_owned(), expires_at: None })),
        None => Err(Failure::bad_response("WAHA gave no code; scan the QR code instead")),
    }
}
