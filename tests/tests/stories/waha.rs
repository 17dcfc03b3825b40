//! A personal WhatsApp at a WAHA in the house: linked by its QR code, lost and
//! linked again, read along, and written on the phone itself.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use pointsman_tests::api::{header, text_at};
use pointsman_tests::waha::{API_KEY, HMAC_KEY, Waha};
use pointsman_tests::{Api, Backend, Server, each_backend, eventually, http_client};
use serde_json::{Value, json};

use crate::{ECHO_RULE, SOON, conversation_of, id, messages, publish, text_of, texts};

each_backend!(
    a_phone_is_linked_by_its_qr_code_and_answers_customers,
    a_lost_phone_is_told_and_what_was_to_be_sent_waits,
    a_lost_webhook_is_made_good_by_asking,
    a_linked_phone_only_reads_along_when_told_so,
    a_file_comes_from_waha_with_its_key,
    a_file_goes_to_waha_in_the_call_itself,
    whoever_hides_their_number_is_answered_all_the_same,
    what_was_written_during_an_outage_is_asked_for,
);

const CUSTOMER: &str = "12132132130";
const PNG: &[u8] = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR and some pixels";

/// A whole PNG of one red pixel.
const DOT: &[u8] =
    b"\x89\x50\x4e\x47\x0d\x0a\x1a\x0a\x00\x00\x00\x0d\x49\x48\x44\x52\x00\x00\x00\x01\x00\x00\
    \x00\x01\x08\x02\x00\x00\x00\x90\x77\x53\xde\x00\x00\x00\x0c\x49\x44\x41\x54\x78\xda\x63\
    \xf8\xcf\xc0\x00\x00\x03\x01\x01\x00\xf7\x03\x41\x43\x00\x00\x00\x00\x49\x45\x4e\x44\xae\
    \x42\x60\x82";

struct Desk {
    server: Server,
    api: Api,
    waha: Waha,
}

impl Desk {
    async fn open(backend: Backend, extra: Value) -> Result<Self> {
        let server = Server::start(backend).await?;
        let waha = Waha::connect(&server, extra).await?;
        let api = server.api()?;
        Ok(Self { server, api, waha })
    }

    /// A desk whose phone is linked.
    async fn linked(backend: Backend, extra: Value) -> Result<Self> {
        let desk = Self::open(backend, extra).await?;
        desk.session("/start").await?;
        desk.waha.becomes("SCAN_QR_CODE").await?;
        desk.waha.becomes("WORKING").await?;
        desk.state("connected").await?;
        Ok(desk)
    }

    fn path(&self, rest: &str) -> String {
        format!("/api/v1/channels/{}{rest}", self.waha.channel)
    }

    /// The account's picture comes from us, drawn anew; what is no picture does not come at all.
    async fn shows_the_picture(&self) -> Result<()> {
        self.waha.has_picture(b"<svg onload=alert(1)>");
        self.api.get(&self.path("/session")).await?.expect(200)?;
        self.api.get(&self.path("/session/picture")).await?.problem(404, "not_found")?;
        self.waha.has_picture(DOT);
        self.api.get(&self.path("/session")).await?.expect(200)?;
        let url = format!("{}{}", self.server.url(), self.path("/session/picture"));
        let picture = http_client()?.get(url).bearer_auth(self.server.key()).send().await?;
        ensure!(header(picture.headers(), "content-type").as_deref() == Some("image/jpeg"), "{picture:?}");
        ensure!(picture.bytes().await?.starts_with(b"\xff\xd8\xff"), "a JPEG");
        Ok(())
    }

    async fn session(&self, action: &str) -> Result<Value> {
        self.api.post(&self.path(&format!("/session{action}")), json!({})).await?.expect(200)
    }

    async fn state(&self, wanted: &str) -> Result<Value> {
        eventually(&format!("the channel is {wanted}"), SOON, || async {
            let channel = self.api.get(&self.path("")).await?.expect(200)?;
            ensure!(channel["state"] == wanted, "{channel}");
            Ok(Some(channel))
        })
        .await
    }

    async fn session_events(&self, state: &str) -> Result<usize> {
        let events = self.api.list("/api/v1/events?type=channel.session_changed").await?;
        Ok(events.iter().filter(|event| event["state"] == state).count())
    }

