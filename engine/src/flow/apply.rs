//! Applying intents: each becomes a change on the table, or is refused with a
//! reason that stays in the rule's trace.

use std::collections::BTreeMap;

use pointsman_rules::decide::Planned;
use pointsman_rules::event::{Actor, Cause, CauseStep, Event};
use pointsman_rules::facts::AiState;
use pointsman_rules::ids::{EffectId, EventId, MessageId, RuleVersionId};
use pointsman_rules::intent::{Assignee, Intent, TemplateCall};

use super::case::{Case, Notice, NoticeTo, Refused, Say};
use super::content::Content;
use super::webhook::outbox::{self, Called};
use crate::crypto::hash16;

/// Bytes of what a rule tells a webhook, as JSON; more is refused.
const PAYLOAD_BYTES_MAX: usize = 64 << 10;

/// An intent that the engine refused.
#[derive(Debug, Clone)]
pub struct Refusal {
    /// What was asked.
    pub planned: Planned,
    /// Why not.
    pub refused: Refused,
}

/// Applies what the rules of one event asked for, rule by rule. Each rule's changes are one step with that rule as
/// their cause.
pub fn apply(case: &mut Case<'_>, event: &Event, planned: Vec<Planned>) -> Vec<Refusal> {
    let mut refusals = Vec::new();
    let mut rest = planned.into_iter().peekable();
    while let Some(rule) = rest.peek().map(|next| next.rule) {
        let mut of_rule = Vec::new();
        while let Some(next) = rest.next_if(|next| next.rule == rule) {
            of_rule.push(next);
        }
        let mut chain = event.cause.chain.clone();
        chain.push(CauseStep { event: event.id, rule });
        case.begin_step(Cause { actor: Actor::Rule { id: rule }, chain });
        let opts_out = of_rule.iter().any(|it| matches!(it.intent, Intent::OptOut));
        for planned in of_rule {
            if let Err(refused) = one(case, event, &planned, opts_out) {
                refusals.push(Refusal { planned, refused });
            }
        }
        case.end_step();
    }
    refusals
}

fn one(case: &mut Case<'_>, event: &Event, planned: &Planned, opts_out: bool) -> Result<(), Refused> {
    match &planned.intent {
        Intent::RouteToGroup { group } => {
            let id = case.view.directory.group(group).map(|group| group.id);
            let id =
                id.ok_or_else(|| Refused::new("unknown_group", format!("There is no group `{group}`.")))?;
            case.route(Some(id))
        }
        Intent::AssignAgent { agent } => assign(case, agent),
        Intent::AssignByPolicy { policy } => case.wait_for_somebody(policy),
        Intent::EndChat { status } => case.end_chat(*status, "rule"),
        Intent::SetStatus { status } => case.set_status(*status),
        Intent::Archive => case.archive(),
        Intent::Reopen => case.reopen(),
        Intent::Snooze { until_ms } => case.snooze(*until_ms),
        Intent::SetPriority { priority } => case.set_priority(*priority),
        Intent::AddLabels { labels } => case.label(labels, &[]),
        Intent::RemoveLabels { labels } => case.label(&[], labels),
        Intent::SetAttribute { key, value } => case.set_attribute(key, value.clone()),
        Intent::AddNote { text } => {
            let id = MessageId::from_hash(key(event, planned, "note"));
            case.note(id, text)
        }
        Intent::Escalate { level, reason } => case.escalate(*level, reason),
        Intent::SetAi { on, for_ms, reason } => {
            let state = match (on, for_ms) {
                (true, _) => AiState::On,
                (false, None) => AiState::Off,
                (false, Some(ms)) => AiState::Suspended { until_ms: case.now_ms.saturating_add(*ms) },
            };
            case.set_ai(state, reason.clone())
        }
        Intent::AskInsights => case.ask_insights(),
        Intent::SendMessage { .. } | Intent::SendTemplate(_) | Intent::SendMessageOrTemplate { .. } => {
            say(case, event, planned, opts_out)
        }
        Intent::Notify { who, text } => notify(case, who, text),
        Intent::CallWebhook { name, payload } => call_webhook(case, event, planned, (name, payload)),
        Intent::StartTimer { name, after_ms, calendar, keep } => {
            let due_ms = match calendar {
                None => case.now_ms.saturating_add(*after_ms),
                Some(calendar) => open_time(case, calendar, *after_ms)?,
            };
            case.start_timer(name, due_ms, *keep, Some((planned.rule, planned.version)))
        }
        Intent::CancelTimer { name } => case.cancel_timer(name),
        Intent::OptOut => case.opt_out("rule"),
        Intent::BlockContact => case.set_blocked(true),
        // `decide` has already acted on these two.
        Intent::RunRule { .. } | Intent::StopRules => Ok(()),
    }
}

/// The effect of a run's intent, if it sends something: the same intent of the same rule version and event is the same
/// thing for ever. It has the event's time, so that effects are stored side by side in the order in which they leave.
pub fn effect_of(version: RuleVersionId, event: EventId, ordinal: u32) -> EffectId {
    EffectId::new(event.at_ms(), u128::from_be_bytes(intent_hash(version, event, ordinal)))
}

/// What [`effect_of`] answered before its ids had a time; such effects are still looked up.
pub fn earlier_effect_of(version: RuleVersionId, event: EventId, ordinal: u32) -> EffectId {
    EffectId::from_hash(intent_hash(version, event, ordinal))
}

fn intent_hash(version: RuleVersionId, event: EventId, ordinal: u32) -> [u8; 16] {
    hash16(&["effect", &version.to_string(), &event.to_string(), &ordinal.to_string()])
}

