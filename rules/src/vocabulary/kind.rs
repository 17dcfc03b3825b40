//! What may stand in each place of a word. One check serves literals, before
//! the rule runs, and values, while it runs.

use rhai::{Array, Dynamic, Map};

use super::Wrong;
use super::args::{button_of, duration_of, moment_of, slot_of, text_of};
use crate::facts::{Priority, Status};
use crate::names::Thing;
use crate::problem::nearest;
use crate::text;
use crate::view::to_json;

/// Most labels in one call.
pub const LABELS_MAX: usize = 20;
/// Longest label, key or name, characters.
pub const NAME_CHARS_MAX: usize = 64;
/// Highest level of an escalation; 1 is the lowest.
pub const LEVEL_MAX: i64 = 5;
/// Most buttons in one message; channels may allow fewer.
pub const BUTTONS_MAX: usize = 10;
/// How a group may choose an agent.
pub const POLICIES: &[&str] = crate::assign::Policy::AUTOMATIC;

/// What may stand in one place of a word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The text before the dot of a text helper; `()` is allowed and matches nothing.
    Subject,
    /// Text that is not empty.
    Text,
    /// Any text.
    Phrase,
    /// A list of texts, or one text.
    Phrases,
    /// A regular expression.
    Pattern,
    /// True or false; `on` and `off` say the same.
    Switch,
    /// `1` to [`LEVEL_MAX`].
    Level,
    /// Anything that JSON can hold.
    Any,
    /// A short name: an attribute's key, a timer's name.
    Name,
    /// A list of labels, or one label.
    Labels,
    /// A conversation status.
    Status,
    /// A priority.
    Priority,
    /// How a group chooses.
    Policy,
    /// `"10m"`, `"2h"`, `"1d"`, or an integer of seconds.
    Duration,
    /// A moment, or a duration from now.
    Until,
    /// Text, or `#{ text: …, buttons: […] }`.
    Content,
    /// Slot names and what they show.
    Slots,
    /// A calendar's name, or `#{ calendar: …, keep: true }`.
    TimerOptions,
    /// An agent, `"last_responding"`, or `()` for nobody.
    Assignee,
    /// A name that must exist.
    Named(Thing),
}

