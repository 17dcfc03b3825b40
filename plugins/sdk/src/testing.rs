//! Runs case folders natively: recorded webhooks, sends with scripted answers,
//! and what must come of them. No network and no mock server; the host runs the
//! same folders against the built wasm. The format is that of [`pointsman_cases::case`].
//!
//! ```ignore
//! #[test]
//! fn cases() {
//!     Suite::<Acme>::new().account().run(concat!(env!("CARGO_MANIFEST_DIR"), "/cases"));
//! }
//! ```
//!
//! Beyond comparing with `expect.json`, every case checks that nothing leaks:
//! neither log lines nor failures may hold a secret or the text of a message. With
//! the variable `POINTSMAN_UPDATE` set, `expect.json` is written instead of
//! compared; read the difference before you commit it.

mod assistant;
pub mod fuzz;
mod message;
mod operation;
pub mod proof;
pub mod shape;
mod webhook;

pub use assistant::AssistantSuite;
pub use webhook::request;

use std::marker::PhantomData;
use std::path::Path;

use pointsman_cases::{Case, Run, Script, SessionTask, Task};
use serde_json::{Value, json};

use crate::provider::{Account, Backfill, Media, Provider, Sessions, Templates};
use crate::{Context, account, backfill, log, sessions, templates};

/// Set: expected outcomes are written instead of compared.
const UPDATE: &str = "POINTSMAN_UPDATE";

