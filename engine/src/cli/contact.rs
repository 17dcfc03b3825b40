//! `pointsman contact`: people outside, over the API.

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::client::{ApiArgs, Client, encoded};
use super::error::CliError;
use super::output::{Out, table, text};

/// People outside
#[derive(Debug, Clone, Subcommand)]
pub(super) enum Contact {
    /// List them, or search
    List(List),
    /// Show one
    Show(One),
    /// Write nothing to them, and let them start nothing
    Block(One),
    /// Write to them again
    Unblock(One),
    /// Make another contact a part of one
    Merge(Merge),
    /// Take two contacts apart again
    Unmerge(Unmerge),
    /// Everything about one, as JSON on standard output
    Export(One),
    /// Erase one for good
    Erase(Erase),
}

/// List contacts, or search
#[derive(Debug, Clone, Args)]
pub(super) struct List {
    /// A part of a name or handle, or a phone number in any writing
    search: Option<String>,
    /// Only those who are blocked
    #[arg(long)]
    blocked: bool,
    /// Only those who opted out of something
    #[arg(long)]
    opted_out: bool,
    #[command(flatten)]
    api: ApiArgs,
}

/// One contact
#[derive(Debug, Clone, Args)]
pub(super) struct One {
    /// Its id, cnt_…
    id: String,
    #[command(flatten)]
    api: ApiArgs,
}

/// Make another contact a part of one
#[derive(Debug, Clone, Args)]
pub(super) struct Merge {
    /// The contact that stays, cnt_…
    id: String,
    /// The contact that becomes a part of it, cnt_…
    #[arg(long = "with", value_name = "ID")]
    with: String,
    #[command(flatten)]
    api: ApiArgs,
}

/// Take two contacts apart again
#[derive(Debug, Clone, Args)]
pub(super) struct Unmerge {
    /// The merge, mrg_…
    merge: String,
    #[command(flatten)]
    api: ApiArgs,
}

/// Erase a contact for good
#[derive(Debug, Clone, Args)]
pub(super) struct Erase {
    /// Its id, cnt_…
    id: String,
    /// The id once more: this cannot be undone
    #[arg(long, value_name = "ID")]
    confirm: String,
    #[command(flatten)]
    api: ApiArgs,
}

impl Contact {
    pub(super) async fn run(self, out: Out) -> Result<(), CliError> {
        match self {
            Self::List(it) => list(&it, out).await,
            Self::Show(it) => {
                let contact = Client::new(&it.api)?.get(&path(&it.id, "")).await?;
                Ok(out.result(&contact, || shown(&contact))?)
            }
            Self::Block(it) => set_blocked(&it, "block", out).await,
            Self::Unblock(it) => set_blocked(&it, "unblock", out).await,
            Self::Merge(it) => {
                let body = json!({"with": it.with});
                let done = Client::new(&it.api)?.post(&path(&it.id, "/merge"), &body).await?;
                Ok(out.result(&done, || {
                    let (id, from) = (text(&done, "/merge/id"), text(&done, "/merge/from"));
                    format!("{id}  {from} is a part of {} now", it.id)
                })?)
            }
            Self::Unmerge(it) => {
                let path = format!("/api/v1/contacts/merges/{}/undo", encoded(&it.merge));
                let done = Client::new(&it.api)?.post(&path, &json!({})).await?;
                Ok(out.result(&done, || {
                    format!(
                        "{} and {} are apart again",
                        text(&done, "/merge/into"),
                        text(&done, "/merge/from")
                    )
                })?)
            }
            Self::Export(it) => export(&it, out).await,
            Self::Erase(it) => {
                let path = path(&it.id, &format!("/erase?confirm={}", encoded(&it.confirm)));
                let erasure = Client::new(&it.api)?.post(&path, &json!({})).await?;
                Ok(out.result(&erasure, || {
                    let (id, state) = (text(&erasure, "/id"), text(&erasure, "/state"));
                    format!("{id}  {state}, {} rows are gone", text(&erasure, "/rows_gone"))
                })?)
            }
        }
    }
}

