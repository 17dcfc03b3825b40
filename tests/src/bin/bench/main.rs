//! `make bench`: the release build against floors measured in the same run.
//! Three interleaved rounds of five measurements; medians and ratios as a table,
//! JSON and a plot. Never a timed test: nothing fails because a machine is slow.

mod backtest;
mod floor;
mod footprint;
mod growth;
mod lists;
mod load;
mod process;
mod real;
mod report;
mod sink;

use std::path::PathBuf;

use anyhow::{Context, Result, bail};

use crate::report::{Measure, Report};

/// What a run may be told.
#[derive(Debug, Clone)]
struct Options {
    /// Interleaved rounds; the medians of them count.
    rounds: usize,
    /// Messages per measurement.
    messages: usize,
    /// Connections of the load generator.
    connections: usize,
    /// Seconds of the latency measurement.
    latency_seconds: usize,
    /// Stored events of the backtest.
    events: u64,
    /// Customers that the smaller server of the growth measurement knows.
    customers: usize,
    /// Where the results go.
    out: PathBuf,
    /// Measures this part only.
    only: Option<Part>,
}

/// A part of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    /// The machine, without the engine.
    Floors,
    /// Lists in a large tenant.
    Lists,
    /// A rule against many stored events.
    Backtest,
    /// Start and memory of a server that does little.
    Footprint,
    /// Few customers and many; takes long, so only when asked for.
    Growth,
    /// Throughput and latency, beside their floors.
    Speed,
}

const USAGE: &str = "bench [--rounds 3] [--messages 16000] [--connections 64] [--latency-seconds 10] [--out DIR] [--events 100000] [--customers 100000] [--only floors|speed|footprint|lists|backtest|growth]";

fn options(args: &[String]) -> Result<Options> {
    let mut options = Options {
        rounds: 3,
        messages: 16_000,
        connections: 64,
        latency_seconds: 10,
        events: 100_000,
        customers: 100_000,
        out: PathBuf::from("target/bench"),
        only: None,
    };
    let mut args = args.iter();
    while let Some(name) = args.next() {
        let value = args.next().with_context(|| format!("{name} needs a value; usage: {USAGE}"))?;
        match name.as_str() {
            "--rounds" => options.rounds = value.parse()?,
            "--messages" => options.messages = value.parse()?,
            "--connections" => options.connections = value.parse()?,
            "--latency-seconds" => options.latency_seconds = value.parse()?,
            "--events" => options.events = value.parse()?,
            "--customers" => options.customers = value.parse()?,
            "--out" => options.out = PathBuf::from(value),
            "--only" if value == "floors" => options.only = Some(Part::Floors),
            "--only" if value == "footprint" => options.only = Some(Part::Footprint),
            "--only" if value == "growth" => options.only = Some(Part::Growth),
            "--only" if value == "speed" => options.only = Some(Part::Speed),
            "--only" if value == "lists" => options.only = Some(Part::Lists),
            "--only" if value == "backtest" => options.only = Some(Part::Backtest),
            _ => bail!("unknown option {name}; usage: {USAGE}"),
        }
    }
    if options.rounds == 0 || options.messages < options.connections || options.connections == 0 {
        bail!("at least one round and one message per connection; usage: {USAGE}");
    }
    Ok(options)
}

fn main() -> Result<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    // A floor is this binary again, as a process of its own, so that its CPU can be counted.
    if args.first().is_some_and(|arg| arg == floor::COMMAND) {
        return runtime.block_on(floor::serve(&args[1..]));
    }
    runtime.block_on(run(&options(&args)?))
}

async fn run(options: &Options) -> Result<()> {
    std::fs::create_dir_all(&options.out)?;
    if matches!(options.only, None | Some(Part::Backtest)) {
        let result = backtest::measure(options.events).await?;
        std::fs::write(options.out.join("backtest.json"), result.to_string())?;
        println!("{}", backtest::table(&result));
    }
    if options.only == Some(Part::Backtest) {
        return Ok(());
    }
    if matches!(options.only, None | Some(Part::Lists)) {
        let times = lists::measure().await?;
        std::fs::write(options.out.join("lists.json"), lists::json(&times).to_string())?;
        println!("{}", lists::table(&times));
    }
    if options.only == Some(Part::Lists) {
        return Ok(());
    }
    if matches!(options.only, None | Some(Part::Footprint)) {
        let figures = footprint::measure(options).await?;
        std::fs::write(options.out.join("footprint.json"), figures.to_string())?;
        println!("{}", footprint::table(&figures));
    }
    if options.only == Some(Part::Footprint) {
        return Ok(());
    }
    if options.only == Some(Part::Growth) {
        let figures = growth::measure(options).await?;
        std::fs::write(options.out.join("growth.json"), serde_json::to_string_pretty(&figures)?)?;
        println!("{}", growth::table(&figures));
        return Ok(());
    }
    let floors_only = options.only == Some(Part::Floors);
    let mut report = Report::new(options);
    for round in 1..=options.rounds {
        eprintln!("round {round} of {}", options.rounds);
        report.add(Measure::CommitFloor, floor::measure(options, floor::Kind::Commit).await?);
        if !floors_only {
            report.add(Measure::Ingest, real::ingest(options).await?);
        }
        report.add(Measure::PipeFloor, floor::measure(options, floor::Kind::Pipe).await?);
        if floors_only {
            continue;
        }
        report.add(Measure::EndToEnd, real::end_to_end(options).await?);
        report.add(Measure::Latency, real::latency(options).await?);
    }
    std::fs::write(options.out.join("bench.json"), report.json()?)?;
    std::fs::write(options.out.join("bench.svg"), report.svg())?;
    println!("{}", report.table());
    println!("written: {0}/bench.json, {0}/bench.svg", options.out.display());
    Ok(())
}
