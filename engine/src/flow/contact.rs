//! What is done to a contact outside of any conversation, told to those it has:
//! the news go through each open conversation's lane, so that its turn writes the
//! log and its rules hear of it. A contact without one has nobody to tell.

use pointsman_rules::event::{Actor, Changes};
use pointsman_rules::ids::{ContactId, InboxId, LaneId, MergeId, TenantId};

use super::command::{Command, ContactNews, Order};
use super::mask::mask_name;
use super::phone;
use super::turn::Entry;
use crate::clock::Clock;
use crate::store::contact_views::{self, ContactView, Thread};
use crate::store::filter::Sight;
use crate::store::intake::{self, NewEntry};
use crate::store::merges::{self, Merge};
use crate::store::{StoreError, Tx, lanes};

/// Who tells it, and when.
#[derive(Clone)]
pub struct Teller {
    /// Whose contact.
    pub tenant: TenantId,
    /// Who did it.
    pub actor: Actor,
    /// For ids and times.
    pub clock: Clock,
}

impl Teller {
    /// Puts news of a contact into the lanes of its open conversations, on one kind of channel or on all. To be called
    /// before the contact is changed: lanes are locked before what turns write.
    ///
    /// # Errors
    /// The database's own.
    pub async fn tell(
        &self,
        tx: &mut Tx,
        contact: ContactId,
        channel_kind: Option<&str>,
        news: &ContactNews,
    ) -> Result<(), StoreError> {
        let threads = contact_views::threads(tx, self.tenant, &[contact]).await?;
        let wanted = |it: &&Thread| it.is_open && channel_kind.is_none_or(|kind| kind == it.channel_kind);
        let entries: Vec<NewEntry> = threads.iter().filter(wanted).map(|it| self.entry(it, news)).collect();
        intake::enqueue(tx, &entries, self.clock.now_ms()).await.map(|_| ())
    }

    fn entry(&self, thread: &Thread, news: &ContactNews) -> NewEntry {
        let now_ms = self.clock.now_ms();
        let id = InboxId::new(now_ms, self.clock.random());
        let order = Order {
            conversation: Some(thread.conversation),
            actor: self.actor.clone(),
            command: Command::Contact { news: news.clone() },
        };
        NewEntry {
            tenant: self.tenant,
            lane: thread.lane,
            id,
            channel: thread.channel,
            raw: None,
            dedupe_key: id.to_string(),
            body: super::case::to_json(&Entry::Order(order)),
            received_ms: now_ms,
        }
    }

    /// Makes two contacts one; `into` keeps its values. Both were read in this transaction.
    ///
    /// # Errors
    /// The database's own; [`StoreError::Moved`] when one of them changed meanwhile.
    pub async fn merge(
        &self,
        tx: &mut Tx,
        (into, from): (&ContactView, &ContactView),
        (id, actor): (MergeId, String),
    ) -> Result<(), StoreError> {
        self.lock(tx, &[into.id, from.id]).await?;
        self.tell(tx, into.id, None, &ContactNews::Merged).await?;
        self.tell(tx, from.id, None, &ContactNews::Merged).await?;
        let key = |it: &ContactView| it.phone.as_deref().and_then(phone::key);
        let (card, kept) = merges::joined(into, from, [key(into), key(from)]);
        let at_ms = self.clock.now_ms();
        let merge = Merge { id, into: into.id, from: from.id, actor, kept, at_ms, undone_ms: None };
        merges::merge(tx, self.tenant, (into, from), &card, &merge).await
    }

    /// Takes two contacts apart again. Both were read in this transaction.
    ///
    /// # Errors
    /// The database's own; [`StoreError::Moved`] when something changed meanwhile.
    pub async fn undo(
        &self,
        tx: &mut Tx,
        merge: &Merge,
        (into, from): (&ContactView, &ContactView),
    ) -> Result<(), StoreError> {
        self.lock(tx, &[into.id]).await?;
        self.tell(tx, into.id, None, &ContactNews::Merged).await?;
        let key = into.phone.as_deref().and_then(phone::key);
        merges::undo(tx, self.tenant, merge, (into, from), key, self.clock.now_ms()).await
    }

    async fn lock(&self, tx: &mut Tx, contacts: &[ContactId]) -> Result<(), StoreError> {
        let threads = contact_views::threads(tx, self.tenant, contacts).await?;
        let mut lanes: Vec<LaneId> = threads.iter().map(|it| it.lane).collect();
        lanes.sort_unstable();
        lanes.dedup();
        lanes::lock_turns(tx, self.tenant, &lanes).await
    }

    /// A contact as it is now, whoever asks.
    ///
    /// # Errors
    /// The database's own.
    pub async fn contact(&self, tx: &mut Tx, id: ContactId) -> Result<Option<ContactView>, StoreError> {
        contact_views::get(tx, self.tenant, Sight::All, id).await
    }
}

/// One change of a field; numbers are masked, since the log is for more eyes than the contact is.
pub fn change<T: serde::Serialize>(changes: &mut Changes, field: &str, before: &T, after: &T) {
    let hide = |value: serde_json::Value| match value {
        serde_json::Value::String(text) if field == "phone" => mask_name(&text).into(),
        other => other,
    };
    let pair = [serde_json::json!(before), serde_json::json!(after)];
    if pair[0] != pair[1] {
        changes.insert(field.to_owned(), pair.map(hide));
    }
}
