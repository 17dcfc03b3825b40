//! Names that rules write down (groups, agents, templates…) and whether the
//! directory has them. The same answer serves the check pass, which reports it
//! as a problem, and `decide`, which refuses the intent.

use crate::facts::Directory;
use crate::problem::nearest;

/// What a name stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Thing {
    /// A team.
    Group,
    /// A person.
    Agent,
    /// Who is told: a group, an agent, `admins` or `assignee`.
    Recipient,
    /// Working hours.
    Calendar,
    /// A provider-approved message.
    Template,
    /// An outgoing webhook.
    Webhook,
    /// A published rule.
    Rule,
}

/// Recipients that always exist.
pub const RECIPIENTS: &[&str] = &["admins", "assignee"];

/// A name that nothing has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Missing {
    pub(crate) code: &'static str,
    pub(crate) message: String,
    pub(crate) hint: String,
}

impl Thing {
    /// `unknown_group` and so on: the code of problems and refusals.
    pub fn code(self) -> &'static str {
        match self {
            Self::Group => "unknown_group",
            Self::Agent => "unknown_agent",
            Self::Recipient => "unknown_recipient",
            Self::Calendar => "unknown_calendar",
            Self::Template => "unknown_template",
            Self::Webhook => "unknown_webhook",
            Self::Rule => "unknown_rule",
        }
    }

    fn words(self) -> (&'static str, &'static str) {
        match self {
            Self::Group => ("group", "groups"),
            Self::Agent => ("agent", "agents"),
            Self::Recipient => ("group or agent", "groups and agents"),
            Self::Calendar => ("calendar", "calendars"),
            Self::Template => ("template", "templates"),
            Self::Webhook => ("webhook", "webhooks"),
            Self::Rule => ("published rule", "published rules"),
        }
    }

    fn exists(self, name: &str, directory: &Directory) -> bool {
        match self {
            Self::Group => directory.group(name).is_some(),
            Self::Agent => directory.agent(name).is_some(),
            Self::Recipient => {
                RECIPIENTS.contains(&name)
                    || directory.group(name).is_some()
                    || directory.agent(name).is_some()
            }
            Self::Calendar => directory.calendar(name).is_some(),
            Self::Template => directory.templates.iter().any(|t| t.name == name),
            Self::Webhook => directory.webhooks.iter().any(|w| w == name),
            Self::Rule => directory.rules.iter().any(|(known, id)| known == name || id.to_string() == name),
        }
    }

    fn known(self, directory: &Directory) -> Vec<&str> {
        let groups = || directory.groups.iter().map(|g| g.name.as_str());
        let agents = || directory.agents.iter().map(|a| a.email.as_str());
        let mut known: Vec<&str> = match self {
            Self::Group => groups().collect(),
            Self::Agent => agents().chain(directory.agents.iter().map(|a| a.name.as_str())).collect(),
            Self::Recipient => groups().chain(agents()).chain(RECIPIENTS.iter().copied()).collect(),
            Self::Calendar => directory.calendars.iter().map(|c| c.name.as_str()).collect(),
            Self::Template => directory.templates.iter().map(|t| t.name.as_str()).collect(),
            Self::Webhook => directory.webhooks.iter().map(String::as_str).collect(),
            Self::Rule => directory.rules.iter().map(|(name, _)| name.as_str()).collect(),
        };
        known.dedup();
        known
    }

    /// Why the name cannot be used; `None` when it exists.
    pub(crate) fn missing(self, name: &str, directory: &Directory) -> Option<Missing> {
        if self.exists(name, directory) {
            return None;
        }
        let (one, many) = self.words();
        let known = self.known(directory);
        let hint = match nearest(name, known.iter().copied()) {
            Some(near) => format!("did you mean `{near}`?"),
            None if known.is_empty() => format!("there are no {many} yet"),
            None => {
                format!("known {many}: {}", known.iter().take(10).copied().collect::<Vec<_>>().join(", "))
            }
        };
        Some(Missing { code: self.code(), message: format!("there is no {one} `{name}`"), hint })
    }
}
