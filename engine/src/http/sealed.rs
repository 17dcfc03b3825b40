//! Keeping secrets that were given: opened, changed and sealed again in one place.
//! They never leave here in the clear.

use std::collections::BTreeMap;

use super::problem::Problem;
use crate::flow::Flow;

/// Puts new secrets among those that are kept, and answers them sealed for `place`; `None` removes one. `set`: when each
/// was set, unix milliseconds.
pub(super) fn put(
    flow: &Flow,
    place: &str,
    sealed: &str,
    set: &mut BTreeMap<String, i64>,
    given: BTreeMap<String, Option<String>>,
) -> Result<String, Problem> {
    if given.is_empty() && !sealed.is_empty() {
        return Ok(sealed.to_owned());
    }
    let mut secrets: BTreeMap<String, String> = BTreeMap::new();
    if !sealed.is_empty() {
        let plain = flow
            .keyring
            .open(place, sealed)
            .map_err(|error| Problem::internal("kept secrets cannot be opened", &error))?;
        secrets = serde_json::from_slice(&plain)
            .map_err(|error| Problem::internal("kept secrets cannot be read", &error))?;
    }
    for (name, value) in given {
        match value {
            Some(value) => {
                set.insert(name.clone(), flow.clock.now_ms());
                secrets.insert(name, value);
            }
            None => {
                set.remove(&name);
                secrets.remove(&name);
            }
        }
    }
    Ok(flow.keyring.seal(&flow.clock, place, serde_json::json!(secrets).to_string().as_bytes()))
}
