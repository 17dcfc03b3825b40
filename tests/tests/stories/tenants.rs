//! Several organisations in one database: nobody sees anything of another, by no
//! list and by no id, and one that leaves takes only its own things along.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use pointsman_tests::server::succeeded;
use pointsman_tests::{Api, Backend, Server, each_backend, eventually};
use serde_json::{Value, json};

use crate::{Scene, id};

each_backend!(two_tenants_see_nothing_of_each_other, a_tenant_leaves_with_everything_it_has);

const CUSTOMER: &str = "+34600000061";
/// The job that removes a tenant is looked for every few seconds.
const REMOVED_WITHIN: Duration = Duration::from_secs(60);

/// Every list of the API.
const LISTS: [&str; 13] = [
    "api-keys",
    "audit",
    "channels",
    "conversations",
    "events",
    "groups",
    "jobs",
    "jobs/dead",
    "notifications",
    "raw-webhooks",
    "rules",
    "users",
    "webhooks",
];

/// One more organisation with a key of its owner.
async fn second(server: &Server) -> Result<(Api, Value)> {
    let mut args: Vec<String> = ["--json", "tenant", "create", "Other shop"].map(str::to_owned).into();
    args.extend(server.database_args());
    let made: Value = serde_json::from_str(&succeeded(&server.cli(&args).await?)?)?;
    let tenant = id(&made)?;
    let mut args: Vec<String> =
        ["--json", "key", "create", "--name", "o", "--role", "owner", "--tenant", tenant]
            .map(str::to_owned)
            .into();
    args.extend(server.database_args());
    let key: Value = serde_json::from_str(&succeeded(&server.cli(&args).await?)?)?;
    let api = server.api()?.with_key(Some(key["key"].as_str().context("no key")?));
    Ok((api, made))
}

/// Makes one of everything that can be made.
async fn furnish(api: &Api, name: &str) -> Result<Vec<String>> {
    let email = format!("{name}@shop.example");
    let rule = format!("//! {name} rule\n//!\n//! on: message.received\n\nset_priority(\"high\");\n");
    let makes = [
        ("groups", json!({"name": name})),
        (
            "users",
            json!({"email": email, "name": name, "role": "agent", "password": "correct horse battery"}),
        ),
        ("rules", json!({"source": rule})),
        ("api-keys", json!({"name": name, "role": "agent"})),
        ("webhooks", json!({"name": name, "url": "https://x.example/in", "events": []})),
    ];
    let mut paths = Vec::new();
    for (list, body) in makes {
        let made = api.post(&format!("/api/v1/{list}"), body).await?.expect(201)?;
        paths.push(format!("/api/v1/{list}/{}", id(&made)?));
    }
    Ok(paths)
}

async fn two_tenants_see_nothing_of_each_other(backend: Backend) -> Result<()> {
    let scene = Scene::quiet(Server::start(backend).await?).await?;
    let (first, (other, made)) = (scene.api.clone(), second(&scene.server).await?);
    // The same names and addresses in both.
    let (ours, theirs) = (furnish(&first, "same").await?, furnish(&other, "same").await?);
    scene.hear(CUSTOMER, 1, "private matter").await?;
    let conversation = scene.conversation(CUSTOMER).await?;
    let mut secret_ids = vec![id(&conversation)?.to_owned(), scene.twilio.channel.clone()];
    secret_ids.extend(ours.iter().filter_map(|path| path.rsplit('/').next().map(str::to_owned)));
    for list in LISTS {
        let text = other.get(&format!("/api/v1/{list}")).await?.text;
        for id in &secret_ids {
            ensure!(!text.contains(id.as_str()), "{list} shows {id} to another tenant");
        }
        ensure!(!text.contains("private matter"), "{list} shows a message to another tenant");
    }
    let export = other.get("/api/v1/tenant/export").await?.text;
    ensure!(export.trim_end().ends_with('}') && export.contains("\"type\":\"end\""), "not whole");
    ensure!(secret_ids.iter().all(|id| !export.contains(id.as_str())), "the export shows another tenant's");
    let conversations = format!("/api/v1/conversations/{}", id(&conversation)?);
    let channel = format!("/api/v1/channels/{}", scene.twilio.channel);
    for path in ours.iter().filter(|path| !path.contains("api-keys")).chain([&conversations, &channel]) {
        other.get(path).await?.problem(404, "not_found")?;
        first.get(path).await?.expect(200)?;
    }
    for path in &ours {
        let answer = other.delete(path).await?;
        ensure!(matches!(answer.status, 404 | 405), "{path}: {} {}", answer.status, answer.text);
    }
    let timeline = other.get(&format!("{conversations}/timeline")).await?;
    ensure!(timeline.status == 404, "{}", timeline.status);
    let webhook = ours.iter().find(|path| path.contains("/webhooks/")).context("no webhook")?;
    for part in ["deliveries", "rotate", "test"] {
        let path = format!("{webhook}/{part}");
        let answer = match part {
            "deliveries" => other.get(&path).await?,
            _ => other.post(&path, json!({})).await?,
        };
        ensure!(answer.status == 404, "{path}: {}", answer.status);
    }
    for path in theirs.iter().filter(|path| !path.contains("api-keys")) {
        other.get(path).await?.expect(200)?;
    }
    // One person, one password, two organisations: which one is meant?
    let body = json!({"email": "same@shop.example", "password": "correct horse battery"});
    let anonymous = first.with_key(None);
    let problem = anonymous.post("/api/v1/signin", body).await?.problem(409, "which_tenant")?;
    ensure!(problem["tenants"].as_array().is_some_and(|all| all.len() == 2), "{problem}");
    let body =
        json!({"email": "same@shop.example", "password": "correct horse battery", "tenant": made["id"]});
    let session = anonymous.post("/api/v1/signin", body).await?.expect(200)?;
    let user = theirs.iter().find(|path| path.contains("/users/")).context("no user")?;
    ensure!(user.ends_with(session["user"]["id"].as_str().unwrap_or_default()), "{session}");
    Ok(())
}

async fn a_tenant_leaves_with_everything_it_has(backend: Backend) -> Result<()> {
    let server = Server::start(backend).await?;
    let (first, (other, made)) = (server.api()?, second(&server).await?);
    furnish(&other, "leaving").await?;
    let link = made["owner_link"].as_str().unwrap_or_default();
    ensure!(link.contains("/signin#token="), "{made}");
    other.delete("/api/v1/tenant").await?.problem(422, "confirmation_required")?;
    other.delete("/api/v1/tenant?confirm=Other%20shop").await?.expect(202)?;
    other.post("/api/v1/groups", json!({"name": "late"})).await?.problem(409, "tenant_deleting")?;
    eventually("the tenant is gone", REMOVED_WITHIN, || async {
        Ok((other.get("/api/v1/me").await?.status == 401).then_some(()))
    })
    .await?;
    let mut args: Vec<String> = ["--json", "tenant", "list"].map(str::to_owned).into();
    args.extend(server.database_args());
    let listed: Value = serde_json::from_str(&succeeded(&server.cli(&args).await?)?)?;
    ensure!(listed["items"].as_array().is_some_and(|all| all.len() == 1), "{listed}");
    ensure!(!first.list("/api/v1/groups").await?.is_empty(), "the other tenant lost something");
    Ok(())
}
