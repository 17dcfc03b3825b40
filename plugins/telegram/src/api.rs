//! How Telegram is called: the token is in the path, and every answer says
//! whether it is one.

use pointsman_plugin::http::{self, CallBuilder, Http, Response};
use pointsman_plugin::{Context, Failure};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::errors::Refusal;
use crate::settings::{BOT_TOKEN, Settings};

/// The Bot API for one channel.
pub(crate) struct Api<'a> {
    pub(crate) context: &'a Context,
    settings: Settings,
    http: &'a Http,
}

#[derive(Deserialize)]
struct Done<T> {
    result: T,
}

/// What became of a call.
pub(crate) enum Outcome {
    Taken(Response),
    /// The chat has another id now; nothing was sent.
    Moved(i64),
}

impl<'a> Api<'a> {
    pub(crate) fn new(context: &'a Context, http: &'a Http) -> Result<Self, Failure> {
        Ok(Self { context, settings: context.settings()?, http })
    }

    /// A method of the bot.
    pub(crate) fn method(&self, name: &str) -> CallBuilder {
        http::post(format!("{}/bot{{secret:{BOT_TOKEN}}}/{name}", self.settings.base()))
    }

    /// A file of the bot.
    pub(crate) fn file(&self, path: &str) -> CallBuilder {
        http::get(format!("{}/file/bot{{secret:{BOT_TOKEN}}}/{path}", self.settings.base()))
    }

    pub(crate) fn http(&self) -> &Http {
        self.http
    }

    /// Makes a call and reads its result; what is no success becomes a failure.
    pub(crate) async fn read<T: DeserializeOwned>(&self, call: CallBuilder) -> Result<T, Failure> {
        let call = call.build();
        let response = self.http.exchange(call.clone()).await?;
        if !response.is_success() {
            return Err(Refusal::of(&response).failure(&call, &response));
        }
        result(&response)
    }

    /// Makes a call that sends something.
    pub(crate) async fn send(&self, call: CallBuilder) -> Result<Outcome, Failure> {
        let call = call.build();
        let response = self.http.exchange(call.clone()).await?;
        if response.is_success() {
            return Ok(Outcome::Taken(response));
        }
        let refusal = Refusal::of(&response);
        match refusal.migrated_to() {
            Some(chat) => Ok(Outcome::Moved(chat)),
            None => Err(refusal.failure(&call, &response)),
        }
    }
}

/// The result in an answer.
pub(crate) fn result<T: DeserializeOwned>(response: &Response) -> Result<T, Failure> {
    response.json::<Done<T>>().map(|done| done.result)
}
