//! The wasmtime engine and what bounds every call: memory over the whole store,
//! CPU by epochs, data per host call, instances by a pool. Must not know what a
//! plugin says, only what it may use.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use wasmtime::component::{Linker, WasmStr};
use wasmtime::{
    Config, Enabled, Engine, InstanceAllocationStrategy, PoolingAllocationConfig, ResourceLimiter, Store,
    StoreContextMut, UpdateDeadline,
};

use super::bindings::provider::pointsman::plugin as contract;
use super::journal::Journal;

/// The interface of which `write` is the only function.
const LOG: &str = "pointsman:plugin/log@1.0.0";
/// Length of one tick of the CPU clock, milliseconds.
pub(super) const TICK_MS: u64 = 5;
/// Memory of one instance, summed over all its linear memories, bytes. Growing past it traps.
pub(super) const MEMORY_BYTES_MAX: usize = 32 << 20;
/// Entries of all tables of one instance. Growing past it traps.
pub(super) const TABLE_ELEMENTS_MAX: usize = 20_000;
/// Handles of resources of one instance; one more traps. The contract has none.
const HANDLES_MAX: usize = 1_000;
/// Data that one call may hand from the guest to the host, bytes; more traps. Holds a 4 MiB webhook twice.
pub(super) const HOSTCALL_BYTES_MAX: usize = 9 << 20;
/// Calls of imported functions in one operation; more trap.
pub(super) const HOST_CALLS_MAX: u32 = 10_000;
/// Operations that wait for a vendor at one time; more wait for a free instance.
pub(super) const OPERATIONS_MAX: usize = 512;
/// Instances for calls that only compute; never waits, because the CPU gate is smaller.
const COMPUTING_INSTANCES_MAX: usize = 128;
/// Native stack of guest code, bytes.
const STACK_BYTES_MAX: usize = 512 << 10;
/// Of which this much stays in memory between two calls.
const STACK_KEPT_BYTES: usize = 64 << 10;
/// Core instances, memories and tables of one component (wit-bindgen guests use 3, 1 and 2).
const CORE_INSTANCES_MAX: u32 = 24;
const MEMORIES_MAX: u32 = 4;
const TABLES_MAX: u32 = 16;
/// The clock stops after so many ticks without a running guest.
const IDLE_TICKS_MAX: u32 = 200;

/// Why an engine could not be made.
#[derive(Debug, thiserror::Error)]
#[error("the wasm engine cannot start: {0}; check the limits on address space of this process (ulimit -v)")]
pub struct EngineError(String);

impl From<wasmtime::Error> for EngineError {
    fn from(error: wasmtime::Error) -> Self {
        Self(format!("{error:#}"))
    }
}

/// Settings that compiled code depends on. The compiling child and the server must agree on them.
pub(super) fn code_settings() -> Config {
    let mut config = Config::new();
    config
        .wasm_component_model(true)
        .wasm_memory64(false)
        .wasm_relaxed_simd(false)
        .wasm_tail_call(false)
        .epoch_interruption(true)
        .max_wasm_stack(STACK_BYTES_MAX)
        .memory_reservation(MEMORY_BYTES_MAX as u64)
        .memory_guard_size(MEMORY_BYTES_MAX as u64)
        .memory_may_move(false)
        .memory_init_cow(true)
        .table_lazy_init(true);
    config
}

/// An engine that runs guests.
pub(super) fn running_engine() -> Result<Engine, EngineError> {
    let instances = (OPERATIONS_MAX + COMPUTING_INSTANCES_MAX) as u32;
    let mut pool = PoolingAllocationConfig::new();
    pool.total_component_instances(instances)
        .total_core_instances(instances * 4)
        .total_memories(instances)
        .total_tables(instances * 4)
        .max_core_instances_per_component(CORE_INSTANCES_MAX)
        .max_memories_per_component(MEMORIES_MAX)
        .max_tables_per_component(TABLES_MAX)
        .total_stacks(instances)
        .async_stack_keep_resident(STACK_KEPT_BYTES)
        .max_memories_per_module(1)
        .max_tables_per_module(2)
        .table_elements(TABLE_ELEMENTS_MAX)
        .max_memory_size(MEMORY_BYTES_MAX)
        .max_component_instance_size(1 << 20)
        .max_core_instance_size(1 << 20)
        .linear_memory_keep_resident(256 << 10)
        .table_keep_resident(16 << 10)
        // Resets only the pages a guest touched: halves the cost of a fresh instance where the kernel can.
        .pagemap_scan(Enabled::Auto)
        .max_unused_warm_slots(32);
    let mut config = code_settings();
    config.allocation_strategy(InstanceAllocationStrategy::Pooling(pool));
    Ok(Engine::new(&config)?)
}

/// A linker that offers `log.write` and nothing else.
pub(super) fn linker(engine: &Engine) -> Result<Linker<CallState>, EngineError> {
    let mut linker = Linker::new(engine);
    linker.instance(LOG)?.func_wrap("write", write_log)?;
    Ok(linker)
}

/// The one function that a guest may call. Its text is read where it lies: however long it is, only a line is copied.
fn write_log(
    mut store: StoreContextMut<'_, CallState>,
    (level, message): (contract::log::Level, WasmStr),
) -> wasmtime::Result<()> {
    let state = store.data_mut();
    state.host_calls += 1;
    if state.host_calls > HOST_CALLS_MAX {
        wasmtime::bail!("host call limit: more than {HOST_CALLS_MAX} calls of log.write");
    }
    let mut journal = state.journal.take(); // the text is borrowed from the store
    let written = message.to_str(&store).map(|text| journal.write(level.into(), &text));
    store.data_mut().journal = journal;
    written
}

