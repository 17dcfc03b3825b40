//! `/contacts/{id}/export`: everything about a person as one JSON document, written
//! piece by piece, so that a long history fits into little memory.

use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse as _, Response};
use futures_util::stream;
use pointsman_rules::ids::{ContactId, ConversationId, TenantId};
use serde_json::json;
use tokio::sync::mpsc::{Receiver, Sender, channel};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::alive;
use super::view::Contact;
use crate::clock::rfc3339;
use crate::http::auth::Admin;
use crate::http::conversations::Conversation;
use crate::http::events::Event;
use crate::http::messages::Message;
use crate::http::path::Id;
use crate::http::problem::Problem;
use crate::http::{Api, Refused, attachments};
use crate::store::audit::{self, Change};
use crate::store::contact_views::{self, ContactView};
use crate::store::conversation_views;
use crate::store::event_views::{self, EventFilter};
use crate::store::filter::Sight;
use crate::store::message_views::{self, Order};

/// Rows that are read at once.
const ROWS_PER_PIECE: u32 = 200;
/// Pieces that wait for a slow reader at most.
const PIECES_MAX: usize = 4;

pub(super) fn router() -> OpenApiRouter<Api> {
    OpenApiRouter::default().routes(routes!(export))
}

type Piece = Result<Bytes, std::io::Error>;

/// Everything about a contact: `contact`, and `conversations` with their `messages` (notes and the links of files
/// included) and `events`.
#[utoipa::path(get, path = "/api/v1/contacts/{id}/export", tag = "contacts", params(("id" = String, Path)),
    responses((status = 200, body = Object)))]
async fn export(
    State(api): State<Api>,
    Admin(who): Admin,
    Id(id): Id<ContactId>,
) -> Result<Response, Problem> {
    let entry = who.did(&api.flow.clock, "contact.export", id, Change::act(json!({})));
    let caller = who.clone();
    let contact = api.write(move |tx| {
        let (who, entry) = (caller.clone(), entry.clone());
        Box::pin(async move {
            let contact = alive(tx, &who, id).await?;
            audit::append(tx, who.tenant, &entry).await?;
            Ok::<_, Refused>(contact)
        })
    });
    let contact = contact.await?;
    let (pieces, written) = channel::<Piece>(PIECES_MAX);
    let writer = Writer { api, tenant: who.tenant, pieces };
    tokio::spawn(async move { writer.write(contact).await });
    let body = Body::from_stream(stream::unfold(written, next));
    let name = format!("attachment; filename=\"{id}.json\"");
    let headers =
        [(header::CONTENT_TYPE, "application/json".to_owned()), (header::CONTENT_DISPOSITION, name)];
    Ok((headers, body).into_response())
}

async fn next(mut written: Receiver<Piece>) -> Option<(Piece, Receiver<Piece>)> {
    Some((written.recv().await?, written))
}

/// Why writing stopped.
enum Stopped {
    /// Nobody reads any more.
    Left,
    /// The store failed: the document ends where it is, which no reader takes for whole.
    Broken(Problem),
}

impl<E: Into<Problem>> From<E> for Stopped {
    fn from(error: E) -> Self {
        Self::Broken(error.into())
    }
}

struct Writer {
    api: Api,
    tenant: TenantId,
    pieces: Sender<Piece>,
}

impl Writer {
    async fn write(self, contact: ContactView) {
        if let Err(Stopped::Broken(problem)) = self.document(contact).await {
            let error = std::io::Error::other(problem.detail);
            let _ = self.pieces.send(Err(error)).await; // nobody reads any more
        }
    }

    async fn document(&self, contact: ContactView) -> Result<(), Stopped> {
        let id = contact.id;
        let at = rfc3339(self.api.flow.clock.now_ms());
        let head = format!("{{\"exported_at\":{},\"contact\":{}", json!(at), text(&Contact::show(contact)));
        self.send(format!("{head},\"conversations\":[")).await?;
        let threads = contact_views::threads(&mut self.api.read().await?, self.tenant, &[id]).await?;
        for (index, thread) in threads.iter().enumerate() {
            self.conversation(thread.conversation, index > 0).await?;
        }
        self.send("]}\n".to_owned()).await
    }

    async fn conversation(&self, id: ConversationId, is_next: bool) -> Result<(), Stopped> {
        let tx = &mut self.api.read().await?;
        // One that was deleted meanwhile is left out.
        let Some(found) = conversation_views::get(tx, self.tenant, Sight::All, id).await? else {
            return Ok(());
        };
        let shown = Conversation::show(found, self.api.flow.clock.now_ms());
        let comma = if is_next { "," } else { "" };
        self.send(format!("{comma}{{\"conversation\":{},\"messages\":[", text(&shown))).await?;
        self.messages(id).await?;
        self.send("],\"events\":[".to_owned()).await?;
        self.events(id).await?;
        self.send("]}".to_owned()).await
    }

    async fn messages(&self, id: ConversationId) -> Result<(), Stopped> {
        let mut after = None;
        loop {
            let tx = &mut self.api.read().await?;
            let order = Order::OldestFirst;
            let mut page =
                message_views::of_conversation(tx, self.tenant, id, order, after, ROWS_PER_PIECE).await?;
            attachments::show(tx, self.tenant, &mut page).await?;
            let Some(last) = page.last() else { return Ok(()) };
            let is_first = after.replace(last.message.seq).is_none();
            self.send(list(page.into_iter().map(Message::show), is_first)).await?;
        }
    }

    async fn events(&self, id: ConversationId) -> Result<(), Stopped> {
        let filter = EventFilter { conversation: Some(id), ..EventFilter::default() };
        let mut after = None;
        loop {
            let tx = &mut self.api.read().await?;
            let page = event_views::list(tx, self.tenant, Sight::All, &filter, after, ROWS_PER_PIECE).await?;
            let Some(last) = page.last() else { return Ok(()) };
            let is_first = after.replace(last.id).is_none();
            self.send(list(page.into_iter().map(Event::show), is_first)).await?;
        }
    }

    async fn send(&self, piece: String) -> Result<(), Stopped> {
        self.pieces.send(Ok(Bytes::from(piece))).await.map_err(|_| Stopped::Left)
    }
}

/// Items with commas between them, and before the first unless it begins the list.
fn list<T: serde::Serialize>(items: impl Iterator<Item = T>, is_first: bool) -> String {
    let mut out = String::new();
    for (index, item) in items.enumerate() {
        if index > 0 || !is_first {
            out.push(',');
        }
        out.push_str(&text(&item));
    }
    out
}

fn text<T: serde::Serialize>(value: &T) -> String {
    serde_json::to_string(value).unwrap_or_else(|_| "null".to_owned())
}
