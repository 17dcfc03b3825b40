//! The load generator: keep-alive connections that write requests made
//! beforehand and read just enough of the answers. Closed loop: each connection
//! sends its next request when the last one is answered.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use pointsman_tests::twilio::{self, AUTH_TOKEN, Twilio, encode, signature};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Messages of one customer, below the quota of automatic answers (10 in 10 minutes).
pub(crate) const MESSAGES_PER_CUSTOMER: usize = 8;
/// Longest answer head and body that is read.
const ANSWER_BYTES_MAX: usize = 16 * 1024;

/// Where requests go.
#[derive(Debug, Clone)]
pub(crate) struct Target {
    /// Host and port.
    pub(crate) address: String,
    /// Path of the webhook.
    pub(crate) path: String,
    /// The URL that signatures are made over.
    pub(crate) public_url: String,
}

/// What one load took.
#[derive(Debug, Clone, Default)]
pub(crate) struct Load {
    /// From the first request to the last answer.
    pub(crate) took: Duration,
    /// Time to each acknowledgement.
    pub(crate) latencies: Vec<Duration>,
}

/// The text in a message that says which one it is, e.g. `zq0000012z`.
pub(crate) fn marker(number: usize) -> String {
    format!("zq{number:07}z")
}

/// The number in a text with a marker.
pub(crate) fn marked(bytes: &[u8]) -> Option<usize> {
    let start = bytes.windows(2).position(|pair| pair == b"zq")? + 2;
    std::str::from_utf8(bytes.get(start..start + 7)?).ok()?.parse().ok()
}

/// What the message of this number says.
pub(crate) fn text(number: usize) -> String {
    format!("Hello, I have a question about my order, number {}", marker(number))
}

/// One complete signed request per message, the customers by turns.
pub(crate) fn requests(target: &Target, channel: &Twilio, messages: usize) -> Vec<Vec<u8>> {
    let customers = messages.div_ceil(MESSAGES_PER_CUSTOMER);
    signed(target, channel, (0..messages).map(|number| (number % customers, number, text(number))))
}

/// One complete signed request per message: customer, number, text.
pub(crate) fn signed(
    target: &Target,
    channel: &Twilio,
    messages: impl Iterator<Item = (usize, usize, String)>,
) -> Vec<Vec<u8>> {
    messages
        .map(|(customer, number, text)| {
            let form = channel.inbound(&format!("+3463{customer:08}"), &twilio::sid(number as u64 + 1), &text);
            let signed = signature(AUTH_TOKEN, &target.public_url, &form);
            let body = encode(&form);
            format!(
                "POST {} HTTP/1.1\r\nHost: {}\r\nContent-Type: application/x-www-form-urlencoded; charset=UTF-8\r\n\
                 X-Twilio-Signature: {signed}\r\nUser-Agent: TwilioProxy/1.1\r\nContent-Length: {}\r\n\r\n{body}",
                target.path,
                target.address,
                body.len(),
            )
            .into_bytes()
        })
        .collect()
}

/// One connection of the generator.
pub(crate) struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
}

impl Connection {
    pub(crate) async fn open(address: &str) -> Result<Self> {
        let stream =
            TcpStream::connect(address).await.with_context(|| format!("no connection to {address}"))?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, buffer: Vec::with_capacity(4096) })
    }

    /// Sends one request and waits for its 2xx.
    pub(crate) async fn send(&mut self, request: &[u8]) -> Result<()> {
        self.stream.write_all(request).await?;
        self.buffer.clear();
        loop {
            ensure!(self.stream.read_buf(&mut self.buffer).await? > 0, "the server closed the connection");
            ensure!(self.buffer.len() < ANSWER_BYTES_MAX, "an answer without end");
            let Some(head_end) = self.buffer.windows(4).position(|bytes| bytes == b"\r\n\r\n") else {
                continue;
            };
            let head = std::str::from_utf8(&self.buffer[..head_end])?;
            if !head.starts_with("HTTP/1.1 2") {
                bail!("refused: {}", String::from_utf8_lossy(&self.buffer));
            }
            if self.buffer.len() >= head_end + 4 + content_length(head) {
                return Ok(());
            }
        }
    }
}

fn content_length(head: &str) -> usize {
    let lines = head.lines().filter_map(|line| line.split_once(':'));
    let mut lengths = lines.filter(|(name, _)| name.eq_ignore_ascii_case("content-length"));
    lengths.next().and_then(|(_, value)| value.trim().parse().ok()).unwrap_or(0)
}

/// Sends everything over so many connections. A customer's messages stay on one
/// connection and in order.
pub(crate) async fn run(target: &Target, requests: Vec<Vec<u8>>, connections: usize) -> Result<Load> {
    let customers = requests.len().div_ceil(MESSAGES_PER_CUSTOMER);
    let mut shares: Vec<Vec<Vec<u8>>> = vec![Vec::new(); connections];
    for (number, request) in requests.into_iter().enumerate() {
        shares[(number % customers) % connections].push(request);
    }
    let mut open = Vec::new();
    for share in shares {
        open.push((Connection::open(&target.address).await?, share));
    }
    let start = Instant::now();
    let tasks: Vec<_> = open
        .into_iter()
        .map(|(mut connection, share)| {
            tokio::spawn(async move {
                let mut latencies = Vec::with_capacity(share.len());
                for request in &share {
                    let sent = Instant::now();
                    connection.send(request).await?;
                    latencies.push(sent.elapsed());
                }
                anyhow::Ok(latencies)
            })
        })
        .collect();
    let mut load = Load::default();
    for task in tasks {
        load.latencies.extend(task.await??);
    }
    load.took = start.elapsed();
    Ok(load)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markers_are_found_again() {
        assert_eq!(marked(format!("To=1&Body=echo+{}+x", marker(1234)).as_bytes()), Some(1234));
        assert_eq!(marked(b"no marker zq"), None);
    }

    #[test]
    fn lengths_are_read_whatever_the_case() {
        assert_eq!(content_length("HTTP/1.1 200 OK\r\nContent-Length: 12"), 12);
        assert_eq!(content_length("HTTP/1.1 204 No Content"), 0);
    }
}
