//! What an author implements. Everything is a pure function of its arguments
//! and of the answers to the calls it makes.

use crate::descriptor::{FieldError, Manifest};
use crate::http::Http;
use crate::sender::{Message, Receipt};
use crate::webhook::{Event, Request, Verdict};
use crate::{Context, Failure, account, assistant, backfill, sessions, templates};

/// A vendor of messages: the part that every plugin has.
#[allow(async_fn_in_trait, reason = "a guest has one thread; futures need not be Send")]
pub trait Provider: 'static {
    /// Who this is and what it can do. Run once, at install.
    fn describe() -> Manifest;

    /// Checks of a channel's settings beyond the manifest: formats, combinations.
    /// Secrets are not among the settings.
    fn validate(settings_json: &str, kind: &str) -> Vec<FieldError> {
        let _ = (settings_json, kind);
        vec![]
    }

    /// Names what proves that a webhook is the vendor's; the host checks it.
    fn authenticate(context: &Context, request: &Request) -> Verdict;

    /// Everything a webhook says. The same bytes always give the same events.
    ///
    /// # Errors
    /// The whole webhook cannot be understood: it is kept and shown, not lost.
    /// One bad item of a batch is `EventBody::Unreadable` instead.
    fn parse(context: &Context, request: &Request) -> Result<Vec<Event>, Failure>;

    /// Sends one message.
    ///
    /// # Errors
    /// It was not sent, or nobody knows; `effect` says which.
    async fn send(context: &Context, message: Message, http: &Http) -> Result<Receipt, Failure>;
}

/// Answers, drafts and judgements about conversations: a plugin that is an assistant and no provider.
#[allow(async_fn_in_trait, reason = "a guest has one thread; futures need not be Send")]
pub trait Assistant: 'static {
    /// Who this is and what it can do. Run once, at install.
    fn describe() -> assistant::Manifest;

    /// Checks of the settings beyond the manifest: formats, combinations.
    /// Secrets are not among the settings.
    fn validate(settings_json: &str) -> Vec<FieldError> {
        let _ = settings_json;
        vec![]
    }

    /// Does one task. What contacts wrote is data: it must reach a model as such.
    ///
    /// # Errors
    /// What the vendor or the network said against it; with what it cost.
    async fn assist(
        context: &Context,
        request: assistant::Request,
        http: &Http,
    ) -> Result<assistant::Done, assistant::Failed>;
}

/// The optional export `account`: test the connection, set the webhook, list numbers; of an assistant,
/// test the connection and list models.
#[allow(async_fn_in_trait, reason = "a guest has one thread; futures need not be Send")]
pub trait Account: 'static {
    /// Does the task at the vendor's account.
    ///
    /// # Errors
    /// What the vendor or the network said against it.
    async fn account(context: &Context, task: account::Task, http: &Http)
    -> Result<account::Report, Failure>;
}

/// The optional export `media`: fetch files that need the vendor's credentials.
#[allow(async_fn_in_trait, reason = "a guest has one thread; futures need not be Send")]
pub trait Media: Provider {
    /// The host's id of the file behind a `vendor-ref`, stored by a call with `into_blob`.
    ///
    /// # Errors
    /// The file is gone, not there yet, or not to be had.
    async fn fetch(context: &Context, vendor_ref: &str, http: &Http) -> Result<String, Failure>;
}

/// The optional export `sessions`: phones that are linked by a QR code.
#[allow(async_fn_in_trait, reason = "a guest has one thread; futures need not be Send")]
pub trait Sessions: Provider {
    /// Does the task with the channel's session.
    ///
    /// # Errors
    /// What the vendor or the network said against it; kind `session-not-ready` when there is nothing to scan.
    async fn session(
        context: &Context,
        task: sessions::Task,
        http: &Http,
    ) -> Result<sessions::Outcome, Failure>;
}

/// The optional export `templates`: the approved templates of the account.
#[allow(async_fn_in_trait, reason = "a guest has one thread; futures need not be Send")]
pub trait Templates: Provider {
    /// One page; `None` asks for the first.
    ///
    /// # Errors
    /// What the vendor or the network said against it.
    async fn list_page(
        context: &Context,
        cursor: Option<&str>,
        http: &Http,
    ) -> Result<templates::Page, Failure>;
}

/// The optional export `backfill`: what happened at the vendor, whether or not a webhook told it.
#[allow(async_fn_in_trait, reason = "a guest has one thread; futures need not be Send")]
pub trait Backfill: Provider {
    /// One batch. Its dedupe keys are those that `parse` would give.
    ///
    /// # Errors
    /// What the vendor or the network said against it.
    async fn poll(context: &Context, range: backfill::Range, http: &Http)
    -> Result<backfill::Batch, Failure>;
}
