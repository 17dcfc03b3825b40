//! `pointsman channel session`: linking a phone from a terminal.

use clap::{Args, Subcommand};
use fast_qr::qr::QRBuilder;
use serde_json::{Value, json};

use super::channel::{CHANNELS, Named};
use super::client::{ApiArgs, Client};
use super::error::CliError;
use super::named::path_to;
use super::output::{Out, text};

/// The phone that a channel is linked to
#[derive(Debug, Clone, Subcommand)]
pub(super) enum Session {
    /// How it is and whose it is
    Status(Named),
    /// Start it; then show the QR code with `qr`
    Start(Named),
    /// Draw the QR code: on the phone, Linked devices, Link a device
    Qr(Named),
    /// A code to type on the phone instead of scanning
    Pair(Pair),
    /// Stop and start it, as after it failed
    Restart(Named),
    /// Stop it; the phone stays linked
    Stop(Named),
    /// Unlink the phone
    Logout(Named),
}

/// A code to type on the phone
#[derive(Debug, Clone, Args)]
pub(super) struct Pair {
    /// Id or name
    channel: String,
    /// The phone's number with its country code
    #[arg(long)]
    phone: String,
    #[command(flatten)]
    api: ApiArgs,
}

impl Session {
    pub(super) async fn run(self, out: Out) -> Result<(), CliError> {
        match self {
            Self::Status(it) => {
                let (client, path) = at(&it.api, &it.channel).await?;
                show(out, &client.get(&format!("{path}/session")).await?)
            }
            Self::Start(it) => act(out, &it, "start").await,
            Self::Restart(it) => act(out, &it, "restart").await,
            Self::Stop(it) => act(out, &it, "stop").await,
            Self::Logout(it) => act(out, &it, "logout").await,
            Self::Qr(it) => qr(out, &it).await,
            Self::Pair(it) => it.run(out).await,
        }
    }
}

impl Pair {
    async fn run(self, out: Out) -> Result<(), CliError> {
        let (client, path) = at(&self.api, &self.channel).await?;
        let asked = json!({ "phone": self.phone });
        let answer = client.post(&format!("{path}/session/pairing-code"), &asked).await?;
        let shown = || {
            format!("type {} on the phone: Linked devices, Link with phone number", text(&answer, "/code"))
        };
        Ok(out.result(&answer, shown)?)
    }
}

/// A client and the channel's path.
async fn at(api: &ApiArgs, channel: &str) -> Result<(Client, String), CliError> {
    let client = Client::new(api)?;
    let path = path_to(&client, CHANNELS, "channel", channel).await?;
    Ok((client, path))
}

async fn act(out: Out, it: &Named, action: &str) -> Result<(), CliError> {
    let (client, path) = at(&it.api, &it.channel).await?;
    show(out, &client.post(&format!("{path}/session/{action}"), &json!({})).await?)
}

fn show(out: Out, session: &Value) -> Result<(), CliError> {
    let shown = || {
        let mut lines = vec![format!("{} since {}", text(session, "/state"), text(session, "/since"))];
        for (at, label) in
            [("/reason", "what to do"), ("/profile/name", "account"), ("/profile/phone", "number")]
        {
            let said = text(session, at);
            if !said.is_empty() {
                lines.push(format!("{label}: {said}"));
            }
        }
        lines.join("\n")
    };
    Ok(out.result(session, shown)?)
}

async fn qr(out: Out, it: &Named) -> Result<(), CliError> {
    let (client, path) = at(&it.api, &it.channel).await?;
    let answer = client.get(&format!("{path}/qr?format=text")).await?;
    let code = QRBuilder::new(answer["text"].as_str().unwrap_or_default()).build();
    let too_long = |_| CliError::Failed("the code does not fit into a QR code; use `pair`".to_owned());
    let drawn = code.map_err(too_long)?.to_str();
    let shown = || format!("{drawn}\nit changes in less than half a minute; repeat this for the next one");
    Ok(out.result(&answer, shown)?)
}
