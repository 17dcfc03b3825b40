//! People outside: found under every writing of their number, merged and taken
//! apart, blocked by their vendor, exported, and forgotten.

use anyhow::{Context, Result, ensure};
use pointsman_tests::api::text_at;
use pointsman_tests::database::dump;
use pointsman_tests::server::succeeded;
use pointsman_tests::twilio::{ChannelPlan, status_form};
use pointsman_tests::{Api, Backend, Chat, Server, Twilio, Vendor, each_backend, eventually};
use serde_json::{Value, json};

use crate::{SOON, Scene, conversation_of, id, messages, sid, texts};

each_backend!(
    one_number_in_two_writings_is_one_contact,
    merging_and_undoing_while_messages_arrive_loses_none,
    a_stop_at_the_vendor_is_lifted_by_the_contact_alone,
    an_erased_contact_leaves_no_trace_even_after_a_crash,
    after_a_conversation_is_deleted_the_customer_begins_a_new_one,
    the_command_line_works_on_contacts,
);

const ANA: &str = "+34600000011";
const BEN: &str = "+34600000012";

/// The only contact with this number, once it is there.
async fn contact_of(api: &Api, phone: &str) -> Result<Value> {
    let query = format!("/api/v1/contacts?q={}", phone.replace('+', "%2B"));
    eventually(&format!("a contact with {phone}"), SOON, || async {
        let rows = api.list(&query).await?;
        ensure!(rows.len() <= 1, "{} contacts: {rows:?}", rows.len());
        Ok(rows.into_iter().next())
    })
    .await
}

/// The contact as soon as it looks as wanted.
async fn contact_when(api: &Api, id: &str, what: &str, is_wanted: impl Fn(&Value) -> bool) -> Result<Value> {
    eventually(what, SOON, || async {
        let row = api.get(&format!("/api/v1/contacts/{id}")).await?.expect(200)?;
        ensure!(is_wanted(&row), "it is {row}");
        Ok(Some(row))
    })
    .await
}

// S24
/// S06: Brazilian mobile numbers come with and without the ninth digit.
async fn one_number_in_two_writings_is_one_contact(backend: Backend) -> Result<()> {
    let scene = Scene::with_echo(Server::start(backend).await?).await?;
    let (short, long) = ("+551187654321", "+5511987654321");
    scene.hear(short, 1, "olá").await?;
    let conversation = scene.conversation("551187654321").await?;
    scene.accepted(1).await?;
    let first = json!({"channel": scene.twilio.channel, "to": "+55 11 98765-4321", "text": "tudo bem?"});
    let sent = scene.api.post("/api/v1/messages", first).await?.expect(201)?;
    ensure!(sent["conversation"] == conversation["id"], "another conversation: {sent}");
    scene.accepted(2).await?;
    let to = scene.vendor.accepted()[1].field("To").to_owned();
    ensure!(to == scene.twilio.address(short), "answers go where the customer wrote from, not to {to}");
    scene.hear(long, 2, "sim").await?;
    scene.accepted(3).await?;
    let rows = messages(&scene.api, id(&conversation)?).await?;
    ensure!(texts(&rows, "inbound") == ["olá", "sim"], "{rows:?}");
    let contacts = scene.api.list("/api/v1/contacts").await?;
    ensure!(contacts.len() == 1, "{contacts:?}");
    for writing in ["%2B55 11 8765-4321", "%2B5511987654321", "87654321"] {
        let found = scene.api.list(&format!("/api/v1/contacts?q={}", writing.replace(' ', "%20"))).await?;
        ensure!(found.len() == 1, "{writing} finds {}", found.len());
    }
    let bad = json!({"channel": scene.twilio.channel, "to": "+55 11", "text": "x"});
    scene.api.post("/api/v1/messages", bad).await?.problem(422, "invalid")?;
    Ok(())
}

