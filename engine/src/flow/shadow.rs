//! Shadows: a rule's text beside what runs, on events as they happen, without
//! effects. Works from the log a few seconds behind, so that no turn waits for it.
//! Reaches neither plugins nor the way out; a tidy test says so.

use std::collections::HashSet;
use std::sync::Arc;

use pointsman_rules::ids::{ConversationId, EventId, TenantId};

use super::backtest::{advance, pair};
use super::replay::{Ground, Scene};
use super::trial::Counts;
use crate::clock::Clock;
use crate::store::trials::Trial;
use crate::store::{Db, StoreError, replay};

/// Differences of a shadow that are kept, the newest.
pub const FINDINGS_MAX: u32 = 50;
/// Shadows of one tenant at most: each reads every event once more.
pub const SHADOWS_MAX: usize = 10;
/// A turn has surely committed this long after its events' time, milliseconds; what commits later is not seen.
const BEHIND_MS: i64 = 3_000;
/// Events looked at in one step.
const EVENTS_PER_STEP: u32 = 500;

/// What happened since a shadow last looked, oldest first; one step's worth of it.
pub type Fresh = Vec<(EventId, ConversationId)>;

/// What a shadow has not seen yet.
///
/// # Errors
/// The store's.
pub async fn fresh(db: &Db, clock: &Clock, tenant: TenantId, trial: &Trial) -> Result<Fresh, StoreError> {
    let after = EventId::parse(&trial.place).unwrap_or(EventId::new(trial.from_ms, 0));
    let until = EventId::new(clock.now_ms() - BEHIND_MS, 0);
    replay::between(&mut db.read().await?, tenant, (after, until), EVENTS_PER_STEP).await
}

/// Looks at what is fresh; `true`: there may be more already.
///
/// # Errors
/// The store's; the step is done again.
pub async fn step(
    db: &Db,
    clock: &Clock,
    ground: &Arc<Ground>,
    trial: &mut Trial,
    fresh: Fresh,
) -> Result<bool, StoreError> {
    let (Some((first, _)), Some((last, _))) = (fresh.first().copied(), fresh.last().copied()) else {
        return Ok(false);
    };
    let Some(pair) = pair(db, clock, ground, trial).await? else { return Ok(false) };
    let wanted: HashSet<EventId> = fresh.iter().map(|(event, _)| *event).collect();
    let conversations: HashSet<ConversationId> =
        fresh.iter().map(|(_, conversation)| *conversation).collect();
    let conversations: Vec<_> = conversations.into_iter().collect();
    let scenes = ground.read(db, &conversations, first.at_ms()).await?;
    let before: Counts = serde_json::from_str(&trial.counts).unwrap_or_default();
    let left_out = (conversations.len() - scenes.len()) as u64;
    let mut counts = Counts { left_out: before.left_out + left_out, ..before.clone() };
    let ground_too = ground.clone();
    let judged = tokio::task::spawn_blocking(move || {
        let mut findings = Vec::new();
        for moment in scenes.into_iter().flat_map(Scene::moments).filter(|it| wanted.contains(&it.event.id)) {
            findings.extend(pair.judge(&moment, &ground_too, &mut counts));
        }
        (counts, findings)
    });
    // After a panic these events are passed over: the log says why, and the next ones may go well.
    let (counts, findings) = judged.await.unwrap_or((before, Vec::new()));
    let told = (last.to_string(), counts, findings);
    let goes_on = advance(db, clock, ground, trial, told, Some(FINDINGS_MAX)).await?;
    Ok(goes_on && fresh.len() == EVENTS_PER_STEP as usize)
}
