//! A contact's file → our store. The row in `attachments` is the duty: taken
//! with a lease, tried again with growing pauses, and given up with a reason that
//! people see. A crash anywhere costs an attempt and nothing else.

use futures_util::StreamExt as _;
use pointsman_rules::ids::{InboxId, TenantId};

use super::backoff::Backoff;
use super::case::to_json;
use super::turn::{Entry, FileNews};
use super::{Flow, FlowError, file, sniff, thumbnail};
use crate::clock::Clock;
use crate::plugins::{BLOB_BYTES_MAX, FetchedFile, MediaSource, Retry};
use crate::store::attachments::{self, Attachment, Fetched, FileState};
use crate::store::intake::{self, NewEntry};
use crate::store::lanes::Task;
use crate::store::{Durability, StoreError, Tx, conversations};

/// Attempts for one file; then it failed.
const ATTEMPTS_MAX: i64 = 12;
/// Together about two hours: longer than vendors are down as a rule, shorter than most of their links live.
const BACKOFF: Backoff = Backoff { first_ms: 2_000, most_ms: 1_200_000 };
/// The longest pause that a vendor may ask for, milliseconds.
const RETRY_AFTER_MS_MAX: u64 = 3_600_000;

/// A file that was taken, to be fetched now.
#[derive(Debug, Clone)]
pub struct Due {
    tenant: TenantId,
    attachment: Attachment,
}

/// Takes files that are due, at most `rows_max`.
///
/// # Errors
/// The store's.
pub async fn claim(flow: &Flow, rows_max: u32) -> Result<Vec<Due>, FlowError> {
    let now_ms = flow.clock.now_ms();
    // Looking costs no commit; nearly always there is nothing.
    if !attachments::is_due(&mut flow.db.read().await?, now_ms).await? {
        return Ok(Vec::new());
    }
    let (owner, until_ms) = (flow.owner.clone(), now_ms + flow.settings.lease_ms);
    let taken = flow.db.write(Durability::Soft, move |tx| {
        let owner = owner.clone();
        Box::pin(async move { attachments::claim(tx, &owner, now_ms, until_ms, rows_max).await })
    });
    Ok(taken.await?.into_iter().map(|(tenant, attachment)| Due { tenant, attachment }).collect())
}

/// Fetches one file and records how it ended.
///
/// # Errors
/// The store's; the file is due again when its lease has run out.
pub async fn run(flow: &Flow, due: Due) -> Result<(), FlowError> {
    let (tenant, id, attempt) = (due.tenant, due.attachment.id, due.attachment.attempts);
    let how = if attempt > ATTEMPTS_MAX {
        // Every attempt ended with its process.
        Fetched::Failed { problem: "the file could not be fetched; every attempt was cut off".to_owned() }
    } else {
        attempt_it(flow, &due).await?
    };
    match &how {
        Fetched::Stored { size_bytes, .. } => tracing::debug!(%id, size_bytes, "stored a file"),
        Fetched::Later { .. } => tracing::debug!(%id, attempt, "a file is fetched again later"),
        Fetched::Failed { .. } => tracing::warn!(%id, attempt, "a file could not be fetched"),
    }
    let (clock, attachment, inside) = (flow.clock.clone(), due.attachment.clone(), how.clone());
    let told = flow.db.write(Durability::Hard, move |tx| {
        let (clock, attachment, how) = (clock.clone(), attachment.clone(), inside.clone());
        Box::pin(async move {
            if !attachments::record(tx, tenant, (id, attempt), &how).await? {
                return Ok(None);
            }
            tell(tx, &clock, tenant, &attachment, &how).await.map(Some)
        })
    });
    let told = told.await?;
    if told == Some(true) {
        flow.bus.ring(Task::Turn);
    }
    if let Fetched::Stored { blob, content_type, .. } = how {
        if told.is_none() {
            // Somebody else has the attempt, or the message was erased: nobody needs these bytes.
            return file::forget(flow, tenant, vec![blob]).await;
        }
        let (blob, content_type) = (Some(blob), Some(content_type));
        let stored = Attachment { state: FileState::Stored, blob, content_type, ..due.attachment };
        thumbnail::of(flow, tenant, &stored).await?;
    }
    Ok(())
}

