//! Phones that channels are linked to: what the vendor says of a session becomes
//! the channel's state, an event, and a word to those who can link it again. The
//! vendor tells by webhook; it is asked as well, since a webhook may be lost: often
//! while a phone is being linked, else once an hour.

use std::sync::Arc;

use pointsman_rules::event::{Actor, Cause, Event, EventBody};
use pointsman_rules::ids::{ChannelId, EventId, NotificationId, TenantId};

use super::catalog::TenantView;
use super::channel_state::{
    self, CONNECTED, CONNECTING, DEGRADED, DISCONNECTED, Entered, FAILED, Move, QR_REQUIRED,
};
use super::jobs::{Outcome, Round};
use super::{Flow, FlowError};
use crate::bus::News;
use crate::clock::Clock;
use crate::plugins::{
    ChannelContext, Failure, FailureKind, Plugin, SessionOutcome, SessionTask, SessionUpdate,
};
use crate::store::channel_sessions::{self, Session};
use crate::store::channels::{self, Channel};
use crate::store::log::{self, Logged};
use crate::store::{Durability, StoreError, Tx, jobs, notices};

/// Name of the job that asks vendors how their sessions are.
pub const JOB: &str = "channels.sessions";
/// A session that works is asked for this often, milliseconds.
const ASK_EVERY_MS: i64 = 3_600_000;
/// How long linking a phone may take before it is looked at as seldom as others, milliseconds. Vendors give up sooner.
const LINKING_MS_MAX: i64 = 600_000;
/// How often a session is asked for while a phone is being linked, milliseconds.
const LINKING_EVERY_MS: i64 = 5_000;

/// From whom we know.
#[derive(Debug, Clone, PartialEq)]
pub enum Source {
    /// The vendor called.
    Webhook,
    /// It answered.
    Answer(Actor),
}

/// Asks the vendor. Takes as long as the vendor does, so never inside a transaction.
///
/// # Errors
/// The vendor's or the plugin's failure.
pub async fn ask(
    plugin: &Plugin,
    context: &ChannelContext,
    task: &SessionTask,
) -> Result<SessionUpdate, Failure> {
    match plugin.session(context, task).await? {
        SessionOutcome::Session(update) => Ok(update),
        _ => Err(Failure::internal(crate::plugins::Certainty::Unknown, "the plugin answered something else")),
    }
}

/// The channel's state for a session's. A word that is not known is one on the way.
fn channel_state(session: &str) -> &'static str {
    match session {
        "working" => CONNECTED,
        "needs_qr" | "needs_code" => QR_REQUIRED,
        "stopped" => DISCONNECTED,
        "degraded" => DEGRADED,
        "failed" => FAILED,
        _ => CONNECTING,
    }
}

/// Keeps what is known of a session, moves the channel's state, and tells people when a phone is lost. Answers the
/// news to publish after the commit, with [`channel_state::settle`]; none: it was nothing new.
///
/// # Errors
/// The store's.
pub async fn record(
    tx: &mut Tx,
    (clock, view): (&Clock, &TenantView),
    (tenant, id): (TenantId, ChannelId),
    update: &SessionUpdate,
    source: Source,
) -> Result<Vec<News>, StoreError> {
    let Some(channel) = channels::get(tx, tenant, id).await? else { return Ok(Vec::new()) };
    let before = channel_sessions::get(tx, tenant, id).await?;
    let told_before = before.as_ref().and_then(|it| it.told_ms);
    // Webhooks come in any order; only their own times can be compared.
    if source == Source::Webhook && told_before.is_some_and(|told_ms| told_ms > update.at_ms) {
        return Ok(Vec::new());
    }
    let now = known(before.as_ref(), update, &source, clock.now_ms());
    channel_sessions::put(tx, tenant, id, &now).await?;
    if now.address.as_ref().is_some_and(|address| *address != channel.address) {
        let address = now.address.clone().unwrap_or_default();
        channels::update(tx, tenant, &Channel { address, ..channel.clone() }).await?;
    }
    let is_change = before.as_ref().is_none_or(|it| it.state != now.state);
    let mut news = Vec::new();
    // The same state once more is a new QR code.
    if is_change || (source == Source::Webhook && now.state == "needs_qr") {
        news.push(announce(tx, clock, view, (tenant, id), &now.state, &source).await?);
    }
    // That another installation took the number over is known from elsewhere, and stays until it changes.
    if is_change || channel.state != DEGRADED {
        news.extend(move_channel(tx, (clock, view), (tenant, &channel), &now, &source).await?);
    }
    Ok(news)
}

