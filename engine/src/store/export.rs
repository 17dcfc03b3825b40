//! Everything of a tenant as JSON objects, page by page: what people made and
//! what was said. Secrets, password hashes and webhook addresses are not among
//! the columns.

use pointsman_rules::ids::TenantId;
use serde_json::{Map, Value};

use super::{Arg, Row, StoreError, Tx};
use crate::args;

/// A column and how it is read.
#[derive(Debug, Clone, Copy)]
enum Column {
    Text(&'static str),
    Int(&'static str),
    Bool(&'static str),
    Json(&'static str),
}
use Column::{Bool, Int, Json, Text};

impl Column {
    fn name(self) -> &'static str {
        match self {
            Text(name) | Int(name) | Bool(name) | Json(name) => name,
        }
    }
}

/// One kind of line in an export.
#[derive(Debug)]
pub struct Kind {
    /// What a line says as its `type`.
    pub name: &'static str,
    table: &'static str,
    /// The first of `columns` are the key: texts or numbers.
    key: usize,
    columns: &'static [Column],
}

const fn kind(name: &'static str, table: &'static str, key: usize, columns: &'static [Column]) -> Kind {
    Kind { name, table, key, columns }
}

/// In the order of an export: configuration, people, conversations.
pub const KINDS: &[Kind] = &[
    kind(
        "user",
        "users",
        1,
        &[Text("id"), Text("email"), Text("name"), Text("role"), Int("created_ms"), Int("disabled_ms")],
    ),
    kind(
        "group",
        "groups",
        1,
        &[Text("id"), Text("name"), Text("calendar_id"), Text("language"), Int("created_ms")],
    ),
    kind("group_member", "group_members", 2, &[Text("group_id"), Text("user_id")]),
    kind("calendar", "calendars", 1, &[Text("id"), Text("name"), Json("body"), Int("created_ms")]),
    kind(
        "channel",
        "channels",
        1,
        &[
            Text("id"),
            Text("provider"),
            Text("kind"),
            Text("name"),
            Text("address"),
            Json("settings"),
            Text("default_group_id"),
            Text("assigned_user_id"),
            Text("language"),
            Bool("active"),
            Bool("receive_only"),
            Bool("masked"),
            Int("idle_end_ms"),
            Int("messages_per_second"),
            Json("reopen_policy"),
            Int("created_ms"),
            Int("deleted_ms"),
        ],
    ),
    kind(
        "assistant",
        "assistants",
        1,
        &[
            Text("id"),
            Text("plugin"),
            Text("name"),
            Json("settings"),
            Bool("active"),
            Text("instructions"),
            Json("limits"),
            Int("created_ms"),
        ],
    ),
    kind(
        "channel_assistant",
        "channel_assistants",
        1,
        &[
            Text("channel_id"),
            Text("assistant_id"),
            Bool("replies"),
            Bool("insights_at_end"),
            Text("instructions"),
            Int("tokens_per_day_max"),
            Int("cost_micros_per_day_max"),
            Int("created_ms"),
        ],
    ),
    kind("group_instructions", "group_instructions", 1, &[Text("group_id"), Text("instructions")]),
    kind(
        "knowledge",
        "knowledge",
        1,
        &[Text("id"), Text("title"), Text("body"), Int("created_ms"), Int("changed_ms")],
    ),
    kind(
        "assistant_usage",
        "assistant_usage",
        4,
        &[
            Int("day"),
            Text("channel_id"),
            Text("assistant_id"),
            Text("currency"),
            Int("runs"),
            Int("input_tokens"),
            Int("output_tokens"),
            Int("cost_micros"),
        ],
    ),
    kind(
        "template",
        "templates",
        2,
        &[
            Text("channel_id"),
            Text("id"),
            Text("name"),
            Text("language"),
            Text("category"),
            Text("status"),
            Text("body"),
            Json("slots"),
            Json("buttons"),
        ],
    ),
    kind(
        "rule",
        "rules",
        1,
        &[
            Text("id"),
            Text("name"),
            Int("position"),
            Bool("enabled"),
            Text("draft"),
            Text("cases"),
            Text("published_version_id"),
            Int("publish_ms"),
            Text("publish_author"),
            Text("publish_message"),
            Json("publish_problem"),
            Int("created_ms"),
            Int("updated_ms"),
        ],
    ),
    kind(
        "rule_version",
        "rule_versions",
        1,
        &[
            Text("id"),
            Text("rule_id"),
            Int("number"),
            Text("source"),
            Text("author"),
            Text("message"),
            Int("created_ms"),
        ],
    ),
    kind(
        "webhook",
        "webhooks",
        1,
        &[
            Text("id"),
            Text("name"),
            Text("description"),
            Text("url"),
            Json("events"),
            Bool("active"),
            Int("created_ms"),
        ],
    ),
    kind(
        "contact",
        "contacts",
        1,
        &[
            Text("id"),
            Text("name"),
            Text("phone"),
            Text("language"),
            Json("attributes"),
            Int("blocked_ms"),
            Int("created_ms"),
        ],
    ),
    kind(
        "identity",
        "identities",
        1,
        &[
            Text("id"),
            Text("contact_id"),
            Text("channel_kind"),
            Text("kind"),
            Text("value"),
            Text("address"),
            Text("phone"),
            Text("username"),
            Int("created_ms"),
        ],
    ),
    kind(
        "opt_out",
        "opt_outs",
        2,
        &[Text("contact_id"), Text("channel_kind"), Int("since_ms"), Text("source")],
    ),
    kind(
        "conversation",
        "conversations",
        1,
        &[
            Text("id"),
            Text("channel_id"),
            Text("contact_id"),
            Text("identity_id"),
            Bool("live"),
            Text("status"),
            Text("group_id"),
            Text("assignee_id"),
            Text("priority"),
            Json("labels"),
            Json("attributes"),
            Text("language"),
            Text("sentiment"),
            Text("summary"),
            Json("insights"),
            Json("ai"),
            Int("created_ms"),
            Int("last_activity_ms"),
            Int("ended_ms"),
            Int("archived_ms"),
        ],
    ),
    kind(
        "message",
        "messages",
        1,
        &[
            Text("id"),
            Text("conversation_id"),
            Text("channel_id"),
            Text("direction"),
            Text("sender_kind"),
            Text("sender_id"),
            Json("content"),
            Text("status"),
            Json("failure"),
            Text("reply_to"),
            Int("at_ms"),
            Int("created_ms"),
        ],
    ),
    kind(
        "attachment",
        "attachments",
        1,
        &[
            Text("id"),
            Text("conversation_id"),
            Text("message_id"),
            Text("family"),
            Text("content_type"),
            Text("file_name"),
            Int("size_bytes"),
            Text("state"),
            Int("created_ms"),
        ],
    ),
    kind(
        "event",
        "events",
        1,
        &[Text("id"), Text("conversation_id"), Text("channel_id"), Json("body"), Json("cause"), Int("at_ms")],
    ),
    kind(
        "audit",
        "audit",
        1,
        &[
            Text("id"),
            Int("at_ms"),
            Text("actor"),
            Text("action"),
            Text("target"),
            Json("detail"),
            Json("was"),
            Json("became"),
            Text("address"),
        ],
    ),
];

/// Lines of a kind after the one with the key `after`, in order of their keys: each with its `type`, and its key.
///
/// # Errors
/// The database's own, or a row that cannot be read.
pub async fn page(
    tx: &mut Tx,
    tenant: TenantId,
    kind: &Kind,
    after: &[String],
    rows_max: u32,
) -> Result<Vec<(Vec<String>, Value)>, StoreError> {
    let names: Vec<&str> = kind.columns.iter().map(|column| column.name()).collect();
    let key = names[..kind.key].join(", ");
    let places: Vec<String> = (0..kind.key).map(|index| format!("${}", index + 3)).collect();
    let sql = format!(
        "select {} from {} where tenant_id = $1 and ({key}) > ({}) order by {key} limit $2",
        names.join(", "),
        kind.table,
        places.join(", ")
    );
    let mut values = args![tenant, rows_max];
    for (index, column) in kind.columns.iter().take(kind.key).enumerate() {
        let given = after.get(index).map(String::as_str);
        values.push(match column {
            Int(_) => Arg::from(given.and_then(|it| it.parse().ok()).unwrap_or(i64::MIN)),
            _ => Arg::from(given.unwrap_or_default()),
        });
    }
    tx.all("export rows", &sql, values).await?.iter().map(|row| line(row, kind)).collect()
}

fn line(row: &Row, kind: &Kind) -> Result<(Vec<String>, Value), StoreError> {
    let mut c = row.columns(kind.table);
    let mut line = Map::from_iter([("type".to_owned(), Value::from(kind.name))]);
    for column in kind.columns {
        let value = match column {
            Text(name) => c.opt_text(name)?.map(Value::from),
            Int(name) => c.opt_int(name)?.map(Value::from),
            Bool(name) => Some(Value::from(c.bool(name)?)),
            Json(name) => c.opt_json(name)?,
        };
        line.insert(column.name().to_owned(), value.unwrap_or(Value::Null));
    }
    let key = kind.columns[..kind.key].iter().map(|column| match &line[column.name()] {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    });
    Ok((key.collect(), Value::Object(line)))
}

#[cfg(test)]
mod tests {
    use super::super::groups::tests::example;
    use super::super::testing::each_db;
    use super::super::{Durability, StoreError, assistant_usage, channel_assistants, groups};
    use super::*;
    use pointsman_rules::ids::{AssistantId, ChannelId, UserId};

    #[test]
    fn every_kind_can_be_read_and_pages_follow_each_other() {
        each_db(|db| async move {
            db.write(Durability::Hard, move |tx| {
                Box::pin(async move {
                    let (tenant, members) = (TenantId::new(1, 1), vec![UserId::new(1, 1), UserId::new(1, 2)]);
                    let group = groups::Group { members, ..example(1, "Support") };
                    groups::insert(tx, tenant, &group).await?;
                    channel_assistants::set_group_instructions(tx, tenant, group.id, "Be brief.").await?;
                    // Days that stand in another order as texts.
                    for day in [9, 10, 20_000] {
                        let place = assistant_usage::Place {
                            day,
                            channel: ChannelId::new(1, 1),
                            assistant: AssistantId::new(1, 1),
                        };
                        let used = assistant_usage::Used { runs: 1, ..assistant_usage::Used::default() };
                        let line = assistant_usage::Line { place, currency: "EUR".into(), used };
                        assistant_usage::add(tx, tenant, &line).await?;
                    }
                    for kind in KINDS {
                        let (mut after, mut lines) = (Vec::new(), Vec::new());
                        loop {
                            let found = page(tx, tenant, kind, &after, 1).await?;
                            let Some((key, line)) = found.into_iter().next() else { break };
                            (after, lines) = (key, [lines, vec![line]].concat());
                        }
                        let wanted = match kind.name {
                            "group" | "group_instructions" => 1,
                            "assistant_usage" => 3,
                            "group_member" => 2,
                            _ => 0,
                        };
                        assert_eq!(lines.len(), wanted, "{}", kind.name);
                        assert!(lines.iter().all(|line| line["type"] == kind.name));
                        assert!(page(tx, TenantId::new(1, 2), kind, &[], 9).await?.is_empty());
                    }
                    Ok::<_, StoreError>(())
                })
            })
            .await
            .unwrap();
        });
    }
}
