//! Joins a provider or an assistant to the contract's exports. Only compiled for wasm; holds the
//! one operation that an instance may run.

use std::cell::RefCell;
use std::marker::PhantomData;

use crate::bindings::account::exports::pointsman::plugin::account as account_export;
use crate::bindings::assistant::exports::pointsman::plugin::assistant as assistant_export;
use crate::bindings::backfill::exports::pointsman::plugin::backfill as backfill_export;
use crate::bindings::media::exports::pointsman::plugin::media as media_export;
use crate::bindings::sessions::exports::pointsman::plugin::sessions as sessions_export;
use crate::bindings::templates::exports::pointsman::plugin::templates as templates_export;
use crate::http::Answer;
use crate::operation::{Operation, Progress, stuck};
use crate::provider::{Account, Assistant, Backfill, Media, Provider, Sessions, Templates};
use crate::{
    Context, Failure, account, assistant, backfill, descriptor, log, sender, sessions, templates, webhook,
};

/// The exports of a provider or an assistant.
pub struct Exported<P>(PhantomData<P>);

thread_local! {
    static SEND: RefCell<Option<Operation<sender::Receipt>>> = const { RefCell::new(None) };
    static ASSIST: RefCell<Option<Operation<assistant::Done, assistant::Failed>>> =
        const { RefCell::new(None) };
    static ACCOUNT: RefCell<Option<Operation<account::Report>>> = const { RefCell::new(None) };
    static FETCH: RefCell<Option<Operation<String>>> = const { RefCell::new(None) };
    static SESSION: RefCell<Option<Operation<sessions::Outcome>>> = const { RefCell::new(None) };
    static POLL: RefCell<Option<Operation<backfill::Batch>>> = const { RefCell::new(None) };
    static LIST: RefCell<Option<Operation<templates::Page>>> = const { RefCell::new(None) };
}

const NOT_STARTED: &str = "`resume` was called without an operation that waits for an answer";

fn resumed<T, E: From<Failure>>(running: Option<Operation<T, E>>, answer: Answer) -> Progress<T, E> {
    match running {
        Some(operation) => operation.resume(answer),
        None => Progress::Failed(stuck(NOT_STARTED).into()),
    }
}

/// Keeps what still runs and says the step in the words of its interface.
macro_rules! step {
    ($kept:ident, $step:path, $progress:expr) => {{
        use $step as Step;
        match $progress {
            Progress::Call(operation, call) => {
                $kept.set(Some(operation));
                Step::Call(call)
            }
            Progress::Done(done) => Step::Done(done),
            Progress::Failed(failure) => Step::Failed(failure),
        }
    }};
}

impl<P: Provider> descriptor::Guest for Exported<P> {
    fn describe() -> descriptor::Manifest {
        log::report_panics();
        P::describe()
    }

    fn validate(settings_json: String, kind: String) -> Vec<descriptor::FieldError> {
        log::report_panics();
        P::validate(&settings_json, &kind)
    }
}

impl<P: Provider> webhook::Guest for Exported<P> {
    fn authenticate(context: Context, request: webhook::Request) -> webhook::Verdict {
        log::report_panics();
        P::authenticate(&context, &request)
    }

    fn parse(context: Context, request: webhook::Request) -> Result<Vec<webhook::Event>, Failure> {
        log::report_panics();
        P::parse(&context, &request)
    }
}

impl<P: Provider> sender::Guest for Exported<P> {
    fn send(context: Context, message: sender::Message) -> sender::Step {
        log::report_panics();
        let started = Operation::start(|http| async move { P::send(&context, message, &http).await });
        step!(SEND, sender::Step, started)
    }

    fn resume(answer: Answer) -> sender::Step {
        step!(SEND, sender::Step, resumed(SEND.take(), answer))
    }
}

impl<P: Assistant> assistant_export::Guest for Exported<P> {
    fn describe() -> assistant::Manifest {
        log::report_panics();
        P::describe()
    }

    fn validate(settings_json: String) -> Vec<descriptor::FieldError> {
        log::report_panics();
        P::validate(&settings_json)
    }

    fn begin(context: Context, request: assistant::Request) -> assistant_export::Step {
        log::report_panics();
        let started = Operation::start(|http| async move { P::assist(&context, request, &http).await });
        step!(ASSIST, assistant_export::Step, started)
    }

    fn resume(answer: Answer) -> assistant_export::Step {
        step!(ASSIST, assistant_export::Step, resumed(ASSIST.take(), answer))
    }
}

impl<P: Account> account_export::Guest for Exported<P> {
    fn begin(context: Context, task: account::Task) -> account_export::Step {
        log::report_panics();
        let started = Operation::start(|http| async move { P::account(&context, task, &http).await });
        step!(ACCOUNT, account_export::Step, started)
    }

    fn resume(answer: Answer) -> account_export::Step {
        step!(ACCOUNT, account_export::Step, resumed(ACCOUNT.take(), answer))
    }
}

impl<P: Media> media_export::Guest for Exported<P> {
    fn fetch(context: Context, vendor_ref: String) -> media_export::Step {
        log::report_panics();
        let started = Operation::start(|http| async move { P::fetch(&context, &vendor_ref, &http).await });
        step!(FETCH, media_export::Step, started)
    }

    fn resume(answer: Answer) -> media_export::Step {
        step!(FETCH, media_export::Step, resumed(FETCH.take(), answer))
    }
}

impl<P: Sessions> sessions_export::Guest for Exported<P> {
    fn begin(context: Context, task: sessions::Task) -> sessions_export::Step {
        log::report_panics();
        let started = Operation::start(|http| async move { P::session(&context, task, &http).await });
        step!(SESSION, sessions_export::Step, started)
    }

    fn resume(answer: Answer) -> sessions_export::Step {
        step!(SESSION, sessions_export::Step, resumed(SESSION.take(), answer))
    }
}

impl<P: Templates> templates_export::Guest for Exported<P> {
    fn list_page(context: Context, cursor: Option<String>) -> templates_export::Step {
        log::report_panics();
        let started =
            Operation::start(|http| async move { P::list_page(&context, cursor.as_deref(), &http).await });
        step!(LIST, templates_export::Step, started)
    }

    fn resume(answer: Answer) -> templates_export::Step {
        step!(LIST, templates_export::Step, resumed(LIST.take(), answer))
    }
}

impl<P: Backfill> backfill_export::Guest for Exported<P> {
    fn poll(context: Context, range: backfill::Range) -> backfill_export::Step {
        log::report_panics();
        let started = Operation::start(|http| async move { P::poll(&context, range, &http).await });
        step!(POLL, backfill_export::Step, started)
    }

    fn resume(answer: Answer) -> backfill_export::Step {
        step!(POLL, backfill_export::Step, resumed(POLL.take(), answer))
    }
}
