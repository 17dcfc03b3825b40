//! A team at work: conversations find somebody, contacts are not left waiting,
//! chats end, windows close. Time is moved, never waited for.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use pointsman_tests::server::Setup;
use pointsman_tests::sse::{Event, Events};
use pointsman_tests::{Api, Backend, Server, each_backend, eventually};
use reqwest::Method;
use serde_json::{Value, json};

use crate::{SOON, Scene, id, messages, publish, settled};

each_backend!(
    conversations_go_round_and_nobody_gets_more_than_they_may,
    who_is_asked_and_says_nothing_is_passed_over,
    a_lost_connection_is_not_given_conversations,
    a_late_answer_is_warned_of_escalated_and_taken_once,
    an_idle_chat_warns_can_be_postponed_and_ends,
    after_the_window_a_template_leaves_and_text_does_not,
    a_snoozed_conversation_comes_back_by_itself,
    a_closed_conversation_reopens_within_the_time_of_its_channel,
);

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3_600);
const DAY: Duration = Duration::from_secs(86_400);

fn customer(number: usize) -> String {
    format!("+3460000070{number}")
}

/// What the stream tells of notifications, if it is as wanted.
fn rings(event: &Event, is_wanted: impl Fn(&Value) -> bool) -> Option<Value> {
    (event.kind == "notifications").then(|| event.json()).filter(is_wanted)
}

/// A person with a password who is in this group.
async fn agent(api: &Api, name: &str) -> Result<String> {
    let new = json!({"email": format!("{name}@team.example"), "name": name, "role": "agent",
        "password": "a long enough password"});
    Ok(id(&api.post("/api/v1/users", new).await?.expect(201)?)?.to_owned())
}

/// The channel's default group, with these members and this way of handing out.
async fn team(scene: &Scene, members: &[&str], assignment: Value) -> Result<String> {
    let channel = scene.api.get(&format!("/api/v1/channels/{}", scene.twilio.channel)).await?.expect(200)?;
    let group = channel["default_group"].as_str().context("the channel has a group")?.to_owned();
    let change = json!({"members": members, "assignment": assignment});
    scene.api.patch(&format!("/api/v1/groups/{group}"), change).await?.expect(200)?;
    Ok(group)
}

async fn presence(api: &Api, user: &str, presence: &str) -> Result<()> {
    api.patch(&format!("/api/v1/users/{user}"), json!({"presence": presence})).await?.expect(200)?;
    Ok(())
}

/// Who has the conversation with this customer, as soon as anybody has.
async fn assignee(scene: &Scene, phone: &str) -> Result<String> {
    let conversation = scene.conversation(phone).await?;
    let row = settled(&scene.api, id(&conversation)?, "somebody has it", |row| row["assignee"].is_string());
    Ok(row.await?["assignee"].as_str().unwrap_or_default().to_owned())
}

async fn events(api: &Api, conversation: &Value) -> Result<Vec<String>> {
    let events = api.list(&format!("/api/v1/events?conversation={}", id(conversation)?)).await?;
    Ok(events.iter().filter_map(|event| event["type"].as_str().map(str::to_owned)).collect())
}

/// Waits until the conversation has so many events of this type.
async fn happened(api: &Api, conversation: &Value, kind: &str, times: usize) -> Result<()> {
    eventually(&format!("{times} {kind}"), SOON, || async {
        let events = events(api, conversation).await?;
        let count = events.iter().filter(|it| *it == kind).count();
        ensure!(count <= times, "too often: {events:?}");
        ensure!(count == times, "{events:?}");
        Ok(Some(()))
    })
    .await
}