type StartAccount = fn(Context, account::Task, Script<'_>) -> Result<Value, String>;
type StartSession = fn(Context, sessions::Task, Script<'_>) -> Result<Value, String>;
type StartBackfill = fn(Context, backfill::Range, Script<'_>) -> Result<Value, String>;
type StartWithText = fn(Context, Option<String>, Script<'_>) -> Result<Value, String>;

/// The case folders of one provider.
pub struct Suite<P> {
    account: Option<StartAccount>,
    media: Option<StartWithText>,
    sessions: Option<StartSession>,
    templates: Option<StartWithText>,
    backfill: Option<StartBackfill>,
    provider: PhantomData<P>,
}

impl<P: Provider> Default for Suite<P> {
    fn default() -> Self {
        Self::new()
    }
}

impl<P: Provider> Suite<P> {
    /// A provider without optional exports.
    pub fn new() -> Self {
        Self {
            account: None,
            media: None,
            sessions: None,
            templates: None,
            backfill: None,
            provider: PhantomData,
        }
    }

    /// It also exports `account`.
    #[must_use]
    pub fn account(mut self) -> Self
    where
        P: Account,
    {
        self.account = Some(|context, task, script| {
            operation::run(
                script,
                |http| async move { P::account(&context, task, &http).await },
                shape::report,
            )
        });
        self
    }

    /// It also exports `media`.
    #[must_use]
    pub fn media(mut self) -> Self
    where
        P: Media,
    {
        self.media = Some(|context, vendor_ref, script| {
            let vendor_ref = vendor_ref.unwrap_or_default();
            let done = |blob: &String| json!({ "blob": blob });
            operation::run(script, |http| async move { P::fetch(&context, &vendor_ref, &http).await }, done)
        });
        self
    }

    /// It also exports `sessions`.
    #[must_use]
    pub fn sessions(mut self) -> Self
    where
        P: Sessions,
    {
        self.sessions = Some(|context, task, script| {
            let session = |http| async move { P::session(&context, task, &http).await };
            operation::run(script, session, shape::session_outcome)
        });
        self
    }

    /// It also exports `templates`.
    #[must_use]
    pub fn templates(mut self) -> Self
    where
        P: Templates,
    {
        self.templates = Some(|context, cursor, script| {
            let done = |page: &templates::Page| shape::page(page);
            let list = |http| async move { P::list_page(&context, cursor.as_deref(), &http).await };
            operation::run(script, list, done)
        });
        self
    }

    /// It also exports `backfill`.
    #[must_use]
    pub fn backfill(mut self) -> Self
    where
        P: Backfill,
    {
        self.backfill = Some(|context, range, script| {
            let poll = |http| async move { P::poll(&context, range, &http).await };
            operation::run(script, poll, shape::batch)
        });
        self
    }

    /// Runs every folder in `cases`.
    ///
    /// # Panics
    /// A case does not come out as expected, or there is none. All that differ are shown.
    pub fn run(&self, cases: impl AsRef<Path>) {
        every(cases.as_ref(), |case| {
            check(case, |case| self.outcome(case))?;
            webhook::attack::<P>(case)
        });
    }

    fn outcome(&self, case: &Case) -> Result<Value, String> {
        let (script, context) = (case.script(), context(case));
        match &case.run {
            Run::Validate => {
                let errors = P::validate(&context.settings, &context.kind);
                Ok(json!({ "errors": errors.iter().map(shape::field_error).collect::<Vec<_>>() }))
            }
            Run::Webhook(request) => {
                webhook::outcome::<P>(&context, &case.context.secrets, &webhook::request(request))
            }
            Run::Send(message) => {
                let message = message::read(message)?;
                let send = |http| async move { P::send(&context, message, &http).await };
                operation::run(script, send, shape::receipt)
            }
            Run::Account(task) => {
                let start = self.account.ok_or("the suite was built without `.account()`")?;
                start(context, account_task(*task), script)
            }
            Run::Media(vendor_ref) => {
                let start = self.media.ok_or("the suite was built without `.media()`")?;
                start(context, Some(vendor_ref.clone()), script)
            }
            Run::Session(task) => {
                let start = self.sessions.ok_or("the suite was built without `.sessions()`")?;
                start(context, session_task(task), script)
            }
            Run::Templates(cursor) => {
                let start = self.templates.ok_or("the suite was built without `.templates()`")?;
                start(context, cursor.clone(), script)
            }
            Run::Backfill { since_ms, cursor } => {
                let start = self.backfill.ok_or("the suite was built without `.backfill()`")?;
                let range = backfill::Range { since: *since_ms, cursor: cursor.clone(), extras: vec![] };
                start(context, range, script)
            }
            Run::Assist(_) => Err("this is a provider; assistants have an `AssistantSuite`".into()),
        }
    }
}

/// Checks every folder in `cases`; shows all that are wrong.
fn every(cases: &Path, check: impl Fn(&Case) -> Result<(), String>) {
    let found = Case::all(cases).unwrap_or_else(|problem| panic!("{problem}"));
    assert!(!found.is_empty(), "there are no cases in {}", cases.display());
    let wrong: Vec<String> = found
        .iter()
        .filter_map(|case| check(case).err().map(|problem| format!("{}: {problem}", case.name)))
        .collect();
    assert!(wrong.is_empty(), "{} of {} cases differ:\n\n{}", wrong.len(), found.len(), wrong.join("\n\n"));
}

/// Does this case come out as expected?
fn check(case: &Case, run: impl Fn(&Case) -> Result<Value, String>) -> Result<(), String> {
    log::take();
    let outcome = run(case)?;
    let lines: Vec<String> = log::take().into_iter().map(|(_, line)| line).collect();
    if std::env::var_os(UPDATE).is_some() {
        case.record(&outcome).map_err(|error| error.to_string())?;
    }
    let found = case.judge(&outcome, &lines).map_err(|error| error.to_string())?;
    if found.is_empty() { Ok(()) } else { Err(operation::lines(&found)) }
}

/// The context that the plugin gets.
/// The channel of a case, as a plugin sees it.
pub fn context(case: &Case) -> Context {
    let context = &case.context;
    Context {
        channel_id: context.channel_id.clone(),
        kind: context.kind.clone(),
        address: context.address.clone(),
        settings: context.settings.clone(),
        secrets_set: context
            .secrets
            .iter()
            .filter(|(_, value)| !value.is_empty())
            .map(|(name, _)| name.clone())
            .collect(),
        webhook_url: context.webhook_url.clone(),
        now: context.now_ms,
        locale: context.locale.clone(),
        extras: vec![],
    }
}

fn account_task(task: Task) -> account::Task {
    match task {
        Task::Check => account::Task::Check,
        Task::Connect => account::Task::Connect,
        Task::Disconnect => account::Task::Disconnect,
        Task::ListAddresses => account::Task::ListAddresses,
    }
}

fn session_task(task: &SessionTask) -> sessions::Task {
    match task {
        SessionTask::Start => sessions::Task::Start,
        SessionTask::Restart => sessions::Task::Restart,
        SessionTask::Stop => sessions::Task::Stop,
        SessionTask::Logout => sessions::Task::Logout,
        SessionTask::State => sessions::Task::State,
        SessionTask::Qr => sessions::Task::Qr,
        SessionTask::PairingCode(phone) => sessions::Task::PairingCode(phone.clone()),
    }
}
