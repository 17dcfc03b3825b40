//! Assistant for every server with OpenAI's chat completions: OpenAI itself, Azure,
//! vLLM, Ollama, llama.cpp and others. Translates between tasks and that API; keeps
//! nothing and decides nothing. Vendor facts: OpenAI's OpenAPI document 2.3.0 of
//! 2026 and the servers' own documentation.

#![allow(
    clippy::result_large_err,
    reason = "the contract's failure is a record, passed by value once per call"
)]

mod account;
mod answer;
mod api;
mod errors;
mod manifest;
mod prompt;
mod settings;
mod shape;

use pointsman_plugin::assistant::{Done, Failed, Manifest, Request};
use pointsman_plugin::descriptor::FieldError;
use pointsman_plugin::{Account, Assistant, Context, Failure, Http, export};

/// The assistant.
pub struct OpenAi;

export!(assistant OpenAi: account);

impl Assistant for OpenAi {
    fn describe() -> Manifest {
        manifest::describe()
    }

    fn validate(settings_json: &str) -> Vec<FieldError> {
        settings::validate(settings_json)
    }

    async fn assist(context: &Context, request: Request, http: &Http) -> Result<Done, Failed> {
        api::assist(context, &request, http).await
    }
}

impl Account for OpenAi {
    async fn account(
        context: &Context,
        task: pointsman_plugin::account::Task,
        http: &Http,
    ) -> Result<pointsman_plugin::account::Report, Failure> {
        account::run(context, task, http).await
    }
}