// S87
async fn conversations_go_round_and_nobody_gets_more_than_they_may(backend: Backend) -> Result<()> {
    // On PostgreSQL other processes may live: what the killed one was at is free when its leases have run out.
    let server = Setup::new(backend)?.env("POINTSMAN_WORKER__LEASE_MS", "2000").start().await?;
    let mut scene = Scene::quiet(server).await?;
    let (ana, ben) = (agent(&scene.api, "ana").await?, agent(&scene.api, "ben").await?);
    team(&scene, &[&ana, &ben], json!({"policy": "round_robin", "chats_max": 2})).await?;
    scene.hear(&customer(0), 1, "is anybody there?").await?;
    let first = scene.conversation(&customer(0)).await?;
    ensure!(first["assignee"].is_null() && first["queue"]["policy"] == "round_robin", "{first}");
    // Somebody comes online: what waits is handed out, also by a server that was killed meanwhile.
    scene.server.kill().await?;
    scene.server.restart().await?;
    presence(&scene.api, &ana, "online").await?;
    ensure!(assignee(&scene, &customer(0)).await? == ana, "Ana is the only one there");
    presence(&scene.api, &ben, "online").await?;
    for number in 1..4 {
        scene.hear(&customer(number), 1 + number as u64, "hello").await?;
        assignee(&scene, &customer(number)).await?;
    }
    let mut had = [0, 0];
    for number in 0..4 {
        had[usize::from(assignee(&scene, &customer(number)).await? == ben)] += 1;
    }
    ensure!(had == [2, 2], "two each: {had:?}");
    scene.hear(&customer(4), 9, "one too many").await?;
    let fifth = scene.conversation(&customer(4)).await?;
    settled(&scene.api, id(&fifth)?, "it waits", |row| row["queue"].is_object()).await?;
    let first = format!("/api/v1/conversations/{}/end", id(&first)?);
    scene.api.post(&first, json!({"status": "closed"})).await?.expect(200)?;
    ensure!(assignee(&scene, &customer(4)).await? == ana, "her place became free");
    Ok(())
}

async fn who_is_asked_and_says_nothing_is_passed_over(backend: Backend) -> Result<()> {
    let scene = Scene::quiet(Server::start(backend).await?).await?;
    let (ana, ben) = (agent(&scene.api, "ana").await?, agent(&scene.api, "ben").await?);
    team(&scene, &[&ana, &ben], json!({"policy": "least_busy", "offer_seconds": 30})).await?;
    for user in [&ana, &ben] {
        presence(&scene.api, user, "online").await?;
    }
    scene.hear(&customer(0), 1, "hello").await?;
    let conversation = scene.conversation(&customer(0)).await?;
    let id = id(&conversation)?;
    let offered = |row: &Value| row["queue"]["offered_to"].as_str().map(str::to_owned);
    let first = settled(&scene.api, id, "it is offered", |row| offered(row).is_some()).await?;
    let first = offered(&first).context("offered")?;
    scene.server.advance(Duration::from_secs(31))?;
    let is_other = |row: &Value| offered(row).is_some_and(|it| it != first);
    let second = settled(&scene.api, id, "the next one is asked", is_other).await?;
    let second = offered(&second).context("offered")?;
    let name = if second == ana { "ana" } else { "ben" };
    let session = Session::begin(&scene, name).await?;
    let told = session.get("/api/v1/notifications?unread=true").await?;
    ensure!(told["items"][0]["kind"] == "offer", "{told}");
    let row = session.post(&format!("/api/v1/conversations/{id}/accept"), json!({})).await?.expect(200)?;
    ensure!(row["assignee"] == second && row["queue"].is_null(), "{row}");
    let late = if second == ana { "ben" } else { "ana" };
    let late = Session::begin(&scene, late).await?;
    late.post(&format!("/api/v1/conversations/{id}/accept"), json!({})).await?.problem(422, "not_offered")?;
    happened(&scene.api, &conversation, "conversation.offer_passed", 1).await
}

async fn a_lost_connection_is_not_given_conversations(backend: Backend) -> Result<()> {
    let scene = Scene::quiet(Server::start(backend).await?).await?;
    let ana = agent(&scene.api, "ana").await?;
    team(&scene, &[&ana], json!({"policy": "round_robin"})).await?;
    let session = Session::begin(&scene, "ana").await?;
    session.put("/api/v1/me/presence", json!({"presence": "online"})).await?.expect(200)?;
    let is = |wanted: &'static str| {
        let (api, path) = (scene.api.clone(), format!("/api/v1/users/{ana}"));
        eventually(wanted, SOON, move || {
            let (api, path) = (api.clone(), path.clone());
            async move {
                let row = api.get(&path).await?.expect(200)?;
                ensure!(row["presence"] == wanted, "{row}");
                Ok(Some(()))
            }
        })
    };
    is("online").await?;
    scene.server.advance(MINUTE * 2)?; // no stream of hers is open
    is("offline").await?;
    scene.hear(&customer(0), 1, "hello").await?;
    let waiting = scene.conversation(&customer(0)).await?;
    settled(&scene.api, id(&waiting)?, "it waits", |row| row["queue"].is_object()).await?;
    session.put("/api/v1/me/presence", json!({"presence": "online"})).await?.expect(200)?;
    ensure!(assignee(&scene, &customer(0)).await? == ana, "she is back");
    Ok(())
}

