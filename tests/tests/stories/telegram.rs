//! Telegram bots, from webhook to answer: the secret header, buttons, files both
//! ways, blocked bots, waits that Telegram asks for, groups that move.

use anyhow::{Context, Result, ensure};
use pointsman_tests::botapi::{Called, SECRET};
use pointsman_tests::{Api, Backend, BotApi, Server, each_backend, eventually, http_client};
use serde_json::{Value, json};

use crate::{ECHO_RULE, SOON, conversation_of, id, messages, publish, text_of, texts};

each_backend!(
    a_telegram_message_is_answered_and_a_button_comes_back,
    connecting_a_bot_hands_telegram_url_and_secret,
    telegram_files_go_both_ways,
    a_blocked_bot_writes_no_more_until_it_is_started_again,
    telegram_is_waited_for_and_a_moved_group_followed,
);

const PERSON: i64 = 5_012_345_678;
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
    bot: BotApi,
    api: Api,
}

impl Scene {
    async fn start(backend: Backend) -> Result<Self> {
        let server = Server::start(backend).await?;
        let bot = BotApi::connect(&server).await?;
        let api = server.api()?;
        Ok(Self { server, bot, api })
    }

    async fn receive(&self, update: &Value) -> Result<String> {
        let answer = self.bot.deliver(update, SECRET).await?;
        ensure!(answer.status == 200, "{} {}", answer.status, answer.text);
        Ok(answer.text)
    }

    async fn conversation(&self) -> Result<Value> {
        conversation_of(&self.api, &self.bot.channel, &PERSON.to_string()).await
    }

    async fn write(&self, body: Value) -> Result<Value> {
        let conversation = self.conversation().await?;
        let path = format!("/api/v1/conversations/{}/messages", id(&conversation)?);
        self.api.post(&path, body).await?.expect(201)
    }

    async fn called(&self, method: &str, count: usize) -> Result<Vec<Called>> {
        eventually(&format!("{count} calls of {method}"), SOON, || async {
            let called = self.bot.called(method);
            ensure!(called.len() >= count, "only {}", called.len());
            Ok(Some(called))
        })
        .await
    }

    async fn outbound(&self, text: &str, status: &str) -> Result<Value> {
        let conversation = self.conversation().await?;
        eventually(&format!("{text:?} becomes {status}"), SOON, || async {
            let rows = messages(&self.api, id(&conversation)?).await?;
            let row = rows.into_iter().find(|row| row["direction"] == "outbound" && text_of(row) == text);
            let row = row.with_context(|| format!("no {text:?}"))?;
            ensure!(row["status"] == status, "it is {row}");
            Ok(Some(row))
        })
        .await
    }
}

// S47, S50, S58
async fn a_telegram_message_is_answered_and_a_button_comes_back(backend: Backend) -> Result<()> {
    let scene = Scene::start(backend).await?;
    publish(&scene.api, MENU_RULE).await?;
    let asked = BotApi::message(1, PERSON, json!({"text": "menu"}));
    let refused = scene.bot.deliver(&asked, "another_secret_of_telegram").await?;
    ensure!(refused.status == 401, "{}", refused.status);
    scene.receive(&asked).await?;
    scene.receive(&asked).await?;
    let menu = scene.called("sendMessage", 1).await?.remove(0).json;
    ensure!(menu["chat_id"] == PERSON && menu["text"] == "Rate us", "{menu}");
    let button = menu.pointer("/reply_markup/inline_keyboard/0/0").context("no button")?.clone();
    ensure!(button["text"] == "Good", "{button}");
    scene.outbound("Rate us", "sent").await?;
    let chat = json!({"id": PERSON, "type": "private"});
    let under = json!({"message_id": 1_001, "date": 1, "chat": chat, "text": "Rate us", "reply_markup": menu["reply_markup"]});
    let from = json!({"id": PERSON, "is_bot": false, "first_name": "Person"});
    let press = json!({"update_id": 2, "callback_query": {"id": "77", "from": from, "chat_instance": "1",
        "message": under, "data": button["callback_data"]}});
    let answer: Value = serde_json::from_str(&scene.receive(&press).await?)?;
    ensure!(answer == json!({"method": "answerCallbackQuery", "callback_query_id": "77"}), "{answer}");
    let conversation = scene.conversation().await?;
    eventually("the choice", SOON, || async {
        let rows = messages(&scene.api, id(&conversation)?).await?;
        ensure!(rows.len() == 3 && rows[2]["content"].to_string().contains("Good"), "{rows:?}");
        Ok(Some(()))
    })
    .await
}

async fn connecting_a_bot_hands_telegram_url_and_secret(backend: Backend) -> Result<()> {
    let scene = Scene::start(backend).await?;
    let path = format!("/api/v1/channels/{}", scene.bot.channel);
    scene.api.post(&format!("{path}/connect"), json!({})).await?.expect(200)?;
    let webhook = scene.bot.webhook();
    ensure!(webhook["url"] == scene.bot.webhook_url && webhook["secret_token"] == SECRET, "{webhook}");
    ensure!(webhook["allowed_updates"].to_string().contains("message_reaction"), "{webhook}");
    let check = scene.api.post(&format!("{path}/check"), json!({})).await?.expect(200)?;
    ensure!(!check.to_string().contains("another webhook") && check.to_string().contains("Desk"), "{check}");
    Ok(())
}

