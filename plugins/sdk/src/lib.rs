//! Guest kit: what a Pointsman plugin is written with.
//!
//! A plugin is a type that implements [`Provider`] (and [`Account`], [`Media`],
//! [`Sessions`], [`Templates`], [`Backfill`] where the vendor offers them) and one line of [`export!`].
//! One that serves an AI model implements [`Assistant`] instead.
//! Operations are plain `async fn`s; every `http.call(…).await` becomes one step
//! of the contract. There is no network, clock or chance in here, so a provider
//! runs natively in `cargo test` exactly as it runs as wasm; see the feature `testing`.
//!
//! ```
//! use pointsman_plugin::descriptor::{Capabilities, ChannelKind, LengthUnit, Manifest, Setting, SettingKind};
//! use pointsman_plugin::sender::{Content, Message, Receipt};
//! use pointsman_plugin::webhook::{Event, Request, Verdict};
//! use pointsman_plugin::{Context, Failure, Http, Provider, export, http};
//!
//! struct Acme;
//! export!(Acme);
//!
//! impl Provider for Acme {
//!     fn describe() -> Manifest {
//!         Manifest {
//!             settings: vec![
//!                 Setting::new("token", "API token", SettingKind::Secret, "On Acme's settings page.").required(),
//!             ],
//!             kinds: vec![ChannelKind {
//!                 kind: "sms".into(),
//!                 label: "SMS".into(),
//!                 capabilities: Capabilities::text_only(1_600, LengthUnit::Characters),
//!             }],
//!             origins: vec!["https://api.acme.example".into()],
//!             ..Manifest::new("acme", "Acme", "0.1.0")
//!         }
//!     }
//!
//!     fn authenticate(_: &Context, _: &Request) -> Verdict {
//!         Verdict::refuse("Acme sends no webhooks yet")
//!     }
//!
//!     fn parse(_: &Context, _: &Request) -> Result<Vec<Event>, Failure> {
//!         Ok(vec![])
//!     }
//!
//!     async fn send(context: &Context, message: Message, http: &Http) -> Result<Receipt, Failure> {
//!         let Content::Text(text) = message.content else {
//!             return Err(Failure::unsupported("Acme only sends text"));
//!         };
//!         let call = http::post("https://api.acme.example/messages")
//!             .bearer(http::secret("token"))
//!             .form([("from", context.address.clone()), ("to", message.to.address), ("text", text)])
//!             .build();
//!         let answer = http.exchange(call.clone()).await?;
//!         if !answer.is_success() {
//!             return Err(Failure::from_response(&call, &answer));
//!         }
//!         Ok(Receipt { message_ids: vec![answer.json()?], accepted_at: None, extras: vec![] })
//!     }
//! }
//! ```
//!
//! `plugins/README.md` shows a first provider; `plugins/wit/plugin.wit` says what
//! the words mean.

#![allow(
    clippy::result_large_err,
    reason = "the contract's failure is a record, passed by value once per call"
)]

mod assistant_words;
#[allow(missing_docs, unsafe_code, unreachable_pub, clippy::all, reason = "generated")]
pub mod bindings;
mod context;
mod failure;
mod form;
#[cfg(target_arch = "wasm32")]
#[doc(hidden)]
pub mod glue;
#[cfg(any(target_arch = "wasm32", test))]
mod heap;
pub mod http;
pub mod log;
mod manifest;
mod operation;
mod provider;
#[cfg(all(feature = "testing", not(target_arch = "wasm32")))]
pub mod testing;

pub use bindings::base::exports::pointsman::plugin::{sender, webhook};
pub use bindings::base::pointsman::plugin::types::{
    Certainty, Context, Extra, Failure, FailureKind, Pair, Retry,
};
pub use form::Form;
pub use http::Http;
pub use operation::{Operation, Progress};
pub use provider::{Account, Assistant, Backfill, Media, Provider, Sessions, Templates};

