//! The vendor misbehaves: late, 429, 503, cut connections, a revoked token.
//! Nothing may be lost, and nothing may be sent twice that could have arrived.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use pointsman_tests::{Backend, Dice, Fault, Server, each_backend, eventually};
use serde_json::json;

use crate::{SOON, Scene, id, messages, texts};

each_backend!(
    a_rate_limit_is_waited_for_and_the_order_kept,
    a_refused_message_is_sent_again_as_the_same_message,
    a_failed_message_can_be_deleted,
    an_unclear_outcome_is_unknown_and_not_repeated,
    a_slow_vendor_holds_up_only_its_own_lane,
    a_random_mix_of_faults_loses_nothing,
);

const CUSTOMER: &str = "+34600000003";

async fn a_rate_limit_is_waited_for_and_the_order_kept(backend: Backend) -> Result<()> {
    let scene = Scene::with_echo(Server::start(backend).await?).await?;
    scene.vendor.fail_next([Fault::RateLimited(2), Fault::RateLimited(1)]);
    for number in 1..4 {
        scene.hear(CUSTOMER, number, &format!("n{number}")).await?;
    }
    scene.accepted(3).await?;
    let sent = scene.vendor.sent();
    ensure!(sent[1].at - sent[0].at >= Duration::from_secs(2), "Retry-After was not kept");
    ensure!(sent[0].field("Body") == sent[1].field("Body"), "another message overtook the limited one");
    let bodies: Vec<_> = scene.vendor.accepted().iter().map(|sent| sent.field("Body").to_owned()).collect();
    ensure!(bodies == ["echo n1", "echo n2", "echo n3"], "{bodies:?}");
    let row = scene.outbound(CUSTOMER, "echo n1", &["sent"]).await?;
    let message = scene.api.get(&format!("/api/v1/messages/{}", id(&row)?)).await?.expect(200)?;
    let attempts = message["attempts"].as_array().map_or(0, Vec::len);
    ensure!(attempts == 3, "{attempts} attempts are shown: {message}");
    Ok(())
}

// S70
async fn a_refused_message_is_sent_again_as_the_same_message(backend: Backend) -> Result<()> {
    let scene = Scene::quiet(Server::start(backend).await?).await?;
    scene.hear(CUSTOMER, 1, "hello").await?;
    let conversation = scene.conversation(CUSTOMER).await?;
    scene.vendor.fail_next([Fault::Refused(63_024)]);
    let path = format!("/api/v1/conversations/{}/messages", id(&conversation)?);
    scene.api.post(&path, json!({"text": "Here it is"})).await?.expect(201)?;
    let refused = scene.outbound(CUSTOMER, "Here it is", &["failed"]).await?;
    let again = format!("/api/v1/messages/{}/retry", id(&refused)?);
    scene.api.post(&again, json!({})).await?.expect(200)?;
    let sent = scene.outbound(CUSTOMER, "Here it is", &["sent"]).await?;
    ensure!(sent["id"] == refused["id"] && sent["failure"].is_null(), "{sent}");
    scene.api.post(&again, json!({})).await?.problem(422, "not_failed")?;
    // Its calls are all there, with the one before it was sent again.
    let message = format!("/api/v1/messages/{}", id(&sent)?);
    let shown = scene.api.get(&message).await?.expect(200)?;
    let attempts = shown["attempts"].as_array().context("attempts")?;
    let told: Vec<_> = attempts.iter().map(|it| (it["number"].as_i64(), it["outcome"].as_str())).collect();
    ensure!(told == [(Some(1), Some("failed")), (Some(2), Some("sent"))], "{told:?}");
    scene.api.delete(&message).await?.problem(422, "not_failed")?;
    Ok(())
}

// S70
async fn a_failed_message_can_be_deleted(backend: Backend) -> Result<()> {
    let scene = Scene::quiet(Server::start(backend).await?).await?;
    scene.hear(CUSTOMER, 1, "hello").await?;
    let conversation = scene.conversation(CUSTOMER).await?;
    let at = format!("/api/v1/conversations/{}", id(&conversation)?);
    scene.vendor.fail_next([Fault::Refused(63_024)]);
    scene.api.post(&format!("{at}/messages"), json!({"text": "Wrong"})).await?.expect(201)?;
    let failed = scene.outbound(CUSTOMER, "Wrong", &["failed"]).await?;
    let message = format!("/api/v1/messages/{}", id(&failed)?);
    scene.api.delete(&message).await?.expect(204)?;
    scene.api.get(&message).await?.problem(404, "not_found")?;
    scene.api.delete(&message).await?.problem(404, "not_found")?;
    let rows = crate::messages(&scene.api, id(&conversation)?).await?;
    ensure!(crate::texts(&rows, "outbound").is_empty(), "{rows:?}");
    let row = scene.api.get(&at).await?.expect(200)?;
    ensure!(row["preview"] == "hello", "the list still shows it: {row}");
    let events = scene.api.list("/api/v1/events?type=message.deleted").await?;
    ensure!(events.len() == 1 && events[0]["message"] == failed["id"], "{events:?}");
    let dead = scene.api.list("/api/v1/jobs/dead").await?;
    ensure!(dead.is_empty(), "nobody waits for it any more: {dead:?}");
    Ok(())
}

