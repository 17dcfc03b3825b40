//! effect → vendor. Effects of one lane leave in order. Each is marked before
//! the call and recorded after it, so that a crash between the two is known: the
//! message becomes `unknown` and is shown, unless repeating it is harmless.
//! Marks and records of all lanes that are busy at a moment share one commit.

mod book;
mod outcome;
mod pace;
mod parcel;
mod step;
mod template;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::sync::Arc;

use pointsman_rules::ids::{LaneId, MessageId, TenantId};

use super::catalog::{Channel, TenantView};
use super::channel_state::{self, CONNECTING};
use super::gather::Gather;
use super::link::Links;
use super::turn::failure_json;
use super::{Flow, FlowError, FlowSettings};
use crate::bus::News;
use crate::clock::Clock;
use crate::plugins::{Failure, OutboundMessage, Receipt, Retry};
use crate::store::channel_health::Tally;
use crate::store::effects::Effect;
use crate::store::lanes::{self, Claim, Task};
use crate::store::{Db, Durability, StoreError, Tx};
use pace::Pacer;

/// Effects of one lane in one lease at most; then other lanes have their turn.
const EFFECTS_PER_LEASE_MAX: usize = 50;
/// Lanes whose steps share one commit at most.
const STEPS_MAX: usize = 64;
/// Steps that may wait for the commit; more wait for room.
const WAITING_MAX: usize = 1_024;
/// A lane whose plugin is missing is looked at again after this long, milliseconds.
const NO_CHANNEL_RETRY_MS: i64 = 30_000;

/// A message on its way out of the process.
#[derive(Debug, Clone)]
struct Parcel {
    effect: Effect,
    message: MessageId,
    outbound: OutboundMessage,
    started_ms: i64,
}

/// How a call ended.
#[derive(Debug, Clone)]
struct Called {
    parcel: Parcel,
    outcome: Result<Receipt, Failure>,
}

/// One step of a claimed lane: record the last call, and say what is next.
#[derive(Debug, Clone)]
pub(super) struct Step {
    claim: Claim,
    channel: Arc<Channel>,
    view: Arc<TenantView>,
    called: Option<Called>,
    /// From the lane's last step.
    left: Option<Left>,
    /// The lease ends in any case.
    is_last: bool,
}

/// What else waits in a lane after a step that sends. While the lease holds, nobody changes it but by adding to the lane,
/// which raises its `gen`.
#[derive(Debug, Clone)]
struct Left {
    /// The lane's `gen` when it was looked at.
    gen_seen: i64,
    /// In the lane's order.
    effects: VecDeque<Effect>,
    /// There is more than what was read.
    more: bool,
}

/// What to do next in a lane.
#[derive(Debug, Clone)]
enum Next {
    /// Call the vendor.
    Send(Box<Parcel>),
    /// Nothing now; `true`: something was added meanwhile.
    Rest(bool),
    /// The lease is no longer ours.
    Lost,
}

/// What a step came to.
#[derive(Debug)]
pub(super) struct Stepped {
    next: Next,
    left: Option<Left>,
    /// To publish, now that it is committed.
    news: Vec<News>,
    /// Messages that failed without a call.
    failed: i64,
}

/// Where steps wait for their commit.
pub(super) type Dispatch = Gather<Step, Stepped>;

/// What steps need besides themselves; cheap to clone.
#[derive(Clone)]
pub(super) struct Office {
    clock: Clock,
    settings: Arc<FlowSettings>,
    links: Links,
    pacer: Pacer,
}

impl Office {
    pub(super) fn new(clock: Clock, settings: Arc<FlowSettings>, links: Links) -> Self {
        Self { clock, settings, links, pacer: Pacer::default() }
    }
}

pub(super) fn dispatch(db: Db, office: Office) -> Dispatch {
    Gather::start(WAITING_MAX, STEPS_MAX, move |steps: Arc<Vec<Step>>| {
        let (db, office) = (db.clone(), office.clone());
        async move {
            db.write(Durability::Hard, move |tx| {
                let (office, steps) = (office.clone(), steps.clone());
                Box::pin(async move { step::all(tx, &office, &steps).await })
            })
            .await
        }
    })
}

/// A claimed lane whose first step is taken.
#[derive(Debug)]
pub struct Begun {
    claim: Claim,
    stepped: Stepped,
}

impl Begun {
    /// The lane.
    pub fn claim(&self) -> Claim {
        self.claim
    }
}

/// A lane that a turn wants something sent in.
#[derive(Debug, Clone)]
pub(super) struct Start {
    pub(super) tenant: TenantId,
    pub(super) lane: LaneId,
    pub(super) channel: Arc<Channel>,
    pub(super) view: Arc<TenantView>,
}

