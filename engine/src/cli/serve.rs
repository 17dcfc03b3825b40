//! `pointsman serve`: the server, until SIGTERM or SIGINT.

use clap::Args;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use super::database::{DatabaseArgs, flag};
use super::error::CliError;
use super::output::Out;
use crate::app::App;
use crate::clock::Clock;
use crate::{config, telemetry};

/// Run the server
#[derive(Debug, Clone, Args)]
pub(super) struct Serve {
    /// Address and port; port 0 picks a free one
    #[arg(long, value_name = "ADDRESS")]
    listen: Option<String>,
    /// How vendors and browsers reach this server
    #[arg(long, value_name = "URL")]
    public_url: Option<String>,
    /// Directory of plugins (*.wasm)
    #[arg(long, value_name = "DIR")]
    plugins: Option<String>,
    /// all, http or worker
    #[arg(long)]
    role: Option<String>,
    #[command(flatten)]
    database: DatabaseArgs,
    /// Print the annotated settings file with all defaults, and end
    #[arg(long)]
    show_defaults: bool,
}

impl Serve {
    pub(super) async fn run(self, out: Out) -> Result<(), CliError> {
        if self.show_defaults {
            return Ok(out.line(config::DEFAULTS.trim_end())?);
        }
        let flags = [
            flag("--listen", "http.listen", self.listen.as_deref()),
            flag("--public-url", "http.public_url", self.public_url.as_deref()),
            flag("--plugins", "plugins.dir", self.plugins.as_deref()),
            flag("--role", "process.role", self.role.as_deref()),
        ];
        let config = self.database.settings(flags.into_iter().flatten().collect())?;
        telemetry::start(&config.log).map_err(|error| CliError::Failed(error.to_string()))?;
        let stop = stop_signal()?;
        let app = App::start(config, clock()).await?;
        for line in app.ready_lines() {
            out.line(line)?;
        }
        Ok(app.run(stop).await?)
    }
}

/// The machine's clock. A debug build can be told by a file how many milliseconds to add, so that stories need not wait
/// for days to pass; a release build knows nothing of that.
#[cfg(not(debug_assertions))]
fn clock() -> Clock {
    Clock::system()
}

/// The variable that names the file with the milliseconds.
#[cfg(debug_assertions)]
const TEST_CLOCK: &str = "POINTSMAN_TEST_CLOCK";
/// How often the file is read.
#[cfg(debug_assertions)]
const TEST_CLOCK_PAUSE: std::time::Duration = std::time::Duration::from_millis(10);

#[cfg(debug_assertions)]
fn clock() -> Clock {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicI64, Ordering};

    let Some(path) = std::env::var_os(TEST_CLOCK) else { return Clock::system() };
    let shift_ms = Arc::new(AtomicI64::new(0));
    let clock = Clock::shifted(shift_ms.clone());
    let seen = std::path::Path::new(&path).with_extension("seen");
    // Whoever moves the clock waits until it is told in the file beside that the clock has moved.
    let look = move || {
        let text = std::fs::read_to_string(&path).unwrap_or_default();
        let Ok(ms) = text.trim().parse() else { return };
        if shift_ms.swap(ms, Ordering::Relaxed) != ms {
            let _ = std::fs::write(&seen, text);
        }
    };
    look();
    tokio::spawn(async move {
        loop {
            tokio::time::sleep(TEST_CLOCK_PAUSE).await;
            look();
        }
    });
    clock
}

/// Cancelled by the first signal; the second one ends the process at once.
fn stop_signal() -> Result<CancellationToken, CliError> {
    let failed = |error: std::io::Error| CliError::Failed(format!("signals cannot be watched: {error}"));
    let mut terminate = signal(SignalKind::terminate()).map_err(failed)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(failed)?;
    let stop = CancellationToken::new();
    let asked = stop.clone();
    tokio::spawn(async move {
        tokio::select! { _ = terminate.recv() => {}, _ = interrupt.recv() => {} }
        tracing::info!("asked to stop; finishing what is under way, a second signal ends at once");
        asked.cancel();
        tokio::select! { _ = terminate.recv() => {}, _ = interrupt.recv() => {} }
        std::process::exit(i32::from(super::error::EXIT_FAILURE));
    });
    Ok(stop)
}
