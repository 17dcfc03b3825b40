//! Files beyond sending and receiving: small pictures, links, uploads that were
//! cut off, and pages that hear when a file arrives.

use anyhow::{Context, Result, ensure};
use pointsman_tests::api::{header, text_at};
use pointsman_tests::bucket::{ACCESS_KEY_ID, BUCKET, SECRET_ACCESS_KEY};
use pointsman_tests::server::PUBLIC_URL;
use pointsman_tests::{Backend, BucketServer, Server, Setup, each_backend, eventually, http_client};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::{SOON, Scene, id, sid};

each_backend!(
    an_image_has_a_small_picture_and_a_link_for_a_while,
    an_upload_goes_on_where_it_was_cut_off_also_after_a_kill,
    a_page_hears_when_a_file_arrives_or_will_not_come,
    a_first_message_may_be_a_file,
    files_lie_in_a_bucket_when_the_operator_wants_it,
);

const CUSTOMER: &str = "+34600000031";
/// A white square of 64 by 64 pixels.
const PNG: &[u8] = include_bytes!("files/white.png");

fn request(scene: &Scene, method: Method, path: &str) -> Result<reqwest::RequestBuilder> {
    let url = format!("{}{path}", scene.server.url());
    Ok(http_client()?.request(method, url).bearer_auth(scene.server.key()).header("tus-resumable", "1.0.0"))
}

/// Uploads a file in one piece.
async fn upload(scene: &Scene) -> Result<Value> {
    let answer =
        request(scene, Method::POST, "/api/v1/attachments?file_name=white.png")?.body(PNG).send().await?;
    ensure!(answer.status() == StatusCode::CREATED, "{}", answer.status());
    Ok(answer.json().await?)
}

// S101
async fn an_image_has_a_small_picture_and_a_link_for_a_while(backend: Backend) -> Result<()> {
    let scene = Scene::quiet(Server::start(backend).await?).await?;
    let file = upload(&scene).await?;
    let path = format!("/api/v1/attachments/{}", id(&file)?);
    let small = request(&scene, Method::GET, &format!("{path}/thumbnail"))?.send().await?;
    ensure!(small.status() == StatusCode::OK, "{}", small.status());
    ensure!(
        header(small.headers(), "content-type").unwrap_or_default() == "image/jpeg",
        "{:?}",
        small.headers()
    );
    ensure!(small.bytes().await?.starts_with(&[0xff, 0xd8]), "it is a JPEG");
    let link = scene.api.get(&format!("{path}/link?minutes=5")).await?.expect(200)?;
    let url = text_at(&link, "/url")?;
    ensure!(url.starts_with(&format!("{PUBLIC_URL}/media/")) && link["expires_at"].is_string(), "{link}");
    let opened = http_client()?.get(scene.server.local(url)).send().await?;
    ensure!(opened.bytes().await? == PNG, "whoever has the link has the file");
    scene.api.get(&format!("{path}/link?minutes=0")).await?.problem(400, "bad_query")?;
    let agent = scene.api.with_key(Some(&scene.server.create_key("other", "agent").await?));
    for part in ["", "/thumbnail", "/link"] {
        agent.get(&format!("{path}{part}")).await?.problem(404, "not_found")?;
    }
    Ok(())
}

async fn offset(scene: &Scene, at: &str) -> Result<String> {
    let head = request(scene, Method::HEAD, at)?.send().await?;
    ensure!(head.status() == StatusCode::OK, "{}", head.status());
    Ok(header(head.headers(), "upload-offset").unwrap_or_default().to_owned())
}

async fn send_piece(scene: &Scene, at: &str, from: usize, piece: &'static [u8]) -> Result<StatusCode> {
    let request = request(scene, Method::PATCH, at)?.header("upload-offset", from).body(piece);
    let answer = request.header("content-type", "application/offset+octet-stream").send().await?;
    Ok(answer.status())
}

async fn an_upload_goes_on_where_it_was_cut_off_also_after_a_kill(backend: Backend) -> Result<()> {
    let mut scene = Scene::quiet(Server::start(backend).await?).await?;
    let begun = request(&scene, Method::POST, "/api/v1/uploads")?.header("upload-length", PNG.len());
    let begun = begun.header("upload-metadata", "filename d2hpdGUucG5n").send().await?;
    ensure!(begun.status() == StatusCode::CREATED, "{}", begun.status());
    let at = header(begun.headers(), "location").context("a location")?.to_owned();
    ensure!(send_piece(&scene, &at, 0, &PNG[..30]).await? == StatusCode::NO_CONTENT, "a first piece");
    scene.server.kill().await?;
    scene.server.restart().await?;
    scene.api = scene.server.api()?;
    ensure!(offset(&scene, &at).await? == "30", "what had arrived is there");
    ensure!(send_piece(&scene, &at, 0, &PNG[..30]).await? == StatusCode::CONFLICT, "not twice");
    ensure!(send_piece(&scene, &at, 30, &PNG[30..]).await? == StatusCode::NO_CONTENT, "the rest");
    ensure!(offset(&scene, &at).await? == PNG.len().to_string(), "all of it");
    let path = at.replace("/uploads/", "/attachments/");
    let file = request(&scene, Method::GET, &path)?.send().await?;
    ensure!(header(file.headers(), "content-type").unwrap_or_default() == "image/png", "found by its bytes");
    let named = header(file.headers(), "content-disposition").unwrap_or_default().contains("white.png");
    ensure!(named && file.bytes().await? == PNG, "the file is whole");
    ensure!(
        send_piece(&scene, &at, 30, &PNG[30..]).await? == StatusCode::NOT_FOUND,
        "it is no upload any more"
    );
    Ok(())
}

