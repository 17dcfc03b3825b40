//! The jobs that try rules on what was stored. Gives the trials what they may see
//! of a tenant, and time; what they do with it is theirs.

use std::collections::HashMap;
use std::sync::Arc;

use pointsman_rules::ids::TenantId;

use super::backtest::{self, Page};
use super::jobs::{Outcome, Round};
use super::replay::Ground;
use super::{Flow, FlowError, shadow};
use crate::store::filter::Sight;
use crate::store::trials::{self, Kind};
use crate::store::{channels, templates};

/// The job that works off backtests; its name is in the database.
pub const BACKTESTS: &str = "rules.backtests";
/// The job that lets shadows see what happened.
pub const SHADOWS: &str = "rules.shadows";
/// A run works for about so long, milliseconds; then other jobs have their turn.
const RUN_MS: i64 = 2_000;
/// Shadows look this often, milliseconds.
const SHADOWS_EVERY_MS: i64 = 3_000;
/// Channels of a tenant that rules can be tried on.
const CHANNELS_MAX: i64 = 1_000;

/// What trials may see of a tenant. Channels whose plugin is not there are left out.
///
/// # Errors
/// The store's.
pub async fn ground(flow: &Flow, tenant: TenantId) -> Result<Ground, FlowError> {
    let directory = flow.catalog.view(flow, tenant).await?.directory.clone();
    let tx = &mut flow.db.read().await?;
    let (mut known, mut categories) = (HashMap::new(), HashMap::new());
    for row in channels::list(tx, tenant, Sight::All, None, CHANNELS_MAX).await? {
        let channel = match flow.catalog.channel(flow, tenant, row.id).await {
            Ok(Some(channel)) => channel,
            Ok(None) | Err(FlowError::NoPlugin { .. }) => continue,
            Err(error) => return Err(error),
        };
        if channel.facts.capabilities.templates {
            for it in templates::list(tx, tenant, row.id).await? {
                if let Some(category) = it.category {
                    categories.insert((row.id, it.name), category);
                }
            }
        }
        known.insert(row.id, channel.facts.clone());
    }
    Ok(Ground { tenant, directory, channels: known, categories })
}

/// Works on the backtest that waits longest.
///
/// # Errors
/// The store's.
pub async fn backtests(round: &Round) -> Result<Outcome, FlowError> {
    let (flow, tenant) = (&round.flow, round.tenant);
    let waiting = trials::running(&mut flow.db.read().await?, tenant, Kind::Backtest).await?;
    let Some(mut trial) = waiting.into_iter().next() else { return Ok(Outcome::Done) };
    let ground = Arc::new(ground(flow, tenant).await?);
    let Some(pair) = backtest::pair(&flow.db, &flow.clock, &ground, &trial).await? else {
        return Ok(Outcome::Snoozed);
    };
    let (pair, begun_ms) = (Arc::new(pair), flow.clock.now_ms());
    while !round.stop.is_cancelled() && flow.clock.now_ms() - begun_ms < RUN_MS {
        let page = backtest::page(&flow.db, &flow.clock, &ground, &pair, &mut trial).await?;
        if page == Page::Last {
            break;
        }
    }
    Ok(Outcome::Snoozed)
}

/// Lets every shadow look once.
///
/// # Errors
/// The store's.
pub async fn shadows(round: &Round) -> Result<Outcome, FlowError> {
    let (flow, tenant) = (&round.flow, round.tenant);
    let mut shadows = Vec::new();
    for trial in trials::running(&mut flow.db.read().await?, tenant, Kind::Shadow).await? {
        let fresh = shadow::fresh(&flow.db, &flow.clock, tenant, &trial).await?;
        shadows.push((trial, fresh));
    }
    if shadows.is_empty() {
        return Ok(Outcome::Done);
    }
    let mut has_more = false;
    if shadows.iter().any(|(_, fresh)| !fresh.is_empty()) {
        let ground = Arc::new(ground(flow, tenant).await?);
        for (mut trial, fresh) in shadows {
            has_more |= shadow::step(&flow.db, &flow.clock, &ground, &mut trial, fresh).await?;
        }
    }
    Ok(if has_more { Outcome::Snoozed } else { Outcome::Rests(SHADOWS_EVERY_MS) })
}
