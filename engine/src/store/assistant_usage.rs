//! What assistants used, counted by UTC day, channel, assistant and currency.
//! Counts only; what was said is nowhere here.

use pointsman_rules::ids::{AssistantId, ChannelId, TenantId};

use super::{StoreError, Tx};
use crate::args;

/// Milliseconds of a day.
const DAY_MS: i64 = 86_400_000;

/// The UTC day of a moment: days since 1970-01-01.
pub fn day_of(at_ms: i64) -> i64 {
    at_ms.div_euclid(DAY_MS)
}

/// When a day begins, unix milliseconds.
pub fn begin_of(day: i64) -> i64 {
    day.saturating_mul(DAY_MS)
}

/// What was used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Used {
    /// How often an assistant was asked.
    pub runs: i64,
    /// Tokens it read.
    pub input_tokens: i64,
    /// Tokens it wrote.
    pub output_tokens: i64,
    /// What that cost, millionths of a currency that is named beside it.
    pub cost_micros: i64,
}

impl Used {
    /// Read and written together.
    pub fn tokens(&self) -> i64 {
        self.input_tokens.saturating_add(self.output_tokens)
    }

    /// Both together.
    #[must_use]
    pub fn plus(self, it: Self) -> Self {
        Self {
            runs: self.runs.saturating_add(it.runs),
            input_tokens: self.input_tokens.saturating_add(it.input_tokens),
            output_tokens: self.output_tokens.saturating_add(it.output_tokens),
            cost_micros: self.cost_micros.saturating_add(it.cost_micros),
        }
    }
}

/// Where and when something was used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// Days since 1970-01-01, UTC.
    pub day: i64,
    /// On which channel.
    pub channel: ChannelId,
    /// By which assistant.
    pub assistant: AssistantId,
}

/// What was used somewhere, with the currency of its cost.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// Where and when.
    pub place: Place,
    /// ISO 4217.
    pub currency: String,
    /// What.
    pub used: Used,
}

/// Adds to what was used.
///
/// # Errors
/// The database's own.
pub async fn add(tx: &mut Tx, tenant: TenantId, it: &Line) -> Result<(), StoreError> {
    let sql = "insert into assistant_usage (tenant_id, day, channel_id, assistant_id, currency, runs, \
        input_tokens, output_tokens, cost_micros) values ($1, $2, $3, $4, $5, $6, $7, $8, $9) \
        on conflict (tenant_id, day, channel_id, assistant_id, currency) do update set \
        runs = assistant_usage.runs + excluded.runs, \
        input_tokens = assistant_usage.input_tokens + excluded.input_tokens, \
        output_tokens = assistant_usage.output_tokens + excluded.output_tokens, \
        cost_micros = assistant_usage.cost_micros + excluded.cost_micros";
    let (at, used) = (it.place, it.used);
    let values = args![
        tenant,
        at.day,
        at.channel,
        at.assistant,
        &it.currency,
        used.runs,
        used.input_tokens,
        used.output_tokens,
        used.cost_micros
    ];
    tx.execute("count what an assistant used", sql, values).await.map(|_| ())
}

/// What was used from one day to another, both included, the latest day first.
///
/// # Errors
/// The database's own, or a row that cannot be read.
pub async fn list(
    tx: &mut Tx,
    tenant: TenantId,
    (from, to): (i64, i64),
    rows_max: i64,
) -> Result<Vec<Line>, StoreError> {
    let sql = "select day, channel_id, assistant_id, currency, runs, input_tokens, output_tokens, cost_micros \
        from assistant_usage where tenant_id = $1 and day between $2 and $3 \
        order by day desc, channel_id, assistant_id, currency limit $4";
    let rows = tx.all("list what assistants used", sql, args![tenant, from, to, rows_max]).await?;
    rows.iter()
        .map(|row| {
            let mut c = row.columns("assistant_usage");
            let place =
                Place { day: c.int("day")?, channel: c.id("channel_id")?, assistant: c.id("assistant_id")? };
            let currency = c.text("currency")?;
            let used = Used {
                runs: c.int("runs")?,
                input_tokens: c.int("input_tokens")?,
                output_tokens: c.int("output_tokens")?,
                cost_micros: c.int("cost_micros")?,
            };
            Ok(Line { place, currency, used })
        })
        .collect()
}

/// Lines of one day that are looked at at most: channels times assistants.
const LINES_MAX: i64 = 100_000;

/// What was used on a day. Cost in another currency than `currency` is left out, tokens are not.
///
/// # Errors
/// The database's own, or a row that cannot be read.
pub async fn of_day(
    tx: &mut Tx,
    tenant: TenantId,
    day: i64,
    currency: &str,
) -> Result<Vec<(Place, Used)>, StoreError> {
    let found = list(tx, tenant, (day, day), LINES_MAX).await?;
    let counted = found.into_iter().map(|it| {
        let cost_micros = if it.currency == currency { it.used.cost_micros } else { 0 };
        (it.place, Used { cost_micros, ..it.used })
    });
    Ok(counted.collect())
}

#[cfg(test)]
mod tests {
    use super::super::Durability;
    use super::super::testing::each_db;
    use super::*;

    #[test]
    fn what_was_used_adds_up_by_place_and_currency() {
        each_db(|db| async move {
            db.write(Durability::Hard, move |tx| {
                Box::pin(async move {
                    let tenant = TenantId::new(1, 1);
                    let line = |day, channel, currency: &str, tokens| Line {
                        place: Place {
                            day,
                            channel: ChannelId::new(1, channel),
                            assistant: AssistantId::new(1, 1),
                        },
                        currency: currency.to_owned(),
                        used: Used { runs: 1, input_tokens: tokens, output_tokens: 1, cost_micros: 2 },
                    };
                    for it in [
                        line(9, 1, "EUR", 100),
                        line(9, 1, "EUR", 100),
                        line(9, 1, "USD", 40),
                        line(9, 2, "EUR", 10),
                        line(8, 1, "EUR", 1_000),
                    ] {
                        add(tx, tenant, &it).await?;
                    }
                    add(tx, TenantId::new(1, 2), &line(9, 1, "EUR", 50_000)).await?;
                    let used: Vec<_> =
                        of_day(tx, tenant, 9, "EUR").await?.into_iter().map(|it| it.1).collect();
                    let figures: Vec<_> =
                        used.iter().map(|it| (it.runs, it.tokens(), it.cost_micros)).collect();
                    assert_eq!(figures, [(2, 202, 4), (1, 41, 0), (1, 11, 2)], "dollars are no euros");
                    let days: Vec<i64> =
                        list(tx, tenant, (8, 9), 10).await?.iter().map(|it| it.place.day).collect();
                    assert_eq!(days, [9, 9, 9, 8]);
                    Ok::<_, StoreError>(())
                })
            })
            .await
            .unwrap();
        });
    }

    #[test]
    fn a_day_begins_at_midnight_utc() {
        assert_eq!((day_of(0), day_of(DAY_MS - 1), day_of(DAY_MS), day_of(-1)), (0, 0, 1, -1));
        assert_eq!(begin_of(2), 2 * DAY_MS);
    }
}
