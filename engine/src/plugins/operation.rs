//! Operations: exports that work by HTTP calls. The guest answers with the next
//! call, the host performs it and hands the answer to the same instance, until
//! the guest is done. Certainty about effects is the host's knowledge. Who
//! performs the calls is passed in: the network, or a recording.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use wasmtime::Store;
use wasmtime::component::Instance;

use super::bindings::provider::pointsman::plugin::{http, types};
use super::bindings::sender::exports::pointsman::plugin::sender;
use super::bindings::{account, backfill, media, sender as sending, sessions, templates};
use super::call::{CallError, Guest, Loaded, Runner, STEP_CPU_MS};
use super::egress::{CALLS_MAX, Performed};
use super::engine::CallState;
use super::journal::Redactor;
use super::wire::{Certainty, Failure, FailureKind, Retry};
use super::{ChannelContext, convert};

/// Time for an operation that knows no other limit, milliseconds.
const OPERATION_MS_MAX: u64 = 120_000;

/// What a step of an operation wants.
pub(super) enum Step<T> {
    Call(Box<http::Call>),
    Done(T),
    Failed(types::Failure),
}

/// An export with `begin` and `resume`.
pub(super) trait Operation: Send + Sync {
    /// Its typed functions.
    type Bindings: Send + Sync;
    /// What it ends with.
    type Done: Send;
    /// For messages: `sender.send`.
    const EXPORT: &'static str;

    /// Time for the whole operation with all its calls, milliseconds; then it counts as failed.
    fn time_ms(&self) -> u64 {
        OPERATION_MS_MAX
    }

    /// `None` when the plugin does not offer it.
    fn load(
        loaded: &Loaded,
        instance: &Instance,
        store: &mut Store<CallState>,
    ) -> wasmtime::Result<Option<Self::Bindings>>;

    /// The first step.
    fn begin(
        &self,
        bindings: &Self::Bindings,
        store: &mut Store<CallState>,
    ) -> impl Future<Output = wasmtime::Result<Step<Self::Done>>> + Send;

    /// The next step.
    fn resume(
        bindings: &Self::Bindings,
        store: &mut Store<CallState>,
        answer: &http::Answer,
    ) -> impl Future<Output = wasmtime::Result<Step<Self::Done>>> + Send;
}

/// Performs the calls of one operation.
pub(super) trait Caller: Sync {
    /// Performs one call, when the channel may make it.
    fn perform(&self, call: http::Call) -> impl Future<Output = Performed> + Send;
}

/// Runs an operation to its end. Problems of the plugin or the host become failures of kind
/// internal; their effect is `NotPerformed` as long as no call left.
pub(super) async fn run<O: Operation>(
    runner: &Arc<Runner>,
    caller: &impl Caller,
    context: &ChannelContext,
    operation: O,
) -> Result<O::Done, Failure> {
    let redactor = Arc::new(Redactor::new(context.secrets.clone()));
    let mut left = false;
    let time_ms = operation.time_ms();
    let result = {
        let steps = steps(runner, caller, context, operation, &redactor, &mut left);
        tokio::time::timeout(Duration::from_millis(time_ms), steps).await
    };
    let result = result.unwrap_or_else(|_| {
        let sentence = format!("plugin {} did not finish `{}` within {time_ms} ms", runner.id, O::EXPORT);
        Err(Failure::internal(certainty(left), sentence))
    });
    result.map_err(|failure| redactor.clean_failure(failure))
}