/// A deterministic id's bytes, like [`effect_of`].
fn key(event: &Event, planned: &Planned, kind: &str) -> [u8; 16] {
    let (version, event, ordinal) =
        (planned.version.to_string(), event.id.to_string(), planned.ordinal.to_string());
    hash16(&[kind, &version, &event, &ordinal])
}

fn assign(case: &mut Case<'_>, agent: &Assignee) -> Result<(), Refused> {
    match agent {
        Assignee::Nobody => case.assign(None),
        Assignee::LastResponding => {
            let last = case.conversation.as_ref().and_then(|it| it.last_responder);
            let last =
                last.ok_or_else(|| Refused::new("no_last_agent", "No agent has answered here yet."))?;
            case.assign(Some(last))
        }
        Assignee::Agent { name } => {
            let id = case.view.directory.agent(name).map(|agent| agent.id);
            let id =
                id.ok_or_else(|| Refused::new("unknown_agent", format!("There is no agent `{name}`.")))?;
            case.assign(Some(id))
        }
    }
}

fn say(case: &mut Case<'_>, event: &Event, planned: &Planned, opts_out: bool) -> Result<(), Refused> {
    let language = case.language();
    let template = |it: &TemplateCall| {
        (it.name.clone(), it.language.clone().unwrap_or_else(|| language.clone()), it.slots.clone())
    };
    let content = match &planned.intent {
        Intent::SendMessage { text, buttons } if buttons.is_empty() => Content::Text { text: text.clone() },
        Intent::SendMessage { text, buttons } => {
            Content::Choices { text: text.clone(), items: buttons.clone() }
        }
        Intent::SendTemplate(it) => {
            let (name, language, slots) = template(it);
            Content::Template { name, language, slots, files: BTreeMap::new(), text: None }
        }
        Intent::SendMessageOrTemplate { text, template: it } => {
            let (name, language, slots) = template(it);
            Content::Either { text: text.clone(), name, language, slots }
        }
        _ => return Ok(()),
    };
    case.say(Say {
        message: MessageId::new(case.now_ms, u128::from_be_bytes(key(event, planned, "message"))),
        content,
        reply_to: None,
        effect: effect_of(planned.version, event.id, planned.ordinal),
        asked_by: Some((planned.version, event.id)),
        confirms_opt_out: opts_out,
    })
}

fn notify(case: &mut Case<'_>, who: &str, text: &str) -> Result<(), Refused> {
    let conversation = case
        .conversation
        .as_ref()
        .map(|it| (it.facts.id, it.facts.assignee))
        .ok_or_else(|| Refused::new("no_conversation", "There is no conversation yet."))?;
    let directory = case.view.directory.clone();
    let to = match who {
        "admins" => NoticeTo::Admins,
        "assignee" => conversation.1.map_or(NoticeTo::Admins, |agent| NoticeTo::Users(vec![agent])),
        name => match (directory.group(name), directory.agent(name)) {
            (Some(group), _) => NoticeTo::Users(group.members.clone()),
            (None, Some(agent)) => NoticeTo::Users(vec![agent.id]),
            (None, None) => {
                return Err(Refused::new(
                    "unknown_recipient",
                    format!("There is no group or agent `{name}`."),
                ));
            }
        },
    };
    let (conversation, text) = (conversation.0, text.to_owned());
    case.out.notices.push(Notice { to, kind: "rule", conversation, text, event: None });
    Ok(())
}

fn call_webhook(
    case: &mut Case<'_>,
    event: &Event,
    planned: &Planned,
    (name, payload): (&str, &serde_json::Value),
) -> Result<(), Refused> {
    let view = case.view.clone();
    let Some(webhook) = view.webhooks.iter().find(|it| it.name == name) else {
        return Err(Refused::new("unknown_webhook", format!("There is no outgoing webhook `{name}`.")));
    };
    if !webhook.active {
        let detail = format!("The outgoing webhook `{name}` is switched off; switch it on first.");
        return Err(Refused::new("webhook_off", detail));
    }
    if payload.to_string().len() > PAYLOAD_BYTES_MAX {
        let detail =
            format!("The payload is larger than {PAYLOAD_BYTES_MAX} bytes; send ids instead of contents.");
        return Err(Refused::new("payload_too_large", detail));
    }
    let called = Called {
        effect: EffectId::new(event.at_ms, u128::from_be_bytes(key(event, planned, "webhook"))),
        rule: planned.rule,
        event: event.id,
        conversation: event.conversation,
        channel: case.channel.facts.id,
        payload,
        now_ms: case.now_ms,
    };
    case.out.called.push(outbox::of_call(webhook, &called));
    Ok(())
}

fn open_time(case: &Case<'_>, calendar: &str, after_ms: i64) -> Result<i64, Refused> {
    let found = case.view.directory.calendar(calendar);
    let found = found
        .ok_or_else(|| Refused::new("unknown_calendar", format!("There is no calendar `{calendar}`.")))?;
    found
        .calendar
        .add_open_time(case.now_ms, after_ms)
        .ok_or_else(|| Refused::new("calendar_closed", format!("The calendar `{calendar}` never opens.")))
}

impl Case<'_> {
    /// The language of templates that name none: the conversation's, the contact's, then the channel's.
    pub fn language(&self) -> String {
        let conversation = self.conversation.as_ref().and_then(|it| it.facts.language.clone());
        let contact = || self.person.as_ref().and_then(|it| it.facts.language.clone());
        let channel = || self.channel.facts.language.clone();
        conversation.or_else(contact).or_else(channel).unwrap_or_else(|| "en".to_owned())
    }
}
