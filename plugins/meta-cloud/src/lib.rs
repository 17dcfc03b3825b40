//! Meta's Graph API: channels of kind `whatsapp` (WhatsApp Cloud API), `messenger`
//! and `instagram`. Translates between Meta's API and the plugin contract; knows
//! nothing of conversations or rules. Vendor facts: Meta's OpenAPI document for
//! business messaging (v23.0), its pages on webhooks, error codes and media, and
//! the payloads that pywa 4.5.0 reads and writes.

#![allow(
    clippy::result_large_err,
    reason = "the contract's failure is a record, passed by value once per call"
)]

mod account;
mod api;
mod choices;
mod content;
mod errors;
mod inbound;
mod json;
mod manifest;
mod media;
mod news;
mod page;
mod page_send;
mod send;
mod settings;
mod signature;
mod status;
mod template;
mod templates;
mod webhook;

use pointsman_plugin::descriptor::{FieldError, Manifest};
use pointsman_plugin::sender::{Message, Receipt};
use pointsman_plugin::webhook::{Event, Request, Verdict};
use pointsman_plugin::{Account, Context, Failure, Http, Media, Provider, Templates, export};

pub use errors::{Meaning, meaning};

/// The provider.
pub struct MetaCloud;

export!(MetaCloud: account, media, templates);

impl Provider for MetaCloud {
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
        webhook::parse(context, request)
    }

    async fn send(context: &Context, message: Message, http: &Http) -> Result<Receipt, Failure> {
        send::send(context, &message, http).await
    }
}

impl Account for MetaCloud {
    async fn account(
        context: &Context,
        task: pointsman_plugin::account::Task,
        http: &Http,
    ) -> Result<pointsman_plugin::account::Report, Failure> {
        account::run(context, task, http).await
    }
}

impl Media for MetaCloud {
    async fn fetch(context: &Context, vendor_ref: &str, http: &Http) -> Result<String, Failure> {
        media::fetch(context, vendor_ref, http).await
    }
}

impl Templates for MetaCloud {
    async fn list_page(
        context: &Context,
        cursor: Option<&str>,
        http: &Http,
    ) -> Result<pointsman_plugin::templates::Page, Failure> {
        templates::list_page(context, cursor, http).await
    }
}