async fn a_page_hears_when_a_file_arrives_or_will_not_come(backend: Backend) -> Result<()> {
    let scene = Scene::quiet(Server::start(backend).await?).await?;
    let url = scene.vendor.serve_file("ME1", "image/png", PNG);
    for (number, name, event) in [(1, "ME1", "attachment.stored"), (2, "ME2", "attachment.failed")] {
        let mut form = scene.twilio.inbound(CUSTOMER, &sid(number), "look");
        form.retain(|(field, _)| field != "NumMedia" && field != "MessageType");
        let url = url.replace("ME1", name);
        scene.vendor.fail_files((event == "attachment.failed").then_some(410));
        let fields = [
            ("NumMedia", "1"),
            ("MessageType", "image"),
            ("MediaUrl0", &url),
            ("MediaContentType0", "image/png"),
        ];
        form.extend(fields.map(|(field, value)| (field.to_owned(), value.to_owned())));
        ensure!((200..300).contains(&scene.twilio.deliver(&form).await?.status), "the webhook is taken");
        let heard = eventually(event, SOON, || async {
            let events = scene.api.list(&format!("/api/v1/events?type={event}")).await?;
            Ok(events.into_iter().next())
        })
        .await?;
        let file = text_at(&heard, "/attachment")?;
        let message = scene
            .api
            .get(&format!("/api/v1/messages/{}", text_at(&heard, "/message")?))
            .await?
            .expect(200)?;
        let shown = message.pointer("/content/items/0").context("a file")?;
        ensure!(shown["id"] == file, "{message}");
        ensure!(shown["thumbnail_url"].is_string() == (event == "attachment.stored"), "{shown}");
    }
    Ok(())
}

async fn files_lie_in_a_bucket_when_the_operator_wants_it(backend: Backend) -> Result<()> {
    let bucket = BucketServer::start().await?;
    let server = Setup::new(backend)?
        .env("POINTSMAN_FILES__STORE", "s3")
        .env("POINTSMAN_FILES__BUCKET", BUCKET)
        .env("POINTSMAN_FILES__PREFIX", "pointsman/files")
        .env("POINTSMAN_FILES__ENDPOINT", bucket.url())
        .env("POINTSMAN_FILES__ACCESS_KEY_ID", ACCESS_KEY_ID)
        .env("POINTSMAN_FILES__SECRET_ACCESS_KEY", SECRET_ACCESS_KEY)
        .start()
        .await?;
    let scene = Scene::quiet(server).await?;
    let small = upload(&scene).await?;
    // Larger than one part, so that it travels in several.
    let large: Vec<u8> = (0..9 << 20).map(|n: u32| n.to_le_bytes()[0] ^ n.to_le_bytes()[1]).collect();
    let answer = request(&scene, Method::POST, "/api/v1/attachments")?.body(large.clone()).send().await?;
    ensure!(answer.status() == StatusCode::CREATED, "{}", answer.status());
    let big: Value = answer.json().await?;
    for (file, content) in [(&small, PNG), (&big, large.as_slice())] {
        let read =
            request(&scene, Method::GET, &format!("/api/v1/attachments/{}", id(file)?))?.send().await?;
        ensure!(read.status() == StatusCode::OK && read.bytes().await? == content, "it comes back whole");
    }
    let thumbnail = format!("/api/v1/attachments/{}/thumbnail", id(&small)?);
    ensure!(request(&scene, Method::GET, &thumbnail)?.send().await?.status() == StatusCode::OK, "and small");
    let kept = bucket.objects();
    ensure!(
        kept.len() == 3 && kept.keys().all(|key| key.starts_with("pointsman/files/tnt_")),
        "{:?}",
        kept.keys()
    );
    ensure!(bucket.refused() == 0, "every request is signed");
    let spool = scene.server.data().join("spool");
    ensure!(std::fs::read_dir(spool)?.next().is_none(), "nothing stays on this disk");
    ensure!(!scene.server.log().contains(SECRET_ACCESS_KEY), "the secret is logged");
    Ok(())
}

async fn a_first_message_may_be_a_file(backend: Backend) -> Result<()> {
    let scene = Scene::quiet(Server::start(backend).await?).await?;
    scene.hear(CUSTOMER, 1, "send me the plan").await?;
    scene.conversation(CUSTOMER).await?;
    let file = upload(&scene).await?;
    let to = format!("whatsapp:{CUSTOMER}");
    let first = json!({"channel": scene.twilio.channel, "to": to, "attachments": [{"id": id(&file)?}]});
    scene.api.post("/api/v1/messages", first).await?.expect(201)?;
    scene.accepted(1).await?;
    let sent = scene.vendor.accepted().into_iter().next().context("one was accepted")?;
    ensure!(sent.field("MediaUrl").starts_with(&format!("{PUBLIC_URL}/media/")), "{sent:?}");
    Ok(())
}