/// Tells the file's conversation, in its lane; answers whether there was something to tell.
async fn tell(
    tx: &mut Tx,
    clock: &Clock,
    tenant: TenantId,
    file: &Attachment,
    how: &Fetched,
) -> Result<bool, StoreError> {
    let problem = match how {
        Fetched::Stored { .. } => None,
        Fetched::Failed { problem } => Some(problem.clone()),
        Fetched::Later { .. } => return Ok(false),
    };
    let Some(place) = file.place else { return Ok(false) };
    let (conversation, message, attachment) = (place.conversation, place.message, file.id);
    let Some((lane, channel)) = conversations::lane_of(tx, tenant, conversation).await? else {
        return Ok(false); // it was deleted meanwhile
    };
    let now_ms = clock.now_ms();
    let entry = NewEntry {
        tenant,
        lane,
        id: InboxId::new(now_ms, clock.random()),
        channel,
        raw: None,
        dedupe_key: format!("file:{attachment}"),
        body: to_json(&Entry::File(FileNews { conversation, message, attachment, problem })),
        received_ms: now_ms,
    };
    intake::enqueue(tx, &[entry], now_ms).await?;
    Ok(true)
}

/// Gives back what this process was at; with `None`, what any process was at.
///
/// # Errors
/// The store's.
pub async fn free(flow: &Flow, owner: Option<String>) -> Result<u64, FlowError> {
    let now_ms = flow.clock.now_ms();
    let freed = flow.db.write(Durability::Soft, move |tx| {
        let owner = owner.clone();
        Box::pin(async move { attachments::free(tx, owner.as_deref(), now_ms).await })
    });
    Ok(freed.await?)
}

async fn attempt_it(flow: &Flow, due: &Due) -> Result<Fetched, FlowError> {
    let attachment = &due.attachment;
    let Some(place) = attachment.place else { return Ok(failed("the file belongs to no message")) };
    let source: MediaSource =
        serde_json::from_str(attachment.source.as_deref().unwrap_or_default()).map_err(|error| {
            StoreError::BadRow { table: "attachments", column: "source", reason: error.to_string() }
        })?;
    let Some((plugin, context)) = flow.channel_context(due.tenant, place.channel).await? else {
        return Ok(again(flow, attachment, 0, "the channel or its plugin is not there".to_owned()));
    };
    let rules = plugin.capabilities(&context.kind).map(|can| can.media.as_slice()).unwrap_or_default();
    let most =
        rules.iter().filter(|rule| rule.family == attachment.family).map(|rule| rule.receive_bytes_max);
    let bytes_max = most.max().filter(|most| *most > 0).unwrap_or(BLOB_BYTES_MAX);
    match plugin.fetch_media(&context, &source, bytes_max).await {
        Ok(file) => stored(flow, &context.files_of, attachment, file).await,
        Err(failure) => Ok(match failure.retry {
            Retry::Never => failed(&failure.message),
            Retry::AfterOwnerActs => again(flow, attachment, 0, failure.message),
            Retry::After { ms } => again(flow, attachment, ms, failure.message),
        }),
    }
}

async fn stored(
    flow: &Flow,
    owner: &str,
    attachment: &Attachment,
    file: FetchedFile,
) -> Result<Fetched, FlowError> {
    let Ok(head) = head(flow, owner, &file.blob).await else {
        return Ok(again(flow, attachment, 0, "the file was stored and cannot be read".to_owned()));
    };
    // The webhook knows more than the server of files, which often says "bytes".
    let claimed = attachment.content_type.as_deref().unwrap_or(&file.content_type);
    Ok(Fetched::Stored {
        content_type: sniff::content_type(&head, Some(claimed)),
        blob: file.blob,
        size_bytes: i64::try_from(file.size).unwrap_or(i64::MAX),
    })
}

/// The first bytes of a stored file.
///
/// # Errors
/// It is not there or cannot be read.
pub async fn head(flow: &Flow, owner: &str, blob: &str) -> std::io::Result<Vec<u8>> {
    let (mut content, _) = flow.host.blobs().open(owner, blob).await?;
    let mut head = Vec::new();
    while head.len() < sniff::HEAD_BYTES
        && let Some(piece) = content.next().await
    {
        head.extend(piece?);
    }
    Ok(head)
}

fn failed(problem: &str) -> Fetched {
    Fetched::Failed { problem: problem.to_owned() }
}

/// Later, unless that was the last attempt.
fn again(flow: &Flow, attachment: &Attachment, asked_ms: u64, problem: String) -> Fetched {
    if attachment.attempts >= ATTEMPTS_MAX {
        return Fetched::Failed { problem };
    }
    let asked_ms = i64::try_from(asked_ms.min(RETRY_AFTER_MS_MAX)).unwrap_or(0);
    let pause_ms = BACKOFF.pause_ms(attachment.attempts, flow.clock.random()).max(asked_ms);
    Fetched::Later { next_ms: flow.clock.now_ms() + pause_ms, problem }
}
