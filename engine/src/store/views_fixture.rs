//! Rows for the tests of the reading files: two tenants, three agents' worth of
//! conversations, written with plain SQL so that the write side can change.

use pointsman_rules::ids::{
    ChannelId, ContactId, ConversationId, EffectId, EventId, GroupId, IdentityId, LaneId, MessageId, RuleId,
    TenantId, UserId,
};

use super::{Arg, Db, Durability};
use crate::args;

/// A moment for tests: 2025-11-21T08:00:00Z.
pub(crate) const NOW_MS: i64 = 1_763_712_000_000;

pub(crate) fn tenant(n: u128) -> TenantId {
    TenantId::new(NOW_MS, n)
}

macro_rules! made {
    ($($name:ident -> $id:ident;)*) => {$(
        pub(crate) fn $name(n: u128) -> $id { $id::new(NOW_MS, n) }
    )*};
}
made! {
    channel -> ChannelId;
    contact -> ContactId;
    identity -> IdentityId;
    conversation -> ConversationId;
    group -> GroupId;
    user -> UserId;
    rule -> RuleId;
}

/// A message's id of a moment, so that ids are in order of time.
pub(crate) fn message(at_ms: i64) -> MessageId {
    MessageId::new(NOW_MS + at_ms, 1)
}

/// An event's id of a moment.
pub(crate) fn event(at_ms: i64) -> EventId {
    EventId::new(NOW_MS + at_ms, 1)
}

pub(crate) fn effect(n: u8) -> EffectId {
    EffectId::from_hash([n; 16])
}

pub(crate) fn lane(n: u8) -> LaneId {
    LaneId::from_hash([n; 16])
}

/// Inserts one row.
pub(crate) async fn insert(db: &Db, table: &'static str, columns: &'static str, values: Vec<Arg>) {
    db.write(Durability::Soft, move |tx| {
        let values = values.clone();
        Box::pin(async move {
            let head = format!("insert into {table} ({columns})");
            tx.insert_many("add a test row", &head, vec![values], "").await
        })
    })
    .await
    .unwrap();
}

/// A conversation of a test.
#[derive(Debug, Clone)]
pub(crate) struct Thread {
    pub(crate) tenant: TenantId,
    pub(crate) n: u128,
    pub(crate) status: &'static str,
    pub(crate) live: bool,
    pub(crate) group: Option<GroupId>,
    pub(crate) assignee: Option<UserId>,
    pub(crate) labels: &'static str,
    pub(crate) activity_ms: i64,
}

impl Thread {
    pub(crate) fn new(n: u128) -> Self {
        Self {
            tenant: tenant(1),
            n,
            status: "open",
            live: true,
            group: None,
            assignee: None,
            labels: "[]",
            activity_ms: NOW_MS + i64::try_from(n).unwrap(),
        }
    }

    /// Adds it with a contact `visitor <n>` whose identity is `v_<n>`.
    pub(crate) async fn add(self, db: &Db) {
        let n = self.n;
        let name = format!("visitor {n}");
        let values = args![self.tenant, contact(n), &name, &name, None::<String>, "{}", NOW_MS];
        insert(db, "contacts", "tenant_id, id, name, name_key, phone, attributes, created_ms", values).await;
        let values = args![
            self.tenant,
            identity(n),
            contact(n),
            "webchat",
            "address",
            format!("v_{n}"),
            format!("v_{n}"),
            "webhook",
            NOW_MS
        ];
        let columns = "tenant_id, id, contact_id, channel_kind, kind, value, address, evidence, created_ms";
        insert(db, "identities", columns, values).await;
        let values = args![
            self.tenant,
            conversation(n),
            channel(1),
            contact(n),
            identity(n),
            lane(1),
            self.live,
            self.status,
            self.group,
            self.assignee,
            "normal",
            self.labels,
            r#"{"size":2}"#,
            r#"{"state":"on"}"#,
            self.activity_ms,
            0i64,
            0i64,
            0i64,
            1i64,
            Some("hello"),
            "[]",
            "{}",
            NOW_MS,
            0i64,
            1i64
        ];
        let columns = "tenant_id, id, channel_id, contact_id, identity_id, lane_id, live, status, group_id, \
            assignee_id, priority, labels, attributes, ai, last_activity_ms, inbound_count, outbound_count, \
            reopen_count, unread, preview, automatic, deadlines, created_ms, seq, version";
        insert(db, "conversations", columns, values).await;
        for label in serde_json::from_str::<Vec<String>>(self.labels).unwrap() {
            let values = args![self.tenant, conversation(n), label, self.activity_ms];
            let columns = "tenant_id, conversation_id, label, last_activity_ms";
            insert(db, "conversation_labels", columns, values).await;
        }
    }
}