#[cfg(target_arch = "wasm32")]
#[global_allocator]
static HEAP: heap::Heap = heap::Heap::new();

/// Reads JSON; a guest that only reads needs no `serde_json` of its own.
///
/// # Errors
/// It is not JSON of this form.
pub fn json<T: serde::de::DeserializeOwned>(bytes: &[u8]) -> Result<T, serde_json::Error> {
    serde_json::from_slice(bytes)
}

/// The words of assistants.
pub mod assistant {
    pub use crate::bindings::assistant::exports::pointsman::plugin::assistant::{
        Conversation, Cost, Done, Failed, Handoff, HandoffReason, Insights, Limits, Manifest, Mood, Outcome,
        Request, Sentiment, Snippet, Speaker, Task, Turn, Usage,
    };
}

/// The words of manifests.
pub mod descriptor {
    pub use crate::bindings::base::exports::pointsman::plugin::descriptor::*;
    pub use crate::bindings::base::pointsman::plugin::settings::{FieldError, Setting, SettingKind};
    pub use crate::bindings::base::pointsman::plugin::types::MediaFamily;
}

/// The words of the optional export `account`.
pub mod account {
    pub use crate::bindings::account::exports::pointsman::plugin::account::{Address, Report, Task};
}

/// The words of the optional export `backfill`.
pub mod backfill {
    pub use crate::bindings::backfill::exports::pointsman::plugin::backfill::{Batch, Range};
}

/// The words of the optional export `sessions`.
pub mod sessions {
    pub use crate::bindings::base::pointsman::plugin::types::{Session, SessionState};
    pub use crate::bindings::sessions::exports::pointsman::plugin::sessions::{
        Outcome, Pairing, Qr, QrImage, Task,
    };
}

/// The words of the optional export `templates`.
pub mod templates {
    pub use crate::bindings::templates::exports::pointsman::plugin::templates::{
        Button, Page, Slot, Template,
    };
}

/// Makes a crate of type `cdylib` a plugin: `export!(Acme);`, or with optional
/// exports `export!(Acme: account, media, sessions, templates, backfill);`. Only the named ones are
/// exported. An assistant is marked as one: `export!(assistant Acme: account);`. Does nothing on
/// other targets than wasm.
#[macro_export]
macro_rules! export {
    (assistant $assistant:ident $(: $($part:ident),+)?) => {
        #[cfg(target_arch = "wasm32")]
        #[allow(unsafe_code, missing_docs, unreachable_pub)]
        mod pointsman_exports {
            type Exported = $crate::glue::Exported<super::$assistant>;
            $crate::bindings::assistant::export_assistant!(
                Exported with_types_in $crate::bindings::assistant
            );
            $($($crate::__export_part!($part Exported);)+)?
        }
    };
    ($provider:ident $(: $($part:ident),+)?) => {
        #[cfg(target_arch = "wasm32")]
        #[allow(unsafe_code, missing_docs, unreachable_pub)]
        mod pointsman_exports {
            type Exported = $crate::glue::Exported<super::$provider>;
            $crate::bindings::base::export_base!(Exported with_types_in $crate::bindings::base);
            $($($crate::__export_part!($part Exported);)+)?
        }
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __export_part {
    (account $exported:ident) => {
        $crate::bindings::account::export_account!($exported with_types_in $crate::bindings::account);
    };
    (media $exported:ident) => {
        $crate::bindings::media::export_media!($exported with_types_in $crate::bindings::media);
    };
    (sessions $exported:ident) => {
        $crate::bindings::sessions::export_sessions!($exported with_types_in $crate::bindings::sessions);
    };
    (backfill $exported:ident) => {
        $crate::bindings::backfill::export_backfill!($exported with_types_in $crate::bindings::backfill);
    };
    (templates $exported:ident) => {
        $crate::bindings::templates::export_templates!($exported with_types_in $crate::bindings::templates);
    };
}
