//! Hostile plugins against the real host: each is refused or stopped, says why,
//! and leaves the others alone. The guest is built before the tests (see `stage`).
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs, reason = "tests")]

mod answers;
mod assistant;
mod bombs;
mod egress;
mod figures;
mod frozen;
mod hostile;
mod install;
mod stage;