// S57, S61
async fn telegram_files_go_both_ways(backend: Backend) -> Result<()> {
    let scene = Scene::start(backend).await?;
    scene.bot.serve_file("BQAC1", PNG);
    let document =
        json!({"file_id": "BQAC1", "file_unique_id": "x", "file_name": "a.png", "mime_type": "image/png"});
    scene.receive(&BotApi::message(1, PERSON, json!({"document": document, "caption": "look"}))).await?;
    let conversation = scene.conversation().await?;
    let file = eventually("a stored file", SOON, || async {
        let rows = messages(&scene.api, id(&conversation)?).await?;
        let file = rows.iter().find_map(|row| row.pointer("/content/items/0")).cloned().context("no file")?;
        ensure!(file["state"] == "stored", "it is {file}");
        Ok(Some(file))
    })
    .await?;
    ensure!(file["content_type"] == "image/png" && file["caption"] == "look", "{file}");
    let url = format!("{}/api/v1/attachments?file_name=plan.png", scene.server.url());
    let request = http_client()?.post(url).bearer_auth(scene.server.key()).body(PNG);
    let uploaded: Value =
        request.header("content-type", "application/octet-stream").send().await?.json().await?;
    scene.write(json!({"attachments": [{"id": id(&uploaded)?, "caption": "Here it is"}]})).await?;
    let sent = scene.called("sendPhoto", 1).await?.remove(0).bytes;
    let text = String::from_utf8_lossy(&sent).into_owned();
    ensure!(sent.windows(PNG.len()).any(|window| window == PNG), "other bytes were sent");
    ensure!(text.contains(&PERSON.to_string()) && text.contains("Here it is"), "{text}");
    ensure!(text.contains("name=\"photo\"; filename=\"plan.png\""), "{text}");
    Ok(())
}

async fn a_blocked_bot_writes_no_more_until_it_is_started_again(backend: Backend) -> Result<()> {
    let scene = Scene::start(backend).await?;
    scene.receive(&BotApi::message(1, PERSON, json!({"text": "hello"}))).await?;
    scene.bot.refuse_next(403, "Forbidden: bot was blocked by the user", json!({}));
    scene.write(json!({"text": "are you there?"})).await?;
    let row = scene.outbound("are you there?", "failed").await?;
    ensure!(row["failure"]["class"] == "opted_out", "{row}");
    let conversation = scene.conversation().await?;
    let path = format!("/api/v1/conversations/{}/messages", id(&conversation)?);
    scene.api.post(&path, json!({"text": "again"})).await?.problem(422, "opted_out")?;
    scene.receive(&BotApi::message(2, PERSON, json!({"text": "/start"}))).await?;
    eventually("it may be written to", SOON, || async {
        Ok((scene.api.post(&path, json!({"text": "welcome back"})).await?.status == 201).then_some(()))
    })
    .await?;
    scene.outbound("welcome back", "sent").await?;
    let member =
        |status: &str| json!({"user": {"id": 1, "is_bot": true, "first_name": "Desk"}, "status": status});
    let change = json!({"update_id": 3, "my_chat_member": {"chat": {"id": PERSON, "type": "private"}, "date": 1_767_225_609,
        "from": {"id": PERSON, "is_bot": false, "first_name": "Person"}, "old_chat_member": member("member"),
        "new_chat_member": member("kicked")}});
    scene.receive(&change).await?;
    eventually("it may not be written to", SOON, || async {
        Ok((scene.api.post(&path, json!({"text": "hello?"})).await?.status == 422).then_some(()))
    })
    .await
}

async fn telegram_is_waited_for_and_a_moved_group_followed(backend: Backend) -> Result<()> {
    let scene = Scene::start(backend).await?;
    publish(&scene.api, ECHO_RULE).await?;
    scene.bot.refuse_next(429, "Too Many Requests: retry after 1", json!({"retry_after": 1}));
    scene.receive(&BotApi::message(1, PERSON, json!({"text": "slow"}))).await?;
    scene.outbound("echo slow", "sent").await?;
    ensure!(scene.called("sendMessage", 2).await?.len() == 2, "once refused, once sent");
    scene.bot.refuse_next(
        400,
        "Bad Request: group chat was upgraded to a supergroup chat",
        json!({"migrate_to_chat_id": -1_009_i64}),
    );
    let group = json!({"text": "in a group", "chat": {"id": -77, "type": "group", "title": "Neighbours"}});
    scene.receive(&BotApi::message(2, PERSON, group)).await?;
    let called = scene.called("sendMessage", 4).await?;
    ensure!(called[2].json["chat_id"] == -77 && called[3].json["chat_id"] == -1_009, "{called:?}");
    let conversation = conversation_of(&scene.api, &scene.bot.channel, "-77").await?;
    eventually("the group is answered", SOON, || async {
        let rows = messages(&scene.api, id(&conversation)?).await?;
        ensure!(texts(&rows, "outbound") == ["echo in a group"], "{rows:?}");
        ensure!(rows[1]["status"] == "sent", "{rows:?}");
        Ok(Some(()))
    })
    .await
}