/// Waits until the customer's messages are there, all of them and none twice.
async fn heard(api: &Api, conversation: &str, count: usize) -> Result<()> {
    eventually(&format!("{count} messages of the customer"), SOON, || async {
        let rows = messages(api, conversation).await?;
        let found = texts(&rows, "inbound").len();
        ensure!(found == count, "{found} of {count}");
        Ok(Some(()))
    })
    .await
}

async fn merging_and_undoing_while_messages_arrive_loses_none(backend: Backend) -> Result<()> {
    const EACH: u64 = 12;
    let scene = Scene::quiet(Server::start(backend).await?).await?;
    scene.hear(ANA, 1, "one").await?;
    scene.hear(BEN, 2, "two").await?;
    let (ana, ben) = (contact_of(&scene.api, ANA).await?, contact_of(&scene.api, BEN).await?);
    let (ana, ben) = (id(&ana)?, id(&ben)?);
    let write = async {
        for number in 0..EACH {
            scene.hear(ANA, 100 + number, &format!("a{number}")).await?;
            scene.hear(BEN, 200 + number, &format!("b{number}")).await?;
        }
        anyhow::Ok(())
    };
    let merge = async {
        let path = format!("/api/v1/contacts/{ana}/merge");
        let merged = scene.api.post(&path, json!({"with": ben})).await?.expect(201)?;
        ensure!(merged["contact"]["identities"].as_array().map(Vec::len) == Some(2), "{merged}");
        let undo = format!("/api/v1/contacts/merges/{}/undo", text_at(&merged, "/merge/id")?);
        scene.api.post(&undo, json!({})).await?.expect(200)?;
        let again = scene.api.post(&path, json!({"with": ben})).await?.expect(201)?;
        Ok(text_at(&again, "/merge/id")?.to_owned())
    };
    let ((), merge) = tokio::try_join!(write, merge)?;
    let conversations = [scene.conversation(ANA).await?, scene.conversation(BEN).await?];
    for conversation in &conversations {
        heard(&scene.api, id(conversation)?, 1 + usize::try_from(EACH)?).await?;
    }
    let of_ana = scene.api.list(&format!("/api/v1/conversations?contact={ana}")).await?;
    ensure!(of_ana.len() == 2, "{of_ana:?}");
    for conversation in &of_ana {
        let path = format!("/api/v1/conversations/{}/timeline", id(conversation)?);
        let timeline = scene.api.list(&path).await?;
        let merged = timeline.iter().filter(|item| item["event"]["type"] == "contact.merged").count();
        ensure!(merged >= 1, "no news of the merge: {timeline:?}");
    }
    scene.api.get(&format!("/api/v1/contacts/{ben}")).await?.expect(200)?;
    scene
        .api
        .patch(&format!("/api/v1/contacts/{ben}"), json!({"name": "B"}))
        .await?
        .problem(409, "merged")?;
    scene.hear(BEN, 300, "while we are one").await?;
    heard(&scene.api, id(&conversations[1])?, 2 + usize::try_from(EACH)?).await?;
    let undo = format!("/api/v1/contacts/merges/{merge}/undo");
    scene.api.post(&undo, json!({})).await?.expect(200)?;
    scene.api.post(&undo, json!({})).await?.problem(409, "undone")?;
    let of_ben = scene.api.list(&format!("/api/v1/conversations?contact={ben}")).await?;
    ensure!(of_ben.len() == 1, "{of_ben:?}");
    let rows = messages(&scene.api, id(&of_ben[0])?).await?;
    ensure!(texts(&rows, "inbound").last() == Some(&"while we are one"), "{rows:?}");
    scene.hear(BEN, 301, "and apart").await?;
    heard(&scene.api, id(&conversations[1])?, 3 + usize::try_from(EACH)?).await?;
    let name = contact_of(&scene.api, ANA).await?["name"].clone();
    ensure!(name == format!("Customer {ANA}"), "{name}");
    Ok(())
}

