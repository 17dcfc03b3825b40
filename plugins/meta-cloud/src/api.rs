//! How Meta is called: base, token, and what its error answers mean.

use pointsman_plugin::http::{self, Call, CallBuilder, Http, Response};
use pointsman_plugin::{Certainty, Context, Failure, FailureKind, Retry};
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::errors;
use crate::json::{id, text};
use crate::settings::{ACCESS_TOKEN, Settings};

/// Meta's file servers refuse some calls without one.
const USER_AGENT: &str = "pointsman";

/// Meta's API for one channel.
pub(crate) struct Api<'a> {
    pub(crate) context: &'a Context,
    pub(crate) settings: Settings,
    pub(crate) http: &'a Http,
}

impl<'a> Api<'a> {
    pub(crate) fn new(context: &'a Context, http: &'a Http) -> Result<Self, Failure> {
        Ok(Self { context, settings: context.settings()?, http })
    }

    /// What messages are sent from: the phone number's id, the page's or the Instagram account's.
    pub(crate) fn own_id(&self) -> Result<&str, Failure> {
        match self.settings.own_id(self.context) {
            "" => Err(Failure::new(
                FailureKind::SettingsInvalid,
                "the channel has no phone number id; enter it in the settings",
            )
            .retry(Retry::AfterOwnerActs)),
            id => Ok(id),
        }
    }

    /// URL of an object of the graph.
    pub(crate) fn url(&self, path: &str) -> String {
        format!("{}/{path}", self.settings.base())
    }

    /// With the channel's token.
    pub(crate) fn signed(call: CallBuilder) -> CallBuilder {
        call.bearer(http::secret(ACCESS_TOKEN)).header("user-agent", http::plain(USER_AGENT))
    }

    /// Makes a call and reads its answer; what is no success becomes a failure.
    pub(crate) async fn read<T: DeserializeOwned>(&self, call: CallBuilder) -> Result<T, Failure> {
        self.succeed(call).await?.json()
    }

    /// Makes a call; what is no success becomes a failure.
    pub(crate) async fn succeed(&self, call: CallBuilder) -> Result<Response, Failure> {
        let call = Self::signed(call).build();
        let response = self.http.exchange(call.clone()).await?;
        if response.is_success() { Ok(response) } else { Err(refusal(&call, &response)) }
    }
}

/// What Meta's refusal means. It asks to go by the code; the body may be HTML or empty, then the status speaks.
pub(crate) fn refusal(call: &Call, response: &Response) -> Failure {
    let by_status = Failure::from_response(call, response);
    let body: Value = serde_json::from_slice(&response.body).unwrap_or_default();
    let error = &body["error"];
    let Some(code) = id(error, "code") else { return by_status };
    let failure = match errors::of(error) {
        // After a server error only its own words could say that nothing happened, and these do not.
        Some(meaning) if response.status < 500 || meaning.kind != FailureKind::VendorUnavailable => {
            Failure::new(meaning.kind, meaning.message).retry(meaning.retry).effect(Certainty::NotPerformed)
        }
        _ => by_status,
    };
    let words = text(&error["error_data"], "details").or_else(|| text(error, "message"));
    Failure { http_status: Some(response.status), ..failure }.vendor(Some(&code), words.as_deref())
}
