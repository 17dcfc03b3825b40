//! What a new installation begins with: a tenant, two teams, the starter rules
//! and a chat page that works at once. One transaction, safe to repeat and safe
//! when several processes start on one empty database.

use std::collections::BTreeMap;

use pointsman_rules::header::Header;
use pointsman_rules::ids::{ChannelId, GroupId, RuleId, RuleVersionId, TenantId};
use pointsman_rules::library::{Starter, starters};
use serde_json::json;

use super::channels::{self, Channel};
use super::filter::Sight;
use super::groups::{self, Group};
use super::rules::{self, Rule, Version};
use super::tenants::{self, Tenant};
use super::{StoreError, Tx};
use crate::clock::Clock;
use crate::crypto::{Keyring, hash16, random_token};

/// The groups of a new installation; the first gets the chat page. Starter rules name them.
pub const GROUPS: [&str; 2] = ["Support", "Billing"];
/// Who published the starter rules.
pub const AUTHOR: &str = "system";
const CHAT_PROVIDER: &str = "webchat";
const CHAT_NAME: &str = "Website chat";
const IDLE_END_MS: i64 = 600_000;
const CHANNELS_MAX: i64 = 1_000;

/// Everything that a new installation gets.
struct Plan {
    now_ms: i64,
    groups: Vec<Group>,
    rules: Vec<(Rule, Version)>,
    chat: Channel,
}

/// What is there now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seeded {
    /// The first tenant.
    pub tenant: TenantId,
    /// Key of the first active chat page: `/chat/{key}`.
    pub chat_key: Option<String>,
    /// Was the database empty?
    pub is_new: bool,
}

/// Draws ids and secrets.
fn plan(clock: &Clock, keyring: &Keyring) -> Plan {
    let now_ms = clock.now_ms();
    let group = |name: &str| Group {
        id: GroupId::new(now_ms, clock.random()),
        name: name.to_owned(),
        language: None,
        calendar: None,
        assignment: pointsman_rules::assign::Assignment::default(),
        targets: pointsman_rules::sla::Targets::default(),
        members: Vec::new(),
        version: 1,
        created_ms: now_ms,
    };
    let groups: Vec<Group> = GROUPS.into_iter().map(group).collect();
    let chat = chat(clock, keyring, groups.first().map(|group| group.id));
    Plan { now_ms, rules: starters().iter().map(|starter| rule(clock, starter)).collect(), groups, chat }
}

fn chat(clock: &Clock, keyring: &Keyring, group: Option<GroupId>) -> Channel {
    let now_ms = clock.now_ms();
    let id = ChannelId::new(now_ms, clock.random());
    let secrets = json!({"visitor_key": random_token(clock, "")}).to_string();
    Channel {
        id,
        provider: CHAT_PROVIDER.to_owned(),
        kind: CHAT_PROVIDER.to_owned(),
        name: CHAT_NAME.to_owned(),
        address: String::new(),
        settings: json!({}),
        secrets: keyring.seal(clock, &format!("channel:{id}"), secrets.as_bytes()),
        secrets_set: BTreeMap::from([("visitor_key".to_owned(), now_ms)]),
        hook_key: random_token(clock, ""),
        default_group: group,
        assigned_user: None,
        owner: None,
        language: None,
        active: true,
        receive_only: false,
        masked: false,
        allow_private_egress: false,
        idle_end_ms: IDLE_END_MS,
        messages_per_second: None,
        reopen_policy: json!({"policy": "reopen"}),
        state: "connected".to_owned(),
        state_reason: None,
        state_since_ms: now_ms,
        version: 1,
        created_ms: now_ms,
    }
}

fn rule(clock: &Clock, starter: &Starter) -> (Rule, Version) {
    let now_ms = clock.now_ms();
    let header = Header::parse(starter.source).unwrap_or_default();
    let (id, version) = (RuleId::new(now_ms, clock.random()), RuleVersionId::new(now_ms, clock.random()));
    let rule = Rule {
        id,
        name: header.name,
        position: header.position,
        enabled: starter.default_enabled,
        draft: None,
        cases: Some(starter.cases.to_owned()),
        published: Some(version),
        published_number: 1,
        plan: None,
        plan_problem: None,
        parked: None,
        version: 1,
        created_ms: now_ms,
        updated_ms: now_ms,
    };
    let version = Version {
        id: version,
        rule: id,
        number: 1,
        source: starter.source.to_owned(),
        author: AUTHOR.to_owned(),
        message: Some("starter rule".to_owned()),
        created_ms: now_ms,
    };
    (rule, version)
}

