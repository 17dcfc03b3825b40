//! The stories: what a customer, an agent, an admin, a vendor and an operator
//! go through, told against the real binary on both databases. One test binary,
//! so that it is linked once. Shared steps are here; a story says in its name
//! what must be true.

mod access;
mod assistant_costs;
mod assistant_plugins;
mod assistants;
mod channels;
mod command_line;
mod contacts;
mod crash;
mod crashing;
mod delivery;
mod examples;
mod faults;
mod files;
mod intake;
mod lanes;
mod language;
mod ledger;
mod line;
mod media;
mod meta;
mod onemsg;
mod operations;
mod plugin_kit;
mod processes;
mod replayed;
mod rule_life;
mod rules;
mod secrets;
mod service;
mod telegram;
mod tenants;
mod trials;
mod waha;
mod wall_clock;
mod webchat;
mod webhooks;

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use pointsman_tests::{Api, Server, Twilio, Vendor, eventually};
use serde_json::{Value, json};

/// What happens in the background is seen within this time, also in a debug build on a busy machine.
pub(crate) const SOON: Duration = Duration::from_secs(30);

/// Answers each customer message with the same text, so that stories can pair them.
pub(crate) const ECHO_RULE: &str = r#"//! Echo for the stories
//!
//! on: message.received
//! stage: reply
//! position: 1

send_message("echo " + message.text);
"#;

/// A server with a connected WhatsApp channel and the stand-in behind it.
pub(crate) struct Scene {
    pub(crate) server: Server,
    pub(crate) vendor: Vendor,
    pub(crate) twilio: Twilio,
    pub(crate) api: Api,
}

impl Scene {
    /// The scene with the echo rule.
    pub(crate) async fn with_echo(server: Server) -> Result<Self> {
        let scene = Self::quiet(server).await?;
        publish(&scene.api, ECHO_RULE).await?;
        Ok(scene)
    }

    /// The scene with the seeded rules only.
    pub(crate) async fn quiet(server: Server) -> Result<Self> {
        let vendor = Vendor::start().await?;
        let twilio = Twilio::connect(&server, &vendor).await?;
        let api = server.api()?;
        Ok(Self { server, vendor, twilio, api })
    }

    /// A customer writes; the webhook must be acknowledged.
    pub(crate) async fn hear(&self, phone: &str, number: u64, text: &str) -> Result<()> {
        let answer = self.twilio.deliver(&self.twilio.inbound(phone, &sid(number), text)).await?;
        ensure!((200..300).contains(&answer.status), "webhook answered {}: {}", answer.status, answer.text);
        Ok(())
    }

    /// The conversation with this customer, once it is there.
    pub(crate) async fn conversation(&self, phone: &str) -> Result<Value> {
        conversation_of(&self.api, &self.twilio.channel, phone).await
    }

    /// The one message to the customer with this text, once it has one of these statuses.
    pub(crate) async fn outbound(&self, phone: &str, text: &str, statuses: &[&str]) -> Result<Value> {
        let conversation = self.conversation(phone).await?;
        let conversation = id(&conversation)?;
        eventually(&format!("{text:?} becomes {statuses:?}"), SOON, || async {
            let rows = messages(&self.api, conversation).await?;
            let found = rows.into_iter().find(|row| row["direction"] == "outbound" && text_of(row) == text);
            let found = found.with_context(|| format!("no outbound {text:?}"))?;
            let status = found["status"].as_str().unwrap_or_default();
            ensure!(statuses.contains(&status), "it is {status}: {found}");
            Ok(Some(found))
        })
        .await
    }

    /// Waits until the stand-in has accepted this many messages.
    pub(crate) async fn accepted(&self, count: usize) -> Result<()> {
        eventually(&format!("{count} accepted messages"), SOON, || async {
            let accepted = self.vendor.accepted_count();
            ensure!(accepted >= count, "only {accepted}");
            Ok(Some(()))
        })
        .await
    }
}

/// A message id of the vendor.
pub(crate) fn sid(number: u64) -> String {
    pointsman_tests::twilio::sid(number)
}

/// The id of a row.
pub(crate) fn id(row: &Value) -> Result<&str> {
    pointsman_tests::api::text_at(row, "/id")
}

/// The text of a message row; empty when it is no text.
pub(crate) fn text_of(message: &Value) -> &str {
    message
        .pointer("/content/text")
        .or_else(|| message.get("text"))
        .and_then(Value::as_str)
        .unwrap_or_default()
}

/// Creates and publishes a rule.
pub(crate) async fn publish(api: &Api, source: &str) -> Result<Value> {
    api.post("/api/v1/rules", json!({"source": source, "publish": true, "enabled": true})).await?.expect(201)
}

/// The conversation of a channel with the contact at this address, once it is there.
pub(crate) async fn conversation_of(api: &Api, channel: &str, phone: &str) -> Result<Value> {
    eventually(&format!("a conversation with {phone}"), SOON, || async {
        let rows = api.list(&format!("/api/v1/conversations?channel={channel}")).await?;
        Ok(rows.into_iter().find(|row| row["contact"].to_string().contains(phone)))
    })
    .await
}

/// The conversation as soon as it looks as wanted.
pub(crate) async fn settled(
    api: &Api,
    id: &str,
    what: &str,
    is_wanted: impl Fn(&Value) -> bool,
) -> Result<Value> {
    eventually(what, SOON, || async {
        let row = api.get(&format!("/api/v1/conversations/{id}")).await?.expect(200)?;
        ensure!(is_wanted(&row), "it is {row}");
        Ok(Some(row))
    })
    .await
}

/// All messages of a conversation, oldest first.
pub(crate) async fn messages(api: &Api, conversation: &str) -> Result<Vec<Value>> {
    let mut rows = api.list(&format!("/api/v1/conversations/{conversation}/messages")).await?;
    let time =
        |row: Option<&Value>| row.and_then(|row| row["created_at"].as_str()).unwrap_or_default().to_owned();
    if time(rows.first()) > time(rows.last()) {
        rows.reverse();
    }
    Ok(rows)
}

/// The texts of one direction, in order.
pub(crate) fn texts<'r>(rows: &'r [Value], direction: &str) -> Vec<&'r str> {
    rows.iter().filter(|row| row["direction"] == direction).map(text_of).collect()
}

/// The id of a group with this name.
pub(crate) async fn group(api: &Api, name: &str) -> Result<String> {
    Ok(id(&api.find("/api/v1/groups", "name", name).await?)?.to_owned())
}
