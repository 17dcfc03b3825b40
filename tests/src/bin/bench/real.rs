//! The real thing: the release binary with a signed Twilio channel whose vendor
//! is the sink. Each measurement has a fresh server and a fresh database.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use pointsman_tests::api::text_at;
use pointsman_tests::metrics::Metrics;
use pointsman_tests::twilio::{ChannelPlan, channel_body};
use pointsman_tests::{Backend, Server, Twilio};
use serde_json::json;

use crate::load::{self, Connection, Target};
use crate::report::Sample;
use crate::sink::Sink;
use crate::{Options, process};

/// Answers each message with a marker once.
const RULE: &str = "//! Bench\n//!\n//! on: message.received\n//! stage: reply\n//! position: 1\n\n\
                    if message.text.contains(\"zq\") { send_message(\"echo \" + message.text); }\n";
/// Webhooks per second of the latency measurement: the system is idle most of the time.
const LATENCY_RATE: usize = 20;
/// Messages that warm caches and connections before the latency is measured.
const WARM_UP: usize = 20;

/// Counters of the database, as the engine exports them, with their short names.
const SQL_COUNTERS: [(&str, &str); 3] = [
    ("pointsman_sql_statements_total", "sql_statements"),
    ("pointsman_sql_commits_total", "sql_commits"),
    ("pointsman_sql_syncs_total", "sql_syncs"),
];

/// A running server, its channel and its vendor.
pub(crate) struct Bench {
    pub(crate) server: Server,
    sink: Sink,
    pub(crate) twilio: Twilio,
    pub(crate) target: Target,
}

/// A server that used less of a core than a tenth for this long has nothing left to do.
const CALM: Duration = Duration::from_secs(1);

impl Bench {
    /// A sink for so many messages; with a rule that answers them, or without.
    pub(crate) async fn start(messages: usize, has_rule: bool) -> Result<Self> {
        let sink = Sink::start(messages).await?;
        let server = Server::start(Backend::Sqlite).await?;
        let api = server.api()?;
        let group = api.find("/api/v1/groups", "name", "Support").await?;
        let body = channel_body(&ChannelPlan::default(), &sink.url, text_at(&group, "/id")?);
        let channel = api.post("/api/v1/channels", body).await?.expect(201)?;
        if has_rule {
            let rule = json!({"source": RULE, "publish": true, "enabled": true});
            api.post("/api/v1/rules", rule).await?.expect(201)?;
        }
        let twilio = Twilio::of(&server, &channel, "whatsapp")?;
        let local = server.local(&twilio.webhook_url);
        let rest = local.strip_prefix("http://").context("a local URL is plain HTTP")?;
        let (address, path) = rest.split_once('/').context("a hook has a path")?;
        let public_url = twilio.webhook_url.clone();
        let target = Target { address: address.to_owned(), path: format!("/{path}"), public_url };
        Ok(Self { server, sink, twilio, target })
    }

    fn cpu(&self) -> Result<Duration> {
        process::cpu(self.server.pid().context("the server ended")?)
    }

    /// Resident memory, MiB.
    pub(crate) fn memory_mib(&self) -> Result<f64> {
        process::memory_mib(self.server.pid().context("the server ended")?)
    }

    /// Waits until the server has worked off everything.
    pub(crate) async fn calm(&self) -> Result<()> {
        loop {
            let before = self.cpu()?;
            tokio::time::sleep(CALM).await;
            if self.cpu()?.saturating_sub(before) < CALM / 10 {
                return Ok(());
            }
        }
    }

    /// Sends these and waits until `total` messages have arrived in the sink, all times together.
    pub(crate) async fn answered(
        &mut self,
        requests: Vec<Vec<u8>>,
        total: usize,
        options: &Options,
    ) -> Result<Sample> {
        let messages = requests.len();
        let before = (self.cpu()?, self.server.metrics().await?);
        let start = Instant::now();
        let load = load::run(&self.target, requests, options.connections).await?;
        let arrived = self.sink.all(total).await?;
        let took = arrived.iter().max().map_or(load.took, |last| last.duration_since(start));
        let cpu = self.cpu()?.saturating_sub(before.0);
        let sample = Sample::of(messages, took, &load.latencies, cpu);
        counted(sample, self, &before.1, messages).await
    }
}

/// Durable ingest: signed webhook to 2xx, with no rule that answers.
pub(crate) async fn ingest(options: &Options) -> Result<Sample> {
    let bench = Bench::start(options.messages, false).await?;
    let requests = load::requests(&bench.target, &bench.twilio, options.messages);
    let before = (bench.cpu()?, bench.server.metrics().await?);
    let load = load::run(&bench.target, requests, options.connections).await?;
    let cpu = bench.cpu()?.saturating_sub(before.0);
    let sample = Sample::of(options.messages, load.took, &load.latencies, cpu);
    counted(sample, &bench, &before.1, options.messages).await
}

/// End to end: signed webhook, rule, call accepted by the sink.
pub(crate) async fn end_to_end(options: &Options) -> Result<Sample> {
    let mut bench = Bench::start(options.messages, true).await?;
    let requests = load::requests(&bench.target, &bench.twilio, options.messages);
    bench.answered(requests, options.messages, options).await
}

/// Idle latency: from the moment a webhook is sent to the moment its answer's call is read by the sink.
pub(crate) async fn latency(options: &Options) -> Result<Sample> {
    let messages = options.latency_seconds * LATENCY_RATE + WARM_UP;
    let mut bench = Bench::start(messages, true).await?;
    let requests = load::requests(&bench.target, &bench.twilio, messages);
    let mut connection = Connection::open(&bench.target.address).await?;
    let mut ticks = tokio::time::interval(Duration::from_secs(1) / u32::try_from(LATENCY_RATE)?);
    let cpu_before = bench.cpu()?;
    let mut sent = Vec::with_capacity(messages);
    for request in &requests {
        ticks.tick().await;
        sent.push(Instant::now());
        connection.send(request).await?;
    }
    let arrived = bench.sink.all(messages).await?;
    let pairs = sent.iter().zip(&arrived).skip(WARM_UP);
    let latencies: Vec<Duration> = pairs.map(|(sent, arrived)| arrived.duration_since(*sent)).collect();
    let cpu = bench.cpu()?.saturating_sub(cpu_before);
    let took = sent.first().map_or(Duration::ZERO, Instant::elapsed);
    let mut sample = Sample::of(latencies.len(), took, &latencies, cpu);
    sample.figures.insert("memory_mib".to_owned(), bench.memory_mib()?);
    Ok(sample)
}

/// Adds the counters per message and the memory.
async fn counted(mut sample: Sample, bench: &Bench, before: &Metrics, messages: usize) -> Result<Sample> {
    let after = bench.server.metrics().await?;
    for (metric, name) in SQL_COUNTERS {
        // An absent counter leaves a gap in the table instead of a wrong figure.
        if let Some(after) = after.sum(metric) {
            let count = after - before.sum(metric).unwrap_or(0.0);
            sample.figures.insert(name.to_owned(), count / messages as f64);
        }
    }
    sample.figures.insert("memory_mib".to_owned(), bench.memory_mib()?);
    Ok(sample)
}