async fn steps<O: Operation>(
    runner: &Arc<Runner>,
    caller: &impl Caller,
    context: &ChannelContext,
    operation: O,
    redactor: &Arc<Redactor>,
    left: &mut bool,
) -> Result<O::Done, Failure> {
    let _turn = runner.operation().await.map_err(|error| broken(&error, false))?;
    let begun = runner.compute(begin(runner, &context.channel_id, redactor.clone(), &operation)).await;
    let (mut guest, bindings, mut step) = flatten(begun).map_err(|error| broken(&error, false))?;
    let Some(bindings) = bindings else {
        return Err(unsupported(runner, O::EXPORT));
    };
    for calls in 0_u32.. {
        let call = match step {
            Some(Step::Done(done)) => return Ok(done),
            Some(Step::Failed(failure)) => return Err(convert::failure(failure)),
            Some(Step::Call(call)) => *call,
            None => break,
        };
        let answer = if calls < CALLS_MAX {
            // Pessimistic while the call runs: a deadline may cut it off.
            let before = std::mem::replace(left, true);
            let performed = caller.perform(call).await;
            *left = before || performed.left;
            performed.answer
        } else if calls == CALLS_MAX {
            http::Answer::Refused(format!("one operation may make {CALLS_MAX} HTTP calls; split the work"))
        } else {
            break;
        };
        let resume = async |_: &Loaded, _: &Instance, store: &mut Store<CallState>| {
            O::resume(&bindings, store, &answer).await
        };
        let resumed = runner.compute(guest.run(O::EXPORT, STEP_CPU_MS, resume)).await;
        step = Some(flatten(resumed).map_err(|error| broken(&error, *left))?);
    }
    Err(Failure::internal(
        certainty(*left),
        format!("plugin {} asked for more than {CALLS_MAX} HTTP calls in one operation", runner.id),
    ))
}

type Begun<O> = (Guest, Option<<O as Operation>::Bindings>, Option<Step<<O as Operation>::Done>>);

async fn begin<O: Operation>(
    runner: &Arc<Runner>,
    channel: &str,
    redactor: Arc<Redactor>,
    operation: &O,
) -> Result<Begun<O>, CallError> {
    let mut guest = runner.open(channel, O::EXPORT, redactor).await?;
    let call = async |loaded: &Loaded, instance: &Instance, store: &mut Store<CallState>| {
        let Some(bindings) = O::load(loaded, instance, store)? else { return Ok((None, None)) };
        let step = operation.begin(&bindings, store).await?;
        Ok((Some(bindings), Some(step)))
    };
    let (bindings, step) = guest.run(O::EXPORT, STEP_CPU_MS, call).await?;
    Ok((guest, bindings, step))
}

fn flatten<T>(result: Result<Result<T, CallError>, CallError>) -> Result<T, CallError> {
    result.and_then(|inner| inner)
}

fn certainty(left: bool) -> Certainty {
    if left { Certainty::Unknown } else { Certainty::NotPerformed }
}

fn broken(error: &CallError, left: bool) -> Failure {
    let mut failure = Failure::internal(certainty(left), error.to_string());
    if !left {
        // Nothing happened at the vendor. A plugin that goes on crashing is stopped, and what is to be sent waits.
        failure.retry = Retry::After { ms: 0 };
    }
    failure
}

fn unsupported(runner: &Runner, export: &'static str) -> Failure {
    let message = format!("plugin {} does not offer `{export}`", runner.id);
    Failure { kind: FailureKind::Unsupported, ..Failure::internal(Certainty::NotPerformed, message) }
}

/// `sender.send`.
pub(super) struct SendMessage {
    pub(super) context: types::Context,
    pub(super) message: sender::Message,
}

impl Operation for SendMessage {
    type Bindings = sending::Sender;
    type Done = sender::Receipt;
    const EXPORT: &'static str = "sender.send";

    fn load(
        loaded: &Loaded,
        instance: &Instance,
        store: &mut Store<CallState>,
    ) -> wasmtime::Result<Option<Self::Bindings>> {
        loaded.sender.as_ref().map(|export| export.load(store, instance)).transpose()
    }

    async fn begin(
        &self,
        bindings: &Self::Bindings,
        store: &mut Store<CallState>,
    ) -> wasmtime::Result<Step<Self::Done>> {
        bindings
            .pointsman_plugin_sender()
            .call_send(store, &self.context, &self.message)
            .await
            .map(Step::from)
    }

    async fn resume(
        bindings: &Self::Bindings,
        store: &mut Store<CallState>,
        answer: &http::Answer,
    ) -> wasmtime::Result<Step<Self::Done>> {
        bindings.pointsman_plugin_sender().call_resume(store, answer).await.map(Step::from)
    }
}

