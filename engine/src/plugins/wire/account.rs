//! What is known at the vendor besides messages: the account and its templates.

use serde::{Deserialize, Serialize};

use super::inbound::InboundEvent;

/// What to do with the vendor's account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AccountTask {
    /// "Test connection". No effect at the vendor.
    Check,
    /// Point the vendor's webhook at us; safe to repeat.
    Connect,
    /// Undo `Connect`.
    Disconnect,
    /// Numbers the account owns.
    ListAddresses,
}

/// What the vendor says about the account.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AccountReport {
    /// Name of the account.
    pub display_name: Option<String>,
    /// Its address, as the vendor writes it.
    pub address: Option<String>,
    /// The webhook URL that the vendor has now.
    pub webhook_url: Option<String>,
    /// Numbers the account owns.
    pub addresses: Vec<AccountAddress>,
    /// Sentences for the channel's owner.
    pub warnings: Vec<String>,
}

/// One number or account to choose from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AccountAddress {
    /// As the vendor writes it.
    pub address: String,
    /// For a person.
    pub label: String,
    /// Channel kinds it can be used for.
    pub kinds: Vec<String>,
}

/// One page of the vendor's templates.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TemplatePage {
    /// The templates.
    pub templates: Vec<VendorTemplate>,
    /// Cursor of the next page; `None`: this was the last.
    pub next: Option<String>,
}

/// A template as the vendor has it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct VendorTemplate {
    /// The vendor's id.
    pub vendor_id: String,
    /// Its name.
    pub name: String,
    /// The vendor's language code.
    pub language: String,
    /// `marketing`, `utility`, …
    pub category: Option<String>,
    /// `approved`, `pending`, `rejected`, …
    pub status: String,
    /// Text above.
    pub header: Option<String>,
    /// Its text with its holes.
    pub body: String,
    /// Text below.
    pub footer: Option<String>,
    /// The holes.
    pub slots: Vec<TemplateSlot>,
    /// Its buttons.
    pub buttons: Vec<TemplateButton>,
}

/// A hole of a template.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TemplateSlot {
    /// `header`, `body`, `button.0`, …
    pub place: String,
    /// Name or number.
    pub name: String,
    /// What the vendor was shown.
    pub example: Option<String>,
}

/// A button of a template.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TemplateButton {
    /// `quick_reply`, `url`, `phone`, …
    pub kind: String,
    /// What the contact sees.
    pub title: String,
    /// URL or number.
    pub value: Option<String>,
}

/// What happened at the vendor, whether or not a webhook told it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct BackfillBatch {
    /// With the dedupe keys that their webhooks have.
    pub events: Vec<InboundEvent>,
    /// Where the next batch begins.
    pub cursor: Option<String>,
    /// Is there a next batch?
    pub more: bool,
}
