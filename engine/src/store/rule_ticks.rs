//! How far the schedules of rules have come, and which conversations a tick is
//! for. The turn asks the same question again; here it only must not miss one.

use pointsman_rules::facts::{Directory, Status};
use pointsman_rules::ids::{ChannelId, ConversationId, LaneId, RuleId, TenantId};
use pointsman_rules::schedule::{Clock, Condition, Filter, OneOf};

use super::{Arg, StoreError, Tx};
use crate::args;

/// How far the schedule of a rule has come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ticks {
    /// Which rule.
    pub rule: RuleId,
    /// The schedule that this counts by.
    pub cron: String,
    /// Ticks up to this moment are over, unix milliseconds.
    pub after_ms: i64,
    /// The tick that is being given out.
    pub due_ms: Option<i64>,
    /// The last conversation that has it.
    pub cursor: Option<ConversationId>,
    /// The last tick that was given out to its end.
    pub ran_ms: Option<i64>,
    /// The last time that ticks were skipped because they came too late: the first of them.
    pub skipped_ms: Option<i64>,
}

/// All of a tenant.
///
/// # Errors
/// The database's own, or a row that cannot be read.
pub async fn list(tx: &mut Tx, tenant: TenantId) -> Result<Vec<Ticks>, StoreError> {
    let sql = "select rule_id, cron, after_ms, due_ms, cursor, ran_ms, skipped_ms from rule_ticks \
               where tenant_id = $1 order by rule_id";
    let rows = tx.all("read schedules", sql, args![tenant]).await?;
    rows.iter()
        .map(|row| {
            let c = &mut row.columns("rule_ticks");
            Ok(Ticks {
                rule: c.id("rule_id")?,
                cron: c.text("cron")?,
                after_ms: c.int("after_ms")?,
                due_ms: c.opt_int("due_ms")?,
                cursor: c.opt_id("cursor")?,
                ran_ms: c.opt_int("ran_ms")?,
                skipped_ms: c.opt_int("skipped_ms")?,
            })
        })
        .collect()
}

/// Writes how far one has come.
///
/// # Errors
/// The database's own.
pub async fn put(tx: &mut Tx, tenant: TenantId, it: &Ticks) -> Result<(), StoreError> {
    let head =
        "insert into rule_ticks (tenant_id, rule_id, cron, after_ms, due_ms, cursor, ran_ms, skipped_ms)";
    let tail = "on conflict (tenant_id, rule_id) do update set cron = excluded.cron, \
                after_ms = excluded.after_ms, due_ms = excluded.due_ms, cursor = excluded.cursor, \
                ran_ms = excluded.ran_ms, skipped_ms = excluded.skipped_ms";
    let cron = it.cron.as_str();
    let row = args![tenant, it.rule, cron, it.after_ms, it.due_ms, it.cursor, it.ran_ms, it.skipped_ms];
    tx.insert_many("write a schedule", head, vec![row], tail).await.map(|_| ())
}

/// Forgets the schedule of a rule that has none any more, or does not run.
///
/// # Errors
/// The database's own.
pub async fn forget(tx: &mut Tx, tenant: TenantId, rule: RuleId) -> Result<(), StoreError> {
    let sql = "delete from rule_ticks where tenant_id = $1 and rule_id = $2";
    tx.execute("forget a schedule", sql, args![tenant, rule]).await.map(|_| ())
}

/// A conversation that a tick is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// Which.
    pub conversation: ConversationId,
    /// Its lane.
    pub lane: LaneId,
    /// Where.
    pub channel: ChannelId,
}

/// Conversations that the filter may take, after `after`, in the order of their ids.
///
/// # Errors
/// The database's own, or a row that cannot be read.
pub async fn places(
    tx: &mut Tx,
    tenant: TenantId,
    (filter, directory): (&Filter, &Directory),
    now_ms: i64,
    after: Option<ConversationId>,
    limit: u32,
) -> Result<Vec<Place>, StoreError> {
    let mut sql = Where {
        sql: "select c.id, c.lane_id, c.channel_id from conversations c where c.tenant_id = $1".to_owned(),
        args: args![tenant],
    };
    for condition in &filter.conditions {
        sql.condition(condition, directory, now_ms);
    }
    if let Some(after) = after {
        let place = sql.bind(after.into());
        sql.and(&format!("c.id > {place}"));
    }
    let limit = sql.bind(limit.into());
    let text = format!("{} order by c.id limit {limit}", sql.sql);
    let rows = tx.all("find conversations for a tick", &text, sql.args).await?;
    rows.iter()
        .map(|row| {
            let c = &mut row.columns("conversations");
            Ok(Place { conversation: c.id("id")?, lane: c.id("lane_id")?, channel: c.id("channel_id")? })
        })
        .collect()
}

