//! Rules as forms: what a person can put together from fields instead of
//! writing it. A form becomes a plain rule file, and a rule file that says nothing
//! else becomes a form again; what runs is always the file.

mod read;
mod write;

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Most conditions in one group, and most actions.
pub const ENTRIES_MAX: usize = 50;
/// Deepest nesting of groups of conditions.
pub const DEPTH_MAX: usize = 8;

/// A rule as a form.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Form {
    /// The first line of its header.
    pub name: String,
    /// What it is for; lines of prose in the header.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub about: String,
    /// The events that start it.
    pub on: Vec<String>,
    /// Kinds of channels or channel ids; all when empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub channels: Vec<String>,
    /// `reply` or `background`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stage: Option<String>,
    /// Lower runs earlier.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub position: Option<i64>,
    /// Does it run once it is published for the first time?
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub enabled: Option<bool>,
    /// May other rules cause it?
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub chain: Option<bool>,
    /// Five cron fields, for `schedule.tick`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cron: Option<String>,
    /// IANA zone of `cron`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timezone: Option<String>,
    /// Which conversations a tick is for.
    #[serde(default, rename = "where", skip_serializing_if = "Option::is_none")]
    pub filter: Option<String>,
    /// Under which condition it asks for anything; always when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub when: Option<Condition>,
    /// What it asks for, in order.
    #[serde(rename = "do")]
    pub actions: Vec<Action>,
}

/// A condition, or a group of them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Condition {
    /// All of these hold.
    All(Vec<Condition>),
    /// At least one of these holds.
    Any(Vec<Condition>),
    /// None of these holds.
    None(Vec<Condition>),
    /// A fact compares.
    Test(Test),
}

/// A comparison of one fact.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Test {
    /// `message.text`; with `of`, a look-up such as `calendar.is_open`.
    pub fact: String,
    /// The name that is looked up, e.g. a calendar's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub of: Option<String>,
    /// How it compares.
    pub is: Operator,
    /// With what; absent for `missing` and `present`.
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub value: Value,
}

macro_rules! operators {
    ($($variant:ident = $how:ident $sign:literal, $doc:literal;)*) => {
        /// How a fact compares.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
        #[serde(rename_all = "snake_case")]
        pub enum Operator { $(#[doc = $doc] $variant,)* }

        impl Operator {
            /// Every one.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// What it says about the fact.
            pub fn doc(self) -> &'static str {
                match self { $(Self::$variant => $doc,)* }
            }

            /// How it is written in a rule.
            fn written(self) -> Written {
                match self { $(Self::$variant => Written::$how($sign),)* }
            }
        }
    };
}
operators! {
    Equals = Between "==", "The same value.";
    Differs = Between "!=", "Another value, or none.";
    LessThan = Between "<", "A smaller number.";
    AtMost = Between "<=", "A smaller number or the same.";
    MoreThan = Between ">", "A larger number.";
    AtLeast = Between ">=", "A larger number or the same.";
    Missing = Nothing "==", "Not there.";
    Present = Nothing "!=", "There.";
    OneOf = Inside "in", "One of a list of values.";
    Has = Around "in", "The list of the fact has this value.";
    LongerAgoThan = Ago "<", "A moment longer ago than this duration.";
    WithinLast = Ago ">", "A moment not longer ago than this duration.";
    Contains = Word "contains", "The text has this in it.";
    ContainsAny = Word "contains_any", "The text has one of these in it.";
    ContainsAll = Word "contains_all", "The text has all of these in it.";
    HasWord = Word "has_word", "The text has this as a whole word.";
    StartsWith = Word "starts_with", "The text begins with this.";
    EndsWith = Word "ends_with", "The text ends with this.";
    Matches = Word "matches", "The text fits this regular expression.";
}

impl Operator {
    /// The types of facts that it compares; every type when empty.
    pub fn types(self) -> &'static [&'static str] {
        match self.written() {
            Written::Word(_) => &["text"],
            Written::Around(_) => &["list of texts"],
            Written::Ago(_) => &["moment"],
            Written::Inside(_) => &["text", "word", "group name", "agent e-mail", "event name", "number"],
            Written::Between("==" | "!=") | Written::Nothing(_) => &[],
            Written::Between(_) => &["number"],
        }
    }
}

/// Where the sign of an operator stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Written {
    /// `fact == value`
    Between(&'static str),
    /// `fact == ()`
    Nothing(&'static str),
    /// `fact in [values]`
    Inside(&'static str),
    /// `value in fact`
    Around(&'static str),
    /// `fact < now - "value"`
    Ago(&'static str),
    /// `fact.contains(value)`
    Word(&'static str),
}

/// A word that asks for something, and its arguments.
///
/// An argument `{ "fact": "contact.name", "or": "there" }` is what the fact holds, or the
/// other value when it is missing; such objects may stand inside lists and maps too.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Action {
    /// E.g. `route_to_group`.
    pub call: String,
    /// In the order of the word; `null` leaves one out.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub with: Vec<Value>,
}

/// Why a form cannot be a rule, or a rule no form.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FormError {
    /// Something in the form.
    #[error("{message}")]
    Form {
        /// JSON pointer into the form.
        pointer: String,
        /// One sentence.
        message: String,
    },
    /// Something in the rule that a form has no field for.
    #[error("line {line}: a form has no field for {what}")]
    Rule {
        /// From 1; 0 when it is the whole file.
        line: u32,
        /// E.g. `a loop`.
        what: String,
    },
    /// The file is no rule.
    #[error("the rule has mistakes; check it first")]
    Broken,
}

impl Form {
    /// The rule file. It may still have mistakes, e.g. names that do not exist: check it like any other.
    ///
    /// # Errors
    /// What cannot be written down, with a pointer to it.
    pub fn to_source(&self) -> Result<String, FormError> {
        write::source(self)
    }

    /// The form of a rule file.
    ///
    /// # Errors
    /// The first thing that a form has no field for.
    pub fn from_source(source: &str) -> Result<Self, FormError> {
        read::form(source)
    }

    /// The same form with no groups that say nothing: one condition alone, groups in groups of the same kind.
    #[must_use]
    pub fn simplified(self) -> Self {
        Self { when: self.when.map(Condition::simplified), ..self }
    }
}

impl Condition {
    fn simplified(self) -> Self {
        match self {
            Self::All(list) => match flat(list, |it| matches!(it, Self::All(_))) {
                list if list.len() == 1 => list.into_iter().next().unwrap_or(Self::All(Vec::new())),
                list => Self::All(list),
            },
            Self::Any(list) => match flat(list, |it| matches!(it, Self::Any(_))) {
                list if list.len() == 1 => list.into_iter().next().unwrap_or(Self::Any(Vec::new())),
                list => Self::Any(list),
            },
            Self::None(list) => Self::None(flat(list, |it| matches!(it, Self::Any(_)))),
            Self::Test(test) => Self::Test(test),
        }
    }

    fn into_parts(self) -> Vec<Self> {
        match self {
            Self::All(list) | Self::Any(list) | Self::None(list) => list,
            Self::Test(test) => vec![Self::Test(test)],
        }
    }
}

/// Simplifies the members and takes those apart that dissolve in the group.
fn flat(list: Vec<Condition>, dissolves: fn(&Condition) -> bool) -> Vec<Condition> {
    let simple = list.into_iter().map(Condition::simplified);
    simple.flat_map(|it| if dissolves(&it) { it.into_parts() } else { vec![it] }).collect()
}

#[cfg(test)]
mod tests;
