//! WAHA (WhatsApp HTTP API), self-hosted: channels of kind `whatsapp` on somebody's
//! own number, linked by a QR code. Translates between WAHA's API and the plugin
//! contract; knows nothing of conversations or rules. Vendor facts: WAHA's OpenAPI
//! document 2026.7.1, its how-to pages, and its behaviour from 2024.10 on.

#![allow(
    clippy::result_large_err,
    reason = "the contract's failure is a record, passed by value once per call"
)]

mod account;
mod ack;
mod api;
mod backfill;
mod config;
mod ids;
mod inbound;
mod manifest;
mod media;
mod send;
mod session;
mod settings;
mod webhook;

use pointsman_plugin::descriptor::{FieldError, Manifest};
use pointsman_plugin::sender::{Message, Receipt};
use pointsman_plugin::webhook::{Event, Request, Verdict};
use pointsman_plugin::{Account, Backfill, Context, Failure, Http, Media, Provider, Sessions, export};

/// The provider.
pub struct Waha;

export!(Waha: account, media, sessions, backfill);

impl Provider for Waha {
    fn describe() -> Manifest {
        manifest::describe()
    }

    fn validate(settings_json: &str, _: &str) -> Vec<FieldError> {
        settings::validate(settings_json)
    }

    fn authenticate(_: &Context, request: &Request) -> Verdict {
        webhook::authenticate(request)
    }

    fn parse(context: &Context, request: &Request) -> Result<Vec<Event>, Failure> {
        webhook::parse(context, request)
    }

    async fn send(context: &Context, message: Message, http: &Http) -> Result<Receipt, Failure> {
        send::send(context, &message, http).await
    }
}

impl Account for Waha {
    async fn account(
        context: &Context,
        task: pointsman_plugin::account::Task,
        http: &Http,
    ) -> Result<pointsman_plugin::account::Report, Failure> {
        account::run(context, task, http).await
    }
}

impl Media for Waha {
    async fn fetch(context: &Context, vendor_ref: &str, http: &Http) -> Result<String, Failure> {
        media::fetch(context, vendor_ref, http).await
    }
}

impl Sessions for Waha {
    async fn session(
        context: &Context,
        task: pointsman_plugin::sessions::Task,
        http: &Http,
    ) -> Result<pointsman_plugin::sessions::Outcome, Failure> {
        session::run(context, task, http).await
    }
}

impl Backfill for Waha {
    async fn poll(
        context: &Context,
        range: pointsman_plugin::backfill::Range,
        http: &Http,
    ) -> Result<pointsman_plugin::backfill::Batch, Failure> {
        backfill::poll(context, &range, http).await
    }
}