struct Where {
    sql: String,
    args: Vec<Arg>,
}

impl Where {
    fn bind(&mut self, value: Arg) -> String {
        self.args.push(value);
        format!("${}", self.args.len())
    }

    fn and(&mut self, condition: &str) {
        self.sql.push_str(" and ");
        self.sql.push_str(condition);
    }

    fn list(&mut self, values: impl Iterator<Item = String>) -> String {
        let places: Vec<String> = values.map(|value| self.bind(value.into())).collect();
        places.join(", ")
    }

    fn condition(&mut self, condition: &Condition, directory: &Directory, now_ms: i64) {
        match condition {
            // The turn decides these: they are no columns of their own.
            Condition::Ai(_) | Condition::Label(_) => {}
            Condition::Live(live) => {
                let place = self.bind((*live).into());
                self.and(&format!("c.live = {place}"));
            }
            Condition::Status(of) => {
                let closed = of.values.contains(&Status::Closed);
                if closed == of.negated {
                    self.and("c.status <> 'closed'"); // said as the index says it
                }
                let values = self.list(of.values.iter().map(|it| it.word().to_owned()));
                self.and(&format!("c.status {} ({values})", within(of)));
            }
            Condition::Priority(of) => {
                let values = self.list(of.values.iter().map(|it| it.word().to_owned()));
                self.and(&format!("c.priority {} ({values})", within(of)));
            }
            Condition::Channel(of) => {
                let values = self.list(of.values.iter().cloned());
                self.and(&format!(
                    "c.channel_id {} (select id from channels where tenant_id = $1 and (kind in ({values}) \
                     or id in ({values})))",
                    within(of)
                ));
            }
            Condition::Group(of) => {
                let ids = of.values.iter().map(|name| match name {
                    None => Some(String::new()),
                    Some(name) => directory.group(name).map(|group| group.id.to_string()),
                });
                let ids: Vec<String> = ids.flatten().collect();
                self.nullable("c.group_id", ids, of.negated);
            }
            Condition::Assignee(of) => {
                let ids = of.values.iter().map(|name| match name {
                    None => Some(String::new()),
                    Some(name) => directory.agent(name).map(|agent| agent.id.to_string()),
                });
                let ids: Vec<String> = ids.flatten().collect();
                self.nullable("c.assignee_id", ids, of.negated);
            }
            Condition::Since { clock, longer, ms } => self.since(*clock, *longer, now_ms.saturating_sub(*ms)),
        }
    }

    /// An empty id stands for none.
    fn nullable(&mut self, column: &str, ids: Vec<String>, negated: bool) {
        if ids.is_empty() {
            // Names that are not there any more: of nobody.
            self.and(if negated { "true" } else { "false" });
            return;
        }
        let not = if negated { "not in" } else { "in" };
        let has_none = ids.iter().any(String::is_empty);
        let values = self.list(ids.into_iter());
        if has_none || negated {
            self.and(&format!("coalesce({column}, '') {not} ({values})"));
        } else {
            self.and(&format!("{column} in ({values})"));
        }
    }

    fn since(&mut self, clock: Clock, longer: bool, at_ms: i64) {
        let place = self.bind(at_ms.into());
        let sign = if longer { "<" } else { ">" };
        match clock {
            Clock::Waiting => self.and(&format!("c.waiting_since_ms {sign} {place}")),
            Clock::OpenFor => self.and(&format!("c.opened_ms {sign} {place}")),
            Clock::Idle => {
                let joint = if longer { "and" } else { "or" };
                self.and(&format!(
                    "(c.created_ms {sign} {place} {joint} \
                     coalesce(c.last_inbound_ms, c.created_ms) {sign} {place} {joint} \
                     coalesce(c.last_outbound_ms, c.created_ms) {sign} {place})"
                ));
            }
        }
    }
}

