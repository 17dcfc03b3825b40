//! How a rule stood when an event came: its version by the times of the versions,
//! whether it was switched on or parked by the audit log. Reading only.

use pointsman_rules::ids::TenantId;
use serde_json::Value;

use crate::store::audit::{self, Wanted};
use crate::store::rules::{self, Rule, Version};
use crate::store::{StoreError, Tx};

/// Changes of one rule since an event that are looked through; more are hardly made.
const CHANGES_MAX: u32 = 1_000;

/// A rule at a moment.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Standing {
    /// What ran; `None`: nothing was published yet.
    pub(super) version: Option<Version>,
    /// Was it switched on?
    pub(super) is_on: bool,
    /// Since when it was parked, if it was.
    pub(super) parked_since: Option<String>,
}

/// The rule as it was at `at_ms`.
///
/// # Errors
/// The database's own.
pub(super) async fn at(
    tx: &mut Tx,
    tenant: TenantId,
    rule: &Rule,
    at_ms: i64,
) -> Result<Standing, StoreError> {
    let version = rules::version_at(tx, tenant, rule.id, at_ms).await?;
    let since_ms = Some(at_ms.saturating_add(1));
    let wanted = Wanted { target: Some(rule.id.to_string()), since_ms, ..Wanted::default() };
    let changes = audit::list(tx, tenant, &wanted, CHANGES_MAX).await?;
    let now = (rule.enabled, rule.parked.as_ref().map(|parked| crate::clock::rfc3339(parked.since_ms)));
    let (is_on, parked) = undone(now, changes.iter().filter_map(|entry| entry.change.before()));
    // It may have been parked and resumed since: then the log says that it was parked, and when that began.
    let parked_since = parked.filter(|since| *since <= crate::clock::rfc3339(at_ms));
    Ok(Standing { version, is_on, parked_since })
}

/// Whether it is on and since when it is parked, before changes; what was there before each, the newest change first.
fn undone<'c>(
    now: (bool, Option<String>),
    before: impl Iterator<Item = &'c Value>,
) -> (bool, Option<String>) {
    before.fold(now, |(is_on, parked), before| {
        let parked = match before.get("parked") {
            Some(was) => was["since"].as_str().map(str::to_owned),
            None => parked,
        };
        (before["enabled"].as_bool().unwrap_or(is_on), parked)
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn changes_are_undone_from_the_newest_to_the_oldest() {
        let now = || (true, None);
        let undone = |changes: &[Value]| undone(now(), changes.iter());
        assert_eq!(undone(&[]), now());
        assert_eq!(undone(&[json!({"enabled": false}), json!({"enabled": true})]), now(), "off in between");
        assert_eq!(undone(&[json!({"draft": null}), json!({"enabled": false})]), (false, None));
        let parked = json!({"parked": {"since": "2025-11-21T10:00:00Z"}});
        assert_eq!(undone(std::slice::from_ref(&parked)), (true, Some("2025-11-21T10:00:00Z".to_owned())));
        assert_eq!(undone(&[parked, json!({"parked": null})]), now());
    }
}
