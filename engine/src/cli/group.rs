//! `pointsman group`: teams of agents over the API: who is in them, how they are
//! given conversations, how long contacts may wait.

use clap::{Args, Subcommand};
use serde_json::{Map, Value, json};

use super::client::{ApiArgs, Client};
use super::error::CliError;
use super::given::Given;
use super::named::{called, named, path_to};
use super::output::{Out, lines, table, text};
use super::presence::{USERS, user_named};

pub(super) const GROUPS: &str = "/api/v1/groups";

/// Teams that receive conversations
#[derive(Debug, Clone, Subcommand)]
pub(super) enum Group {
    /// List them
    List(List),
    /// Make one
    Create(Create),
    /// Change one; what is left out stays
    Set(Set),
    /// What assistants are told while a team has the conversation; shows it when nothing is given
    Instructions(Instructions),
    /// Remove one
    Delete(Delete),
}

/// List teams
#[derive(Debug, Clone, Args)]
pub(super) struct List {
    #[command(flatten)]
    api: ApiArgs,
}

/// Make a team
#[derive(Debug, Clone, Args)]
pub(super) struct Create {
    /// What rules and people call it
    name: String,
    #[command(flatten)]
    terms: Terms,
    #[command(flatten)]
    api: ApiArgs,
}

/// Change a team
#[derive(Debug, Clone, Args)]
pub(super) struct Set {
    /// Its name or id
    group: String,
    /// Another name
    #[arg(long)]
    name: Option<String>,
    /// Somebody who leaves it, by e-mail address or id; may be repeated
    #[arg(long = "remove", value_name = "PERSON")]
    leaving: Vec<String>,
    /// Work by no calendar
    #[arg(long, conflicts_with = "calendar")]
    no_calendar: bool,
    #[command(flatten)]
    terms: Terms,
    #[command(flatten)]
    api: ApiArgs,
}

/// What assistants are told while a team has the conversation
#[derive(Debug, Clone, Args)]
pub(super) struct Instructions {
    /// Its name or id
    group: String,
    /// Tell them nothing any more
    #[arg(long, conflicts_with = "Given")]
    clear: bool,
    #[command(flatten)]
    given: Given,
    #[command(flatten)]
    api: ApiArgs,
}

/// Remove a team
#[derive(Debug, Clone, Args)]
pub(super) struct Delete {
    /// Its name or id
    group: String,
    #[command(flatten)]
    api: ApiArgs,
}

/// What may be said of a team when it is made and later.
#[derive(Debug, Clone, Args)]
struct Terms {
    /// Somebody who joins it, by e-mail address or id; may be repeated
    #[arg(long = "add", value_name = "PERSON")]
    joining: Vec<String>,
    /// The calendar it works by, by name or id
    #[arg(long)]
    calendar: Option<String>,
    /// Its language, e.g. es
    #[arg(long)]
    language: Option<String>,
    /// manual, round_robin or least_busy
    #[arg(long)]
    policy: Option<String>,
    /// Live chats that each member may have at once; 0: any number
    #[arg(long, value_name = "NUMBER")]
    chats_max: Option<u32>,
    /// How long a person may think about an offer; 0: it is assigned without asking
    #[arg(long, value_name = "SECONDS")]
    offer_seconds: Option<u32>,
    /// How long a contact may wait for the first answer; 0: not measured
    #[arg(long, value_name = "MINUTES")]
    first_reply: Option<u32>,
    /// How long for every later answer; 0: not measured
    #[arg(long, value_name = "MINUTES")]
    next_reply: Option<u32>,
    /// How long until the case is closed; 0: not measured
    #[arg(long, value_name = "MINUTES")]
    resolution: Option<u32>,
}

impl Group {
    pub(super) async fn run(self, out: Out) -> Result<(), CliError> {
        match self {
            Self::List(it) => it.run(out).await,
            Self::Create(it) => it.run(out).await,
            Self::Set(it) => it.run(out).await,
            Self::Instructions(it) => it.run(out).await,
            Self::Delete(it) => it.run(out).await,
        }
    }
}

impl List {
    async fn run(self, out: Out) -> Result<(), CliError> {
        let client = Client::new(&self.api)?;
        let (groups, users) = (client.list(GROUPS).await?, client.list(USERS).await?);
        Ok(out.result(&json!({"items": &groups}), || {
            let rows: Vec<_> = groups.iter().map(|group| row(group, &users)).collect();
            table(&["ID", "NAME", "POLICY", "MEMBERS"], &rows)
        })?)
    }
}

