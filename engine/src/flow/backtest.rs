//! Backtests: a rule's text against the stored events of the last days, page by
//! page beside everything else. A page writes how far it came together with what
//! it counted, so a run that is cut off goes on where it was. Reaches neither
//! plugins nor the way out; a tidy test says so.

use std::sync::Arc;

use pointsman_rules::ids::RuleVersionId;
use pointsman_rules::script::Script;

use super::replay::{Ground, Scene};
use super::trial::{Counts, Pair};
use crate::clock::Clock;
use crate::store::trials::{self, Finding, Kind, State, Trial};
use crate::store::{Db, Durability, StoreError, replay, rules};

/// Days that are looked back at most.
pub const DAYS_MAX: i64 = 90;
/// Differences of one backtest that are kept.
pub const FINDINGS_MAX: usize = 50;
/// Ended trials of a rule that are kept.
pub const KEPT_MAX: u32 = 20;
/// Events that are worked out together, at most; a conversation with more is left out.
const EVENTS_PER_PAGE_MAX: i64 = 20_000;
/// Events that are worked out together, where conversations are short.
const EVENTS_PER_PAGE: i64 = 2_000;

/// How a page ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Page {
    /// There is more.
    More,
    /// That was the last; or the trial was stopped.
    Last,
}

/// The two texts of a trial. `None`: a stored text cannot be read by this version, or the rule is gone; the trial has
/// been ended with the reason.
///
/// # Errors
/// The store's.
pub async fn pair(
    db: &Db,
    clock: &Clock,
    ground: &Ground,
    trial: &Trial,
) -> Result<Option<Pair>, StoreError> {
    let tx = &mut db.read().await?;
    let rule = rules::get(tx, ground.tenant, trial.rule).await?;
    let against = match trial.kind {
        Kind::Backtest => trial.against,
        // What is published may change while a shadow runs.
        Kind::Shadow => rule.as_ref().and_then(|rule| rule.published),
    };
    let version = match against {
        Some(version) => rules::get_version(tx, ground.tenant, version).await?,
        None => None,
    };
    let tried = Script::parse(&trial.source).map_err(|problems| first(&problems));
    let running = version.map(|it| Script::parse(&it.source).map(|script| (it.id, script))).transpose();
    let running: Result<Option<(RuleVersionId, Script)>, _> = running.map_err(|problems| first(&problems));
    let problem = match (rule, tried, running) {
        (Some(_), Ok(tried), Ok(running)) => return Ok(Some(Pair::new(trial.rule, tried, running))),
        (None, ..) => "the rule was removed".to_owned(),
        (_, Err(problem), _) => format!("the text cannot be read any more: {problem}"),
        (.., Err(problem)) => format!("the version to compare with cannot be read any more: {problem}"),
    };
    end(db, clock, ground, trial, (State::Failed, Some(problem))).await?;
    Ok(None)
}

fn first(problems: &[pointsman_rules::problem::Problem]) -> String {
    problems.first().map(ToString::to_string).unwrap_or_default()
}

/// Ends a trial.
///
/// # Errors
/// The store's.
pub async fn end(
    db: &Db,
    clock: &Clock,
    ground: &Ground,
    trial: &Trial,
    how: (State, Option<String>),
) -> Result<(), StoreError> {
    let (tenant, id, now_ms) = (ground.tenant, trial.id, clock.now_ms());
    let ended = db.write(Durability::Soft, move |tx| {
        let how = how.clone();
        Box::pin(async move { trials::end(tx, tenant, id, how, now_ms).await })
    });
    ended.await.map(|_| ())
}