async fn a_stop_at_the_vendor_is_lifted_by_the_contact_alone(backend: Backend) -> Result<()> {
    let server = Server::start(backend).await?;
    let vendor = Vendor::start().await?;
    let plan = ChannelPlan { kind: "sms", name: "Sales SMS".into(), extra: json!({}) };
    let twilio = Twilio::connect_as(&server, &vendor, plan).await?;
    let api = server.api()?;
    let write = async |number: u64, text: &str, kind: Option<&str>| {
        let mut form = twilio.inbound(ANA, &sid(number), text);
        form.extend(kind.map(|kind| ("OptOutType".to_owned(), kind.to_owned())));
        let answer = twilio.deliver(&form).await?;
        ensure!((200..300).contains(&answer.status), "{} {}", answer.status, answer.text);
        Ok(())
    };
    write(1, "hello", None).await?;
    let contact = contact_of(&api, ANA).await?;
    let contact = id(&contact)?.to_owned();
    let path = format!("/api/v1/contacts/{contact}");
    let sms = json!({"channel_kind": "sms"});
    // Our own note is ours to take back.
    let row = api.post(&format!("{path}/opt-out"), sms.clone()).await?.expect(200)?;
    ensure!(row["opt_outs"][0]["source"] == "api" && row["opt_outs"][0]["can_opt_in"] == true, "{row}");
    let row = api.post(&format!("{path}/opt-in"), sms.clone()).await?.expect(200)?;
    ensure!(row["opt_outs"] == json!([]), "{row}");
    // The vendor's is not.
    write(2, "STOP", Some("STOP")).await?;
    let is_out = |row: &Value| row["opt_outs"][0]["source"] == "vendor";
    contact_when(&api, &contact, "opted out at the vendor", is_out).await?;
    let problem =
        api.post(&format!("{path}/opt-in"), sms.clone()).await?.problem(409, "opted_out_at_vendor")?;
    ensure!(problem["detail"].as_str().is_some_and(|text| text.contains("START")), "{problem}");
    let conversation = conversation_of(&api, &twilio.channel, ANA).await?;
    let messages = format!("/api/v1/conversations/{}/messages", id(&conversation)?);
    api.post(&messages, json!({"text": "please?"})).await?.problem(422, "opted_out")?;
    ensure!(vendor.accepted_count() == 0, "something was sent: {:?}", vendor.accepted());
    write(3, "START", Some("START")).await?;
    contact_when(&api, &contact, "opted in", |row| row["opt_outs"] == json!([])).await?;
    api.post(&messages, json!({"text": "welcome back"})).await?.expect(201)?;
    eventually("it is sent", SOON, || async { Ok((vendor.accepted_count() == 1).then_some(())) }).await?;
    // A refusal by the vendor is believed as well; the word lifts it where the vendor says no more than the word.
    vendor.fail_next([pointsman_tests::Fault::Refused(21610)]);
    api.post(&messages, json!({"text": "one more"})).await?.expect(201)?;
    contact_when(&api, &contact, "refused by the vendor", is_out).await?;
    write(4, " start ", None).await?;
    contact_when(&api, &contact, "opted in by a word", |row| row["opt_outs"] == json!([])).await?;
    let events = api.list("/api/v1/events?type=contact.").await?;
    let count = |kind: &str| events.iter().filter(|event| event["type"] == kind).count();
    ensure!((count("contact.opted_out"), count("contact.opted_in")) == (3, 3), "{events:?}");
    Ok(())
}

const TRACE: &str = "canary-text-9b41";
const NOTE: &str = "canary-note-2c77";
const NAME: &str = "Canary Namefield";

