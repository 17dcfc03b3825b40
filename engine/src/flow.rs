//! The verbs: `accept` (webhook → inbox), `turn` (inbox → state, intents,
//! effects), `deliver` (effect → vendor), `fire` (deadlines → inbox). Each owns
//! short transactions; no plugin call, HTTP call or rule runs inside one. Knows
//! neither apalis nor HTTP routes.

pub mod command;
mod stub;

pub use stub::{AcceptError, Flow, FlowSettings, OrderError, Ordered, ReplayOutcome};
