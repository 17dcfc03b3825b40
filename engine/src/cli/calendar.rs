//! `pointsman calendar`: working hours and holidays over the API.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::client::{ApiArgs, Client};
use super::error::CliError;
use super::named::path_to;
use super::output::{Out, table, text};

pub(super) const CALENDARS: &str = "/api/v1/calendars";
const DAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];
const HOURS_HELP: &str = "write days and times like `mon-fri 09:00-17:30` or `sat 10:00-14:00`";

/// Working hours and holidays
#[derive(Debug, Clone, Subcommand)]
pub(super) enum Calendar {
    /// List them, and whether they are open now
    List(List),
    /// Make one
    Create(Create),
    /// Change one; what is left out stays
    Set(Set),
    /// Take the all-day events of an iCalendar file as holidays
    Import(Import),
    /// Remove one
    Delete(Delete),
}

/// List calendars
#[derive(Debug, Clone, Args)]
pub(super) struct List {
    #[command(flatten)]
    api: ApiArgs,
}

/// Make a calendar
#[derive(Debug, Clone, Args)]
pub(super) struct Create {
    /// What rules and people call it
    name: String,
    /// Whose wall clock counts, e.g. Europe/Madrid
    #[arg(long)]
    timezone: String,
    #[command(flatten)]
    days: Days,
    #[command(flatten)]
    api: ApiArgs,
}

/// Change a calendar
#[derive(Debug, Clone, Args)]
pub(super) struct Set {
    /// Its name or id
    calendar: String,
    /// Another name
    #[arg(long)]
    name: Option<String>,
    /// Whose wall clock counts
    #[arg(long)]
    timezone: Option<String>,
    #[command(flatten)]
    days: Days,
    #[command(flatten)]
    api: ApiArgs,
}

/// Take holidays from a file
#[derive(Debug, Clone, Args)]
pub(super) struct Import {
    /// Name or id of the calendar
    calendar: String,
    /// An iCalendar file (.ics)
    file: PathBuf,
    /// Forget the holidays that were there
    #[arg(long)]
    replace: bool,
    #[command(flatten)]
    api: ApiArgs,
}

/// Remove a calendar
#[derive(Debug, Clone, Args)]
pub(super) struct Delete {
    /// Its name or id
    calendar: String,
    #[command(flatten)]
    api: ApiArgs,
}

/// When it is open.
#[derive(Debug, Clone, Args)]
struct Days {
    /// Open then, e.g. "mon-fri 09:00-17:30"; may be repeated, and may end on the next day ("fri 22:00-04:00")
    #[arg(long = "open", value_name = "DAYS FROM-TO", value_parser = hours)]
    open: Vec<Hours>,
    /// A day without any hours, YYYY-MM-DD; may be repeated
    #[arg(long = "holiday", value_name = "DAY")]
    holidays: Vec<String>,
}

/// The intervals that one `--open` stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Hours(Vec<Value>);

fn hours(text: &str) -> Result<Hours, String> {
    let wrong = || HOURS_HELP.to_owned();
    let (days, times) = text.trim().split_once(' ').ok_or_else(wrong)?;
    let (from, to) = times.trim().split_once('-').ok_or_else(wrong)?;
    let (first, last) = days.split_once('-').unwrap_or((days, days));
    let place = |day: &str| DAYS.iter().position(|it| *it == day.to_lowercase()).ok_or_else(wrong);
    let (first, last) = (place(first)?, place(last)?);
    // `sat-mon` goes round the end of the week.
    let count = (last + DAYS.len() - first) % DAYS.len() + 1;
    let days = DAYS.iter().cycle().skip(first).take(count);
    Ok(Hours(days.map(|day| json!({"day": day, "from": from.trim(), "to": to.trim()})).collect()))
}

impl Days {
    fn intervals(&self) -> Vec<Value> {
        self.open.iter().flat_map(|hours| hours.0.clone()).collect()
    }
}

impl Calendar {
    pub(super) async fn run(self, out: Out) -> Result<(), CliError> {
        match self {
            Self::List(it) => it.run(out).await,
            Self::Create(it) => it.run(out).await,
            Self::Set(it) => it.run(out).await,
            Self::Import(it) => it.run(out).await,
            Self::Delete(it) => it.run(out).await,
        }
    }
}

