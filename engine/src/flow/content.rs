//! What a message holds, as it is kept: one JSON shape for every direction and
//! provider. Knows how to read the plugins' shapes and how to write theirs.

use std::collections::BTreeMap;

use pointsman_rules::facts::Capabilities;
use pointsman_rules::intent::Button;
use serde::{Deserialize, Serialize};

use crate::flow::command::Draft;
use crate::flow::file::File;
use crate::flow::slot;
use crate::plugins::{
    self, Card, Location, OutAttachment, OutChoices, OutItem, OutSlot, OutTemplate, OutboundContent,
};

/// Characters of a conversation's preview line.
const PREVIEW_CHARS_MAX: usize = 120;

/// What a message holds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Content {
    /// Plain text.
    Text {
        /// The text.
        text: String,
    },
    /// Files.
    Media {
        /// The files.
        items: Vec<File>,
    },
    /// Text with links to files of ours.
    Linked {
        /// The text.
        text: String,
        /// The files.
        items: Vec<File>,
    },
    /// A place.
    Location {
        /// Where.
        location: Location,
    },
    /// Contact cards.
    Cards {
        /// The cards.
        cards: Vec<Card>,
    },
    /// A pressed button or a picked row.
    Choice {
        /// Its id.
        id: String,
        /// What the contact saw.
        title: String,
    },
    /// Text with buttons.
    Choices {
        /// The text.
        text: String,
        /// The buttons.
        items: Vec<Button>,
    },
    /// An approved template.
    Template {
        /// Its name.
        name: String,
        /// Its language.
        language: String,
        /// Slot key to text; see `flow::slot`.
        slots: BTreeMap<String, String>,
        /// Slot key to file, for headers with an image, a video or a document.
        #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
        files: BTreeMap<String, File>,
        /// The body as it left, filled in; `None` before, and where the vendor gave no body.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        text: Option<String>,
    },
    /// Free text while the window is open at send, else a template.
    Either {
        /// The text.
        text: String,
        /// Template name.
        name: String,
        /// Template language.
        language: String,
        /// Slot name to text.
        slots: BTreeMap<String, String>,
    },
    /// A reaction to a message.
    Reaction {
        /// The vendor's id of the message.
        message_id: String,
        /// `None` takes the reaction back.
        emoji: Option<String>,
    },
    /// An earlier message has a new text.
    Edited {
        /// The vendor's id of the message.
        message_id: String,
        /// The new text.
        text: String,
    },
    /// An earlier message was taken back.
    Deleted {
        /// The vendor's id of the message.
        message_id: String,
    },
    /// A private note.
    Note {
        /// The text.
        text: String,
    },
    /// A kind that nobody mapped yet; kept and shown.
    Unsupported {
        /// What the vendor calls it.
        what: String,
    },
}

impl Content {
    /// What a contact wrote.
    pub fn of_inbound(content: plugins::Content) -> Self {
        match content {
            plugins::Content::Text(text) => Self::Text { text },
            plugins::Content::Media(items) => {
                Self::Media { items: items.into_iter().map(File::of_inbound).collect() }
            }
            plugins::Content::Location(location) => Self::Location { location },
            plugins::Content::Cards(cards) => Self::Cards { cards },
            plugins::Content::Choice(choice) => Self::Choice { id: choice.id, title: choice.title },
            plugins::Content::Reaction(it) => Self::Reaction { message_id: it.message_id, emoji: it.emoji },
            plugins::Content::Edited(it) => Self::Edited { message_id: it.message_id, text: it.text },
            plugins::Content::Deleted(message_id) => Self::Deleted { message_id },
            plugins::Content::Other(extra) => Self::Unsupported { what: extra.key },
        }
    }

    /// What somebody wants to send; `language` fills a template's missing one.
    pub fn of_draft(draft: Draft, language: &str) -> Self {
        match draft {
            Draft::Text { text, buttons } if buttons.is_empty() => Self::Text { text },
            Draft::Text { text, buttons } => Self::Choices { text, items: buttons },
            Draft::Media { files } => Self::Media { items: files },
            Draft::Linked { text, files } => Self::Linked { text, items: files },
            Draft::Template { name, language: wanted, slots, files } => {
                let language = wanted.unwrap_or_else(|| language.to_owned());
                Self::Template { name, language, slots, files, text: None }
            }
        }
    }