async fn an_erased_contact_leaves_no_trace_even_after_a_crash(backend: Backend) -> Result<()> {
    let mut scene = Scene::with_echo(Server::start(backend).await?).await?;
    for number in 1..=5 {
        scene.hear(ANA, number, TRACE).await?;
    }
    scene.hear(ANA, 5, TRACE).await?; // once more: a webhook that leads to nothing
    scene.hear(BEN, 6, "I stay").await?;
    scene.accepted(6).await?;
    let contact = contact_of(&scene.api, ANA).await?;
    let path = format!("/api/v1/contacts/{}", id(&contact)?);
    let card = json!({"name": NAME, "attributes": {"email": "canary@x.test"}});
    scene.api.patch(&path, card).await?.expect(200)?;
    let conversation = scene.conversation(ANA).await?;
    let conversation = id(&conversation)?.to_owned();
    let notes = format!("/api/v1/conversations/{conversation}/messages");
    let key = [("idempotency-key", "k1")];
    let note = json!({"note": NOTE});
    scene.api.call(reqwest::Method::POST, &notes, Some(&note), &key).await?.expect(201)?;
    scene.api.post(&format!("{path}/opt-out"), json!({"channel_kind": "whatsapp"})).await?.expect(200)?;
    let export = scene.api.get(&format!("{path}/export")).await?.expect(200)?.to_string();
    let canaries = [TRACE, NOTE, NAME, "canary@x.test", ANA.trim_start_matches('+')];
    for canary in canaries {
        ensure!(export.contains(canary), "{canary} is not in the export: {export}");
    }
    ensure!(!export.contains("I stay"), "somebody else is in the export");

    scene.api.post(&format!("{path}/erase"), json!({})).await?.problem(422, "confirmation_required")?;
    let confirm = format!("{path}/erase?confirm={}", id(&contact)?);
    let erase = tokio::spawn({
        let api = scene.api.clone();
        async move { api.post(&confirm, json!({})).await }
    });
    // As soon as it was begun, the power fails.
    eventually("the erasing has begun", SOON, || async {
        let row = scene.api.get(&path).await?.expect(200)?;
        Ok(row["erased_at"].is_string().then_some(()))
    })
    .await?;
    scene.server.restart().await?;
    drop(erase.await);
    scene.server.advance(std::time::Duration::from_secs(70))?; // the job that goes on comes round every minute
    eventually("the erasing ends", 3 * SOON, || async {
        let rows = scene.api.list("/api/v1/contacts/erasures").await?;
        ensure!(rows.len() == 1 && rows[0]["state"] == "done", "{rows:?}");
        Ok(Some(()))
    })
    .await?;
    for (table, row) in dump(&scene.server).await? {
        for canary in canaries {
            ensure!(!row.contains(canary), "{canary} is in {table}: {row}");
        }
    }
    let row = scene.api.get(&path).await?.expect(200)?;
    ensure!(row["name"].is_null() && row["identities"] == json!([]), "{row}");
    let row = scene.api.get(&format!("/api/v1/conversations/{conversation}")).await?.expect(200)?;
    ensure!(row["status"] == "closed" && row["preview"].is_null(), "{row}");
    ensure!(messages(&scene.api, &conversation).await?.is_empty(), "messages stay");
    let left = scene.conversation(BEN).await?;
    ensure!(texts(&messages(&scene.api, id(&left)?).await?, "inbound") == ["I stay"], "another one suffers");

    // They come back as somebody new, who still wants no messages.
    let sent = scene.vendor.accepted_count();
    scene.hear(ANA, 7, "hello again").await?;
    let back = contact_of(&scene.api, ANA).await?;
    ensure!(back["id"] != contact["id"], "{back}");
    ensure!(back["opt_outs"][0]["channel_kind"] == "whatsapp", "{back}");
    let conversation = scene.conversation(ANA).await?;
    let to = format!("/api/v1/conversations/{}/messages", id(&conversation)?);
    scene.api.post(&to, json!({"text": "x"})).await?.problem(422, "opted_out")?;
    ensure!(scene.vendor.accepted_count() == sent, "they were written to");
    Ok(())
}

