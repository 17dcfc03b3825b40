//! Medians, ratios, and how they are shown: a table for people, JSON for
//! machines, a plot for documents.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

use anyhow::Result;
use serde::Serialize;

use crate::Options;

/// What is measured, in the order of the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Measure {
    CommitFloor,
    Ingest,
    PipeFloor,
    EndToEnd,
    Latency,
}

impl Measure {
    const ALL: [Self; 5] = [Self::CommitFloor, Self::Ingest, Self::PipeFloor, Self::EndToEnd, Self::Latency];

    fn title(self) -> &'static str {
        match self {
            Self::CommitFloor => "group-commit floor",
            Self::Ingest => "durable ingest",
            Self::PipeFloor => "pipe floor",
            Self::EndToEnd => "end to end",
            Self::Latency => "idle latency, 20/s",
        }
    }

    /// The floor it is compared with and the ratio wanted.
    fn floor(self) -> Option<(Self, f64)> {
        match self {
            Self::Ingest => Some((Self::CommitFloor, 0.6)),
            Self::EndToEnd => Some((Self::PipeFloor, 0.35)),
            _ => None,
        }
    }
}

/// One measurement in one round.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Sample {
    /// `per_second`, `p50_ms`, `p99_ms`, `cpu_ms` (per message) and what else was counted.
    pub(crate) figures: BTreeMap<String, f64>,
}

impl Sample {
    pub(crate) fn of(messages: usize, took: Duration, latencies: &[Duration], cpu: Duration) -> Self {
        let mut sorted: Vec<f64> = latencies.iter().map(|time| time.as_secs_f64() * 1000.0).collect();
        sorted.sort_by(f64::total_cmp);
        let count = messages.max(1) as f64;
        let figures = [
            ("per_second", count / took.as_secs_f64().max(1e-9)),
            ("p50_ms", percentile(&sorted, 50)),
            ("p99_ms", percentile(&sorted, 99)),
            ("cpu_ms", cpu.as_secs_f64() * 1000.0 / count),
        ];
        Self { figures: figures.map(|(name, value)| (name.to_owned(), value)).into() }
    }
}

/// The value at a percentile of sorted values; 0 when there are none.
fn percentile(sorted: &[f64], percent: usize) -> f64 {
    let index = (sorted.len() * percent).div_ceil(100).saturating_sub(1);
    sorted.get(index).copied().unwrap_or(0.0)
}

/// The middle of these; none when there are none.
pub(crate) fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    match values.len() {
        0 => None,
        length if length % 2 == 1 => Some(values[middle]),
        _ => Some(f64::midpoint(values[middle - 1], values[middle])),
    }
}

/// All samples of one run.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    messages: usize,
    connections: usize,
    cores: usize,
    samples: BTreeMap<Measure, Vec<Sample>>,
}

impl Report {
    pub(crate) fn new(options: &Options) -> Self {
        let cores = std::thread::available_parallelism().map_or(0, usize::from);
        Self { messages: options.messages, connections: options.connections, cores, samples: BTreeMap::new() }
    }

    pub(crate) fn add(&mut self, measure: Measure, sample: Sample) {
        eprintln!("  {}: {:?}", measure.title(), sample.figures);
        self.samples.entry(measure).or_default().push(sample);
    }

    /// The median of one figure over the rounds; none when it was not measured.
    fn median(&self, measure: Measure, figure: &str) -> Option<f64> {
        let samples = self.samples.get(&measure)?;
        median(samples.iter().filter_map(|sample| sample.figures.get(figure).copied()).collect())
    }

    /// Throughput as a ratio to its floor.
    fn ratio(&self, measure: Measure) -> Option<f64> {
        let (floor, _) = measure.floor()?;
        Some(self.median(measure, "per_second")? / self.median(floor, "per_second")?)
    }