fn known(before: Option<&Session>, update: &SessionUpdate, source: &Source, now_ms: i64) -> Session {
    let same = before.filter(|it| it.state == update.state);
    // A webhook says less than an answer: what is known of the same account stays.
    let kept = same.filter(|_| update.state == "working");
    Session {
        state: update.state.clone(),
        reason: update.reason.clone(),
        account_name: update.account_name.clone().or_else(|| kept.and_then(|it| it.account_name.clone())),
        address: update.address.clone().or_else(|| kept.and_then(|it| it.address.clone())),
        picture_url: update.picture_url.clone().or_else(|| kept.and_then(|it| it.picture_url.clone())),
        since_ms: same.map_or(now_ms, |it| it.since_ms),
        told_ms: match source {
            Source::Webhook => Some(update.at_ms),
            Source::Answer(_) => before.and_then(|it| it.told_ms),
        },
        asked_ms: match source {
            Source::Webhook => before.and_then(|it| it.asked_ms),
            Source::Answer(_) => Some(now_ms),
        },
    }
}

fn actor(source: &Source) -> Actor {
    match source {
        Source::Webhook => Actor::Vendor,
        Source::Answer(actor) => actor.clone(),
    }
}

async fn announce(
    tx: &mut Tx,
    clock: &Clock,
    view: &TenantView,
    (tenant, channel): (TenantId, ChannelId),
    state: &str,
    source: &Source,
) -> Result<News, StoreError> {
    let at_ms = clock.now_ms();
    let event = Event {
        id: EventId::new(at_ms, clock.random()),
        at_ms,
        conversation: None,
        cause: Cause { actor: actor(source), chain: Vec::new() },
        body: EventBody::ChannelSessionChanged { state: state.to_owned() },
    };
    let logged = Logged { event, channel: Some(channel), seq: 0 };
    log::append(tx, &[(tenant, logged.clone())]).await?;
    Entered::of(tenant, logged).tell(tx, clock, view).await
}

async fn move_channel(
    tx: &mut Tx,
    (clock, view): (&Clock, &TenantView),
    (tenant, channel): (TenantId, &Channel),
    now: &Session,
    source: &Source,
) -> Result<Option<News>, StoreError> {
    let to = channel_state(&now.state);
    let why = now.reason.as_deref().unwrap_or("look at the linked phone");
    let worked = channel.state == CONNECTED || channel.state == DEGRADED;
    // Who does it by hand knows.
    let by_hand = matches!(source, Source::Answer(Actor::User { .. } | Actor::Key { .. }));
    let is_lost = to == FAILED || (worked && (to == QR_REQUIRED || to == DISCONNECTED));
    let notice = (is_lost && !by_hand).then(|| format!("The channel {} needs you: {why}", channel.name));
    let (to, reason, actor) = (to.to_owned(), now.reason.clone(), actor(source));
    let entered = Move { tenant, channel: channel.id, to, reason, notice: notice.clone(), actor };
    let Some(entered) = channel_state::enter(tx, clock, &entered).await? else { return Ok(None) };
    if let (Some(text), Some(owner)) = (notice, channel.owner)
        && !notices::admins(tx, tenant).await?.contains(&owner)
    {
        let id = NotificationId::new(clock.now_ms(), clock.random());
        notices::insert_general(tx, tenant, id, (owner, "channel", &text), clock.now_ms()).await?;
    }
    entered.tell(tx, clock, view).await.map(Some)
}

