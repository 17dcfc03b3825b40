//! How Twilio is called: bases, credentials, and what its error answers mean.

use pointsman_plugin::http::{self, Call, CallBuilder, Http, Response};
use pointsman_plugin::{Certainty, Context, Failure, FailureKind, Retry};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::settings::{API_KEY_SECRET, AUTH_TOKEN, Settings};
use crate::{address, errors};

/// Twilio's API for one channel.
pub(crate) struct Api<'a> {
    pub(crate) context: &'a Context,
    pub(crate) settings: Settings,
    pub(crate) http: &'a Http,
}

/// Both forms of an error: the classic one and RFC 9457.
#[derive(Default, Deserialize)]
#[serde(default)]
struct ErrorBody {
    code: Value,
    message: Option<String>,
    detail: Option<String>,
    title: Option<String>,
}

impl<'a> Api<'a> {
    pub(crate) fn new(context: &'a Context, http: &'a Http) -> Result<Self, Failure> {
        let settings: Settings = context.settings()?;
        if settings.api_key_sid().is_some() && !context.has_secret(API_KEY_SECRET) {
            let message = "the API key has no secret; enter api_key_secret or remove the API key SID";
            return Err(Failure::new(FailureKind::SettingsInvalid, message).retry(Retry::AfterOwnerActs));
        }
        Ok(Self { context, settings, http })
    }

    /// Our own address in Twilio's form.
    pub(crate) fn address(&self) -> Result<String, Failure> {
        let text = match self.context.address.trim() {
            "" => self.settings.address(),
            text => text,
        };
        address::own(&self.context.kind, text).ok_or_else(|| {
            let message =
                "the channel's number is not one that Twilio can send from; correct it in the settings";
            Failure::new(FailureKind::SettingsInvalid, message).retry(Retry::AfterOwnerActs)
        })
    }

    /// URL of a resource of the account.
    pub(crate) fn resource(&self, path: &str) -> String {
        format!("{}/2010-04-01/Accounts/{}/{path}", self.settings.base(), self.settings.account_sid())
    }

    /// With the API key if there is one, else the auth token.
    pub(crate) fn signed(&self, call: CallBuilder) -> CallBuilder {
        match self.settings.api_key_sid() {
            Some(key) => call.basic(http::plain(key), http::secret(API_KEY_SECRET)),
            None => self.signed_by_owner(call),
        }
    }

    /// With the auth token, which also signs webhooks.
    pub(crate) fn signed_by_owner(&self, call: CallBuilder) -> CallBuilder {
        call.basic(http::plain(self.settings.account_sid()), http::secret(AUTH_TOKEN))
    }

    /// Makes a call and reads its answer; what is no success becomes a failure.
    pub(crate) async fn read<T: DeserializeOwned>(&self, call: CallBuilder) -> Result<T, Failure> {
        self.succeed(call).await?.json()
    }

    /// Makes a call; what is no success becomes a failure.
    pub(crate) async fn succeed(&self, call: CallBuilder) -> Result<Response, Failure> {
        let call = call.build();
        let response = self.http.exchange(call.clone()).await?;
        if response.is_success() { Ok(response) } else { Err(refusal(&call, &response)) }
    }
}

/// What Twilio's refusal means. Its code says most; a body may be HTML or empty, then the status speaks.
pub(crate) fn refusal(call: &Call, response: &Response) -> Failure {
    let by_status = Failure::from_response(call, response);
    let body: ErrorBody = serde_json::from_slice(&response.body).unwrap_or_default();
    let code = match &body.code {
        Value::Number(code) => code.as_u64().and_then(|code| u32::try_from(code).ok()),
        Value::String(code) => code.parse().ok(),
        _ => None,
    };
    let words = body.message.or(body.detail).or(body.title);
    let failure = match code.and_then(errors::meaning) {
        // A 429 was never processed, and says itself how long to wait; after a 5xx only the status is certain.
        Some(meaning) if (400..500).contains(&response.status) && response.status != 429 => {
            Failure::new(meaning.kind, meaning.message).retry(meaning.retry).effect(Certainty::NotPerformed)
        }
        _ => by_status,
    };
    let code = code.map(|code| code.to_string());
    Failure { http_status: Some(response.status), ..failure }.vendor(code.as_deref(), words.as_deref())
}
