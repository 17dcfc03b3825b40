//! Files of messages. A file that waits to be fetched is its own job: due at a
//! moment, taken with a lease, and fenced by the number of its attempt. The bytes
//! are not here but in the file store.

use pointsman_rules::ids::{AttachmentId, ChannelId, ConversationId, MessageId, TenantId};

use super::text::places;
use super::{Arg, Row, StoreError, Tx};
use crate::args;

/// How far a file is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileState {
    /// It waits to be fetched.
    Pending,
    /// It is here.
    Stored,
    /// It will not come; the reason is with it.
    Failed,
}

impl FileState {
    /// The stable word.
    pub fn word(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Stored => "stored",
            Self::Failed => "failed",
        }
    }

    fn from_word(word: &str) -> Option<Self> {
        [Self::Pending, Self::Stored, Self::Failed].into_iter().find(|state| state.word() == word)
    }
}

/// The message that a file belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// Its channel.
    pub channel: ChannelId,
    /// Its conversation.
    pub conversation: ConversationId,
    /// The message.
    pub message: MessageId,
    /// Which of the message's files, from 0.
    pub position: i64,
}

/// A file as it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attachment {
    /// Its id.
    pub id: AttachmentId,
    /// Where it belongs; `None`: it was uploaded and not sent yet.
    pub place: Option<Place>,
    /// `image`, `audio`, `voice`, `video`, `document`, `sticker` or `archive`.
    pub family: String,
    /// MIME type: as claimed while it is pending, as found afterwards.
    pub content_type: Option<String>,
    /// What people see.
    pub file_name: Option<String>,
    /// Bytes: as claimed while it is pending, counted afterwards.
    pub size_bytes: Option<i64>,
    /// JSON: where the vendor keeps it; `None` for our own files.
    pub source: Option<String>,
    /// How far it is.
    pub state: FileState,
    /// Why it failed, or why the last attempt did.
    pub problem: Option<String>,
    /// Id of its bytes in the file store.
    pub blob: Option<String>,
    /// How often it was tried.
    pub attempts: i64,
    /// Which user or key uploaded it.
    pub uploader: Option<String>,
    /// When it became known, unix milliseconds.
    pub created_ms: i64,
}

const COLUMNS: &str = "id, channel_id, conversation_id, message_id, position, family, content_type, file_name, \
    size_bytes, source, state, problem, blob, attempts, uploader_id, created_ms";

/// Adds files; those that are pending are due at once.
///
/// # Errors
/// The database's own.
pub async fn insert(tx: &mut Tx, files: &[(TenantId, Attachment)]) -> Result<(), StoreError> {
    let rows = files
        .iter()
        .map(|(tenant, it)| {
            args![
                *tenant,
                it.id,
                it.place.map(|place| place.channel),
                it.place.map(|place| place.conversation),
                it.place.map(|place| place.message),
                it.place.map_or(0, |place| place.position),
                it.family.as_str(),
                it.content_type.clone(),
                it.file_name.clone(),
                it.size_bytes,
                it.source.clone(),
                it.state.word(),
                it.problem.clone(),
                it.blob.clone(),
                it.attempts,
                it.uploader.clone(),
                it.created_ms,
                it.created_ms
            ]
        })
        .collect();
    let head = format!("insert into attachments (tenant_id, {COLUMNS}, next_ms)");
    tx.insert_many("add files", &head, rows, "").await.map(|_| ())
}

/// One file.
///
/// # Errors
/// The database's own.
pub async fn get(tx: &mut Tx, tenant: TenantId, id: AttachmentId) -> Result<Option<Attachment>, StoreError> {
    let sql = format!("select tenant_id, {COLUMNS} from attachments where tenant_id = $1 and id = $2");
    let row = tx.first("read a file", &sql, args![tenant, id]).await?;
    row.map(|row| Ok(read(&row)?.1)).transpose()
}

/// Messages in one query at most.
const MESSAGES_MAX: usize = 64;