/// Does something with a channel's session and records what came of it.
///
/// # Errors
/// The store's; the vendor's failure is the inner error.
pub async fn act(
    flow: &Flow,
    (tenant, id): (TenantId, ChannelId),
    (plugin, context): (&Plugin, &ChannelContext),
    task: &SessionTask,
    actor: Actor,
) -> Result<Result<SessionUpdate, Failure>, FlowError> {
    let answer = ask(plugin, context, task).await;
    let (clock, view) = (flow.clock.clone(), flow.catalog.view(flow, tenant).await?);
    let kept = Arc::new(answer.clone());
    let told = flow.db.write(Durability::Hard, move |tx| {
        let (clock, view, kept, actor) = (clock.clone(), view.clone(), kept.clone(), actor.clone());
        Box::pin(async move {
            let parts = (&clock, &*view);
            match &*kept {
                Ok(update) => {
                    let news = record(tx, parts, (tenant, id), update, Source::Answer(actor)).await?;
                    if channel_state(&update.state) != CONNECTED {
                        jobs::wake(tx, tenant, JOB, clock.now_ms()).await?;
                    }
                    Ok(news)
                }
                Err(failure) => refused(tx, parts, (tenant, id), failure, actor).await,
            }
        })
    });
    settle(flow, tenant, id, told.await?).await?;
    Ok(answer)
}

/// Credentials that do not hold turn the channel red; anything else says nothing about the session.
async fn refused(
    tx: &mut Tx,
    (clock, view): (&Clock, &TenantView),
    (tenant, id): (TenantId, ChannelId),
    failure: &Failure,
    actor: Actor,
) -> Result<Vec<News>, StoreError> {
    if failure.kind.class() != FailureKind::AuthFailed.class() {
        return Ok(Vec::new());
    }
    let Some(channel) = channels::get(tx, tenant, id).await? else { return Ok(Vec::new()) };
    let reason = Some(failure.message.clone());
    let notice = Some(format!("The channel {} needs you: {}", channel.name, failure.message));
    let entered = Move { tenant, channel: id, to: FAILED.to_owned(), reason, notice, actor };
    match channel_state::enter(tx, clock, &entered).await? {
        Some(entered) => Ok(vec![entered.tell(tx, clock, view).await?]),
        None => Ok(Vec::new()),
    }
}

/// Says after the commit what was recorded.
///
/// # Errors
/// The store's.
pub async fn settle(flow: &Flow, tenant: TenantId, id: ChannelId, news: Vec<News>) -> Result<(), FlowError> {
    for news in news {
        channel_state::settle(flow, tenant, id, Some(news)).await?;
    }
    Ok(())
}

/// Asks for sessions that were not heard of for long, and for those that are being linked.
///
/// # Errors
/// The store's.
pub async fn ask_all(round: &Round) -> Result<Outcome, FlowError> {
    let (flow, tenant) = (&round.flow, round.tenant);
    let ids = channels::active(&mut flow.db.read().await?, tenant).await?;
    let mut is_linking = false;
    for id in ids {
        if round.stop.is_cancelled() {
            return Ok(Outcome::Snoozed);
        }
        // One channel whose plugin is missing must not keep the others from being asked for.
        let (plugin, context) = match flow.channel_context(tenant, id).await {
            Ok(Some((plugin, context))) if plugin.exports().sessions => (plugin, context),
            Ok(_) => continue,
            Err(error) => {
                let error = &error as &dyn std::error::Error;
                tracing::warn!(channel = %id, error, "a session cannot be asked for");
                continue;
            }
        };
        let now_ms = flow.clock.now_ms();
        let known = channel_sessions::get(&mut flow.db.read().await?, tenant, id).await?;
        if !linking(known.as_ref(), now_ms) && !is_due(known.as_ref(), now_ms) {
            continue;
        }
        act(flow, (tenant, id), (&plugin, &context), &SessionTask::State, Actor::System).await?.ok();
        let known = channel_sessions::get(&mut flow.db.read().await?, tenant, id).await?;
        is_linking |= linking(known.as_ref(), now_ms);
    }
    Ok(if is_linking { Outcome::Rests(LINKING_EVERY_MS) } else { Outcome::Done })
}

/// Is a phone being linked, or on its way back?
fn linking(known: Option<&Session>, now_ms: i64) -> bool {
    known.is_some_and(|it| {
        let state = channel_state(&it.state);
        (state == CONNECTING || state == QR_REQUIRED) && now_ms - it.since_ms < LINKING_MS_MAX
    })
}

