//! The `//!` lines at the top of a rule file: its name and when it runs. Reads
//! text only; whether the names in it exist is checked elsewhere.

use jiff::tz::TimeZone;

use crate::event::EventKind;
use crate::ids::ChannelId;
use crate::problem::Problem;
use crate::schedule::{self, Filter, Schedule};

/// Where a rule stands that says nothing about it.
pub const POSITION_DEFAULT: i64 = 100;
/// Longest name of a rule, characters.
pub const NAME_CHARS_MAX: usize = 120;

const KEYS: &[&str] =
    &["on", "channels", "stage", "position", "enabled", "chain", "cron", "timezone", "where"];

/// Does a rule talk to the customer?
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Stage {
    /// Talks to the customer; the first that yields an intent wins.
    Reply,
    /// Works unseen; all of them run.
    #[default]
    Background,
}

impl Stage {
    /// The word in the header.
    pub fn word(self) -> &'static str {
        match self {
            Self::Reply => "reply",
            Self::Background => "background",
        }
    }
}

/// The header of a rule file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Header {
    /// Its first line.
    pub name: String,
    /// The events it runs on, without repetition.
    pub on: Vec<EventKind>,
    /// Channel kinds or channel ids; empty means all.
    pub channels: Vec<String>,
    /// Does it talk to the customer?
    pub stage: Stage,
    /// Lower runs earlier.
    pub position: i64,
    /// Should it run once it is published for the first time? Later the stored switch counts.
    pub enabled: bool,
    /// May it run on what other rules caused?
    pub chain: bool,
    /// When `schedule.tick` comes, and for which conversations.
    pub schedule: Option<Schedule>,
}

impl Header {
    /// Reads the leading `//!` lines.
    ///
    /// # Errors
    /// Every mistake found, in the order of the file.
    pub fn parse(source: &str) -> Result<Self, Vec<Problem>> {
        let mut reader = Reader::default();
        for (index, line) in source.lines().enumerate() {
            let number = u32::try_from(index + 1).unwrap_or(u32::MAX);
            match line.trim_start().strip_prefix("//!") {
                Some(text) => reader.line(number, line, text),
                None if line.trim().is_empty() && reader.header.name.is_empty() => {}
                None => break,
            }
        }
        reader.finish()
    }

    /// Does the rule run for this channel?
    pub fn takes_channel(&self, kind: &str, id: ChannelId) -> bool {
        self.channels.is_empty()
            || self
                .channels
                .iter()
                .any(|c| c == kind || (c.starts_with(ChannelId::PREFIX) && *c == id.to_string()))
    }
}

impl Default for Header {
    fn default() -> Self {
        Self {
            name: String::new(),
            on: Vec::new(),
            channels: Vec::new(),
            stage: Stage::default(),
            position: POSITION_DEFAULT,
            enabled: true,
            chain: false,
            schedule: None,
        }
    }
}

#[derive(Default)]
struct Reader {
    header: Header,
    seen: Vec<(&'static str, u32)>,
    cron: Option<String>,
    timezone: Option<String>,
    filter: Option<Filter>,
    problems: Vec<Problem>,
}

/// A value and where it stands.
#[derive(Clone, Copy)]
struct Value<'a> {
    line: u32,
    column: u32,
    text: &'a str,
}

impl Value<'_> {
    fn problem(self, message: String) -> Problem {
        Problem::new(self.line, self.column, "bad_value", message)
    }
}

impl Reader {
    fn line(&mut self, number: u32, line: &str, text: &str) {
        let trimmed = text.trim();
        if self.header.name.is_empty() {
            self.header.name = trimmed.to_owned();
            if trimmed.chars().count() > NAME_CHARS_MAX {
                let message = format!("the name is longer than {NAME_CHARS_MAX} characters");
                self.problems.push(Problem::new(number, 5, "bad_value", message));
            }
            return;
        }
        let Some((key, value)) = trimmed.split_once(':') else { return };
        // Prose may hold a colon; only a lower-case word before it makes a key.
        if key.is_empty() || !key.chars().all(|c| c.is_ascii_lowercase() || c == '_') {
            return;
        }
        let column = |part: &str| column_of(line, part);
        let Some(known) = KEYS.iter().find(|k| **k == key) else {
            let problem =
                Problem::new(number, column(key), "unknown_key", format!("`{key}` is not a header key"));
            self.problems.push(match crate::problem::nearest(key, KEYS.iter().copied()) {
                Some(near) => problem.with_hint(format!("did you mean `{near}`?")),
                None => problem.with_hint(format!("known keys: {}", KEYS.join(", "))),
            });
            return;
        };
        if let Some((_, first)) = self.seen.iter().find(|(k, _)| k == known) {
            let message = format!("`{key}` is already set in line {first}");
            self.problems.push(Problem::new(number, column(key), "repeated_key", message));
            return;
        }
        self.seen.push((known, number));
        let text = value.trim();
        let at =
            Value { line: number, column: if text.is_empty() { column(key) } else { column(text) }, text };
        if text.is_empty() {
            self.problems.push(at.problem(format!("`{key}` has no value")));
            return;
        }
        if let Err(problem) = self.set(known, at, line) {
            self.problems.push(problem);
        }
    }

