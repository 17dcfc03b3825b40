//! Runs exports of a plugin: a fresh instance for every webhook or operation, on
//! a stack of its own that gives way at every tick of the CPU clock. Few enough
//! run at one time that looping plugins cannot stall honest ones.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use wasmtime::component::{Instance, InstancePre};
use wasmtime::{Engine, Store, Trap};

use super::bindings::provider::{ProviderCore, ProviderCoreIndices};
use super::bindings::{account, assistant, backfill, media, sender, sessions, templates, webhook};
use super::engine::{
    self, CallState, HOSTCALL_BYTES_MAX, MEMORY_BYTES_MAX, OPERATIONS_MAX, Ticker, grant_cpu,
};
use super::journal::{Journal, RecentLog, Redactor};

/// CPU of one call of `describe` or `validate`, milliseconds; the guest is stopped at the limit.
pub(super) const DESCRIBE_CPU_MS: u64 = 50;
/// CPU of one `authenticate`, milliseconds.
pub(super) const AUTHENTICATE_CPU_MS: u64 = 100;
/// CPU of one `parse`, milliseconds.
pub(super) const PARSE_CPU_MS: u64 = 500;
/// CPU of one step of an operation, milliseconds.
pub(super) const STEP_CPU_MS: u64 = 500;
/// Guests of one plugin that compute at one time: one a core, at least this many; more wait.
const COMPUTING_PER_PLUGIN_MIN: usize = 2;
/// How many plugins may loop at one time before an honest one has to wait for them.
const PLUGINS_AT_ONCE: usize = 4;
/// Most operations of one plugin that wait for a vendor at one time; more wait for a free instance.
const OPERATIONS_PER_PLUGIN_MAX: usize = OPERATIONS_MAX / 4;
/// How long a call waits for its turn before it is refused, milliseconds.
const QUEUE_WAIT_MS_MAX: u64 = 10_000;

/// Why a call of a plugin gave no answer. All are the plugin's fault but `Busy`.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    /// It trapped; with the message of its panic hook where it has one.
    #[error("P201: plugin {plugin} crashed in `{export}`: {cause}; send this line to the plugin's author")]
    Crashed {
        /// Plugin id.
        plugin: String,
        /// `webhook.parse`.
        export: &'static str,
        /// Panic with file and line, or the trap.
        cause: String,
    },
    /// It computed for too long.
    #[error(
        "P202: plugin {plugin} was stopped in `{export}` after {cpu_ms} ms of CPU, its limit; look for a loop without end"
    )]
    CpuLimit {
        /// Plugin id.
        plugin: String,
        /// `webhook.parse`.
        export: &'static str,
        /// Milliseconds.
        cpu_ms: u64,
    },
    /// It wanted too much memory.
    #[error(
        "P203: plugin {plugin} wanted {wanted_mib} MiB of memory in `{export}`, {limit_mib} are allowed; handle the input in parts"
    )]
    MemoryLimit {
        /// Plugin id.
        plugin: String,
        /// `webhook.parse`.
        export: &'static str,
        /// What it asked for.
        wanted_mib: usize,
        /// What it may have.
        limit_mib: usize,
    },
    /// It ran out of stack or reached outside its memory.
    #[error(
        "P204: plugin {plugin} ran out of stack or left its memory in `{export}`; most often recursion without end"
    )]
    Stack {
        /// Plugin id.
        plugin: String,
        /// `webhook.parse`.
        export: &'static str,
    },
    /// It handed over too much data in one call.
    #[error(
        "P205: plugin {plugin} handed over more than {limit_mib} MiB in `{export}`; return less in one call"
    )]
    OutputLimit {
        /// Plugin id.
        plugin: String,
        /// `webhook.parse`.
        export: &'static str,
        /// What it may hand over.
        limit_mib: usize,
    },
    /// Too many calls wait.
    #[error("P206: plugin {plugin} has too many calls waiting; try again later")]
    Busy {
        /// Plugin id.
        plugin: String,
    },
}

/// The machinery that all plugins share.
pub(super) struct Sandbox {
    pub(super) engine: Engine,
    ticker: Ticker,
    computing: Arc<Semaphore>,
    operations: Arc<Semaphore>,
    computing_per_plugin: usize,
}

