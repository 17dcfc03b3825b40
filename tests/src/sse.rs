//! Reads server-sent events as a browser does (WHATWG HTML, "Server-sent
//! events"): `id`, `event` and `data` lines, comments left out.

use std::time::Duration;

use anyhow::{Context, Result, bail};
use futures_util::{Stream, StreamExt};
use serde_json::Value;
use tokio::sync::mpsc;

/// Events that may wait unread; a story reads faster than that.
const QUEUE_EVENTS: usize = 10_000;

/// One event.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Event {
    /// What to send as `Last-Event-ID` to go on after it.
    pub id: Option<String>,
    /// Its type; empty when the server gave none.
    pub kind: String,
    /// Its data lines, joined.
    pub data: String,
}

impl Event {
    /// The data as JSON; `null` when it is something else.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.data).unwrap_or(Value::Null)
    }
}

/// An open stream; ends when dropped.
#[derive(Debug)]
pub struct Events {
    queue: mpsc::Receiver<Event>,
    reader: tokio::task::JoinHandle<()>,
}

impl Drop for Events {
    fn drop(&mut self) {
        self.reader.abort();
    }
}

impl Events {
    /// Opens the stream. The request should carry credentials and, to resume, `Last-Event-ID`.
    ///
    /// # Errors
    /// It is refused, or is no event stream.
    pub async fn open(request: reqwest::RequestBuilder) -> Result<Self> {
        // The client's own limit covers one short call, not a stream.
        let response = request.timeout(Duration::from_secs(600)).send().await.context("no event stream")?;
        let status = response.status();
        let media = crate::api::header(response.headers(), "content-type").unwrap_or_default();
        if status != 200 || !media.starts_with("text/event-stream") {
            bail!("no event stream but {status} {media}: {}", response.text().await.unwrap_or_default());
        }
        let (sender, queue) = mpsc::channel(QUEUE_EVENTS);
        let reader = tokio::spawn(read(response.bytes_stream(), sender));
        Ok(Self { queue, reader })
    }

    /// The next event for which `want` gives something; others are passed over.
    ///
    /// # Errors
    /// None came within `limit`, or the stream ended; the text shows what came instead.
    pub async fn wait_for<T>(
        &mut self,
        what: &str,
        limit: Duration,
        want: impl Fn(&Event) -> Option<T>,
    ) -> Result<T> {
        let mut passed = Vec::new();
        let search = async {
            while let Some(event) = self.queue.recv().await {
                match want(&event) {
                    Some(found) => return Ok(found),
                    None => passed.push(event),
                }
            }
            bail!("the stream ended before: {what}")
        };
        match tokio::time::timeout(limit, search).await {
            Ok(found) => found,
            Err(_) => bail!("the stream brought no {what} within {limit:?}, only {passed:?}"),
        }
    }
}

async fn read<B: AsRef<[u8]>, E>(stream: impl Stream<Item = Result<B, E>>, sender: mpsc::Sender<Event>) {
    let mut stream = std::pin::pin!(stream);
    let mut parser = Parser::default();
    while let Some(Ok(chunk)) = stream.next().await {
        for event in parser.feed(chunk.as_ref()) {
            if sender.send(event).await.is_err() {
                return;
            }
        }
    }
}

/// Puts lines together that arrive in pieces.
#[derive(Debug, Default)]
struct Parser {
    rest: Vec<u8>,
    event: Event,
    has_data: bool,
}

impl Parser {
    fn feed(&mut self, chunk: &[u8]) -> Vec<Event> {
        let mut done = Vec::new();
        self.rest.extend_from_slice(chunk);
        while let Some(end) = self.rest.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = self.rest.drain(..=end).collect();
            let line = String::from_utf8_lossy(&line).trim_end_matches(['\r', '\n']).to_owned();
            if let Some(event) = self.line(&line) {
                done.push(event);
            }
        }
        done
    }

    fn line(&mut self, line: &str) -> Option<Event> {
        if line.is_empty() {
            let event = std::mem::take(&mut self.event);
            return std::mem::take(&mut self.has_data).then_some(event);
        }
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "id" => self.event.id = Some(value.to_owned()),
            "event" => value.clone_into(&mut self.event.kind),
            "data" => {
                if std::mem::replace(&mut self.has_data, true) {
                    self.event.data.push('\n');
                }
                self.event.data.push_str(value);
            }
            _ => {}
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_survive_any_cut_of_the_bytes() {
        let wire = b": hello\r\nid: evt_1\nevent: message.sent\ndata: {\"a\":\ndata: 1}\n\n:\n\ndata: x\n\n";
        let whole = Parser::default().feed(wire);
        assert_eq!(whole.len(), 2);
        assert_eq!(whole[0].id.as_deref(), Some("evt_1"));
        assert_eq!(whole[0].kind, "message.sent");
        assert_eq!(whole[0].json(), serde_json::json!({"a": 1}));
        let mut parser = Parser::default();
        let bytewise: Vec<Event> = wire.iter().flat_map(|byte| parser.feed(&[*byte])).collect();
        assert_eq!(bytewise, whole);
    }
}
