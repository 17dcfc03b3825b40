//! Runs tasks of an assistant: in the same sandbox and over the same egress as
//! providers, with a time of their own, because models are slow. Checks that what
//! comes fits what was asked. Must not decide what becomes of it.

use wasmtime::Store;
use wasmtime::component::Instance;

use super::bindings::assistant;
use super::bindings::assistant::exports::pointsman::plugin::assistant as api;
use super::bindings::provider::pointsman::plugin::{http, types};
use super::call::Loaded;
use super::egress::{Files, Line, Patience};
use super::engine::CallState;
use super::journal::Redactor;
use super::operation::{self, Operation, Step};
use super::wire::{
    AssistFailure, AssistOutcome, AssistRequest, AssistTask, Assisted, Certainty, Failure, FailureKind,
};
use super::{ChannelContext, Plugin, convert};

/// Longest time for one task, milliseconds; longer wishes are cut.
pub const ASSIST_MS_MAX: u32 = 300_000;
/// `kind` in the context of an assistant.
pub const ASSISTANT_KIND: &str = "assistant";

impl Plugin {
    /// Does one task of an assistant. `context` names the assistant, of kind [`ASSISTANT_KIND`], and no
    /// channel: its id stands where the channel's would, address and webhook URL are empty.
    ///
    /// # Errors
    /// The vendor's or the plugin's failure, or an answer that does not fit the task; kind
    /// `unsupported` when the plugin is no assistant or cannot do this task.
    #[allow(clippy::result_large_err, reason = "one a task, which takes seconds")]
    pub async fn assist(
        &self,
        context: &ChannelContext,
        request: &AssistRequest,
    ) -> Result<Assisted, AssistFailure> {
        let able = self.manifest.assistant.as_ref().is_some_and(|able| able.tasks.contains(&request.task));
        if !able {
            let word = request.task.word();
            let sentence =
                format!("plugin {} does not offer the task `{word}`; choose another", self.runner.id);
            let failure = Failure::internal(Certainty::NotPerformed, sentence);
            return Err(Failure { kind: FailureKind::Unsupported, ..failure }.into());
        }
        let (files, permissions) = (Files::default(), self.permissions(context));
        let task = Assist::new(context, request);
        let line = Line {
            egress: &self.egress,
            permissions: &permissions,
            secrets: &context.secrets,
            files: &files,
            patience: Patience::whole(task.time_ms),
        };
        let ended = operation::run(&self.runner, &line, context, task).await;
        let redactor = Redactor::new(context.secrets.clone());
        judge(request, ended).map_err(|mut failed| {
            failed.failure = redactor.clean_failure(failed.failure);
            failed
        })
    }
}

/// What the guest ended with, in our words, as far as it fits the task and its limits.
#[allow(clippy::result_large_err, reason = "made once per task, which takes a model seconds")]
pub(super) fn judge(
    request: &AssistRequest,
    ended: Result<Ended, Failure>,
) -> Result<Assisted, AssistFailure> {
    let done = ended?.map_err(convert::assist_failure)?;
    let (model, usage) = (convert::model(done.model), convert::usage(done.usage));
    let chars_max = usize::try_from(request.limits.reply_chars_max).unwrap_or(usize::MAX);
    let outcome = match (request.task, done.outcome) {
        (AssistTask::Reply | AssistTask::Suggest, api::Outcome::Reply(text)) => {
            let text = convert::plain(&text, usize::MAX);
            match text.chars().count() {
                0 => Err((FailureKind::BadResponse, "the assistant answered with an empty text".to_owned())),
                chars if chars > chars_max => Err((
                    FailureKind::ContentTooLong,
                    format!("the assistant's answer has {chars} characters, the channel takes {chars_max}"),
                )),
                _ => Ok(AssistOutcome::Reply { text }),
            }
        }
        (AssistTask::Reply | AssistTask::Suggest, api::Outcome::Handoff(handoff)) => {
            let (reason, note) = convert::handoff(handoff);
            Ok(AssistOutcome::Handoff { reason, note })
        }
        (AssistTask::Reply | AssistTask::Suggest, api::Outcome::Silence) => Ok(AssistOutcome::Silence),
        (AssistTask::Insights, api::Outcome::Insights(found)) => {
            Ok(AssistOutcome::Insights(convert::insights(found)))
        }
        (task, _) => {
            let word = task.word();
            Err((FailureKind::BadResponse, format!("the assistant's answer does not fit the task `{word}`")))
        }
    };
    match outcome {
        Ok(outcome) => {
            Ok(Assisted { outcome, confidence: convert::confidence(done.confidence), model, usage })
        }
        Err((kind, sentence)) => {
            let failure = Failure { kind, ..Failure::internal(Certainty::NotPerformed, sentence) };
            Err(AssistFailure { failure, model, usage })
        }
    }
}

/// `assistant.begin`.
pub(super) struct Assist {
    context: types::Context,
    request: api::Request,
    time_ms: u32,
}

impl Assist {
    pub(super) fn new(context: &ChannelContext, request: &AssistRequest) -> Self {
        let time_ms = request.limits.time_ms.clamp(1, ASSIST_MS_MAX);
        let mut request = convert::assist_request(request);
        request.limits.time_ms = time_ms;
        Self { context: convert::context(context), request, time_ms }
    }
}

/// A failed task has costs to tell, so both ends count as done.
pub(super) type Ended = Result<api::Done, api::Failed>;

impl Operation for Assist {
    type Bindings = assistant::Assistant;
    type Done = Ended;
    const EXPORT: &'static str = "assistant.begin";

    fn time_ms(&self) -> u64 {
        self.time_ms.into()
    }

    fn load(
        loaded: &Loaded,
        instance: &Instance,
        store: &mut Store<CallState>,
    ) -> wasmtime::Result<Option<Self::Bindings>> {
        loaded.assistant.as_ref().map(|export| export.load(store, instance)).transpose()
    }

    async fn begin(
        &self,
        bindings: &Self::Bindings,
        store: &mut Store<CallState>,
    ) -> wasmtime::Result<Step<Self::Done>> {
        let assistant = bindings.pointsman_plugin_assistant();
        assistant.call_begin(store, &self.context, &self.request).await.map(Step::from)
    }

    async fn resume(
        bindings: &Self::Bindings,
        store: &mut Store<CallState>,
        answer: &http::Answer,
    ) -> wasmtime::Result<Step<Self::Done>> {
        bindings.pointsman_plugin_assistant().call_resume(store, answer).await.map(Step::from)
    }
}

impl From<api::Step> for Step<Ended> {
    fn from(step: api::Step) -> Self {
        match step {
            api::Step::Call(call) => Self::Call(Box::new(call)),
            api::Step::Done(done) => Self::Done(Ok(done)),
            api::Step::Failed(failed) => Self::Done(Err(failed)),
        }
    }
}