    async fn reply(&self, text: &str) -> Result<Value> {
        let conversation = conversation_of(&self.api, &self.waha.channel, CUSTOMER).await?;
        let path = format!("/api/v1/conversations/{}/messages", id(&conversation)?);
        self.api.post(&path, json!({"text": text})).await?.expect(201)
    }

    async fn message_in(&self, row: &Value, status: &str) -> Result<()> {
        let path = format!("/api/v1/messages/{}", id(row)?);
        eventually(&format!("the message is {status}"), SOON, || async {
            let row = self.api.get(&path).await?.expect(200)?;
            ensure!(row["status"] == status, "{row}");
            Ok(Some(()))
        })
        .await
    }
}

// S02, S05, S25, S27, S31, S66
async fn a_phone_is_linked_by_its_qr_code_and_answers_customers(backend: Backend) -> Result<()> {
    let desk = Desk::open(backend, json!({})).await?;
    let capabilities = desk.api.get(&desk.path("")).await?.expect(200)?["capabilities"].clone();
    ensure!(capabilities["beta"] == true, "{capabilities}");
    desk.api.get(&desk.path("/qr")).await?.problem(409, "session_not_ready")?;
    let started = desk.session("/start").await?;
    ensure!(started["state"] == "starting" && started["channel_state"] == "connecting", "{started}");
    let webhook = desk.waha.session().pointer("/config/webhooks/0").cloned().context("WAHA has a webhook")?;
    ensure!(webhook["hmac"]["key"] == HMAC_KEY, "WAHA was told the key");
    ensure!(text_at(&webhook, "/url")?.contains("/hooks/"), "{webhook}");
    desk.waha.becomes("SCAN_QR_CODE").await?;
    desk.state("qr_required").await?;
    let first = desk.api.get(&desk.path("/qr?format=text")).await?.expect(200)?;
    let png = format!("{}{}", desk.server.url(), desk.path("/qr"));
    let picture = http_client()?.get(png).bearer_auth(desk.server.key()).send().await?;
    ensure!(header(picture.headers(), "content-type").as_deref() == Some("image/png"), "{picture:?}");
    ensure!(header(picture.headers(), "cache-control").as_deref() == Some("no-store"), "{picture:?}");
    ensure!(picture.bytes().await?.starts_with(&PNG[..8]), "a PNG");
    let drawn = desk.server.cli(&["channel", "session", "qr", "My WhatsApp"]).await?;
    ensure!(String::from_utf8_lossy(&drawn.stdout).contains('█'), "{drawn:?}");
    let pair = json!({"phone": "+1 213 213 2130"});
    let code = desk.api.post(&desk.path("/session/pairing-code"), pair).await?.expect(200)?;
    ensure!(code["code"] == "ABCD-EFGH", "{code}");
    // The next code: pages are told, the state stays.
    desk.waha.becomes("SCAN_QR_CODE").await?;
    eventually("the new code is told", SOON, || async {
        Ok((desk.session_events("needs_qr").await? >= 2).then_some(()))
    })
    .await?;
    let second = desk.api.get(&desk.path("/qr?format=text")).await?.expect(200)?;
    ensure!(first["text"] != second["text"] && second["refresh_after_ms"] == 15_000, "{second}");
    desk.waha.becomes("WORKING").await?;
    let channel = desk.state("connected").await?;
    ensure!(
        channel["address"] == "+79222222222" && channel["chat_url"] == "https://wa.me/79222222222",
        "{channel}"
    );
    let session = desk.api.get(&desk.path("/session")).await?.expect(200)?;
    ensure!(session["profile"]["name"] == "Desk of Ann", "{session}");
    ensure!(session["profile"]["picture_url"] == "https://pictures.example/desk.jpg", "{session}");
    desk.shows_the_picture().await?;

    desk.waha.hear(CUSTOMER, 1, "is it ready?").await?;
    let reply = desk.reply("It is.").await?;
    desk.message_in(&reply, "sent").await?;
    let sent = desk.waha.sent();
    let expected = json!({"session": "desk", "chatId": "12132132130@c.us", "text": "It is."});
    ensure!(sent == [("sendText".to_owned(), expected)], "{sent:?}");
    let ack = |level: i64| json!({"id": "true_12132132130@c.us_3EB00000000000000001", "fromMe": true, "ack": level});
    desk.waha.tell("message.ack", ack(3)).await?;
    desk.message_in(&reply, "read").await?;
    // Our own comes back once more; what is typed on the phone is an echo.
    let own = json!({"body": "It is.", "hasMedia": false, "source": "api"});
    desk.waha.message("true_12132132130@c.us_3EB00000000000000001", own).await?;
    let typed = json!({"body": "I call you", "hasMedia": false, "source": "app"});
    desk.waha.message("true_12132132130@c.us_3A0000000000000000AA", typed).await?;
    let conversation = conversation_of(&desk.api, &desk.waha.channel, CUSTOMER).await?;
    eventually("the echo, and nothing twice", SOON, || async {
        let rows = messages(&desk.api, id(&conversation)?).await?;
        let echo = rows.iter().find(|row| text_of(row) == "I call you").context("no echo")?;
        ensure!(echo["sender"]["kind"] == "echo" && echo["direction"] == "outbound", "{echo}");
        ensure!(rows.len() == 3, "{} messages", rows.len());
        Ok(Some(()))
    })
    .await?;
    let log = desk.server.log();
    ensure!(!log.contains(API_KEY) && !log.contains(HMAC_KEY), "a key is in the log");
    ensure!(desk.waha.complaints().is_empty(), "{:?}", desk.waha.complaints());
    Ok(())
}

