//! What a tenant may set for itself, with its defaults in one place; and the
//! removal of a tenant with everything it has.

use std::time::Duration;

use futures_util::future::BoxFuture;
use pointsman_rules::quota::Quotas;
use serde::{Deserialize, Serialize};

use super::jobs::{Outcome, Round};
use super::{FlowError, file};
use crate::config::Retention;
use crate::store::{Durability, erase, tenants};

/// Silence after which a live chat of a new channel ends, unless something else is said, minutes.
const IDLE_END_MINUTES: u32 = 10;
/// What money is counted in, unless something else is said: vendors of models name their prices in it.
const CURRENCY: &str = "USD";
/// Rows removed in one transaction.
const ROWS_PER_STEP: u32 = 250;
/// Pause between two steps, in which others write.
const STEP_PAUSE: Duration = Duration::from_millis(20);

/// What a tenant may set for itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TenantSettings {
    /// Where phone numbers without a country code belong: ISO 3166-1 alpha-2, upper case.
    pub country: Option<String>,
    /// How much rules may do on their own.
    pub quotas: Quotas,
    /// How long things are kept, where it is not as the installation has it.
    pub retention: KeptDays,
    /// Silence after which a live chat of a new channel ends, minutes; 0: never.
    pub idle_end_minutes: u32,
    /// Send a file that is too large for a channel as a link instead of refusing it?
    pub large_files_as_link: bool,
    /// Tokens that all assistants together may use in a UTC day; `None`: any number.
    pub assistant_tokens_per_day_max: Option<i64>,
    /// What all assistants together may cost in a UTC day, millionths of `currency`; `None`: any.
    pub assistant_cost_micros_per_day_max: Option<i64>,
    /// Of every price and every cap in money: ISO 4217, upper case.
    pub currency: String,
}

impl Default for TenantSettings {
    fn default() -> Self {
        Self {
            country: None,
            quotas: Quotas::default(),
            retention: KeptDays::default(),
            idle_end_minutes: IDLE_END_MINUTES,
            large_files_as_link: false,
            assistant_tokens_per_day_max: None,
            assistant_cost_micros_per_day_max: None,
            currency: CURRENCY.to_owned(),
        }
    }
}

/// Days; `None`: as the installation has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct KeptDays {
    /// What vendors sent and could be read.
    pub webhooks_days: Option<i64>,
    /// What vendors sent and could not be read.
    pub quarantine_days: Option<i64>,
    /// How long a webhook that comes again is recognised.
    pub redelivery_days: Option<i64>,
    /// What rules saw and did.
    pub rule_runs_days: Option<i64>,
    /// What webhooks were told.
    pub deliveries_days: Option<i64>,
}

impl KeptDays {
    /// Every number with its name.
    pub fn named(&self) -> [(&'static str, Option<i64>); 5] {
        [
            ("webhooks_days", self.webhooks_days),
            ("quarantine_days", self.quarantine_days),
            ("redelivery_days", self.redelivery_days),
            ("rule_runs_days", self.rule_runs_days),
            ("deliveries_days", self.deliveries_days),
        ]
    }

    /// The installation's numbers with these over them.
    pub fn over(&self, general: &Retention) -> Retention {
        Retention {
            webhooks_days: self.webhooks_days.unwrap_or(general.webhooks_days),
            quarantine_days: self.quarantine_days.unwrap_or(general.quarantine_days),
            redelivery_days: self.redelivery_days.unwrap_or(general.redelivery_days),
            rule_runs_days: self.rule_runs_days.unwrap_or(general.rule_runs_days),
            deliveries_days: self.deliveries_days.unwrap_or(general.deliveries_days),
        }
    }
}

/// Settings as kept. What this version cannot read counts as not set, and is reported.
pub fn read(tenant: pointsman_rules::ids::TenantId, settings: &str) -> TenantSettings {
    serde_json::from_str(settings).unwrap_or_else(|error| {
        tracing::error!(%tenant, %error, "a tenant's settings cannot be read; the defaults hold");
        TenantSettings::default()
    })
}

/// Removes a tenant that is to be deleted, table by table, its own row last. Work that was under way may write once
/// more, so it goes round until nothing is left.
pub fn erase(round: &Round) -> BoxFuture<'_, Result<Outcome, FlowError>> {
    Box::pin(async move {
        let (flow, tenant) = (&round.flow, round.tenant);
        let found = tenants::details(&mut flow.db.read().await?, tenant).await?;
        if found.is_none_or(|it| it.deleting_ms.is_none()) {
            return Ok(Outcome::Done);
        }
        // The command line may have asked for it, which tells nobody.
        flow.forget(tenant, None);
        let mut removed = 0;
        for table in erase::TABLES {
            loop {
                if round.stop.is_cancelled() {
                    return Ok(Outcome::Snoozed);
                }
                let step = flow.db.write(Durability::Soft, move |tx| {
                    Box::pin(async move { erase::step(tx, tenant, table, ROWS_PER_STEP).await })
                });
                let step = step.await?;
                file::forget(flow, tenant, step.blobs).await?;
                removed += step.rows;
                if step.rows < u64::from(ROWS_PER_STEP) {
                    break;
                }
                tokio::time::sleep(STEP_PAUSE).await;
            }
        }
        if removed > 0 {
            return Ok(Outcome::Snoozed);
        }
        let gone = flow
            .db
            .write(Durability::Hard, move |tx| Box::pin(async move { erase::finish(tx, tenant).await }));
        gone.await?;
        tracing::info!(%tenant, "a tenant was removed");
        flow.forget(tenant, None);
        Ok(Outcome::Done)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_set_is_as_the_installation_has_it() {
        let general = Retention {
            webhooks_days: 2,
            quarantine_days: 5,
            redelivery_days: 3,
            rule_runs_days: 4,
            deliveries_days: 6,
        };
        let own = KeptDays { rule_runs_days: Some(90), ..KeptDays::default() };
        assert_eq!(own.over(&general), Retention { rule_runs_days: 90, ..general });
        assert_eq!(own.named().iter().filter(|(_, days)| days.is_some()).count(), 1);
    }

    #[test]
    fn settings_are_read_strictly_and_have_defaults() {
        let tenant = pointsman_rules::ids::TenantId::new(1, 1);
        assert_eq!(read(tenant, "{}"), TenantSettings::default());
        assert_eq!(read(tenant, r#"{"idle_end_minutes": 3}"#).idle_end_minutes, 3);
        assert!(serde_json::from_str::<TenantSettings>(r#"{"idle_end_minuts": 3}"#).is_err());
    }
}