/// One page of a backtest: a few conversations, from where it is.
///
/// # Errors
/// The store's; the page is done again.
pub async fn page(
    db: &Db,
    clock: &Clock,
    ground: &Arc<Ground>,
    pair: &Arc<Pair>,
    trial: &mut Trial,
) -> Result<Page, StoreError> {
    let until_ms = trial.until_ms.unwrap_or(i64::MAX);
    let span = (trial.from_ms, until_ms);
    let found = replay::conversations(&mut db.read().await?, ground.tenant, &trial.place, span).await?;
    let (mut wanted, mut events, mut too_long) = (Vec::new(), 0, 0);
    let mut last = None;
    for (conversation, count) in found {
        if !wanted.is_empty() && events + count > EVENTS_PER_PAGE {
            break;
        }
        last = Some(conversation);
        if count > EVENTS_PER_PAGE_MAX {
            too_long += 1;
            continue;
        }
        events += count;
        wanted.push(conversation);
    }
    let Some(last) = last else {
        end(db, clock, ground, trial, (State::Done, None)).await?;
        return Ok(Page::Last);
    };
    let mut counts: Counts = serde_json::from_str(&trial.counts).unwrap_or_default();
    let scenes = ground.read(db, &wanted, trial.from_ms).await?;
    counts.left_out += too_long + (wanted.len() - scenes.len()) as u64;
    let Some((counts, mut findings)) = judged(scenes, until_ms, counts, ground, pair).await else {
        let problem = format!("looking at the conversations up to {last} failed; the log says why");
        end(db, clock, ground, trial, (State::Failed, Some(problem))).await?;
        return Ok(Page::Last);
    };
    let kept = counts.would_fire + counts.no_longer_fires + counts.other_intents - findings.len() as u64;
    findings.truncate(FINDINGS_MAX.saturating_sub(usize::try_from(kept).unwrap_or(usize::MAX)));
    let place = last.to_string();
    match advance(db, clock, ground, trial, (place, counts, findings), None).await? {
        true => Ok(Page::More),
        false => Ok(Page::Last),
    }
}

/// Off the reactor. `None`: it panicked.
async fn judged(
    scenes: Vec<Scene>,
    until_ms: i64,
    counts: Counts,
    ground: &Arc<Ground>,
    pair: &Arc<Pair>,
) -> Option<(Counts, Vec<Finding>)> {
    let (ground, pair) = (ground.clone(), pair.clone());
    let work = tokio::task::spawn_blocking(move || {
        let (mut counts, mut findings) = (counts, Vec::new());
        for scene in scenes {
            let fires = counts.fires;
            for moment in scene.moments().iter().filter(|it| it.event.at_ms < until_ms) {
                findings.extend(pair.judge(moment, &ground, &mut counts));
            }
            counts.conversations += u64::from(counts.fires > fires);
        }
        (counts, findings)
    });
    work.await.ok()
}

/// Writes how far a trial came; `false`: it was stopped meanwhile. `newest`: so many findings stay.
///
/// # Errors
/// The store's.
pub async fn advance(
    db: &Db,
    clock: &Clock,
    ground: &Ground,
    trial: &mut Trial,
    (place, counts, findings): (String, Counts, Vec<Finding>),
    newest: Option<u32>,
) -> Result<bool, StoreError> {
    let (tenant, now_ms, seen) = (ground.tenant, clock.now_ms(), trial.clone());
    let (next, counts) = (place.clone(), super::case::to_json(&counts));
    let text = counts.clone();
    let moved = db.write(Durability::Soft, move |tx| {
        let (seen, place, counts, findings) = (seen.clone(), next.clone(), text.clone(), findings.clone());
        Box::pin(async move {
            if !trials::advance(tx, tenant, &seen, &place, &counts, now_ms).await? {
                return Ok(false);
            }
            if !findings.is_empty() {
                trials::add_findings(tx, tenant, seen.id, &findings).await?;
                if let Some(newest) = newest {
                    trials::keep_newest(tx, tenant, seen.id, newest).await?;
                }
            }
            Ok(true)
        })
    });
    let moved = moved.await?;
    (trial.place, trial.counts) = (place, counts);
    Ok(moved)
}
