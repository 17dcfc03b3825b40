//! Pointsman's engine: everything that touches the world. It applies what
//! `pointsman-rules` decides. Rooms import downwards only:
//! `main → app → http, worker → flow → plugins, store → pointsman-rules`;
//! `clock`, `crypto`, `bus`, `config` and `telemetry` are leaves.

pub mod app;
pub mod bus;
pub mod cli;
pub mod clock;
pub mod config;
pub mod crypto;
pub mod flow;
pub mod http;
pub mod plugins;
pub mod store;
pub mod telemetry;
pub mod worker;
