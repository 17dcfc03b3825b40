//! Server-sent events over the log: waits for news, reads what is new from the
//! database, and writes it to a client that must keep up. News only wake it;
//! what is sent always comes from the database.

use std::convert::Infallible;
use std::time::Duration;

use axum::http::{HeaderMap, HeaderName, HeaderValue};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse as _, Response};
use futures_util::stream;
use pointsman_rules::ids::{EventId, TenantId, UserId};
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::mpsc::{self, OwnedPermit, Sender};
use tokio::time::{Instant, MissedTickBehavior, interval, timeout};

use super::Api;
use super::problem::Problem;
use super::tail::Tail;
use crate::bus::News;
use crate::flow::presence::BEAT_MS;
use crate::store::event_views::EventView;
use crate::store::{Durability, users};

/// Silence is broken with a comment after this, so that proxies keep the connection.
const KEEP_ALIVE: Duration = Duration::from_secs(15);
/// How often the database is asked although no news came.
const SWEEP: Duration = Duration::from_secs(5);
/// Pause between two looks: what comes close together is read together.
const GAP: Duration = Duration::from_millis(25);
/// How often a connection tells that its person is there.
const BEAT: Duration = Duration::from_millis(BEAT_MS.unsigned_abs());
/// How often a stream looks whether the process goes down.
const DRAIN_CHECK: Duration = Duration::from_millis(500);
/// Pause between two looks at what is told beside the log.
const ASIDE_GAP: Duration = Duration::from_secs(1);
/// Events that may wait for a client.
const QUEUE_EVENTS: usize = 256;
/// How long a full queue may stay full before the client is too slow.
const SLOW_AFTER: Duration = Duration::from_secs(10);
/// A stream ends after this, so that a revoked key or session does not listen for ever; clients come back by themselves.
const STREAM_MAX: Duration = Duration::from_secs(15 * 60);
/// When a client should come back, milliseconds.
const RECONNECT_MS: u64 = 1_000;
/// Events per query.
const ROWS: u32 = 200;

/// What is followed and how it is shown.
pub(super) trait Source: Send + Sync + 'static {
    /// Could this be about something that is followed?
    fn concerns(&self, news: &News) -> bool;

    /// The person who listens, if it is one: their connection is proof that they are there.
    fn person(&self) -> Option<(TenantId, UserId)> {
        None
    }

    /// Events after a place in the log, oldest first.
    fn read(
        &mut self,
        api: &Api,
        after: EventId,
        rows_max: u32,
    ) -> impl Future<Output = Result<Vec<EventView>, Problem>> + Send;

    /// What the client is told about these events.
    fn show(
        &mut self,
        api: &Api,
        events: Vec<EventView>,
    ) -> impl Future<Output = Result<Vec<Event>, Problem>> + Send;

    /// Something beside the log that changed since it was told: an event without an id, so that nobody resumes there.
    fn aside(&mut self, _: &Api) -> impl Future<Output = Result<Option<Event>, Problem>> + Send {
        async { Ok(None) }
    }
}

/// Follows the log after the request's `Last-Event-ID`, or from now on.
pub(super) async fn follow(
    api: Api,
    headers: &HeaderMap,
    mut source: impl Source,
) -> Result<Response, Problem> {
    let news = api.flow.bus.subscribe(); // before the first look, so that nothing falls between
    let last = last_event_id(headers)?;
    let tail = open(&api, &mut source, last).await?;
    // One place stays reserved for the farewell to a client that is too slow.
    let (sender, receiver) = mpsc::channel(QUEUE_EVENTS + 1);
    let farewell = sender.clone().reserve_owned().await.map_err(|_| Problem::broken())?;
    let pump = Pump { api, source, tail, news, sender };
    tokio::spawn(pump.run(farewell));
    let events = stream::unfold(receiver, |mut receiver| async move {
        receiver.recv().await.map(|event| (Ok::<_, Infallible>(event), receiver))
    });
    let mut response = Sse::new(events).keep_alive(KeepAlive::new().interval(KEEP_ALIVE)).into_response();
    let buffering = HeaderName::from_static("x-accel-buffering");
    response.headers_mut().insert(buffering, HeaderValue::from_static("no"));
    Ok(response)
}

fn last_event_id(headers: &HeaderMap) -> Result<Option<EventId>, Problem> {
    let given =
        headers.get("last-event-id").and_then(|value| value.to_str().ok()).filter(|id| !id.is_empty());
    given
        .map(|id| id.parse())
        .transpose()
        .map_err(|error: pointsman_rules::ids::IdError| Problem::malformed("bad_event_id", error.to_string()))
}

/// A tail that has skipped what the client has seen already: everything up to `last`, or everything up to now.
async fn open(api: &Api, source: &mut impl Source, last: Option<EventId>) -> Result<Tail, Problem> {
    let mut tail = Tail::open(last, api.flow.clock.now_ms());
    let mut after = tail.floor();
    loop {
        let page = source.read(api, after, ROWS).await?;
        let is_last = page.len() < ROWS as usize;
        for event in &page {
            if last.is_some_and(|last| event.id > last) {
                return Ok(tail);
            }
            tail.is_new(event.id);
            after = event.id;
        }
        if is_last {
            return Ok(tail);
        }
    }
}

/// How far back a look goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Look {
    /// What came after the newest event.
    Ahead,
    /// Everything that is not settled.
    Back,
}

