//! What people and programs ask of a conversation.

use pointsman_rules::event::{Cause, EventBody, EventKind};
use pointsman_rules::facts::Status;
use pointsman_rules::ids::{EffectId, RuleId};

use crate::crypto::hash16;
use crate::flow::case::{BY_API, Case, Refused, Say};
use crate::flow::command::{Command, ContactNews, Draft, Order};
use crate::flow::content::Content;
use crate::store::messages::Message;

/// Carries out a command. `known`: the message it is about, if any.
///
/// # Errors
/// Why it was refused.
pub(super) fn carry_out(case: &mut Case<'_>, order: Order, known: Option<&Message>) -> Result<(), Refused> {
    case.begin_step(Cause { actor: order.actor, chain: Vec::new() });
    let outcome = command(case, order.command, known);
    case.end_step();
    outcome
}

fn command(case: &mut Case<'_>, command: Command, known: Option<&Message>) -> Result<(), Refused> {
    match command {
        Command::Start { to, message, content } => {
            case.meet(&to, BY_API);
            case.go_on(false)?;
            send(case, message, content, None)
        }
        Command::Send { message, content, reply_to } => send(case, message, content, reply_to),
        Command::Note { message, text } => case.note(message, &text),
        Command::Retry { .. } => retry(case, known),
        Command::Discard { .. } => discard(case, known),
        Command::Assign { agent } => case.assign(agent),
        Command::Place { agent } => case.place(agent),
        Command::Accept => case.accept(),
        Command::Decline => case.decline(),
        Command::Route { group } => case.route(group),
        Command::End { status } => case.end_chat(status, "agent"),
        Command::ChannelRemoved => case.end_chat(Status::Closed, "channel_removed"),
        Command::SetStatus { status } => case.set_status(status),
        Command::Archive => case.archive(),
        Command::Reopen => case.reopen(),
        Command::Snooze { until_ms } => case.snooze(until_ms),
        Command::PostponeIdle => case.postpone_idle(),
        Command::SetAi { state, reason } => case.set_ai(state, reason),
        Command::SetPriority { priority } => case.set_priority(priority),
        Command::Label { add, remove } => case.label(&add, &remove),
        Command::MarkRead => case.mark_read(),
        Command::RunRule { rule } => run_rule(case, rule),
        Command::ResumeRule { rule } => case.resume_rule(rule),
        Command::Tick { rule } => tick(case, rule),
        Command::Hook { name, payload } => {
            case.open_case()?;
            case.raise(EventBody::WebhookReceived { name, payload });
            Ok(())
        }
        Command::Answered { task, answer, run } => case.answered(task, answer, &run),
        Command::Judged { found, run } => case.judged(found, &run),
        Command::Suggested { problem, run } => case.suggested(problem.as_deref(), &run),
        Command::Block { on, .. } => case.set_blocked(on),
        Command::Contact { news } => {
            case.raise(match news {
                ContactNews::Updated { changes } => EventBody::ContactUpdated { changes },
                ContactNews::Merged => EventBody::ContactMerged,
                ContactNews::OptedOut { channel_kind } => EventBody::ContactOptedOut { channel_kind },
                ContactNews::OptedIn { channel_kind } => EventBody::ContactOptedIn { channel_kind },
            });
            Ok(())
        }
    }
}

fn tick(case: &mut Case<'_>, rule: RuleId) -> Result<(), Refused> {
    let view = case.view.clone();
    if !view.rules.rules().iter().any(|it| it.id == rule) {
        return Err(Refused::new("rule_inactive", "The rule does not run any more."));
    }
    case.raise(EventBody::ScheduleTick { rule });
    Ok(())
}

/// Semantics 14. Says at once what would leave the agent without any effect.
fn run_rule(case: &mut Case<'_>, rule: RuleId) -> Result<(), Refused> {
    let view = case.view.clone();
    let Some(found) = view.rules.rules().iter().find(|it| it.id == rule) else {
        let detail = "No such rule runs now: it is switched off, parked, not published or not there.";
        return Err(Refused::new("rule_inactive", detail));
    };
    let header = found.script.header();
    if !header.on.contains(&EventKind::RuleManual) {
        let detail = "This rule is not made to be run by hand; add `rule.manual` to its `on` line.";
        return Err(Refused::new("rule_not_manual", detail));
    }
    if !header.takes_channel(&case.channel.facts.kind, case.channel.facts.id) {
        return Err(Refused::new("rule_other_channel", "This rule is for other channels; see its header."));
    }
    case.raise(EventBody::RuleManual { rule });
    Ok(())
}

fn send(
    case: &mut Case<'_>,
    message: pointsman_rules::ids::MessageId,
    draft: Draft,
    reply_to: Option<pointsman_rules::ids::MessageId>,
) -> Result<(), Refused> {
    let content = Content::of_draft(draft, &case.language());
    let effect =
        EffectId::new(message.at_ms(), u128::from_be_bytes(hash16(&["message", &message.to_string()])));
    case.say(Say { message, content, reply_to, effect, asked_by: None, confirms_opt_out: false })
}

/// Takes a failed message out of the conversation. One whose end is unclear stays: the contact may have it.
fn discard(case: &mut Case<'_>, known: Option<&Message>) -> Result<(), Refused> {
    let message = known.ok_or_else(|| Refused::new("not_found", "There is no such message here."))?;
    let (Some(effect), Some("failed")) = (message.effect, message.status.as_deref()) else {
        let detail = "Only messages of ours that failed can be deleted; others may have reached the contact.";
        return Err(Refused::new("not_failed", detail));
    };
    case.out.discarded.push((message.id, effect));
    let before = case.previews.get(&message.id).cloned();
    let conversation = case.open_case()?;
    let content = serde_json::from_str::<Content>(&message.content).ok();
    if content.is_some_and(|it| conversation.preview == Some(it.preview())) {
        conversation.preview = before;
    }
    case.raise(EventBody::MessageDeleted { message: message.id });
    Ok(())
}

/// Sends a failed or unclear message once more, as the same message.
fn retry(case: &mut Case<'_>, known: Option<&Message>) -> Result<(), Refused> {
    let message = known.ok_or_else(|| Refused::new("not_found", "There is no such message here."))?;
    let status = message.status.as_deref().unwrap_or_default();
    let (Some(effect), "failed" | "unknown") = (message.effect, status) else {
        return Err(Refused::new("not_failed", "Only failed or unclear messages of ours can be sent again."));
    };
    case.out.retried.push((message.id, effect));
    case.touch();
    Ok(())
}