    fn set(&mut self, key: &str, value: Value<'_>, line: &str) -> Result<(), Problem> {
        let header = &mut self.header;
        match key {
            "on" => self.events(value, line),
            "channels" => self.channels(value, line),
            "stage" => {
                header.stage = match value.text {
                    "reply" => Stage::Reply,
                    "background" => Stage::Background,
                    other => {
                        let problem = value.problem(format!("`{other}` is not a stage"));
                        return Err(problem.with_hint("write `reply` or `background`"));
                    }
                };
            }
            "position" => {
                header.position = value.text.parse().map_err(|_| {
                    value
                        .problem(format!("`{}` is not an integer", value.text))
                        .with_hint("lower runs earlier; 100 is the default")
                })?;
            }
            "enabled" => header.enabled = boolean(value)?,
            "chain" => header.chain = boolean(value)?,
            "cron" => self.cron = Some(cron(value)?),
            "timezone" => {
                TimeZone::get(value.text).map_err(|_| {
                    value
                        .problem(format!("`{}` is not a time zone", value.text))
                        .with_hint("write an IANA name, e.g. `Europe/Madrid`")
                })?;
                self.timezone = Some(value.text.to_owned());
            }
            _ => self.filter = Some(Filter::parse(value.text, value.line, value.column)?),
        }
        Ok(())
    }

    fn events(&mut self, value: Value<'_>, line: &str) {
        for name in value.text.split(',').map(str::trim).filter(|n| !n.is_empty()) {
            match EventKind::from_name(name) {
                Some(kind) if self.header.on.contains(&kind) => {}
                Some(kind) => self.header.on.push(kind),
                None => {
                    let problem = Problem::new(
                        value.line,
                        column_of(line, name),
                        "unknown_event",
                        format!("`{name}` is not an event"),
                    );
                    self.problems.push(problem.with_nearest(name, EventKind::ALL.iter().map(|k| k.name())));
                }
            }
        }
    }

    fn channels(&mut self, value: Value<'_>, line: &str) {
        for name in value.text.split(',').map(str::trim).filter(|n| !n.is_empty()) {
            let is_id = name.starts_with("chn_");
            let is_word =
                name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || "_-".contains(c));
            if (is_id && ChannelId::parse(name).is_err()) || !is_word {
                let at = Value { column: column_of(line, name), ..value };
                let problem = at.problem(format!("`{name}` is neither a kind of channel nor a channel id"));
                self.problems.push(problem.with_hint("write kinds like `whatsapp, sms` or ids like `chn_…`"));
            } else {
                self.header.channels.push(name.to_owned());
            }
        }
    }

    fn finish(mut self) -> Result<Header, Vec<Problem>> {
        if self.header.name.is_empty() {
            let problem = Problem::new(1, 1, "missing_name", "the rule has no name");
            self.problems.push(problem.with_hint("let the first line be `//! What this rule does`"));
        }
        let line_of = |key: &str| self.seen.iter().find(|(k, _)| *k == key).map(|(_, line)| *line);
        if line_of("on").is_none() {
            let problem =
                Problem::new(1, 1, "missing_key", "the header does not say which events start the rule");
            self.problems.push(problem.with_hint("add a line like `//! on: message.received`"));
        }
        let scheduled = self.header.on.contains(&EventKind::ScheduleTick);
        if let (true, None) = (scheduled, line_of("cron")) {
            let line = line_of("on").unwrap_or(1);
            let problem = Problem::new(line, 1, "missing_key", "`schedule.tick` needs a `cron` line");
            self.problems.push(problem.with_hint("add a line like `//! cron: 0 9 * * 1-5`"));
        }
        for key in ["cron", "timezone", "where"] {
            if let (false, Some(line)) = (scheduled, line_of(key)) {
                let message = format!("`{key}` is only for rules that run on `schedule.tick`");
                self.problems.push(Problem::new(line, 5, "needless_key", message));
            }
        }
        self.header.schedule = self.cron.map(|cron| Schedule {
            cron,
            zone: self.timezone.unwrap_or_else(|| schedule::ZONE_DEFAULT.to_owned()),
            filter: self.filter.unwrap_or_default(),
        });
        if self.problems.is_empty() { Ok(self.header) } else { Err(self.problems) }
    }
}