impl From<sender::Step> for Step<sender::Receipt> {
    fn from(step: sender::Step) -> Self {
        match step {
            sender::Step::Call(call) => Self::Call(Box::new(call)),
            sender::Step::Done(receipt) => Self::Done(receipt),
            sender::Step::Failed(failure) => Self::Failed(failure),
        }
    }
}

use account::exports::pointsman::plugin::account as account_api;

/// `account.begin`.
pub(super) struct Account {
    pub(super) context: types::Context,
    pub(super) task: account_api::Task,
}

impl Operation for Account {
    type Bindings = account::Account;
    type Done = account_api::Report;
    const EXPORT: &'static str = "account.begin";

    fn load(
        loaded: &Loaded,
        instance: &Instance,
        store: &mut Store<CallState>,
    ) -> wasmtime::Result<Option<Self::Bindings>> {
        loaded.account.as_ref().map(|export| export.load(store, instance)).transpose()
    }

    async fn begin(
        &self,
        bindings: &Self::Bindings,
        store: &mut Store<CallState>,
    ) -> wasmtime::Result<Step<Self::Done>> {
        bindings.pointsman_plugin_account().call_begin(store, &self.context, &self.task).await.map(Step::from)
    }

    async fn resume(
        bindings: &Self::Bindings,
        store: &mut Store<CallState>,
        answer: &http::Answer,
    ) -> wasmtime::Result<Step<Self::Done>> {
        bindings.pointsman_plugin_account().call_resume(store, answer).await.map(Step::from)
    }
}

impl From<account_api::Step> for Step<account_api::Report> {
    fn from(step: account_api::Step) -> Self {
        match step {
            account_api::Step::Call(call) => Self::Call(Box::new(call)),
            account_api::Step::Done(report) => Self::Done(report),
            account_api::Step::Failed(failure) => Self::Failed(failure),
        }
    }
}

use templates::exports::pointsman::plugin::templates as templates_api;

/// `templates.list-page`.
pub(super) struct ListTemplates {
    pub(super) context: types::Context,
    pub(super) cursor: Option<String>,
}

impl Operation for ListTemplates {
    type Bindings = templates::Templates;
    type Done = templates_api::Page;
    const EXPORT: &'static str = "templates.list-page";

    fn load(
        loaded: &Loaded,
        instance: &Instance,
        store: &mut Store<CallState>,
    ) -> wasmtime::Result<Option<Self::Bindings>> {
        loaded.templates.as_ref().map(|export| export.load(store, instance)).transpose()
    }

    async fn begin(
        &self,
        bindings: &Self::Bindings,
        store: &mut Store<CallState>,
    ) -> wasmtime::Result<Step<Self::Done>> {
        let cursor = self.cursor.as_deref();
        bindings
            .pointsman_plugin_templates()
            .call_list_page(store, &self.context, cursor)
            .await
            .map(Step::from)
    }

    async fn resume(
        bindings: &Self::Bindings,
        store: &mut Store<CallState>,
        answer: &http::Answer,
    ) -> wasmtime::Result<Step<Self::Done>> {
        bindings.pointsman_plugin_templates().call_resume(store, answer).await.map(Step::from)
    }
}

impl From<templates_api::Step> for Step<templates_api::Page> {
    fn from(step: templates_api::Step) -> Self {
        match step {
            templates_api::Step::Call(call) => Self::Call(Box::new(call)),
            templates_api::Step::Done(page) => Self::Done(page),
            templates_api::Step::Failed(failure) => Self::Failed(failure),
        }
    }
}

use media::exports::pointsman::plugin::media as media_api;

/// `media.fetch`.
pub(super) struct FetchMedia {
    pub(super) context: types::Context,
    pub(super) vendor_ref: String,
}

impl Operation for FetchMedia {
    type Bindings = media::Media;
    type Done = String;
    const EXPORT: &'static str = "media.fetch";

    fn load(
        loaded: &Loaded,
        instance: &Instance,
        store: &mut Store<CallState>,
    ) -> wasmtime::Result<Option<Self::Bindings>> {
        loaded.media.as_ref().map(|export| export.load(store, instance)).transpose()
    }

