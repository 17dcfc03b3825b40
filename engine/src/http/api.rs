//! What every handler gets: the flow, the counters and a way to write.

use std::ops::Deref;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use futures_util::future::BoxFuture;
use pointsman_rules::ids::{ChannelId, TenantId};
use prometheus_client::registry::Registry;

use super::metrics::Metrics;
use super::problem::Problem;
use super::rate::Limits;
use crate::flow::Flow;
use crate::store::{Durability, StoreError, Tx};

/// The state of all handlers. A copy is one more reference: each layer around a handler has one.
#[derive(Clone)]
pub struct Api(Arc<Shared>);

/// What all copies share.
pub struct Shared {
    /// The verbs, the database, the clock and the plugins.
    pub flow: Flow,
    /// Counters of this room.
    pub metrics: Metrics,
    /// How fast callers may be.
    pub limits: Limits,
    registry: Registry,
    draining: AtomicBool,
}

impl Deref for Api {
    type Target = Shared;

    fn deref(&self) -> &Shared {
        &self.0
    }
}

/// Why a write stopped. A refusal must come before the first change: what was changed before it is kept.
#[derive(Debug)]
pub enum Refused {
    /// The caller is told this.
    Problem(Box<Problem>),
    /// The database failed; the transaction is rolled back, and perhaps run again.
    Store(StoreError),
}

impl From<Problem> for Refused {
    fn from(problem: Problem) -> Self {
        Self::Problem(Box::new(problem))
    }
}

impl From<StoreError> for Refused {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

/// For what reads only, as a transaction does.
impl From<Refused> for Problem {
    fn from(refused: Refused) -> Self {
        match refused {
            Refused::Problem(problem) => *problem,
            Refused::Store(error) => error.into(),
        }
    }
}

impl Api {
    /// `registry` holds the metrics of the other rooms; this room adds its own.
    pub fn new(flow: Flow, mut registry: Registry) -> Self {
        let metrics = Metrics::register(&mut registry, &flow);
        let limits = Limits::new(flow.clock.clone());
        Self(Arc::new(Shared { flow, metrics, limits, registry, draining: AtomicBool::default() }))
    }

    /// From now on new requests are answered 503, so that a load balancer looks elsewhere.
    pub fn drain(&self) {
        self.draining.store(true, Ordering::SeqCst);
    }

    /// Is the process going down?
    pub fn is_draining(&self) -> bool {
        self.draining.load(Ordering::SeqCst)
    }

    pub(super) fn registry(&self) -> &Registry {
        &self.registry
    }

    /// A connection for reading.
    ///
    /// # Errors
    /// 503 when the database gives none.
    pub async fn read(&self) -> Result<Tx, Problem> {
        Ok(self.flow.db.read().await?)
    }

    /// Runs `body` in a durable transaction. It may be run again, so it starts from its own inputs every time.
    ///
    /// # Errors
    /// The body's problem, or 503 when the database fails.
    pub async fn write<T, F>(&self, body: F) -> Result<T, Problem>
    where
        T: Send + 'static,
        F: for<'t> Fn(&'t mut Tx) -> BoxFuture<'t, Result<T, Refused>> + Send + Sync + 'static,
    {
        let body = Arc::new(body);
        let outcome = self.flow.db.write(Durability::Hard, move |tx| {
            let body = body.clone();
            Box::pin(async move {
                match body(tx).await {
                    Ok(value) => Ok(Ok(value)),
                    Err(Refused::Problem(problem)) => Ok(Err(*problem)),
                    Err(Refused::Store(error)) => Err(error),
                }
            })
        });
        outcome.await?
    }

    /// Tells caches that a tenant's configuration changed; call it after the write.
    pub fn changed(&self, tenant: TenantId, channel: Option<ChannelId>) {
        self.flow.forget(tenant, channel);
    }
}
