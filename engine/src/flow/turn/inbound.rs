//! What a vendor's webhook changes: messages, delivery statuses, the channel's
//! own news.

use pointsman_rules::event::{Actor, Cause, EventBody};
use pointsman_rules::facts::{Direction, SenderKind, Status, Window};
use pointsman_rules::ids::MessageId;

use crate::flow::case::{Case, Refused, Wish, wish};
use crate::flow::content::Content;
use crate::flow::turn::FileNews;
use crate::plugins::{self, Delivery, FailureKind, InboundMessage, StatusUpdate as VendorStatus};
use crate::store::contacts::BY_VENDOR;
use crate::store::effects::EffectState;
use crate::store::messages::{Message, StatusUpdate};

/// A contact wrote, or somebody typed on our linked phone.
///
/// # Errors
/// The conversation cannot go on.
pub(super) fn message(case: &mut Case<'_>, it: InboundMessage) -> Result<(), Refused> {
    if it.echo && is_ours(case, &it) {
        // It was not typed on the phone: the vendor tells us what we sent ourselves.
        return Ok(());
    }
    let actor = if it.echo { Actor::System } else { Actor::Contact };
    case.begin_step(Cause { actor, chain: Vec::new() });
    case.meet(&it.contact, "webhook");
    let blocked = case.person.as_ref().is_some_and(|person| person.facts.blocked);
    if blocked && case.conversation.as_ref().is_none_or(|c| c.facts.status == Status::Closed) {
        // A blocked contact neither starts nor reopens anything; the raw webhook is kept.
        return Ok(());
    }
    case.go_on(!it.echo)?;
    let wish = wish(&it, &case.channel.facts.provider);
    let is_echo = it.echo;
    let wants_answer = !is_echo && !blocked && !matches!(it.content, plugins::Content::Reaction { .. });
    if !is_echo && !blocked {
        count_inbound(case, &it);
    }
    let id = add(case, it)?;
    if wants_answer {
        case.wants_answer();
    }
    if is_echo {
        case.note_sent(SenderKind::Echo);
        case.raise(EventBody::MessageSent { message: id });
    } else if !blocked {
        case.raise(EventBody::MessageReceived { message: id });
        case.heed(wish)?;
        case.note_news();
    }
    case.end_step();
    Ok(())
}

/// A message that no webhook told. People see it where it belongs; it is news to them when nothing was said since. No
/// rule is shown it: what it would have done is over.
///
/// # Errors
/// The conversation cannot go on.
pub(super) fn past(case: &mut Case<'_>, it: InboundMessage) -> Result<(), Refused> {
    if it.echo && by_vendor_id(case, &it.id).is_some() {
        return Ok(());
    }
    case.begin_step(Cause { actor: Actor::System, chain: Vec::new() });
    case.meet(&it.contact, "webhook");
    let blocked = case.person.as_ref().is_some_and(|person| person.facts.blocked);
    let is_latest = case.conversation.as_ref().is_none_or(|c| it.sent_at_ms > c.last_activity_ms);
    let is_news = is_latest && !it.echo && !blocked;
    if case.conversation.is_none() || is_news {
        case.go_on(false)?;
    }
    if is_news {
        count_inbound(case, &it);
    }
    let is_echo = it.echo;
    let message = add(case, it)?;
    case.raise(if is_echo {
        EventBody::MessageSent { message }
    } else {
        EventBody::MessageReceived { message }
    });
    if is_news {
        case.note_news();
    }
    case.hide_from_rules();
    case.end_step();
    Ok(())
}

/// Puts what was written into the conversation.
fn add(case: &mut Case<'_>, it: InboundMessage) -> Result<MessageId, Refused> {
    let id = MessageId::new(case.now_ms, case.clock.random());
    let (direction, sender) = if it.echo {
        (Direction::Outbound, SenderKind::Echo)
    } else {
        (Direction::Inbound, SenderKind::Contact)
    };
    let reply_to = it.reply_to.as_deref().and_then(|id| by_vendor_id(case, id));
    let content = match it.content {
        plugins::Content::Media(items) => case.receive_files(id, items)?,
        other => Content::of_inbound(other),
    };
    let message = Message {
        id,
        conversation: case.open_case()?.facts.id,
        channel: case.channel_id(),
        seq: 0,
        direction,
        sender,
        sender_id: None,
        content: super::json(&content),
        status: it.echo.then(|| "sent".to_owned()),
        failure: None,
        vendor_id: Some(it.id),
        effect: None,
        reply_to,
        at_ms: it.sent_at_ms,
        created_ms: case.now_ms,
    };
    case.add_message(message, &content);
    Ok(id)
}

