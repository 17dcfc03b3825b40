//! The one script engine: what rules may use and how much of it. Built without
//! the packages that read a clock, block a thread or touch files, so that there
//! is nothing to forbid.

mod bounded;
mod error;
pub(crate) mod run;

use std::sync::LazyLock;

use rhai::packages::{
    ArithmeticPackage, BasicArrayPackage, BasicFnPackage, BasicIteratorPackage, BasicMapPackage,
    BasicMathPackage, BasicStringPackage, LogicPackage, MoreStringPackage, Package,
};
use rhai::{Engine, OptimizationLevel, Scope};

use crate::view::{self, FACTS, Moment, Snapshot, View};
use crate::vocabulary;

pub(crate) use error::{place, syntax};
pub use run::Stopwatch;

/// Most operations of one run; the run fails at the limit.
pub const OPERATIONS_MAX: u64 = 100_000;
/// Longest run, milliseconds of the stopwatch. One that counts work, too, lets a run work as long again after that.
pub const RUN_MS_MAX: u64 = 50;
/// Deepest nesting of calls.
pub const CALL_LEVELS_MAX: usize = 32;
/// Longest text, bytes; all texts in one list or map together.
pub const STRING_BYTES_MAX: usize = 64 * 1024;
/// Most entries of a list or map, nested ones included.
pub const ENTRIES_MAX: usize = 1_000;
/// Most variables at one time.
pub const VARIABLES_MAX: usize = 200;
/// Most functions in one rule.
pub const FUNCTIONS_MAX: usize = 50;
/// Deepest nesting of expressions, at the top and inside functions.
pub const EXPRESSION_DEPTH_MAX: (usize, usize) = (64, 32);
/// Longest rule file, bytes.
pub const SOURCE_BYTES_MAX: usize = 64 * 1024;
/// Most intents of one run.
pub const INTENTS_MAX: usize = 100;

rhai::def_package! {
    /// What a rule may use of the script language: everything that only computes.
    Language(_module): ArithmeticPackage, BasicStringPackage, BasicIteratorPackage, BasicFnPackage, LogicPackage,
        BasicMathPackage, BasicArrayPackage, BasicMapPackage, MoreStringPackage {}
}

/// The engine, built once and shared by all threads.
pub(crate) fn engine() -> &'static Engine {
    static ENGINE: LazyLock<Engine> = LazyLock::new(build);
    &ENGINE
}

/// The same engine without constant folding, for the check pass.
pub(crate) fn plain_engine() -> &'static Engine {
    static ENGINE: LazyLock<Engine> = LazyLock::new(|| {
        let mut engine = build();
        engine.set_optimization_level(OptimizationLevel::None);
        engine
    });
    &ENGINE
}

/// An engine of the same kind for looking at runs; production never waits for what is added to it.
pub(crate) fn engine_with(add: impl FnOnce(&mut Engine)) -> Engine {
    let mut engine = build();
    add(&mut engine);
    engine
}

fn build() -> Engine {
    let mut engine = Engine::new_raw();
    engine.register_global_module(Language::new().as_shared_module());
    for symbol in ["eval", "print", "debug", "import", "export"] {
        engine.disable_symbol(symbol);
    }
    engine
        .set_strict_variables(true)
        .set_fail_on_invalid_map_property(true)
        .set_max_operations(OPERATIONS_MAX)
        .set_max_call_levels(CALL_LEVELS_MAX)
        .set_max_string_size(STRING_BYTES_MAX)
        .set_max_array_size(ENTRIES_MAX)
        .set_max_map_size(ENTRIES_MAX)
        .set_max_variables(VARIABLES_MAX)
        .set_max_functions(FUNCTIONS_MAX)
        .set_max_modules(0)
        .set_max_expr_depths(EXPRESSION_DEPTH_MAX.0, EXPRESSION_DEPTH_MAX.1)
        .on_progress(run::on_progress);
    limit_growth(&mut engine);
    bounded::register(&mut engine);
    view::register(&mut engine);
    vocabulary::register(&mut engine);
    engine
}

/// The engine does not look at the size of a list or map that grows by `m[key] = value`,
/// only when it is used as a whole. So every access by name looks: one write past a
/// limit is the most that can happen.
#[expect(deprecated, reason = "marked as volatile, not as outdated; a test watches over it")]
fn limit_growth(engine: &mut Engine) {
    engine.on_var(|name, _, context| {
        let grown = context.scope().get(name).filter(|v| v.is_array() || v.is_map());
        grown.map_or(Ok(()), |value| context.engine().ensure_data_size_within_limits(value))?;
        Ok(None)
    });
}

/// Every name a script finds without declaring it.
pub(crate) fn names() -> impl Iterator<Item = &'static str> {
    let constants = vocabulary::constants().map(|(name, _)| name);
    FACTS.iter().map(|f| f.name).chain(["now"]).chain(constants)
}

/// The names without their values, for compiling: nothing of an event may end up in a compiled rule.
pub(crate) fn names_only() -> Scope<'static> {
    let mut scope = Scope::new();
    for name in FACTS.iter().map(|f| f.name).chain(["now"]) {
        scope.push(name, ());
    }
    for (name, value) in vocabulary::constants() {
        scope.push_constant(name, value);
    }
    scope
}

/// The names with what this event's facts hold; all constant.
pub(crate) fn scope(snapshot: &std::sync::Arc<Snapshot>) -> Scope<'static> {
    let mut scope = Scope::new();
    for fact in FACTS {
        scope.push_constant(fact.name, View::new(fact, snapshot));
    }
    scope.push_constant("now", Moment(snapshot.facts.now_ms));
    for (name, value) in vocabulary::constants() {
        scope.push_constant(name, value);
    }
    scope
}