/// Claims lanes that nobody works on and takes their first step, all in the transaction that filled them: what a turn
/// wants sent leaves with the turn's own commit. Lanes whose plugin is missing stay as they are.
pub(super) async fn begin(tx: &mut Tx, flow: &Flow, starts: &[Start]) -> Result<Vec<Begun>, StoreError> {
    let has_plugin = |start: &&Start| flow.host.get(&start.channel.facts.provider).is_some();
    let starts: Vec<&Start> = starts.iter().filter(has_plugin).collect();
    let lanes: Vec<_> = starts.iter().map(|start| (start.tenant, start.lane)).collect();
    let now_ms = flow.clock.now_ms();
    let times_ms = (now_ms, now_ms + flow.settings.lease_ms);
    let claims = lanes::take(tx, Task::Deliver, &flow.owner, times_ms, &lanes).await?;
    let of = |claim: &Claim| starts.iter().find(|start| start.lane == claim.lane);
    let step = |claim: &Claim| {
        let (channel, view) = of(claim).map(|start| (start.channel.clone(), start.view.clone()))?;
        Some(Step { claim: *claim, channel, view, called: None, left: None, is_last: false })
    };
    let steps: Vec<Step> = claims.iter().filter_map(step).collect();
    let stepped = step::all(tx, &flow.office, &steps).await?;
    Ok(steps.iter().zip(stepped).map(|(step, stepped)| Begun { claim: step.claim, stepped }).collect())
}

/// Sends what waits in a claimed lane, in order.
///
/// # Errors
/// The store's; the lane is taken up again when the lease has run out.
pub async fn run(flow: &Flow, claim: Claim) -> Result<(), FlowError> {
    send_all(flow, claim, None).await
}

/// Goes on in a lane whose first step is taken.
///
/// # Errors
/// As [`run`].
pub async fn go_on(flow: &Flow, begun: Begun) -> Result<(), FlowError> {
    send_all(flow, begun.claim, Some(begun.stepped)).await
}

async fn send_all(flow: &Flow, claim: Claim, mut begun: Option<Stepped>) -> Result<(), FlowError> {
    let Some(channel) = flow.catalog.channel(flow, claim.tenant, claim.channel).await? else {
        return give_back(flow, claim).await;
    };
    let Some(plugin) = flow.host.get(&channel.facts.provider) else { return give_back(flow, claim).await };
    let (mut called, mut left) = (None, None);
    let mut is_proven = channel.state != CONNECTING;
    for round in 0..=EFFECTS_PER_LEASE_MAX {
        let stepped = match begun.take() {
            Some(stepped) => stepped,
            None => {
                let view = flow.catalog.view(flow, claim.tenant).await?;
                let is_last = round == EFFECTS_PER_LEASE_MAX;
                let end = called.as_ref().map(End::of);
                let (channel_now, called, left) = (channel.clone(), called.take(), left.take());
                let step = Step { claim, channel: channel_now, view, called, left, is_last };
                let stepped = flow.dispatch.put(step).await?;
                if let Some(end) = end {
                    let is_good = end.is_good;
                    end.note(flow, &channel, &mut is_proven).await?;
                    if !is_good {
                        flow.heed_crashes(&plugin, &channel).await?;
                    }
                }
                stepped
            }
        };
        let Stepped { next, news, failed, .. } = stepped;
        left = stepped.left;
        for it in news {
            flow.bus.publish(it);
        }
        if failed > 0 {
            flow.tallies.add(claim.tenant, claim.channel, Tally { failed, ..Tally::default() });
        }
        match next {
            Next::Send(parcel) => {
                let context = channel.context(&flow.settings.public_url, flow.clock.now_ms());
                let outcome = plugin.send(&context, &parcel.outbound).await;
                called = Some(Called { parcel: *parcel, outcome });
            }
            Next::Rest(more) => {
                if more {
                    flow.bus.ring(Task::Deliver);
                }
                return Ok(());
            }
            Next::Lost => {
                tracing::warn!(lane = %claim.lane, "a delivery lease ran out; another worker goes on");
                return Ok(());
            }
        }
    }
    Ok(())
}

/// How a call ended, for the channel it was made for.
struct End {
    tally: Tally,
    /// Did the vendor take it?
    is_good: bool,
    /// Does the vendor refuse the channel until its owner acts?
    is_broken: bool,
}

impl End {
    fn of(called: &Called) -> Self {
        let at_ms = called.parcel.started_ms;
        match &called.outcome {
            Ok(_) => {
                let tally = Tally { sent: 1, last_sent_ms: Some(at_ms), ..Tally::default() };
                Self { tally, is_good: true, is_broken: false }
            }
            Err(failure) => {
                let problem = Some((failure_json(failure), at_ms));
                let is_broken = matches!(failure.retry, Retry::AfterOwnerActs);
                Self { tally: Tally { problem, ..Tally::default() }, is_good: false, is_broken }
            }
        }
    }

    /// Counts it, now that it is recorded.
    async fn note(self, flow: &Flow, channel: &Channel, is_proven: &mut bool) -> Result<(), FlowError> {
        let (tenant, id) = (channel.tenant, channel.facts.id);
        flow.tallies.add(tenant, id, self.tally);
        if self.is_broken {
            flow.forget(tenant, Some(id)); // so that the other lanes wait, too
        }
        if self.is_good && !*is_proven {
            *is_proven = true;
            channel_state::works(flow, tenant, id).await?;
        }
        Ok(())
    }
}

/// The channel or its plugin is not there now; look again in a while.
async fn give_back(flow: &Flow, claim: Claim) -> Result<(), FlowError> {
    let ready_ms = flow.clock.now_ms() + NO_CHANNEL_RETRY_MS;
    flow.db
        .write(Durability::Soft, move |tx| {
            Box::pin(async move { lanes::give_back(tx, Task::Deliver, &claim, ready_ms).await })
        })
        .await?;
    Ok(())
}
