//! effect → vendor. Effects of one lane leave in order. Each is marked before
//! the call and recorded after it, so that a crash between the two is known: the
//! message becomes `unknown` and is shown, unless repeating it is harmless.
//! Marks and records of all lanes that are busy at a moment share one commit.

mod book;
mod outcome;
mod parcel;
mod step;
mod template;

use std::sync::Arc;

use pointsman_rules::ids::MessageId;

use super::catalog::{Channel, TenantView};
use super::gather::Gather;
use super::link::Links;
use super::{Flow, FlowError, FlowSettings};
use crate::bus::News;
use crate::clock::Clock;
use crate::plugins::{Failure, OutboundMessage, Receipt};
use crate::store::effects::Effect;
use crate::store::lanes::{self, Claim, Task};
use crate::store::{Db, Durability};

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
    /// The lease ends in any case.
    is_last: bool,
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
    /// To publish, now that it is committed.
    news: Vec<News>,
}

/// Where steps wait for their commit.
pub(super) type Dispatch = Gather<Step, Stepped>;

/// What steps need besides themselves.
#[derive(Clone)]
struct Office {
    clock: Clock,
    settings: Arc<FlowSettings>,
    links: Links,
}

pub(super) fn dispatch(db: Db, clock: Clock, settings: Arc<FlowSettings>, links: Links) -> Dispatch {
    let office = Office { clock, settings, links };
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

/// Sends what waits in a claimed lane, in order.
///
/// # Errors
/// The store's; the lane is taken up again when the lease has run out.
pub async fn run(flow: &Flow, claim: Claim) -> Result<(), FlowError> {
    let Some(channel) = flow.catalog.channel(flow, claim.tenant, claim.channel).await? else {
        return give_back(flow, claim).await;
    };
    let Some(plugin) = flow.host.get(&channel.facts.provider) else { return give_back(flow, claim).await };
    let mut called = None;
    for round in 0..=EFFECTS_PER_LEASE_MAX {
        let view = flow.catalog.view(flow, claim.tenant).await?;
        let (channel, is_last) = (channel.clone(), round == EFFECTS_PER_LEASE_MAX);
        let step = Step { claim, channel: channel.clone(), view, called: called.take(), is_last };
        let Stepped { next, news } = flow.dispatch.put(step).await?;
        for it in news {
            flow.bus.publish(it);
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
