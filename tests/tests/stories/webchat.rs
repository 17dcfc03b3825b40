//! The five-minute start: a customer on the web page, a rule, an agent.

use anyhow::{Context, Result, ensure};
use pointsman_tests::{Backend, Chat, Server, each_backend, eventually};
use serde_json::json;

use crate::{SOON, conversation_of, group, id, publish, settled};

each_backend!(
    a_fresh_server_routes_and_answers_a_refund_request,
    a_refund_request_reaches_billing_and_is_answered,
    an_agent_answer_arrives_and_a_lost_stream_resumes,
    the_same_page_message_twice_is_one_message,
    a_forged_visitor_sees_and_writes_nothing,
    the_page_looks_as_its_channel_says,
);

const REFUND_RULE: &str = include_str!("../../../examples/refund-story/rule.rhai");

async fn the_page_channel(server: &Server) -> Result<String> {
    Ok(id(&server.api()?.find("/api/v1/channels", "provider", "webchat").await?)?.to_owned())
}

// S68
/// The first five minutes: nothing was set up, the seeded rules do it all.
async fn a_fresh_server_routes_and_answers_a_refund_request(backend: Backend) -> Result<()> {
    let server = Server::start(backend).await?;
    let api = server.api()?;
    let chat = Chat::open(&server).await?;
    let mut stream = chat.listen(None).await?;
    let answer = chat.say("m1", "I want a refund").await?;
    ensure!((200..300).contains(&answer.status), "{} {}", answer.status, answer.text);
    stream.wait_for("an answer", SOON, |event| event.data.contains("billing team").then_some(())).await?;
    let conversation = conversation_of(&api, &the_page_channel(&server).await?, "").await?;
    let billing = group(&api, "Billing").await?;
    settled(&api, id(&conversation)?, "it is with Billing", |row| row["group"] == billing.as_str()).await?;
    Ok(())
}

// S86
async fn a_refund_request_reaches_billing_and_is_answered(backend: Backend) -> Result<()> {
    let server = Server::start(backend).await?;
    let api = server.api()?;
    let rule = publish(&api, REFUND_RULE).await?;
    let chat = Chat::open(&server).await?;
    let mut stream = chat.listen(None).await?;
    let answer = chat.say("m1", "Hello, I want a refund").await?;
    ensure!((200..300).contains(&answer.status), "{} {}", answer.status, answer.text);
    stream
        .wait_for("the automatic answer", SOON, |event| event.data.contains("refund request").then_some(()))
        .await?;

    let channel = the_page_channel(&server).await?;
    let conversation = conversation_of(&api, &channel, "").await?;
    let billing = group(&api, "Billing").await?;
    let row = settled(&api, id(&conversation)?, "it is with Billing", |row| row["group"] == billing.as_str())
        .await?;
    ensure!(row["live"] == true && row["status"] == "open", "{row}");
    ensure!(row["priority"] == "high", "{row}");

    let timeline = api.list(&format!("/api/v1/conversations/{}/timeline", id(&row)?)).await?;
    let name = rule["name"].as_str().context("a rule has a name")?;
    let runs: Vec<_> = timeline.iter().filter(|item| item["type"] == "run").collect();
    ensure!(runs.iter().any(|run| run.to_string().contains(name)), "no run names {name:?}: {timeline:?}");
    let is_received = |item: &&serde_json::Value| item["event"]["type"] == "message.received";
    ensure!(timeline.iter().any(|item| is_received(&item)), "{timeline:?}");
    Ok(())
}

