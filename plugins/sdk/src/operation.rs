//! Turns an `async fn` into steps: the future runs until it awaits an HTTP call,
//! the call is handed out, and the answer lets it run on. No waking, no threads:
//! there is only ever one thing to wait for.

use std::cell::Cell;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use crate::http::{Answer, Call, Http};
use crate::{Certainty, Failure, FailureKind, Retry};

/// The slot between an operation and its [`Http`].
#[derive(Default)]
pub(crate) struct Wire {
    asked: Cell<Option<Call>>,
    answered: Cell<Option<Answer>>,
}

impl Wire {
    /// Hands out a call; ready when [`Operation::resume`] has brought the answer.
    pub(crate) async fn exchange(&self, call: Call) -> Answer {
        self.asked.set(Some(call));
        std::future::poll_fn(|_| self.answered.take().map_or(Poll::Pending, Poll::Ready)).await
    }
}

/// A running `async fn` of a provider that waits for the answer to a call.
pub struct Operation<T, E = Failure> {
    future: Pin<Box<dyn Future<Output = Result<T, E>>>>,
    wire: Rc<Wire>,
}

/// How far an operation came.
#[allow(clippy::large_enum_variant, reason = "made once per call and taken apart at once")]
pub enum Progress<T, E = Failure> {
    /// It wants this call made; go on with [`Operation::resume`].
    Call(Operation<T, E>, Call),
    /// It succeeded.
    Done(T),
    /// It failed.
    Failed(E),
}

impl<T, E: From<Failure>> Operation<T, E> {
    /// Starts an operation and runs it to its first call or its end.
    pub fn start<F>(begin: impl FnOnce(Http) -> F) -> Progress<T, E>
    where
        F: Future<Output = Result<T, E>> + 'static,
    {
        let wire = Rc::new(Wire::default());
        let future = Box::pin(begin(Http::over(wire.clone())));
        Self { future, wire }.run()
    }

    /// Runs on with the answer, to the next call or the end.
    pub fn resume(self, answer: Answer) -> Progress<T, E> {
        self.wire.answered.set(Some(answer));
        self.run()
    }

    fn run(mut self) -> Progress<T, E> {
        match self.future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(Ok(done)) => Progress::Done(done),
            Poll::Ready(Err(failure)) => Progress::Failed(failure),
            Poll::Pending => match self.wire.asked.take() {
                Some(call) => Progress::Call(self, call),
                None => Progress::Failed(
                    stuck("the plugin waits for something that is not an HTTP call; await only `http`")
                        .into(),
                ),
            },
        }
    }
}

/// A plugin that broke the rules of stepping; calls may have been made.
pub(crate) fn stuck(message: &str) -> Failure {
    Failure::new(FailureKind::Internal, message).retry(Retry::Never).effect(Certainty::Unknown)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::{self, Response};

    fn answer(body: &str) -> Answer {
        Answer::Response(Response { status: 200, headers: vec![], body: body.as_bytes().to_vec() })
    }

    #[test]
    fn straight_line_code_becomes_one_step_for_each_call() {
        let started: Progress<Vec<String>> = Operation::start(|http| async move {
            let mut seen = vec![];
            for path in ["upload", "send"] {
                let answer = http.exchange(http::get(format!("https://a.test/{path}"))).await?;
                seen.push(String::from_utf8_lossy(&answer.body).into_owned());
            }
            Ok(seen)
        });
        let Progress::Call(operation, call) = started else { panic!("no first call") };
        assert_eq!(call.url, "https://a.test/upload");
        let Progress::Call(operation, call) = operation.resume(answer("one")) else {
            panic!("no second call")
        };
        assert_eq!(call.url, "https://a.test/send");
        let Progress::Done(seen) = operation.resume(answer("two")) else { panic!("not done") };
        assert_eq!(seen, ["one", "two"]);
    }

    #[test]
    fn waiting_for_anything_else_fails_instead_of_hanging() {
        let started = Operation::<()>::start(|_| async {
            std::future::pending::<()>().await;
            Ok(())
        });
        let Progress::Failed(failure) = started else { panic!("not failed") };
        assert_eq!(failure.kind, FailureKind::Internal);
        assert_eq!(failure.effect, Certainty::Unknown);
    }
}
