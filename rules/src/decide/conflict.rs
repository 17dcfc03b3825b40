//! Last write wins (semantics 2): which later intent makes an earlier one moot.

use crate::intent::Intent;

/// What an intent writes, when only one value can be there in the end.
#[derive(PartialEq)]
enum Target<'a> {
    Group,
    Assignee,
    Status,
    Archived,
    Snoozed,
    Priority,
    Attribute(&'a str),
    Ai,
    Timer(&'a str),
}

fn target(intent: &Intent) -> Option<Target<'_>> {
    Some(match intent {
        Intent::RouteToGroup { .. } => Target::Group,
        Intent::AssignAgent { .. } | Intent::AssignByPolicy { .. } => Target::Assignee,
        Intent::EndChat { .. } | Intent::SetStatus { .. } => Target::Status,
        Intent::Archive | Intent::Reopen => Target::Archived,
        Intent::Snooze { .. } => Target::Snoozed,
        Intent::SetPriority { .. } => Target::Priority,
        Intent::SetAttribute { key, .. } => Target::Attribute(key),
        Intent::SetAi { .. } => Target::Ai,
        Intent::StartTimer { name, .. } | Intent::CancelTimer { name } => Target::Timer(name),
        _ => return None,
    })
}

/// Does the later intent replace the earlier one? Equal ones do not conflict.
pub(super) fn replaces(later: &Intent, earlier: &Intent) -> bool {
    // Ending a chat does more than setting a status, so a status alone cannot undo it;
    // applied after it, it still has the last word on the status.
    if matches!((earlier, later), (Intent::EndChat { .. }, Intent::SetStatus { .. })) {
        return false;
    }
    // A timer that keeps a running one leaves the decision to the earlier one.
    if matches!(later, Intent::StartTimer { keep: true, .. }) && matches!(earlier, Intent::StartTimer { .. })
    {
        return false;
    }
    later != earlier && target(later).is_some_and(|t| target(earlier) == Some(t))
}