/// Fills an empty database; one that has a tenant is left as it is.
///
/// # Errors
/// The database's own.
pub async fn run(tx: &mut Tx, clock: &Clock, keyring: &Keyring) -> Result<Seeded, StoreError> {
    let plan = plan(clock, keyring);
    if let Some(first) = tenants::list(tx).await?.first() {
        return found(tx, first.id).await;
    }
    // The same id for everybody: of two processes that start at once, one inserts and the other waits for it.
    let tenant = TenantId::from_hash(hash16(&["tenant", "default"]));
    if !tenants::insert(tx, &Tenant { id: tenant, name: "Default".to_owned() }, plan.now_ms).await? {
        return found(tx, tenant).await;
    }
    furnish(tx, tenant, &plan).await?;
    Ok(Seeded { tenant, chat_key: Some(plan.chat.hook_key.clone()), is_new: true })
}

/// One more tenant, with what the first one begins with.
///
/// # Errors
/// The database's own.
pub async fn fill(tx: &mut Tx, clock: &Clock, keyring: &Keyring, tenant: &Tenant) -> Result<(), StoreError> {
    let plan = plan(clock, keyring);
    tenants::insert(tx, tenant, plan.now_ms).await?;
    furnish(tx, tenant.id, &plan).await
}

async fn furnish(tx: &mut Tx, tenant: TenantId, plan: &Plan) -> Result<(), StoreError> {
    for group in &plan.groups {
        groups::insert(tx, tenant, group).await?;
    }
    for (rule, version) in &plan.rules {
        rules::insert(tx, tenant, rule).await?;
        rules::insert_version(tx, tenant, version).await?;
    }
    channels::insert(tx, tenant, &plan.chat).await.map(|_| ())
}

async fn found(tx: &mut Tx, tenant: TenantId) -> Result<Seeded, StoreError> {
    let channels = channels::list(tx, tenant, Sight::All, None, CHANNELS_MAX).await?;
    let chat = channels.into_iter().find(|channel| channel.provider == CHAT_PROVIDER && channel.active);
    Ok(Seeded { tenant, chat_key: chat.map(|channel| channel.hook_key), is_new: false })
}

#[cfg(test)]
mod tests {
    use pointsman_rules::script::Script;

    use super::super::testing::each_db;
    use super::super::{Db, Durability, catalog};
    use super::*;

    async fn seed(db: &Db) -> Seeded {
        db.write(Durability::Hard, move |tx| {
            Box::pin(async move { run(tx, &Clock::system(), &Keyring::new(&[7; 32]).unwrap()).await })
        })
        .await
        .unwrap()
    }

    #[test]
    fn an_empty_database_is_filled_once_even_by_two_processes() {
        each_db(|db| async move {
            let (a, b) = tokio::join!(seed(&db), seed(&db));
            assert!(a.is_new != b.is_new, "{a:?} {b:?}");
            assert_eq!((a.tenant, a.chat_key), (b.tenant, b.chat_key.clone()));
            assert_eq!(seed(&db).await, Seeded { is_new: false, ..b.clone() });
            let mut tx = db.read().await.unwrap();
            let directory = catalog::directory(&mut tx, b.tenant).await.unwrap();
            assert_eq!(
                directory.groups.iter().map(|g| g.name.as_str()).collect::<Vec<_>>(),
                ["Billing", "Support"]
            );
            let running = catalog::published(&mut tx, b.tenant).await.unwrap();
            assert_eq!(running.len(), starters().iter().filter(|s| s.default_enabled).count());
            for rule in running {
                let script = Script::parse(&rule.source).unwrap();
                assert_eq!(script.check(&directory), [], "{} works at once", rule.name);
            }
            let hook = b.chat_key.unwrap();
            let chat = catalog::channel_by_hook(&mut tx, &hook).await.unwrap().unwrap();
            let plain =
                Keyring::new(&[7; 32]).unwrap().open(&format!("channel:{}", chat.id), &chat.secrets).unwrap();
            assert!(String::from_utf8(plain).unwrap().contains("visitor_key"));
            assert!(chat.active && directory.group("support").unwrap().id == chat.default_group.unwrap());
        });
    }
}
