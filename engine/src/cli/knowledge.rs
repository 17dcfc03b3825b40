//! `pointsman knowledge`: the texts that assistants may use, over the API, one by
//! one or as a Markdown file in which each heading begins one.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use serde_json::{Map, Value, json};

use super::client::{ApiArgs, Client, encoded};
use super::error::CliError;
use super::given::{Given, text_of};
use super::named::pick;
use super::output::{Out, table, text};

const KNOWLEDGE: &str = "/api/v1/knowledge";
/// What a line of the file begins with that begins a text.
const HEADING: &str = "# ";

/// Texts that assistants may use
#[derive(Debug, Clone, Subcommand)]
pub(super) enum Knowledge {
    /// List texts
    List(List),
    /// Add a text
    Add(Add),
    /// Change a text; what is left out stays
    Edit(Edit),
    /// Remove a text
    Remove(Remove),
    /// Write all texts into a Markdown file
    Pull(Pull),
    /// Add and change texts as a Markdown file has them: each `# Title` begins one
    Push(Push),
}

/// List texts
#[derive(Debug, Clone, Args)]
pub(super) struct List {
    #[command(flatten)]
    api: ApiArgs,
}

/// Add a text
#[derive(Debug, Clone, Args)]
pub(super) struct Add {
    /// What it is about
    title: String,
    #[command(flatten)]
    given: Given,
    #[command(flatten)]
    api: ApiArgs,
}

/// Change a text
#[derive(Debug, Clone, Args)]
pub(super) struct Edit {
    /// Id or title
    knowledge: String,
    /// Another title
    #[arg(long)]
    title: Option<String>,
    #[command(flatten)]
    given: Given,
    #[command(flatten)]
    api: ApiArgs,
}

/// Remove a text
#[derive(Debug, Clone, Args)]
pub(super) struct Remove {
    /// Id or title
    knowledge: String,
    #[command(flatten)]
    api: ApiArgs,
}

/// Write all texts into a Markdown file
#[derive(Debug, Clone, Args)]
pub(super) struct Pull {
    /// The file; it is replaced
    file: PathBuf,
    #[command(flatten)]
    api: ApiArgs,
}

/// Add and change texts as a Markdown file has them
#[derive(Debug, Clone, Args)]
pub(super) struct Push {
    /// The file; - for standard input
    file: PathBuf,
    /// Remove the texts that are not in the file
    #[arg(long)]
    replace: bool,
    #[command(flatten)]
    api: ApiArgs,
}

impl Knowledge {
    pub(super) async fn run(self, out: Out) -> Result<(), CliError> {
        match self {
            Self::List(it) => it.run(out).await,
            Self::Add(it) => it.run(out).await,
            Self::Edit(it) => it.run(out).await,
            Self::Remove(it) => it.run(out).await,
            Self::Pull(it) => it.run(out).await,
            Self::Push(it) => it.run(out).await,
        }
    }
}

async fn path_of(client: &Client, knowledge: &str) -> Result<String, CliError> {
    let id = pick(&client.list(KNOWLEDGE).await?, "text", "/title", knowledge)?;
    Ok(format!("{KNOWLEDGE}/{}", encoded(&id)))
}

impl List {
    async fn run(self, out: Out) -> Result<(), CliError> {
        let found = Client::new(&self.api)?.list(KNOWLEDGE).await?;
        let row = |it: &Value| {
            let letters = it["text"].as_str().map_or(0, |text| text.chars().count());
            vec![text(it, "/id"), text(it, "/changed_at"), letters.to_string(), text(it, "/title")]
        };
        Ok(out.result(&json!({"items": &found}), || {
            let rows: Vec<_> = found.iter().map(row).collect();
            table(&["ID", "CHANGED", "CHARACTERS", "TITLE"], &rows)
        })?)
    }
}

impl Add {
    async fn run(self, out: Out) -> Result<(), CliError> {
        let missing = || CliError::Usage("say what it says with --text or --file".to_owned());
        let says = self.given.read()?.ok_or_else(missing)?;
        let body = json!({"title": self.title, "text": says});
        let made = Client::new(&self.api)?.post(KNOWLEDGE, &body).await?;
        Ok(out.result(&made, || format!("{}  {} is there now", text(&made, "/id"), text(&made, "/title")))?)
    }
}

impl Edit {
    async fn run(self, out: Out) -> Result<(), CliError> {
        let mut body = Map::new();
        body.extend(self.title.map(|title| ("title".to_owned(), title.into())));
        body.extend(self.given.read()?.map(|text| ("text".to_owned(), text.into())));
        let client = Client::new(&self.api)?;
        let changed = client.patch(&path_of(&client, &self.knowledge).await?, &body.into()).await?;
        Ok(out.result(&changed, || format!("{} is changed", text(&changed, "/title")))?)
    }
}

impl Remove {
    async fn run(self, out: Out) -> Result<(), CliError> {
        let client = Client::new(&self.api)?;
        let answer = client.delete(&path_of(&client, &self.knowledge).await?).await?;
        Ok(out.result(&answer, || format!("{} is removed", self.knowledge))?)
    }
}

