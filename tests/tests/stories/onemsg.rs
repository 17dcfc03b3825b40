//! A WhatsApp number at 1msg: its webhook beside the cabinet's, messages and acks,
//! templates with a menu, and refusals under HTTP 200.

use anyhow::{Context, Result, ensure};
use pointsman_tests::api::header;
use pointsman_tests::onemsg::{CABINET, INSTANCE, NAMESPACE, OneMsg, TOKEN};
use pointsman_tests::{Api, Backend, Server, each_backend, eventually};
use serde_json::{Value, json};

use crate::{SOON, conversation_of, id, messages, text_of};

each_backend!(
    a_channel_is_connected_beside_the_cabinet_and_talks,
    a_template_brings_its_menu_and_the_answer_arrives,
    a_refusal_under_200_is_a_failure_with_its_reason,
);

const CUSTOMER: &str = "12020721369";

struct Shop {
    server: Server,
    api: Api,
    vendor: OneMsg,
}

impl Shop {
    async fn open(backend: Backend) -> Result<Self> {
        let server = Server::start(backend).await?;
        let vendor = OneMsg::connect(&server).await?;
        let api = server.api()?;
        Ok(Self { server, api, vendor })
    }

    fn path(&self, rest: &str) -> String {
        format!("/api/v1/channels/{}{rest}", self.vendor.channel)
    }

    async fn hear(&self, message: &str, fields: Value) -> Result<Value> {
        // The vendor's clock is the server's.
        let date =
            header(&self.api.get("/healthz").await?.headers, "date").context("an answer has a date")?;
        let now_s = jiff::fmt::rfc2822::parse(&date)?.timestamp().as_second();
        self.vendor.hear(CUSTOMER, message, now_s, fields).await?;
        conversation_of(&self.api, &self.vendor.channel, CUSTOMER).await
    }

    async fn reply(&self, conversation: &Value, text: &str) -> Result<Value> {
        let path = format!("/api/v1/conversations/{}/messages", id(conversation)?);
        self.api.post(&path, json!({"text": text})).await?.expect(201)
    }

    async fn message_in(&self, row: &Value, status: &str) -> Result<Value> {
        let path = format!("/api/v1/messages/{}", id(row)?);
        eventually(&format!("the message is {status}"), SOON, || async {
            let row = self.api.get(&path).await?.expect(200)?;
            ensure!(row["status"] == status, "{row}");
            Ok(Some(row))
        })
        .await
    }
}

// S12, S44
async fn a_channel_is_connected_beside_the_cabinet_and_talks(backend: Backend) -> Result<()> {
    let shop = Shop::open(backend).await?;
    let channel = shop.api.get(&shop.path("")).await?.expect(200)?;
    ensure!(channel["chat_url"] == "https://wa.me/12025550100", "{channel}");
    let report = shop.api.post(&shop.path("/connect"), json!({})).await?.expect(200)?;
    ensure!(report["ok"] == true && report["webhook"]["state"] == "ok", "{report}");
    let webhooks = shop.vendor.webhooks();
    ensure!(webhooks.len() == 2 && webhooks[0] == CABINET && shop.vendor.acks_on(), "{webhooks:?}");
    let there = shop.vendor.challenge("4711").await?;
    ensure!(there.status == 200 && there.text == "4711", "{} {}", there.status, there.text);

    let conversation = shop.hear("wamid.IN1", json!({"body": "is it ready?"})).await?;
    let strange = shop
        .vendor
        .tell("VID2", json!({"messages": [{"id": "x", "chatId": "1@c.us", "body": "hi"}]}))
        .await?;
    ensure!(
        (400..500).contains(&strange.status),
        "another channel's webhook was answered {}",
        strange.status
    );
    let sent = shop.reply(&conversation, "It is.").await?;
    shop.message_in(&sent, "sent").await?;
    let calls = shop.vendor.sent();
    let expected = json!({"chatId": "12020721369@c.us", "body": "It is."});
    ensure!(calls == [("sendMessage".to_owned(), expected)], "{calls:?}");
    let (ours, chat) = (shop.vendor.last_id(), format!("{CUSTOMER}@c.us"));
    let ack = |status: &str| json!({"ack": [{"id": ours, "chatId": chat, "status": status}]});
    shop.vendor.tell(INSTANCE, ack("delivered")).await?;
    shop.message_in(&sent, "delivered").await?;
    shop.vendor.tell(INSTANCE, ack("viewed")).await?;
    shop.message_in(&sent, "read").await?;
    // Ours comes back, and then somebody types on the phone.
    let echo = |id: &str, own: u8, text: &str| json!({"id": id, "type": "chat", "body": text, "self": own, "fromMe": true, "time": 1_767_225_630, "chatId": chat});
    shop.vendor
        .tell(
            INSTANCE,
            json!({"messages": [echo(&ours, 1, "It is."), echo(&ours, 0, "It is."), echo("wamid.PHONE1", 0, "I call you")]}),
        )
        .await?;
    eventually("the echo, and nothing twice", SOON, || async {
        let rows = messages(&shop.api, id(&conversation)?).await?;
        let echo = rows.iter().find(|row| text_of(row) == "I call you").context("no echo")?;
        ensure!(echo["sender"]["kind"] == "echo" && rows.len() == 3, "{rows:?}");
        Ok(Some(()))
    })
    .await?;
    shop.api.post(&shop.path("/disconnect"), json!({})).await?.expect(200)?;
    ensure!(shop.vendor.webhooks() == [CABINET], "only ours is gone: {:?}", shop.vendor.webhooks());
    ensure!(!shop.server.log().contains(TOKEN), "the token is in the log");
    ensure!(shop.vendor.complaints().is_empty(), "{:?}", shop.vendor.complaints());
    Ok(())
}