fn path(id: &str, rest: &str) -> String {
    format!("/api/v1/contacts/{}{rest}", encoded(id))
}

async fn list(it: &List, out: Out) -> Result<(), CliError> {
    let mut query = vec!["limit=200".to_owned()];
    query.extend(it.search.as_deref().map(|search| format!("q={}", encoded(search))));
    query.extend(it.blocked.then(|| "blocked=true".to_owned()));
    query.extend(it.opted_out.then(|| "opted_out=true".to_owned()));
    let found = Client::new(&it.api)?.list(&format!("/api/v1/contacts?{}", query.join("&"))).await?;
    let rows: Vec<_> = found.iter().map(row).collect();
    Ok(out.result(&Value::Array(found.clone()), || {
        if rows.is_empty() {
            "No contact".to_owned()
        } else {
            table(&["ID", "NAME", "PHONE", "STATE"], &rows)
        }
    })?)
}

fn row(contact: &Value) -> Vec<String> {
    vec![text(contact, "/id"), text(contact, "/name"), text(contact, "/phone"), state(contact)]
}

/// Why they are not written to, if so.
fn state(contact: &Value) -> String {
    let kinds = contact["opt_outs"].as_array().into_iter().flatten();
    let outs = kinds.map(|it| format!("no {} ({})", text(it, "/channel_kind"), text(it, "/source")));
    let blocked = contact["blocked_at"].is_string().then(|| "blocked".to_owned());
    blocked.into_iter().chain(outs).collect::<Vec<_>>().join(", ")
}

fn shown(contact: &Value) -> String {
    let mut lines: Vec<String> = [("name", "/name"), ("phone", "/phone"), ("language", "/language")]
        .iter()
        .filter(|(_, pointer)| contact.pointer(pointer).is_some_and(Value::is_string))
        .map(|(name, pointer)| format!("{name:<10}{}", text(contact, pointer)))
        .collect();
    lines.insert(0, text(contact, "/id"));
    let state = state(contact);
    lines.extend((!state.is_empty()).then(|| format!("{:<10}{state}", "state")));
    for identity in contact["identities"].as_array().into_iter().flatten() {
        let (kind, address) = (text(identity, "/channel_kind"), text(identity, "/address"));
        lines.push(format!("{kind:<10}{address}  ({})", text(identity, "/evidence")));
    }
    for other in contact["duplicates"].as_array().into_iter().flatten() {
        let (id, why) = (text(other, "/contact"), text(other, "/evidence"));
        lines.push(format!("{:<10}{id}, by {why}", "may be"));
    }
    lines.join("\n")
}

async fn set_blocked(it: &One, action: &str, out: Out) -> Result<(), CliError> {
    let contact = Client::new(&it.api)?.post(&path(&it.id, &format!("/{action}")), &json!({})).await?;
    Ok(out.result(&contact, || {
        format!("{}  {}", it.id, if action == "block" { "blocked" } else { "not blocked" })
    })?)
}

async fn export(it: &One, out: Out) -> Result<(), CliError> {
    let document = Client::new(&it.api)?.get(&path(&it.id, "/export")).await?;
    Ok(out.line(&format!("{document:#}"))?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_contact_is_shown_with_what_keeps_us_from_writing() {
        let contact = json!({"id": "cnt_1", "name": "Ana", "phone": null, "language": null,
            "blocked_at": "2026-01-01T00:00:00Z", "opt_outs": [{"channel_kind": "sms", "source": "vendor"}],
            "identities": [{"channel_kind": "sms", "address": "+34600000001", "evidence": "webhook"}],
            "duplicates": [{"contact": "cnt_2", "evidence": "phone"}]});
        assert_eq!(
            shown(&contact),
            "cnt_1\nname      Ana\nstate     blocked, no sms (vendor)\nsms       +34600000001  (webhook)\n\
             may be    cnt_2, by phone"
        );
        assert_eq!(row(&contact), ["cnt_1", "Ana", "", "blocked, no sms (vendor)"]);
    }
}