    async fn begin(
        &self,
        bindings: &Self::Bindings,
        store: &mut Store<CallState>,
    ) -> wasmtime::Result<Step<Self::Done>> {
        bindings
            .pointsman_plugin_media()
            .call_fetch(store, &self.context, &self.vendor_ref)
            .await
            .map(Step::from)
    }

    async fn resume(
        bindings: &Self::Bindings,
        store: &mut Store<CallState>,
        answer: &http::Answer,
    ) -> wasmtime::Result<Step<Self::Done>> {
        bindings.pointsman_plugin_media().call_resume(store, answer).await.map(Step::from)
    }
}

impl From<media_api::Step> for Step<String> {
    fn from(step: media_api::Step) -> Self {
        match step {
            media_api::Step::Call(call) => Self::Call(Box::new(call)),
            media_api::Step::Done(blob) => Self::Done(blob),
            media_api::Step::Failed(failure) => Self::Failed(failure),
        }
    }
}

use sessions::exports::pointsman::plugin::sessions as sessions_api;

/// `sessions.begin`.
pub(super) struct Session {
    pub(super) context: types::Context,
    pub(super) task: sessions_api::Task,
}

impl Operation for Session {
    type Bindings = sessions::Sessions;
    type Done = sessions_api::Outcome;
    const EXPORT: &'static str = "sessions.begin";

    fn load(
        loaded: &Loaded,
        instance: &Instance,
        store: &mut Store<CallState>,
    ) -> wasmtime::Result<Option<Self::Bindings>> {
        loaded.sessions.as_ref().map(|export| export.load(store, instance)).transpose()
    }

    async fn begin(
        &self,
        bindings: &Self::Bindings,
        store: &mut Store<CallState>,
    ) -> wasmtime::Result<Step<Self::Done>> {
        bindings
            .pointsman_plugin_sessions()
            .call_begin(store, &self.context, &self.task)
            .await
            .map(Step::from)
    }

    async fn resume(
        bindings: &Self::Bindings,
        store: &mut Store<CallState>,
        answer: &http::Answer,
    ) -> wasmtime::Result<Step<Self::Done>> {
        bindings.pointsman_plugin_sessions().call_resume(store, answer).await.map(Step::from)
    }
}

impl From<sessions_api::Step> for Step<sessions_api::Outcome> {
    fn from(step: sessions_api::Step) -> Self {
        match step {
            sessions_api::Step::Call(call) => Self::Call(Box::new(call)),
            sessions_api::Step::Done(outcome) => Self::Done(outcome),
            sessions_api::Step::Failed(failure) => Self::Failed(failure),
        }
    }
}

use backfill::exports::pointsman::plugin::backfill as backfill_api;

/// `backfill.poll`.
pub(super) struct Poll {
    pub(super) context: types::Context,
    pub(super) range: backfill_api::Range,
}

impl Operation for Poll {
    type Bindings = backfill::Backfill;
    type Done = backfill_api::Batch;
    const EXPORT: &'static str = "backfill.poll";

    fn load(
        loaded: &Loaded,
        instance: &Instance,
        store: &mut Store<CallState>,
    ) -> wasmtime::Result<Option<Self::Bindings>> {
        loaded.backfill.as_ref().map(|export| export.load(store, instance)).transpose()
    }

    async fn begin(
        &self,
        bindings: &Self::Bindings,
        store: &mut Store<CallState>,
    ) -> wasmtime::Result<Step<Self::Done>> {
        bindings
            .pointsman_plugin_backfill()
            .call_poll(store, &self.context, &self.range)
            .await
            .map(Step::from)
    }

    async fn resume(
        bindings: &Self::Bindings,
        store: &mut Store<CallState>,
        answer: &http::Answer,
    ) -> wasmtime::Result<Step<Self::Done>> {
        bindings.pointsman_plugin_backfill().call_resume(store, answer).await.map(Step::from)
    }
}

impl From<backfill_api::Step> for Step<backfill_api::Batch> {
    fn from(step: backfill_api::Step) -> Self {
        match step {
            backfill_api::Step::Call(call) => Self::Call(Box::new(call)),
            backfill_api::Step::Done(batch) => Self::Done(batch),
            backfill_api::Step::Failed(failure) => Self::Failed(failure),
        }
    }
}
