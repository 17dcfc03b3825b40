//! Meta's channels, from webhook to answer: signatures over escaped bytes,
//! statuses by callback data, templates when the window is over, files both ways,
//! errors by their codes.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use pointsman_tests::api::text_at;
use pointsman_tests::graph::NUMBER_ID;
use pointsman_tests::{Api, Backend, Graph, Server, each_backend, eventually, http_client};
use serde_json::{Value, json};

use crate::{ECHO_RULE, SOON, conversation_of, id, messages, publish, text_of, texts};

each_backend!(
    a_whatsapp_message_is_answered_and_its_statuses_come_back,
    connecting_a_number_lets_meta_check_our_webhook,
    after_the_window_a_template_leaves_and_free_text_does_not,
    whatsapp_files_go_both_ways,
    metas_errors_say_what_to_do,
    the_largest_batch_is_taken_whole,
    a_page_is_answered_with_text,
    a_page_takes_files_and_buttons_both_ways,
);

const CUSTOMER: &str = "+5215512345678";
const PNG: &[u8] = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR and some pixels";

struct Scene {
    server: Server,
    graph: Graph,
    api: Api,
}

impl Scene {
    async fn start(backend: Backend) -> Result<Self> {
        let server = Server::start(backend).await?;
        let graph = Graph::connect(&server, "whatsapp", NUMBER_ID).await?;
        let api = server.api()?;
        Ok(Self { server, graph, api })
    }

    async fn hear(&self, number: u32, text: &str) -> Result<()> {
        let what = json!({"type": "text", "text": {"body": text}});
        self.receive(number, what).await
    }

    async fn receive(&self, number: u32, what: Value) -> Result<()> {
        let message = self.graph.message(CUSTOMER, &format!("wamid.IN{number}"), now_s(), what);
        self.graph.deliver(&[message]).await?.expect_ok()
    }

    async fn conversation(&self) -> Result<String> {
        let row = conversation_of(&self.api, &self.graph.channel, CUSTOMER).await?;
        Ok(id(&row)?.to_owned())
    }

    async fn write(&self, body: Value) -> Result<Value> {
        let path = format!("/api/v1/conversations/{}/messages", self.conversation().await?);
        self.api.post(&path, body).await?.expect(201)
    }

    /// The message of ours that `is_wanted`, once it has this status.
    async fn outbound(&self, text: &str, status: &str) -> Result<Value> {
        let conversation = self.conversation().await?;
        eventually(&format!("{text:?} becomes {status}"), SOON, || async {
            let rows = messages(&self.api, &conversation).await?;
            let row = rows.into_iter().find(|row| row["direction"] == "outbound" && text_of(row) == text);
            let row = row.with_context(|| format!("no {text:?}"))?;
            ensure!(row["status"] == status, "it is {row}");
            Ok(Some(row))
        })
        .await
    }

    async fn sent(&self, count: usize) -> Result<Vec<Value>> {
        sent(&self.graph, count).await
    }
}

async fn sent(graph: &Graph, count: usize) -> Result<Vec<Value>> {
    eventually(&format!("{count} sent messages"), SOON, || async {
        let sent = graph.sent();
        ensure!(sent.len() >= count, "only {sent:?}; {:?}", graph.complaints());
        Ok(Some(sent))
    })
    .await
}

trait ExpectOk {
    fn expect_ok(self) -> Result<()>;
}

impl ExpectOk for pointsman_tests::Answer {
    fn expect_ok(self) -> Result<()> {
        ensure!(self.status == 200, "{} {}", self.status, self.text);
        Ok(())
    }
}

/// The vendor's clock, seconds.
#[allow(clippy::disallowed_methods, reason = "the vendor has a clock of its own")]
fn now_s() -> i64 {
    jiff::Timestamp::now().as_second()
}

