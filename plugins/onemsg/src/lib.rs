//! 1msg (1MSG.IO), an official WhatsApp provider: channels of kind `whatsapp`.
//! Translates between its API and the plugin contract; knows nothing of
//! conversations or rules. Vendor facts: its OpenAPI document 2.39.0, its SDK and
//! n8n nodes of 2026, and its guidance for integrations.

#![allow(
    clippy::result_large_err,
    reason = "the contract's failure is a record, passed by value once per call"
)]

mod account;
mod ack;
mod api;
mod errors;
mod inbound;
mod manifest;
mod send;
mod settings;
mod template;
mod templates;
mod webhook;

use pointsman_plugin::descriptor::{FieldError, Manifest};
use pointsman_plugin::sender::{Message, Receipt};
use pointsman_plugin::webhook::{Event, Request, Verdict};
use pointsman_plugin::{Account, Context, Failure, Http, Provider, Templates, export};

/// The provider.
pub struct OneMsg;

export!(OneMsg: account, templates);

impl Provider for OneMsg {
    fn describe() -> Manifest {
        manifest::describe()
    }

    fn validate(settings_json: &str, _: &str) -> Vec<FieldError> {
        settings::validate(settings_json)
    }

    fn authenticate(context: &Context, request: &Request) -> Verdict {
        webhook::authenticate(context, request)
    }

    fn parse(context: &Context, request: &Request) -> Result<Vec<Event>, Failure> {
        webhook::parse(context, request)
    }

    async fn send(context: &Context, message: Message, http: &Http) -> Result<Receipt, Failure> {
        send::send(context, &message, http).await
    }
}

impl Account for OneMsg {
    async fn account(
        context: &Context,
        task: pointsman_plugin::account::Task,
        http: &Http,
    ) -> Result<pointsman_plugin::account::Report, Failure> {
        account::run(context, task, http).await
    }
}

impl Templates for OneMsg {
    async fn list_page(
        context: &Context,
        cursor: Option<&str>,
        http: &Http,
    ) -> Result<pointsman_plugin::templates::Page, Failure> {
        templates::list_page(context, cursor, http).await
    }
}