fn is_due(known: Option<&Session>, now_ms: i64) -> bool {
    known.and_then(|it| it.asked_ms).is_none_or(|asked_ms| now_ms - asked_ms >= ASK_EVERY_MS)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flow::testing;
    use crate::store::testing::each_db;
    use pointsman_rules::ids::UserId;

    fn update(state: &str, at_ms: i64) -> SessionUpdate {
        SessionUpdate {
            state: state.into(),
            at_ms,
            reason: Some("because".into()),
            account_name: None,
            picture_url: None,
            address: (state == "working").then(|| "+79222222222".into()),
            extras: Vec::new(),
        }
    }

    // S27, S98
    #[test]
    fn a_session_moves_its_channel_and_a_lost_phone_is_told_once() {
        each_db(|db| async move {
            let folder = tempfile::tempdir().unwrap();
            let flow = testing::on(db.clone(), Clock::system(), folder.path());
            let (tenant, id) = (TenantId::new(1, 1), ChannelId::new(1, 1));
            let owner = UserId::new(1, 9);
            let view = flow.catalog.view(&flow, tenant).await.unwrap();
            let clock = flow.clock.clone();
            db.write(Durability::Hard, move |tx| {
                let (view, clock) = (view.clone(), clock.clone());
                Box::pin(async move {
                    let channel = Channel { owner: Some(owner), ..channels::tests::example(1) };
                    channels::insert(tx, tenant, &channel).await?;
                    let mut seen = Vec::new();
                    for (state, at_ms) in [
                        ("starting", 10),
                        ("needs_qr", 20),
                        ("needs_qr", 30),
                        ("working", 40),
                        // Late: it is older than what is known.
                        ("needs_qr", 35),
                        ("failed", 50),
                        ("failed", 60),
                        ("something_new", 70),
                    ] {
                        let parts = (&clock, &*view);
                        let news =
                            record(tx, parts, (tenant, id), &update(state, at_ms), Source::Webhook).await?;
                        let now = channels::get(tx, tenant, id).await?.map(|it| it.state).unwrap_or_default();
                        seen.push((now, news.len()));
                    }
                    let expected = [
                        // It was connecting before; only the session is news.
                        ("connecting", 1),
                        ("qr_required", 2),
                        ("qr_required", 1),
                        ("connected", 2),
                        ("connected", 0),
                        ("failed", 2),
                        ("failed", 0),
                        ("connecting", 2),
                    ];
                    assert_eq!(seen, expected.map(|(state, news)| (state.to_owned(), news)));
                    let channel = channels::get(tx, tenant, id).await?;
                    assert_eq!(channel.map(|it| it.address).as_deref(), Some("+79222222222"));
                    let told = crate::store::notifications::count_unread(tx, tenant, Some(owner)).await?;
                    assert_eq!(told, 1, "the phone's owner, once");
                    Ok::<_, StoreError>(())
                })
            })
            .await
            .unwrap();
        });
    }

    #[test]
    fn an_answer_says_more_than_a_webhook_and_is_kept() {
        let answer = SessionUpdate {
            account_name: Some("Desk".into()),
            picture_url: Some("https://pictures.test/1".into()),
            ..update("working", 5)
        };
        let first = known(None, &answer, &Source::Answer(Actor::System), 100);
        let second = known(Some(&first), &update("working", 7), &Source::Webhook, 200);
        assert_eq!((second.picture_url.as_deref(), second.since_ms), (Some("https://pictures.test/1"), 100));
        assert_eq!((second.told_ms, second.asked_ms), (Some(7), Some(100)));
        let third = known(Some(&second), &update("failed", 9), &Source::Webhook, 300);
        assert_eq!((third.picture_url, third.since_ms), (None, 300), "it is nobody's now");
    }

    #[test]
    fn only_while_a_phone_is_linked_is_it_asked_often() {
        let at = |state: &str, since_ms, asked_ms| Session {
            since_ms,
            asked_ms,
            ..known(None, &update(state, 0), &Source::Webhook, since_ms)
        };
        assert!(linking(Some(&at("needs_qr", 1_000, None)), 2_000));
        assert!(!linking(Some(&at("needs_qr", 1_000, None)), 1_000 + LINKING_MS_MAX));
        assert!(!linking(Some(&at("working", 1_000, None)), 2_000) && !linking(None, 0));
        assert!(is_due(None, 0) && !is_due(Some(&at("working", 0, Some(1_000))), 2_000));
        assert!(is_due(Some(&at("working", 0, Some(1_000))), 1_000 + ASK_EVERY_MS));
    }
}
