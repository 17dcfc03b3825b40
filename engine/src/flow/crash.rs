//! A plugin that crashes again and again for a channel is stopped there. What
//! arrives meanwhile is kept unread, what is to be sent waits, and a person resumes
//! the channel when the plugin is mended. Other channels of the plugin go on: one
//! vendor's odd message is no trouble of theirs. Must not decide how a crash is
//! answered: the verbs do.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};

use pointsman_rules::event::Actor;
use pointsman_rules::ids::{ChannelId, RawWebhookId, TenantId};

use super::accept::AcceptError;
use super::catalog::Channel;
use super::channel_state::{self, Move, PAUSED};
use super::jobs::{Outcome, Round};
use super::{Flow, FlowError};
use crate::plugins::Plugin;
use crate::store::{Durability, StoreError, channels, raw};

/// The job that reads what was kept while a plugin was stopped.
pub const JOB: &str = "channels.waiting";
/// So many crashes of a plugin for one channel stop it there …
const CRASHES_MAX: usize = 5;
/// … within so long, milliseconds.
const CRASHES_MS: i64 = 60_000;
/// Webhooks that are looked up at a time.
const WEBHOOKS_PER_STEP: i64 = 100;

/// When plugins crashed lately, by channel; of this process alone.
#[derive(Clone, Default)]
pub(super) struct Crashes(Arc<Mutex<HashMap<ChannelId, VecDeque<i64>>>>);

impl Crashes {
    /// Counts crashes; were there too many? Then it starts anew.
    fn add(&self, channel: ChannelId, count: u32, now_ms: i64) -> bool {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let times = all.entry(channel).or_default();
        times.extend(std::iter::repeat_n(now_ms, (count as usize).min(CRASHES_MAX)));
        while times.front().is_some_and(|at_ms| now_ms - at_ms >= CRASHES_MS) {
            times.pop_front();
        }
        let too_many = times.len() >= CRASHES_MAX;
        if too_many {
            all.remove(&channel);
        }
        too_many
    }
}

impl Flow {
    /// Looks whether the plugin crashed for this channel, after a call that failed; stops it there when it does so all
    /// the time.
    ///
    /// # Errors
    /// The store's.
    pub(super) async fn heed_crashes(&self, plugin: &Plugin, channel: &Channel) -> Result<(), FlowError> {
        let id = channel.facts.id;
        let count = plugin.take_crashes(&id.to_string());
        if count == 0 || !self.crashes.add(id, count, self.clock.now_ms()) {
            return Ok(());
        }
        let (name, facts) = (&plugin.manifest().name, &channel.facts);
        tracing::error!(channel = %id, plugin = plugin.manifest().id, "a plugin crashes all the time and was stopped");
        let reason = format!("the plugin {name} crashed {CRASHES_MAX} times within a minute");
        let notice = format!(
            "The channel {} is paused: {reason}. What arrives is kept and what is to be sent waits; update the plugin \
             and resume the channel.",
            facts.name
        );
        self.stop(channel.tenant, id, reason, notice).await
    }

    async fn stop(
        &self,
        tenant: TenantId,
        channel: ChannelId,
        reason: String,
        notice: String,
    ) -> Result<(), FlowError> {
        let (clock, view) = (self.clock.clone(), self.catalog.view(self, tenant).await?);
        let (to, reason, notice, actor) = (PAUSED.to_owned(), Some(reason), Some(notice), Actor::System);
        let it = Move { tenant, channel, to, reason, notice, actor };
        let moved = self.db.write(Durability::Hard, move |tx| {
            let (clock, view, it) = (clock.clone(), view.clone(), it.clone());
            Box::pin(async move {
                match channel_state::enter(tx, &clock, &it).await? {
                    Some(entered) => entered.tell(tx, &clock, &view).await.map(Some),
                    None => Ok(None),
                }
            })
        });
        match moved.await? {
            Some(news) => channel_state::settle(self, tenant, channel, Some(news)).await,
            None => Ok(()),
        }
    }
}

/// Reads webhooks that arrived while their plugin was stopped, the oldest first. What crashes it again goes on waiting.
///
/// # Errors
/// The store's.
pub async fn read_waiting(round: &Round) -> Result<Outcome, FlowError> {
    let (flow, tenant) = (&round.flow, round.tenant);
    let ids = raw::channels_waiting(&mut flow.db.read().await?, tenant).await?;
    for id in ids {
        let mut after = None;
        loop {
            if round.stop.is_cancelled() {
                return Ok(Outcome::Snoozed);
            }
            let found = next(flow, tenant, id, after).await?;
            after = found.last().copied().or(after);
            for webhook in &found {
                match flow.replay(tenant, *webhook).await {
                    Ok(_) => {}
                    Err(AcceptError::Flow(FlowError::Store(error))) => return Err(error.into()),
                    Err(error) => {
                        tracing::warn!(%webhook, error = &error as &dyn std::error::Error, "a webhook waits on");
                        break;
                    }
                }
            }
            if found.is_empty() {
                break;
            }
        }
    }
    Ok(Outcome::Done)
}

/// The next webhooks that wait; none while the plugin is stopped, as it may be again at any of them.
async fn next(
    flow: &Flow,
    tenant: TenantId,
    channel: ChannelId,
    after: Option<RawWebhookId>,
) -> Result<Vec<RawWebhookId>, StoreError> {
    let tx = &mut flow.db.read().await?;
    if channels::is_stopped(tx, tenant, channel).await? {
        return Ok(Vec::new());
    }
    raw::waiting(tx, tenant, channel, after, WEBHOOKS_PER_STEP).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn five_crashes_within_a_minute_are_too_many_and_four_are_not() {
        let (crashes, channel, other) = (Crashes::default(), ChannelId::new(1, 1), ChannelId::new(1, 2));
        for at_ms in [0, 10, 20, 30] {
            assert!(!crashes.add(channel, 1, at_ms));
        }
        assert!(!crashes.add(other, 1, 40), "another channel's");
        assert!(crashes.add(channel, 1, CRASHES_MS - 1));
        assert!(!crashes.add(channel, 4, CRASHES_MS), "it starts anew");
        assert!(!crashes.add(channel, 1, 2 * CRASHES_MS), "the old ones are forgotten");
        assert!(crashes.add(other, 1_000_000, 3 * CRASHES_MS));
    }
}
