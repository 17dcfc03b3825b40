//! A conversation's state backwards and forwards through its events. Pure.

use pointsman_rules::event::{Changes, Event, EventBody};
use pointsman_rules::facts::{ChannelFacts, ConversationFacts, SenderKind, Status, Window};
use serde_json::Value;

use crate::store::messages::Message;

/// The state before the first of these events, from the state after the last one.
pub(super) fn beginning(after_all: &ConversationFacts, events: &[Event]) -> ConversationFacts {
    let mut state = after_all.clone();
    for event in events.iter().rev() {
        match &event.body {
            EventBody::ConversationUpdated { changes } => set(&mut state, changes, 0),
            EventBody::MessageReceived { .. } => state.inbound_count -= 1,
            EventBody::MessageSent { .. } => state.outbound_count -= 1,
            EventBody::ConversationReopened => state.reopen_count -= 1,
            _ => {}
        }
    }
    let from_ms = events.first().map_or(i64::MAX, |event| event.at_ms);
    let before = |at_ms: &Option<i64>| at_ms.filter(|at_ms| *at_ms < from_ms);
    // Counts of a conversation that was imported or stripped may not reach back so far.
    state.inbound_count = state.inbound_count.max(0);
    state.outbound_count = state.outbound_count.max(0);
    state.reopen_count = state.reopen_count.max(0);
    state.opened_ms = state.opened_ms.min(from_ms.max(state.created_ms));
    (state.last_inbound_ms, state.last_outbound_ms) =
        (before(&state.last_inbound_ms), before(&state.last_outbound_ms));
    (state.waiting_since_ms, state.first_reply_ms) =
        (before(&state.waiting_since_ms), before(&state.first_reply_ms));
    if state.last_inbound_ms.is_none() {
        state.window_closes_ms = None;
    }
    state.automatic_ms.retain(|at_ms| *at_ms < from_ms);
    state.rule_starts.clear();
    state.timers.clear();
    state
}

/// Events that one thing made happen: rules see all of them on the state after the last. One turn may work off several
/// messages at one time; what changed in a step is told at its end.
pub(super) fn steps(events: &[Event]) -> Vec<&[Event]> {
    let (mut steps, mut start, mut has_message) = (Vec::new(), 0, false);
    for (index, pair) in events.windows(2).enumerate() {
        let [one, next] = pair else { continue };
        has_message |= matches!(one.body, EventBody::MessageReceived { .. });
        let begins = matches!(
            next.body,
            EventBody::MessageReceived { .. }
                | EventBody::WindowOpened { .. }
                | EventBody::ConversationCreated
                | EventBody::ConversationReopened
        );
        let is_over = matches!(one.body, EventBody::ConversationUpdated { .. }) || (has_message && begins);
        if is_over || one.at_ms != next.at_ms || one.cause != next.cause {
            steps.extend(events.get(start..=index));
            (start, has_message) = (index + 1, false);
        }
    }
    steps.extend(events.get(start..).filter(|rest| !rest.is_empty()));
    steps
}

/// What an event changes. `message`: the one it is about, if it is known.
pub(super) fn apply(
    state: &mut ConversationFacts,
    event: &Event,
    message: Option<&Message>,
    channel: &ChannelFacts,
) {
    match &event.body {
        EventBody::ConversationUpdated { changes } => set(state, changes, 1),
        EventBody::ConversationStatusChanged { to, .. } if to == Status::Closed.word() => {
            state.waiting_since_ms = None; // nobody waits in a closed conversation
        }
        EventBody::ConversationReopened => {
            state.reopen_count += 1;
            state.clock_restart(event.at_ms);
        }
        EventBody::WindowOpened { closes_at_ms } => state.window_closes_ms = Some(*closes_at_ms),
        EventBody::MessageReceived { .. } => {
            // The vendor's time counts, but never one in the future.
            let at_ms = message.map_or(event.at_ms, |it| it.at_ms).min(event.at_ms);
            state.inbound_count += 1;
            state.last_inbound_ms = state.last_inbound_ms.max(Some(at_ms));
            state.clock_inbound(event.at_ms);
            if let Window::SinceLastInbound { seconds } = channel.capabilities.window {
                let closes_ms = at_ms + i64::from(seconds) * 1_000;
                state.window_closes_ms = state.window_closes_ms.max(Some(closes_ms));
            }
        }
        EventBody::MessageSent { .. } => {
            state.outbound_count += 1;
            state.last_outbound_ms = Some(event.at_ms);
            match message.map(|it| it.sender) {
                Some(SenderKind::Agent | SenderKind::Api | SenderKind::Echo) => {
                    state.clock_answer(event.at_ms)
                }
                Some(SenderKind::Assistant) => {
                    state.waiting_since_ms = None;
                    state.automatic_ms.push(event.at_ms);
                }
                Some(SenderKind::Rule) => state.automatic_ms.push(event.at_ms),
                _ => {}
            }
        }
        _ => {}
    }
}

/// Sets the fields that changed to what they were before (0) or after (1). What this version does not know is left.
fn set(state: &mut ConversationFacts, changes: &Changes, side: usize) {
    macro_rules! fields {
        ($($field:ident),*) => {$(
            if let Some(value) = changes.get(stringify!($field)).and_then(|pair| pair.get(side)) {
                read(value, &mut state.$field);
            }
        )*};
    }
    fields!(
        live,
        status,
        group,
        assignee,
        priority,
        labels,
        attributes,
        language,
        sentiment,
        summary,
        ai,
        archived_ms,
        snoozed_until_ms
    );
}

fn read<T: serde::de::DeserializeOwned>(value: &Value, into: &mut T) {
    if let Ok(value) = serde_json::from_value(value.clone()) {
        *into = value;
    }
}
