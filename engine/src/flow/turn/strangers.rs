//! Whom a lane does not know by their address: perhaps by their phone, or from
//! before they were erased.

use std::collections::{BTreeMap, HashMap};

use pointsman_rules::ids::{ChannelId, LaneId, TenantId};

use super::load::Table;
use crate::crypto::Keyring;
use crate::flow::{FlowError, lane_of, phone, suppress};
use crate::plugins::Party;
use crate::store::contacts::{self, Person};
use crate::store::{Tx, suppressions};

/// Somebody whom the lane does not know yet.
pub(super) struct Stranger {
    pub(super) lane: LaneId,
    pub(super) tenant: TenantId,
    pub(super) channel: ChannelId,
    pub(super) kind: String,
    pub(super) party: Party,
    /// Do we write to them, rather than they to us?
    pub(super) is_ours: bool,
}

/// Completes the tables of those of whom nobody was found by their address.
pub(super) async fn load(
    tx: &mut Tx,
    keyring: &Keyring,
    people: &[Stranger],
    tables: &mut HashMap<LaneId, Table>,
) -> Result<(), FlowError> {
    let mut by_kind: BTreeMap<(TenantId, &str), Vec<&Stranger>> = BTreeMap::new();
    for it in people {
        if tables.get(&it.lane).is_some_and(|table| table.person.is_none()) {
            by_kind.entry((it.tenant, &it.kind)).or_default().push(it);
        }
    }
    for ((tenant, kind), strangers) in by_kind {
        let keys: Vec<Option<String>> =
            strangers.iter().map(|it| it.party.phone.as_deref().and_then(phone::key)).collect();
        let wanted: Vec<&str> = keys.iter().flatten().map(String::as_str).collect();
        let same_phone = contacts::by_phone(tx, tenant, kind, &wanted).await?;
        let hashes: Vec<Vec<String>> = strangers
            .iter()
            .zip(&keys)
            .map(|(it, key)| suppress::hashes(keyring, kind, it.party.key(), key.as_deref()))
            .collect();
        let suppressed = suppressions::find(tx, tenant, &hashes.concat()).await?;
        for ((it, key), hashes) in strangers.into_iter().zip(keys).zip(hashes) {
            let Some(table) = tables.get_mut(&it.lane) else { continue };
            let known = same_phone.iter().filter(|known| key.is_some() && known.identity.phone_key == key);
            recognise(table, it, known);
            if table.person.is_none()
                && table.namesake.is_none()
                && let (Some(key), true) = (&key, it.is_ours)
            {
                table.namesake = contacts::card_by_phone(tx, tenant, kind, key).await?;
            }
            table.suppressed = hashes.iter().find_map(|hash| suppressed.get(hash).cloned());
        }
    }
    Ok(())
}

/// The identity whose lane this is stays the one; somebody with another lane gets one more identity.
fn recognise<'p>(table: &mut Table, it: &Stranger, known: impl Iterator<Item = &'p Person>) {
    for person in known {
        let ids = (person.identity.scoped_id.as_deref(), it.party.scoped_id.as_deref());
        if lane_of(it.tenant, it.channel, &person.identity.value) == it.lane {
            table.person.get_or_insert_with(|| person.clone());
        } else if !matches!(ids, (Some(known), Some(given)) if known != given) {
            table.namesake.get_or_insert_with(|| person.into());
        }
    }
}