// S28, S29, S98
async fn a_lost_phone_is_told_and_what_was_to_be_sent_waits(backend: Backend) -> Result<()> {
    let desk = Desk::linked(backend, json!({})).await?;
    let admin = json!({"email": "ada@x.example", "name": "Ada", "role": "admin"});
    desk.api.post("/api/v1/users", admin).await?.expect(201)?;
    desk.waha.hear(CUSTOMER, 1, "hello").await?;
    conversation_of(&desk.api, &desk.waha.channel, CUSTOMER).await?;
    desk.waha.becomes("FAILED").await?;
    let red = desk.state("failed").await?;
    ensure!(red["state_reason"].as_str().is_some_and(|why| why.contains("unlinked")), "{red}");
    let notices = desk.api.list("/api/v1/notifications").await?;
    ensure!(notices.iter().filter(|it| it["kind"] == "channel").count() == 1, "{notices:?}");
    let waiting = desk.reply("see you").await?;
    desk.message_in(&waiting, "queued").await?;
    desk.session("/restart").await?;
    // Nobody scans: WAHA gives up after six codes.
    desk.waha.becomes("SCAN_QR_CODE").await?;
    desk.state("qr_required").await?;
    desk.waha.becomes("FAILED").await?;
    desk.state("failed").await?;
    desk.api.get(&desk.path("/qr")).await?.problem(409, "session_not_ready")?;
    ensure!(desk.waha.sent().is_empty(), "nothing left meanwhile");
    desk.session("/restart").await?;
    desk.waha.becomes("WORKING").await?;
    desk.message_in(&waiting, "sent").await?;
    let out = desk.session("/logout").await?;
    ensure!(out["state"] == "stopped" && out["channel_state"] == "disconnected", "{out}");
    let audit = desk.api.list("/api/v1/audit").await?;
    ensure!(audit.iter().any(|entry| entry["action"] == "channel.session.logout"), "{audit:?}");
    Ok(())
}

async fn a_lost_webhook_is_made_good_by_asking(backend: Backend) -> Result<()> {
    let desk = Desk::open(backend, json!({})).await?;
    desk.session("/start").await?;
    desk.waha.becomes("SCAN_QR_CODE").await?;
    desk.state("qr_required").await?;
    desk.waha.becomes_silently("WORKING");
    desk.server.advance(Duration::from_secs(10))?;
    let channel = desk.state("connected").await?;
    ensure!(channel["address"] == "+79222222222", "{channel}");
    Ok(())
}

