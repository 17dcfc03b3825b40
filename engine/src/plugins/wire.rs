//! Our own mirror of the records that cross the plugin contract: what the
//! store keeps as JSON and what the rest of the engine speaks. Field meanings
//! are those of `plugins/wit/plugin.wit`. No behaviour beyond naming things.

mod account;
mod assistant;
mod failure;
mod inbound;
mod outbound;
mod session;
mod webhook;

pub use account::*;
pub use assistant::*;
pub use failure::*;
pub use inbound::*;
pub use outbound::*;
pub use session::*;
pub use webhook::*;
