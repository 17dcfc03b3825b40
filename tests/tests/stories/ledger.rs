//! What customers wrote and what must have become of it, whatever was killed
//! meanwhile: each message there once and in order, each answer sent once or
//! `unknown`, none twice, none out of order, and no work left over.

use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use pointsman_tests::{Form, Twilio, eventually};
use serde_json::Value;

use crate::{Scene, id, messages, text_of, texts};

/// Pause before the vendor repeats a webhook that got no 2xx.
const REPEAT_PAUSE: Duration = Duration::from_millis(25);
/// Time to work off everything after the last webhook.
pub(crate) const WORK_OFF_LIMIT: Duration = Duration::from_secs(300);

/// Customers who each write the same number of messages; the echo rule answers each.
pub(crate) struct Ledger {
    phones: Vec<String>,
    /// Below the quota of automatic messages per conversation (10 in 10 minutes).
    messages: u64,
    attempts: AtomicU64,
}

/// What became of the answers.
#[derive(Default)]
pub(crate) struct Report {
    attempts: u64,
    sent: u64,
    unknown: u64,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { attempts, sent, unknown } = self;
        write!(
            f,
            "{} acknowledged in {attempts} attempts, {sent} answered once, {unknown} unknown, 0 lost",
            sent + unknown
        )
    }
}

impl Ledger {
    pub(crate) fn new(phones: Vec<String>, messages: u64) -> Self {
        Self { phones, messages, attempts: AtomicU64::new(0) }
    }

    fn total(&self) -> u64 {
        self.phones.len() as u64 * self.messages
    }

    /// Writes one customer's numbered messages, by turns to each of the processes. As a patient vendor, it repeats
    /// each until it is acknowledged, and never again afterwards.
    pub(crate) async fn write(&self, processes: &[Twilio], customer: u64) -> Result<()> {
        let phone = &self.phones[usize::try_from(customer)?];
        let mut turn = usize::try_from(customer)?;
        for number in 0..self.messages {
            let sid = crate::sid(customer * self.messages + number + 1);
            loop {
                let twilio = &processes[turn % processes.len()];
                let form: Form = twilio.inbound(phone, &sid, &format!("n{number}"));
                turn += 1;
                self.attempts.fetch_add(1, Ordering::Relaxed);
                match twilio.deliver(&form).await {
                    Ok(answer) if (200..300).contains(&answer.status) => break,
                    Ok(answer) => ensure!(answer.status >= 429, "refused: {} {}", answer.status, answer.text),
                    Err(_) => {}
                }
                tokio::time::sleep(REPEAT_PAUSE).await;
            }
        }
        Ok(())
    }

    /// Waits until everything is worked off, and checks it against what was written.
    pub(crate) async fn balance(&self, scene: &Scene) -> Result<Report> {
        self.no_work_is_left(scene).await?;
        let report = self.judge(scene).await?;
        let (answers, total) = (report.sent + report.unknown, self.total());
        ensure!(answers == total, "{answers} answers to {total} messages");
        Ok(report)
    }

    /// Every answer has an outcome and no job waits.
    async fn no_work_is_left(&self, scene: &Scene) -> Result<()> {
        eventually("every answer has an outcome", WORK_OFF_LIMIT, || async {
            let unclear = scene.api.list("/api/v1/jobs/dead").await?.len();
            let (accepted, total) = (scene.vendor.accepted_count(), self.total());
            ensure!((accepted + unclear) as u64 >= total, "{accepted} + {unclear} of {total}");
            let waiting = scene.api.list("/api/v1/jobs").await?;
            let is_done = |job: &Value| {
                matches!(job["state"].as_str(), Some("unknown" | "dead" | "failed" | "gave_up"))
            };
            let left: Vec<_> = waiting.iter().filter(|job| !is_done(job)).collect();
            ensure!(left.is_empty(), "{} jobs are left, e.g. {}", left.len(), left[0]);
            // An answer that arrived and is `unknown` counts twice above, while messages may still lie in a lane that
            // the killed process had: until its lease runs out.
            let work = scene.api.get("/api/v1/jobs").await?.expect(200)?;
            for queue in work["queues"].as_array().context("no queues")? {
                let at_work = ["ready", "running", "waiting"].map(|at| queue[at].as_i64());
                ensure!(at_work == [Some(0); 3], "lanes are at work: {queue}");
            }
            Ok(Some(()))
        })
        .await
    }

    async fn judge(&self, scene: &Scene) -> Result<Report> {
        let mut copies: HashMap<(String, String), usize> = HashMap::new();
        let mut order: HashMap<String, Vec<String>> = HashMap::new();
        for sent in scene.vendor.accepted() {
            let (to, body) = (sent.field("To").to_owned(), sent.field("Body").to_owned());
            *copies.entry((to.clone(), body.clone())).or_default() += 1;
            order.entry(to).or_default().push(body);
        }
        let written: Vec<String> = (0..self.messages).map(|number| format!("n{number}")).collect();
        let echoes: Vec<String> = written.iter().map(|text| format!("echo {text}")).collect();
        let path = format!("/api/v1/conversations?channel={}", scene.twilio.channel);
        let conversations = scene.api.list(&path).await?;
        ensure!(conversations.len() == self.phones.len(), "{} conversations", conversations.len());
        let mut report = Report { attempts: self.attempts.load(Ordering::Relaxed), ..Report::default() };
        for phone in &self.phones {
            let row = conversations.iter().find(|row| row["contact"].to_string().contains(phone));
            let row = row.with_context(|| format!("no conversation with {phone}"))?;
            let rows = messages(&scene.api, id(row)?).await?;
            ensure!(texts(&rows, "inbound") == written, "{phone}: {:?}", texts(&rows, "inbound"));
            ensure!(texts(&rows, "outbound") == echoes, "{phone}: {:?}", texts(&rows, "outbound"));
            let address = scene.twilio.address(phone);
            let arrived = order.remove(&address).unwrap_or_default();
            ensure!(arrived.is_sorted(), "{phone}: the vendor got {arrived:?}");
            for answer in rows.iter().filter(|row| row["direction"] == "outbound") {
                let copies = copies.remove(&(address.clone(), text_of(answer).to_owned())).unwrap_or(0);
                match answer["status"].as_str() {
                    Some("sent" | "delivered" | "read") => {
                        ensure!(copies == 1, "{copies} copies of {answer}");
                        report.sent += 1;
                    }
                    Some("unknown") => {
                        ensure!(copies <= 1, "{copies} copies of {answer}");
                        report.unknown += 1;
                    }
                    _ => bail!("left behind: {answer}"),
                }
            }
        }
        ensure!(copies.is_empty() && order.is_empty(), "nobody asked for {copies:?}");
        Ok(report)
    }
}