impl Sandbox {
    pub(super) fn new() -> Result<Self, engine::EngineError> {
        let engine = engine::running_engine()?;
        let ticker = Ticker::start(&engine)
            .map_err(|e| wasmtime::Error::msg(format!("no thread for the CPU clock: {e}")))?;
        let cores = std::thread::available_parallelism().map_or(COMPUTING_PER_PLUGIN_MIN, usize::from);
        let computing_per_plugin = cores.clamp(COMPUTING_PER_PLUGIN_MIN, 32);
        Ok(Self {
            engine,
            ticker,
            computing: Arc::new(Semaphore::new(computing_per_plugin * PLUGINS_AT_ONCE)),
            operations: Arc::new(Semaphore::new(OPERATIONS_MAX)),
            computing_per_plugin,
        })
    }

    pub(super) fn gate(&self) -> Gate {
        Gate {
            computing: Arc::new(Semaphore::new(self.computing_per_plugin)),
            operations: Arc::new(Semaphore::new(OPERATIONS_PER_PLUGIN_MAX)),
        }
    }
}

/// One plugin's share of the machine.
pub(super) struct Gate {
    computing: Arc<Semaphore>,
    operations: Arc<Semaphore>,
}

/// A component that is ready to be instantiated, with the places of its exports.
pub(super) struct Loaded {
    pub(super) pre: InstancePre<CallState>,
    /// What every provider exports; an assistant has `assistant` instead.
    pub(super) provider: Option<ProviderCoreIndices>,
    pub(super) assistant: Option<assistant::AssistantIndices>,
    pub(super) webhook: Option<webhook::WebhookIndices>,
    pub(super) sender: Option<sender::SenderIndices>,
    pub(super) account: Option<account::AccountIndices>,
    pub(super) media: Option<media::MediaIndices>,
    pub(super) templates: Option<templates::TemplatesIndices>,
    pub(super) sessions: Option<sessions::SessionsIndices>,
    pub(super) backfill: Option<backfill::BackfillIndices>,
}

/// How often a plugin crashed or went over a limit, by channel, since somebody asked.
#[derive(Default)]
pub(super) struct Crashes(Mutex<BTreeMap<String, u32>>);

impl Crashes {
    fn count(&self, channel: &str) {
        // Calls about no channel are made when a plugin is installed or a form is checked.
        if !channel.is_empty() {
            let mut crashes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            *crashes.entry(channel.to_owned()).or_default() += 1;
        }
    }

    pub(super) fn take(&self, channel: &str) -> u32 {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(channel).unwrap_or_default()
    }
}

impl Loaded {
    /// The typed functions that every provider exports.
    pub(super) fn provider(
        &self,
        store: &mut Store<CallState>,
        instance: &Instance,
    ) -> wasmtime::Result<ProviderCore> {
        match &self.provider {
            Some(provider) => provider.load(store, instance),
            None => Err(wasmtime::Error::msg("it is an assistant and no provider")),
        }
    }
}

/// Everything needed to run a plugin's exports.
pub(super) struct Runner {
    pub(super) id: String,
    pub(super) sandbox: Arc<Sandbox>,
    pub(super) loaded: Loaded,
    pub(super) gate: Gate,
    pub(super) log: RecentLog,
    pub(super) crashes: Crashes,
    pub(super) peak: Peak,
}

/// The largest share of a limit, CPU or memory, that one call used since it was last asked for.
#[derive(Default)]
pub(super) struct Peak(AtomicU64);

impl Peak {
    /// Per thousand; begins anew.
    pub(super) fn take(&self) -> u64 {
        self.0.swap(0, Ordering::Relaxed)
    }

    fn note(&self, used: u64, limit: u64) {
        self.0.fetch_max(used.saturating_mul(1_000) / limit.max(1), Ordering::Relaxed);
    }
}

/// A turn on the CPU; others wait while it is held.
type Turn = (OwnedSemaphorePermit, OwnedSemaphorePermit);

impl Runner {
    /// Runs guest code once it is this plugin's turn. The guest inside must be bounded by [`Guest::run`].
    pub(super) async fn compute<T>(&self, work: impl Future<Output = T>) -> Result<T, CallError> {
        let _turn = self.turns(&self.gate.computing, &self.sandbox.computing).await?;
        let _clock = self.sandbox.ticker.run();
        Ok(work.await)
    }

    /// A place among the operations that wait for vendors.
    pub(super) async fn operation(&self) -> Result<Turn, CallError> {
        self.turns(&self.gate.operations, &self.sandbox.operations).await
    }

