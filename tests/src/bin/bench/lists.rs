//! Lists in a tenant with a million conversations, and the timeline of one with
//! a hundred thousand messages. The rows are written into the database file while
//! the server is down; what is measured is the API.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use pointsman_tests::{Api, Backend, Server};
use serde_json::{Value, json};
use sqlx::{Connection as _, Executor as _, SqliteConnection};

/// Conversations of the tenant; one in five hundred goes on, the rest is over.
const CONVERSATIONS: u64 = 1_000_000;
/// Messages, and as many events, of the first of them.
const MESSAGES: u64 = 100_000;
/// Calls of each list.
const CALLS: usize = 40;
/// What a list may take, milliseconds.
const TARGET_MS: f64 = 50.0;
/// A call may take longer than a story's when something is wrong.
const CALL_MAX: Duration = Duration::from_secs(30);

/// Milliseconds at the median and the 95th percentile, by list.
pub(crate) type Times = BTreeMap<String, (f64, f64)>;

/// Fills a database and times its lists.
pub(crate) async fn measure() -> Result<Times> {
    let mut server = Server::start(Backend::Sqlite).await?;
    let api = server.api()?;
    let group = api.find("/api/v1/groups", "name", "Support").await?;
    let group = group["id"].as_str().context("a group")?.to_owned();
    let agent = json!({"email": "ana@example.com", "name": "Ana", "role": "agent"});
    let agent = api.post("/api/v1/users", agent).await?.expect(201)?["id"].as_str().context("id")?.to_owned();
    let members = json!({"members": [agent]});
    api.patch(&format!("/api/v1/groups/{group}"), members).await?.expect(200)?;
    let key = json!({"name": "agent", "role": "agent"});
    let key = api.post("/api/v1/api-keys", key).await?.expect(201)?;
    server.kill().await?;
    let file = server.data().join("pointsman.db");
    let mut db = SqliteConnection::connect(&format!("sqlite://{}", file.display())).await?;
    eprintln!("  filling in {CONVERSATIONS} conversations and {MESSAGES} messages");
    for statement in fill(&group, &agent) {
        db.execute(sqlx::AssertSqlSafe(statement)).await?;
    }
    db.close().await?;
    server.restart().await?;
    let owner = server.api()?;
    let agent_key = owner.with_key(key["key"].as_str());
    let mut times = Times::new();
    let first = "/api/v1/conversations/cnv_01k00000000000000000000001";
    let all = "/api/v1/conversations?limit=50".to_owned();
    for (name, api, path) in [
        ("all cases", &owner, all.clone()),
        ("live chats", &owner, format!("{all}&live=true")),
        ("closed cases", &owner, format!("{all}&status=closed&live=false")),
        ("on hold (none)", &owner, format!("{all}&status=on_hold")),
        ("a group's", &owner, format!("{all}&group={group}")),
        ("an agent's own", &owner, format!("{all}&assignee={agent}")),
        ("what an agent's program sees", &agent_key, all.clone()),
        ("its live chats", &agent_key, format!("{all}&live=true")),
        ("newest messages", &owner, format!("{first}/messages?limit=50")),
        ("timeline", &owner, format!("{first}/timeline?limit=50")),
    ] {
        times.insert(name.to_owned(), time(api, &path).await?);
    }
    times.insert("page after page, 2,000 rows".to_owned(), pages(&owner, &all, CALLS).await?);
    times.insert(
        "messages, page after page".to_owned(),
        pages(&owner, &format!("{first}/messages?limit=50"), CALLS).await?,
    );
    Ok(times)
}