/// Why a stream ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    /// Nobody listens.
    Gone,
    /// The client does not read.
    TooSlow,
    /// The process goes down.
    Draining,
    /// It has lasted long enough.
    LongEnough,
    /// The database failed; it is in the log.
    Failed,
}

struct Pump<S> {
    api: Api,
    source: S,
    tail: Tail,
    news: Receiver<News>,
    sender: Sender<Event>,
}

impl<S: Source> Pump<S> {
    async fn run(mut self, farewell: OwnedPermit<Event>) {
        let end = match self.work().await {
            Err(end) => end,
            Ok(never) => match never {},
        };
        let comment = match end {
            End::Gone => return,
            End::TooSlow => "you read too slowly: come back with Last-Event-ID",
            End::Draining => "this process goes down: come back with Last-Event-ID",
            End::LongEnough => "come back with Last-Event-ID",
            End::Failed => "the database failed: come back with Last-Event-ID",
        };
        farewell.send(Event::default().comment(comment));
    }

    async fn work(&mut self) -> Result<Infallible, End> {
        let ends = Instant::now() + STREAM_MAX;
        let mut sweep = ticks(SWEEP);
        let mut drain = ticks(DRAIN_CHECK);
        let mut beat = ticks(BEAT);
        self.beat().await;
        self.send(Event::default().retry(Duration::from_millis(RECONNECT_MS)).comment("hello")).await?;
        let mut look = Some(Look::Back);
        let mut aside = Instant::now();
        let mut is_aside_due = false;
        loop {
            if let Some(look) = look {
                self.look(look).await?;
                is_aside_due = true;
                tokio::time::sleep(GAP).await;
            }
            look = tokio::select! {
                () = self.sender.closed() => return Err(End::Gone),
                () = tokio::time::sleep_until(aside), if is_aside_due => {
                    self.aside().await?;
                    (is_aside_due, aside) = (false, Instant::now() + ASIDE_GAP);
                    None
                }
                () = tokio::time::sleep_until(ends) => return Err(End::LongEnough),
                news = self.news.recv() => self.wake(news)?,
                _ = sweep.tick() => Some(Look::Back),
                _ = beat.tick() => {
                    self.beat().await;
                    None
                }
                _ = drain.tick() => {
                    if self.api.is_draining() {
                        return Err(End::Draining);
                    }
                    None
                }
            };
        }
    }

    /// Whoever listens is there.
    async fn beat(&self) {
        let Some((tenant, user)) = self.source.person() else { return };
        let now_ms = self.api.flow.clock.now_ms();
        let seen = self.api.flow.db.write(Durability::Soft, move |tx| {
            Box::pin(async move { users::seen(tx, tenant, user, now_ms).await })
        });
        if let Err(error) = seen.await {
            tracing::warn!(error = &error as &dyn std::error::Error, "a connection cannot be noted");
        }
    }

    /// How far to look after this piece of news and all others that wait already.
    fn wake(&mut self, first: Result<News, RecvError>) -> Result<Option<Look>, End> {
        let mut look = None;
        let mut next = Some(first);
        while let Some(news) = next {
            let wanted = match news {
                Ok(News::Event { event, .. }) if event < self.tail.newest() => Look::Back,
                Ok(News::Elsewhere) | Err(RecvError::Lagged(_)) => Look::Back,
                Ok(_) => Look::Ahead,
                Err(RecvError::Closed) => return Err(End::Draining),
            };
            let concerns = news.as_ref().map_or(true, |news| self.source.concerns(news));
            look = look.max(concerns.then_some(wanted));
            next = match self.news.try_recv() {
                Ok(news) => Some(Ok(news)),
                Err(tokio::sync::broadcast::error::TryRecvError::Lagged(missed)) => {
                    Some(Err(RecvError::Lagged(missed)))
                }
                Err(_) => None,
            };
        }
        Ok(look)
    }

    async fn look(&mut self, look: Look) -> Result<(), End> {
        let begun_ms = self.api.flow.clock.now_ms();
        let mut after = match look {
            Look::Ahead => self.tail.newest(),
            Look::Back => self.tail.floor(),
        };
        loop {
            let page = self.source.read(&self.api, after, ROWS).await.map_err(|_| End::Failed)?;
            let is_last = page.len() < ROWS as usize;
            after = page.last().map_or(after, |event| event.id);
            let fresh = self.tail.fresh(page);
            if !fresh.is_empty() {
                let shown = self.source.show(&self.api, fresh).await.map_err(|_| End::Failed)?;
                for event in shown {
                    self.send(event).await?;
                }
            }
            if is_last {
                break;
            }
        }
        if look == Look::Back {
            self.tail.settle(begun_ms);
        }
        Ok(())
    }

    async fn aside(&mut self) -> Result<(), End> {
        match self.source.aside(&self.api).await.map_err(|_| End::Failed)? {
            Some(event) => self.send(event).await,
            None => Ok(()),
        }
    }

    async fn send(&self, event: Event) -> Result<(), End> {
        match timeout(SLOW_AFTER, self.sender.send(event)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) => Err(End::Gone),
            Err(_) => Err(End::TooSlow),
        }
    }
}

fn ticks(every: Duration) -> tokio::time::Interval {
    let mut ticks = interval(every);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks.reset(); // the first tick would be immediate
    ticks
}
