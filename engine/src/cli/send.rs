//! `pointsman send`: writes to a conversation over the API.

use std::collections::BTreeMap;

use clap::{ArgGroup, Args};
use serde_json::{Value, json};

use super::client::{ApiArgs, Client, encoded};
use super::error::CliError;
use super::output::{Out, text};
use super::plugin_form::pair;

/// Write to a conversation
#[derive(Debug, Clone, Args)]
#[command(group = ArgGroup::new("content").required(true).args(["text", "template", "note"]))]
pub(super) struct Send {
    /// Its id, cnv_…
    #[arg(long, value_name = "ID")]
    conversation: String,
    /// Text for the contact
    #[arg(long)]
    text: Option<String>,
    /// Note for colleagues; the contact does not see it
    #[arg(long)]
    note: Option<String>,
    /// Name of an approved template
    #[arg(long, value_name = "NAME")]
    template: Option<String>,
    /// Language of the template; otherwise the conversation's
    #[arg(long, requires = "template", conflicts_with_all = ["text", "note"])]
    language: Option<String>,
    /// A slot of the template
    #[arg(long = "slot", value_name = "NAME=TEXT", value_parser = pair)]
    #[arg(requires = "template", conflicts_with_all = ["text", "note"])]
    slots: Vec<(String, String)>,
    #[command(flatten)]
    api: ApiArgs,
}

impl Send {
    pub(super) async fn run(self, out: Out) -> Result<(), CliError> {
        let path = format!("/api/v1/conversations/{}/messages", encoded(&self.conversation));
        let message = Client::new(&self.api)?.post(&path, &self.body()).await?;
        Ok(out.result(&message, || {
            let status = text(&message, "/status");
            format!("{}  {}", text(&message, "/id"), if status.is_empty() { "kept" } else { &status })
        })?)
    }

    fn body(&self) -> Value {
        if let Some(name) = &self.template {
            let slots: BTreeMap<_, _> = self.slots.iter().cloned().collect();
            let mut template = json!({"name": name, "slots": slots});
            if let Some(language) = &self.language {
                template["language"] = language.clone().into();
            }
            return json!({"template": template});
        }
        match (&self.note, &self.text) {
            (Some(note), _) => json!({"note": note}),
            (None, text) => json!({"text": text}),
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        send: Send,
    }

    #[test]
    fn exactly_one_thing_is_sent() {
        let body = |line: &str| Line::try_parse_from(line.split(' ')).map(|line| line.send.body());
        assert_eq!(body("x --conversation c --text hi").unwrap(), json!({"text": "hi"}));
        assert_eq!(body("x --conversation c --note hi").unwrap(), json!({"note": "hi"}));
        assert_eq!(
            body("x --conversation c --template t --language es --slot a=b").unwrap(),
            json!({"template": {"name": "t", "language": "es", "slots": {"a": "b"}}})
        );
        assert!(body("x --conversation c").is_err());
        assert!(body("x --conversation c --text hi --note ho").is_err());
        assert!(body("x --conversation c --text hi --slot a=b").is_err());
    }
}