/// The files of these messages, in no order.
///
/// # Errors
/// The database's own.
pub async fn of_messages(
    tx: &mut Tx,
    tenant: TenantId,
    messages: &[MessageId],
) -> Result<Vec<Attachment>, StoreError> {
    let mut out = Vec::new();
    for messages in messages.chunks(MESSAGES_MAX) {
        let mut args = args![tenant];
        args.extend(messages.iter().map(|id| Arg::from(*id)));
        let sql = format!(
            "select tenant_id, {COLUMNS} from attachments where tenant_id = $1 and message_id in ({})",
            places(2, messages.len())
        );
        for row in tx.all("read messages' files", &sql, args).await? {
            out.push(read(&row)?.1);
        }
    }
    Ok(out)
}

/// Ids of the bytes of a conversation's files.
///
/// # Errors
/// The database's own.
pub async fn blobs_of(
    tx: &mut Tx,
    tenant: TenantId,
    conversation: ConversationId,
) -> Result<Vec<String>, StoreError> {
    let sql = "select distinct blob from attachments where tenant_id = $1 and conversation_id = $2 \
               and blob is not null";
    let rows = tx.all("list a conversation's files", sql, args![tenant, conversation]).await?;
    rows.iter().map(|row| row.columns("attachments").text("blob")).collect()
}

/// The conversations whose files have these bytes; `None` for an upload that was not sent.
///
/// # Errors
/// The database's own.
pub async fn users_of(
    tx: &mut Tx,
    tenant: TenantId,
    blob: &str,
) -> Result<Vec<Option<ConversationId>>, StoreError> {
    let sql = "select distinct conversation_id from attachments where tenant_id = $1 and blob = $2";
    let rows = tx.all("list users of a file", sql, args![tenant, blob]).await?;
    rows.iter().map(|row| row.columns("attachments").opt_id("conversation_id")).collect()
}

/// Takes a message's files from it; they go with the uploads that were never sent.
///
/// # Errors
/// The database's own.
pub async fn release(tx: &mut Tx, tenant: TenantId, message: MessageId) -> Result<(), StoreError> {
    let sql = "update attachments set channel_id = null, conversation_id = null, message_id = null \
               where tenant_id = $1 and message_id = $2";
    tx.execute("release a message's files", sql, args![tenant, message]).await.map(|_| ())
}

/// Does any file have these bytes?
///
/// # Errors
/// The database's own.
pub async fn is_used(tx: &mut Tx, tenant: TenantId, blob: &str) -> Result<bool, StoreError> {
    let sql = "select 1 from attachments where tenant_id = $1 and blob = $2 limit 1";
    Ok(tx.first("look for users of a file", sql, args![tenant, blob]).await?.is_some())
}

/// Removes uploads from before `before_ms` that no message was sent with, at most `rows_max`; answers the ids of their
/// bytes.
///
/// # Errors
/// The database's own.
pub async fn delete_unsent(
    tx: &mut Tx,
    tenant: TenantId,
    before_ms: i64,
    rows_max: u32,
) -> Result<Vec<String>, StoreError> {
    let sql = "delete from attachments where tenant_id = $1 and id in (select id from attachments \
               where tenant_id = $1 and message_id is null and created_ms < $2 order by created_ms limit $3) \
               returning blob";
    let rows = tx.all("remove unsent uploads", sql, args![tenant, before_ms, rows_max]).await?;
    let blobs: Vec<Option<String>> =
        rows.iter().map(|row| row.columns("attachments").opt_text("blob")).collect::<Result<_, _>>()?;
    Ok(blobs.into_iter().flatten().collect())
}

/// Takes pending files that are due, for all tenants; each counts as an attempt, and is due again at `until_ms` if
/// nobody records how it ended.
///
/// # Errors
/// The database's own.
pub async fn claim(
    tx: &mut Tx,
    owner: &str,
    now_ms: i64,
    until_ms: i64,
    rows_max: u32,
) -> Result<Vec<(TenantId, Attachment)>, StoreError> {
    let skip = if tx.is_postgres() { "for update skip locked" } else { "" };
    let sql = format!(
        "update attachments set attempts = attempts + 1, next_ms = $3, owner = $1 where (tenant_id, id) in \
         (select tenant_id, id from attachments where state = 'pending' and next_ms <= $2 \
         order by next_ms limit $4 {skip}) returning tenant_id, {COLUMNS}"
    );
    let rows = tx.all("take files to fetch", &sql, args![owner, now_ms, until_ms, rows_max]).await?;
    rows.iter().map(read).collect()
}

