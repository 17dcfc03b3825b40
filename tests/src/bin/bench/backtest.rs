//! A rule's text against a hundred thousand stored events, with a version to
//! compare with. The rows are written into the database file while the server is
//! down; what is measured is the backtest, from the call to its last page.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use pointsman_tests::{Backend, Server, Twilio, Vendor, eventually};
use serde_json::{Value, json};
use sqlx::{Connection as _, Executor as _, SqliteConnection};

/// Events of one conversation, on average: a message, what it changed, an answer.
const EVENTS_PER_CONVERSATION: u64 = 5;
/// What a hundred thousand events may take, seconds.
const TARGET_S: f64 = 60.0;
/// A backtest takes longer than a story waits when something is wrong.
const WAIT_MAX: Duration = Duration::from_secs(1_200);

const RULE: &str = "//! Tried\n//! on: message.received\n\n\
    if message.text.contains_any([\"refund\", \"invoice\"]) {\n    set_priority(\"high\");\n}\n";

/// Fills a database with events and times a backtest on them.
pub(crate) async fn measure(events: u64) -> Result<Value> {
    let mut server = Server::start(Backend::Sqlite).await?;
    let vendor = Vendor::start().await?;
    Twilio::connect(&server, &vendor).await?;
    let api = server.api()?;
    let made = api.post("/api/v1/rules", json!({"source": RULE})).await?.expect(201)?;
    let rule = made["id"].as_str().context("an id")?.to_owned();
    server.kill().await?;
    let file = server.data().join("pointsman.db");
    let mut db = SqliteConnection::connect(&format!("sqlite://{}", file.display())).await?;
    eprintln!("  filling in {events} events");
    let now_ms = made["created_at"].as_str().context("a time")?.parse::<jiff::Timestamp>()?.as_millisecond();
    for statement in fill(events, now_ms - 3_600_000) {
        db.execute(sqlx::AssertSqlSafe(statement)).await?;
    }
    db.close().await?;
    server.restart().await?;
    let api = server.api()?;
    let draft = json!({"days": 1, "source": RULE.replace("invoice", "hello")});
    let start = Instant::now();
    let begun = api.post(&format!("/api/v1/rules/{rule}/backtest"), draft).await?.expect(202)?;
    let path = format!("/api/v1/backtests/{}", begun["id"].as_str().context("an id")?);
    let done = eventually("the backtest ends", WAIT_MAX, || async {
        let row = api.get(&path).await?.expect(200)?;
        Ok((row["state"] != "running").then_some(row))
    })
    .await?;
    let seconds = start.elapsed().as_secs_f64();
    ensure!(done["state"] == "done", "{done}");
    ensure!(vendor.sent().is_empty(), "a backtest sent something");
    Ok(json!({"seconds": seconds, "counts": done["counts"], "events_total": done["events_total"]}))
}

/// Conversations of five events each; the time leads the ids, so that they sort as they were made.
fn fill(events: u64, from_ms: i64) -> Vec<String> {
    let conversations = events / EVENTS_PER_CONVERSATION;
    let numbers = |count: u64| {
        format!("with recursive n(i) as (select 1 union all select i + 1 from n where i <= {count} - 1)")
    };
    let tenant = "(select id from tenants limit 1)";
    let channel = "(select id from channels where kind = 'whatsapp' limit 1)";
    // Ten letters of an id are its time: all rows share that of the first moment.
    let time = time_of_id(from_ms);
    let of = format!("printf('cnv_{time}%016d', (i - 1) / {EVENTS_PER_CONVERSATION} + 1)");
    let first = format!("i % {EVENTS_PER_CONVERSATION} = 1");
    vec![
        "pragma synchronous = off".to_owned(),
        format!(
            "insert into contacts (tenant_id, id, name, attributes, created_ms) {} select {tenant}, \
             printf('cnt_{time}%016d', i), 'visitor ' || i, '{{}}', {from_ms} from n",
            numbers(conversations)
        ),
        format!(
            "insert into identities (tenant_id, id, contact_id, channel_kind, kind, value, address, evidence, created_ms) {} \
             select {tenant}, printf('idn_{time}%016d', i), printf('cnt_{time}%016d', i), 'whatsapp', 'address', \
             'v' || i, 'v' || i, 'webhook', {from_ms} from n",
            numbers(conversations)
        ),
        format!(
            "insert into conversations (tenant_id, id, channel_id, contact_id, identity_id, lane_id, live, status, \
             priority, labels, attributes, ai, last_activity_ms, inbound_count, outbound_count, reopen_count, unread, \
             automatic, deadlines, created_ms, seq, version) {} select {tenant}, printf('cnv_{time}%016d', i), {channel}, \
             printf('cnt_{time}%016d', i), printf('idn_{time}%016d', i), printf('lan_{time}%016d', i), false, 'closed', \
             'normal', '[]', '{{}}', '{{\"state\":\"off\"}}', {from_ms}, 1, 0, 0, 0, '[]', '{{}}', {from_ms}, 9, 1 from n",
            numbers(conversations)
        ),
        format!(
            "insert into messages (tenant_id, id, conversation_id, channel_id, seq, direction, sender_kind, content, \
             at_ms, created_ms) {} select {tenant}, printf('msg_{time}%016d', i), {of}, {channel}, i, 'inbound', \
             'contact', '{{\"kind\":\"text\",\"text\":\"hello, where is my refund?\"}}', {from_ms} + i, {from_ms} + i \
             from n where {first}",
            numbers(events)
        ),
        format!(
            "insert into events (tenant_id, id, conversation_id, channel_id, seq, type, body, cause, at_ms) {} \
             select {tenant}, printf('evt_{time}%016d', i), {of}, {channel}, i, \
             case when {first} then 'message.received' else 'conversation.updated' end, \
             case when {first} then json_object('type', 'message.received', 'message', printf('msg_{time}%016d', i)) \
             else '{{\"type\":\"conversation.updated\",\"changes\":{{\"labels\":[[],[\"a\"]]}}}}' end, \
             '{{\"actor\":{{\"kind\":\"contact\"}}}}', {from_ms} + i from n",
            numbers(events)
        ),
    ]
}

/// The ten letters of Crockford's base 32 that an id begins with.
fn time_of_id(at_ms: i64) -> String {
    const LETTERS: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
    let at_ms = at_ms.unsigned_abs();
    let letter = |place: u32| LETTERS.get((at_ms >> (place * 5) & 31) as usize).copied().unwrap_or(b'0');
    (0..10).rev().map(|place| char::from(letter(place))).collect()
}

/// For people.
pub(crate) fn table(result: &Value) -> String {
    let (seconds, events) =
        (result["seconds"].as_f64().unwrap_or(0.0), result["counts"]["events"].as_f64().unwrap_or(0.0));
    let mark = if seconds / events.max(1.0) * 100_000.0 > TARGET_S { " (missed)" } else { "" };
    format!(
        "backtest: {events} events in {seconds:.1} s, {:.0} events/s; target 100,000 in {TARGET_S} s{mark}\n",
        events / seconds.max(f64::EPSILON)
    )
}
