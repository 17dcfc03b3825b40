//! Telegram bots: channels of kind `telegram`. Translates between the Bot API and
//! the plugin contract; knows nothing of conversations or rules. Vendor facts: the
//! Bot API (10.x) as aiogram 3.31 and python-telegram-bot 22.8 describe it.

#![allow(
    clippy::result_large_err,
    reason = "the contract's failure is a record, passed by value once per call"
)]

mod account;
mod api;
mod content;
mod errors;
mod files;
mod manifest;
mod media;
mod send;
mod settings;
mod signature;
mod updates;

use pointsman_plugin::descriptor::{FieldError, Manifest};
use pointsman_plugin::sender::{Message, Receipt};
use pointsman_plugin::webhook::{Event, Request, Verdict};
use pointsman_plugin::{Account, Context, Failure, Http, Media, Provider, export};

pub use errors::{Meaning, meaning};

/// The provider.
pub struct Telegram;

export!(Telegram: account, media);

impl Provider for Telegram {
    fn describe() -> Manifest {
        manifest::describe()
    }

    fn validate(settings_json: &str, _kind: &str) -> Vec<FieldError> {
        settings::validate(settings_json)
    }

    fn authenticate(context: &Context, request: &Request) -> Verdict {
        signature::authenticate(context, request)
    }

    fn parse(context: &Context, request: &Request) -> Result<Vec<Event>, Failure> {
        updates::parse(context, request)
    }

    async fn send(context: &Context, message: Message, http: &Http) -> Result<Receipt, Failure> {
        send::send(context, &message, http).await
    }
}

impl Account for Telegram {
    async fn account(
        context: &Context,
        task: pointsman_plugin::account::Task,
        http: &Http,
    ) -> Result<pointsman_plugin::account::Report, Failure> {
        account::run(context, task, http).await
    }
}

impl Media for Telegram {
    async fn fetch(context: &Context, vendor_ref: &str, http: &Http) -> Result<String, Failure> {
        media::fetch(context, vendor_ref, http).await
    }
}
