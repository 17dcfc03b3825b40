//! effect → vendor. Effects of one lane leave in order. Each is marked before
//! the call and recorded after it, so that a crash between the two is known: the
//! message becomes `unknown` and is shown, unless repeating it is harmless.

mod record;

use std::sync::Arc;

use pointsman_rules::facts::SenderKind;
use pointsman_rules::ids::MessageId;

use super::case::to_json;
use super::catalog::Channel;
use super::content::Content;
use super::{Flow, FlowError, gate};
use crate::plugins::{Failure, OutboundContent, OutboundMessage, Party, Receipt};
use crate::store::effects::{Effect, EffectState, Ending, begin, end, waiting};
use crate::store::lanes::{self, Claim, Task};
use crate::store::messages::{StatusUpdate, set_status};
use crate::store::outgoing::{self, Outgoing};
use crate::store::{Durability, StoreError, Tx, catalog};
use record::Desk;

/// Effects of one lane in one lease at most; then other lanes have their turn.
const EFFECTS_PER_LEASE_MAX: usize = 50;

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
        let is_last = round == EFFECTS_PER_LEASE_MAX;
        match step(flow, claim, channel.clone(), called.take(), is_last).await? {
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

/// A lane whose plugin is missing is looked at again after this long, milliseconds.
const NO_CHANNEL_RETRY_MS: i64 = 30_000;

/// One transaction: records the last call, and marks the next effect as `sending`.
async fn step(
    flow: &Flow,
    claim: Claim,
    channel: Arc<Channel>,
    called: Option<Called>,
    is_last: bool,
) -> Result<Next, FlowError> {
    let called = Arc::new(called);
    let (inside, view) = (flow.clone(), flow.catalog.view(flow, claim.tenant).await?);
    let (next, news) = flow
        .db
        .write(Durability::Hard, move |tx| {
            let (flow, view, channel, called) =
                (inside.clone(), view.clone(), channel.clone(), called.clone());
            Box::pin(async move {
                let now_ms = flow.clock.now_ms();
                let held = lanes::hold(tx, Task::Deliver, &claim, now_ms + flow.settings.lease_ms).await?;
                let (flow, channel, view) = (&flow, &*channel, &*view);
                let mut desk = Desk { tx, flow, channel, view, claim, now_ms, news: Vec::new() };
                if let Some(called) = called.as_ref() {
                    // Recorded even when the lease is lost: nobody else knows how the call ended.
                    desk.record(called).await?;
                }
                let next = match held {
                    Some(gen_now) => advance(&mut desk, gen_now, is_last).await?,
                    None => Next::Lost,
                };
                Ok((next, desk.news))
            })
        })
        .await?;
    for it in news {
        flow.bus.publish(it);
    }
    Ok(next)
}

/// Finds the next effect that may leave and marks it; refused ones fail here, in order.
async fn advance(desk: &mut Desk<'_>, gen_now: i64, is_last: bool) -> Result<Next, StoreError> {
    let (claim, now_ms) = (desk.claim, desk.now_ms);
    if is_last {
        lanes::rest(desk.tx, &claim, gen_now, now_ms, Some(now_ms)).await?;
        return Ok(Next::Rest(true));
    }
    let effects = waiting(desk.tx, &claim, WAITING_PER_STEP_MAX).await?;
    let left = effects.len() == WAITING_PER_STEP_MAX as usize;
    for effect in effects {
        if effect.next_ms > now_ms {
            lanes::rest(desk.tx, &claim, gen_now, now_ms, Some(effect.next_ms)).await?;
            return Ok(Next::Rest(false));
        }
        if effect.state == EffectState::Sending && !desk.channel.facts.capabilities.idempotent_send {
            // Whoever marked it died before it could record: nobody knows whether the vendor has it.
            desk.unclear(&effect, None).await?;
        } else if let Some(parcel) = prepare(desk, &effect).await? {
            return Ok(Next::Send(Box::new(parcel)));
        }
    }
    // What was added after `gen_now` was read makes the lane ready again by itself.
    lanes::rest(desk.tx, &claim, gen_now, now_ms, left.then_some(now_ms)).await?;
    Ok(Next::Rest(left))
}

/// Effects looked at in one transaction at most.
const WAITING_PER_STEP_MAX: u32 = 10;

/// The gate, and the mark before the call. `None`: it was refused.
async fn prepare(desk: &mut Desk<'_>, effect: &Effect) -> Result<Option<Parcel>, StoreError> {
    let (tenant, now_ms) = (desk.claim.tenant, desk.now_ms);
    let outgoing = match effect.message {
        Some(message) => outgoing::load(desk.tx, tenant, message).await?.map(|it| (message, it)),
        None => None,
    };
    let Some((message, outgoing)) = outgoing else {
        // The conversation was deleted; there is nothing to send any more.
        let gone = Ending { state: EffectState::Cancelled, next_ms: now_ms, failure: None };
        end(desk.tx, tenant, effect.id, &gone, now_ms).await?;
        return Ok(None);
    };
    let content: Content = serde_json::from_str(&outgoing.content).map_err(|error| StoreError::BadRow {
        table: "messages",
        column: "content",
        reason: error.to_string(),
    })?;
    let facts = gate_facts(desk.channel, effect, &outgoing, now_ms);
    let content = settle(desk.tx, desk.claim, message, content, gate::window_is_open(&facts)).await?;
    if let Err(refusal) = gate::check(&facts, &content) {
        desk.refused(effect, refusal.code, &refusal.detail).await?;
        return Ok(None);
    }
    let outbound = match outbound(desk, &content).await? {
        Ok(outbound) => outbound,
        Err((code, detail)) => {
            desk.refused(effect, code, &detail).await?;
            return Ok(None);
        }
    };
    begin(desk.tx, tenant, effect.id).await?;
    let mark = StatusUpdate {
        message,
        status: "sending".into(),
        over: super::turn::replaces("sending"),
        failure: None,
        vendor_id: None,
        at_ms: now_ms,
    };
    set_status(desk.tx, tenant, &mark).await?;
    let effect = Effect { attempts: effect.attempts + 1, ..effect.clone() };
    let outbound = address(desk, &effect, outgoing, outbound);
    Ok(Some(Parcel { effect, message, outbound, started_ms: now_ms }))
}

fn address(desk: &Desk<'_>, effect: &Effect, to: Outgoing, content: OutboundContent) -> OutboundMessage {
    let hook = desk.channel.webhook_url(&desk.flow.settings.public_url);
    OutboundMessage {
        effect_id: effect.id.to_string(),
        attempt: u32::try_from(effect.attempts).unwrap_or(u32::MAX),
        to: Party {
            address: to.address,
            phone: to.phone,
            scoped_id: to.scoped_id,
            username: to.username,
            display_name: None,
        },
        reply_to: to.reply_to,
        content,
        status_url: format!("{hook}?effect={}", effect.id),
    }
}

/// What the plugin is asked to send, or why it cannot be sent: a template that is not approved (any more) is not
/// worth a call.
async fn outbound(
    desk: &mut Desk<'_>,
    content: &Content,
) -> Result<Result<OutboundContent, (&'static str, String)>, StoreError> {
    let mut vendor_id = None;
    if let Content::Template { name, language, .. } = content {
        let (tenant, channel) = (desk.claim.tenant, desk.claim.channel);
        match catalog::template_vendor_id(desk.tx, tenant, channel, name, language).await? {
            Some((id, status)) if status == "approved" => vendor_id = id,
            Some((_, status)) => {
                let detail =
                    format!("The template `{name}` ({language}) is {status}; choose an approved one.");
                return Ok(Err(("template", detail)));
            }
            None => {
                let detail = format!(
                    "There is no template `{name}` in `{language}` on this channel; refresh its templates or choose another."
                );
                return Ok(Err(("template", detail)));
            }
        }
    }
    let sendable = content.to_outbound(vendor_id);
    Ok(sendable.ok_or_else(|| ("unsupported", "Messages of this kind cannot be sent.".to_owned())))
}

fn gate_facts<'a>(channel: &'a Channel, effect: &Effect, it: &Outgoing, now_ms: i64) -> gate::Facts<'a> {
    gate::Facts {
        now_ms,
        capabilities: &channel.facts.capabilities,
        window_closes_ms: it.window_closes_ms,
        inbound_count: it.inbound_count,
        blocked: it.blocked,
        opted_out: it.opted_out,
        confirms_opt_out: effect.kind == super::case::SEND_CONFIRMATION,
        receive_only: channel.facts.receive_only,
        active: channel.active,
        assistant_silenced: it.sender == SenderKind::Assistant && !it.ai.is_on(now_ms),
    }
}

/// Text or template? Decided now, and kept with the message.
async fn settle(
    tx: &mut Tx,
    claim: Claim,
    message: MessageId,
    content: Content,
    window_is_open: bool,
) -> Result<Content, StoreError> {
    let Content::Either { text, name, language, slots } = content else { return Ok(content) };
    let content =
        if window_is_open { Content::Text { text } } else { Content::Template { name, language, slots } };
    outgoing::set_content(tx, claim.tenant, message, &to_json(&content)).await?;
    Ok(content)
}