fn within<T>(of: &OneOf<T>) -> &'static str {
    if of.negated { "not in" } else { "in" }
}

#[cfg(test)]
mod tests {
    use super::super::Durability;
    use super::super::testing::each_db;
    use super::super::views_fixture::{NOW_MS, Thread, add_channel, conversation, group, set, tenant};
    use super::*;

    #[test]
    fn a_schedule_comes_as_far_as_it_was_written() {
        each_db(|db| async move {
            db.write(Durability::Hard, move |tx| {
                Box::pin(async move {
                    let (tenant, rule) = (TenantId::new(1, 1), RuleId::new(1, 1));
                    let cron = "0 9 * * * UTC".to_owned();
                    let new = Ticks {
                        rule,
                        cron,
                        after_ms: 5,
                        due_ms: None,
                        cursor: None,
                        ran_ms: None,
                        skipped_ms: None,
                    };
                    put(tx, tenant, &new).await?;
                    let half = Ticks {
                        due_ms: Some(9),
                        cursor: Some(ConversationId::new(1, 3)),
                        ran_ms: Some(7),
                        skipped_ms: Some(6),
                        ..new
                    };
                    put(tx, tenant, &half).await?;
                    assert_eq!(list(tx, tenant).await?, [half]);
                    forget(tx, tenant, rule).await?;
                    assert!(list(tx, tenant).await?.is_empty());
                    Ok::<_, StoreError>(())
                })
            })
            .await
            .unwrap();
        });
    }

    fn directory() -> Directory {
        let team = |n, name: &str| pointsman_rules::facts::GroupFacts {
            id: group(n),
            name: name.into(),
            members: vec![],
            calendar: None,
            language: None,
            assignment: pointsman_rules::assign::Assignment::default(),
            targets: pointsman_rules::sla::Targets::default(),
        };
        Directory { groups: vec![team(1, "Billing"), team(2, "Support")], ..Directory::default() }
    }

    #[test]
    fn a_filter_finds_what_the_turn_would_take() {
        each_db(|db| async move {
            let billing = Some(group(1));
            Thread { group: billing, ..Thread::new(1) }.add(&db).await;
            Thread { status: "closed", live: false, group: billing, ..Thread::new(2) }.add(&db).await;
            Thread { status: "pending", ..Thread::new(3) }.add(&db).await;
            add_channel(&db).await;
            let waits = format!("waiting_since_ms = {}", NOW_MS - 60_000);
            let third = format!("id = '{}'", conversation(3));
            set(&db, tenant(1), "conversations", &waits, &third).await;
            let directory = directory();
            let cases: [(&str, &[u128]); 12] = [
                ("status != closed", &[1, 3]),
                ("status in (open, closed)", &[1, 2]),
                ("status = closed", &[2]),
                ("live = false", &[2]),
                ("group = \"Billing\"", &[1, 2]),
                ("group = none", &[3]),
                ("group in (none, \"Billing\")", &[1, 2, 3]),
                ("group != \"Billing\"", &[3]),
                ("channel = webchat and priority = normal", &[1, 2, 3]),
                ("channel != webchat", &[]),
                ("waiting > 30s", &[3]),
                ("waiting < 30s", &[]),
            ];
            let tx = &mut db.read().await.unwrap();
            for (text, wanted) in cases {
                let filter = Filter::parse(text, 1, 1).unwrap();
                let found = places(tx, tenant(1), (&filter, &directory), NOW_MS, None, 9).await.unwrap();
                let found: Vec<_> = found.iter().map(|it| it.conversation).collect();
                assert_eq!(found, wanted.iter().map(|n| conversation(*n)).collect::<Vec<_>>(), "{text}");
            }
            let all = Filter::default();
            let of = (&all, &directory);
            let first = places(tx, tenant(1), of, NOW_MS, None, 1).await.unwrap();
            let rest = places(tx, tenant(1), of, NOW_MS, Some(first[0].conversation), 9).await.unwrap();
            assert_eq!(rest[0].conversation, conversation(3), "pages follow each other");
            assert!(places(tx, tenant(2), of, NOW_MS, None, 9).await.unwrap().is_empty());
        });
    }
}
