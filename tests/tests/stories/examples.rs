//! Runs every folder under `examples/`, so that what the documentation shows
//! works. A folder holds `story.toml`, the rules it names and the payloads it posts.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use pointsman_tests::{Backend, Chat, Form, Server, Twilio, Vendor, each_backend, twilio};
use serde::Deserialize;
use serde_json::Value;

use crate::{SOON, conversation_of, group, id, messages, publish, settled, texts};

each_backend!(every_example_does_what_it_says);

/// One story: a channel, rules, what the customer does and what must come of it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Story {
    title: String,
    channel: Channel,
    rules: Vec<String>,
    steps: Vec<Step>,
    expect: Expect,
}

#[derive(Debug, Deserialize)]
#[serde(tag = "provider", rename_all = "snake_case", deny_unknown_fields)]
enum Channel {
    Webchat,
    Twilio { kind: String, name: String },
}

/// Exactly one of the fields.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Step {
    /// Written on the chat page.
    say: Option<String>,
    /// A file with form fields, signed and posted as a webhook.
    post: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Expect {
    group: Option<String>,
    priority: Option<String>,
    labels: Option<Vec<String>>,
    /// What the customer gets, in order.
    answers: Vec<String>,
}

// S01
async fn every_example_does_what_it_says(backend: Backend) -> Result<()> {
    let root = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../examples"));
    let mut folders: Vec<PathBuf> = Vec::new();
    for entry in std::fs::read_dir(root)? {
        let path = entry?.path();
        if path.join("story.toml").is_file() {
            folders.push(path);
        }
    }
    folders.sort();
    ensure!(folders.len() >= 2, "no examples under {}", root.display());
    for folder in folders {
        run(backend, &folder).await.with_context(|| format!("example {}", folder.display()))?;
    }
    Ok(())
}

async fn run(backend: Backend, folder: &Path) -> Result<()> {
    let story: Story = toml::from_str(&std::fs::read_to_string(folder.join("story.toml"))?)?;
    ensure!(!story.title.is_empty(), "a story has a title");
    let server = Server::start(backend).await?;
    let api = server.api()?;
    for rule in &story.rules {
        publish(&api, &std::fs::read_to_string(folder.join(rule))?).await?;
    }
    let vendor = Vendor::start().await?;
    let (channel, address) = match &story.channel {
        Channel::Webchat => {
            let chat = Chat::open(&server).await?;
            for (number, step) in story.steps.iter().enumerate() {
                let Some(text) = &step.say else { bail!("on a chat page one can only say") };
                chat.say(&format!("m{number}"), text).await?;
            }
            (id(&api.find("/api/v1/channels", "provider", "webchat").await?)?.to_owned(), String::new())
        }
        Channel::Twilio { kind, name } => {
            let kind = if kind == "sms" { "sms" } else { "whatsapp" };
            let plan = twilio::ChannelPlan { kind, name: name.clone(), ..Default::default() };
            let twilio = Twilio::connect_as(&server, &vendor, plan).await?;
            let mut from = String::new();
            for step in &story.steps {
                let Some(file) = &step.post else { bail!("a vendor can only post") };
                let form = form(&std::fs::read_to_string(folder.join(file))?)?;
                form.iter().find(|(key, _)| key == "From").context("no From")?.1.clone_into(&mut from);
                let answer = twilio.deliver(&form).await?;
                ensure!((200..300).contains(&answer.status), "{} {}", answer.status, answer.text);
            }
            (twilio.channel, from.trim_start_matches("whatsapp:").to_owned())
        }
    };
    judge(&api, &channel, &address, &story.expect).await
}

async fn judge(api: &pointsman_tests::Api, channel: &str, address: &str, expect: &Expect) -> Result<()> {
    let conversation = conversation_of(api, channel, address).await?;
    let conversation = id(&conversation)?;
    if let Some(name) = &expect.group {
        let wanted = group(api, name).await?;
        settled(api, conversation, &format!("it is with {name}"), |row| row["group"] == wanted.as_str())
            .await?;
    }
    if let Some(priority) = &expect.priority {
        settled(api, conversation, "its priority", |row| row["priority"] == priority.as_str()).await?;
    }
    if let Some(labels) = &expect.labels {
        settled(api, conversation, "its labels", |row| row["labels"] == Value::from(labels.clone())).await?;
    }
    pointsman_tests::eventually("the answers", SOON, || async {
        let rows = messages(api, conversation).await?;
        ensure!(texts(&rows, "outbound") == expect.answers, "{:?}", texts(&rows, "outbound"));
        Ok(Some(()))
    })
    .await
}

/// `Key: value` per line, as the fields are shown in the vendor's documentation.
fn form(text: &str) -> Result<Form> {
    let lines = text.lines().filter(|line| !line.trim().is_empty());
    lines
        .map(|line| {
            let (key, value) = line.split_once(": ").with_context(|| format!("not `Key: value`: {line}"))?;
            Ok((key.to_owned(), value.to_owned()))
        })
        .collect()
}
