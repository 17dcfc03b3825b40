//! Growth: the same load on a server that knows few customers and on one that
//! knows ten times as many, in turns. Both were filled over their webhooks.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Instant;

use anyhow::Result;

use crate::Options;
use crate::load::{self, MESSAGES_PER_CUSTOMER};
use crate::real::Bench;
use crate::report::{Sample, median};

/// The larger server knows so many times the customers of the smaller one.
const FACTOR: usize = 10;
/// Requests that are made at once while a server is filled; each takes about a kilobyte.
const FILL_STEP: usize = 50_000;
/// Throughput that may be lost by growing tenfold.
const LOSS_MAX: f64 = 0.2;

/// A filled server.
struct Filled {
    bench: Bench,
    customers: usize,
    /// Messages so far; the next one's number.
    sent: usize,
    samples: Vec<Sample>,
}

/// Median figures of both, by their customers.
pub(crate) type Figures = BTreeMap<usize, BTreeMap<String, f64>>;

/// Fills both servers and loads them in turns.
pub(crate) async fn measure(options: &Options) -> Result<Figures> {
    let active = options.messages.div_ceil(MESSAGES_PER_CUSTOMER);
    let mut servers = Vec::new();
    for customers in [options.customers, options.customers * FACTOR] {
        servers.push(Filled::new(customers, options.rounds * options.messages, options.connections).await?);
    }
    for round in 0..options.rounds {
        eprintln!("round {} of {}", round + 1, options.rounds);
        for server in &mut servers {
            server.load(round, active, options).await?;
        }
    }
    Ok(servers.iter().map(|server| (server.customers, server.medians())).collect())
}

impl Filled {
    /// Every customer has written once and has had no answer.
    async fn new(customers: usize, answers: usize, connections: usize) -> Result<Self> {
        let bench = Bench::start(answers, true).await?;
        let start = Instant::now();
        for first in (0..customers).step_by(FILL_STEP) {
            let numbers = first..customers.min(first + FILL_STEP);
            let texts = numbers.map(|number| (number, answers + number, "Hello".to_owned()));
            let requests = load::signed(&bench.target, &bench.twilio, texts);
            load::run(&bench.target, requests, connections).await?;
        }
        bench.calm().await?;
        eprintln!("  {customers} customers in {:.0} s", start.elapsed().as_secs_f64());
        Ok(Self { bench, customers, sent: 0, samples: Vec::new() })
    }

    /// One round: as many active customers on either server, spread over all it knows, others than in other rounds.
    async fn load(&mut self, round: usize, active: usize, options: &Options) -> Result<()> {
        let (first, apart) = (self.sent, (self.customers / active).max(1));
        let texts = (0..options.messages).map(|number| {
            let customer = (number % active * apart + round) % self.customers;
            (customer, first + number, load::text(first + number))
        });
        let requests = load::signed(&self.bench.target, &self.bench.twilio, texts);
        self.sent += options.messages;
        let sample = self.bench.answered(requests, self.sent, options).await?;
        eprintln!("  {} customers: {:?}", self.customers, sample.figures);
        self.samples.push(sample);
        self.bench.calm().await
    }

    fn medians(&self) -> BTreeMap<String, f64> {
        let names = self.samples.iter().flat_map(|sample| sample.figures.keys());
        let of = |name: &String| self.samples.iter().filter_map(|it| it.figures.get(name).copied()).collect();
        names.filter_map(|name| Some((name.clone(), median(of(name))?))).collect()
    }
}

pub(crate) fn table(figures: &Figures) -> String {
    let mut text = format!(
        "the same load, {FACTOR} times the customers (target: less than {:.0} % lost)\n\n\
         | customers | messages/s | CPU ms | SQL | p50 ms | p99 ms | MiB |\n|---|---|---|---|---|---|---|\n",
        LOSS_MAX * 100.0
    );
    let show = |of: &BTreeMap<String, f64>, name: &str, digits: usize| {
        of.get(name).map_or(String::new(), |value| format!("{value:.digits$}"))
    };
    for (customers, of) in figures {
        // Writing to a string cannot fail.
        let _ = writeln!(
            text,
            "| {customers} | {} | {} | {} | {} | {} | {} |",
            show(of, "per_second", 0),
            show(of, "cpu_ms", 3),
            show(of, "sql_statements", 2),
            show(of, "p50_ms", 2),
            show(of, "p99_ms", 2),
            show(of, "memory_mib", 0),
        );
    }
    let rates: Vec<f64> = figures.values().filter_map(|of| of.get("per_second").copied()).collect();
    if let [small, large] = rates[..] {
        let _ = writeln!(text, "\nlost: {:.0} %", (1.0 - large / small) * 100.0);
    }
    text
}
