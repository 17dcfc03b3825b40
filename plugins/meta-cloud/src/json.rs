//! Reading Meta's JSON, which grows without notice: every look says what it wants
//! and anything else is absent.

use serde_json::Value;

/// A member that is a text and not empty.
pub(crate) fn text(of: &Value, member: &str) -> Option<String> {
    of[member].as_str().filter(|text| !text.is_empty()).map(str::to_owned)
}

/// An id or a code: Meta writes some as texts and some as numbers.
pub(crate) fn id(of: &Value, member: &str) -> Option<String> {
    match &of[member] {
        Value::Number(number) => Some(number.to_string()),
        _ => text(of, member),
    }
}

/// A time in seconds, as number or text, in milliseconds.
pub(crate) fn seconds(of: &Value, member: &str) -> Option<u64> {
    let seconds = match &of[member] {
        Value::String(text) => text.parse().ok(),
        number => number.as_u64(),
    };
    seconds?.checked_mul(1_000)
}

/// The items of a member that is a list; none when it is not.
pub(crate) fn list<'a>(of: &'a Value, member: &str) -> &'a [Value] {
    of[member].as_array().map_or(&[], Vec::as_slice)
}

/// Takes NUL out of every text: JSON may hold it and databases refuse it.
pub(crate) fn clean(value: &mut Value) {
    match value {
        Value::String(text) if text.contains('\0') => *text = text.replace('\0', ""),
        Value::Array(items) => items.iter_mut().for_each(clean),
        Value::Object(members) => members.values_mut().for_each(clean),
        _ => {}
    }
}
