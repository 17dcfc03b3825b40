//! How the server is called.

use pointsman_plugin::assistant::{Done, Failed, Request};
use pointsman_plugin::http::{self, CallBuilder, Http, Response};
use pointsman_plugin::{Context, Failure};

use crate::settings::{API_KEY, Settings};
use crate::shape::Shape;
use crate::{answer, errors, prompt};

/// How often one question is put in another shape, counting the first; refused requests cost nothing.
const TRIES_MAX: usize = 4;

/// One server, as the settings name it.
pub(crate) struct Api<'a> {
    pub(crate) settings: Settings,
    context: &'a Context,
    http: &'a Http,
}

impl<'a> Api<'a> {
    pub(crate) fn new(context: &'a Context, http: &'a Http) -> Result<Self, Failure> {
        Ok(Self { settings: context.settings()?, context, http })
    }

    pub(crate) fn models(&self) -> CallBuilder {
        match self.settings.azure_api_version() {
            Some(version) => {
                http::get(format!("{}/openai/models", self.settings.base())).query("api-version", version)
            }
            None => http::get(format!("{}/models", self.settings.base())),
        }
    }

    fn completions(&self) -> CallBuilder {
        let (base, model) = (self.settings.base(), self.settings.model());
        match self.settings.azure_api_version() {
            Some(version) => http::post(format!("{base}/openai/deployments/{model}/chat/completions"))
                .query("api-version", version),
            None => http::post(format!("{base}/chat/completions")),
        }
        // An answer that got lost has cost something and changed nothing.
        .idempotent()
    }

    /// Makes a call with the key, where there is one.
    pub(crate) async fn exchange(&self, call: CallBuilder) -> Result<Response, Failure> {
        let call = match self.settings.azure_api_version() {
            _ if !self.context.has_secret(API_KEY) => call,
            Some(_) => call.header("api-key", http::secret(API_KEY)),
            None => call.bearer(http::secret(API_KEY)),
        };
        self.http.exchange(call).await
    }
}

/// Does one task.
pub(crate) async fn assist(context: &Context, request: &Request, http: &Http) -> Result<Done, Failed> {
    let api = Api::new(context, http)?;
    let messages = prompt::messages(context, request);
    let mut shape = Shape::of(&api.settings);
    for attempt in 1.. {
        let body = shape.body(&api.settings, &request.task, request.limits.output_tokens_max, &messages);
        let response = api.exchange(api.completions().json(&body)).await?;
        if response.is_success() {
            return answer::read(&request.task, &response);
        }
        if let Some(done) = answer::filtered(&request.task, &response) {
            return Ok(done);
        }
        let other = errors::complaint(&response).and_then(|words| shape.after(&words));
        match other {
            Some(other) if attempt < TRIES_MAX => shape = other,
            _ => return Err(errors::refusal(&response).into()),
        }
    }
    Err(Failure::bad_response("the server refused every form of the question").into())
}