/// The rows: ids count up, so that they sort as they were made. Every second conversation is the group's, every tenth
/// the agent's.
fn fill(group: &str, agent: &str) -> Vec<String> {
    let numbers = |count: u64| {
        format!("with recursive n(i) as (select 1 union all select i + 1 from n where i < {count})")
    };
    let tenant = "(select id from tenants limit 1)";
    let channel = "(select id from channels limit 1)";
    vec![
        "pragma synchronous = off".to_owned(),
        format!(
            "insert into conversations (tenant_id, id, channel_id, contact_id, identity_id, lane_id, live, status, \
             group_id, assignee_id, priority, labels, attributes, ai, last_activity_ms, inbound_count, outbound_count, \
             reopen_count, unread, automatic, deadlines, created_ms, seq, version) {} \
             select {tenant}, printf('cnv_01k%023d', i), {channel}, printf('cnt_01k%023d', i), \
             printf('idn_01k%023d', i), printf('lan_01k%023d', i), i % 500 = 0, \
             case when i % 500 = 0 then 'open' else 'closed' end, case when i % 2 = 0 then '{group}' end, \
             case when i % 10 = 0 then '{agent}' end, 'normal', '[]', '{{}}', '{{\"state\":\"off\"}}', \
             1700000000000 + i, 1, 1, 0, 0, '[]', '{{}}', 1700000000000 + i, 1, 1 from n",
            numbers(CONVERSATIONS)
        ),
        format!(
            "insert into messages (tenant_id, id, conversation_id, channel_id, seq, direction, sender_kind, content, \
             at_ms, created_ms) {} select {tenant}, printf('msg_01k%023d', i), 'cnv_01k00000000000000000000001', \
             {channel}, i * 2, 'inbound', 'contact', '{{\"kind\":\"text\",\"text\":\"hello\"}}', 1700000000000 + i, \
             1700000000000 + i from n",
            numbers(MESSAGES)
        ),
        format!(
            "insert into events (tenant_id, id, conversation_id, channel_id, seq, type, body, cause, at_ms) {} \
             select {tenant}, printf('evt_01k%023d', i), 'cnv_01k00000000000000000000001', {channel}, i * 2 + 1, \
             'message.received', json_object('type', 'message.received', 'message', printf('msg_01k%023d', i)), \
             '{{\"actor\":{{\"kind\":\"contact\"}}}}', 1700000000000 + i from n",
            numbers(MESSAGES)
        ),
    ]
}

async fn time(api: &Api, path: &str) -> Result<(f64, f64)> {
    api.get(path).await?.expect(200)?; // caches are warm
    let mut took = Vec::with_capacity(CALLS);
    for _ in 0..CALLS {
        let start = Instant::now();
        tokio::time::timeout(CALL_MAX, api.get(path))
            .await
            .context("too slow to be measured")??
            .expect(200)?;
        took.push(start.elapsed());
    }
    Ok(percentiles(took))
}

async fn pages(api: &Api, path: &str, count: usize) -> Result<(f64, f64)> {
    let (mut took, mut cursor) = (Vec::with_capacity(count), String::new());
    for _ in 0..count {
        let start = Instant::now();
        let page = api.get(&format!("{path}{cursor}")).await?.expect(200)?;
        took.push(start.elapsed());
        let Some(next) = page["next"].as_str() else { break };
        cursor = format!("&cursor={next}");
    }
    Ok(percentiles(took))
}

fn percentiles(mut took: Vec<Duration>) -> (f64, f64) {
    took.sort_unstable();
    let at = |percent: usize| {
        let index = (took.len() * percent).div_ceil(100).saturating_sub(1);
        took.get(index).map_or(0.0, |time| time.as_secs_f64() * 1000.0)
    };
    (at(50), at(95))
}

/// For people.
pub(crate) fn table(times: &Times) -> String {
    let mut text = format!(
        "lists among {CONVERSATIONS} conversations, one with {MESSAGES} messages; target {TARGET_MS} ms\n\n\
         | list | p50 ms | p95 ms |\n|---|---|---|\n"
    );
    for (name, (p50, p95)) in times {
        let mark = if *p95 > TARGET_MS { " (missed)" } else { "" };
        // Writing into a text cannot fail.
        let _ = writeln!(text, "| {name} | {p50:.1} | {p95:.1}{mark} |");
    }
    text
}

/// For machines.
pub(crate) fn json(times: &Times) -> Value {
    times.iter().map(|(name, (p50, p95))| (name.clone(), json!({"p50_ms": p50, "p95_ms": p95}))).collect()
}