// S30
async fn a_linked_phone_only_reads_along_when_told_so(backend: Backend) -> Result<()> {
    let desk = Desk::linked(backend, json!({"receive_only": true})).await?;
    desk.waha.hear(CUSTOMER, 1, "hello").await?;
    let conversation = conversation_of(&desk.api, &desk.waha.channel, CUSTOMER).await?;
    let path = format!("/api/v1/conversations/{}/messages", id(&conversation)?);
    desk.api.post(&path, json!({"text": "by hand"})).await?.problem(422, "receive_only")?;
    let body =
        json!({"event": "message.any", "session": "desk", "payload": {"id": "false_1@c.us_3A"}}).to_string();
    let forged = desk.waha.post(body, "a guessed key", "r1").await?;
    ensure!((400..500).contains(&forged.status), "a forged webhook was answered {}", forged.status);
    let group = json!({"body": "hi all", "hasMedia": false, "participant": "12132132131@c.us"});
    desk.waha.message("false_120363012345678901@g.us_3A03_12132132131@c.us", group).await?;
    desk.waha.hear(CUSTOMER, 2, "still there?").await?;
    eventually("the second message", SOON, || async {
        let rows = messages(&desk.api, id(&conversation)?).await?;
        ensure!(texts(&rows, "inbound") == ["hello", "still there?"], "{rows:?}");
        Ok(Some(()))
    })
    .await?;
    let all = desk.api.list("/api/v1/conversations").await?;
    ensure!(all.len() == 1, "groups are not taken: {all:?}");
    ensure!(desk.waha.sent().is_empty(), "nothing left, no receipt either");
    Ok(())
}

// S61
async fn a_file_comes_from_waha_with_its_key(backend: Backend) -> Result<()> {
    let desk = Desk::linked(backend, json!({})).await?;
    let url = desk.waha.serve_file("3A07.png", PNG);
    let media = json!({"url": url, "mimetype": "image/jpeg", "filename": null, "error": null});
    let fields = json!({"body": "look", "hasMedia": true, "media": media});
    desk.waha.message("false_12132132130@c.us_3A07", fields).await?;
    let conversation = conversation_of(&desk.api, &desk.waha.channel, CUSTOMER).await?;
    eventually("the file is stored", SOON, || async {
        let rows = messages(&desk.api, id(&conversation)?).await?;
        let file = rows.iter().find_map(|row| row.pointer("/content/items/0")).context("no file")?;
        ensure!(file["state"] == "stored" && file["content_type"] == "image/png", "{file}");
        Ok(Some(()))
    })
    .await
}

/// WAHA may stand in a network that does not reach our public address.
async fn a_file_goes_to_waha_in_the_call_itself(backend: Backend) -> Result<()> {
    let desk = Desk::linked(backend, json!({})).await?;
    desk.waha.hear(CUSTOMER, 1, "do you have the plan?").await?;
    let conversation = conversation_of(&desk.api, &desk.waha.channel, CUSTOMER).await?;
    let url = format!("{}/api/v1/attachments?file_name=plan.png", desk.server.url());
    let upload = http_client()?.post(url).bearer_auth(desk.server.key()).body(DOT);
    let uploaded: Value =
        upload.header("content-type", "application/octet-stream").send().await?.json().await?;
    let path = format!("/api/v1/conversations/{}/messages", id(&conversation)?);
    let body = json!({"attachments": [{"id": id(&uploaded)?, "caption": "here"}]});
    let message = desk.api.post(&path, body).await?.expect(201)?;
    desk.message_in(&message, "sent").await?;
    let (endpoint, sent) = desk.waha.sent().pop().context("nothing was sent")?;
    let file = json!({"mimetype": "image/png", "filename": "plan.png", "data": STANDARD.encode(DOT)});
    ensure!(
        endpoint == "sendImage" && sent["file"] == file && sent["caption"] == "here",
        "{endpoint} {sent}"
    );
    ensure!(desk.waha.complaints().is_empty(), "{:?}", desk.waha.complaints());
    Ok(())
}

