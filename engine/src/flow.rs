//! The verbs: `accept` (webhook → inbox), `turn` (inbox → state, intents,
//! effects), `deliver` (effect → vendor), `webhook` (event → other programs),
//! `fire` (deadlines → inbox), and the `jobs` that come round. Each owns short transactions; no plugin call, HTTP call or rule runs inside one. Knows
//! neither apalis nor HTTP routes.

pub mod accept;
pub mod account;
pub mod advice;
pub mod apply;
pub mod assistant;
pub mod backfill;
mod backoff;
pub mod backtest;
pub mod case;
pub mod catalog;
pub mod channel_state;
pub mod command;
pub mod contact;
pub mod content;
pub mod crash;
pub mod deadline;
pub mod deliver;
pub mod distribute;
pub mod erase;
pub mod examine;
pub mod fetch;
pub mod file;
pub mod fire;
pub mod gate;
mod gather;
pub mod head_start;
pub mod jobs;
pub mod large;
pub mod link;
pub mod mask;
pub mod order;
pub mod phone;
pub mod plugins;
pub mod presence;
pub mod publishing;
pub mod removal;
pub mod replay;
pub mod retention;
pub mod rule_hook;
pub mod rule_order;
pub mod rule_watch;
pub mod schedule;
pub mod session;
pub mod shadow;
pub mod slot;
pub mod sniff;
pub mod suppress;
pub mod tally;
pub mod templates;
pub mod tenant;
#[cfg(test)]
pub(crate) mod testing;
pub mod thumbnail;
pub mod trial;
pub mod trials;
pub mod turn;
pub mod upload;
pub mod webhook;

use std::ops::Deref;
use std::path::PathBuf;
use std::sync::Arc;

use pointsman_rules::ids::{ChannelId, LaneId, TenantId};
use tokio::sync::{Semaphore, mpsc};

use crate::bus::{Bus, News};
use crate::clock::Clock;
use crate::config::Retention;
use crate::crypto::{CryptoError, Keyring, hash16};
use crate::plugins::{ChannelContext, Host, Party, Plugin};
use crate::store::contacts::{self, Known};
use crate::store::{Db, StoreError};
use accept::{Intake, intake};
use catalog::Catalog;
use deliver::{Dispatch, Office, dispatch};
use head_start::{Begun, HeadStart};
use link::Links;

pub use accept::{AcceptError, ReplayOutcome};
pub use order::{OrderError, Ordered};

/// What the verbs may be told from outside.
#[derive(Debug, Clone)]
pub struct FlowSettings {
    /// Where vendors and browsers reach us, without a trailing slash.
    pub public_url: String,
    /// A lease on a lane lasts so long, milliseconds.
    pub lease_ms: i64,
    /// How long what is kept.
    pub retention: Retention,
    /// Where files lie that are still arriving; made when first needed.
    pub uploads_dir: PathBuf,
}

