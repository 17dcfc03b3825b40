//! `pointsman rules stats`: how often rules fired, were skipped or failed.

use clap::Args;
use serde_json::{Value, json};

use super::super::client::{ApiArgs, Client, encoded};
use super::super::error::CliError;
use super::super::output::{Out, table, text};
use super::{RULES, is_called, unknown};

/// How often rules fired, were skipped or failed, and how long they took
#[derive(Debug, Clone, Args)]
pub(in super::super) struct Stats {
    /// Only the rule with this name or id
    rule: Option<String>,
    /// How many days back, today included
    #[arg(long, default_value_t = 7)]
    days: u32,
    #[command(flatten)]
    api: ApiArgs,
}

impl Stats {
    pub(super) async fn run(self, out: Out) -> Result<(), CliError> {
        let client = Client::new(&self.api)?;
        let mut rules = client.list(RULES).await?;
        if let Some(wanted) = &self.rule {
            rules.retain(|rule| is_called(rule, wanted));
            if rules.is_empty() {
                return Err(unknown(wanted));
            }
        }
        let mut items = Vec::new();
        for rule in &rules {
            let path = format!("{RULES}/{}/stats?days={}", encoded(&text(rule, "/id")), self.days);
            let stats = client.get(&path).await?;
            items.push(
                json!({"id": rule["id"], "name": rule["name"], "parked": rule["parked"], "stats": stats}),
            );
        }
        Ok(out.result(&json!({"items": &items}), || {
            let heads = ["RULE", "FIRED", "PASSED", "FAILED", "SKIPPED", "P50 µs", "P99 µs", "LAST FIRED"];
            table(&heads, &items.iter().map(row).collect::<Vec<_>>())
        })?)
    }
}

fn row(item: &Value) -> Vec<String> {
    let skipped = item.pointer("/stats/total/skipped").and_then(Value::as_object);
    let skipped: i64 = skipped.into_iter().flat_map(|it| it.values()).filter_map(Value::as_i64).sum();
    let parked = if item["parked"].is_null() { "" } else { " (parked)" };
    vec![
        format!("{}{parked}", text(item, "/name")),
        text(item, "/stats/total/fired"),
        text(item, "/stats/total/passed"),
        text(item, "/stats/total/failed"),
        skipped.to_string(),
        text(item, "/stats/micros_p50"),
        text(item, "/stats/micros_p99"),
        text(item, "/stats/last_fired_at"),
    ]
}
