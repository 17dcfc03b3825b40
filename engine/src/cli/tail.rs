//! `pointsman tail`: follows the event stream, one line per event, and goes on
//! where it was after a break.

use std::time::Duration;

use clap::Args;
use futures_util::StreamExt as _;
use serde_json::Value;

use super::client::{ApiArgs, Client, encoded};
use super::error::CliError;
use super::output::{Out, printable, text};
use super::sse::SseReader;

/// Waits between attempts to connect again, doubling.
const RETRY_MIN: Duration = Duration::from_millis(500);
const RETRY_MAX: Duration = Duration::from_secs(30);
/// A stream that is silent for so long is dead: the server says something at least every half minute.
const SILENCE_MAX: Duration = Duration::from_secs(90);
const BODY_CHARS_MAX: usize = 120;
/// Fields that stand elsewhere on the line.
const SHOWN_ELSEWHERE: &[&str] = &["id", "at", "type", "conversation", "channel", "cause", "message"];

/// Follow what happens
#[derive(Debug, Clone, Args)]
pub(super) struct Tail {
    /// Only this conversation
    #[arg(long, value_name = "ID")]
    conversation: Option<String>,
    /// Show the texts of messages, too
    #[arg(long)]
    bodies: bool,
    #[command(flatten)]
    api: ApiArgs,
}

impl Tail {
    pub(super) async fn run(self, out: Out) -> Result<(), CliError> {
        let client = Client::new(&self.api)?;
        let path = match &self.conversation {
            Some(id) => format!("/api/v1/stream?conversation={}", encoded(id)),
            None => "/api/v1/stream".to_owned(),
        };
        let (mut last_id, mut wait, mut connected) = (None, RETRY_MIN, false);
        loop {
            match self.follow(&client, &path, &mut last_id, &mut connected, out).await {
                Ok(asked) => wait = asked.unwrap_or(RETRY_MIN).clamp(RETRY_MIN, RETRY_MAX),
                // Before the first connection an unreachable server is a mistake; later it is a restart.
                Err(error @ CliError::Unavailable(_)) if connected => {
                    out.remark(&format!("{error}; trying again"))
                }
                Err(CliError::Refused(refusal)) if connected && refusal.status >= 500 => {}
                Err(error) => return Err(error),
            }
            tokio::time::sleep(wait).await;
            wait = (wait * 2).min(RETRY_MAX);
        }
    }

    /// Until the stream breaks; answers how long the server wants us to wait then.
    async fn follow(
        &self,
        client: &Client,
        path: &str,
        last_id: &mut Option<String>,
        connected: &mut bool,
        out: Out,
    ) -> Result<Option<Duration>, CliError> {
        let mut bytes = client.open(path, last_id.as_deref()).await?.bytes_stream();
        *connected = true;
        let mut reader = SseReader::default();
        while let Ok(Some(Ok(chunk))) = tokio::time::timeout(SILENCE_MAX, bytes.next()).await {
            for event in reader.feed(&chunk).map_err(|error| CliError::Failed(error.to_string()))? {
                *last_id = event.id.or(last_id.take());
                // What is not JSON is not for programs: a greeting, a sign of life.
                let Ok(data) = serde_json::from_str::<Value>(&event.data) else { continue };
                self.show(client, &data, out).await?;
            }
        }
        Ok(reader.retry_ms().map(Duration::from_millis))
    }

    async fn show(&self, client: &Client, event: &Value, out: Out) -> Result<(), CliError> {
        if out.json && !self.bodies {
            return Ok(out.line(&event.to_string())?);
        }
        let body = match event["message"].as_str().filter(|_| self.bodies) {
            Some(id) => client.get(&format!("/api/v1/messages/{}", encoded(id))).await.ok(),
            None => None,
        };
        if out.json {
            let mut event = event.clone();
            event["content"] = body.map_or(Value::Null, |message| message["content"].clone());
            return Ok(out.line(&event.to_string())?);
        }
        let mut line = line(event);
        if let Some(message) = body {
            line.push_str(&format!("  {}", quoted(&message)));
        }
        Ok(out.line(&line)?)
    }
}