// S33, S50, S65, S66
async fn a_whatsapp_message_is_answered_and_its_statuses_come_back(backend: Backend) -> Result<()> {
    let scene = Scene::start(backend).await?;
    publish(&scene.api, ECHO_RULE).await?;
    scene.hear(1, "¿Olé? 🙏 a/b").await?;
    let sent = scene.sent(1).await?.remove(0);
    ensure!(sent["to"] == "5215512345678" && sent["recipient_type"] == "individual", "{sent}");
    ensure!(sent["text"]["body"] == "echo ¿Olé? 🙏 a/b", "{sent}");
    let row = scene.outbound("echo ¿Olé? 🙏 a/b", "sent").await?;
    ensure!(sent["biz_opaque_callback_data"] == row["effect"], "{sent} {row}");
    let effect = row["effect"].as_str().context("no effect")?;
    // Out of order, in one batch, and again.
    let status = |word: &str| Graph::status("wamid.OUT1", CUSTOMER, word, effect, now_s());
    let batch = [status("read"), status("delivered"), status("sent"), status("read")];
    scene.graph.deliver(&batch).await?.expect_ok()?;
    scene.outbound("echo ¿Olé? 🙏 a/b", "read").await?;
    // The same message again is nothing new.
    scene.hear(1, "¿Olé? 🙏 a/b").await?;
    scene.hear(2, "two").await?;
    scene.outbound("echo two", "sent").await?;
    ensure!(scene.graph.sent().len() == 2, "{:?}", scene.graph.sent());
    // Forged, and the same JSON in other bytes.
    let forged = scene.graph.deliver_raw("{}".into(), &format!("sha256={}", "0".repeat(64))).await?;
    ensure!(forged.status == 401, "{}", forged.status);
    let conversation = scene.conversation().await?;
    let rows = messages(&scene.api, &conversation).await?;
    ensure!(texts(&rows, "inbound") == ["¿Olé? 🙏 a/b", "two"], "{rows:?}");
    ensure!(scene.graph.complaints().is_empty(), "{:?}", scene.graph.complaints());
    Ok(())
}

// S39, S43
async fn connecting_a_number_lets_meta_check_our_webhook(backend: Backend) -> Result<()> {
    let scene = Scene::start(backend).await?;
    let path = format!("/api/v1/channels/{}", scene.graph.channel);
    let check = scene.api.post(&format!("{path}/check"), json!({})).await?.expect(200)?;
    ensure!(check.to_string().contains("another webhook"), "{check}");
    scene.api.post(&format!("{path}/connect"), json!({})).await?.expect(200)?;
    ensure!(scene.graph.webhook().as_ref() == Some(&scene.graph.webhook_url), "{:?}", scene.graph.webhook());
    let check = scene.api.post(&format!("{path}/check"), json!({})).await?.expect(200)?;
    ensure!(!check.to_string().contains("another webhook"), "{check}");
    // Somebody who does not know the token gets nothing.
    let url = scene.server.local(&scene.graph.webhook_url);
    let url = format!("{url}?hub.mode=subscribe&hub.challenge=1&hub.verify_token=guess");
    ensure!(http_client()?.get(url).send().await?.status() == 401, "a guess was taken");
    Ok(())
}

// S71, S72, S74, S79
async fn after_the_window_a_template_leaves_and_free_text_does_not(backend: Backend) -> Result<()> {
    let scene = Scene::start(backend).await?;
    let refresh = format!("/api/v1/channels/{}/templates/refresh", scene.graph.channel);
    let listed = scene.api.post(&refresh, json!({})).await?.expect(200)?;
    ensure!(listed.to_string().contains("button.1.1"), "{listed}");
    scene.hear(1, "hello").await?;
    scene.write(json!({"text": "in time"})).await?;
    scene.outbound("in time", "sent").await?;
    scene.server.advance(Duration::from_secs(25 * 3_600))?;
    let path = format!("/api/v1/conversations/{}/messages", scene.conversation().await?);
    scene.api.post(&path, json!({"text": "too late"})).await?.problem(422, "window_closed")?;
    let slots = json!({"header.1": "881", "first_name": "Ana", "order": "881", "button.1.1": "881"});
    let template = json!({"template": {"name": "order_ready", "language": "en", "slots": slots}});
    scene.api.post(&path, template).await?.expect(201)?;
    let sent = scene.sent(2).await?.remove(1);
    ensure!(
        sent["template"]["name"] == "order_ready" && sent["template"]["language"]["code"] == "en",
        "{sent}"
    );
    let text = |value: &str| json!({"type": "text", "text": value});
    let named = |name: &str, value: &str| json!({"type": "text", "text": value, "parameter_name": name});
    let components = sent["template"]["components"].as_array().context("no components")?;
    for wanted in [
        json!({"type": "header", "parameters": [text("881")]}),
        json!({"type": "body", "parameters": [named("first_name", "Ana"), named("order", "881")]}),
        json!({"type": "button", "sub_type": "url", "index": "1", "parameters": [text("881")]}),
    ] {
        ensure!(components.contains(&wanted), "{wanted} is not in {sent}");
    }
    ensure!(components.len() == 3 && scene.graph.complaints().is_empty(), "{sent}");
    Ok(())
}

