//! Twilio Programmable Messaging: channels of kind `whatsapp` and `sms`.
//! Translates between Twilio's API and the plugin contract; knows nothing of
//! conversations or rules. Vendor facts: Twilio's OpenAPI documents, its pages
//! on webhooks and security, and its list of error codes.

#![allow(
    clippy::result_large_err,
    reason = "the contract's failure is a record, passed by value once per call"
)]

mod account;
mod address;
mod api;
mod content;
mod errors;
mod inbound;
mod manifest;
mod media;
mod send;
mod settings;
mod signature;
mod status;
mod templates;

use pointsman_plugin::descriptor::{FieldError, Manifest};
use pointsman_plugin::sender::{Message, Receipt};
use pointsman_plugin::webhook::{Event, Request, Verdict};
use pointsman_plugin::{Account, Context, Failure, Http, Media, Provider, Templates, export};

pub use errors::{Meaning, meaning};

/// The provider.
pub struct Twilio;

export!(Twilio: account, media, templates);

impl Provider for Twilio {
    fn describe() -> Manifest {
        manifest::describe()
    }

    fn validate(settings_json: &str, kind: &str) -> Vec<FieldError> {
        settings::validate(settings_json, kind)
    }

    fn authenticate(context: &Context, request: &Request) -> Verdict {
        signature::authenticate(context, request)
    }

    fn parse(context: &Context, request: &Request) -> Result<Vec<Event>, Failure> {
        inbound::parse(context, request)
    }

    async fn send(context: &Context, message: Message, http: &Http) -> Result<Receipt, Failure> {
        send::send(context, &message, http).await
    }
}

impl Account for Twilio {
    async fn account(
        context: &Context,
        task: pointsman_plugin::account::Task,
        http: &Http,
    ) -> Result<pointsman_plugin::account::Report, Failure> {
        account::run(context, task, http).await
    }
}

impl Media for Twilio {
    async fn fetch(context: &Context, vendor_ref: &str, http: &Http) -> Result<String, Failure> {
        media::fetch(context, vendor_ref, http).await
    }
}

impl Templates for Twilio {
    async fn list_page(
        context: &Context,
        cursor: Option<&str>,
        http: &Http,
    ) -> Result<pointsman_plugin::templates::Page, Failure> {
        templates::list_page(context, cursor, http).await
    }
}