impl List {
    async fn run(self, out: Out) -> Result<(), CliError> {
        let found = Client::new(&self.api)?.list(CALENDARS).await?;
        let row = |it: &Value| {
            let now = if it["is_open"] == true { "open" } else { "closed" };
            let holidays = it["holidays"].as_array().map_or(0, Vec::len).to_string();
            let next = if it["is_open"] == true { String::new() } else { text(it, "/next_open") };
            vec![text(it, "/id"), text(it, "/name"), text(it, "/timezone"), now.to_owned(), next, holidays]
        };
        Ok(out.result(&json!({"items": &found}), || {
            let rows: Vec<_> = found.iter().map(row).collect();
            table(&["ID", "NAME", "TIME ZONE", "NOW", "OPENS", "HOLIDAYS"], &rows)
        })?)
    }
}

impl Create {
    async fn run(self, out: Out) -> Result<(), CliError> {
        let body = json!({
            "name": self.name, "timezone": self.timezone, "intervals": self.days.intervals(),
            "holidays": self.days.holidays,
        });
        let made = Client::new(&self.api)?.post(CALENDARS, &body).await?;
        Ok(out.result(&made, || format!("{}  {} is there now", text(&made, "/id"), text(&made, "/name")))?)
    }
}

impl Set {
    async fn run(self, out: Out) -> Result<(), CliError> {
        let client = Client::new(&self.api)?;
        let path = path_of(&client, &self.calendar).await?;
        let mut body = json!({});
        if let Some(name) = &self.name {
            body["name"] = name.as_str().into();
        }
        if let Some(timezone) = &self.timezone {
            body["timezone"] = timezone.as_str().into();
        }
        if !self.days.open.is_empty() {
            body["intervals"] = self.days.intervals().into();
        }
        if !self.days.holidays.is_empty() {
            body["holidays"] = self.days.holidays.clone().into();
        }
        let changed = client.patch(&path, &body).await?;
        Ok(out.result(&changed, || format!("{} is changed", text(&changed, "/name")))?)
    }
}

impl Import {
    async fn run(self, out: Out) -> Result<(), CliError> {
        let read = std::fs::read(&self.file);
        let file = read.map_err(|error| CliError::Failed(format!("{}: {error}", self.file.display())))?;
        let client = Client::new(&self.api)?;
        let path = format!("{}/holidays?replace={}", path_of(&client, &self.calendar).await?, self.replace);
        let changed = client.post_file(&path, "text/calendar", file).await?;
        Ok(out.result(&changed, || {
            let holidays = changed["holidays"].as_array().map_or(0, Vec::len);
            format!("holidays of {}: {holidays}", text(&changed, "/name"))
        })?)
    }
}

impl Delete {
    async fn run(self, out: Out) -> Result<(), CliError> {
        let client = Client::new(&self.api)?;
        let answer = client.delete(&path_of(&client, &self.calendar).await?).await?;
        Ok(out.result(&answer, || format!("{} is removed", self.calendar))?)
    }
}

async fn path_of(client: &Client, calendar: &str) -> Result<String, CliError> {
    path_to(client, CALENDARS, "calendar", calendar).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hours_are_read_as_people_write_them() {
        let of = |text: &str| {
            let days = hours(text).unwrap().0;
            let named: Vec<String> = days.iter().map(|it| text_of(it, "day")).collect();
            (named.join(","), text_of(&days[0], "from"), text_of(&days[0], "to"))
        };
        let text = |days: &str, from: &str, to: &str| (days.to_owned(), from.to_owned(), to.to_owned());
        assert_eq!(of("mon-fri 09:00-17:30"), text("mon,tue,wed,thu,fri", "09:00", "17:30"));
        assert_eq!(of("Sat 22:00-04:00"), text("sat", "22:00", "04:00"));
        assert_eq!(of("sat-mon 10:00-14:00"), text("sat,sun,mon", "10:00", "14:00"));
        for wrong in ["", "mon", "mon 9", "moon 09:00-10:00", "09:00-10:00"] {
            assert!(hours(wrong).is_err(), "{wrong}");
        }
    }

    fn text_of(value: &Value, field: &str) -> String {
        value[field].as_str().unwrap().to_owned()
    }
}
