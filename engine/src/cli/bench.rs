//! `pointsman bench`: visitors who write on a chat page, to measure how fast a
//! running server takes messages. What it measures is the time to the answer,
//! which comes when the message is safely stored.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use clap::Args;
use serde_json::{Value, json};
use url::Url;

use super::client::http_client;
use super::error::{CliError, with_causes};
use super::output::Out;
use crate::clock::Clock;
use crate::crypto::Secret;

/// The header that carries a visitor's token.
const VISITOR_HEADER: &str = "x-pointsman-visitor";
const CALL_TIMEOUT: Duration = Duration::from_secs(30);

/// Measure a running server over its chat page
#[derive(Debug, Clone, Args)]
pub(super) struct Bench {
    /// The chat page: the link that `pointsman serve` prints
    #[arg(long, value_name = "URL")]
    chat: Url,
    /// Messages in all
    #[arg(long, default_value_t = 1_000, value_parser = clap::value_parser!(u64).range(1..=10_000_000))]
    messages: u64,
    /// Visitors who write at the same time, each one message after the other
    #[arg(long, default_value_t = 16, value_parser = clap::value_parser!(u64).range(1..=10_000))]
    visitors: u64,
}

/// What the visitors share.
struct Load {
    http: reqwest::Client,
    page: String,
    messages: u64,
    next: AtomicU64,
    clock: Clock,
}

#[derive(Debug, Default)]
struct Tally {
    micros: Vec<u64>,
    refused: u64,
    first_refusal: Option<String>,
}

impl Bench {
    pub(super) async fn run(self, out: Out) -> Result<(), CliError> {
        let load = Arc::new(Load {
            http: http_client(&self.chat)?,
            page: self.chat.as_str().trim_end_matches('/').to_owned(),
            messages: self.messages,
            next: AtomicU64::new(0),
            clock: Clock::system(),
        });
        let mut tokens = Vec::new();
        for _ in 0..self.visitors.min(self.messages) {
            tokens.push(load.visitor().await?);
        }
        let start = Instant::now();
        let mut visitors = tokio::task::JoinSet::new();
        for token in tokens {
            visitors.spawn(load.clone().write(token));
        }
        let mut tally = Tally::default();
        while let Some(ended) = visitors.join_next().await {
            let ended = ended.map_err(|error| CliError::Failed(format!("a visitor ended early: {error}")))?;
            tally.add(ended);
        }
        let report = tally.report(start.elapsed());
        out.result(&report, || shown(&report))?;
        if tally.refused == 0 { Ok(()) } else { Err(CliError::Said) }
    }
}

impl Load {
    async fn visitor(&self) -> Result<Secret, CliError> {
        let url = format!("{}/session", self.page);
        let answer = self.http.post(url).json(&json!({})).timeout(CALL_TIMEOUT).send().await;
        let gone = |error: reqwest::Error| {
            CliError::Unavailable(format!(
                "the chat page does not answer: {}",
                with_causes(&error.without_url())
            ))
        };
        let answer = answer.map_err(gone)?;
        let status = answer.status();
        let session: Value = answer.json().await.unwrap_or_default();
        match session["token"].as_str() {
            Some(token) if status.is_success() => Ok(Secret::new(token)),
            _ => Err(CliError::Failed(format!(
                "no session on this chat page (HTTP {status}); is --chat its whole URL?"
            ))),
        }
    }

    /// One visitor: one message after the other, until all are written.
    async fn write(self: Arc<Self>, token: Secret) -> Tally {
        let mut tally = Tally::default();
        loop {
            let number = self.next.fetch_add(1, Ordering::Relaxed);
            if number >= self.messages {
                return tally;
            }
            let body =
                json!({"id": format!("{:032x}", self.clock.random()), "text": format!("bench {number}")});
            let request =
                self.http.post(format!("{}/messages", self.page)).header(VISITOR_HEADER, token.expose());
            let start = Instant::now();
            let answer = request.json(&body).timeout(CALL_TIMEOUT).send().await;
            let micros = u64::try_from(start.elapsed().as_micros()).unwrap_or(u64::MAX);
            match answer {
                Ok(answer) if answer.status().is_success() => tally.micros.push(micros),
                Ok(answer) => tally.refuse(format!("HTTP {}", answer.status())),
                Err(error) => tally.refuse(with_causes(&error.without_url())),
            }
        }
    }
}

impl Tally {
    fn refuse(&mut self, why: String) {
        self.refused += 1;
        self.first_refusal.get_or_insert(why);
    }

    fn add(&mut self, other: Self) {
        self.micros.extend(other.micros);
        self.refused += other.refused;
        self.first_refusal = self.first_refusal.take().or(other.first_refusal);
    }

    #[expect(clippy::cast_precision_loss, reason = "figures for people")]
    fn report(&mut self, elapsed: Duration) -> Value {
        self.micros.sort_unstable();
        let ms = |percent| percentile(&self.micros, percent).map(|micros| micros as f64 / 1_000.0);
        json!({
            "messages": self.micros.len(), "refused": self.refused, "first_refusal": self.first_refusal,
            "seconds": elapsed.as_secs_f64(),
            "messages_per_second": self.micros.len() as f64 / elapsed.as_secs_f64().max(f64::EPSILON),
            "ms": {"p50": ms(50.0), "p90": ms(90.0), "p99": ms(99.0), "p999": ms(99.9), "max": ms(100.0)},
        })
    }
}

/// Nearest rank of sorted values.
#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "small and positive"
)]
fn percentile(sorted: &[u64], percent: f64) -> Option<u64> {
    let rank = (percent / 100.0 * sorted.len() as f64).ceil() as usize;
    sorted.get(rank.max(1) - 1).copied()
}

fn shown(report: &Value) -> String {
    let number = |at: &str| report.pointer(at).and_then(Value::as_f64).unwrap_or_default();
    let mut lines = vec![
        format!(
            "{} messages in {:.1} s: {:.0} per second",
            report["messages"],
            number("/seconds"),
            number("/messages_per_second")
        ),
        format!(
            "answer after  p50 {:.1} ms  p90 {:.1} ms  p99 {:.1} ms  p99.9 {:.1} ms  max {:.1} ms",
            number("/ms/p50"),
            number("/ms/p90"),
            number("/ms/p99"),
            number("/ms/p999"),
            number("/ms/max")
        ),
    ];
    if let Some(why) = report["first_refusal"].as_str() {
        lines.push(format!("{} refused, the first one with: {why}", report["refused"]));
    }
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_nearest_ranks() {
        let values: Vec<_> = (1..=10).collect();
        assert_eq!(percentile(&values, 50.0), Some(5));
        assert_eq!(percentile(&values, 99.0), Some(10));
        assert_eq!(percentile(&values, 100.0), Some(10));
        assert_eq!(percentile(&[7], 0.0), Some(7));
        assert_eq!(percentile(&[], 50.0), None);
    }

    #[test]
    fn refusals_are_told() {
        let mut all = Tally { micros: vec![3_000, 1_000], ..Tally::default() };
        let mut other = Tally::default();
        other.refuse("HTTP 429".into());
        all.add(other);
        let text = shown(&all.report(Duration::from_secs(2)));
        assert!(text.starts_with("2 messages in 2.0 s: 1 per second\n"), "{text}");
        assert!(
            text.contains("p50 1.0 ms") && text.ends_with("1 refused, the first one with: HTTP 429"),
            "{text}"
        );
    }
}
