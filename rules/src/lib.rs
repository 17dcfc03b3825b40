//! Pointsman's decisions: one event plus facts in, intents out, the same way
//! every time. No IO, no clock, no randomness, no async: everything that varies
//! is an argument, so production, dry run, tests and backtests run this code.

pub mod calendar;
pub mod case;
pub mod decide;
pub mod duration;
pub mod event;
pub mod facts;
pub mod header;
pub mod ids;
pub mod intent;
pub mod library;
pub mod names;
pub mod problem;
pub mod sandbox;
pub mod script;
pub mod text;
pub mod view;
pub mod vocabulary;