fn row(group: &Value, users: &[Value]) -> Vec<String> {
    let members = group["members"].as_array().into_iter().flatten();
    let members: Vec<_> = members.map(|id| called(users, "/email", id)).collect();
    vec![text(group, "/id"), text(group, "/name"), text(group, "/assignment/policy"), members.join(", ")]
}

impl Create {
    async fn run(self, out: Out) -> Result<(), CliError> {
        let client = Client::new(&self.api)?;
        let mut body = self.terms.body(&client, &Value::Null).await?;
        body.insert("name".to_owned(), self.name.into());
        let members = people(&client, &self.terms.joining).await?;
        body.insert("members".to_owned(), members.into());
        let group = client.post(GROUPS, &Value::Object(body)).await?;
        Ok(out
            .result(&group, || format!("{}  {} is there now", text(&group, "/id"), text(&group, "/name")))?)
    }
}

impl Set {
    async fn run(self, out: Out) -> Result<(), CliError> {
        let client = Client::new(&self.api)?;
        let path = path_of(&client, &self.group).await?;
        let before = client.get(&path).await?;
        let mut body = self.terms.body(&client, &before).await?;
        if let Some(name) = self.name {
            body.insert("name".to_owned(), name.into());
        }
        if self.no_calendar {
            body.insert("calendar".to_owned(), Value::Null);
        }
        if !self.terms.joining.is_empty() || !self.leaving.is_empty() {
            let (joining, leaving) =
                (people(&client, &self.terms.joining).await?, people(&client, &self.leaving).await?);
            let mut members: Vec<Value> = before["members"].as_array().cloned().unwrap_or_default();
            members.retain(|id| !leaving.iter().any(|it| id == it));
            members.extend(joining.into_iter().map(Value::from));
            body.insert("members".to_owned(), members.into());
        }
        let group = client.patch(&path, &Value::Object(body)).await?;
        Ok(out.result(&group, || format!("{} is changed", text(&group, "/name")))?)
    }
}

impl Instructions {
    async fn run(self, out: Out) -> Result<(), CliError> {
        let says = if self.clear { Some(String::new()) } else { self.given.read()? };
        let client = Client::new(&self.api)?;
        let path = path_of(&client, &self.group).await? + "/instructions";
        let told = match says {
            Some(says) => client.put(&path, &json!({ "instructions": says })).await?,
            None => client.get(&path).await?,
        };
        Ok(out.result(&told, || lines(&told["instructions"]))?)
    }
}

impl Delete {
    async fn run(self, out: Out) -> Result<(), CliError> {
        let client = Client::new(&self.api)?;
        let answer = client.delete(&path_of(&client, &self.group).await?).await?;
        Ok(out.result(&answer, || format!("{} is removed", self.group))?)
    }
}

impl Terms {
    /// The fields of a request, but for the members. The API takes assignment and targets whole, so what is not said
    /// here is what the team has.
    async fn body(&self, client: &Client, before: &Value) -> Result<Map<String, Value>, CliError> {
        let mut body = Map::new();
        if let Some(calendar) = &self.calendar {
            let id = named(client, super::calendar::CALENDARS, "calendar", calendar).await?;
            body.insert("calendar".to_owned(), id.into());
        }
        if let Some(language) = &self.language {
            body.insert("language".to_owned(), language.as_str().into());
        }
        let policy = self.policy.as_deref().map(Value::from);
        let number = |it: Option<u32>| it.map(|it| if it == 0 { Value::Null } else { it.into() });
        let assignment = [
            ("policy", policy),
            ("chats_max", number(self.chats_max)),
            ("offer_seconds", number(self.offer_seconds)),
        ];
        let targets = [
            ("first_reply_minutes", number(self.first_reply)),
            ("next_reply_minutes", number(self.next_reply)),
            ("resolution_minutes", number(self.resolution)),
        ];
        for (name, said) in [("assignment", assignment.to_vec()), ("targets", targets.to_vec())] {
            if said.iter().all(|(_, value)| value.is_none()) {
                continue;
            }
            let mut whole = before[name].as_object().cloned().unwrap_or_default();
            whole.extend(said.into_iter().filter_map(|(key, value)| Some((key.to_owned(), value?))));
            body.insert(name.to_owned(), whole.into());
        }
        Ok(body)
    }
}

async fn path_of(client: &Client, group: &str) -> Result<String, CliError> {
    path_to(client, GROUPS, "group", group).await
}

async fn people(client: &Client, named: &[String]) -> Result<Vec<String>, CliError> {
    let mut ids = Vec::with_capacity(named.len());
    if named.is_empty() {
        return Ok(ids);
    }
    let users = client.list(USERS).await?;
    for name in named {
        ids.push(text(user_named(&users, name)?, "/id"));
    }
    Ok(ids)
}
