//! Drives an operation through the calls and answers that a case scripts.

use std::future::Future;

use serde_json::Value;

use super::case::{AnswerToml, Exchange};
use super::shape;
use crate::http::{Answer, Http, Response, Stored};
use crate::{Failure, Operation, Pair, Progress};

pub(super) struct Script<'a> {
    pub(super) calls: &'a [Exchange],
}

impl Script<'_> {
    /// The outcome as JSON, or how the calls differ from the script.
    pub(super) fn run<T, F>(
        self,
        begin: impl FnOnce(Http) -> F,
        done: impl FnOnce(&T) -> Value,
    ) -> Result<Value, String>
    where
        F: Future<Output = Result<T, Failure>> + 'static,
    {
        let mut script = self.calls.iter();
        let mut progress = Operation::start(begin);
        let outcome = loop {
            match progress {
                Progress::Call(operation, call) => {
                    let call = shape::pruned(shape::call(&call));
                    let Some(next) = script.next() else {
                        return Err(format!("a call that the case does not expect: {call:#}"));
                    };
                    let expected = shape::pruned(shape::expected_call(&next.call)?);
                    if call != expected {
                        return Err(format!("expected the call {expected:#}\nbut it was {call:#}"));
                    }
                    progress = operation.resume(answer(&next.answer)?);
                }
                Progress::Done(value) => break done(&value),
                Progress::Failed(failure) => break serde_json::json!({ "failure": shape::failure(&failure) }),
            }
        };
        match script.len() {
            0 => Ok(outcome),
            left => Err(format!("{left} expected calls were not made; it ended with {outcome:#}")),
        }
    }
}

fn answer(from: &AnswerToml) -> Result<Answer, String> {
    let headers = || {
        let pair = |(name, value): &(String, String)| Pair { name: name.clone(), value: value.clone() };
        from.headers.iter().map(pair).collect::<Vec<_>>()
    };
    Ok(match from {
        AnswerToml { not_sent: Some(why), .. } => Answer::NotSent(why.clone()),
        AnswerToml { unclear: Some(why), .. } => Answer::Unclear(why.clone()),
        AnswerToml { refused: Some(why), .. } => Answer::Refused(why.clone()),
        AnswerToml { stored: Some(stored), status, .. } => Answer::Stored(Stored {
            status: status.unwrap_or(200),
            headers: headers(),
            blob: stored.blob.clone(),
            content_type: stored.content_type.clone(),
            size: stored.size,
        }),
        AnswerToml { status: Some(status), body, .. } => Answer::Response(Response {
            status: *status,
            headers: headers(),
            body: body.clone().unwrap_or_default().into_bytes(),
        }),
        _ => return Err("[answer] needs `status`, `not_sent`, `unclear` or `refused`".into()),
    })
}
