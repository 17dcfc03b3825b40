//! Pointsman's decisions: one event plus facts in, intents out, the same way
//! every time. No IO, no clock, no randomness, no async: everything that varies
//! is an argument, so production, dry run, tests and backtests run this code.
//!
//! The way of a rule: [`script::Script::parse`] reads, compiles and checks a file
//! ([`header`], [`sandbox`], [`vocabulary`], [`view`]); [`decide::decide`] runs a
//! [`decide::RuleSet`] on one [`event::Event`] and its [`facts::Facts`] and answers
//! with [`intent::Intent`]s and a trace; [`case`] does the same with invented
//! situations. A new intent is a variant of `Intent`, a file in `vocabulary/`, an arm
//! in `intent/call.rs` and a case.

pub mod assign;
pub mod calendar;
pub mod case;
pub mod decide;
pub mod duration;
pub mod event;
pub mod facts;
pub mod form;
pub mod header;
pub mod ids;
pub mod intent;
pub mod library;
pub mod lines;
pub mod loops;
pub mod names;
pub mod problem;
pub mod quota;
pub mod reference;
pub mod sandbox;
pub mod schedule;
pub mod script;
pub mod sla;
pub mod text;
pub mod view;
pub mod vocabulary;
