//! Pointsman: applies what the rules decide.

pub mod plugins;