// S57, S61
async fn whatsapp_files_go_both_ways(backend: Backend) -> Result<()> {
    let scene = Scene::start(backend).await?;
    let media = scene.graph.serve_file("1003383421387256", "image/png", PNG);
    scene
        .receive(
            1,
            json!({"type": "image", "image": {"id": media, "mime_type": "image/png", "caption": "look"}}),
        )
        .await?;
    let conversation = scene.conversation().await?;
    let file = eventually("a stored file", SOON, || async {
        let rows = messages(&scene.api, &conversation).await?;
        let file = rows.iter().find_map(|row| row.pointer("/content/items/0")).cloned().context("no file")?;
        ensure!(file["state"] == "stored", "it is {file}");
        Ok(Some(file))
    })
    .await?;
    ensure!(
        file["content_type"] == "image/png" && file["size"] == PNG.len() && file["caption"] == "look",
        "{file}"
    );
    let url = format!("{}/api/v1/attachments?file_name=plan.png", scene.server.url());
    let request = http_client()?.post(url).bearer_auth(scene.server.key()).body(PNG);
    let uploaded: Value =
        request.header("content-type", "application/octet-stream").send().await?.json().await?;
    scene.write(json!({"attachments": [{"id": id(&uploaded)?, "caption": "Here it is"}]})).await?;
    let sent = scene.sent(1).await?.remove(0);
    ensure!(sent["image"] == json!({"id": "901", "caption": "Here it is"}), "{sent}");
    let upload = scene.graph.uploads().remove(0);
    let text = String::from_utf8_lossy(&upload).into_owned();
    ensure!(upload.windows(PNG.len()).any(|window| window == PNG), "other bytes were uploaded");
    ensure!(text.contains("name=\"messaging_product\"") && text.contains("filename=\"plan.png\""), "{text}");
    Ok(())
}

// S70
async fn metas_errors_say_what_to_do(backend: Backend) -> Result<()> {
    let scene = Scene::start(backend).await?;
    scene.hear(1, "hello").await?;
    for (code, status, class) in
        [(131_047, 400, "window_closed"), (131_026, 400, "invalid_recipient"), (131_053, 400, "media")]
    {
        scene.graph.refuse_next(status, code, "as Meta says");
        let text = format!("code {code}");
        scene.write(json!({"text": text})).await?;
        let row = scene.outbound(&text, "failed").await?;
        ensure!(row["failure"]["class"] == class, "{row}");
        let vendor_code = code.to_string();
        ensure!(row["failure"]["vendor_code"] == vendor_code, "{row}");
    }
    scene.graph.refuse_next(400, 130_429, "slower");
    scene.write(json!({"text": "patient"})).await?;
    scene.outbound("patient", "sent").await?;
    // Refused later, by a status.
    scene.write(json!({"text": "later"})).await?;
    let row = scene.outbound("later", "sent").await?;
    let effect = row["effect"].as_str().context("no effect")?;
    let mut failed = Graph::status("wamid.OUT2", CUSTOMER, "failed", effect, now_s());
    failed["statuses"][0]["errors"] = json!([{"code": 131_047, "title": "Re-engagement message"}]);
    scene.graph.deliver(&[failed]).await?.expect_ok()?;
    let row = scene.outbound("later", "failed").await?;
    ensure!(row["failure"]["class"] == "window_closed", "{row}");
    // A revoked token stops the channel and keeps the message.
    scene.graph.refuse_next(401, 190, "expired");
    scene.write(json!({"text": "revoked"})).await?;
    let path = format!("/api/v1/channels/{}", scene.graph.channel);
    eventually("a red channel", SOON, || async {
        let channel = scene.api.get(&path).await?.expect(200)?;
        ensure!(channel["state"] == "failed", "it is {}", channel["state"]);
        Ok(Some(()))
    })
    .await?;
    Ok(())
}

