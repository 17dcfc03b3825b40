//! Our tables as an apalis backend: a stream of claimed work in, apalis workers
//! over it, and an end when asked. Knows nothing of what the work is.

use apalis::prelude::*;
use apalis_core::backend::custom::BackendBuilder;
use apalis_core::error::BoxDynError;
use futures_util::stream::BoxStream;
use futures_util::{FutureExt as _, sink};
use tokio_util::sync::CancellationToken;

/// What a fetcher emits.
pub(super) type Fetched<J> = Result<Option<Task<J>>, BoxDynError>;

/// Does `work` with everything that `fetch` finds in `source`, at most `concurrency` at once, until `stop`.
pub(super) async fn run<S, J, W, F>(
    name: &'static str,
    source: S,
    fetch: fn(S) -> BoxStream<'static, Fetched<J>>,
    concurrency: usize,
    work: W,
    stop: CancellationToken,
) where
    S: Clone + Send + Sync + 'static,
    J: Clone + Send + Sync + Unpin + 'static,
    W: Fn(J) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = Result<(), BoxDynError>> + Send + 'static,
{
    let factory = move |index: usize| {
        let backend = BackendBuilder::new()
            .database(source.clone())
            .fetcher(move |source: &mut S, _: &(), _: &WorkerContext| fetch(source.clone()))
            .sink(|source: &mut S, _: &()| {
                // Nobody pushes: work comes from our tables only.
                sink::unfold(source.clone(), |source, _: Task<J>| {
                    async move { Ok::<_, BoxDynError>(source) }.boxed()
                })
            })
            .build()
            .expect("a fetcher and a sink were given");
        let work = work.clone();
        WorkerBuilder::new(format!("{name}-{index}"))
            .backend(backend)
            .concurrency(concurrency)
            .catch_panic()
            .build(move |job: J| work(job))
    };
    let ended = stop.clone();
    let monitor = Monitor::new().register(factory).should_restart(move |_, error| {
        tracing::error!(%error, worker = name, "a worker ended");
        !ended.is_cancelled()
    });
    let signal = async move {
        stop.cancelled().await;
        Ok(())
    };
    if let Err(error) = monitor.run_with_signal(signal).await {
        tracing::error!(%error, worker = name, "the monitor of a worker ended");
    }
}