/// A message of this lane by the vendor's id; also one that came in this turn.
fn by_vendor_id(case: &Case<'_>, id: &str) -> Option<MessageId> {
    let fresh = || case.out.messages.iter().find(|it| it.vendor_id.as_deref() == Some(id)).map(|it| it.id);
    case.by_vendor_id.get(id).copied().or_else(fresh)
}

/// Did we send this ourselves? The vendor may tell of it before it answers our call; then the id is not known yet.
fn is_ours(case: &Case<'_>, it: &InboundMessage) -> bool {
    let is_leaving = || match &it.content {
        plugins::Content::Text(_) => {
            let content = super::json(&Content::of_inbound(it.content.clone()));
            case.leaving.contains(&content)
        }
        _ => false,
    };
    by_vendor_id(case, &it.id).is_some() || is_leaving()
}

/// Counts, the window and what nobody has read.
fn count_inbound(case: &mut Case<'_>, it: &InboundMessage) {
    let now_ms = case.now_ms;
    let window = case.channel.facts.capabilities.window;
    let Some(conversation) = case.conversation.as_mut() else { return };
    conversation.unread += 1;
    let facts = &mut conversation.facts;
    facts.inbound_count += 1;
    facts.clock_inbound(now_ms);
    // The vendor's time counts, but never one in the future: a late or replayed webhook extends nothing.
    let sent_ms = it.sent_at_ms.min(now_ms);
    facts.last_inbound_ms = facts.last_inbound_ms.max(Some(sent_ms));
    let was_open = facts.window_closes_ms.is_some_and(|closes| closes > now_ms);
    if let Window::SinceLastInbound { seconds } = window {
        facts.window_closes_ms = facts.window_closes_ms.max(Some(sent_ms + i64::from(seconds) * 1_000));
    }
    facts.window_closes_ms = facts.window_closes_ms.max(it.window_closes_at_ms);
    if let Some(closes_at_ms) = facts.window_closes_ms.filter(|closes| *closes > now_ms && !was_open) {
        case.raise(EventBody::WindowOpened { closes_at_ms });
    }
}

/// The vendor says that a contact is reached elsewhere.
pub(super) fn contact_changed(case: &mut Case<'_>, it: &plugins::ContactChange) {
    case.begin_step(Cause { actor: Actor::Vendor, chain: Vec::new() });
    case.moved(&it.contact);
    case.end_step();
}

/// The vendor says what a contact wants. A wish about one purpose only stays with the raw webhook: nothing is sent by
/// purpose here.
///
/// # Errors
/// There is no contact.
pub(super) fn consent(case: &mut Case<'_>, it: &plugins::Consent) -> Result<(), Refused> {
    if it.purpose.is_some() {
        return Ok(());
    }
    case.begin_step(Cause { actor: Actor::Vendor, chain: Vec::new() });
    case.meet(&it.contact, "webhook");
    case.heed(Some(if it.given { Wish::Start } else { Wish::Stop }))?;
    case.end_step();
    Ok(())
}

/// The vendor approved, rejected or paused a template.
pub(super) fn template(case: &mut Case<'_>, it: plugins::TemplateChange) {
    case.begin_step(Cause { actor: Actor::Vendor, chain: Vec::new() });
    let (template, language, status) = (it.name.clone(), it.language.clone(), it.status.clone());
    case.raise(EventBody::TemplateStatusChanged { template, language, status });
    case.out.templates.push(it);
}