// S92
async fn a_late_answer_is_warned_of_escalated_and_taken_once(backend: Backend) -> Result<()> {
    let scene = Scene::quiet(Server::start(backend).await?).await?;
    let rule = "//! Late first reply\n//!\n//! on: sla.breached\n\nescalate(2, \"Nobody answered.\");\n";
    publish(&scene.api, rule).await?;
    let (ana, ben) = (agent(&scene.api, "ana").await?, agent(&scene.api, "ben").await?);
    let group = team(&scene, &[&ana, &ben], json!({})).await?;
    let targets = json!({"targets": {"first_reply_minutes": 30, "warn_before_minutes": 10}});
    scene.api.patch(&format!("/api/v1/groups/{group}"), targets).await?.expect(200)?;
    scene.hear(&customer(0), 1, "hello").await?;
    let conversation = scene.conversation(&customer(0)).await?;
    scene.server.advance(MINUTE * 21)?;
    happened(&scene.api, &conversation, "sla.warning", 1).await?;
    scene.server.advance(MINUTE * 10)?;
    happened(&scene.api, &conversation, "sla.breached", 1).await?;
    happened(&scene.api, &conversation, "conversation.escalated", 1).await?;
    let (ana_in, ben_in) = (Session::begin(&scene, "ana").await?, Session::begin(&scene, "ben").await?);
    let mut stream = ana_in.stream().await?;
    let told = stream.wait_for("a ring", SOON, |event| rings(event, |it| !it["latest"].is_null())).await?;
    ensure!(told["unread"].as_i64().is_some_and(|unread| unread > 0), "{told}");
    let escalation = async |session: &Session| -> Result<String> {
        let told = session.get("/api/v1/notifications").await?;
        let items = told["items"].as_array().context("items")?;
        let found = items.iter().find(|it| it["kind"] == "escalation").context("an escalation")?;
        Ok(format!("/api/v1/notifications/{}/take", id(found)?))
    };
    let taken = ben_in.post(&escalation(&ben_in).await?, json!({})).await?.expect(200)?;
    ensure!(taken["taken_by"] == ben, "{taken}");
    let late = ana_in.post(&escalation(&ana_in).await?, json!({})).await?.problem(409, "already_taken")?;
    ensure!(late["taken_by"] == ben, "{late}");
    ensure!(assignee(&scene, &customer(0)).await? == ben, "whoever takes it has the conversation");
    ana_in.post("/api/v1/notifications/read-all", json!({})).await?;
    stream.wait_for("silence", SOON, |event| rings(event, |it| it["unread"] == 0)).await?;
    Ok(())
}

// S13, S83, S84
// S83, S84: the chat ends by itself, the case stays.
async fn an_idle_chat_warns_can_be_postponed_and_ends(backend: Backend) -> Result<()> {
    let scene = Scene::quiet(Server::start(backend).await?).await?;
    scene.hear(&customer(0), 1, "hello").await?;
    let conversation = scene.conversation(&customer(0)).await?;
    let path = format!("/api/v1/conversations/{}", id(&conversation)?);
    scene.server.advance(MINUTE * 9 + Duration::from_secs(5))?;
    happened(&scene.api, &conversation, "conversation.idle_warning", 1).await?;
    scene.api.post(&format!("{path}/postpone-idle"), json!({})).await?.expect(200)?;
    scene.server.advance(MINUTE * 4 + Duration::from_secs(50))?;
    happened(&scene.api, &conversation, "conversation.idle_warning", 2).await?;
    let row = scene.api.get(&path).await?.expect(200)?;
    ensure!(row["live"] == true, "five minutes more: {row}");
    scene.server.advance(MINUTE * 2)?;
    happened(&scene.api, &conversation, "conversation.ended", 1).await?;
    let row = scene.api.get(&path).await?.expect(200)?;
    ensure!(row["live"] == false && row["status"] != "closed" && row["ended_at"].is_string(), "{row}");
    let listed = scene.api.list("/api/v1/conversations?live=false").await?;
    ensure!(listed.iter().any(|it| it["id"] == row["id"]), "it is among all cases: {listed:?}");
    ensure!(scene.api.list("/api/v1/conversations?live=true").await?.is_empty(), "no chat is going on");
    Ok(())
}

