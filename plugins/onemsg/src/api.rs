//! How 1msg is called. Its token stands in the query of every call; the host puts
//! it there.

use pointsman_plugin::http::{self, CallBuilder, Http};
use pointsman_plugin::{Certainty, Context, Failure};
use serde_json::Value;

use crate::errors;
use crate::settings::{Settings, TOKEN};

/// 1msg's API for one channel.
pub(crate) struct Api<'a> {
    pub(crate) context: &'a Context,
    settings: Settings,
    http: &'a Http,
}

impl<'a> Api<'a> {
    pub(crate) fn new(context: &'a Context, http: &'a Http) -> Result<Self, Failure> {
        Ok(Self { context, settings: context.settings()?, http })
    }

    pub(crate) fn get(&self, path: &str) -> CallBuilder {
        http::get(self.url(path))
    }

    pub(crate) fn post(&self, path: &str, body: &Value) -> CallBuilder {
        http::post(self.url(path)).json(body)
    }

    fn url(&self, path: &str) -> String {
        format!("{}/{path}", self.settings.base())
    }

    /// Makes a call and reads its answer; what is no success becomes a failure.
    pub(crate) async fn read(&self, call: CallBuilder) -> Result<Value, Failure> {
        let mut call = call.build();
        call.query.push(http::Field { name: "token".into(), value: http::secret(TOKEN) });
        let response = self.http.exchange(call.clone()).await?;
        if !response.is_success() {
            return Err(errors::refusal(&call, &response));
        }
        response.json()
    }

    /// Sends a message and gives its id: only `sent` with an id is sent, whatever the status says.
    pub(crate) async fn send(&self, path: &str, body: &Value) -> Result<String, Failure> {
        let answer = self.read(self.post(path, body)).await.map_err(|failure| match failure.http_status {
            // 1msg has taken it: an answer that cannot be read must not lead to a second message.
            Some(200..=299) => failure.effect(Certainty::Performed),
            _ => failure,
        })?;
        match answer["id"].as_str().filter(|id| !id.is_empty() && answer["sent"] == true) {
            Some(id) => Ok(id.to_owned()),
            None => Err(errors::unsent(&answer)),
        }
    }
}
