//! `pointsman rules order`: in which order rules run, and which of them go first.

use clap::Args;
use serde_json::{Value, json};

use super::super::client::{ApiArgs, Client};
use super::super::error::CliError;
use super::super::output::{Out, table, text};
use super::{RULES, is_called, unknown};

/// Show in which order rules run, or put some of them first
#[derive(Debug, Clone, Args)]
pub(in super::super) struct Order {
    /// Names or ids of the rules that are to run first, in this order; the others stay as they are behind them
    rules: Vec<String>,
    #[command(flatten)]
    api: ApiArgs,
}

impl Order {
    pub(super) async fn run(self, out: Out) -> Result<(), CliError> {
        let client = Client::new(&self.api)?;
        let mut known = client.list(RULES).await?;
        if !self.rules.is_empty() {
            let ids = ids(&known, &self.rules)?;
            let ordered = client.post(&format!("{RULES}/order"), &json!({"ids": ids})).await?;
            known = ordered["items"].as_array().cloned().unwrap_or_default();
        }
        Ok(out.result(&json!({"items": &known}), || {
            let columns =
                |it| vec![text(it, "/position"), text(it, "/stage"), state(it).into(), text(it, "/name")];
            table(&["POSITION", "STAGE", "STATE", "RULE"], &known.iter().map(columns).collect::<Vec<_>>())
        })?)
    }
}

/// Does it run, and why not?
fn state(rule: &Value) -> &'static str {
    if rule["version"].is_null() {
        "draft"
    } else if rule["enabled"] == false {
        "off"
    } else if rule["parked"].is_null() {
        "on"
    } else {
        "parked"
    }
}

/// All ids, those of `first` in front.
fn ids(known: &[Value], first: &[String]) -> Result<Vec<String>, CliError> {
    let mut ids = Vec::with_capacity(known.len());
    for name in first {
        let rule = known.iter().find(|rule| is_called(rule, name)).ok_or_else(|| unknown(name))?;
        let id = text(rule, "/id");
        if ids.contains(&id) {
            return Err(CliError::Usage(format!("`{name}` is named twice")));
        }
        ids.push(id);
    }
    let others: Vec<_> = known.iter().map(|rule| text(rule, "/id")).filter(|id| !ids.contains(id)).collect();
    Ok(ids.into_iter().chain(others).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_run_says_so() {
        let rule = |version: Value, enabled: bool, parked: Value| {
            state(&json!({"version": version, "enabled": enabled, "parked": parked}))
        };
        assert_eq!(rule(json!({"number": 1}), true, Value::Null), "on");
        assert_eq!(rule(json!({"number": 1}), true, json!({"failures": 5})), "parked");
        assert_eq!(rule(json!({"number": 1}), false, json!({"failures": 5})), "off");
        assert_eq!(rule(Value::Null, true, Value::Null), "draft");
    }

    #[test]
    fn who_is_named_goes_first_and_the_others_keep_their_order() {
        let known = ["A", "B", "C", "D"].map(|name| json!({"id": format!("rul_{name}"), "name": name}));
        let put = |names: &[&str]| ids(&known, &names.iter().map(|it| (*it).to_owned()).collect::<Vec<_>>());
        assert_eq!(put(&["d", "rul_B"]).unwrap(), ["rul_D", "rul_B", "rul_A", "rul_C"]);
        assert!(put(&["E"]).is_err() && put(&["A", "rul_A"]).is_err());
    }
}