impl Kind {
    /// Every one that is told apart in the documentation, in its order.
    pub(crate) const ALL: &'static [Self] = &[
        Self::Text,
        Self::Phrases,
        Self::Pattern,
        Self::Switch,
        Self::Level,
        Self::Any,
        Self::Name,
        Self::Labels,
        Self::Status,
        Self::Priority,
        Self::Policy,
        Self::Duration,
        Self::Until,
        Self::Content,
        Self::Slots,
        Self::TimerOptions,
        Self::Assignee,
        Self::Named(Thing::Group),
        Self::Named(Thing::Agent),
        Self::Named(Thing::Recipient),
        Self::Named(Thing::Calendar),
        Self::Named(Thing::Template),
        Self::Named(Thing::Webhook),
        Self::Named(Thing::Rule),
    ];

    /// What may stand there, in a sentence.
    pub(crate) fn doc(self) -> &'static str {
        match self {
            Self::Subject | Self::Text | Self::Phrase => "Text in quotes, or a value that is text.",
            Self::Phrases => "A list of texts, or one text.",
            Self::Pattern => {
                "A regular expression in quotes or backticks; no look-around and no back-references."
            }
            Self::Switch => "`on` or `off`; `true` and `false` mean the same.",
            Self::Level => "1 to 5; 1 is the lowest.",
            Self::Any => "Text, number, true or false, list or map; `()` removes it.",
            Self::Name => "A short text that you choose, at most 64 characters.",
            Self::Labels => "A list of up to 20 labels, or one label.",
            Self::Status => "The state of a case.",
            Self::Priority => "How urgent a case is.",
            Self::Policy => "How a group chooses an agent.",
            Self::Duration => {
                "Text such as `\"90s\"`, `\"10m\"`, `\"2h\"`, `\"1d\"` or `\"1h30m\"`, or a number of seconds; at most 400 days."
            }
            Self::Until => "A moment such as `now + \"2h\"`, RFC 3339 text, or a duration from now.",
            Self::Content => "Text, or `#{ text: \"…\", buttons: [#{ id: \"…\", title: \"…\" }] }`.",
            Self::Slots => "A map of slot names to what they show: `#{ name: contact.name ?? \"there\" }`.",
            Self::TimerOptions => "A calendar's name, or `#{ calendar: \"…\", keep: true }`.",
            Self::Assignee => "An agent, `\"last_responding\"` for who answered last, or `()` for nobody.",
            Self::Named(Thing::Group) => "A group's name or id.",
            Self::Named(Thing::Agent) => "An agent's e-mail, name or id.",
            Self::Named(Thing::Recipient) => "A group, an agent, `\"admins\"` or `\"assignee\"`.",
            Self::Named(Thing::Calendar) => "A calendar's name.",
            Self::Named(Thing::Template) => "A template's name.",
            Self::Named(Thing::Webhook) => "An outgoing webhook's name.",
            Self::Named(Thing::Rule) => "A published rule's name or id.",
        }
    }

    /// The only words that may stand there; empty when others may.
    pub(crate) fn words(self) -> &'static [&'static str] {
        match self {
            Self::Status => Status::WORDS,
            Self::Priority => Priority::WORDS,
            Self::Policy => POLICIES,
            _ => &[],
        }
    }

    /// How the documentation calls it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Subject | Self::Text | Self::Phrase => "text",
            Self::Phrases => "texts",
            Self::Pattern => "regular expression",
            Self::Switch => "on or off",
            Self::Level => "level",
            Self::Any => "any value",
            Self::Name => "name",
            Self::Labels => "labels",
            Self::Status => "status",
            Self::Priority => "priority",
            Self::Policy => "policy",
            Self::Duration => "duration",
            Self::Until => "moment or duration",
            Self::Content => "text or message",
            Self::Slots => "slots",
            Self::TimerOptions => "calendar or options",
            Self::Assignee => "agent, \"last_responding\" or ()",
            Self::Named(Thing::Group) => "group",
            Self::Named(Thing::Agent) => "agent",
            Self::Named(Thing::Recipient) => "group, agent, \"admins\" or \"assignee\"",
            Self::Named(Thing::Calendar) => "calendar",
            Self::Named(Thing::Template) => "template",
            Self::Named(Thing::Webhook) => "webhook",
            Self::Named(Thing::Rule) => "rule",
        }
    }

    /// May this value stand here?
    pub(crate) fn check(self, value: &Dynamic) -> Result<(), Wrong> {
        match self {
            Self::Subject if value.is_unit() => Ok(()),
            Self::Assignee if value.is_unit() => Ok(()),
            Self::Subject | Self::Phrase => text_of(value).map(drop).ok_or_else(|| self.mismatch(value)),
            Self::Text => filled(value).map(drop).ok_or_else(|| self.empty_or_mismatch(value)),
            Self::Name | Self::Assignee | Self::Named(_) => {
                let name = filled(value).ok_or_else(|| self.empty_or_mismatch(value))?;
                short(&name, if self == Self::Name { NAME_CHARS_MAX } else { 256 })
            }
            Self::Phrases => texts(value).map(drop).ok_or_else(|| self.mismatch(value)),
            Self::Pattern => {
                let source = text_of(value).ok_or_else(|| self.mismatch(value))?;
                text::pattern(&source).map(drop).map_err(|why| {
                    Wrong::new("bad_pattern", format!("`{source}` is not a regular expression: {why}"))
                })
            }
            Self::Switch => {
                value.as_bool().map(drop).map_err(|_| self.mismatch(value).hint("write `on` or `off`"))
            }
            Self::Level => match value.as_int() {
                Ok(level) if (1..=LEVEL_MAX).contains(&level) => Ok(()),
                Ok(level) => {
                    Err(Wrong::new("bad_level", format!("level {level} is not between 1 and {LEVEL_MAX}")))
                }
                Err(_) => Err(self.mismatch(value)),
            },
            Self::Any => to_json(value).map(drop).ok_or_else(|| self.mismatch(value)),
            Self::Labels => labels(value).unwrap_or_else(|| Err(self.mismatch(value))),
            Self::Status => self.one_of(value, "unknown_status"),
            Self::Priority => self.one_of(value, "unknown_priority"),
            Self::Policy => self.one_of(value, "unknown_policy"),
            Self::Duration => duration_of(value).map(drop).ok_or_else(|| self.bad_duration(value)),
            Self::Until => moment_of(value)
                .or_else(|| duration_of(value))
                .map(drop)
                .ok_or_else(|| self.bad_duration(value)),
            Self::Content => self.content(value),
            Self::Slots => slots(value).unwrap_or_else(|| Err(self.mismatch(value))),
            Self::TimerOptions => self.timer_options(value),
        }
    }

    /// The name in this value that must exist.
    pub(crate) fn named(self, value: &Dynamic) -> Option<(Thing, String)> {
        match self {
            Self::Named(thing) => text_of(value).map(|name| (thing, name)),
            Self::Assignee => {
                let name = text_of(value).filter(|name| name != "last_responding")?;
                Some((Thing::Agent, name))
            }
            Self::TimerOptions => {
                let in_map = || value.read_lock::<Map>().and_then(|m| m.get("calendar").and_then(text_of));
                text_of(value).or_else(in_map).map(|name| (Thing::Calendar, name))
            }
            _ => None,
        }
    }

    fn mismatch(self, value: &Dynamic) -> Wrong {
        Wrong::new("wrong_type", format!("{} is needed here, not {}", self.word(), called(value)))
    }

    fn empty_or_mismatch(self, value: &Dynamic) -> Wrong {
        match text_of(value) {
            Some(_) => Wrong::new("empty_text", format!("the {} is empty", self.word())),
            None => self.mismatch(value),
        }
    }

    fn bad_duration(self, value: &Dynamic) -> Wrong {
        let wrong = match (text_of(value), value.as_int()) {
            (Some(given), _) => Wrong::new("bad_duration", format!("`{given}` is not a {}", self.word())),
            (None, Ok(seconds)) => {
                Wrong::new("bad_duration", format!("{seconds} seconds is not a usable duration"))
            }
            (None, Err(_)) => self.mismatch(value),
        };
        wrong.hint("write e.g. \"90s\", \"10m\", \"2h\", \"1d\", or an integer of seconds; at most 400 days")
    }

    fn one_of(self, value: &Dynamic, code: &'static str) -> Result<(), Wrong> {
        let words = self.words();
        let given = text_of(value).ok_or_else(|| self.mismatch(value))?;
        if words.contains(&given.as_str()) {
            return Ok(());
        }
        let known = words.join(", ");
        let hint = match nearest(&given, words.iter().copied()) {
            Some(near) => format!("did you mean `{near}`? Known words: {known}"),
            None => format!("known words: {known}"),
        };
        Err(Wrong::new(code, format!("`{given}` is not a {}", self.word())).hint(hint))
    }

    fn content(self, value: &Dynamic) -> Result<(), Wrong> {
        if text_of(value).is_some() {
            return filled(value).map(drop).ok_or_else(|| self.empty_or_mismatch(value));
        }
        let Some(map) = value.read_lock::<Map>() else { return Err(self.mismatch(value)) };
        known_keys(&map, &["text", "buttons"])?;
        if map.get("text").and_then(filled).is_none() {
            return Err(Wrong::new("bad_message", "the message has no text").hint("add `text: \"…\"`"));
        }
        let Some(buttons) = map.get("buttons").filter(|b| !b.is_unit()) else { return Ok(()) };
        let right = buttons.read_lock::<Array>().is_some_and(|list| {
            (1..=BUTTONS_MAX).contains(&list.len())
                && list.iter().all(|b| button_of(b).is_some_and(|b| !b.id.is_empty() && !b.title.is_empty()))
        });
        let advice = "write `buttons: [#{ id: \"yes\", title: \"Yes\" }, …]`";
        right.then_some(()).ok_or_else(|| {
            Wrong::new("bad_message", format!("`buttons` is not a list of 1 to {BUTTONS_MAX} buttons"))
                .hint(advice)
        })
    }

    fn timer_options(self, value: &Dynamic) -> Result<(), Wrong> {
        if filled(value).is_some() {
            return Ok(());
        }
        let Some(map) = value.read_lock::<Map>() else { return Err(self.mismatch(value)) };
        known_keys(&map, &["calendar", "keep"])?;
        let calendar = map.get("calendar").is_none_or(|c| c.is_unit() || filled(c).is_some());
        let keep = map.get("keep").is_none_or(Dynamic::is_bool);
        if calendar && keep {
            Ok(())
        } else {
            Err(self.mismatch(value).hint("write `#{ calendar: \"Name\", keep: true }`"))
        }
    }
}

