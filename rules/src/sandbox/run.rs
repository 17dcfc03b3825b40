//! One run of one script. Its state (time, collected intents) lives in a
//! thread-local for as long as the run takes: the engine is shared by all
//! threads, and a script must hold no handle to anything.

use std::cell::RefCell;
use std::fmt;
use std::sync::Arc;

use rhai::{AST, Dynamic, Engine, EvalAltResult, Position, Scope};

use super::{INTENTS_MAX, RUN_MS_MAX, engine, error};
use crate::intent::Intent;
use crate::problem::Problem;
use crate::view::Snapshot;
use crate::vocabulary::Wrong;

/// How many operations may pass between two looks at the stopwatch.
const LOOK_EVERY: u64 = 16;

/// Microseconds that only grow; where they begin does not matter. The caller
/// brings it, because nothing in this crate reads a clock.
#[derive(Clone)]
pub struct Stopwatch {
    elapsed: Counter,
    worked: Option<Counter>,
}

type Counter = Arc<dyn Fn() -> u64 + Send + Sync>;

impl Stopwatch {
    /// A stopwatch that reads the given counter of microseconds.
    pub fn new(micros: impl Fn() -> u64 + Send + Sync + 'static) -> Self {
        Self { elapsed: Arc::new(micros), worked: None }
    }

    /// One that never moves, for repeatable runs; only the operation limit holds.
    pub fn stopped() -> Self {
        Self::new(|| 0)
    }

    /// With a second counter: the microseconds for which this thread worked itself. Rules are then not stopped for the
    /// time in which the machine did something else. It is read only by runs that take too long.
    #[must_use]
    pub fn with_work(self, micros: impl Fn() -> u64 + Send + Sync + 'static) -> Self {
        Self { worked: Some(Arc::new(micros)), ..self }
    }

    fn micros(&self) -> u64 {
        (self.elapsed)()
    }
}

impl fmt::Debug for Stopwatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Stopwatch")
    }
}

struct Run {
    snapshot: Arc<Snapshot>,
    stopwatch: Stopwatch,
    started_us: u64,
    /// What this thread had worked when the time was up.
    late_us: Option<u64>,
    operations: u64,
    intents: Vec<(u32, Intent)>,
}

impl Run {
    /// A run whose time is up may have had to wait for a busy machine: it then gets the same time once more, counted
    /// in what it works itself.
    fn is_over_time(&mut self) -> bool {
        if self.stopwatch.micros().saturating_sub(self.started_us) <= RUN_MS_MAX * 1_000 {
            return false;
        }
        let Some(worked) = &self.stopwatch.worked else { return true };
        let worked_us = worked();
        worked_us.saturating_sub(*self.late_us.get_or_insert(worked_us)) > RUN_MS_MAX * 1_000
    }
}

thread_local! {
    static RUN: RefCell<Option<Run>> = const { RefCell::new(None) };
}

/// What a run left behind.
pub(crate) struct Ran {
    /// What the script's last expression came to.
    pub(crate) value: Dynamic,
    /// Asked for until the end or the failure; (line, intent).
    pub(crate) intents: Vec<(u32, Intent)>,
    pub(crate) failure: Option<Problem>,
    pub(crate) operations: u64,
    pub(crate) micros: u64,
}

/// Runs a compiled script. The scope is left as it was.
pub(crate) fn execute(
    ast: &AST,
    scope: &mut Scope<'_>,
    snapshot: &Arc<Snapshot>,
    stopwatch: &Stopwatch,
) -> Ran {
    execute_on(engine(), ast, scope, snapshot, stopwatch)
}

/// The same on another engine.
pub(crate) fn execute_on(
    engine: &Engine,
    ast: &AST,
    scope: &mut Scope<'_>,
    snapshot: &Arc<Snapshot>,
    stopwatch: &Stopwatch,
) -> Ran {
    let started_us = stopwatch.micros();
    let run = Run {
        snapshot: snapshot.clone(),
        stopwatch: stopwatch.clone(),
        started_us,
        late_us: None,
        operations: 0,
        intents: Vec::new(),
    };
    RUN.replace(Some(run));
    let size = scope.len();
    let result = engine.eval_ast_with_scope::<Dynamic>(scope, ast);
    scope.rewind(size);
    let run = RUN.take();
    let (value, failure) = match result {
        Ok(value) => (value, None),
        Err(failure) => (Dynamic::UNIT, Some(error::problem(&failure))),
    };
    Ran {
        value,
        failure,
        operations: run.as_ref().map_or(0, |r| r.operations),
        micros: stopwatch.micros().saturating_sub(started_us),
        intents: run.map(|r| r.intents).unwrap_or_default(),
    }
}

/// Does something else while a run waits: whatever that runs has a state of its own and leaves the run as it was.
pub(crate) fn aside<T>(work: impl FnOnce(&Arc<Snapshot>) -> T) -> Option<T> {
    let waiting = RUN.take()?;
    let done = work(&waiting.snapshot);
    RUN.replace(Some(waiting));
    Some(done)
}

/// Called by the engine at every operation; a value ends the run.
pub(super) fn on_progress(operations: u64) -> Option<Dynamic> {
    RUN.with_borrow_mut(|run| {
        let run = run.as_mut()?;
        run.operations = operations;
        (operations.is_multiple_of(LOOK_EVERY) && run.is_over_time()).then_some(Dynamic::UNIT)
    })
}

/// For words that work on long texts, which the engine counts as one operation.
pub(crate) fn check_time() -> Result<(), Box<EvalAltResult>> {
    match RUN.with_borrow_mut(|run| run.as_mut().is_some_and(Run::is_over_time)) {
        true => Err(EvalAltResult::ErrorTerminated(Dynamic::UNIT, Position::NONE).into()),
        false => Ok(()),
    }
}

/// The facts of the run on this thread.
pub(crate) fn snapshot() -> Result<Arc<Snapshot>, Box<EvalAltResult>> {
    RUN.with_borrow(|run| run.as_ref().map(|r| r.snapshot.clone())).ok_or_else(|| "no rule is running".into())
}

/// Adds an intent to the run on this thread.
pub(crate) fn yield_intent(line: u32, intent: Intent) -> Result<(), Box<EvalAltResult>> {
    RUN.with_borrow_mut(|run| {
        let run = run.as_mut().ok_or("no rule is running")?;
        if run.intents.len() >= INTENTS_MAX {
            let message = format!("the rule asks for more than {INTENTS_MAX} things");
            return Err(Wrong::new("too_many_intents", message).into());
        }
        run.intents.push((line, intent));
        Ok(())
    })
}