fn boolean(value: Value<'_>) -> Result<bool, Problem> {
    match value.text {
        "true" => Ok(true),
        "false" => Ok(false),
        other => Err(value.problem(format!("`{other}` is neither `true` nor `false`"))),
    }
}

fn cron(value: Value<'_>) -> Result<String, Problem> {
    schedule::read_cron(value.text).ok_or_else(|| {
        let hint = "write minute, hour, day of month, month and weekday, e.g. `0 9 * * 1-5`";
        value.problem(format!("`{}` is not a schedule that ever comes", value.text)).with_hint(hint)
    })
}

/// Column of a part that was cut out of this line, in characters from 1.
fn column_of(line: &str, part: &str) -> u32 {
    let offset = (part.as_ptr() as usize).saturating_sub(line.as_ptr() as usize);
    let before = line.get(..offset).map_or(0, |b| b.chars().count());
    u32::try_from(before + 1).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn codes(source: &str) -> Vec<(u32, u32, String)> {
        let problems = Header::parse(source).unwrap_err();
        problems.into_iter().map(|p| (p.line, p.column, p.code.into_owned())).collect()
    }

    #[test]
    fn reads_every_key() {
        let header = Header::parse(
            "\n//! Billing questions\n//!\n//! Prose: may have colons, and says why.\n//! on: message.received, schedule.tick\n\
             //! channels: whatsapp, sms\n//! stage: reply\n//! position: -5\n//! enabled: false\n//! chain: true\n\
             //! cron: 0 9 * * 1-5\n//! timezone: Europe/Madrid\n//! where: status = open\n\nlet x = 1;\n//! on: nonsense",
        )
        .unwrap();
        assert_eq!(header.name, "Billing questions");
        assert_eq!(header.on, [EventKind::MessageReceived, EventKind::ScheduleTick]);
        assert_eq!(header.channels, ["whatsapp", "sms"]);
        assert_eq!((header.stage, header.position), (Stage::Reply, -5));
        assert!(!header.enabled && header.chain);
        let schedule = header.schedule.unwrap();
        assert_eq!((schedule.cron.as_str(), schedule.zone.as_str()), ("0 9 * * 1-5", "Europe/Madrid"));
        assert_eq!(schedule.filter, Filter::parse("status = open", 1, 1).unwrap());
    }

    #[test]
    fn defaults_are_background_at_100() {
        let header = Header::parse("//! A\n//! on: window.expired\n").unwrap();
        assert_eq!((header.stage, header.position), (Stage::Background, POSITION_DEFAULT));
        assert!(header.enabled && !header.chain && header.channels.is_empty());
    }

    #[test]
    fn mistakes_have_a_place_and_advice() {
        let source = "//! A\n//! on: message.recieved\n//! positon: 3\n//! stage: replay\n//! enabled: yes\n//! channels: What's";
        assert_eq!(
            codes(source),
            [
                (2, 9, "unknown_event".to_owned()),
                (3, 5, "unknown_key".to_owned()),
                (4, 12, "bad_value".to_owned()),
                (5, 14, "bad_value".to_owned()),
                (6, 15, "bad_value".to_owned()),
            ]
        );
        let problems = Header::parse(source).unwrap_err();
        assert_eq!(problems[0].hint.as_deref(), Some("did you mean `message.received`?"));
        assert_eq!(problems[1].hint.as_deref(), Some("did you mean `position`?"));
    }

    #[test]
    fn a_name_and_an_event_are_needed() {
        assert_eq!(
            codes("let x = 1;"),
            [(1, 1, "missing_name".to_owned()), (1, 1, "missing_key".to_owned())]
        );
    }

    #[test]
    fn schedules_need_cron_and_others_must_not_have_it() {
        assert_eq!(codes("//! A\n//! on: schedule.tick"), [(2, 1, "missing_key".to_owned())]);
        assert_eq!(
            codes("//! A\n//! on: window.expired\n//! cron: 0 9 * * *"),
            [(3, 5, "needless_key".to_owned())]
        );
        assert_eq!(codes("//! A\n//! on: schedule.tick\n//! cron: 9am")[0], (3, 11, "bad_value".to_owned()));
    }

    #[test]
    fn channels_match_by_kind_or_id() {
        let id = ChannelId::new(1_000, 7);
        let header = |channels: &str| {
            Header::parse(&format!("//! A\n//! on: window.expired\n//! channels: {channels}")).unwrap()
        };
        assert!(header("sms, whatsapp").takes_channel("whatsapp", id));
        assert!(!header("sms").takes_channel("whatsapp", id));
        assert!(header(&id.to_string()).takes_channel("whatsapp", id));
        assert!(!header(&ChannelId::new(1_000, 8).to_string()).takes_channel("whatsapp", id));
    }
}