    /// First the plugin's own turn, then the machine's: a plugin's queue takes nothing from others.
    async fn turns(&self, own: &Arc<Semaphore>, all: &Arc<Semaphore>) -> Result<Turn, CallError> {
        let busy = || CallError::Busy { plugin: self.id.clone() };
        if let Ok(own) = own.clone().try_acquire_owned()
            && let Ok(all) = all.clone().try_acquire_owned()
        {
            return Ok((own, all));
        }
        let wait = async {
            let own = own.clone().acquire_owned().await.ok()?;
            Some((own, all.clone().acquire_owned().await.ok()?))
        };
        match tokio::time::timeout(Duration::from_millis(QUEUE_WAIT_MS_MAX), wait).await {
            Ok(Some(turns)) => Ok(turns),
            Ok(None) | Err(_) => Err(busy()),
        }
    }

    /// A fresh instance.
    pub(super) async fn open(
        self: &Arc<Self>,
        channel: &str,
        export: &'static str,
        redactor: Arc<Redactor>,
    ) -> Result<Guest, CallError> {
        let mut store = engine::store(&self.sandbox.engine, Journal::new(redactor));
        grant_cpu(&mut store, DESCRIBE_CPU_MS);
        let instance = self.loaded.pre.instantiate_async(&mut store).await;
        let mut guest = Guest { runner: self.clone(), channel: channel.to_owned(), store, instance: None };
        match instance {
            Ok(instance) => guest.instance = Some(instance),
            Err(error) => return Err(guest.explain(export, DESCRIBE_CPU_MS, &error)),
        }
        Ok(guest)
    }
}

/// One instance with its store. Dropping it hands its log over.
pub(super) struct Guest {
    runner: Arc<Runner>,
    channel: String,
    store: Store<CallState>,
    /// Set by [`Runner::open`]; a guest that could not be instantiated is never handed out.
    instance: Option<Instance>,
}

impl Guest {
    /// The typed functions that webhooks need. Finding them costs as much as a short call: once per guest.
    pub(super) fn webhook(&mut self, export: &'static str) -> Result<webhook::Webhook, CallError> {
        let found = match (&self.instance, &self.runner.loaded.webhook) {
            (Some(instance), Some(webhook)) => webhook.load(&mut self.store, instance),
            (None, _) => Err(wasmtime::Error::msg("no instance")),
            (_, None) => Err(wasmtime::Error::msg("it is an assistant and no provider")),
        };
        found.map_err(|error| self.explain(export, DESCRIBE_CPU_MS, &error))
    }

    /// Runs one export with so much CPU.
    pub(super) async fn run<T>(
        &mut self,
        export: &'static str,
        cpu_ms: u64,
        call: impl AsyncFnOnce(&Loaded, &Instance, &mut Store<CallState>) -> wasmtime::Result<T>,
    ) -> Result<T, CallError> {
        grant_cpu(&mut self.store, cpu_ms);
        let result = match &self.instance {
            Some(instance) => call(&self.runner.loaded, instance, &mut self.store).await,
            None => Err(wasmtime::Error::msg("no instance")),
        };
        self.runner.peak.note(cpu_ms.saturating_sub(engine::cpu_left_ms(&self.store)), cpu_ms);
        self.runner.peak.note(self.store.data().usage.memory_bytes() as u64, MEMORY_BYTES_MAX as u64);
        result.map_err(|error| self.explain(export, cpu_ms, &error))
    }

    fn explain(&self, export: &'static str, cpu_ms: u64, error: &wasmtime::Error) -> CallError {
        self.runner.crashes.count(&self.channel);
        let plugin = self.runner.id.clone();
        let state = self.store.data();
        if let Some(wanted) = state.usage.refused_bytes {
            let (wanted_mib, limit_mib) = (wanted.div_ceil(1 << 20), MEMORY_BYTES_MAX >> 20);
            return CallError::MemoryLimit { plugin, export, wanted_mib, limit_mib };
        }
        let said = state.journal.last_error().map(str::to_owned);
        match error.downcast_ref::<Trap>() {
            Some(Trap::Interrupt) => CallError::CpuLimit { plugin, export, cpu_ms },
            Some(Trap::StackOverflow | Trap::MemoryOutOfBounds) => CallError::Stack { plugin, export },
            Some(trap) => {
                CallError::Crashed { plugin, export, cause: said.unwrap_or_else(|| trap.to_string()) }
            }
            None => {
                let cause = error.root_cause().to_string();
                if cause.contains("fuel allocated for hostcalls") {
                    CallError::OutputLimit { plugin, export, limit_mib: HOSTCALL_BYTES_MAX >> 20 }
                } else {
                    CallError::Crashed { plugin, export, cause }
                }
            }
        }
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        self.runner.log.absorb(&self.runner.id, &self.channel, &mut self.store.data_mut().journal);
    }
}
