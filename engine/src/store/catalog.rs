//! What the flow room keeps in memory: channels as they run, and the names and
//! published rules of a tenant. Reading only; the configuration tables have
//! files of their own.

use pointsman_rules::facts::{AgentFacts, CalendarFacts, Directory, GroupFacts, TemplateFacts};
use pointsman_rules::ids::{ChannelId, GroupId, RuleId, RuleVersionId, TenantId, UserId};
use pointsman_rules::quota::Quotas;

use super::{Row, StoreError, Tx, webhooks};
use crate::args;

/// A channel as it is kept.
#[derive(Debug, Clone)]
pub struct ChannelRow {
    /// Whose.
    pub tenant: TenantId,
    /// Its id.
    pub id: ChannelId,
    /// Which plugin.
    pub provider: String,
    /// `whatsapp`, `sms`, …
    pub kind: String,
    /// Its display name.
    pub name: String,
    /// Our number or account.
    pub address: String,
    /// JSON object without secrets.
    pub settings: String,
    /// Sealed JSON object.
    pub secrets: String,
    /// The unguessable part of its webhook URL.
    pub hook_key: String,
    /// Team for new conversations.
    pub default_group: Option<GroupId>,
    /// Agent for new conversations.
    pub assigned_agent: Option<UserId>,
    /// BCP 47.
    pub language: Option<String>,
    /// Is it switched on?
    pub active: bool,
    /// Do we only read along?
    pub receive_only: bool,
    /// May its vendor be in a private network?
    pub allow_private_egress: bool,
    /// A chat ends after so many milliseconds without activity; 0: never.
    pub idle_end_ms: i64,
    /// Messages that may leave per second; `None`: as many as the provider says, 0: no limit.
    pub messages_per_second: Option<i64>,
    /// JSON: what happens when somebody writes to a closed conversation.
    pub reopen_policy: String,
    /// How it is doing.
    pub state: String,
    /// Was it removed? Its conversations stay.
    pub is_removed: bool,
}

const COLUMNS: &str = "tenant_id, id, provider, kind, name, address, settings, secrets, hook_key, \
    default_group_id, assigned_user_id, language, active, receive_only, allow_private_egress, idle_end_ms, \
    messages_per_second, reopen_policy, state, deleted_ms";

/// The channel with this webhook key. The only query by a key of the outside world: it finds the tenant.
///
/// # Errors
/// The database's own.
pub async fn channel_by_hook(tx: &mut Tx, hook_key: &str) -> Result<Option<ChannelRow>, StoreError> {
    let sql = format!("select {COLUMNS} from channels where hook_key = $1 and deleted_ms is null");
    tx.first("find a channel", &sql, args![hook_key]).await?.map(|row| channel_row(&row)).transpose()
}

/// One channel, also one that was removed.
///
/// # Errors
/// The database's own.
pub async fn channel(tx: &mut Tx, tenant: TenantId, id: ChannelId) -> Result<Option<ChannelRow>, StoreError> {
    let sql = format!("select {COLUMNS} from channels where tenant_id = $1 and id = $2");
    tx.first("read a channel", &sql, args![tenant, id]).await?.map(|row| channel_row(&row)).transpose()
}

fn channel_row(row: &Row) -> Result<ChannelRow, StoreError> {
    let c = &mut row.columns("channels");
    Ok(ChannelRow {
        tenant: c.id("tenant_id")?,
        id: c.id("id")?,
        provider: c.text("provider")?,
        kind: c.text("kind")?,
        name: c.text("name")?,
        address: c.text("address")?,
        settings: c.text("settings")?,
        secrets: c.text("secrets")?,
        hook_key: c.text("hook_key")?,
        default_group: c.opt_id("default_group_id")?,
        assigned_agent: c.opt_id("assigned_user_id")?,
        language: c.opt_text("language")?,
        active: c.bool("active")?,
        receive_only: c.bool("receive_only")?,
        allow_private_egress: c.bool("allow_private_egress")?,
        idle_end_ms: c.int("idle_end_ms")?,
        messages_per_second: c.opt_int("messages_per_second")?,
        reopen_policy: c.text("reopen_policy")?,
        state: c.text("state")?,
        is_removed: c.opt_int("deleted_ms")?.is_some(),
    })
}

/// Everything that rules may name; quotas are the defaults.
///
/// # Errors
/// The database's own.
pub async fn directory(tx: &mut Tx, tenant: TenantId) -> Result<Directory, StoreError> {
    Ok(Directory {
        groups: groups(tx, tenant).await?,
        agents: agents(tx, tenant).await?,
        calendars: calendars(tx, tenant).await?,
        templates: templates(tx, tenant).await?,
        webhooks: webhooks::names(tx, tenant).await?,
        quotas: Quotas::default(),
        rules: published(tx, tenant).await?.into_iter().map(|it| (it.name, it.rule)).collect(),
    })
}

