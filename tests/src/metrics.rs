//! Reads the text form of `/metrics`. Knows no metric by name.

/// One sample: a name, its labels, its value.
#[derive(Debug, Clone, PartialEq)]
struct Sample {
    name: String,
    labels: String,
    value: f64,
}

/// One scrape.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Metrics {
    samples: Vec<Sample>,
}

impl Metrics {
    /// Reads the Prometheus text format; comment lines and unreadable lines are left out.
    pub fn parse(text: &str) -> Self {
        let samples = text.lines().filter(|line| !line.starts_with('#')).filter_map(sample).collect();
        Self { samples }
    }

    /// The sum over all label sets of one metric; none when it is not exported.
    pub fn sum(&self, name: &str) -> Option<f64> {
        self.sum_where(name, "")
    }

    /// The same over the label sets that contain this text, e.g. `outcome="rejected"`.
    pub fn sum_where(&self, name: &str, label: &str) -> Option<f64> {
        let mut found = self.samples.iter().filter(|s| s.name == name && s.labels.contains(label)).peekable();
        found.peek()?;
        Some(found.map(|s| s.value).sum())
    }
}

fn sample(line: &str) -> Option<Sample> {
    let (series, value) = match line.rfind('}') {
        Some(end) => line.split_at(end + 1),
        None => line.split_once(' ')?,
    };
    let value = value.split_whitespace().next()?.parse().ok()?;
    let (name, labels) = series.split_once('{').unwrap_or((series, ""));
    Some(Sample { name: name.trim().to_owned(), labels: labels.trim_end_matches('}').to_owned(), value })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_over_labels() {
        let metrics = Metrics::parse(
            "# HELP x y\nhooks_total{outcome=\"stored\"} 3\nhooks_total{outcome=\"rejected\"} 2\nup 1\n",
        );
        assert_eq!(metrics.sum("hooks_total"), Some(5.0));
        assert_eq!(metrics.sum_where("hooks_total", "outcome=\"rejected\""), Some(2.0));
        assert_eq!(metrics.sum("up"), Some(1.0));
        assert_eq!(metrics.sum("down"), None);
    }
}