// S89
/// S89: deleting is for owners and admins, and the lane goes on.
async fn after_a_conversation_is_deleted_the_customer_begins_a_new_one(backend: Backend) -> Result<()> {
    let scene = Scene::with_echo(Server::start(backend).await?).await?;
    scene.hear(ANA, 1, TRACE).await?;
    scene.accepted(1).await?;
    let sent = scene.vendor.accepted().into_iter().next().context("one was accepted")?;
    let before = scene.conversation(ANA).await?;
    let path = format!("/api/v1/conversations/{}", id(&before)?);
    let agent = scene.server.create_key("agent", "agent").await?;
    scene.api.with_key(Some(&agent)).delete(&path).await?.problem(403, "forbidden")?;
    scene.api.delete(&path).await?.expect(204)?;
    scene.api.get(&path).await?.problem(404, "not_found")?;
    scene.api.delete(&path).await?.problem(404, "not_found")?;
    for (table, row) in dump(&scene.server).await? {
        ensure!(!row.contains(TRACE), "the text is in {table}: {row}");
    }
    let callback = status_form(&sent.sid.clone().context("accepted")?, sent.field("To"), "read", None);
    let answer = scene.twilio.callback(sent.field("StatusCallback"), &callback).await?;
    ensure!((200..300).contains(&answer.status), "a late callback: {} {}", answer.status, answer.text);
    scene.hear(ANA, 2, "me again").await?;
    scene.outbound(ANA, "echo me again", &["sent"]).await?;
    let after = scene.conversation(ANA).await?;
    ensure!(after["id"] != before["id"] && after["contact"]["id"] == before["contact"]["id"], "{after}");
    ensure!(texts(&messages(&scene.api, id(&after)?).await?, "inbound") == ["me again"], "{after}");
    let audit = scene.api.list("/api/v1/audit").await?;
    ensure!(audit.iter().any(|row| row["action"] == "conversation.delete"), "{audit:?}");
    Ok(())
}

async fn the_command_line_works_on_contacts(backend: Backend) -> Result<()> {
    let server = Server::start(backend).await?;
    let chat = Chat::open(&server).await?;
    chat.say("m1", "hello").await?;
    let api = server.api()?;
    let contact =
        eventually("a contact", SOON, || async { Ok(api.list("/api/v1/contacts").await?.pop()) }).await?;
    let id = id(&contact)?;
    // S95: the phone of one contact, written into another, tells that they are one.
    let other = json!({"name": "Ana", "phone": "+34 600 000 011"});
    let other = api.post("/api/v1/contacts", other).await?.expect(201)?;
    let row = api.patch(&format!("/api/v1/contacts/{id}"), json!({"phone": ANA})).await?.expect(200)?;
    ensure!(row["duplicates"][0] == json!({"contact": other["id"], "evidence": "phone"}), "{row}");
    let pairs = api.list("/api/v1/contacts/duplicates").await?;
    ensure!(pairs.len() == 1 && pairs[0]["evidence"] == "phone", "{pairs:?}");
    let run = async |args: &[&str]| succeeded(&server.cli(args).await?);
    ensure!(run(&["contact", "list", "600000011"]).await?.contains(id), "not listed");
    ensure!(run(&["contact", "show", id]).await?.contains("may be"), "no duplicate is shown");
    let merged = run(&["contact", "merge", id, "--with", text_at(&other, "/id")?]).await?;
    let merge = merged.split_whitespace().next().context("a merge has an id")?.to_owned();
    let row = api.get(&format!("/api/v1/contacts/{id}")).await?.expect(200)?;
    ensure!(row["name"] == "Ana" && row["duplicates"] == json!([]), "{row}");
    run(&["contact", "unmerge", &merge]).await?;
    run(&["contact", "block", id]).await?;
    ensure!(run(&["contact", "list", "--blocked"]).await?.contains("blocked"), "not blocked");
    run(&["contact", "unblock", id]).await?;
    ensure!(run(&["contact", "export", id]).await?.contains("hello"), "the export lacks a message");
    ensure!(!server.cli(&["contact", "erase", id, "--confirm", "x"]).await?.status.success(), "unconfirmed");
    ensure!(run(&["contact", "erase", id, "--confirm", id]).await?.contains("done"), "not erased");
    Ok(())
}