impl Pull {
    async fn run(self, out: Out) -> Result<(), CliError> {
        let found = Client::new(&self.api)?.list(KNOWLEDGE).await?;
        let pieces: Vec<Piece> = found.iter().filter_map(Piece::of).collect();
        let written = std::fs::write(&self.file, markdown(&pieces));
        written.map_err(|error| CliError::Failed(format!("{}: {error}", self.file.display())))?;
        let count = pieces.len();
        Ok(out.result(&json!({"texts": count}), || format!("{count} texts in {}", self.file.display()))?)
    }
}

impl Push {
    async fn run(self, out: Out) -> Result<(), CliError> {
        let wanted = pieces(&text_of(&self.file)?).map_err(CliError::Failed)?;
        let client = Client::new(&self.api)?;
        let there = client.list(KNOWLEDGE).await?;
        let (mut added, mut changed, mut removed) = (0, 0, 0);
        let mut kept = Vec::with_capacity(wanted.len());
        for piece in &wanted {
            let is_same = |it: &&Value| text(it, "/title").to_lowercase() == piece.title.to_lowercase();
            let Some(known) = there.iter().find(is_same) else {
                client.post(KNOWLEDGE, &json!({"title": piece.title, "text": piece.text})).await?;
                added += 1;
                continue;
            };
            kept.push(known["id"].clone());
            if Piece::of(known).as_ref() != Some(piece) {
                let path = format!("{KNOWLEDGE}/{}", encoded(&text(known, "/id")));
                client.patch(&path, &json!({"title": piece.title, "text": piece.text})).await?;
                changed += 1;
            }
        }
        for gone in there.iter().filter(|it| self.replace && !kept.contains(&it["id"])) {
            client.delete(&format!("{KNOWLEDGE}/{}", encoded(&text(gone, "/id")))).await?;
            removed += 1;
        }
        let done = json!({"added": added, "changed": changed, "removed": removed});
        Ok(out.result(&done, || format!("{added} added, {changed} changed, {removed} removed"))?)
    }
}

/// A text as the file has it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Piece {
    title: String,
    text: String,
}

impl Piece {
    fn of(it: &Value) -> Option<Self> {
        Some(Self { title: it["title"].as_str()?.to_owned(), text: it["text"].as_str()?.to_owned() })
    }
}

/// Does a line begin a text, or would it without the backslashes before it?
fn is_heading(line: &str) -> bool {
    line.trim_start_matches('\\').starts_with(HEADING)
}

/// Texts as Markdown. A line of a text that looks like a heading gets a backslash.
fn markdown(pieces: &[Piece]) -> String {
    let escaped = |line: &str| if is_heading(line) { format!("\\{line}") } else { line.to_owned() };
    let one = |piece: &Piece| {
        let text: Vec<_> = piece.text.lines().map(escaped).collect();
        format!("{HEADING}{}\n\n{}\n", piece.title.replace('\n', " "), text.join("\n"))
    };
    pieces.iter().map(one).collect::<Vec<_>>().join("\n")
}

/// Markdown as texts.
///
/// # Errors
/// One sentence: words before the first heading, or a title that comes twice.
fn pieces(file: &str) -> Result<Vec<Piece>, String> {
    let mut found: Vec<(String, Vec<&str>)> = Vec::new();
    for line in file.lines() {
        match (line.strip_prefix(HEADING), found.last_mut()) {
            (Some(title), _) => found.push((title.trim().to_owned(), Vec::new())),
            (None, Some((_, lines))) if is_heading(line) => lines.push(line.get(1..).unwrap_or_default()),
            (None, Some((_, lines))) => lines.push(line),
            (None, None) if line.trim().is_empty() => {}
            (None, None) => {
                return Err(format!("`{line}` belongs to no text; begin the file with `# Title`"));
            }
        }
    }
    let mut titles: Vec<String> = found.iter().map(|(title, _)| title.to_lowercase()).collect();
    titles.sort_unstable();
    if let Some(twice) = titles.windows(2).find(|pair| pair[0] == pair[1]) {
        return Err(format!("the title `{}` comes twice; a title may begin one text", twice[0]));
    }
    let piece =
        |(title, lines): (String, Vec<&str>)| Piece { title, text: lines.join("\n").trim().to_owned() };
    Ok(found.into_iter().map(piece).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_come_back_from_their_file_as_they_were() {
        let piece = |title: &str, text: &str| Piece { title: title.into(), text: text.into() };
        let all = [
            piece("Opening hours", "We open at nine.\n\n## Sundays\nclosed"),
            piece("Orders", "# is the sign of a number\n\\# too\n#9 is an order"),
        ];
        let file = markdown(&all);
        assert!(file.starts_with("# Opening hours\n\nWe open"), "{file}");
        assert_eq!(pieces(&file).unwrap(), all);
        assert_eq!(pieces("").unwrap(), []);
    }

    #[test]
    fn a_file_that_is_no_list_of_texts_is_refused() {
        let stray = pieces("We open at nine.\n# Hours\n").unwrap_err();
        assert!(stray.contains("begin the file with `# Title`"), "{stray}");
        let twice = pieces("# Hours\na\n# hours\nb\n").unwrap_err();
        assert!(twice.contains("`hours` comes twice"), "{twice}");
    }
}
