//! Order: a thousand lanes, eight workers, webhooks that come twice and
//! callbacks in any order. Per lane everything must stay exactly in order.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use futures_util::StreamExt;
use pointsman_tests::{Backend, Callbacks, Dice, Server, Setup, eventually};

use crate::{SOON, Scene, id, messages, texts};

const LANES: u64 = 1_000;
/// Below the quota of automatic messages per conversation (10 in 10 minutes).
const MESSAGES_PER_LANE: u64 = 4;
/// Webhooks on their way at the same time.
const SENDERS: usize = 64;
/// One webhook in this many per cent is delivered twice at the same time.
const DUPLICATES_PERCENT: u64 = 10;
/// A debug build on two busy cores needs minutes.
const LIMIT: Duration = Duration::from_secs(900);
/// Time for the engine to work off everything after the last webhook.
const WORK_OFF_LIMIT: Duration = Duration::from_secs(300);
/// How long a server is watched for work that nobody gave it.
const WATCHED: Duration = Duration::from_secs(1);
/// Commits of a server at rest in that time: its duties look round now and then.
const COMMITS_AT_REST_MAX: f64 = 20.0;

pointsman_tests::each_backend!(a_redelivered_message_leaves_nothing_to_do);

#[test]
fn a_thousand_lanes_stay_in_order_on_sqlite() {
    pointsman_tests::backend::run_within(LIMIT, Backend::Sqlite, a_thousand_lanes_stay_in_order);
}

#[test]
fn a_thousand_lanes_stay_in_order_on_postgres() {
    pointsman_tests::backend::run_within(LIMIT, Backend::Postgres, a_thousand_lanes_stay_in_order);
}

fn phone(lane: u64) -> String {
    format!("+3462{lane:07}")
}

async fn a_thousand_lanes_stay_in_order(backend: Backend) -> Result<()> {
    let mut dice = Dice::from_environment("lanes");
    let setup = Setup::new(backend)?.env("POINTSMAN_WORKER__CONCURRENCY", "8");
    let scene = Arc::new(Scene::with_echo(setup.start().await?).await?);
    scene.vendor.call_back(Callbacks::Shuffled(dice.bits()));
    let plans: Vec<(u64, Dice)> = (0..LANES).map(|lane| (lane, dice.fork())).collect();
    let results: Vec<Result<()>> = futures_util::stream::iter(plans)
        .map(|(lane, dice)| write_lane(Arc::clone(&scene), lane, dice))
        .buffer_unordered(SENDERS)
        .collect()
        .await;
    results.into_iter().collect::<Result<()>>()?;

    let expected = usize::try_from(LANES * MESSAGES_PER_LANE)?;
    eventually("every message is answered", WORK_OFF_LIMIT, || async {
        let accepted = scene.vendor.accepted_count();
        ensure!(accepted >= expected, "{accepted} of {expected}");
        Ok(Some(()))
    })
    .await?;
    let mut per_lane: HashMap<String, Vec<String>> = HashMap::new();
    for sent in scene.vendor.accepted() {
        per_lane.entry(sent.field("To").to_owned()).or_default().push(sent.field("Body").to_owned());
    }
    let echoes: Vec<String> = (0..MESSAGES_PER_LANE).map(|number| format!("echo n{number}")).collect();
    for lane in 0..LANES {
        let address = scene.twilio.address(&phone(lane));
        ensure!(per_lane.get(&address) == Some(&echoes), "{address}: {:?}", per_lane.get(&address));
    }
    ensure!(per_lane.len() == usize::try_from(LANES)?, "{} customers were written to", per_lane.len());
    the_api_shows_the_same(&scene, &echoes).await
}

/// Writes one lane's messages: each waits for the acknowledgement of the one before, as the vendor does.
async fn write_lane(scene: Arc<Scene>, lane: u64, mut dice: Dice) -> Result<()> {
    for number in 0..MESSAGES_PER_LANE {
        let sid = lane * MESSAGES_PER_LANE + number + 1;
        let (phone, text) = (phone(lane), format!("n{number}"));
        let first = scene.hear(&phone, sid, &text);
        if dice.chance(DUPLICATES_PERCENT) {
            let (first, second) = tokio::join!(first, scene.hear(&phone, sid, &text));
            first?;
            second?;
        } else {
            first.await?;
        }
    }
    Ok(())
}

async fn the_api_shows_the_same(scene: &Scene, echoes: &[String]) -> Result<()> {
    let conversations =
        scene.api.list(&format!("/api/v1/conversations?channel={}", scene.twilio.channel)).await?;
    ensure!(conversations.len() == usize::try_from(LANES)?, "{} conversations", conversations.len());
    let written: Vec<String> = (0..MESSAGES_PER_LANE).map(|number| format!("n{number}")).collect();
    for conversation in &conversations {
        let rows = eventually("every callback is applied", WORK_OFF_LIMIT, || async {
            let rows = messages(&scene.api, id(conversation)?).await?;
            let mut outbound = rows.iter().filter(|row| row["direction"] == "outbound");
            ensure!(outbound.all(|row| row["status"] == "read"), "not read: {rows:?}");
            Ok(Some(rows))
        })
        .await?;
        ensure!(texts(&rows, "inbound") == written, "{rows:?}");
        ensure!(texts(&rows, "outbound") == echoes, "{rows:?}");
    }
    Ok(())
}

/// A redelivery draws a number in its lane and is dropped; the lane must not look for it for ever.
async fn a_redelivered_message_leaves_nothing_to_do(backend: Backend) -> Result<()> {
    let scene = Scene::with_echo(Server::start(backend).await?).await?;
    let phone = phone(1);
    scene.hear(&phone, 1, "hello").await?;
    scene.outbound(&phone, "echo hello", &["sent", "delivered"]).await?;
    scene.hear(&phone, 1, "hello").await?;
    let commits = || async {
        let metrics = scene.server.metrics().await?;
        metrics.sum("pointsman_sql_commits_total").context("commits are not counted")
    };
    eventually("the server is at rest", SOON, || async {
        let before = commits().await?;
        tokio::time::sleep(WATCHED).await;
        let made = commits().await? - before;
        ensure!(made <= COMMITS_AT_REST_MAX, "{made} commits in {WATCHED:?}");
        Ok(Some(()))
    })
    .await
}
