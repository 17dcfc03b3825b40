//! Can an intent be, given the facts? Refuses with a stable code and a reason.
//! The messaging window is not looked at: it may change until the message is sent.

use crate::event::Event;
use crate::facts::{Directory, Facts, TemplateFacts};
use crate::ids::RuleId;
use crate::intent::{Assignee, Intent, TemplateCall};
use crate::names::Thing;

/// Was this rule started as often as it may for this contact?
pub(super) fn is_parked(rule: RuleId, facts: &Facts) -> bool {
    let quota = facts.directory.quotas.starts;
    let since = facts.now_ms - quota.ms();
    let starts = facts.conversation.rule_starts.get(&rule);
    starts.is_some_and(|starts| starts.at_ms.iter().filter(|at| **at > since).count() >= quota.starts_max)
}

/// Why an intent cannot be.
pub(super) struct Refused {
    pub(super) code: &'static str,
    pub(super) reason: String,
}

impl Refused {
    pub(super) fn new(code: &'static str, reason: impl Into<String>) -> Self {
        Self { code, reason: reason.into() }
    }
}

type Verdict = Result<(), Refused>;

/// What has been accepted so far, as far as it matters for the next intent.
pub(super) struct Vetting<'a> {
    event: &'a Event,
    facts: &'a Facts,
    directory: &'a Directory,
    /// The group that the rule at hand has routed to.
    routed_to: Option<String>,
    /// Automatic messages accepted for this event.
    sent: usize,
}

impl<'a> Vetting<'a> {
    pub(super) fn new(event: &'a Event, facts: &'a Facts) -> Self {
        Self { event, facts, directory: &facts.directory, routed_to: None, sent: 0 }
    }

    /// Another rule begins; it does not see what the one before it asked for.
    pub(super) fn next_rule(&mut self) {
        self.routed_to = None;
    }

    pub(super) fn vet(&mut self, intent: &Intent) -> Verdict {
        let needs_conversation = !matches!(
            intent,
            Intent::Notify { .. } | Intent::CallWebhook { .. } | Intent::RunRule { .. } | Intent::StopRules
        );
        if needs_conversation && self.event.conversation.is_none() {
            return refuse("no_conversation", "the event belongs to no conversation");
        }
        match intent {
            Intent::RouteToGroup { group } => {
                self.exists(Thing::Group, group)?;
                self.routed_to = Some(group.clone());
            }
            Intent::AssignAgent { agent: Assignee::Agent { name } } => self.agent(name)?,
            Intent::AssignByPolicy { .. }
                if self.routed_to.is_none() && self.facts.conversation.group.is_none() =>
            {
                return refuse("no_group", "the conversation has no group that could choose an agent");
            }
            Intent::Snooze { until_ms } if *until_ms <= self.facts.now_ms => {
                return refuse("in_the_past", "the moment to snooze until has passed");
            }
            Intent::SendMessage { buttons, .. } => {
                self.may_write()?;
                self.buttons(buttons.len())?;
                self.count_message()?;
            }
            Intent::SendTemplate(call) => {
                self.may_write()?;
                self.template(call)?;
                self.count_message()?;
            }
            Intent::SendMessageOrTemplate { template, .. } => {
                self.may_write()?;
                // Without templates there is no window either, and the text is sent.
                if self.facts.channel.capabilities.templates {
                    self.template(template)?;
                }
                self.count_message()?;
            }
            Intent::Notify { who, .. } if who == "assignee" && self.facts.conversation.assignee.is_none() => {
                return refuse("no_assignee", "nobody is assigned who could be told");
            }
            Intent::Notify { who, .. } => self.exists(Thing::Recipient, who)?,
            Intent::CallWebhook { name, .. } => self.exists(Thing::Webhook, name)?,
            Intent::StartTimer { calendar: Some(calendar), .. } => self.exists(Thing::Calendar, calendar)?,
            _ => {}
        }
        Ok(())
    }

    fn exists(&self, thing: Thing, name: &str) -> Verdict {
        match thing.missing(name, self.directory) {
            Some(missing) => refuse(missing.code, format!("{} ({})", missing.message, missing.hint)),
            None => Ok(()),
        }
    }

    /// The agent exists and is a member of the group that will have the conversation.
    fn agent(&self, name: &str) -> Verdict {
        self.exists(Thing::Agent, name)?;
        let group = match (&self.routed_to, self.facts.conversation.group) {
            (Some(name), _) => self.directory.group(name),
            (None, Some(id)) => self.directory.groups.iter().find(|g| g.id == id),
            (None, None) => None,
        };
        match (self.directory.agent(name), group) {
            (Some(agent), Some(group)) if !group.members.contains(&agent.id) => {
                refuse("agent_not_member", format!("`{name}` is not a member of group `{}`", group.name))
            }
            _ => Ok(()),
        }
    }

    fn may_write(&self) -> Verdict {
        if self.facts.channel.receive_only {
            return refuse("receive_only", "the channel only reads along");
        }
        if self.facts.contact.blocked {
            return refuse("blocked", "the contact is blocked");
        }
        if self.facts.contact.opted_out {
            return refuse("opted_out", "the contact wants no messages on this kind of channel");
        }
        Ok(())
    }

    fn buttons(&self, count: usize) -> Verdict {
        let most = self.facts.channel.capabilities.buttons_max;
        if usize::try_from(most).is_ok_and(|most| count > most) {
            return refuse("too_many_buttons", format!("the channel takes {most} buttons, not {count}"));
        }
        Ok(())
    }

    fn template(&self, call: &TemplateCall) -> Verdict {
        if !self.facts.channel.capabilities.templates {
            return refuse("no_templates", format!("{} has no templates", self.facts.channel.kind));
        }
        let name = &call.name;
        let mut found: Vec<&TemplateFacts> = self
            .directory
            .templates
            .iter()
            .filter(|t| t.name == *name && t.channel == self.facts.channel.id)
            .collect();
        if found.is_empty() {
            self.exists(Thing::Template, name)?;
            return refuse("unknown_template", format!("template `{name}` belongs to another channel"));
        }
        if let Some(language) = &call.language {
            found.retain(|t| t.speaks(language));
            if found.is_empty() {
                return refuse(
                    "unknown_template_language",
                    format!("template `{name}` is not there in `{language}`"),
                );
            }
        }
        found.retain(|t| t.status == "approved");
        if found.is_empty() {
            return refuse(
                "template_not_approved",
                format!("template `{name}` is not approved by the vendor"),
            );
        }
        let fits = |t: &&TemplateFacts| t.takes_slots(call.slots.keys().map(String::as_str));
        match found.first().filter(|_| !found.iter().any(fits)) {
            Some(template) => {
                let reason = format!("template `{name}` has the slots [{}]", template.slots.join(", "));
                refuse("template_slots", reason)
            }
            None => Ok(()),
        }
    }

    /// Semantics 5.
    fn count_message(&mut self) -> Verdict {
        let now_ms = self.facts.now_ms;
        for quota in &self.facts.directory.quotas.messages {
            let since = now_ms - quota.minutes * 60_000;
            let recent = self.facts.conversation.automatic_ms.iter().filter(|at| **at > since).count();
            if recent + self.sent >= quota.messages_max {
                let (messages, minutes) = (quota.messages_max, quota.minutes);
                return refuse(
                    "quota",
                    format!("{messages} automatic messages in {minutes} minutes are the most"),
                );
            }
        }
        self.sent += 1;
        Ok(())
    }
}

fn refuse(code: &'static str, reason: impl Into<String>) -> Verdict {
    Err(Refused::new(code, reason))
}
