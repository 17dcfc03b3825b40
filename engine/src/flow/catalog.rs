//! What the flow verbs need on every message and what changes seldom: channels
//! with their opened secrets, and the names and compiled rules of each tenant.
//! Dropped when somebody says so, and after a while in any case, because another
//! process may have changed them.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Arc, PoisonError, RwLock};

use pointsman_rules::assign::Policy;
use pointsman_rules::decide::{CompiledRule, RuleSet};
use pointsman_rules::facts::{ChannelFacts, Directory};
use pointsman_rules::ids::{ChannelId, RuleId, TenantId};
use pointsman_rules::script::Script;
use serde::{Deserialize, Serialize};

use super::assistant::Duty;
use super::tenant::{self, TenantSettings};
use super::{Flow, FlowError};
use crate::crypto::{Keyring, Secret};
use crate::plugins::ChannelContext;
use crate::store::catalog::{self, ChannelRow};
use crate::store::channel_assistants;
use crate::store::channels::{FAILED, PAUSED, QR_REQUIRED};
use crate::store::tenants;
use crate::store::webhooks::{self, Subscriber};

/// A cached entry is read again after this long, milliseconds.
const AGE_MS_MAX: i64 = 10_000;
/// Unknown webhook keys remembered, so that guessing costs no query each.
const UNKNOWN_HOOKS_MAX: usize = 10_000;

/// What happens when a contact writes to a closed conversation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(tag = "policy", rename_all = "snake_case")]
pub enum Reopen {
    /// It goes on.
    #[default]
    Reopen,
    /// A new one starts.
    New,
    /// It goes on for so long, then a new one starts.
    ReopenWithin {
        /// Milliseconds.
        ms: i64,
    },
}

/// A channel as it runs.
#[derive(Debug)]
pub struct Channel {
    /// Whose.
    pub tenant: TenantId,
    /// What rules see.
    pub facts: Arc<ChannelFacts>,
    /// Our number or account.
    pub address: String,
    /// JSON object without secrets.
    pub settings: String,
    /// Opened secrets by name.
    pub secrets: Arc<BTreeMap<String, Secret>>,
    /// The unguessable part of its webhook URL.
    pub hook_key: String,
    /// Is it switched on?
    pub active: bool,
    /// May its vendor be in a private network?
    pub allow_private_egress: bool,
    /// A chat ends after so many milliseconds without activity; 0: never.
    pub idle_end_ms: i64,
    /// What happens when somebody writes to a closed conversation.
    pub reopen: Reopen,
    /// `connecting`, `connected`, `failed`, …
    pub state: String,
    /// Was it removed? Its conversations can still be read, noted on and closed.
    pub is_removed: bool,
}

impl Channel {
    /// Must what leaves by it wait? It is switched off, its vendor refuses us until somebody acts, no phone is linked,
    /// or its plugin was stopped.
    pub fn is_held(&self) -> bool {
        let waits = [FAILED, QR_REQUIRED, PAUSED].contains(&self.state.as_str());
        !self.is_removed && (!self.active || waits)
    }

    /// Was its plugin stopped because it crashed again and again?
    pub fn is_stopped(&self) -> bool {
        self.active && self.state == PAUSED
    }

    /// What a plugin is told about the channel. `public_url`: where vendors reach us, without a trailing slash.
    pub fn context(&self, public_url: &str, now_ms: i64) -> ChannelContext {
        ChannelContext {
            channel_id: self.facts.id.to_string(),
            kind: self.facts.kind.clone(),
            address: self.address.clone(),
            settings: self.settings.clone(),
            secrets: self.secrets.clone(),
            webhook_url: self.webhook_url(public_url),
            now_ms,
            locale: self.facts.language.clone().unwrap_or_else(|| "en".to_owned()),
            allow_private_egress: self.allow_private_egress,
            files_of: self.tenant.to_string(),
        }
    }

    /// The URL that the vendor calls.
    pub fn webhook_url(&self, public_url: &str) -> String {
        format!("{public_url}/hooks/{}", self.hook_key)
    }
}

