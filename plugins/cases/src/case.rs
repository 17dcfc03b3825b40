//! The format of a case: one folder, named after what it shows.
//!
//! ```text
//! cases/
//!   context.toml           optional: what all cases share, the keys of [context]
//!   <name>/
//!     case.toml            what is done
//!     request.form         (any name) the raw body, when `body_file` names it
//!     http/01.toml …       the calls the plugin must make, in order, and their answers
//!     expect.json          what must come of it
//! ```
//!
//! `case.toml`:
//!
//! ```toml
//! about = "One sentence for the reader."
//! run = "webhook"            # webhook | send | account | media | session | templates | backfill | assist | validate
//! mutations = ["body", "url", "header", "cut-tag", "secret"]   # webhook only, optional
//! signature = "x-acme-signature"      # the header that "header" and "cut-tag" change
//!
//! [context]                  # laid over context.toml, key by key
//! channel_id = "chn_1"       # default chn_case
//! kind = "whatsapp"
//! address = "whatsapp:+34…"
//! webhook_url = "https://…"
//! now_ms = 1795237200000
//! locale = "en"              # default en
//! allow_private_egress = true   # an admin's consent, default false; only the sandbox checks it
//! settings = { … }           # as JSON to the plugin
//! secrets = { token = "…" }  # only names reach the plugin; the runner checks proofs with the values
//!
//! [request]                  # run = "webhook"; `query` is read from the URL
//! method = "POST"            # default POST
//! url = "https://…"
//! headers = [["content-type", "application/json"]]
//! body = "text"              # or body_file = "request.form"
//!
//! [message]                  # run = "send": the engine's JSON of an outbound message
//! task = "check"             # run = "account": check | connect | disconnect | list_addresses
//! vendor_ref = "…"           # run = "media"
//! session = "qr"             # run = "session": start | restart | stop | logout | state | qr,
//!                            # or { pairing_code = "+1213…" }
//! cursor = "…"               # run = "templates" or "backfill", optional
//! since_ms = 1795237200000   # run = "backfill": older events are not wanted
//! [assist]                   # run = "assist": the engine's JSON of a task, `limits` may be left out
//! ```
//!
//! `http/01.toml`: what is absent in `[call]` must be absent in the call. A text `{file:NAME}` in
//! its `json` stands for the file `cases/NAME` without its last line break.
//!
//! ```toml
//! [call]
//! method = "POST"
//! url = "https://api.acme.test/send"
//! auth = ["basic", "user", "{secret:token}"]    # or ["bearer", "{secret:token}"]
//! query = [["a", "b"]]
//! headers = [["x-a", "b"]]
//! form = [["To", "+1…"]]     # or json = '{"…"}' (compared as JSON), or body = "text",
//!                            # or parts = [["name", "file name", "content type"]]
//! sink = "blob"              # only when it is not the plugin
//! idempotent = true          # only when set
//! timeout_ms = 5000          # only when set
//!
//! [answer]                   # one of these forms
//! status = 201
//! headers = [["retry-after", "3"]]
//! body = '{"…"}'             # or body_file
//! stored = { blob = "blb_1", content_type = "image/png", size = 12 }   # with status and headers
//! not_sent = "why"           # alone
//! unclear = "why"            # alone
//! refused = "why"            # alone
//! ```
//!
//! `expect.json` has the engine's JSON of the outcome; `null` and `[]` are the
//! same as absent. By `run`:
//!
//! | run | expected |
//! |---|---|
//! | webhook | `{"verdict":"accept","reply":{"status","headers","body"},"events":[…]}`, or `"failure"` instead of `"events"`; `{"verdict":"answer","reply":…}`; `{"verdict":"refused"}` when the plugin refuses or no proof holds |
//! | send | `{"receipt":…}` or `{"failure":…}` |
//! | account | `{"report":…}` or `{"failure":…}` |
//! | media | `{"blob":"…"}` or `{"failure":…}` |
//! | session | `{"session":…}`, `{"qr_text":"…"}`, `{"qr_png_bytes":n}`, `{"pairing_code":"…"}` or `{"failure":…}` |
//! | templates | `{"page":…}` or `{"failure":…}` |
//! | backfill | `{"events":[…],"cursor","more"}` or `{"failure":…}` |
//! | assist | `{"assisted":…}` or `{"failure":…,"model":…,"usage":…}` |
//! | validate | `{"errors":[{"setting","message"}]}` |
//!
//! Every mutation must end in `refused`: `body` changes a byte of the body, `url`
//! one of the URL's query or path, `header` leaves the signature out, `cut-tag`
//! shortens it, `secret` puts another value in every secret.

pub(crate) mod read;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde_json::Value;

use crate::difference::{self, Difference};
use crate::mutation::{self, Forgery, Mutation};
use crate::script::{Exchange, Script};
use crate::{leak, pruned};

/// What must come of a case.
const EXPECTED: &str = "expect.json";
/// Changed bodies that a plugin must survive, for each webhook.
const DAMAGED_BODIES: usize = 200;

/// A file of a case that is missing or not of the format.
#[derive(Debug, thiserror::Error)]
#[error("{}: {problem}", path.display())]
pub struct CaseError {
    path: PathBuf,
    problem: String,
}

