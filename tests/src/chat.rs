//! A customer on the web page: what the widget's script does, without a browser.

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use crate::api::{Answer, text_at};
use crate::server::{Server, to_local};
use crate::sse::Events;

/// The header that carries the visitor's token on writes.
pub const VISITOR_HEADER: &str = "x-pointsman-visitor";

/// One visitor of one chat page.
#[derive(Debug, Clone)]
pub struct Chat {
    http: reqwest::Client,
    page: String,
    token: String,
    /// The visitor's id, as given by the server.
    pub visitor: String,
}

impl Chat {
    /// Opens the seeded page as a new visitor.
    ///
    /// # Errors
    /// There is no such page, or the session is refused.
    pub async fn open(server: &Server) -> Result<Self> {
        let link = server.ready().webchat_link.clone().context("no seeded chat page")?;
        Self::open_at(&to_local(&link, server.url())).await
    }

    /// Opens a page by its local URL.
    ///
    /// # Errors
    /// The session is refused.
    pub async fn open_at(page: &str) -> Result<Self> {
        let http = crate::http_client()?;
        let call = format!("{page}/session");
        let response = http.post(&call).json(&json!({})).send().await?;
        let answer = Answer::read(call, response).await?;
        ensure!(matches!(answer.status, 200 | 201), "{}: {} {}", answer.call, answer.status, answer.text);
        let session = answer.json()?;
        let (visitor, token) = (text_at(&session, "/visitor")?, text_at(&session, "/token")?);
        Ok(Self { http, page: page.to_owned(), token: token.to_owned(), visitor: visitor.to_owned() })
    }

    /// The same visitor with another token, to try forged ones.
    #[must_use]
    pub fn with_token(&self, token: &str) -> Self {
        Self { token: token.to_owned(), ..self.clone() }
    }

    /// The visitor's token.
    pub fn token(&self) -> &str {
        &self.token
    }

    /// Writes a message. `id` is the page's own id of it: the same id twice is one message.
    ///
    /// # Errors
    /// No answer came.
    pub async fn say(&self, id: &str, text: &str) -> Result<Answer> {
        let call = format!("{}/messages", self.page);
        let body = json!({"id": id, "text": text});
        let request = self.http.post(&call).header(VISITOR_HEADER, &self.token).json(&body);
        Answer::read(call, request.send().await?).await
    }

    /// What this visitor and we wrote so far.
    ///
    /// # Errors
    /// The history is refused.
    pub async fn history(&self) -> Result<Vec<Value>> {
        let call = format!("{}/messages", self.page);
        let request = self.http.get(&call).header(VISITOR_HEADER, &self.token);
        let body = Answer::read(call, request.send().await?).await?.expect(200)?;
        Ok(body["items"].as_array().cloned().unwrap_or_default())
    }

    /// Listens to the page's stream, from now or after an event.
    ///
    /// # Errors
    /// It is refused.
    pub async fn listen(&self, after: Option<&str>) -> Result<Events> {
        // A token is letters, digits, underscores and one dot: nothing to encode.
        let mut request = self.http.get(format!("{}/stream?token={}", self.page, self.token));
        if let Some(after) = after {
            request = request.header("last-event-id", after);
        }
        Events::open(request).await
    }
}
