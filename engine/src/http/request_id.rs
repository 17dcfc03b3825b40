//! Every request has an id: in the log, in the response and in problem
//! documents, so that a client's question finds its log lines.

use pointsman_rules::ids::RequestId;

tokio::task_local! {
    static CURRENT: RequestId;
}

/// Runs a request's work under its id.
pub(super) async fn scope<F: Future>(id: RequestId, work: F) -> F::Output {
    CURRENT.scope(id, work).await
}

/// The id of the request that this task serves.
pub fn current() -> Option<RequestId> {
    CURRENT.try_with(|id| *id).ok()
}