/// Is any pending file due?
///
/// # Errors
/// The database's own.
pub async fn is_due(tx: &mut Tx, now_ms: i64) -> Result<bool, StoreError> {
    let sql = "select 1 from attachments where state = 'pending' and next_ms <= $1 limit 1";
    Ok(tx.first("look for files to fetch", sql, args![now_ms]).await?.is_some())
}

/// How an attempt ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fetched {
    /// The bytes are here.
    Stored {
        /// Their id in the file store.
        blob: String,
        /// What they are.
        content_type: String,
        /// How many.
        size_bytes: i64,
    },
    /// Not this time.
    Later {
        /// When again, unix milliseconds.
        next_ms: i64,
        /// Why not.
        problem: String,
    },
    /// Never.
    Failed {
        /// Why.
        problem: String,
    },
}

/// Records how an attempt ended; answers whether it still counted.
///
/// # Errors
/// The database's own.
pub async fn record(
    tx: &mut Tx,
    tenant: TenantId,
    (id, attempt): (AttachmentId, i64),
    how: &Fetched,
) -> Result<bool, StoreError> {
    let (set, values) = match how {
        Fetched::Stored { blob, content_type, size_bytes } => (
            "state = 'stored', problem = null, source = null, blob = $4, content_type = $5, size_bytes = $6",
            args![blob, content_type, *size_bytes],
        ),
        Fetched::Later { next_ms, problem } => ("next_ms = $4, problem = $5", args![*next_ms, problem]),
        Fetched::Failed { problem } => ("state = 'failed', problem = $4", args![problem]),
    };
    let sql = format!(
        "update attachments set owner = null, {set} \
         where tenant_id = $1 and id = $2 and attempts = $3 and state = 'pending'"
    );
    let mut args = args![tenant, id, attempt];
    args.extend(values);
    Ok(tx.execute("record a fetched file", &sql, args).await? > 0)
}

/// Lengthens the leases of one owner; a file whose end is being recorded at this moment needs none.
///
/// # Errors
/// The database's own.
pub async fn renew(tx: &mut Tx, owner: &str, until_ms: i64) -> Result<u64, StoreError> {
    let skip = if tx.is_postgres() { "for update skip locked" } else { "" };
    let sql = format!(
        "update attachments set next_ms = $2 where (tenant_id, id) in \
         (select tenant_id, id from attachments where state = 'pending' and owner = $1 {skip})"
    );
    tx.execute("renew leases of files", &sql, args![owner, until_ms]).await
}

/// Makes files due now that somebody was at: all of them where one process has just started, or those of one owner
/// that stops.
///
/// # Errors
/// The database's own.
pub async fn free(tx: &mut Tx, owner: Option<&str>, now_ms: i64) -> Result<u64, StoreError> {
    let (of, mut args) = ("and owner = $2", args![now_ms]);
    args.extend(owner.map(Arg::from));
    let sql = format!(
        "update attachments set next_ms = $1, owner = null where state = 'pending' and owner is not null {}",
        owner.map_or("", |_| of)
    );
    tx.execute("give files back", &sql, args).await
}

fn read(row: &Row) -> Result<(TenantId, Attachment), StoreError> {
    let c = &mut row.columns("attachments");
    let (tenant, id) = (c.id("tenant_id")?, c.id("id")?);
    let (channel, conversation) = (c.opt_id("channel_id")?, c.opt_id("conversation_id")?);
    let (message, position) = (c.opt_id("message_id")?, c.int("position")?);
    let place = match (channel, conversation, message) {
        (Some(channel), Some(conversation), Some(message)) => {
            Some(Place { channel, conversation, message, position })
        }
        _ => None,
    };
    let attachment = Attachment {
        id,
        place,
        family: c.text("family")?,
        content_type: c.opt_text("content_type")?,
        file_name: c.opt_text("file_name")?,
        size_bytes: c.opt_int("size_bytes")?,
        source: c.opt_text("source")?,
        state: c.word("state", FileState::from_word)?,
        problem: c.opt_text("problem")?,
        blob: c.opt_text("blob")?,
        attempts: c.int("attempts")?,
        uploader: c.opt_text("uploader_id")?,
        created_ms: c.int("created_ms")?,
    };
    Ok((tenant, attachment))
}

#[cfg(test)]
#[path = "attachments_tests.rs"]
mod tests;