/// `10:02:03  cnv_…  message.received  contact  msg_…  from=queued to=sent`
fn line(event: &Value) -> String {
    let at = text(event, "/at");
    let time = at.split_once('T').map_or(at.as_str(), |(_, time)| time).get(..8).unwrap_or(&at).to_owned();
    let place = [text(event, "/conversation"), text(event, "/channel")];
    let place = place.into_iter().find(|id| !id.is_empty()).unwrap_or_else(|| "-".to_owned());
    let mut parts = vec![time, place, format!("{:<27}", text(event, "/type")), who(&event["cause"])];
    let message = text(event, "/message");
    if !message.is_empty() {
        parts.push(message);
    }
    parts.extend(event.as_object().into_iter().flatten().filter_map(|(name, value)| detail(name, value)));
    parts.join("  ")
}

/// Who acted, and which rule led here.
fn who(cause: &Value) -> String {
    let (kind, id) = (text(cause, "/actor/kind"), text(cause, "/actor/id"));
    let actor = match (kind.as_str(), id.as_str()) {
        ("", _) => "-".to_owned(),
        (kind, "") => kind.to_owned(),
        (kind, id) => format!("{kind} {id}"),
    };
    let rule = cause["chain"].as_array().and_then(|chain| chain.last()).map(|step| text(step, "/rule"));
    match rule.filter(|rule| !actor.contains(rule.as_str())) {
        Some(rule) => format!("{actor} (after {rule})"),
        None => actor,
    }
}

fn detail(name: &str, value: &Value) -> Option<String> {
    if SHOWN_ELSEWHERE.contains(&name) || value.is_null() {
        return None;
    }
    // Which fields changed; their values may be what a customer wrote.
    if name == "changes" {
        let names: Vec<_> = value.as_object()?.keys().map(String::as_str).collect();
        return Some(format!("changed={}", printable(&names.join(","))));
    }
    match value {
        Value::String(text) => Some(format!("{name}={}", printable(text))),
        Value::Object(_) | Value::Array(_) => None,
        plain => Some(format!("{name}={plain}")),
    }
}

fn quoted(message: &Value) -> String {
    let words = text(message, "/content/text");
    let shown = if words.is_empty() { format!("[{}]", text(message, "/content/kind")) } else { words };
    let cut: String = shown.chars().take(BODY_CHARS_MAX).collect();
    let more = if cut.len() < shown.len() { "…" } else { "" };
    format!("“{cut}{more}”")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_line_tells_when_where_what_and_who() {
        let event = json!({
            "id": "evt_1", "at": "2025-11-21T10:02:03.123Z", "conversation": "cnv_1", "channel": "chn_1",
            "type": "message.status_changed", "message": "msg_1", "from": "queued", "to": "sent",
            "cause": {"actor": {"kind": "vendor"}, "chain": [{"event": "evt_0", "rule": "rul_1"}]},
        });
        assert_eq!(
            line(&event),
            "10:02:03  cnv_1  message.status_changed       vendor (after rul_1)  msg_1  from=queued  to=sent"
        );
    }

    #[test]
    fn changed_values_are_not_shown() {
        let event = json!({
            "at": "2025-11-21T10:02:03Z", "channel": "chn_1", "type": "contact.updated",
            "changes": {"name": ["Ann", "Anna"], "phone": [null, "+34"]},
            "cause": {"actor": {"kind": "user", "id": "usr_1"}},
        });
        assert_eq!(
            line(&event),
            "10:02:03  chn_1  contact.updated              user usr_1  changed=name,phone"
        );
    }

    #[test]
    fn texts_are_cut_and_cannot_steer_the_terminal() {
        let long = "x".repeat(500);
        assert_eq!(quoted(&json!({"content": {"text": long}})).chars().count(), BODY_CHARS_MAX + 3);
        assert_eq!(quoted(&json!({"content": {"text": "a\u{1b}[2J\nb"}})), "“a [2J b”");
        assert_eq!(quoted(&json!({"content": {"kind": "media"}})), "“[media]”");
    }
}
