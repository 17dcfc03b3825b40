//! What a server takes that does little: from its start to the first answer, at
//! rest, and with ten thousand conversations that go on. A first burst goes before
//! them, because it is not conversations that fill pools and caches.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use crate::real::Bench;
use crate::report::median;
use crate::{Options, load};

/// Published rules that look at messages, beside the one that answers.
const RULES: usize = 100;
/// Messages of the first burst.
const BURST: usize = 2_000;
/// Conversations that are added, of one message each.
const CONVERSATIONS: usize = 10_000;
/// Starts on the same data; the median counts.
const STARTS: usize = 5;
/// What a start may take, plugins compiled before, milliseconds.
const START_MS_MAX: f64 = 500.0;
/// What a server at rest may hold, MiB.
const REST_MIB_MAX: f64 = 120.0;
/// What the conversations may add, MiB.
const ADDED_MIB_MAX: f64 = 50.0;
/// A server that has nothing left to do is at rest after so long.
const REST: Duration = Duration::from_secs(10);

/// Starts a server with its rules anew, and fills it.
pub(crate) async fn measure(options: &Options) -> Result<Value> {
    let mut bench = Bench::start(BURST + CONVERSATIONS, true).await?;
    let api = bench.server.api()?;
    for number in 0..RULES {
        let rule = json!({"source": source(number), "publish": true, "enabled": true});
        api.post("/api/v1/rules", rule).await?.expect(201)?;
    }
    let mut starts = Vec::new();
    for _ in 0..STARTS {
        starts.push(start(&mut bench).await?);
    }
    let rest_mib = rested_mib(&bench).await?;
    let burst = load::requests(&bench.target, &bench.twilio, BURST);
    bench.answered(burst, BURST, options).await?;
    let burst_mib = rested_mib(&bench).await?;
    let texts = (BURST..BURST + CONVERSATIONS).map(|number| (number, number, load::text(number)));
    let requests = load::signed(&bench.target, &bench.twilio, texts);
    let sample = bench.answered(requests, BURST + CONVERSATIONS, options).await?;
    let filled_mib = rested_mib(&bench).await?;
    let plugins = bench.server.api()?.get("/api/v1/plugins").await?.expect(200)?;
    Ok(json!({
        "plugins": plugins["items"].as_array().context("a list of plugins")?.len(),
        "start_ms": median(starts),
        "rest_mib": rest_mib,
        "burst_mib": burst_mib,
        "added_mib": filled_mib - burst_mib,
        "per_second": sample.figures.get("per_second"),
        "cpu_ms": sample.figures.get("cpu_ms"),
    }))
}

/// Milliseconds from the call of the program to its first 2xx.
async fn start(bench: &mut Bench) -> Result<f64> {
    bench.server.kill().await?;
    let begun = Instant::now();
    bench.server.restart().await?;
    let answer = bench.server.api()?.get("/healthz").await?;
    ensure!(answer.status == 200, "/healthz answered {}", answer.status);
    Ok(begun.elapsed().as_secs_f64() * 1e3)
}

/// What the server holds when it has been at rest for a while.
async fn rested_mib(bench: &Bench) -> Result<f64> {
    bench.calm().await?;
    tokio::time::sleep(REST).await;
    bench.memory_mib()
}

/// A rule of a busy tenant; no message of the load is about its topic.
fn source(number: usize) -> String {
    format!(
        "//! Topic {number}\n//!\n//! on: message.received\n\n\
         if message.text.contains_any([\"topic {number}.\", \"matter {number}.\"]) {{\n    set_priority(\"high\");\n}}\n"
    )
}

pub(crate) fn table(of: &Value) -> String {
    let row = |what: &str, name: &str, unit: &str, max: Option<f64>| {
        let max = max.map_or(String::new(), |max| format!("under {max:.0} {unit}"));
        format!("| {what} | {:.0} {unit} | {max} |\n", of[name].as_f64().unwrap_or(f64::NAN))
    };
    let head = format!(
        "a server with {} plugins and {RULES} rules\n\n| what | measured | target |\n|---|---|---|\n",
        of["plugins"]
    );
    head + &row("start to the first 2xx, plugins compiled before", "start_ms", "ms", Some(START_MS_MAX))
        + &row("memory at rest", "rest_mib", "MiB", Some(REST_MIB_MAX))
        + &row("memory after a first burst of messages", "burst_mib", "MiB", None)
        + &row("added by 10,000 live conversations", "added_mib", "MiB", Some(ADDED_MIB_MAX))
}