/// Names and compiled rules of a tenant.
#[derive(Debug)]
pub struct TenantView {
    /// What rules may name.
    pub directory: Arc<Directory>,
    /// Published rules.
    pub rules: RuleSet,
    /// Those whose last run failed, as far as was known when this was read.
    pub ailing: HashSet<RuleId>,
    /// Endpoints of other programs.
    pub webhooks: Vec<Subscriber>,
    /// What the tenant set for itself.
    pub settings: TenantSettings,
    /// What assistants do, by channel.
    pub duties: HashMap<ChannelId, Duty>,
    /// Is it being deleted? Then it takes no writes any more.
    pub is_deleting: bool,
    /// May conversations wait for somebody to be chosen: by a group's policy or a rule?
    pub hands_out: bool,
}

impl TenantView {
    /// The view of these names and rules, of a tenant that has set nothing.
    pub fn new(directory: Directory, rules: RuleSet) -> Self {
        let by_group = directory.groups.iter().any(|group| group.assignment.policy != Policy::Manual);
        let hands_out =
            by_group || rules.rules().iter().any(|rule| rule.script.source().contains("assign_by_policy"));
        let (directory, webhooks, settings) = (Arc::new(directory), Vec::new(), TenantSettings::default());
        let (ailing, duties) = (HashSet::new(), HashMap::new());
        Self { directory, rules, ailing, webhooks, settings, duties, is_deleting: false, hands_out }
    }
}

struct Cached<T> {
    value: T,
    read_ms: i64,
}

/// The caches.
#[derive(Default)]
pub struct Catalog {
    inner: RwLock<Inner>,
}

#[derive(Default)]
struct Inner {
    /// How often something was dropped. What was read before a drop may be older than the change and is not kept.
    drops: u64,
    channels: HashMap<ChannelId, Cached<Option<Arc<Channel>>>>,
    hooks: HashMap<String, Cached<Option<Arc<Channel>>>>,
    views: HashMap<TenantId, Cached<Arc<TenantView>>>,
}

#[cfg(test)]
impl Catalog {
    /// Makes a channel known without a plugin behind it, for as long as a test's clock stands still.
    pub(crate) fn stage(&self, channel: Channel, now_ms: i64) {
        let (key, value) = (channel.hook_key.clone(), Some(Arc::new(channel)));
        self.change(|inner| {
            inner.hooks.insert(key, Cached { value, read_ms: now_ms });
        });
    }
}

impl Catalog {
    /// The channel with this webhook key.
    ///
    /// # Errors
    /// The store's.
    pub async fn channel_by_hook(&self, flow: &Flow, key: &str) -> Result<Option<Arc<Channel>>, FlowError> {
        let now_ms = flow.clock.now_ms();
        if let Some(hit) = self.look(|inner| fresh(inner.hooks.get(key), now_ms)) {
            return Ok(hit);
        }
        let drops = self.drops();
        let row = catalog::channel_by_hook(&mut flow.db.read().await?, key).await?;
        let channel = row.map(|row| open(flow, row)).transpose()?.map(Arc::new);
        self.keep(drops, |inner| {
            if inner.hooks.len() >= UNKNOWN_HOOKS_MAX {
                inner.hooks.retain(|_, it| it.value.is_some());
            }
            inner.hooks.insert(key.to_owned(), Cached { value: channel.clone(), read_ms: now_ms });
        });
        Ok(channel)
    }

    /// One channel, also one that was removed.
    ///
    /// # Errors
    /// The store's.
    pub async fn channel(
        &self,
        flow: &Flow,
        tenant: TenantId,
        id: ChannelId,
    ) -> Result<Option<Arc<Channel>>, FlowError> {
        let now_ms = flow.clock.now_ms();
        if let Some(hit) = self.look(|inner| fresh(inner.channels.get(&id), now_ms)) {
            return Ok(hit.filter(|channel| channel.tenant == tenant));
        }
        let drops = self.drops();
        let row = catalog::channel(&mut flow.db.read().await?, tenant, id).await?;
        let channel = row.map(|row| open(flow, row)).transpose()?.map(Arc::new);
        self.keep(drops, |inner| {
            inner.channels.insert(id, Cached { value: channel.clone(), read_ms: now_ms });
        });
        Ok(channel)
    }