// S72, S104
// S72–S74, S104: free text within the window, a template after it.
async fn after_the_window_a_template_leaves_and_text_does_not(backend: Backend) -> Result<()> {
    let scene = Scene::quiet(Server::start(backend).await?).await?;
    let channel = &scene.twilio.channel;
    scene.api.post(&format!("/api/v1/channels/{channel}/templates/refresh"), json!({})).await?.expect(200)?;
    scene.hear(&customer(0), 1, "hello").await?;
    let conversation = scene.conversation(&customer(0)).await?;
    let path = format!("/api/v1/conversations/{}/messages", id(&conversation)?);
    scene.api.post(&path, json!({"text": "in time"})).await?.expect(201)?;
    scene.server.advance(HOUR * 23 + MINUTE)?;
    happened(&scene.api, &conversation, "window.expiring", 1).await?;
    scene.server.advance(HOUR)?;
    happened(&scene.api, &conversation, "window.expired", 1).await?;
    let refused = scene.api.post(&path, json!({"text": "too late"})).await?.problem(422, "window_closed")?;
    let failed = refused["message"].as_str().context("it stays visible")?;
    let failed = scene.api.get(&format!("/api/v1/messages/{failed}")).await?.expect(200)?;
    ensure!(failed["status"] == "failed", "{failed}");
    let templates = scene.api.list(&format!("/api/v1/channels/{channel}/templates")).await?;
    let approved = templates.iter().find(|it| it["status"] == "approved").context("an approved template")?;
    let slots: serde_json::Map<String, Value> = approved["slots"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|slot| Some((slot.as_str()?.to_owned(), "Ana".into())))
        .collect();
    let before = scene.vendor.accepted_count();
    let template =
        json!({"template": {"name": approved["name"], "language": approved["language"], "slots": slots}});
    scene.api.post(&path, template).await?.expect(201)?;
    scene.accepted(before + 1).await?;
    let texts = messages(&scene.api, id(&conversation)?).await?;
    ensure!(texts.len() == 4, "{texts:?}");
    scene.hear(&customer(0), 2, "back again").await?;
    happened(&scene.api, &conversation, "window.opened", 2).await
}

async fn a_snoozed_conversation_comes_back_by_itself(backend: Backend) -> Result<()> {
    let scene = Scene::quiet(Server::start(backend).await?).await?;
    scene.hear(&customer(0), 1, "hello").await?;
    let conversation = scene.conversation(&customer(0)).await?;
    let path = format!("/api/v1/conversations/{}", id(&conversation)?);
    let until = json!({"until": "2099-01-01T00:00:00Z"});
    let row = scene.api.post(&format!("{path}/snooze"), until).await?.expect(200)?;
    ensure!(row["snoozed_until"].is_string(), "{row}");
    scene.hear(&customer(0), 2, "I cannot wait").await?;
    settled(&scene.api, id(&conversation)?, "a message wakes it", |row| row["snoozed_until"].is_null())
        .await?;
    let now = scene.api.get("/api/v1/me").await?.expect(200)?["now"].as_str().context("now")?.to_owned();
    let tomorrow = in_a_day(&now)?;
    scene.api.post(&format!("{path}/snooze"), json!({"until": tomorrow})).await?.expect(200)?;
    scene.server.advance(DAY + MINUTE)?;
    settled(&scene.api, id(&conversation)?, "time wakes it", |row| row["snoozed_until"].is_null()).await?;
    Ok(())
}

