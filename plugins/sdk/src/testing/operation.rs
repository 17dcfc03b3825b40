//! Drives an operation through the calls and answers that a case scripts.

use std::future::Future;

use pointsman_cases::{Answer as Scripted, Difference, Script};
use serde_json::Value;

use super::shape;
use crate::http::{Answer, Http, Response, Stored};
use crate::{Failure, Operation, Pair, Progress};

/// The outcome as JSON, or how the calls differ from the script.
pub(super) fn run<T, F>(
    script: Script<'_>,
    begin: impl FnOnce(Http) -> F,
    done: impl FnOnce(&T) -> Value,
) -> Result<Value, String>
where
    F: Future<Output = Result<T, Failure>> + 'static,
{
    let failed = |failure: &Failure| serde_json::json!({ "failure": shape::failure(failure) });
    run_or(script, begin, done, failed)
}

/// The same where failures have a form of their own.
pub(super) fn run_or<T, E, F>(
    mut script: Script<'_>,
    begin: impl FnOnce(Http) -> F,
    done: impl FnOnce(&T) -> Value,
    failed: impl FnOnce(&E) -> Value,
) -> Result<Value, String>
where
    E: From<Failure>,
    F: Future<Output = Result<T, E>> + 'static,
{
    let mut progress = Operation::start(begin);
    let outcome = loop {
        match progress {
            Progress::Call(operation, call) => {
                let scripted = script.answer(shape::call(&call)).map_err(|found| lines(&found))?;
                progress = operation.resume(answer(scripted));
            }
            Progress::Done(value) => break done(&value),
            Progress::Failed(failure) => break failed(&failure),
        }
    };
    match script.rest() {
        rest if rest.is_empty() => Ok(outcome),
        rest => Err(format!("{}\nit ended with {outcome:#}", lines(&rest))),
    }
}

/// Differences, one a line.
pub(super) fn lines(found: &[Difference]) -> String {
    found.iter().map(Difference::to_string).collect::<Vec<_>>().join("\n")
}

pub(super) fn answer(from: &Scripted) -> Answer {
    let pairs = |headers: &[(String, String)]| {
        headers.iter().map(|(name, value)| Pair { name: name.clone(), value: value.clone() }).collect()
    };
    match from {
        Scripted::NotSent(why) => Answer::NotSent(why.clone()),
        Scripted::Unclear(why) => Answer::Unclear(why.clone()),
        Scripted::Refused(why) => Answer::Refused(why.clone()),
        Scripted::Stored { status, headers, file } => Answer::Stored(Stored {
            status: *status,
            headers: pairs(headers),
            blob: file.blob.clone(),
            content_type: file.content_type.clone(),
            size: file.size,
        }),
        Scripted::Response { status, headers, body } => {
            Answer::Response(Response { status: *status, headers: pairs(headers), body: body.clone() })
        }
    }
}
