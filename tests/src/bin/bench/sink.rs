//! The local sink: accepts every message as the vendor would, remembers when
//! each came, and costs as little as possible, since it shares the machine.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use pointsman_tests::twilio::ACCOUNT_SID;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

use crate::load::marked;

/// Longest silence before a measurement is given up.
const SILENCE_MAX: Duration = Duration::from_secs(60);

/// What has arrived.
#[derive(Debug, Default)]
struct Arrivals {
    /// By message number: when its first copy was read.
    at: Vec<Option<Instant>>,
    /// Copies beyond the first.
    repeated: usize,
}

/// A running sink; ends when dropped.
pub(crate) struct Sink {
    pub(crate) url: String,
    arrivals: Arc<Mutex<Arrivals>>,
    count: watch::Receiver<usize>,
    server: tokio::task::JoinHandle<()>,
}

impl Drop for Sink {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl Sink {
    pub(crate) async fn start(messages: usize) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let url = format!("http://{}", listener.local_addr()?);
        let arrivals = Arc::new(Mutex::new(Arrivals { at: vec![None; messages], repeated: 0 }));
        let (sender, count) = watch::channel(0);
        let sender = Arc::new(sender);
        let shared = Arc::clone(&arrivals);
        let server = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (shared, sender) = (Arc::clone(&shared), Arc::clone(&sender));
                tokio::spawn(async move {
                    // The client closes when it is done; there is nobody to tell.
                    drop(serve(stream, &shared, &sender).await);
                });
            }
        });
        Ok(Self { url, arrivals, count, server })
    }

    /// Waits until every message has arrived, and gives the moment of each.
    pub(crate) async fn all(&mut self, messages: usize) -> Result<Vec<Instant>> {
        while *self.count.borrow_and_update() < messages {
            let next = tokio::time::timeout(SILENCE_MAX, self.count.changed()).await;
            let count = *self.count.borrow();
            ensure!(next.is_ok(), "only {count} of {messages} arrived, then nothing for {SILENCE_MAX:?}");
        }
        let arrivals = self.arrivals.lock().unwrap_or_else(PoisonError::into_inner);
        ensure!(arrivals.repeated == 0, "{} messages were sent twice", arrivals.repeated);
        Ok(arrivals.at.iter().flatten().copied().collect())
    }
}

async fn serve(
    mut stream: TcpStream,
    arrivals: &Mutex<Arrivals>,
    count: &watch::Sender<usize>,
) -> Result<()> {
    stream.set_nodelay(true)?;
    let mut buffer = Vec::with_capacity(4096);
    loop {
        let (head_end, length) = loop {
            if let Some(found) = complete(&buffer) {
                break found;
            }
            if stream.read_buf(&mut buffer).await? == 0 {
                return Ok(());
            }
        };
        let at = Instant::now();
        let total = head_end + length;
        let number = marked(&buffer[head_end..total]);
        let is_account = buffer.starts_with(b"GET ");
        buffer.drain(..total);
        if let Some(number) = number {
            let mut arrivals = arrivals.lock().unwrap_or_else(PoisonError::into_inner);
            match arrivals.at.get_mut(number) {
                Some(slot @ None) => {
                    *slot = Some(at);
                    count.send_modify(|count| *count += 1);
                }
                _ => arrivals.repeated += 1,
            }
        }
        stream.write_all(&answer(number, is_account)).await?;
    }
}

/// Where the body begins and how long it is, once the whole request is there.
fn complete(buffer: &[u8]) -> Option<(usize, usize)> {
    let head_end = buffer.windows(4).position(|bytes| bytes == b"\r\n\r\n")? + 4;
    let head = std::str::from_utf8(&buffer[..head_end]).ok()?;
    let mut headers = head.lines().filter_map(|line| line.split_once(':'));
    let length = headers.find(|(name, _)| name.eq_ignore_ascii_case("content-length"));
    let length = length.and_then(|(_, value)| value.trim().parse().ok()).unwrap_or(0);
    (buffer.len() >= head_end + length).then_some((head_end, length))
}

fn answer(number: Option<usize>, is_account: bool) -> Vec<u8> {
    let body = if is_account {
        format!(
            "{{\"sid\":\"{ACCOUNT_SID}\",\"status\":\"active\",\"type\":\"Full\",\"friendly_name\":\"Bench\"}}"
        )
    } else {
        let sid = number.unwrap_or(0);
        format!(
            "{{\"sid\":\"SMffff{sid:028x}\",\"status\":\"queued\",\"account_sid\":\"{ACCOUNT_SID}\",\"error_code\":null}}"
        )
    };
    let status = if is_account { "200 OK" } else { "201 Created" };
    format!(
        "HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}