    /// The word that rules know it by.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Text { .. } | Self::Linked { .. } | Self::Either { .. } => "text",
            Self::Media { .. } => "media",
            Self::Location { .. } => "location",
            Self::Cards { .. } => "cards",
            Self::Choice { .. } => "choice",
            Self::Choices { .. } => "choices",
            Self::Template { .. } => "template",
            Self::Reaction { .. } => "reaction",
            Self::Edited { .. } => "edited",
            Self::Deleted { .. } => "deleted",
            Self::Note { .. } => "note",
            Self::Unsupported { .. } => "unsupported",
        }
    }

    /// Its text, if it has one.
    pub fn text(&self) -> Option<&str> {
        match self {
            Self::Text { text }
            | Self::Linked { text, .. }
            | Self::Choices { text, .. }
            | Self::Either { text, .. }
            | Self::Edited { text, .. }
            | Self::Note { text } => Some(text),
            Self::Choice { title, .. } => Some(title),
            Self::Media { items } => items.iter().find_map(|item| item.caption.as_deref()),
            Self::Location { location } => location.name.as_deref(),
            _ => None,
        }
    }

    /// The id of a pressed button.
    pub fn choice(&self) -> Option<&str> {
        match self {
            Self::Choice { id, .. } => Some(id),
            _ => None,
        }
    }

    /// Its files.
    pub fn files(&self) -> Vec<&File> {
        match self {
            Self::Media { items } | Self::Linked { items, .. } => items.iter().collect(),
            Self::Template { files, .. } => files.values().collect(),
            _ => Vec::new(),
        }
    }

    /// How many files.
    pub fn attachments(&self) -> u32 {
        match self {
            Self::Media { items } => u32::try_from(items.len()).unwrap_or(u32::MAX),
            _ => 0,
        }
    }

    /// One line for lists.
    pub fn preview(&self) -> String {
        let line = match self {
            Self::Template { name, .. } => format!("[template {name}]"),
            _ => self.text().map_or_else(|| format!("[{}]", self.kind()), str::to_owned),
        };
        line.chars().map(|c| if c.is_control() { ' ' } else { c }).take(PREVIEW_CHARS_MAX).collect()
    }

    /// Does it need an open window?
    pub fn is_free_form(&self) -> bool {
        !matches!(self, Self::Template { .. })
    }

    /// Its length in the vendor's unit, for limits.
    pub fn length(&self, capabilities: &Capabilities) -> u64 {
        let Some(text) = self.text() else { return 0 };
        let units = match capabilities.text_unit.as_str() {
            "utf16_units" => text.encode_utf16().count(),
            "bytes" => text.len(),
            _ => text.chars().count(),
        };
        units as u64
    }

    /// What the plugin is asked to send; `None` for what cannot be sent. `vendor_id`: the template's. `attach`: a file
    /// of ours for the plugin.
    pub fn to_outbound(
        &self,
        vendor_id: Option<String>,
        attach: &dyn Fn(&File) -> Option<OutAttachment>,
    ) -> Option<OutboundContent> {
        Some(match self {
            Self::Text { text } | Self::Linked { text, .. } => OutboundContent::Text(text.clone()),
            Self::Choices { text, items } => OutboundContent::Choices(OutChoices {
                header: None,
                text: text.clone(),
                footer: None,
                list_label: None,
                items: items
                    .iter()
                    .map(|b| OutItem { id: b.id.clone(), title: b.title.clone(), description: None })
                    .collect(),
            }),
            Self::Template { name, language, slots, files, .. } => OutboundContent::Template(OutTemplate {
                name: name.clone(),
                language: language.clone(),
                vendor_id,
                slots: out_slots(slots, files, attach)?,
            }),
            Self::Media { items } => OutboundContent::Media(items.iter().map(attach).collect::<Option<_>>()?),
            Self::Location { location } => OutboundContent::Location(location.clone()),
            Self::Cards { cards } => OutboundContent::Cards(cards.clone()),
            _ => return None,
        })
    }
}

/// Every filled hole in its place; `None` when a file is not here.
fn out_slots(
    slots: &BTreeMap<String, String>,
    files: &BTreeMap<String, File>,
    attach: &dyn Fn(&File) -> Option<OutAttachment>,
) -> Option<Vec<OutSlot>> {
    let slot = |key: &str, text: Option<String>, media: Option<OutAttachment>| {
        let (place, name) = slot::place_and_name(key);
        OutSlot { place, name, text, media }
    };
    let texts = slots.iter().map(|(key, text)| Some(slot(key, Some(text.clone()), None)));
    let media = files.iter().map(|(key, file)| Some(slot(key, None, Some(attach(file)?))));
    texts.chain(media).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stored_json_is_stable() {
        let content = Content::Choices {
            text: "Pick".into(),
            items: vec![Button { id: "a".into(), title: "A".into() }],
        };
        assert_eq!(
            serde_json::to_string(&content).unwrap(),
            r#"{"kind":"choices","text":"Pick","items":[{"id":"a","title":"A"}]}"#
        );
    }

    #[test]
    fn every_hole_of_a_template_keeps_its_place() {
        let file = File::of_inbound(plugins::Media {
            family: "image".into(),
            source: plugins::MediaSource::Url(String::new()),
            content_type: Some("image/png".into()),
            file_name: None,
            size: Some(3),
            caption: None,
        });
        let file = File { blob: Some("blb_1".into()), ..file };
        let content = Content::Template {
            name: "t".into(),
            language: "en".into(),
            slots: BTreeMap::from([("1".into(), "Ana".into()), ("button.0.1".into(), "881".into())]),
            files: BTreeMap::from([("header.1".into(), file)]),
            text: None,
        };
        let attach = |file: &File| file.to_outbound("image".into(), "https://x.test".into());
        let Some(OutboundContent::Template(template)) = content.to_outbound(None, &attach) else { panic!() };
        let places: Vec<_> = template
            .slots
            .iter()
            .map(|it| (it.place.as_str(), it.name.as_str(), it.text.as_deref()))
            .collect();
        assert_eq!(
            places,
            [("body", "1", Some("Ana")), ("button.0", "1", Some("881")), ("header", "1", None)]
        );
        assert_eq!(template.slots[2].media.as_ref().unwrap().blob, "blb_1");
        assert_eq!(content.to_outbound(None, &|_| None), None, "a file that is not here is not left out");
    }

    #[test]
    fn previews_are_one_short_line() {
        let content = Content::Text { text: format!("a\nb{}", "x".repeat(500)) };
        assert!(content.preview().starts_with("a b"));
        assert_eq!(content.preview().chars().count(), PREVIEW_CHARS_MAX);
        assert_eq!(Content::Unsupported { what: "poll".into() }.preview(), "[unsupported]");
    }
}