// S46
async fn a_template_brings_its_menu_and_the_answer_arrives(backend: Backend) -> Result<()> {
    let shop = Shop::open(backend).await?;
    let listed = shop.api.post(&shop.path("/templates/refresh"), json!({})).await?.expect(200)?;
    let listed = listed.to_string();
    ensure!(listed.contains("Yes, confirm") && listed.contains("quick_reply"), "the menu is shown: {listed}");
    let template = json!({"name": "order_ready", "language": "en", "slots": {"1": "Ann"}});
    let body = json!({"channel": shop.vendor.channel, "to": format!("+{CUSTOMER}"), "template": template});
    let sent = shop.api.post("/api/v1/messages", body).await?.expect(201)?;
    shop.message_in(&sent, "sent").await?;
    let calls = shop.vendor.sent();
    let (path, call) = calls.first().context("one was sent")?;
    let expected = json!({"phone": CUSTOMER, "template": "order_ready", "namespace": NAMESPACE,
        "language": {"policy": "deterministic", "code": "en"},
        "params": [{"type": "body", "parameters": [{"type": "text", "text": "Ann"}]}]});
    ensure!(path == "sendTemplate" && *call == expected, "{calls:?}");
    let pressed = json!({"type": "button", "body": "Yes, confirm", "quotedMsgId": shop.vendor.last_id()});
    let conversation = shop.hear("wamid.BTN1", pressed).await?;
    eventually("the pressed button", SOON, || async {
        let rows = messages(&shop.api, id(&conversation)?).await?;
        let pressed = rows.iter().find(|row| row["direction"] == "inbound").context("nothing came")?;
        ensure!(pressed["content"].to_string().contains("Yes, confirm"), "{pressed}");
        ensure!(pressed["reply_to"] == sent["id"], "what it answers is lost: {pressed}");
        ensure!(pressed["quote"]["sender"] == "api", "{pressed}");
        Ok(Some(()))
    })
    .await?;
    ensure!(shop.vendor.complaints().is_empty(), "{:?}", shop.vendor.complaints());
    Ok(())
}

// S45
async fn a_refusal_under_200_is_a_failure_with_its_reason(backend: Backend) -> Result<()> {
    let shop = Shop::open(backend).await?;
    let conversation = shop.hear("wamid.IN1", json!({"body": "hello"})).await?;
    shop.vendor.refuse_next(200, r#"{"sent":false,"message":"Message is outside the allowed window"}"#);
    let late = shop.reply(&conversation, "too late").await?;
    let late = shop.message_in(&late, "failed").await?;
    ensure!(late["failure"]["class"] == "window_closed", "{late}");
    shop.vendor.refuse_next(403, "This feature is not available on trial channels");
    let trial = shop.reply(&conversation, "to a stranger").await?;
    shop.message_in(&trial, "queued").await?;
    let red = eventually("the channel says what a trial is", SOON, || async {
        let channel = shop.api.get(&shop.path("")).await?.expect(200)?;
        ensure!(channel["state"] == "failed", "{channel}");
        Ok(Some(channel))
    })
    .await?;
    ensure!(red["state_reason"].as_str().is_some_and(|why| why.contains("trial channel")), "{red}");
    Ok(())
}