/// Meta sends up to 1,000 changes and 3 MB in one webhook.
async fn the_largest_batch_is_taken_whole(backend: Backend) -> Result<()> {
    const CHANGES: u32 = 1_000;
    let scene = Scene::start(backend).await?;
    let change = |number: u32| {
        let text = format!("{number} {}", "x".repeat(2_600));
        let what = json!({"type": "text", "text": {"body": text}});
        let phone = format!("+34{:09}", number % 50);
        scene.graph.message(&phone, &format!("wamid.BATCH{number}"), now_s(), what)
    };
    let batch: Vec<Value> = (0..CHANGES).map(change).collect();
    scene.graph.deliver(&batch).await?.expect_ok()?;
    let health = format!("/api/v1/channels/{}/health", scene.graph.channel);
    eventually("all of them handled", Duration::from_secs(120), || async {
        let health = scene.api.get(&health).await?.expect(200)?;
        ensure!(health.to_string().contains(&format!("\"handled\":{CHANGES}")), "{health}");
        Ok(Some(()))
    })
    .await
}

/// An event of a page's webhook.
fn to_page(at_ms: i64, what: Value) -> Value {
    let mut event = json!({"sender": {"id": "6543210987"}, "recipient": {"id": "1029"}, "timestamp": at_ms});
    if let (Some(event), Value::Object(what)) = (event.as_object_mut(), what) {
        event.extend(what);
    }
    json!({"object": "page", "entry": [{"id": "1029", "time": at_ms, "messaging": [event]}]})
}

// S47, S57, S58
async fn a_page_takes_files_and_buttons_both_ways(backend: Backend) -> Result<()> {
    let server = Server::start(backend).await?;
    let graph = Graph::connect(&server, "messenger", "1029").await?;
    let api = server.api()?;
    let at_ms = now_s() * 1_000;
    let file = json!({"type": "image", "payload": {"url": "https://scontent.xx.fbcdn.test/v/a.jpg"}});
    let image = json!({"message": {"mid": "m_1", "text": "look", "attachments": [file]}});
    graph.deliver_json(&to_page(at_ms, image)).await?.expect_ok()?;
    let press = json!({"postback": {"mid": "m_2", "title": "Opening hours", "payload": "HOURS"}});
    graph.deliver_json(&to_page(at_ms + 1, press)).await?.expect_ok()?;
    let conversation = conversation_of(&api, &graph.channel, "6543210987").await?;
    let path = format!("/api/v1/conversations/{}/messages", id(&conversation)?);
    eventually("the picture and the pressed button are shown", SOON, || async {
        let rows = messages(&api, id(&conversation)?).await?;
        let file = rows.iter().find_map(|row| row.pointer("/content/items/0")).context("no file")?;
        ensure!(file["family"] == "image" && file["caption"] == "look", "{file}");
        let pressed = rows.iter().find(|row| row["content"]["kind"] == "choice").context("no button")?;
        ensure!(pressed["content"].to_string().contains("Opening hours"), "{pressed}");
        Ok(Some(()))
    })
    .await?;

    let url = format!("{}/api/v1/attachments?file_name=plan.png", server.url());
    let upload = http_client()?.post(url).bearer_auth(server.key()).body(PNG);
    let uploaded: Value =
        upload.header("content-type", "application/octet-stream").send().await?.json().await?;
    api.post(&path, json!({"attachments": [{"id": id(&uploaded)?}]})).await?.expect(201)?;
    let file = sent(&graph, 1).await?.remove(0);
    ensure!(file["message"]["attachment"]["type"] == "image", "{file}");
    // Meta fetches the file as anybody could who has the link.
    let link = text_at(&file, "/message/attachment/payload/url")?;
    let fetched = http_client()?.get(server.local(link)).send().await?;
    ensure!(fetched.status() == 200 && fetched.bytes().await? == PNG, "{link} is not the file");

    let day = |id: &str, title: &str| json!({"id": id, "title": title});
    let buttons = json!({"text": "Which day?", "buttons": [day("mon", "Monday"), day("tue", "Tuesday")]});
    api.post(&path, buttons).await?.expect(201)?;
    let asked = sent(&graph, 2).await?.remove(1);
    ensure!(asked["message"]["quick_replies"][1]["payload"] == "tue", "{asked}");
    let picked = json!({"message": {"mid": "m_3", "text": "Tuesday", "quick_reply": {"payload": "tue"}}});
    graph.deliver_json(&to_page(at_ms + 2, picked)).await?.expect_ok()?;
    eventually("what was picked", SOON, || async {
        let rows = messages(&api, id(&conversation)?).await?;
        let said = rows.iter().filter(|row| row["content"]["kind"] == "choice").count();
        ensure!(said == 2, "{rows:?}");
        Ok(Some(()))
    })
    .await
}

