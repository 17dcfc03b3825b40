//! Counters of this room and of the store, in the registry that `/metrics`
//! shows. Labels come from closed sets (routes, methods, outcomes), never from
//! a caller's text.

use std::sync::atomic::Ordering;

use axum::http::{Method, StatusCode};
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeLabelSet, EncodeMetric as _};
use prometheus_client::metrics::counter::{ConstCounter, Counter};
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::Registry;

use crate::flow::Flow;
use crate::store::Db;

/// Counters of HTTP, cheap to clone.
#[derive(Clone)]
pub struct Metrics {
    requests: Family<RequestLabels, Counter>,
    seconds: Family<RouteLabels, Histogram>,
    webhooks: Family<OutcomeLabels, Counter>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RequestLabels {
    route: String,
    method: String,
    status: u32,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RouteLabels {
    route: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OutcomeLabels {
    outcome: &'static str,
}

impl Metrics {
    pub(super) fn register(registry: &mut Registry, flow: &Flow) -> Self {
        // 1 ms to 16 s.
        let seconds: Family<RouteLabels, Histogram> =
            Family::new_with_constructor(|| Histogram::new(exponential_buckets(0.001, 2.0, 15)));
        let metrics = Self { requests: Family::default(), seconds, webhooks: Family::default() };
        registry.register("pointsman_http_requests", "Requests that were answered", metrics.requests.clone());
        registry.register(
            "pointsman_http_request_seconds",
            "Time until the head of the answer",
            metrics.seconds.clone(),
        );
        registry.register(
            "pointsman_webhooks",
            "Vendors' webhooks by what became of them",
            metrics.webhooks.clone(),
        );
        registry.register(
            "pointsman_jobs",
            "Ended runs of this process' jobs that come round",
            flow.job_runs.0.clone(),
        );
        registry.register(
            "pointsman_webhook_calls",
            "Ended calls of outgoing webhooks by this process",
            flow.calls.ended.clone(),
        );
        registry.register(
            "pointsman_rule_runs",
            "What became of rules on events in this process",
            flow.watch.ended.clone(),
        );
        registry.register_collector(Box::new(Sql(flow.db.clone())));
        metrics
    }

    /// A webhook was answered; `outcome`: `stored`, `answered`, `quarantined`, `forged`, `unknown`, `malformed`, …
    pub fn webhook(&self, outcome: &'static str) {
        self.webhooks.get_or_create(&OutcomeLabels { outcome }).inc();
    }

    pub(super) fn request(&self, route: &str, method: &Method, status: StatusCode, took_micros: u64) {
        // Methods are free text in HTTP; only the known ones may become labels.
        let known = [Method::GET, Method::POST, Method::PATCH, Method::DELETE, Method::PUT, Method::HEAD];
        let method = if known.contains(method) { method.to_string() } else { "other".to_owned() };
        let labels = RequestLabels { route: route.to_owned(), method, status: u32::from(status.as_u16()) };
        self.requests.get_or_create(&labels).inc();
        self.seconds
            .get_or_create(&RouteLabels { route: route.to_owned() })
            .observe(took_micros as f64 / 1e6);
    }
}

/// Reads the store's own counters when somebody looks.
struct Sql(Db);

impl std::fmt::Debug for Sql {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Sql")
    }
}

impl Collector for Sql {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        let stats = self.0.stats();
        let counters = [
            ("pointsman_sql_statements", "SQL statements", &stats.statements),
            ("pointsman_sql_commits", "Commits", &stats.commits),
            (
                "pointsman_sql_syncs",
                "Times commits were brought to disk; on SQLite several at once",
                &stats.syncs,
            ),
            (
                "pointsman_sql_batches_split",
                "Shared commits that had to be run one by one",
                &stats.batches_split,
            ),
        ];
        for (name, help, value) in counters {
            let counter = ConstCounter::new(value.load(Ordering::Relaxed));
            let metric = encoder.encode_descriptor(name, help, None, counter.metric_type())?;
            counter.encode(metric)?;
        }
        Ok(())
    }
}
