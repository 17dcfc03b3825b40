//! Asking the vendor about a channel's account: do the credentials hold, and does
//! the vendor call us? The answer becomes the channel's state. Done when somebody
//! wants to know, and once an hour by itself.

use pointsman_rules::event::Actor;
use pointsman_rules::ids::{ChannelId, TenantId};
use serde::{Deserialize, Serialize};
use url::Url;

use super::catalog::TenantView;
use super::channel_state::{self, CONNECTED, DEGRADED, DISCONNECTED, FAILED, Move};
use super::jobs::{Outcome, Round};
use super::{Flow, FlowError};
use crate::bus::News;
use crate::clock::Clock;
use crate::plugins::{AccountReport, AccountTask, ChannelContext, Failure, FailureKind, Plugin};
use crate::store::{Durability, StoreError, Tx, channel_health, channels};

/// Whom the vendor calls.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum Webhook {
    /// Us.
    Ok,
    /// Somebody else: only the last one connected receives.
    Elsewhere {
        /// The host alone; the rest of a webhook's address may be a secret.
        host: String,
    },
    /// The vendor does not say.
    Unknown,
}

/// What the vendor said.
#[derive(Debug, Clone, PartialEq)]
pub struct Checked {
    /// The question.
    pub task: AccountTask,
    /// The answer.
    pub outcome: Result<AccountReport, Failure>,
    /// Whom it calls.
    pub webhook: Webhook,
    /// Is a phone linked to the channel? Then its session says whether it is connected.
    pub links_phone: bool,
}

/// What is kept of an answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kept {
    /// Did the vendor know our credentials?
    pub ok: bool,
    /// Whom it calls.
    pub webhook: Webhook,
    /// Why not, one sentence.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
    /// What to look at.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
}

/// Asks. Takes as long as the vendor does, so never inside a transaction.
pub async fn ask(plugin: &Plugin, context: &ChannelContext, task: AccountTask) -> Checked {
    let outcome = plugin.account(context, task).await;
    let url = outcome.as_ref().ok().and_then(|report| report.webhook_url.as_deref());
    let webhook = whom(url, &context.webhook_url);
    Checked { task, outcome, webhook, links_phone: plugin.exports().sessions }
}

/// Whom a vendor calls that was told `theirs`.
fn whom(theirs: Option<&str>, ours: &str) -> Webhook {
    // What follows `#` never reaches us: some vendors keep their own wishes there.
    let bare = |url: &str| url.split('#').next().unwrap_or_default().trim_end_matches('/').to_owned();
    match theirs {
        None => Webhook::Unknown,
        Some(theirs) if bare(theirs) == bare(ours) => Webhook::Ok,
        Some(theirs) => {
            let host = Url::parse(theirs).ok().and_then(|url| url.host_str().map(str::to_owned));
            Webhook::Elsewhere { host: host.unwrap_or_else(|| "another address".to_owned()) }
        }
    }
}

impl Webhook {
    /// What is wrong and what to do, in a sentence; nothing when it is fine.
    pub fn sentence(&self) -> Option<String> {
        match self {
            Self::Ok => None,
            Self::Elsewhere { host } => Some(format!(
                "The vendor calls {host} and not us: another installation took this number over, and only the last \
                 one connected receives. Connect the channel again to receive here, or switch it off."
            )),
            Self::Unknown => Some(
                "The vendor does not say whom it calls; make sure that the channel's webhook address stands in its \
                 console, in every field for webhooks."
                    .to_owned(),
            ),
        }
    }
}

impl Checked {
    /// What is kept of it.
    pub fn kept(&self) -> Kept {
        let (ok, problem, warnings) = match &self.outcome {
            Ok(report) => (true, None, report.warnings.clone()),
            Err(failure) => (false, Some(failure.message.clone()), Vec::new()),
        };
        Kept { ok, webhook: self.webhook.clone(), problem, warnings }
    }

    /// The channel's state after this and why; `None`: it says nothing about it, as when the vendor is down.
    fn state(&self) -> Option<(&'static str, Option<String>)> {
        match (&self.outcome, &self.webhook) {
            (Err(failure), _) if failure.kind.class() == FailureKind::AuthFailed.class() => {
                Some((FAILED, Some(failure.message.clone())))
            }
            (Err(_), _) => None,
            (Ok(_), _) if self.task == AccountTask::Disconnect => {
                Some((DISCONNECTED, Some("the vendor was told to call us no more".to_owned())))
            }
            (Ok(_), Webhook::Elsewhere { .. }) => Some((DEGRADED, self.webhook.sentence())),
            (Ok(_), _) if self.links_phone => None,
            (Ok(_), _) => Some((CONNECTED, None)),
        }
    }
}