// S14, S67, S100
async fn an_agent_answer_arrives_and_a_lost_stream_resumes(backend: Backend) -> Result<()> {
    let server = Server::start(backend).await?;
    let api = server.api()?;
    let chat = Chat::open(&server).await?;
    chat.say("m1", "Good morning").await?;
    let conversation = conversation_of(&api, &the_page_channel(&server).await?, "").await?;
    let messages = format!("/api/v1/conversations/{}/messages", id(&conversation)?);
    let mut stream = chat.listen(None).await?;
    api.post(&messages, json!({"text": "first answer"})).await?.expect(201)?;
    let last = stream
        .wait_for("the first answer", SOON, |event| {
            event.data.contains("first answer").then(|| event.id.clone())
        })
        .await?
        .context("a resumable stream numbers its events")?;
    drop(stream);
    api.post(&messages, json!({"text": "second answer"})).await?.expect(201)?;
    let mut resumed = chat.listen(Some(&last)).await?;
    let repeated = resumed
        .wait_for("the second answer", SOON, |event| {
            (event.data.contains("answer")).then(|| event.data.contains("first answer"))
        })
        .await?;
    ensure!(!repeated, "the resumed stream repeats what was seen");
    let history = chat.history().await?;
    let all = serde_json::to_string(&history)?;
    let places = ["Good morning", "first answer", "second answer"].map(|text| all.find(text));
    ensure!(places[0].is_some() && places.is_sorted(), "out of order: {all}");
    Ok(())
}

async fn the_same_page_message_twice_is_one_message(backend: Backend) -> Result<()> {
    let server = Server::start(backend).await?;
    let api = server.api()?;
    let chat = Chat::open(&server).await?;
    for (message, text) in [("m1", "one"), ("m1", "one"), ("m2", "two"), ("m1", "one")] {
        let answer = chat.say(message, text).await?;
        ensure!((200..300).contains(&answer.status), "{} {}", answer.status, answer.text);
    }
    let conversation = conversation_of(&api, &the_page_channel(&server).await?, "").await?;
    let path = format!("/api/v1/conversations/{}/messages", id(&conversation)?);
    eventually("both messages, once", SOON, || async {
        let rows = api.list(&path).await?;
        let inbound = rows.iter().filter(|row| row["direction"] == "inbound").count();
        ensure!(inbound == 2, "{inbound} of 2");
        Ok(Some(()))
    })
    .await
}

async fn a_forged_visitor_sees_and_writes_nothing(backend: Backend) -> Result<()> {
    let server = Server::start(backend).await?;
    let chat = Chat::open(&server).await?;
    chat.say("m1", "my secret").await?;
    let stranger = Chat::open(&server).await?;
    ensure!(stranger.visitor != chat.visitor, "two visitors share an id");
    let signature = stranger.token().split_once('.').context("a token is visitor.signature")?.1;
    for token in [format!("{}.{signature}", chat.visitor), format!("{}.00", chat.visitor), String::new()] {
        let forged = chat.with_token(&token);
        ensure!(forged.history().await.is_err(), "a forged token reads");
        ensure!(forged.listen(None).await.is_err(), "a forged token listens");
        let answer = forged.say("m2", "I am you").await?;
        ensure!(answer.status == 401, "a forged token writes: {}", answer.status);
    }
    ensure!(stranger.history().await?.is_empty(), "a stranger sees another's messages");
    Ok(())
}

async fn the_page_looks_as_its_channel_says(backend: Backend) -> Result<()> {
    let server = Server::start(backend).await?;
    let api = server.api()?;
    let path = format!("/api/v1/channels/{}", the_page_channel(&server).await?);
    let wrong = api.patch(&path, json!({"settings": {"accent": "blue"}})).await?.expect(422)?;
    ensure!(wrong.to_string().contains("#2456d6"), "no example of a colour: {wrong}");
    let looks = json!({"title": "Ask us", "greeting": "Hello <you>", "accent": "#336699"});
    api.patch(&path, json!({"settings": looks})).await?.expect(200)?;
    let link = server.ready().webchat_link.clone().context("there is a chat page")?;
    let page = pointsman_tests::http_client()?.get(server.local(&link)).send().await?.text().await?;
    for seen in ["<title>Ask us", "data-greeting=\"Hello &lt;you&gt;\"", "data-accent=\"#336699\""] {
        ensure!(page.contains(seen), "{seen} is not in {page}");
    }
    Ok(())
}
