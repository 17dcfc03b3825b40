//! Shadows: a rule's text beside what runs, on events as they happen, without
//! effects. Works from the log a few seconds behind, so that no turn waits for it.
//! Reaches neither plugins nor the way out; a tidy test says so.

use std::collections::HashSet;
use std::sync::Arc;

use pointsman_rules::ids::EventId;

use super::backtest::advance;
use super::replay::{Ground, Scene};
use super::trial::{Counts, Pair};
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

/// Looks at what happened since the last step; `true`: there is more already.
///
/// # Errors
/// The store's; the step is done again.
pub async fn step(
    db: &Db,
    clock: &Clock,
    ground: &Arc<Ground>,
    pair: &Arc<Pair>,
    trial: &mut Trial,
) -> Result<bool, StoreError> {
    let start = EventId::new(trial.from_ms, 0);
    let after = EventId::parse(&trial.place).unwrap_or(start);
    let until = EventId::new(clock.now_ms() - BEHIND_MS, 0);
    let found =
        replay::between(&mut db.read().await?, ground.tenant, (after, until), EVENTS_PER_STEP).await?;
    let Some((last, _)) = found.last().copied() else { return Ok(false) };
    let fresh: HashSet<EventId> = found.iter().map(|(event, _)| *event).collect();
    let mut conversations: Vec<_> = found.iter().map(|(_, conversation)| *conversation).collect();
    conversations.sort_unstable();
    conversations.dedup();
    let from_ms = found.first().map_or(trial.from_ms, |(event, _)| event.at_ms());
    let scenes = ground.read(db, &conversations, from_ms).await?;
    let mut counts: Counts = serde_json::from_str(&trial.counts).unwrap_or_default();
    counts.left_out += (conversations.len() - scenes.len()) as u64;
    let (ground_too, pair) = (ground.clone(), pair.clone());
    let judged = tokio::task::spawn_blocking(move || {
        let mut findings = Vec::new();
        for moment in scenes.into_iter().flat_map(Scene::moments).filter(|it| fresh.contains(&it.event.id)) {
            findings.extend(pair.judge(&moment, &ground_too, &mut counts));
        }
        (counts, findings)
    });
    // After a panic these events are passed over: the log says why, and the next ones may go well.
    let (counts, findings) = judged
        .await
        .unwrap_or_else(|_| (serde_json::from_str(&trial.counts).unwrap_or_default(), Vec::new()));
    let goes_on =
        advance(db, clock, ground, trial, (last.to_string(), counts, findings), Some(FINDINGS_MAX)).await?;
    Ok(goes_on && found.len() == EVENTS_PER_STEP as usize)
}
