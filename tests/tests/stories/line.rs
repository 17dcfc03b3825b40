//! LINE, from webhook to answer: signatures, quick replies, files, a push whose
//! answer is lost and that is not sent twice, people who block the account.

use anyhow::{Context, Result, ensure};
use pointsman_tests::{Api, Backend, LineApi, Server, each_backend, eventually};
use serde_json::{Value, json};

use crate::{SOON, conversation_of, id, messages, publish, text_of};

each_backend!(
    a_line_message_is_answered_and_a_quick_reply_comes_back,
    a_lost_answer_of_line_is_no_second_message,
    whoever_blocks_the_account_is_not_written_to,
);

const PERSON: &str = "U11111111111111111111111111111111";
const PNG: &[u8] = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR and some pixels";
/// Offers buttons to whoever asks.
const MENU_RULE: &str = r#"//! Menu for the stories
//!
//! on: message.received
//! stage: reply
//! position: 1

if message.text == "menu" { send_message(#{ text: "Rate us", buttons: [#{ id: "rate:5", title: "Good" }, #{ id: "rate:1", title: "Bad" }] }); }
"#;

struct Scene {
    server: Server,
    line: LineApi,
    api: Api,
}

impl Scene {
    async fn start(backend: Backend) -> Result<Self> {
        let server = Server::start(backend).await?;
        let line = LineApi::connect(&server).await?;
        let api = server.api()?;
        Ok(Self { server, line, api })
    }

    async fn says(&self, number: u32, text: &str) -> Result<Value> {
        let message = json!({"type": "text", "id": format!("5100000000000{number:05}"), "text": text});
        let event = LineApi::event(number, PERSON, json!({"type": "message", "message": message}));
        self.line.deliver(std::slice::from_ref(&event)).await?.expect(200)?;
        Ok(event)
    }

    async fn rows(&self) -> Result<Vec<Value>> {
        let conversation = conversation_of(&self.api, &self.line.channel, PERSON).await?;
        messages(&self.api, id(&conversation)?).await
    }

    async fn write(&self, text: &str) -> Result<Value> {
        let conversation = conversation_of(&self.api, &self.line.channel, PERSON).await?;
        let path = format!("/api/v1/conversations/{}/messages", id(&conversation)?);
        self.api.post(&path, json!({"text": text})).await?.json()
    }

    async fn becomes(&self, text: &str, status: &str) -> Result<()> {
        eventually(&format!("{text:?} becomes {status}"), SOON, || async {
            let rows = self.rows().await?;
            let row = rows.into_iter().find(|row| row["direction"] == "outbound" && text_of(row) == text);
            let row = row.with_context(|| format!("no {text:?}"))?;
            ensure!(row["status"] == status, "it is {row}");
            Ok(Some(()))
        })
        .await
    }
}

// S47, S50
async fn a_line_message_is_answered_and_a_quick_reply_comes_back(backend: Backend) -> Result<()> {
    let scene = Scene::start(backend).await?;
    publish(&scene.api, MENU_RULE).await?;
    let path = format!("/api/v1/channels/{}/connect", scene.line.channel);
    scene.api.post(&path, json!({})).await?.expect(200)?;
    ensure!(scene.line.webhook().as_deref() == Some(scene.line.webhook_url.as_str()), "not connected");
    let event = scene.says(1, "menu").await?;
    let forged = scene.line.deliver_signed_with(std::slice::from_ref(&event), "another secret").await?;
    ensure!(forged.status == 401, "{}", forged.status);
    scene.line.deliver(std::slice::from_ref(&event)).await?.expect(200)?;
    scene.becomes("Rate us", "sent").await?;
    let pushed = scene.line.pushed();
    ensure!(pushed.len() == 1 && pushed[0]["to"] == PERSON, "{pushed:?}");
    let action = pushed[0].pointer("/messages/0/quickReply/items/0/action").context("no quick reply")?;
    ensure!(action["label"] == "Good", "{action}");
    scene.line.serve_file("510000000000000077", PNG);
    let image = json!({"type": "image", "id": "510000000000000077", "contentProvider": {"type": "line"}});
    let events = [
        LineApi::event(2, PERSON, json!({"type": "postback", "postback": {"data": action["data"]}})),
        LineApi::event(3, PERSON, json!({"type": "message", "message": image})),
    ];
    scene.line.deliver(&events).await?.expect(200)?;
    eventually("choice and picture", SOON, || async {
        let rows = scene.rows().await?;
        let has = |word: &str| {
            rows.iter().any(|row| row["direction"] == "inbound" && row.to_string().contains(word))
        };
        ensure!(rows.len() == 4 && has("rate:5") && has("\"stored\""), "{rows:?}");
        Ok(Some(()))
    })
    .await
}

async fn a_lost_answer_of_line_is_no_second_message(backend: Backend) -> Result<()> {
    let scene = Scene::start(backend).await?;
    scene.says(1, "hello").await?;
    scene.line.refuse_next(500, "Internal server error");
    eventually("the conversation", SOON, || async { scene.rows().await.map(Some) }).await?;
    scene.write("We are here").await?;
    eventually("it is tried again", SOON, || async {
        scene.server.advance(std::time::Duration::from_secs(60))?;
        let rows = scene.rows().await?;
        Ok(rows.iter().any(|row| row["direction"] == "outbound" && row["status"] == "sent").then_some(()))
    })
    .await?;
    ensure!(scene.line.pushed().len() == 1, "sent twice: {:?}", scene.line.pushed());
    Ok(())
}

async fn whoever_blocks_the_account_is_not_written_to(backend: Backend) -> Result<()> {
    let scene = Scene::start(backend).await?;
    scene.says(1, "hello").await?;
    scene.line.deliver(&[LineApi::event(2, PERSON, json!({"type": "unfollow"}))]).await?.expect(200)?;
    eventually("a refusal to write", SOON, || async {
        let said = scene.write("Are you there?").await?;
        Ok(said.to_string().contains("opted_out").then_some(()))
    })
    .await?;
    scene.line.deliver(&[LineApi::event(3, PERSON, json!({"type": "follow"}))]).await?.expect(200)?;
    eventually("they can be written to again", SOON, || async {
        let said = scene.write("Welcome back").await?;
        Ok((!said.to_string().contains("opted_out")).then_some(()))
    })
    .await?;
    scene.becomes("Welcome back", "sent").await
}
