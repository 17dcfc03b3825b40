//! `pointsman presence`: who is there, and saying it for somebody.

use clap::Args;
use serde_json::{Value, json};

use super::client::{ApiArgs, Client, encoded};
use super::error::CliError;
use super::output::{Out, table, text};

pub(super) const USERS: &str = "/api/v1/users";

/// Who is there; or say it for somebody
#[derive(Debug, Clone, Args)]
pub(super) struct Presence {
    /// E-mail address or id of a person
    #[arg(requires = "word")]
    person: Option<String>,
    /// online, away or offline
    #[arg(value_parser = ["online", "away", "offline"])]
    word: Option<String>,
    #[command(flatten)]
    api: ApiArgs,
}

impl Presence {
    pub(super) async fn run(self, out: Out) -> Result<(), CliError> {
        let client = Client::new(&self.api)?;
        let users = client.list(USERS).await?;
        if let (Some(person), Some(word)) = (&self.person, &self.word) {
            let id = text(user_named(&users, person)?, "/id");
            let user = client.patch(&format!("{USERS}/{}", encoded(&id)), &json!({"presence": word})).await?;
            return Ok(out.result(&user, || format!("{} is {word} now", text(&user, "/email")))?);
        }
        let columns = ["/email", "/name", "/role", "/presence"];
        Ok(out.result(&json!({"items": &users}), || {
            let there = users.iter().filter(|user| user["disabled"] != true);
            let rows: Vec<Vec<_>> = there.map(|user| columns.map(|at| text(user, at)).into()).collect();
            table(&["E-MAIL", "NAME", "ROLE", "PRESENCE"], &rows)
        })?)
    }
}

/// The person with this e-mail address or id.
///
/// # Errors
/// There is none.
pub(super) fn user_named<'u>(users: &'u [Value], name: &str) -> Result<&'u Value, CliError> {
    let is_it = |user: &&Value| user["id"] == name || text(user, "/email") == name.trim().to_lowercase();
    users.iter().find(is_it).ok_or_else(|| {
        CliError::Failed(format!("nobody has the address `{name}`; `pointsman presence` lists everybody"))
    })
}
