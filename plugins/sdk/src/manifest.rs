//! Short ways to write a manifest: start from what everybody has and add to it.

use crate::descriptor::{Capabilities, DeliveryReports, LengthUnit, Manifest, Setting, SettingKind, Window};

impl Manifest {
    /// A manifest without settings, kinds and origins; set the other fields as needed.
    pub fn new(id: &str, name: &str, version: &str) -> Self {
        Self {
            id: id.into(),
            name: name.into(),
            version: version.into(),
            publisher: String::new(),
            docs_url: None,
            license: None,
            settings: vec![],
            kinds: vec![],
            origins: vec![],
            extras: vec![],
        }
    }
}

impl Setting {
    /// An optional setting. `help` says where a person finds the value.
    pub fn new(name: &str, label: &str, kind: SettingKind, help: &str) -> Self {
        Self {
            name: name.into(),
            label: label.into(),
            help: help.into(),
            kind,
            required: false,
            default_json: None,
            pattern: None,
            example: None,
            sent_to: None,
            extras: vec![],
        }
    }

    /// It must be filled in.
    #[must_use]
    pub fn required(mut self) -> Self {
        self.required = true;
        self
    }

    /// A made-up value to show.
    #[must_use]
    pub fn example(mut self, example: &str) -> Self {
        self.example = Some(example.into());
        self
    }

    /// A regular expression that the whole of a text must match.
    #[must_use]
    pub fn pattern(mut self, pattern: &str) -> Self {
        self.pattern = Some(pattern.into());
        self
    }

    /// A secret that only goes to these origins; none: it proves webhooks and is never sent.
    #[must_use]
    pub fn sent_to<const N: usize>(mut self, origins: [&str; N]) -> Self {
        self.sent_to = Some(origins.map(Into::into).into());
        self
    }

    /// Used when nothing is filled in.
    #[must_use]
    pub fn default_value(mut self, value: &serde_json::Value) -> Self {
        self.default_json = Some(value.to_string());
        self
    }
}

impl Capabilities {
    /// A channel for text and nothing else; set what the vendor can do beyond.
    pub fn text_only(text_max: u32, text_unit: LengthUnit) -> Self {
        Self {
            text_max,
            text_unit,
            attachments_max: 0,
            media: vec![],
            window: Window::None,
            first_message_needs_template: false,
            templates: false,
            buttons_max: 0,
            list_rows_max: 0,
            reactions: false,
            replies: false,
            read_receipts: false,
            typing: false,
            delivery_reports: DeliveryReports::None,
            echoes: false,
            idempotent_send: false,
            messages_per_second: 0,
            unsigned_webhooks: false,
            beta: false,
            extras: vec![],
        }
    }
}
