//! What an empty database begins with: a tenant with two teams, the starter
//! rules and a chat channel, so that a first customer can write at once.

use pointsman_rules::ids::{ChannelId, GroupId, RuleId, RuleVersionId, TenantId};
use pointsman_rules::library::starters;
use pointsman_rules::script::Script;
use serde_json::json;

use super::groups::{self, Group};
use super::{StoreError, Tx, channels, tenants};
use crate::args;
use crate::clock::Clock;
use crate::crypto::{Keyring, random_token};

/// Kind and provider of the channel that has a chat page of ours.
const CHAT: &str = "webchat";
/// A chat ends after ten minutes without activity.
const IDLE_END_MS: i64 = 600_000;

/// What there is after seeding.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seeded {
    /// The first tenant.
    pub tenant: TenantId,
    /// The key of its first active chat page.
    pub chat_key: Option<String>,
}

/// Fills an empty database; does nothing to one that has a tenant.
///
/// # Errors
/// The database's own.
pub async fn run(tx: &mut Tx, clock: &Clock, keyring: &Keyring) -> Result<Seeded, StoreError> {
    if let Some(tenant) = tenants::list(tx).await?.first() {
        return Ok(Seeded { tenant: tenant.id, chat_key: chat_key(tx, tenant.id).await? });
    }
    let now_ms = clock.now_ms();
    let tenant = tenants::Tenant { id: TenantId::new(now_ms, clock.random()), name: "Default".to_owned() };
    tenants::insert(tx, &tenant, now_ms).await?;
    let support = add_group(tx, tenant.id, clock, "Support").await?;
    add_group(tx, tenant.id, clock, "Billing").await?;
    add_rules(tx, tenant.id, clock).await?;
    let chat_key = add_chat(tx, tenant.id, clock, keyring, support).await?;
    Ok(Seeded { tenant: tenant.id, chat_key: Some(chat_key) })
}

async fn chat_key(tx: &mut Tx, tenant: TenantId) -> Result<Option<String>, StoreError> {
    let sql = "select hook_key from channels where tenant_id = $1 and kind = $2 and active and deleted_ms is null \
               order by id";
    tx.first("find the chat page", sql, args![tenant, CHAT])
        .await?
        .map(|row| row.columns("channels").text("hook_key"))
        .transpose()
}

async fn add_group(tx: &mut Tx, tenant: TenantId, clock: &Clock, name: &str) -> Result<GroupId, StoreError> {
    let created_ms = clock.now_ms();
    let id = GroupId::new(created_ms, clock.random());
    let group =
        Group { id, name: name.to_owned(), language: None, members: Vec::new(), version: 1, created_ms };
    groups::insert(tx, tenant, &group).await?;
    Ok(id)
}

async fn add_rules(tx: &mut Tx, tenant: TenantId, clock: &Clock) -> Result<(), StoreError> {
    let now_ms = clock.now_ms();
    for starter in starters() {
        let script = Script::parse(starter.source).map_err(|problems| StoreError::BadRow {
            table: "rules",
            column: "source",
            reason: problems.first().map(ToString::to_string).unwrap_or_default(),
        })?;
        let header = script.header();
        let (rule, version) =
            (RuleId::new(now_ms, clock.random()), RuleVersionId::new(now_ms, clock.random()));
        let sql = "insert into rules (tenant_id, id, name, position, enabled, cases, published_version_id, \
                   published_number, version, created_ms, updated_ms) \
                   values ($1, $2, $3, $4, $5, $6, $7, 1, 1, $8, $8)";
        let args = args![
            tenant,
            rule,
            header.name.as_str(),
            header.position,
            starter.default_enabled,
            starter.cases,
            version,
            now_ms
        ];
        tx.execute("add a starter rule", sql, args).await?;
        let sql = "insert into rule_versions (tenant_id, id, rule_id, number, source, author, message, created_ms) \
                   values ($1, $2, $3, 1, $4, 'pointsman', 'starter rule', $5)";
        tx.execute("publish a starter rule", sql, args![tenant, version, rule, starter.source, now_ms])
            .await?;
    }
    Ok(())
}

async fn add_chat(
    tx: &mut Tx,
    tenant: TenantId,
    clock: &Clock,
    keyring: &Keyring,
    group: GroupId,
) -> Result<String, StoreError> {
    let now_ms = clock.now_ms();
    let id = ChannelId::new(now_ms, clock.random());
    let secrets = json!({ "visitor_key": random_token(clock, "") }).to_string();
    let hook_key = random_token(clock, "");
    let channel = channels::Channel {
        id,
        provider: CHAT.to_owned(),
        kind: CHAT.to_owned(),
        name: "Website chat".to_owned(),
        address: CHAT.to_owned(),
        settings: json!({}),
        secrets: keyring.seal(clock, &format!("channel:{id}"), secrets.as_bytes()),
        secrets_set: [("visitor_key".to_owned(), now_ms)].into(),
        hook_key: hook_key.clone(),
        default_group: Some(group),
        assigned_user: None,
        owner: None,
        language: Some("en".to_owned()),
        active: true,
        receive_only: false,
        masked: false,
        allow_private_egress: false,
        idle_end_ms: IDLE_END_MS,
        reopen_policy: json!({ "policy": "reopen" }),
        state: "connected".to_owned(),
        state_reason: None,
        state_since_ms: now_ms,
        version: 1,
        created_ms: now_ms,
    };
    channels::insert(tx, tenant, &channel).await?;
    Ok(hook_key)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::testing::each_db;
    use crate::store::{Durability, catalog};

    #[test]
    fn an_empty_database_is_filled_once() {
        each_db(|db| async move {
            let clock = Clock::system();
            let keyring = Keyring::new(&[1; 32]).unwrap();
            let seed = || {
                let (clock, keyring) = (clock.clone(), keyring.clone());
                db.write(Durability::Hard, move |tx| {
                    let (clock, keyring) = (clock.clone(), keyring.clone());
                    Box::pin(async move { run(tx, &clock, &keyring).await })
                })
            };
            let first = seed().await.unwrap();
            assert_eq!(seed().await.unwrap(), first, "the second start changes nothing");
            let tx = &mut db.read().await.unwrap();
            let directory = catalog::directory(tx, first.tenant).await.unwrap();
            let names: Vec<&str> = directory.groups.iter().map(|group| group.name.as_str()).collect();
            assert_eq!(names, ["Billing", "Support"]);
            let enabled = starters().iter().filter(|starter| starter.default_enabled).count();
            assert_eq!(catalog::published(tx, first.tenant).await.unwrap().len(), enabled);
            let key = first.chat_key.unwrap();
            let channel = catalog::channel_by_hook(tx, &key).await.unwrap().unwrap();
            let secrets = crate::flow::catalog::open_secrets(&keyring, channel.id, &channel.secrets).unwrap();
            assert!(secrets.contains_key("visitor_key"));
        });
    }
}