/// Adds a message to conversation `n`; `at_ms` after `NOW_MS` gives its id, a tenth of it when it was stored.
pub(crate) async fn add_message(
    db: &Db,
    n: u128,
    (seq, at_ms): (i64, i64),
    (direction, sender, sender_id): (&str, &str, Option<String>),
    status: Option<&str>,
) {
    let values = args![
        tenant(1),
        message(at_ms),
        conversation(n),
        channel(1),
        seq,
        direction,
        sender,
        sender_id,
        r#"{"kind":"text","text":"hi"}"#,
        status,
        Some(format!("v_{n}:{seq}")),
        Some(effect(9)),
        NOW_MS + at_ms,
        NOW_MS + at_ms / 10
    ];
    let columns = "tenant_id, id, conversation_id, channel_id, seq, direction, sender_kind, sender_id, content, \
        status, vendor_id, effect_id, at_ms, created_ms";
    insert(db, "messages", columns, values).await;
}

/// Adds an effect that sends message `n` of conversation 1; `seq` is its place in the lane.
pub(crate) async fn add_effect(
    db: &Db,
    n: u8,
    seq: i64,
    (state, attempts): (&str, i64),
    (failure, done_ms): (Option<&str>, Option<i64>),
) {
    let values = args![
        tenant(1),
        effect(n),
        lane(1),
        channel(1),
        conversation(1),
        message(i64::from(n)),
        seq,
        "send",
        state,
        attempts,
        NOW_MS,
        failure,
        NOW_MS + i64::from(n),
        done_ms.map(|ms| NOW_MS + ms)
    ];
    let columns = "tenant_id, id, lane_id, channel_id, conversation_id, message_id, seq, kind, state, attempts, \
        next_ms, failure, created_ms, done_ms";
    insert(db, "effects", columns, values).await;
}

/// Adds an event; `n`: its conversation.
pub(crate) async fn add_event(db: &Db, n: Option<u128>, seq: i64, at_ms: i64, body: serde_json::Value) {
    let values = args![
        tenant(1),
        event(at_ms),
        n.map(conversation),
        channel(1),
        seq,
        body["type"].as_str().unwrap(),
        body.to_string(),
        r#"{"actor":{"kind":"contact"}}"#,
        NOW_MS + at_ms
    ];
    let columns = "tenant_id, id, conversation_id, channel_id, seq, type, body, cause, at_ms";
    insert(db, "events", columns, values).await;
}

/// Adds the channel of all test rows.
pub(crate) async fn add_channel(db: &Db) {
    let columns = "tenant_id, id, provider, kind, name, address, settings, secrets, secrets_set, hook_key, active, \
        receive_only, masked, allow_private_egress, idle_end_ms, reopen_policy, state, state_since_ms, version, \
        created_ms";
    let values = args![
        tenant(1),
        channel(1),
        "webchat",
        "webchat",
        "Chat",
        "us",
        "{}",
        "",
        "[]",
        "key",
        true,
        false,
        false,
        false,
        0i64,
        "{}",
        "connected",
        0i64,
        1i64,
        NOW_MS
    ];
    insert(db, "channels", columns, values).await;
}

/// Sets fields of a tenant's rows; `fields` and `which` are SQL.
pub(crate) async fn set(db: &Db, of: TenantId, table: &'static str, fields: &str, which: &str) {
    let sql = format!("update {table} set {fields} where tenant_id = $1 and {which} /* of a test */");
    db.write(Durability::Soft, move |tx| {
        let sql = sql.clone();
        Box::pin(async move { tx.execute("set test rows", &sql, args![of]).await })
    })
    .await
    .unwrap();
}

/// How many rows a tenant has in a table.
pub(crate) async fn count(db: &Db, of: TenantId, table: &'static str) -> i64 {
    count_where(db, of, table, "true").await
}

/// How many of a tenant's rows in a table are such; `which` is SQL.
pub(crate) async fn count_where(db: &Db, of: TenantId, table: &'static str, which: &str) -> i64 {
    let sql = format!("select count(*) from {table} where tenant_id = $1 and {which} /* of a test */");
    let row = db.read().await.unwrap().first("count test rows", &sql, args![of]).await.unwrap().unwrap();
    row.columns(table).int("count").unwrap()
}

/// The newest conversation of the tenant's only lane, when it is ready, and how far it is.
pub(crate) async fn only_lane(db: &Db, of: TenantId) -> (Option<ConversationId>, Option<i64>, i64) {
    let sql = "select conversation_id, ready_ms, done from lanes where tenant_id = $1 /* of a test */";
    let row = db.read().await.unwrap().first("look at a lane", sql, args![of]).await.unwrap().unwrap();
    let mut c = row.columns("lanes");
    (c.opt_id("conversation_id").unwrap(), c.opt_int("ready_ms").unwrap(), c.int("done").unwrap())
}