async fn an_unclear_outcome_is_unknown_and_not_repeated(backend: Backend) -> Result<()> {
    let scene = Scene::with_echo(Server::start(backend).await?).await?;
    for (number, fault) in [(1, Fault::CutAfter), (2, Fault::HalfBody)] {
        let customer = format!("{CUSTOMER}{number}");
        scene.vendor.fail_next([fault]);
        scene.hear(&customer, number, "hello").await?;
        let row = scene.outbound(&customer, "echo hello", &["unknown"]).await?;
        eventually("it is listed for people", SOON, || async {
            let dead = scene.api.list("/api/v1/jobs/dead").await?;
            let named = serde_json::to_string(&dead)?.contains(id(&row)?);
            ensure!(named, "{dead:?}");
            Ok(Some(()))
        })
        .await?;
    }
    // The lane goes on, and the unclear messages are not sent again.
    scene.hear(&format!("{CUSTOMER}1"), 3, "again").await?;
    scene.accepted(3).await?;
    let hellos = scene.vendor.accepted().iter().filter(|sent| sent.field("Body") == "echo hello").count();
    ensure!(hellos == 2, "{hellos} instead of 2: an unclear message was repeated");
    Ok(())
}

async fn a_slow_vendor_holds_up_only_its_own_lane(backend: Backend) -> Result<()> {
    let scene = Scene::with_echo(Server::start(backend).await?).await?;
    scene.vendor.fail_next([Fault::Slow(Duration::from_secs(5))]);
    scene.hear("+34600000031", 1, "slow").await?;
    eventually("the slow call has begun", SOON, || async {
        Ok((!scene.vendor.sent().is_empty()).then_some(()))
    })
    .await?;
    scene.hear("+34600000032", 2, "quick").await?;
    scene.outbound("+34600000032", "echo quick", &["sent"]).await?;
    let slow = scene.vendor.sent().into_iter().next().context("it has begun")?;
    ensure!(slow.at.elapsed() < Duration::from_secs(5), "the quick one waited for the slow one");
    scene.outbound("+34600000031", "echo slow", &["sent"]).await?;
    Ok(())
}

async fn a_random_mix_of_faults_loses_nothing(backend: Backend) -> Result<()> {
    const CUSTOMERS: u64 = 20;
    const MESSAGES: u64 = 4;
    let scene = Scene::with_echo(Server::start(backend).await?).await?;
    let seed = Dice::from_environment("faults").bits();
    scene.vendor.fail_by(move |position| {
        let mut dice = Dice::new(seed ^ position as u64);
        match dice.between(0, 10) {
            0 => Some(Fault::RateLimited(1)),
            1 => Some(Fault::ServerError),
            2 => Some(Fault::CutAfter),
            3 => Some(Fault::Slow(Duration::from_millis(dice.between(1, 300)))),
            _ => None,
        }
    });
    for number in 0..CUSTOMERS * MESSAGES {
        let customer = format!("+3461000{:04}", number % CUSTOMERS);
        scene.hear(&customer, number, &format!("n{}", number / CUSTOMERS)).await?;
    }
    for customer in 0..CUSTOMERS {
        let customer = format!("+3461000{customer:04}");
        for number in 0..MESSAGES {
            let text = format!("echo n{number}");
            let row = scene.outbound(&customer, &text, &["sent", "unknown", "failed"]).await?;
            let address = scene.twilio.address(&customer);
            let accepted = scene.vendor.accepted();
            let copies =
                accepted.iter().filter(|s| s.field("To") == address && s.field("Body") == text).count();
            match row["status"].as_str() {
                Some("sent") => ensure!(copies == 1, "{copies} copies of {text} to {customer}"),
                _ => ensure!(copies <= 1, "{copies} copies of the {} {text}", row["status"]),
            }
        }
        let conversation = scene.conversation(&customer).await?;
        let rows = messages(&scene.api, id(&conversation)?).await?;
        let inbound = texts(&rows, "inbound");
        ensure!(inbound == ["n0", "n1", "n2", "n3"], "{customer}: {inbound:?}");
    }
    scene.vendor.recover();
    // What is unclear can be repeated by a person.
    let dead = scene.api.list("/api/v1/jobs/dead").await?;
    if let Some(job) = dead.first() {
        let answer = scene.api.post(&format!("/api/v1/jobs/{}/retry", id(job)?), json!({})).await?;
        ensure!((200..300).contains(&answer.status), "{} {}", answer.status, answer.text);
    }
    Ok(())
}
