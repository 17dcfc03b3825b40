//! Runs each story on both databases. A story is an async function that takes a
//! [`Backend`]; [`each_backend!`](crate::each_backend) makes two tests of it.

use std::cell::RefCell;
use std::future::Future;
use std::time::Duration;

use anyhow::Result;

use crate::postgres;

/// A story that takes longer hangs. Long ones raise it with [`run_within`].
const STORY_LIMIT: Duration = Duration::from_secs(180);

/// Which store the server under test uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Backend {
    /// The built-in default, under the data directory.
    Sqlite,
    /// `DATABASE_URL=postgres://…`.
    Postgres,
}

impl Backend {
    /// For error texts and database names.
    pub fn name(self) -> &'static str {
        match self {
            Self::Sqlite => "sqlite",
            Self::Postgres => "postgres",
        }
    }

    /// Can this machine run it? Without PostgreSQL the story is skipped loudly;
    /// with `CI=true` that is a failure.
    ///
    /// # Panics
    /// `CI=true` and there is no PostgreSQL.
    pub fn is_there(self) -> bool {
        if self == Self::Sqlite || postgres::server_url().is_some() {
            return true;
        }
        let advice = format!("install PostgreSQL or set {}", postgres::URL_VARIABLE);
        assert!(std::env::var("CI").as_deref() != Ok("true"), "no PostgreSQL in CI: {advice}");
        eprintln!("SKIPPED, NOT PASSED: this story did not run on PostgreSQL; {advice}");
        false
    }
}

thread_local! {
    /// What servers wrote on standard error; shown when their story fails.
    static LOGS: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) };
}

/// Keeps the end of a server's log until the story is over.
pub(crate) fn keep_log(tail: String) {
    LOGS.with_borrow_mut(|logs| logs.push(tail));
}

/// Runs one story on one backend, to its end or the limit.
///
/// # Panics
/// The story failed.
pub fn run<F, Fut>(backend: Backend, story: F)
where
    F: FnOnce(Backend) -> Fut,
    Fut: Future<Output = Result<()>>,
{
    run_within(STORY_LIMIT, backend, story);
}

/// The same with another limit.
///
/// # Panics
/// The story failed.
#[expect(clippy::panic, reason = "this is how a test fails")]
pub fn run_within<F, Fut>(limit: Duration, backend: Backend, story: F)
where
    F: FnOnce(Backend) -> Fut,
    Fut: Future<Output = Result<()>>,
{
    if !backend.is_there() {
        return;
    }
    let failed = match tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build() {
        Err(error) => Some(format!("no runtime: {error}")),
        // The story's own future runs on this thread, so its servers leave their logs here.
        Ok(runtime) => match runtime.block_on(async { tokio::time::timeout(limit, story(backend)).await }) {
            Ok(Ok(())) => None,
            Ok(Err(error)) => Some(format!("{error:?}")),
            Err(_) => Some(format!("not done within {limit:?}")),
        },
    };
    let logs = LOGS.take();
    if let Some(failed) = failed {
        // The reason comes last: a report that is cut keeps its end.
        panic!("{}\non {}: {failed}", logs.join("\n"), backend.name());
    }
}

/// Makes tests `story::sqlite` and `story::postgres` of each named story.
#[macro_export]
macro_rules! each_backend {
    ($($story:ident),+ $(,)?) => {$(
        mod $story {
            #[test]
            fn sqlite() {
                $crate::backend::run($crate::Backend::Sqlite, super::$story);
            }
            #[test]
            fn postgres() {
                $crate::backend::run($crate::Backend::Postgres, super::$story);
            }
        }
    )+};
}
