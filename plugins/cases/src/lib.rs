//! Case folders: recorded webhooks, sends with scripted answers, and what must
//! come of them. Here is the format and how an outcome is judged; nothing runs
//! here. The SDK runs the folders natively, the engine against the built wasm,
//! and both read them here, so that a case means the same to both. Must know
//! neither of them. The format is described in [`case`].

pub mod case;
mod difference;
mod leak;
mod mutation;
mod script;

pub use case::{Case, CaseError, Context, Request, Run, SessionTask, Task};
pub use difference::{Difference, pruned};
pub use mutation::{Forgery, Mutation};
pub use script::{Answer, Exchange, Script, Stored};