/// What one instance may still use, and what it said.
pub(super) struct CallState {
    pub(super) usage: Usage,
    pub(super) journal: Journal,
    pub(super) ticks_left: u64,
    host_calls: u32,
}

impl CallState {
    pub(super) fn new(journal: Journal) -> Self {
        Self { usage: Usage::default(), journal, ticks_left: 0, host_calls: 0 }
    }
}

/// A store with every limit in place. A guest gives way to other tasks at every tick. Give it CPU with [`grant_cpu`] before each call.
pub(super) fn store(engine: &Engine, journal: Journal) -> Store<CallState> {
    let mut store = Store::new(engine, CallState::new(journal));
    store.limiter(|state| &mut state.usage);
    store.set_hostcall_fuel(HOSTCALL_BYTES_MAX);
    store.set_max_component_handles(HANDLES_MAX);
    store.epoch_deadline_callback(|mut context| {
        let state = context.data_mut();
        if state.ticks_left == 0 {
            return Ok(UpdateDeadline::Interrupt);
        }
        state.ticks_left -= 1;
        Ok(UpdateDeadline::Yield(1))
    });
    store
}

/// Allows so many milliseconds of CPU from now on.
pub(super) fn grant_cpu(store: &mut Store<CallState>, cpu_ms: u64) {
    store.data_mut().ticks_left = cpu_ms.div_ceil(TICK_MS);
    store.set_epoch_deadline(1);
}

/// Milliseconds of CPU that are left of what [`grant_cpu`] gave, in whole ticks.
pub(super) fn cpu_left_ms(store: &Store<CallState>) -> u64 {
    store.data().ticks_left * TICK_MS
}

/// Sums memory and tables over everything in one store.
#[derive(Default)]
pub(super) struct Usage {
    memory_bytes: usize,
    table_elements: usize,
    /// Set when growth was refused: the bytes that were asked for.
    pub(super) refused_bytes: Option<usize>,
}

impl Usage {
    /// Memory that the instance has, bytes.
    pub(super) fn memory_bytes(&self) -> usize {
        self.memory_bytes
    }
}

impl ResourceLimiter for Usage {
    fn memory_growing(
        &mut self,
        current: usize,
        desired: usize,
        _maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        let wanted = self.memory_bytes.saturating_add(desired.saturating_sub(current));
        if wanted > MEMORY_BYTES_MAX {
            self.refused_bytes = Some(wanted);
            wasmtime::bail!("memory limit");
        }
        self.memory_bytes = wanted;
        Ok(true)
    }

    fn table_growing(
        &mut self,
        current: usize,
        desired: usize,
        _maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        let wanted = self.table_elements.saturating_add(desired.saturating_sub(current));
        if wanted > TABLE_ELEMENTS_MAX {
            wasmtime::bail!("table limit: {wanted} entries, {TABLE_ELEMENTS_MAX} allowed");
        }
        self.table_elements = wanted;
        Ok(true)
    }

    fn instances(&self) -> usize {
        CORE_INSTANCES_MAX as usize
    }

    fn tables(&self) -> usize {
        TABLES_MAX as usize
    }

    fn memories(&self) -> usize {
        MEMORIES_MAX as usize
    }
}

/// The thread behind the CPU clock. It sleeps while no guest runs.
pub(super) struct Ticker {
    shared: Arc<TickerShared>,
    thread: Option<JoinHandle<()>>,
}

struct TickerShared {
    running: AtomicUsize,
    parked: AtomicBool,
    stop: AtomicBool,
}

impl Ticker {
    pub(super) fn start(engine: &Engine) -> std::io::Result<Self> {
        let shared = Arc::new(TickerShared {
            running: AtomicUsize::new(0),
            parked: AtomicBool::new(false),
            stop: AtomicBool::new(false),
        });
        let (clock, engine) = (shared.clone(), engine.clone());
        let thread =
            std::thread::Builder::new().name("plugin-ticker".into()).spawn(move || clock.tick(&engine))?;
        Ok(Self { shared, thread: Some(thread) })
    }

    /// Keeps the clock going until the guard is dropped.
    pub(super) fn run(&self) -> Running<'_> {
        self.shared.running.fetch_add(1, Ordering::SeqCst);
        if self.shared.parked.load(Ordering::SeqCst)
            && let Some(thread) = &self.thread
        {
            thread.thread().unpark();
        }
        Running(&self.shared)
    }
}

impl TickerShared {
    fn tick(&self, engine: &Engine) {
        let mut idle = 0;
        while !self.stop.load(Ordering::SeqCst) {
            std::thread::sleep(Duration::from_millis(TICK_MS));
            engine.increment_epoch();
            idle = if self.running.load(Ordering::SeqCst) == 0 { idle + 1 } else { 0 };
            if idle < IDLE_TICKS_MAX {
                continue;
            }
            idle = 0;
            // Parked is announced before the last look at `running`, so a call that starts now
            // either is seen here or sees the flag and unparks.
            self.parked.store(true, Ordering::SeqCst);
            while self.running.load(Ordering::SeqCst) == 0 && !self.stop.load(Ordering::SeqCst) {
                std::thread::park();
            }
            self.parked.store(false, Ordering::SeqCst);
        }
    }
}

impl Drop for Ticker {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::SeqCst);
        if let Some(thread) = self.thread.take() {
            thread.thread().unpark();
        }
    }
}

/// A running guest; see [`Ticker::run`].
pub(super) struct Running<'a>(&'a TickerShared);

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.0.running.fetch_sub(1, Ordering::SeqCst);
    }
}