/// A delivery callback. `known`: the message it is about, if there is one.
pub(super) fn status(case: &mut Case<'_>, it: &VendorStatus, known: Option<&Message>) {
    case.begin_step(Cause { actor: Actor::Vendor, chain: Vec::new() });
    let Some(message) = known else { return };
    let is_present = case.conversation.as_ref().is_some_and(|it| it.facts.id == message.conversation);
    if let (Some(closes), Some(conversation)) = (it.window_closes_at_ms, case.conversation.as_mut()) {
        conversation.facts.window_closes_ms = conversation.facts.window_closes_ms.max(Some(closes));
    }
    let (status, failure) = match &it.delivery {
        Delivery::Sent => ("sent", None),
        Delivery::Delivered => ("delivered", None),
        Delivery::Read => ("read", None),
        Delivery::Failed { failure } => ("failed", Some(failure)),
        Delivery::Other { .. } => return,
    };
    let over = replaces(status);
    let before = case
        .messages
        .get(&message.id)
        .and_then(|facts| facts.status.clone())
        .or_else(|| message.status.clone())
        .unwrap_or_default();
    case.out.statuses.push(StatusUpdate {
        message: message.id,
        status,
        over,
        failure: failure.map(failure_json),
        vendor_id: Some(it.message_id.clone()).filter(|id| !id.is_empty()),
        at_ms: it.at_ms.min(case.now_ms),
    });
    if !over.contains(&before.as_str()) {
        return;
    }
    case.out.failed += i64::from(failure.is_some());
    if let Some(effect) = message.effect.filter(|_| before == "unknown" || before == "sending") {
        let state = if failure.is_some() { EffectState::Failed } else { EffectState::Done };
        case.out.settled.push((effect, state));
    }
    if !is_present {
        // Its page shows how far it came. What is going on now is another conversation, to which this is no event.
        return case.end_step();
    }
    if let Some(facts) = case.messages.get_mut(&message.id) {
        facts.status = Some(status.to_owned());
        facts.failure = failure.map(|failure| failure.kind.class().to_owned());
    }
    case.raise(match failure {
        Some(failure) => EventBody::MessageFailed {
            message: message.id,
            class: failure.kind.class().to_owned(),
            code: failure.vendor_code.clone(),
        },
        None => EventBody::MessageStatusChanged { message: message.id, from: before, to: status.to_owned() },
    });
    if failure.is_some_and(|failure| failure.kind == FailureKind::OptedOut) {
        // Without a contact there is nobody to remember it for.
        let _ = case.opt_out(BY_VENDOR);
    }
    case.end_step();
}

/// News of a contact's file. Of a conversation that is over nothing is told: its page shows how far its files are.
pub(super) fn file(case: &mut Case<'_>, news: FileNews) {
    if case.conversation.as_ref().is_none_or(|it| it.facts.id != news.conversation) {
        return;
    }
    case.begin_step(Cause { actor: Actor::System, chain: Vec::new() });
    let (message, attachment) = (news.message, news.attachment);
    case.raise(match news.problem {
        None => EventBody::AttachmentStored { message, attachment },
        Some(reason) => EventBody::AttachmentFailed { message, attachment, reason },
    });
    case.end_step();
}

/// The statuses that this one may replace: forward only. `delivered` after `failed` happens with carriers, and the
/// message did arrive.
pub(in crate::flow) fn replaces(status: &str) -> &'static [&'static str] {
    match status {
        // The vendor refused it for the channel's sake, so it waits again.
        "queued" => &["sending"],
        "sent" => &["queued", "sending", "unknown"],
        "delivered" => &["queued", "sending", "unknown", "sent", "failed"],
        "read" => &["queued", "sending", "unknown", "sent", "failed", "delivered"],
        "failed" => &["queued", "sending", "unknown", "sent"],
        "unknown" => &["queued", "sending"],
        _ => &[],
    }
}

/// A vendor's failure, as it is kept with the message.
pub(in crate::flow) fn failure_json(failure: &crate::plugins::Failure) -> String {
    serde_json::json!({
        "class": failure.kind.class(),
        "code": failure.kind.class(),
        "message": failure.message,
        "vendor_code": failure.vendor_code,
        "vendor_message": failure.vendor_message,
    })
    .to_string()
}