    /// Names and rules of a tenant.
    ///
    /// # Errors
    /// The store's.
    pub async fn view(&self, flow: &Flow, tenant: TenantId) -> Result<Arc<TenantView>, FlowError> {
        let now_ms = flow.clock.now_ms();
        if let Some(hit) = self.look(|inner| fresh(inner.views.get(&tenant), now_ms)) {
            return Ok(hit);
        }
        let drops = self.drops();
        let tx = &mut flow.db.read().await?;
        let mut directory = catalog::directory(tx, tenant).await?;
        let webhooks = webhooks::subscribers(tx, tenant).await?;
        let details = tenants::details(tx, tenant).await?;
        // What a tenant that is gone still asks for finds the defaults.
        let settings = details.as_ref().map(|it| tenant::read(tenant, &it.settings)).unwrap_or_default();
        let is_deleting = details.is_some_and(|it| it.deleting_ms.is_some());
        directory.quotas = settings.quotas.clone();
        let published = catalog::published(tx, tenant).await?;
        let ailing = published.iter().filter(|it| it.is_ailing).map(|it| it.rule).collect();
        let view = TenantView::new(directory, compile(published));
        let duties = channel_assistants::duties(tx, tenant).await?;
        let duties = duties.iter().map(|(it, limits)| (it.channel, Duty::new(it, limits))).collect();
        let view = Arc::new(TenantView { ailing, webhooks, settings, duties, is_deleting, ..view });
        self.keep(drops, |inner| {
            inner.views.insert(tenant, Cached { value: view.clone(), read_ms: now_ms });
        });
        Ok(view)
    }

    /// Drops what is known of a tenant: its names and rules, and all channels.
    pub fn forget(&self, tenant: TenantId) {
        self.change(|inner| {
            inner.drops += 1;
            inner.views.remove(&tenant);
            inner.channels.clear();
            inner.hooks.clear();
        });
    }

    fn drops(&self) -> u64 {
        self.inner.read().unwrap_or_else(PoisonError::into_inner).drops
    }

    /// Keeps what was read, unless something was dropped since `drops` were counted.
    fn keep(&self, drops: u64, write: impl FnOnce(&mut Inner)) {
        self.change(|inner| {
            if inner.drops == drops {
                write(inner);
            }
        });
    }

