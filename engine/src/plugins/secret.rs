//! The one type for secrets, by the name that this room uses.

pub use crate::crypto::Secret;