fn in_a_day(now: &str) -> Result<String> {
    let now: jiff::Timestamp = now.parse()?;
    Ok((now + jiff::SignedDuration::try_from(DAY)?).to_string())
}

async fn a_closed_conversation_reopens_within_the_time_of_its_channel(backend: Backend) -> Result<()> {
    let scene = Scene::quiet(Server::start(backend).await?).await?;
    let channel = format!("/api/v1/channels/{}", scene.twilio.channel);
    let policy = json!({"reopen": {"policy": "reopen_within", "within_minutes": 60}});
    scene.api.patch(&channel, policy).await?.expect(200)?;
    scene.hear(&customer(0), 1, "hello").await?;
    let first = scene.conversation(&customer(0)).await?;
    let close = async |conversation: &Value| -> Result<Value> {
        let path = format!("/api/v1/conversations/{}/status", id(conversation)?);
        scene.api.post(&path, json!({"status": "closed"})).await?.expect(200)
    };
    close(&first).await?;
    scene.server.advance(MINUTE * 59)?;
    scene.hear(&customer(0), 2, "in time").await?;
    settled(&scene.api, id(&first)?, "it goes on", |row| row["reopen_count"] == 1).await?;
    close(&first).await?;
    scene.server.advance(MINUTE * 61)?;
    scene.hear(&customer(0), 3, "too late").await?;
    eventually("a second conversation", SOON, || async {
        let rows = scene.api.list("/api/v1/conversations").await?;
        ensure!(rows.len() == 2, "{rows:?}");
        Ok(Some(()))
    })
    .await?;
    let row = scene.api.get(&format!("/api/v1/conversations/{}", id(&first)?)).await?.expect(200)?;
    ensure!(row["status"] == "closed" && row["reopen_count"] == 1, "{row}");
    let archived = format!("/api/v1/conversations/{}/archive", id(&first)?);
    let row = scene.api.post(&archived, json!({})).await?.expect(200)?;
    ensure!(row["archived_at"].is_string(), "{row}");
    Ok(())
}

/// A signed-in person, as a browser would be.
struct Session {
    http: reqwest::Client,
    base: String,
    cookie: String,
    csrf: String,
}

impl Session {
    async fn begin(scene: &Scene, name: &str) -> Result<Self> {
        let (http, base) = (pointsman_tests::http_client()?, scene.server.url().to_owned());
        let who = json!({"email": format!("{name}@team.example"), "password": "a long enough password"});
        let answer = http.post(format!("{base}/api/v1/signin")).json(&who).send().await?;
        ensure!(answer.status().is_success(), "{name} cannot sign in: {}", answer.status());
        let cookie = answer.headers().get("set-cookie").context("a cookie")?.to_str()?;
        let cookie = cookie.split(';').next().unwrap_or_default().to_owned();
        let me = http.get(format!("{base}/api/v1/me")).header("cookie", &cookie).send().await?;
        let me: Value = me.json().await?;
        let csrf = me["csrf"].as_str().context("a token")?.to_owned();
        Ok(Self { http, base, cookie, csrf })
    }

    async fn call(&self, method: Method, path: &str, body: Option<Value>) -> Result<pointsman_tests::Answer> {
        let call = format!("{method} {path}");
        let mut request = self.http.request(method, format!("{}{path}", self.base));
        request = request.header("cookie", &self.cookie).header("x-csrf-token", &self.csrf);
        if let Some(body) = body {
            request = request.json(&body);
        }
        pointsman_tests::Answer::read(call, request.send().await?).await
    }

    async fn stream(&self) -> Result<Events> {
        Events::open(self.http.get(format!("{}/api/v1/stream", self.base)).header("cookie", &self.cookie))
            .await
    }

    async fn get(&self, path: &str) -> Result<Value> {
        self.call(Method::GET, path, None).await?.expect(200)
    }

    async fn post(&self, path: &str, body: Value) -> Result<pointsman_tests::Answer> {
        self.call(Method::POST, path, Some(body)).await
    }

    async fn put(&self, path: &str, body: Value) -> Result<pointsman_tests::Answer> {
        self.call(Method::PUT, path, Some(body)).await
    }
}
