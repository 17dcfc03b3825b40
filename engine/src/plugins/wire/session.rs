//! Linked phones: what can be asked of a session and what comes of it.

use super::inbound::{Extra, SessionUpdate};

/// What to do with the session of a linked phone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SessionTask {
    /// Make it where there is none, and start it; safe to repeat.
    Start,
    /// Stop and start it.
    Restart,
    /// Stop it; the phone stays linked.
    Stop,
    /// Unlink the phone.
    Logout,
    /// How it is. No effect at the vendor.
    State,
    /// What the phone has to scan now.
    Qr,
    /// The code to be typed on the phone with this number, E.164.
    PairingCode(String),
}

/// What came of it.
#[derive(Debug, Clone, PartialEq)]
pub enum SessionOutcome {
    /// How the session is now.
    Session(SessionUpdate),
    /// To be scanned.
    Qr {
        /// Its text or its picture.
        image: QrImage,
        /// When it is of no use any more, where the vendor says so, unix milliseconds.
        expires_at_ms: Option<i64>,
    },
    /// To be typed on the phone.
    PairingCode {
        /// The code.
        code: String,
        /// When it is of no use any more, where the vendor says so, unix milliseconds.
        expires_at_ms: Option<i64>,
    },
    /// Something newer than this engine.
    Other(Extra),
}

/// A QR code.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum QrImage {
    /// What it says.
    Text(String),
    /// Its picture.
    Png(Vec<u8>),
}