// S47
async fn a_page_is_answered_with_text(backend: Backend) -> Result<()> {
    let server = Server::start(backend).await?;
    let graph = Graph::connect(&server, "messenger", "1029").await?;
    let api = server.api()?;
    publish(&api, ECHO_RULE).await?;
    let at_ms = now_s() * 1_000;
    let event = json!({"sender": {"id": "6543210987"}, "recipient": {"id": "1029"}, "timestamp": at_ms,
        "message": {"mid": "m_1", "text": "Hola"}});
    let webhook = json!({"object": "page", "entry": [{"id": "1029", "time": at_ms, "messaging": [event]}]});
    graph.deliver_json(&webhook).await?.expect_ok()?;
    let message = sent(&graph, 1).await?.remove(0);
    ensure!(
        message["recipient"]["id"] == "6543210987" && message["message"]["text"] == "echo Hola",
        "{message}"
    );
    // Our own message comes back as an echo and is not shown twice.
    let own = json!({"mid": "m_1_out", "is_echo": true, "app_id": 7, "text": "echo Hola", "metadata": message["message"]["metadata"]});
    let echo = json!({"sender": {"id": "1029"}, "recipient": {"id": "6543210987"}, "timestamp": at_ms, "message": own});
    let webhook = json!({"object": "page", "entry": [{"id": "1029", "time": at_ms, "messaging": [echo]}]});
    graph.deliver_json(&webhook).await?.expect_ok()?;
    let event = json!({"sender": {"id": "6543210987"}, "recipient": {"id": "1029"}, "timestamp": at_ms + 1,
        "message": {"mid": "m_2", "attachments": [{"type": "story_mention", "payload": {}}]}});
    let webhook = json!({"object": "page", "entry": [{"id": "1029", "time": at_ms, "messaging": [event]}]});
    graph.deliver_json(&webhook).await?.expect_ok()?;
    let conversation = conversation_of(&api, &graph.channel, "6543210987").await?;
    eventually("the mention, and one answer to the text", SOON, || async {
        let rows = messages(&api, id(&conversation)?).await?;
        ensure!(rows.iter().any(|row| row["content"]["what"] == "meta.story_mention"), "{rows:?}");
        let answers = texts(&rows, "outbound").into_iter().filter(|text| *text == "echo Hola").count();
        ensure!(answers == 1, "{rows:?}");
        Ok(Some(()))
    })
    .await
}