    fn look<T>(&self, read: impl FnOnce(&Inner) -> Option<T>) -> Option<T> {
        read(&self.inner.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn change(&self, write: impl FnOnce(&mut Inner)) {
        write(&mut self.inner.write().unwrap_or_else(PoisonError::into_inner));
    }
}

fn fresh<T: Clone>(cached: Option<&Cached<T>>, now_ms: i64) -> Option<T> {
    cached.filter(|it| now_ms - it.read_ms < AGE_MS_MAX).map(|it| it.value.clone())
}

/// A rule that this version cannot compile is left out and reported; the others run.
fn compile(published: Vec<catalog::PublishedRule>) -> RuleSet {
    let mut rules = Vec::with_capacity(published.len());
    for it in published {
        match Script::parse(&it.source) {
            Ok(script) => rules.push(CompiledRule { id: it.rule, version: it.version, script }),
            Err(problems) => {
                let first = problems.first().map(ToString::to_string).unwrap_or_default();
                tracing::error!(rule = %it.rule, version = %it.version, problem = first, "a published rule does not compile");
            }
        }
    }
    RuleSet::new(rules)
}

fn open(flow: &Flow, row: ChannelRow) -> Result<Channel, FlowError> {
    let mut capabilities = flow
        .host
        .get(&row.provider)
        .and_then(|plugin| plugin.capabilities(&row.kind).cloned())
        .ok_or_else(|| FlowError::NoPlugin { provider: row.provider.clone(), kind: row.kind.clone() })?;
    if let Some(rate) = row.messages_per_second {
        capabilities.messages_per_second = u32::try_from(rate).unwrap_or(0);
    }
    let secrets = open_secrets(&flow.keyring, row.id, &row.secrets)?;
    let reopen = serde_json::from_str(&row.reopen_policy).unwrap_or_else(|error| {
        tracing::warn!(channel = %row.id, %error, "the reopen policy cannot be read; conversations reopen");
        Reopen::default()
    });
    Ok(Channel {
        tenant: row.tenant,
        facts: Arc::new(ChannelFacts {
            id: row.id,
            name: row.name,
            kind: row.kind,
            provider: row.provider,
            language: row.language,
            default_group: row.default_group,
            assigned_agent: row.assigned_agent,
            receive_only: row.receive_only,
            capabilities,
        }),
        address: row.address,
        settings: row.settings,
        secrets: Arc::new(secrets),
        hook_key: row.hook_key,
        active: row.active,
        allow_private_egress: row.allow_private_egress,
        idle_end_ms: row.idle_end_ms,
        reopen,
        state: row.state,
        is_removed: row.is_removed,
    })
}

/// Opens a channel's sealed secrets.
///
/// # Errors
/// They were sealed by another key, or for another channel.
pub fn open_secrets(
    keyring: &Keyring,
    channel: ChannelId,
    sealed: &str,
) -> Result<BTreeMap<String, Secret>, FlowError> {
    if sealed.is_empty() {
        return Ok(BTreeMap::new()); // the channel was removed, and its secrets with it
    }
    open_sealed(keyring, &secrets_place(channel), sealed)
}

/// Opens sealed secrets, name to value.
///
/// # Errors
/// They were sealed by another key, or for another place.
pub fn open_sealed(
    keyring: &Keyring,
    place: &str,
    sealed: &str,
) -> Result<BTreeMap<String, Secret>, FlowError> {
    let plain = keyring.open(place, sealed)?;
    let map: BTreeMap<String, String> =
        serde_json::from_slice(&plain).map_err(|_| crate::crypto::CryptoError::NotOurs)?;
    Ok(map.into_iter().map(|(name, value)| (name, Secret::new(value))).collect())
}

/// Where a channel's secrets are sealed for.
pub fn secrets_place(channel: ChannelId) -> String {
    format!("channel:{channel}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Clock;
    use crate::flow::testing;
    use crate::store::testing::each_db;
    use crate::store::{Durability, tenants::Tenant};

    /// Changes, each while somebody looks; every look begins a little later in the change than the one before.
    const CHANGES: i64 = 200;
    /// How much later, in turns of the scheduler.
    const YIELDS: i64 = 10;

    /// Who began to look before a change must not put the old state back after it.
    #[test]
    fn a_change_is_seen_by_everybody_who_looks_after_it() {
        each_db(|db| async move {
            let folder = tempfile::tempdir().unwrap();
            let flow = testing::on(db.clone(), Clock::system(), folder.path());
            let tenant = TenantId::new(1, 1);
            let row = Tenant { id: tenant, name: "one".into() };
            db.write(Durability::Hard, move |tx| {
                let row = row.clone();
                Box::pin(async move { tenants::insert(tx, &row, 1).await })
            })
            .await
            .unwrap();
            for minutes in 1..=CHANGES {
                flow.catalog.forget(tenant);
                let early = tokio::spawn({
                    let flow = flow.clone();
                    async move {
                        for _ in 0..minutes * YIELDS {
                            tokio::task::yield_now().await;
                        }
                        flow.catalog.view(&flow, tenant).await.map(drop)
                    }
                });
                db.write(Durability::Soft, move |tx| {
                    let settings = format!(r#"{{"idle_end_minutes": {minutes}}}"#);
                    Box::pin(async move { tenants::update(tx, tenant, "one", &settings).await })
                })
                .await
                .unwrap();
                flow.forget(tenant, None);
                early.await.unwrap().unwrap();
                let view = flow.catalog.view(&flow, tenant).await.unwrap();
                assert_eq!(i64::from(view.settings.idle_end_minutes), minutes);
            }
        });
    }
}