/// WhatsApp hides numbers behind `@lid`; its digits are no number. Where the engine knows the number, the contact is the
/// one that has it.
async fn whoever_hides_their_number_is_answered_all_the_same(backend: Backend) -> Result<()> {
    const HIDDEN: &str = "123456789012345@lid";
    let desk = Desk::linked(backend, json!({})).await?;
    let said = async |number: u32, info: Value| {
        let fields = json!({"body": "hello", "hasMedia": false, "_data": {"Info": info}});
        desk.waha.message(&format!("false_{HIDDEN}_3A{number:018X}"), fields).await
    };
    said(1, json!({"PushName": "Ann"})).await?;
    let conversation = conversation_of(&desk.api, &desk.waha.channel, HIDDEN).await?;
    let path = format!("/api/v1/contacts/{}", text_at(&conversation, "/contact/id")?);
    let contact = desk.api.get(&path).await?.expect(200)?;
    ensure!(contact["name"] == "Ann" && contact["phone"].is_null(), "{contact}");
    let to = format!("/api/v1/conversations/{}/messages", id(&conversation)?);
    let reply = desk.api.post(&to, json!({"text": "hello Ann"})).await?.expect(201)?;
    desk.message_in(&reply, "sent").await?;
    ensure!(desk.waha.sent()[0].1["chatId"] == HIDDEN, "{:?}", desk.waha.sent());
    // The engine has learned the number.
    said(2, json!({"PushName": "Ann", "SenderAlt": "12132132130:7@s.whatsapp.net"})).await?;
    eventually("the contact has their number", SOON, || async {
        let contact = desk.api.get(&path).await?.expect(200)?;
        ensure!(contact["phone"] == "+12132132130", "{contact}");
        Ok(Some(()))
    })
    .await?;
    // The same person by their number: the same conversation, and answers go there from now on.
    desk.waha.hear(CUSTOMER, 3, "it is me").await?;
    eventually("one conversation", SOON, || async {
        let rows = messages(&desk.api, id(&conversation)?).await?;
        ensure!(texts(&rows, "inbound") == ["hello", "hello", "it is me"], "{rows:?}");
        Ok(Some(()))
    })
    .await?;
    let rows = desk.api.list("/api/v1/conversations").await?;
    ensure!(rows.len() == 1 && rows[0]["contact"]["address"] == "12132132130@c.us", "{rows:?}");
    Ok(())
}

async fn what_was_written_during_an_outage_is_asked_for(backend: Backend) -> Result<()> {
    let desk = Desk::linked(backend, json!({})).await?;
    publish(&desk.api, ECHO_RULE).await?;
    // An hour ago, by the server's own clock.
    let channel = desk.api.get(&desk.path("")).await?.expect(200)?;
    let now: jiff::Timestamp = text_at(&channel, "/state_since")?.parse()?;
    desk.waha.set_clock(now - jiff::SignedDuration::from_hours(1));
    desk.waha.hear(CUSTOMER, 1, "by webhook").await?;
    let conversation = conversation_of(&desk.api, &desk.waha.channel, CUSTOMER).await?;
    let replies = || desk.waha.sent().iter().filter(|(endpoint, _)| endpoint == "sendText").count();
    eventually("the rule answers", SOON, || async { Ok((replies() == 1).then_some(())) }).await?;
    desk.waha.hear_silently(CUSTOMER, 2, "while you were away");
    desk.waha.hear_silently("12132132199", 3, "me too");

    let since = (now - jiff::SignedDuration::from_hours(2)).to_string();
    let asked = desk.api.post(&desk.path("/backfill"), json!({"since": since})).await?.expect(202)?;
    ensure!(asked["state"] == "running", "{asked}");
    let done = eventually("the past is read", SOON, || async {
        let state = desk.api.get(&desk.path("/backfill")).await?.expect(200)?;
        ensure!(state["state"] == "done", "{state}");
        Ok(Some(state))
    })
    .await?;
    ensure!((&done["found"], &done["added"]) == (&json!(3), &json!(2)), "the webhook's is known: {done}");
    eventually("it is in the conversation, once and in order", SOON, || async {
        let rows = messages(&desk.api, id(&conversation)?).await?;
        ensure!(texts(&rows, "inbound") == ["by webhook", "while you were away"], "{rows:?}");
        Ok(Some(()))
    })
    .await?;
    conversation_of(&desk.api, &desk.waha.channel, "12132132199").await?;
    // Asking again finds nothing new, and neither does a webhook that comes late after all.
    let again = desk.server.cli(&["channel", "backfill", "My WhatsApp", "--since", &since]).await?;
    ensure!(again.status.success(), "{again:?}");
    eventually("nothing is new", SOON, || async {
        let state = desk.api.get(&desk.path("/backfill")).await?.expect(200)?;
        ensure!(state["state"] == "done" && state["found"] == 3 && state["added"] == 0, "{state}");
        Ok(Some(()))
    })
    .await?;
    let webchat = desk.api.find("/api/v1/channels", "provider", "webchat").await?;
    let path = format!("/api/v1/channels/{}/backfill", id(&webchat)?);
    desk.api.post(&path, json!({"since": since})).await?.problem(422, "unsupported")?;
    desk.api
        .post(&desk.path("/backfill"), json!({"since": "1999-01-01T00:00:00Z"}))
        .await?
        .problem(422, "invalid")?;
    ensure!(replies() == 1, "no rule answers what is over: {:?}", desk.waha.sent());
    ensure!(desk.waha.complaints().is_empty(), "{:?}", desk.waha.complaints());
    Ok(())
}