fn filled(value: &Dynamic) -> Option<String> {
    text_of(value).filter(|t| !t.trim().is_empty())
}

fn short(name: &str, chars_max: usize) -> Result<(), Wrong> {
    if name.chars().count() <= chars_max {
        return Ok(());
    }
    Err(Wrong::new("too_long", format!("the name is longer than {chars_max} characters")))
}

fn texts(value: &Dynamic) -> Option<Vec<String>> {
    match value.read_lock::<Array>() {
        Some(items) => items.iter().map(text_of).collect(),
        None => text_of(value).map(|one| vec![one]),
    }
}

fn labels(value: &Dynamic) -> Option<Result<(), Wrong>> {
    let labels = texts(value)?;
    if labels.is_empty() || labels.len() > LABELS_MAX {
        return Some(Err(Wrong::new("bad_labels", format!("between 1 and {LABELS_MAX} labels are needed"))));
    }
    if labels.iter().any(|l| l.trim().is_empty()) {
        return Some(Err(Wrong::new("bad_labels", "a label is empty")));
    }
    Some(labels.iter().try_for_each(|l| short(l, NAME_CHARS_MAX)))
}

fn slots(value: &Dynamic) -> Option<Result<(), Wrong>> {
    let map = value.read_lock::<Map>()?;
    let bad = map.iter().find(|(_, v)| slot_of(v).is_none());
    Some(match bad {
        None => Ok(()),
        Some((name, v)) => {
            let message = format!("slot `{name}` needs text, not {}", called(v));
            Err(Wrong::new("bad_slots", message).hint("give a fallback: `contact.name ?? \"there\"`"))
        }
    })
}

fn known_keys(map: &Map, known: &[&str]) -> Result<(), Wrong> {
    let Some(unknown) = map.keys().find(|k| !known.contains(&k.as_str())) else { return Ok(()) };
    let hint = nearest(unknown, known.iter().copied())
        .map_or_else(|| format!("known: {}", known.join(", ")), |near| format!("did you mean `{near}`?"));
    Err(Wrong::new("unknown_field", format!("`{unknown}` is not known here")).hint(hint))
}

/// A value's type in the words of rule authors.
fn called(value: &Dynamic) -> &'static str {
    match value.type_name() {
        _ if value.is_unit() => "a missing value `()`",
        _ if value.is_bool() => "true or false",
        _ if value.is_int() || value.is_float() => "a number",
        _ if value.is_string() || value.is_char() => "text",
        _ if value.is_array() => "a list",
        _ if value.is_map() => "a map",
        _ => "this kind of value",
    }
}