async fn groups(tx: &mut Tx, tenant: TenantId) -> Result<Vec<GroupFacts>, StoreError> {
    let sql = "select id, name, calendar_id, language, assignment, targets from groups where tenant_id = $1 order by name_key";
    let rows = tx.all("read groups", sql, args![tenant]).await?;
    let mut groups = rows
        .iter()
        .map(|row| {
            let c = &mut row.columns("groups");
            Ok(GroupFacts {
                id: c.id("id")?,
                name: c.text("name")?,
                calendar: c.opt_id("calendar_id")?,
                language: c.opt_text("language")?,
                assignment: c.json("assignment")?,
                targets: c.json("targets")?,
                members: Vec::new(),
            })
        })
        .collect::<Result<Vec<_>, StoreError>>()?;
    let sql = "select group_id, user_id from group_members where tenant_id = $1 order by group_id, user_id";
    for row in tx.all("read members", sql, args![tenant]).await? {
        let c = &mut row.columns("group_members");
        let (group, user): (GroupId, UserId) = (c.id("group_id")?, c.id("user_id")?);
        if let Some(group) = groups.iter_mut().find(|it| it.id == group) {
            group.members.push(user);
        }
    }
    Ok(groups)
}

async fn agents(tx: &mut Tx, tenant: TenantId) -> Result<Vec<AgentFacts>, StoreError> {
    let sql = "select id, email, name, presence, role from users where tenant_id = $1 and disabled_ms is null order by id";
    tx.all("read agents", sql, args![tenant])
        .await?
        .iter()
        .map(|row| {
            let c = &mut row.columns("users");
            Ok(AgentFacts {
                id: c.id("id")?,
                email: c.text("email")?,
                name: c.text("name")?,
                online: c.text("presence")? == "online",
                sees_all: c.text("role")? != "agent",
            })
        })
        .collect()
}

async fn calendars(tx: &mut Tx, tenant: TenantId) -> Result<Vec<CalendarFacts>, StoreError> {
    let sql = "select id, name, body from calendars where tenant_id = $1 order by name_key";
    tx.all("read calendars", sql, args![tenant])
        .await?
        .iter()
        .map(|row| {
            let c = &mut row.columns("calendars");
            Ok(CalendarFacts { id: c.id("id")?, name: c.text("name")?, calendar: c.json("body")? })
        })
        .collect()
}

async fn templates(tx: &mut Tx, tenant: TenantId) -> Result<Vec<TemplateFacts>, StoreError> {
    let sql = "select id, channel_id, name, language, status, slots from templates where tenant_id = $1 \
               order by name, language";
    tx.all("read templates", sql, args![tenant])
        .await?
        .iter()
        .map(|row| {
            let c = &mut row.columns("templates");
            Ok(TemplateFacts {
                id: c.id("id")?,
                channel: c.id("channel_id")?,
                name: c.text("name")?,
                language: c.text("language")?,
                status: c.text("status")?,
                slots: c.json("slots")?,
            })
        })
        .collect()
}

/// A published rule.
#[derive(Debug, Clone)]
pub struct PublishedRule {
    /// Its id.
    pub rule: RuleId,
    /// The published version.
    pub version: RuleVersionId,
    /// Its name.
    pub name: String,
    /// Its script.
    pub source: String,
    /// Did its last run fail?
    pub is_ailing: bool,
}

/// The enabled, published rules of a tenant that are not parked.
///
/// # Errors
/// The database's own.
pub async fn published(tx: &mut Tx, tenant: TenantId) -> Result<Vec<PublishedRule>, StoreError> {
    let sql = "select r.id, v.id, r.name, v.source, h.failures from rules r join rule_versions v \
               on v.tenant_id = r.tenant_id and v.id = r.published_version_id left join rule_health h \
               on h.tenant_id = r.tenant_id and h.rule_id = r.id \
               where r.tenant_id = $1 and r.enabled and h.parked_ms is null order by r.id";
    tx.all("read rules", sql, args![tenant])
        .await?
        .iter()
        .map(|row| {
            let c = &mut row.columns("rules");
            Ok(PublishedRule {
                rule: c.id("id")?,
                version: c.id("version")?,
                name: c.text("name")?,
                source: c.text("source")?,
                is_ailing: c.opt_int("failures")?.is_some(),
            })
        })
        .collect()
}

/// What must be known of a template to send it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SendableTemplate {
    /// The vendor's id.
    pub vendor_id: Option<String>,
    /// `approved`, `pending`, `rejected`, `paused`, `disabled`.
    pub status: String,
    /// Keys of the slots to fill.
    pub slots: Vec<String>,
    /// The body with its holes, as the vendor gave it.
    pub body: String,
}

/// A template about to be sent.
///
/// # Errors
/// The database's own.
pub async fn sendable_template(
    tx: &mut Tx,
    tenant: TenantId,
    channel: ChannelId,
    name: &str,
    language: &str,
) -> Result<Option<SendableTemplate>, StoreError> {
    let sql = "select vendor_id, status, slots, body from templates where tenant_id = $1 and channel_id = $2 \
               and name = $3 and language = $4";
    let row = tx.first("find a template", sql, args![tenant, channel, name, language]).await?;
    row.map(|row| {
        let c = &mut row.columns("templates");
        Ok(SendableTemplate {
            vendor_id: c.opt_text("vendor_id")?,
            status: c.text("status")?,
            slots: c.json("slots")?,
            body: c.text("body")?,
        })
    })
    .transpose()
}