    pub(crate) fn table(&self) -> String {
        let rounds = self.samples.values().map(Vec::len).max().unwrap_or(0);
        let mut text = format!(
            "medians of {rounds} rounds, {} messages, {} connections, {} cores\n\n",
            self.messages, self.connections, self.cores
        );
        text.push_str(
            "| work | /s | ratio | target | p50 ms | p99 ms | CPU ms | SQL | commits | fsyncs | MiB |\n",
        );
        text.push_str("|---|---|---|---|---|---|---|---|---|---|---|\n");
        for measure in Measure::ALL {
            let show = |figure: &str, digits: usize| {
                self.median(measure, figure).map_or(String::new(), |value| format!("{value:.digits$}"))
            };
            let ratio = self.ratio(measure).map_or(String::new(), |ratio| format!("{ratio:.2}"));
            let target = match measure {
                Measure::Latency => "p50 < 5, p99 < 30".to_owned(),
                _ => measure.floor().map_or(String::new(), |(_, target)| format!(">= {target}")),
            };
            // Writing to a string cannot fail.
            let _ = writeln!(
                text,
                "| {} | {} | {ratio} | {target} | {} | {} | {} | {} | {} | {} | {} |",
                measure.title(),
                show("per_second", 0),
                show("p50_ms", 2),
                show("p99_ms", 2),
                show("cpu_ms", 3),
                show("sql_statements", 2),
                show("sql_commits", 3),
                show("sql_syncs", 3),
                show("memory_mib", 0),
            );
        }
        text
    }

    pub(crate) fn json(&self) -> Result<String> {
        let medians: BTreeMap<Measure, BTreeMap<&str, f64>> = Measure::ALL
            .into_iter()
            .map(|measure| {
                let names = self.samples.get(&measure).and_then(|samples| samples.first());
                let names = names.into_iter().flat_map(|sample| sample.figures.keys());
                let figures = names.filter_map(|name| Some((name.as_str(), self.median(measure, name)?)));
                let ratio = self.ratio(measure).map(|ratio| ("ratio", ratio));
                (measure, figures.chain(ratio).collect())
            })
            .collect();
        Ok(serde_json::to_string_pretty(&serde_json::json!({"run": self, "medians": medians}))?)
    }

    /// Throughput as horizontal bars, floors in grey.
    pub(crate) fn svg(&self) -> String {
        const BAR_WIDTH: f64 = 420.0;
        const ROW: usize = 34;
        let shown = &Measure::ALL[..4];
        let value = |measure: Measure| self.median(measure, "per_second").unwrap_or(0.0);
        let largest = shown.iter().map(|measure| value(*measure)).fold(1.0, f64::max);
        let height = shown.len() * ROW + 40;
        let mut text = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"720\" height=\"{height}\" \
             font-family=\"sans-serif\" font-size=\"13\">\n<rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n\
             <text x=\"10\" y=\"20\" font-weight=\"bold\">Messages per second (median of rounds)</text>\n"
        );
        for (row, measure) in shown.iter().enumerate() {
            let (y, width) = (row * ROW + 34, value(*measure) / largest * BAR_WIDTH);
            let colour = if measure.floor().is_some() { "#2563eb" } else { "#9ca3af" };
            let ratio =
                self.ratio(*measure).map_or(String::new(), |ratio| format!(" ({ratio:.2} of the floor)"));
            let _ = writeln!(
                text,
                "<text x=\"10\" y=\"{}\">{}</text><rect x=\"150\" y=\"{y}\" width=\"{width:.0}\" height=\"22\" \
                 fill=\"{colour}\"/><text x=\"{:.0}\" y=\"{}\">{:.0}{ratio}</text>",
                y + 16,
                measure.title(),
                width.mul_add(1.0, 156.0),
                y + 16,
                value(*measure),
            );
        }
        text.push_str("</svg>\n");
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report() -> Report {
        let mut report = Report { messages: 10, connections: 1, cores: 2, samples: BTreeMap::new() };
        for (floor, ingest) in [(1000, 700), (2000, 900), (1500, 900)] {
            let sample =
                |rate| Sample::of(rate, Duration::from_secs(1), &[Duration::from_millis(2)], Duration::ZERO);
            report.samples.entry(Measure::CommitFloor).or_default().push(sample(floor));
            report.samples.entry(Measure::Ingest).or_default().push(sample(ingest));
        }
        report
    }

    #[test]
    fn ratios_are_of_medians() {
        assert_eq!(report().ratio(Measure::Ingest), Some(0.6));
        assert!(
            report().table().contains("| durable ingest | 900 | 0.60 | >= 0.6 | 2.00 |"),
            "{}",
            report().table()
        );
        assert!(report().svg().contains("0.60 of the floor"));
        assert!(report().json().unwrap().contains("\"ratio\": 0.6"));
    }

    #[test]
    fn percentiles_of_few_values() {
        assert_eq!(percentile(&[1.0, 2.0, 3.0, 4.0], 50).to_bits(), 2.0_f64.to_bits());
        assert_eq!(percentile(&[1.0, 2.0, 3.0, 4.0], 99).to_bits(), 4.0_f64.to_bits());
        assert_eq!(percentile(&[], 99).to_bits(), 0.0_f64.to_bits());
    }
}