/// One case, read.
#[derive(Debug)]
pub struct Case {
    /// Name of the folder.
    pub name: String,
    /// The channel it is about.
    pub context: Context,
    /// What is done.
    pub run: Run,
    mutations: Vec<Mutation>,
    signature: String,
    exchanges: Vec<Exchange>,
    folder: PathBuf,
}

/// The channel that a case is about.
#[derive(Debug, Clone)]
pub struct Context {
    /// `chn_…`.
    pub channel_id: String,
    /// `whatsapp`, `sms`, …
    pub kind: String,
    /// Our number or account, as the vendor writes it.
    pub address: String,
    /// Public URL that the vendor calls.
    pub webhook_url: String,
    /// Unix milliseconds.
    pub now_ms: u64,
    /// BCP 47.
    pub locale: String,
    /// Settings without secrets: one JSON object.
    pub settings: String,
    /// Values of the secrets, by name.
    pub secrets: BTreeMap<String, String>,
    /// May the channel's own URLs point into a private network?
    pub allow_private_egress: bool,
}

/// What a case does.
#[derive(Debug)]
pub enum Run {
    /// A webhook arrives.
    Webhook(Request),
    /// A message is sent: the engine's JSON of it, with the first attempt and no status URL where left out.
    Send(Value),
    /// The vendor's account.
    Account(Task),
    /// A received file is fetched by this reference.
    Media(String),
    /// The linked phone.
    Session(SessionTask),
    /// A page of templates is listed, from this cursor.
    Templates(Option<String>),
    /// A batch of what happened at the vendor.
    Backfill {
        /// Unix milliseconds; older events are not wanted.
        since_ms: u64,
        /// As the batch before said.
        cursor: Option<String>,
    },
    /// A task of an assistant: the engine's JSON of it, with limits where left out.
    Assist(Value),
    /// Settings are checked.
    Validate,
}

/// What to do with the vendor's account.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Task {
    /// "Test connection".
    Check,
    /// Point the vendor's webhook at us.
    Connect,
    /// Undo `Connect`.
    Disconnect,
    /// Numbers the account owns.
    ListAddresses,
}

/// What to do with the linked phone.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SessionTask {
    /// Make and start it.
    Start,
    /// Stop and start it.
    Restart,
    /// Stop it; the phone stays linked.
    Stop,
    /// Unlink the phone.
    Logout,
    /// How it is.
    State,
    /// What the phone has to scan.
    Qr,
    /// The code to type on the phone with this number, E.164.
    PairingCode(String),
}

/// A webhook as it arrived.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// Upper case.
    pub method: String,
    /// With its query.
    pub url: String,
    /// Decoded; repeats and order kept.
    pub query: Vec<(String, String)>,
    /// Lower-case names; repeats and order kept.
    pub headers: Vec<(String, String)>,
    /// Raw.
    pub body: Vec<u8>,
}

impl Case {
    /// All cases in a folder, by name.
    ///
    /// # Errors
    /// A file is missing or not of the format.
    pub fn all(folder: &Path) -> Result<Vec<Self>, CaseError> {
        read::all(folder)
    }

    /// The calls that the case expects, from the first on.
    pub fn script(&self) -> Script<'_> {
        Script::new(&self.exchanges)
    }

    /// URLs of the calls that it expects, in order.
    pub fn urls(&self) -> impl Iterator<Item = &str> {
        self.exchanges.iter().map(Exchange::url)
    }

    /// The forgeries made of its webhook, all of which must be refused.
    ///
    /// # Errors
    /// A mutation finds nothing to change.
    pub fn forgeries(&self) -> Result<Vec<Forgery>, Difference> {
        let Run::Webhook(request) = &self.run else { return Ok(Vec::new()) };
        mutation::forgeries(&self.mutations, &self.signature, request, &self.context.secrets)
    }

    /// Webhooks with a damaged body: what comes of them does not matter, but no plugin may crash.
    pub fn damaged(&self) -> impl Iterator<Item = Request> {
        let request = match &self.run {
            Run::Webhook(request) => Some(request),
            _ => None,
        };
        request.into_iter().flat_map(|request| {
            let rounds = DAMAGED_BODIES.min(request.body.len() * 8);
            (0..rounds).map(|round| mutation::damage(request, round))
        })
    }

    /// What is wrong with an outcome and with what was written to the log; nothing when all is as expected.
    ///
    /// # Errors
    /// There is no readable `expect.json`.
    pub fn judge(&self, outcome: &Value, log: &[String]) -> Result<Vec<Difference>, CaseError> {
        let path = self.folder.join(EXPECTED);
        let text = fs::read_to_string(&path).map_err(|e| read::error(&path, e))?;
        let expected: Value = serde_json::from_str(&text).map_err(|e| read::error(&path, e))?;
        let mut found = difference::between("outcome", expected, outcome.clone());
        found.extend(leak::find(self, outcome, log));
        Ok(found)
    }

    /// Makes this outcome the expected one.
    ///
    /// # Errors
    /// `expect.json` cannot be written.
    pub fn record(&self, outcome: &Value) -> Result<(), CaseError> {
        let path = self.folder.join(EXPECTED);
        let text = format!("{:#}\n", pruned(outcome.clone()));
        fs::write(&path, text).map_err(|e| read::error(&path, e))
    }
}
