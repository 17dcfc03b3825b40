//! How WAHA is called, and what its refusals mean. The body of a 500 repeats our
//! request with the message in it: nothing of such a body is passed on.

use pointsman_plugin::http::{self, Call, CallBuilder, Http, Response};
use pointsman_plugin::sessions::{Session, SessionState};
use pointsman_plugin::{Context, Failure, FailureKind, Retry};
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::session;
use crate::settings::{API_KEY, Settings};

/// A session that reconnects has waited 5 s for us already, milliseconds.
const RECONNECTING_MS: u64 = 5_000;

/// WAHA's API for one channel.
pub(crate) struct Api<'a> {
    pub(crate) context: &'a Context,
    pub(crate) settings: Settings,
    http: &'a Http,
}

impl<'a> Api<'a> {
    pub(crate) fn new(context: &'a Context, http: &'a Http) -> Result<Self, Failure> {
        Ok(Self { context, settings: context.settings()?, http })
    }

    /// A call of `/api/…`.
    pub(crate) fn at(&self, method: &str, path: &str) -> CallBuilder {
        signed(http::method(method, format!("{}/api/{path}", self.settings.base())))
    }

    /// A call of this session's own resource; `action` begins with a slash or is empty.
    pub(crate) fn session(&self, method: &str, action: &str) -> CallBuilder {
        self.at(method, &format!("sessions/{}{action}", self.settings.session()))
    }

    /// Makes a call; what is no success becomes a failure.
    pub(crate) async fn succeed(&self, call: impl Into<Call>) -> Result<Response, Failure> {
        let call = call.into();
        let response = self.http.exchange(call.clone()).await?;
        if response.is_success() { Ok(response) } else { Err(refusal(&call, &response)) }
    }

    /// Makes a call and reads its answer.
    pub(crate) async fn read<T: DeserializeOwned>(&self, call: impl Into<Call>) -> Result<T, Failure> {
        self.succeed(call).await?.json()
    }

    /// The session as WAHA has it; `None`: there is none.
    pub(crate) async fn look(&self) -> Result<Option<Value>, Failure> {
        let call = self.session("GET", "").build();
        let response = self.http.exchange(call.clone()).await?;
        match response.status {
            404 => Ok(None),
            _ if response.is_success() => response.json().map(Some),
            _ => Err(refusal(&call, &response)),
        }
    }

    /// Makes a call and hands out the answer, whatever it is.
    pub(crate) async fn call(&self, call: impl Into<Call>) -> http::Answer {
        self.http.call(call).await
    }
}

/// With the key, which every call needs, those for files too.
pub(crate) fn signed(call: CallBuilder) -> CallBuilder {
    call.header("x-api-key", http::secret(API_KEY))
}

/// One segment of a path: ids hold `@`, which WAHA wants encoded.
pub(crate) fn segment(text: &str) -> String {
    use std::fmt::Write as _;
    text.bytes().fold(String::new(), |mut encoded, byte| {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.') {
            encoded.push(char::from(byte));
        } else {
            let _ = write!(encoded, "%{byte:02X}");
        }
        encoded
    })
}

/// What WAHA's refusal means.
pub(crate) fn refusal(call: &Call, response: &Response) -> Failure {
    let by_status = Failure::from_response(call, response);
    let body: Value = serde_json::from_slice(&response.body).unwrap_or_default();
    let words = body["message"].as_str().unwrap_or("");
    let failure = match response.status {
        404 if words.to_lowercase().contains("session") => not_ready(
            "the session does not exist or is stopped; start it in the channel's settings",
            Retry::AfterOwnerActs,
        ),
        422 => unprocessable(&body, words),
        500 => by_status.clone(),
        _ => by_status.clone().vendor(None, body["error"].as_str()),
    };
    Failure { http_status: Some(response.status), ..failure }
}

fn unprocessable(body: &Value, words: &str) -> Failure {
    if let Some(status) = body["status"].as_str() {
        let it = session::state(status);
        return unready(&it);
    }
    if words.contains("not implemented by the engine") {
        return Failure::unsupported(
            "the engine that WAHA runs with cannot do that; choose another engine in WAHA",
        );
    }
    if words.contains("Plus version") {
        return Failure::unsupported("this WAHA is older than 2026.6.1 and cannot do that; upgrade it");
    }
    Failure::new(FailureKind::ContentRejected, "WAHA refused the request; look at its log")
}

/// A session in this state sends nothing.
fn unready(state: &SessionState) -> Failure {
    match state {
        SessionState::Starting => not_ready("WhatsApp is reconnecting", Retry::After(RECONNECTING_MS)),
        SessionState::Working => not_ready("a phone is linked already; log it out first", Retry::Never),
        SessionState::NeedsQr => {
            not_ready("no phone is linked; scan the QR code in the channel's settings", Retry::AfterOwnerActs)
        }
        SessionState::NeedsCode => not_ready(session::PASSKEY, Retry::AfterOwnerActs),
        SessionState::Stopped => {
            not_ready("the session is stopped; start it in the channel's settings", Retry::AfterOwnerActs)
        }
        _ => not_ready(session::LOST, Retry::AfterOwnerActs),
    }
}

pub(crate) fn not_ready(message: &str, retry: Retry) -> Failure {
    Failure::new(FailureKind::SessionNotReady, message).retry(retry)
}

/// What keeps a session from working, as a failure; `None` when it works.
pub(crate) fn obstacle(session: &Session) -> Option<Failure> {
    (session.state != SessionState::Working).then(|| unready(&session.state))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_become_segments() {
        assert_eq!(segment("true_1@c.us_3EB0"), "true_1%40c.us_3EB0");
        assert_eq!(segment("../é"), "..%2F%C3%A9");
    }
}
