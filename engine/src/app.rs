//! Builds everything once and takes it down in order. Up: data directory, key,
//! database, plugins, flow, then work and HTTP. Down: no new requests, requests
//! under way, work under way. Contains no behaviour of its own.

pub mod data;
pub mod master_key;
pub mod owner;
pub mod plugin_folder;

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use prometheus_client::registry::Registry;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::bus::Bus;
use crate::clock::Clock;
use crate::config::Config;
use crate::crypto::{CryptoError, Keyring};
use crate::flow::{self, Flow, FlowError, FlowSettings, tally};
use crate::http::{self, Api};
use crate::plugins::{BucketError, Host, HostError};
use crate::store::{self, Db, Durability, StoreError, seed::Seeded};
use crate::worker::{self, WorkerSettings};

/// Why the server did not start, or ended.
#[derive(Debug, thiserror::Error)]
pub enum AppError {
    /// The database.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The data directory cannot be used.
    #[error("{path} cannot be used; check that it may be made and written, or choose another with --data")]
    Directory {
        /// Which.
        path: String,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// The master key cannot be used.
    #[error(transparent)]
    MasterKey(#[from] master_key::MasterKeyError),
    /// The master key has another size.
    #[error(transparent)]
    Crypto(#[from] CryptoError),
    /// The bucket of files.
    #[error(transparent)]
    Bucket(#[from] BucketError),
    /// The plugin host.
    #[error("the plugin host does not start")]
    Host(#[from] HostError),
    /// This program cannot find itself, which it must, to compile plugins.
    #[error("this program cannot find its own file, which it starts to compile plugins")]
    OwnPath(#[source] std::io::Error),
    /// The port is taken or not ours to open.
    #[error("{address} cannot be listened on; choose another with --listen, or end the program that has it")]
    Listen {
        /// Which.
        address: SocketAddr,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// The worker ended.
    #[error("the worker ended")]
    Worker(#[from] FlowError),
    /// A part of the server panicked or broke.
    #[error("{0} ended unexpectedly; see the log")]
    Ended(&'static str),
}

/// A server that is ready to run.
pub struct App {
    config: Config,
    flow: Flow,
    listener: Option<TcpListener>,
    ready: Vec<String>,
    // Held while the process lives.
    _lock: Option<data::DataLock>,
}

impl App {
    /// Opens and builds everything; answers nothing and works on nothing yet.
    ///
    /// # Errors
    /// The first thing that cannot be opened.
    pub async fn start(config: Config, clock: Clock) -> Result<Self, AppError> {
        // Every conversation on a chat page holds a connection.
        let _ = rlimit::increase_nofile_limit(u64::MAX); // works with fewer, too
        let lock = data::prepare(&config)?;
        let listener = match config.role.serves_http() {
            true => Some(listen(config.http.listen).await?),
            false => None,
        };
        let address = match &listener {
            Some(listener) => listener
                .local_addr()
                .map_err(|source| AppError::Listen { address: config.http.listen, source })?,
            None => config.http.listen,
        };
        let public_url = config.http.public_url.clone().unwrap_or_else(|| reachable(address));
        let db = Db::migrate_and_connect(config.store.url.expose()).await?;
        let keyring = master_key::of_database(&db, &config.keys, &clock).await?;
        let seeded = seed(&db, &clock, &keyring).await?;
        let host = Host::new(plugin_folder::host_config(&config, &keyring, &clock)?)?;
        plugin_folder::install_all(&host, &config.plugins.dir).await;
        let settings = FlowSettings {
            public_url: public_url.clone(),
            lease_ms: config.worker.lease_ms,
            retention: config.retention,
            uploads_dir: config.store.data_dir.join("uploads"),
        };
        let flow = Flow::new(db, clock, keyring, host, Bus::new(), settings);
        flow::plugins::Keeper::default().sync(&flow).await?;
        let mut ready = Vec::new();
        if listener.is_some() {
            ready.push(format!("listening on {}", reachable(address)));
            if let Some(token) = owner::link_token(&flow.db, &flow.clock, seeded.tenant).await? {
                ready.push(format!("owner link: {public_url}/signin#token={token}"));
            }
            ready.extend(seeded.chat_key.map(|key| format!("webchat link: {public_url}/chat/{key}")));
        }
        tracing::info!(store = config.store.shown(), role = ?config.role, public_url, "started");
        Ok(Self { config, flow, listener, ready, _lock: lock })
    }

    /// What to print once it runs: where it listens, the owner's link, the chat page.
    pub fn ready_lines(&self) -> &[String] {
        &self.ready
    }

    /// Serves until `stop` is cancelled or a part breaks, then stops in order within the drain time.
    ///
    /// # Errors
    /// A part broke.
    pub async fn run(self, stop: CancellationToken) -> Result<(), AppError> {
        let drain = self.config.http.drain;
        let api = Api::new(self.flow.clone(), Registry::default());
        let (close, halt) = (CancellationToken::new(), CancellationToken::new());
        let mut serving = spawn_http(&api, self.listener, close.clone());
        let mut working = spawn_worker(&self.flow, &self.config, halt.clone());
        tokio::spawn(worker::relay_news(self.flow.clone(), halt.clone()));
        tokio::spawn(worker::keep_plugins(self.flow.clone(), halt.clone()));
        let counting = tokio::spawn(worker::keep_tallies(self.flow.clone(), halt.clone()));
        let broken = tokio::select! {
            () = stop.cancelled() => None,
            ended = &mut serving => Some(ended_early("the HTTP server", ended)),
            ended = &mut working => Some(ended_early("the worker", ended)),
            () = self.flow.db.broken() => Some(StoreError::NotOnDisk.into()),
        };
        api.drain();
        close.cancel();
        // Requests wait for turns, so the worker goes on until they are answered; half the time is the worker's.
        let half = drain / 2;
        if !serving.is_finished() && tokio::time::timeout(half, &mut serving).await.is_err() {
            tracing::warn!("requests were still open when their time ended; they are cut off");
            serving.abort();
        }
        halt.cancel();
        if !working.is_finished() && tokio::time::timeout(half + HALT_GRACE, &mut working).await.is_err() {
            tracing::warn!("the worker did not end in time; its leases end by themselves");
            working.abort();
        }
        let _ = counting.await; // it ends by itself
        if let Err(error) = tally::flush(&self.flow).await {
            tracing::warn!(
                error = &error as &dyn std::error::Error,
                "the last counts of channels and rules are lost"
            );
        }
        tracing::info!("stopped");
        broken.map_or(Ok(()), Err)
    }
}

/// What the worker needs after its own drain time to give its leases back.
const HALT_GRACE: Duration = Duration::from_secs(2);

type Part = JoinHandle<Result<(), AppError>>;

fn spawn_http(api: &Api, listener: Option<TcpListener>, close: CancellationToken) -> Part {
    let api = api.clone();
    tokio::spawn(async move {
        let Some(listener) = listener else {
            close.cancelled().await;
            return Ok(());
        };
        http::serve(api, listener, close.cancelled_owned()).await.map_err(|error| {
            tracing::error!(%error, "the listener broke");
            AppError::Ended("the HTTP server")
        })
    })
}

fn spawn_worker(flow: &Flow, config: &Config, halt: CancellationToken) -> Part {
    let settings = WorkerSettings {
        turns_max: config.worker.concurrency,
        lanes_per_claim: config.worker.lanes_per_claim,
        deliveries_max: config.worker.deliveries_max,
        sweep: config.worker.sweep,
        drain: config.http.drain / 2,
    };
    let (flow, works) = (flow.clone(), config.role.works());
    tokio::spawn(async move {
        if !works {
            halt.cancelled().await;
            return Ok(());
        }
        Ok(worker::run(flow, settings, halt).await?)
    })
}

fn ended_early(part: &'static str, ended: Result<Result<(), AppError>, tokio::task::JoinError>) -> AppError {
    match ended {
        Ok(Err(error)) => error,
        Ok(Ok(())) | Err(_) => AppError::Ended(part),
    }
}

async fn listen(address: SocketAddr) -> Result<TcpListener, AppError> {
    TcpListener::bind(address).await.map_err(|source| AppError::Listen { address, source })
}

/// An address that a browser on this machine can open.
fn reachable(mut address: SocketAddr) -> String {
    if address.ip().is_unspecified() {
        address.set_ip(IpAddr::V4(Ipv4Addr::LOCALHOST));
    }
    format!("http://{address}")
}

async fn seed(db: &Db, clock: &Clock, keyring: &Keyring) -> Result<Seeded, StoreError> {
    let (clock, keyring) = (clock.clone(), keyring.clone());
    db.write(Durability::Hard, move |tx| {
        let (clock, keyring) = (clock.clone(), keyring.clone());
        Box::pin(async move { store::seed::run(tx, &clock, &keyring).await })
    })
    .await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unspecified_address_is_shown_as_this_machine() {
        assert_eq!(reachable("0.0.0.0:80".parse().unwrap()), "http://127.0.0.1:80");
        assert_eq!(reachable("[::1]:80".parse().unwrap()), "http://[::1]:80");
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn it_starts_on_nothing_and_stops_when_asked() {
        let folder = tempfile::tempdir().unwrap();
        let env = [
            ("POINTSMAN_STORE__DATA_DIR", folder.path().join("data").display().to_string()),
            ("POINTSMAN_PLUGINS__DIR", folder.path().join("none").display().to_string()),
            ("POINTSMAN_HTTP__LISTEN", "127.0.0.1:0".to_owned()),
            ("POINTSMAN_HTTP__DRAIN_SECONDS", "2".to_owned()),
        ];
        let env: std::collections::BTreeMap<_, _> = env.map(|(name, value)| (name.to_owned(), value)).into();
        let config = Config::from_sources(None, &env, &[]).unwrap();
        let app = App::start(config.clone(), Clock::system()).await.unwrap();
        assert!(
            app.ready_lines()[0].starts_with("listening on http://127.0.0.1:"),
            "{:?}",
            app.ready_lines()
        );
        assert!(app.ready_lines()[1].contains("/signin#token="), "{:?}", app.ready_lines());
        let second = App::start(config, Clock::system()).await.err().unwrap();
        assert!(matches!(second, AppError::Store(StoreError::InUse)), "{second}");
        let stop = CancellationToken::new();
        let running = tokio::spawn(app.run(stop.clone()));
        stop.cancel();
        running.await.unwrap().unwrap();
    }
}