/// Why a verb failed. Nothing is kept then.
#[derive(Debug, thiserror::Error)]
pub enum FlowError {
    /// The store failed.
    #[error("the store failed")]
    Store(#[from] StoreError),
    /// A secret cannot be opened.
    #[error("a channel's secrets cannot be opened")]
    Crypto(#[from] CryptoError),
    /// A channel's plugin is not there.
    #[error("no plugin serves {provider}/{kind}: install it, or put its .wasm into the plugin folder")]
    NoPlugin {
        /// Which plugin.
        provider: String,
        /// For which kind of channel.
        kind: String,
    },
    /// A piece of work outside of the reactor panicked.
    #[error("{0} broke")]
    Broken(&'static str),
}

/// Everything that the verbs share; a copy is one more reference.
#[derive(Clone)]
pub struct Flow(Arc<Shared>);

impl Deref for Flow {
    type Target = Shared;

    fn deref(&self) -> &Shared {
        &self.0
    }
}

/// What a [`Flow`] refers to.
pub struct Shared {
    /// What is kept.
    pub db: Db,
    /// Time and chance.
    pub clock: Clock,
    /// Opens secrets.
    pub keyring: Keyring,
    /// Runs plugins.
    pub host: Host,
    /// In-process news.
    pub bus: Bus,
    /// Settings.
    pub settings: Arc<FlowSettings>,
    /// Caches.
    pub catalog: Arc<Catalog>,
    /// Names this start of this process; leases carry it.
    pub owner: Arc<str>,
    /// Makes and reads public links to files.
    pub links: Links,
    /// Counts of ended jobs.
    pub job_runs: jobs::JobRuns,
    /// Calls of webhooks.
    pub calls: webhook::Calls,
    /// What went through channels and is not written yet.
    pub tallies: tally::Tallies,
    /// What became of rules.
    pub watch: rule_watch::Watch,
    /// Where images wait to be decoded.
    studio: thumbnail::Studio,
    intake: Intake,
    office: Office,
    dispatch: Dispatch,
    head_start: HeadStart,
    /// Crashes of plugins in the last minute.
    crashes: crash::Crashes,
}

impl Flow {
    /// Puts the parts together and starts what gathers writes.
    pub fn new(db: Db, clock: Clock, keyring: Keyring, host: Host, bus: Bus, settings: FlowSettings) -> Self {
        let settings = Arc::new(settings);
        let links = Links::new(&keyring, &settings.public_url);
        let office = Office::new(clock.clone(), settings.clone(), links.clone());
        let dispatch = dispatch(db.clone(), office.clone());
        let owner: Arc<str> = crate::crypto::hex(&clock.random().to_be_bytes()).into();
        let head_start = HeadStart::new(owner.clone(), settings.lease_ms);
        let intake = intake(db.clone(), clock.clone(), bus.clone(), head_start.clone());
        let (catalog, job_runs, calls, tallies, watch, studio, crashes) = Default::default();
        Self(Arc::new(Shared {
            db,
            clock,
            keyring,
            host,
            bus,
            settings,
            catalog,
            owner,
            links,
            job_runs,
            calls,
            tallies,
            watch,
            studio,
            intake,
            office,
            dispatch,
            head_start,
            crashes,
        }))
    }

    /// Do more webhooks wait for their 2xx than can be answered soon? Turns that wait a moment then cost less.
    pub fn is_rush(&self) -> bool {
        self.head_start.is_rush()
    }

    /// Answers turns that begin with a commit from now on, of up to `lanes_max` lanes, each with one of `places`.
    pub fn begin_turns(&self, places: Arc<Semaphore>, lanes_max: usize) -> mpsc::UnboundedReceiver<Begun> {
        self.head_start.run_by(places, lanes_max)
    }

    /// Drops cached channels, rules and names of a tenant after a change, here and in other processes.
    pub fn forget(&self, tenant: TenantId, channel: Option<ChannelId>) {
        self.catalog.forget(tenant);
        self.bus.publish(News::Configuration { tenant, channel });
    }

    /// A channel's plugin and what the plugin is told about the channel. `None`: one of them is not there.
    ///
    /// # Errors
    /// The store's, or the plugin is not there.
    pub async fn channel_context(
        &self,
        tenant: TenantId,
        channel: ChannelId,
    ) -> Result<Option<(Arc<Plugin>, ChannelContext)>, FlowError> {
        let channel = self.catalog.channel(self, tenant, channel).await?;
        let Some(channel) = channel.filter(|it| !it.is_removed) else { return Ok(None) };
        let Some(plugin) = self.host.get(&channel.facts.provider) else { return Ok(None) };
        let context = channel.context(&self.settings.public_url, self.clock.now_ms());
        Ok(Some((plugin, context)))
    }
}

impl Flow {
    /// The lane of a party on a channel. A party that is known by another writing of its number, or got an id of the
    /// vendor since, keeps the lane it has. `is_new`: what it is called was written by a person, not by the vendor.
    pub(crate) async fn lane_of_party(
        &self,
        channel: &catalog::Channel,
        party: &Party,
        is_new: bool,
    ) -> Result<LaneId, FlowError> {
        let (tenant, id) = (channel.tenant, channel.facts.id);
        if !is_new && !may_be_known_otherwise(party) {
            return Ok(lane_of(tenant, id, party.key()));
        }
        let phone_key = party.phone.as_deref().and_then(phone::key);
        let by = Known {
            value: party.key(),
            scoped_id: party.scoped_id.as_deref(),
            phone_key: phone_key.as_deref(),
        };
        let known =
            contacts::known_value(&mut self.db.read().await?, tenant, &channel.facts.kind, by).await?;
        Ok(lane_of(tenant, id, known.as_deref().unwrap_or(party.key())))
    }
}

/// Vendors write most numbers in one way only; asking the database for each message would be in vain.
fn may_be_known_otherwise(party: &Party) -> bool {
    let Some(phone) = &party.phone else { return party.scoped_id.is_some() };
    party.scoped_id.is_some() || phone::has_variants(phone) || !party.address.ends_with(phone.as_str())
}

/// The ordering key of one contact on one channel. `key`: the vendor's scoped id, else the address.
pub fn lane_of(tenant: TenantId, channel: ChannelId, key: &str) -> LaneId {
    LaneId::from_hash(hash16(&["lane", &tenant.to_string(), &channel.to_string(), key]))
}