/// Keeps an answer and moves the channel's state. Answers whether the state moved, and then the news to publish with
/// [`channel_state::settle`] after the commit.
///
/// # Errors
/// The store's.
pub async fn record(
    tx: &mut Tx,
    (clock, view): (&Clock, &TenantView),
    (tenant, id): (TenantId, ChannelId),
    checked: &Checked,
    actor: Actor,
) -> Result<Option<News>, StoreError> {
    let Some(mut channel) = channels::get(tx, tenant, id).await? else { return Ok(None) };
    let told = checked.outcome.as_ref().ok().and_then(|report| report.address.clone());
    if let (true, Some(address)) = (channel.address.is_empty(), told) {
        channel.address = address;
        channels::update(tx, tenant, &channel).await?;
    }
    channel_health::record_check(tx, tenant, id, &super::case::to_json(&checked.kept()), clock.now_ms())
        .await?;
    let Some((to, reason)) = checked.state() else { return Ok(None) };
    // A channel that was taken from the vendor on purpose stays so until somebody connects it again.
    if channel.state == DISCONNECTED && to == CONNECTED && checked.task == AccountTask::Check {
        return Ok(None);
    }
    let notice = match to {
        FAILED | DEGRADED => {
            let why = reason.as_deref().unwrap_or_default();
            Some(format!("The channel {} needs you: {why}", channel.name))
        }
        _ => None,
    };
    let to = to.to_owned();
    let entered = Move { tenant, channel: id, to, reason, notice, actor };
    match channel_state::enter(tx, clock, &entered).await? {
        Some(entered) => entered.tell(tx, clock, view).await.map(Some),
        None => Ok(None),
    }
}

/// Asks the vendors of all channels that are switched on.
///
/// # Errors
/// The store's.
pub async fn check_all(round: &Round) -> Result<Outcome, FlowError> {
    let (flow, tenant) = (&round.flow, round.tenant);
    let ids = channels::active(&mut flow.db.read().await?, tenant).await?;
    for id in ids {
        if round.stop.is_cancelled() {
            return Ok(Outcome::Snoozed);
        }
        // One channel whose plugin is missing must not keep the others from being checked.
        match flow.channel_context(tenant, id).await {
            Ok(Some((plugin, context))) if plugin.exports().account => {
                check_one(flow, (tenant, id), &plugin, &context).await?;
            }
            Ok(_) => {}
            Err(error) => {
                tracing::warn!(channel = %id, error = &error as &dyn std::error::Error, "a channel cannot be checked");
            }
        }
    }
    Ok(Outcome::Done)
}

async fn check_one(
    flow: &Flow,
    of: (TenantId, ChannelId),
    plugin: &Plugin,
    context: &ChannelContext,
) -> Result<(), FlowError> {
    let checked = ask(plugin, context, AccountTask::Check).await;
    let (clock, view) = (flow.clock.clone(), flow.catalog.view(flow, of.0).await?);
    let moved = flow.db.write(Durability::Hard, move |tx| {
        let (clock, view, checked) = (clock.clone(), view.clone(), checked.clone());
        Box::pin(async move { record(tx, (&clock, &view), of, &checked, Actor::System).await })
    });
    match moved.await? {
        Some(news) => channel_state::settle(flow, of.0, of.1, Some(news)).await,
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plugins::Certainty;

    const OURS: &str = "https://us.test/hooks/key";

    fn checked(task: AccountTask, answer: Result<Option<&str>, FailureKind>) -> Checked {
        let report = |url: Option<&str>| AccountReport {
            display_name: None,
            address: None,
            webhook_url: url.map(str::to_owned),
            addresses: vec![],
            warnings: vec![],
        };
        let webhook = whom(answer.as_ref().ok().copied().flatten(), OURS);
        let fail = |kind| Failure { kind, ..Failure::internal(Certainty::NotPerformed, "no") };
        Checked { task, outcome: answer.map(report).map_err(fail), webhook, links_phone: false }
    }

    // S43, S56, S108
    #[test]
    fn an_answer_becomes_the_channels_state() {
        use AccountTask::{Check, Disconnect};
        for (task, answer, state) in [
            (Check, Ok(None), Some("connected")),
            (Check, Ok(Some(OURS)), Some("connected")),
            (Check, Ok(Some("https://us.test/hooks/key#rc=5&rp=all")), Some("connected")),
            (Check, Ok(Some("https://us.test/hooks/other")), Some("degraded")),
            (Check, Ok(Some("https://them.test/secret?token=1")), Some("degraded")),
            (Check, Ok(Some("nonsense")), Some("degraded")),
            (Check, Err(FailureKind::AuthFailed), Some("failed")),
            (Check, Err(FailureKind::SettingsInvalid), Some("failed")),
            (Check, Err(FailureKind::VendorUnavailable), None),
            (Disconnect, Ok(None), Some("disconnected")),
        ] {
            let it = checked(task, answer);
            assert_eq!(it.state().map(|(state, _)| state), state, "{it:?}");
        }
        let phone = Checked { links_phone: true, ..checked(Check, Ok(Some(OURS))) };
        assert_eq!(phone.state(), None, "its session says more");
        let theirs = checked(Check, Ok(Some("https://them.test/secret?token=1")));
        let reason = theirs.state().and_then(|(_, reason)| reason).unwrap();
        assert!(reason.contains("them.test") && !reason.contains("secret"), "the host alone: {reason}");
        assert!(reason.contains("only the last one connected receives"), "{reason}");
        assert_eq!(Webhook::Ok.sentence(), None);
    }
}
