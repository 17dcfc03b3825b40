//! A vendor that plays its part of a case up to one call, and then answers
//! something else, whatever it is asked.

use std::sync::{Mutex, PoisonError};

use pointsman_cases::{Answer, Case, Script};

use super::super::bindings::provider::pointsman::plugin::http;
use super::super::cases::{recording, shape};
use super::super::convert;
use super::super::egress::Performed;
use super::super::operation::{self, Caller};
use super::super::wire::{Failure, OutboundMessage, Receipt, SessionOutcome, SessionTask};
use super::super::{ChannelContext, Plugin};
use super::Sending;

/// The vendor of one operation.
pub(super) struct Vendor<'a>(Mutex<Progress<'a>>);

struct Progress<'a> {
    script: Script<'a>,
    /// Calls that are answered as recorded.
    recorded: usize,
    then: Answer,
    calls: Vec<Made>,
}

/// A call that was made.
#[derive(Clone)]
pub(super) struct Made {
    /// May it be repeated without harm?
    pub(super) harmless: bool,
}

impl<'a> Vendor<'a> {
    /// Answers so many calls as recorded, and all later ones with `then`.
    pub(super) fn new(script: Script<'a>, recorded: usize, then: Answer) -> Self {
        Self(Mutex::new(Progress { script, recorded, then, calls: Vec::new() }))
    }

    /// Sends a message to this vendor; answers what came of it and the calls that were made.
    pub(super) async fn send(
        self,
        from: &Sending<'_>,
        message: &OutboundMessage,
    ) -> (Result<Receipt, Failure>, Vec<Made>) {
        let operation = operation::SendMessage {
            context: convert::context(&from.context),
            message: convert::outbound(message),
        };
        let outcome = operation::run(&from.plugin.runner, &self, &from.context, operation).await;
        (outcome.map(convert::receipt), self.calls())
    }

    /// Asks this vendor about the linked phone.
    pub(super) async fn ask(
        self,
        plugin: &Plugin,
        context: &ChannelContext,
        task: &SessionTask,
    ) -> (Result<SessionOutcome, Failure>, Vec<Made>) {
        let operation =
            operation::Session { context: convert::context(context), task: convert::session_task(task) };
        let outcome = operation::run(&plugin.runner, &self, context, operation).await;
        (outcome.map(convert::session_outcome), self.calls())
    }

    fn calls(self) -> Vec<Made> {
        self.0.into_inner().unwrap_or_else(PoisonError::into_inner).calls
    }
}

impl Caller for Vendor<'_> {
    async fn perform(&self, call: http::Call) -> Performed {
        let mut progress = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let words = shape::call(&call);
        let harmless = call.idempotent || matches!(call.method.as_str(), "GET" | "HEAD");
        progress.calls.push(Made { harmless });
        let made = progress.calls.len();
        let answer = if made <= progress.recorded {
            let refused = Answer::Refused("the case does not expect this call".into());
            recording::answer(progress.script.answer(words).unwrap_or(&refused))
        } else {
            recording::answer(&progress.then)
        };
        Performed::new(&call.method, answer)
    }
}

/// What is never said in a failure: a secret, the message, the recipient.
pub(super) fn leak(case: &Case, recipient: &str, failure: &Failure) -> Option<String> {
    /// Shorter words are found everywhere by chance, bytes.
    const WORD_BYTES_MIN: usize = 6;
    let said = serde_json::to_string(failure).unwrap_or_default();
    let secrets = case.context.secrets.values().map(|value| ("a secret", value.as_str()));
    let recipient = [("the recipient", recipient)];
    let told = secrets.chain(recipient).find(|(_, it)| it.len() >= WORD_BYTES_MIN && said.contains(it));
    told.map(|(what, _)| format!("the failure tells {what}; say what to do instead"))
}
