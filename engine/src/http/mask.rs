//! Hiding the addresses of contacts on masked channels from those who may not see
//! them.

use serde_json::Value;

use super::auth::{Principal, Role};
use crate::flow::mask::{mask, mask_name};
use crate::store::conversation_views::ConversationView;
use crate::store::event_views::EventView;

/// Members of a change of a contact that hold an address.
const ADDRESS_FIELDS: [&str; 3] = ["phone", "address", "name"];

/// Is a masked channel's contact hidden from them?
pub fn hides(who: &Principal) -> bool {
    who.role < Role::Admin
}

/// Hides whom a conversation is with, where its channel is masked and the caller may not see it.
pub(super) fn conversation(who: &Principal, view: &mut ConversationView) {
    if !view.is_masked || !hides(who) {
        return;
    }
    view.contact_address = mask(&view.contact_address);
    view.contact_phone = view.contact_phone.as_deref().map(mask);
    view.contact_name = view.contact_name.as_deref().map(mask_name);
}

/// Hides what an event tells of a contact's addresses, where its channel is masked and the caller may not see it.
pub(super) fn event(who_hides: bool, view: &mut EventView) {
    if !view.is_masked || !who_hides {
        return;
    }
    let Some(changes) = view.body.get_mut("changes").and_then(Value::as_object_mut) else { return };
    for (_, values) in changes.iter_mut().filter(|(name, _)| ADDRESS_FIELDS.contains(&name.as_str())) {
        for value in values.as_array_mut().into_iter().flatten() {
            if let Value::String(text) = value {
                *text = mask_name(text);
            }
        }
    }
}
