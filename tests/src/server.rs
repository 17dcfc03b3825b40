//! The system under test: the real binary as a process of its own, with a data
//! directory of its own, killed and restarted as a story wants. Nothing here
//! reaches into it but through its ports, its standard streams and its files.

use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};

use crate::built::{binary, plugins, profile_dir};
use crate::metrics::Metrics;
use crate::{Api, Backend, backend, postgres};

/// The address vendors know. Requests reach the server on loopback as behind a
/// proxy, so signatures must be checked against this name, not against `Host`.
pub const PUBLIC_URL: &str = "https://pointsman.example";
/// A start takes longer only when something is wrong (a cold plugin cache in a debug build included).
const READY_LIMIT: Duration = Duration::from_secs(90);
/// A command of the CLI takes longer only when it hangs.
const COMMAND_LIMIT: Duration = Duration::from_secs(60);
/// A debug build looks at the clock of its story every 10 ms.
const CLOCK_LIMIT: Duration = Duration::from_secs(20);
/// What the log says once a server runs; all that a process without HTTP tells.
const STARTED: &str = "\"message\":\"started\"";
/// How often the log is looked at for it.
const LOG_PAUSE: Duration = Duration::from_millis(20);
/// How much of a failed server's log is shown.
const LOG_LINES_MAX: usize = 120;

/// What to start, before it is started.
#[derive(Debug, Clone)]
pub struct Setup {
    backend: Backend,
    env: Vec<(String, String)>,
    args: Vec<String>,
    binary: PathBuf,
    plugins: PathBuf,
}

/// What a server says when it is ready.
#[derive(Debug, Clone, Default)]
pub struct Ready {
    /// Its own address, e.g. `http://127.0.0.1:41233`.
    pub url: String,
    /// The one-time link that makes the owner; only while there is none.
    pub owner_link: Option<String>,
    /// The seeded chat page.
    pub webchat_link: Option<String>,
}

/// A started server with its data; both go when it is dropped.
#[derive(Debug)]
pub struct Server {
    setup: Setup,
    process: Option<Child>,
    ready: Ready,
    key: String,
    database_url: Option<String>,
    // Order matters: the process goes first, then its database, then its files. Only the first server of a database
    // owns it.
    _database: Option<postgres::Database>,
    dir: TempDir,
}

impl Setup {
    /// The defaults of the product on this backend.
    ///
    /// # Errors
    /// The binary is missing.
    pub fn new(backend: Backend) -> Result<Self> {
        // One key and one cache for all stories, so that plugins are compiled once and not at every start.
        let cache = profile_dir()?.join("story-plugin-cache").display().to_string();
        let env = [
            ("RUST_BACKTRACE", "1"),
            ("POINTSMAN_MASTER_KEY", "c3RvcmllcyBvbmx5LCBuZXZlciBmb3IgYW55IGRhdGE="),
            ("POINTSMAN_PLUGINS__CACHE_DIR", &cache),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into();
        Ok(Self { backend, env, args: Vec::new(), binary: binary()?, plugins: plugins()? })
    }

    /// With a variable, e.g. `POINTSMAN_WORKER__CONCURRENCY`.
    #[must_use]
    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.env.push((name.to_owned(), value.to_owned()));
        self
    }

    /// With the plugins of another folder.
    #[must_use]
    pub fn plugins(mut self, folder: &Path) -> Self {
        folder.clone_into(&mut self.plugins);
        self
    }

    /// With one more argument of `serve`.
    #[must_use]
    pub fn arg(mut self, arg: &str) -> Self {
        self.args.push(arg.to_owned());
        self
    }

    /// A command of the binary in a clean environment: nothing of this machine's
    /// own configuration reaches it.
    pub fn command(&self) -> Command {
        let mut command = Command::new(&self.binary);
        for (name, _) in std::env::vars_os() {
            let text = name.to_string_lossy();
            if text.starts_with("POINTSMAN_") || text == "DATABASE_URL" || text.contains("_proxy") {
                command.env_remove(&name);
            }
        }
        command.envs(self.env.iter().map(|(name, value)| (name, value))).kill_on_drop(true);
        command
    }

    /// Starts it on empty data, waits until it is ready and makes an owner key.
    ///
    /// # Errors
    /// It does not come up; the text shows its log.
    pub async fn start(self) -> Result<Server> {
        let database = match self.backend {
            Backend::Sqlite => None,
            Backend::Postgres => {
                let url = postgres::server_url().context("no PostgreSQL")?;
                Some(postgres::Database::create(&url, &unique_name()).await?)
            }
        };
        let url = database.as_ref().map(postgres::Database::url);
        let mut server = self.server(String::new(), url, database)?;
        server.launch(0).await?;
        server.key = server.create_key("stories", "owner").await?;
        Ok(server)
    }

    /// Starts it as one more process on the PostgreSQL database of `first`, which must outlive it.
    ///
    /// # Errors
    /// It does not come up; the text shows its log.
    pub async fn start_beside(self, first: &Server) -> Result<Server> {
        ensure!(first.database_url.is_some(), "SQLite is for one process");
        let mut server = self.server(first.key.clone(), first.database_url.clone(), None)?;
        server.launch(0).await?;
        Ok(server)
    }

    fn server(
        self,
        key: String,
        database_url: Option<String>,
        database: Option<postgres::Database>,
    ) -> Result<Server> {
        let dir = tempfile::Builder::new().prefix("pointsman-story.").tempdir()?;
        let ready = Ready::default();
        Ok(Server { setup: self, process: None, ready, key, database_url, _database: database, dir })
    }

    /// Does it answer requests?
    fn serves_http(&self) -> bool {
        !self.args.iter().any(|arg| arg == "worker")
    }
}

fn unique_name() -> String {
    static COUNTER: AtomicU32 = AtomicU32::new(0);
    format!("story_{}_{}", std::process::id(), COUNTER.fetch_add(1, Ordering::Relaxed))
}

impl Server {
    /// A server with the product's defaults.
    ///
    /// # Errors
    /// It does not come up.
    pub async fn start(backend: Backend) -> Result<Self> {
        Setup::new(backend)?.start().await
    }

    async fn launch(&mut self, port: u16) -> Result<()> {
        let log = std::fs::File::options().create(true).append(true).open(self.log_path())?;
        let mut command = self.setup.command();
        command.arg("serve").arg("--listen").arg(format!("127.0.0.1:{port}"));
        command.arg("--public-url").arg(PUBLIC_URL).arg("--plugins").arg(&self.setup.plugins);
        command.args(self.database_args()).args(&self.setup.args);
        command.env("POINTSMAN_TEST_CLOCK", self.clock_path());
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(log);
        let starts = self.starts();
        let mut process = command.spawn().context("the binary does not start")?;
        let output = process.stdout.take().context("the pipe was asked for")?;
        self.process = Some(process);
        if !self.setup.serves_http() {
            let started = async {
                while self.starts() == starts {
                    tokio::time::sleep(LOG_PAUSE).await;
                }
            };
            return tokio::time::timeout(READY_LIMIT, started)
                .await
                .context("the server does not start in time");
        }
        let mut lines = BufReader::new(output).lines();
        let ready = tokio::time::timeout(READY_LIMIT, read_ready(&mut lines)).await;
        self.ready = ready.context("the server is not ready in time")??;
        // Read on, so that the server never waits for a full pipe.
        tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
        Ok(())
    }

    /// `--data` and, on PostgreSQL, `--database-url`: for the commands that open the database.
    pub fn database_args(&self) -> Vec<String> {
        let mut args = vec!["--data".to_owned(), self.data().display().to_string()];
        if let Some(url) = &self.database_url {
            args.extend(["--database-url".to_owned(), url.clone()]);
        }
        args
    }

    /// Its data directory.
    pub fn data(&self) -> PathBuf {
        self.dir.path().join("data")
    }

    /// The directory that holds its data and its log; gone with the server.
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    fn clock_path(&self) -> PathBuf {
        self.dir.path().join("clock")
    }

    /// Lets time pass for the server, at once: when this returns, its clock is so much further ahead, also after a
    /// restart.
    ///
    /// # Errors
    /// The file that tells it cannot be written, or it does not look there.
    pub fn advance(&self, by: Duration) -> Result<()> {
        let path = self.clock_path();
        let so_far: u64 = std::fs::read_to_string(&path).ok().and_then(|text| text.parse().ok()).unwrap_or(0);
        let ms = so_far + u64::try_from(by.as_millis())?;
        let (new, text) = (path.with_extension("new"), ms.to_string());
        std::fs::write(&new, &text)?;
        std::fs::rename(new, &path)?;
        let (start, seen) = (Instant::now(), path.with_extension("seen"));
        // What does not run reads the file when it starts.
        while self.pid().is_some() && std::fs::read_to_string(&seen).ok().as_ref() != Some(&text) {
            ensure!(start.elapsed() < CLOCK_LIMIT, "the server does not look at its clock");
            std::thread::sleep(Duration::from_millis(1));
        }
        Ok(())
    }

    fn log_path(&self) -> PathBuf {
        self.dir.path().join("stderr.log")
    }

    /// All it wrote on standard error so far, over all starts.
    pub fn log(&self) -> String {
        let bytes = std::fs::read(self.log_path()).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// How often it has started.
    fn starts(&self) -> usize {
        self.log().matches(STARTED).count()
    }

    /// Its own address.
    pub fn url(&self) -> &str {
        &self.ready.url
    }

    /// What it said at its last start.
    pub fn ready(&self) -> &Ready {
        &self.ready
    }

    /// A URL of its public name, turned into one of its own address.
    pub fn local(&self, public: &str) -> String {
        to_local(public, self.url())
    }

    /// The store it uses.
    pub fn backend(&self) -> Backend {
        self.setup.backend
    }

    /// The database's URL on PostgreSQL.
    pub fn database_url(&self) -> Option<&str> {
        self.database_url.as_deref()
    }

    /// The process id, while it runs.
    pub fn pid(&self) -> Option<u32> {
        self.process.as_ref().and_then(Child::id)
    }

    /// The API with the owner's key.
    ///
    /// # Errors
    /// No HTTP client could be made.
    pub fn api(&self) -> Result<Api> {
        Api::new(self.url(), Some(&self.key))
    }

    /// The owner's key.
    pub fn key(&self) -> &str {
        &self.key
    }

    /// Makes a key with the command line.
    ///
    /// # Errors
    /// The command fails or prints no key.
    pub async fn create_key(&self, name: &str, role: &str) -> Result<String> {
        let mut args: Vec<String> =
            ["key", "create", "--name", name, "--role", role].map(str::to_owned).into();
        args.extend(self.database_args());
        let output = self.cli(&args).await?;
        let text = succeeded(&output)?;
        let key =
            text.split(|c: char| c.is_whitespace() || "\"',;".contains(c)).find(|w| w.starts_with("pm_"));
        Ok(key.with_context(|| format!("`key create` printed no key: {text}"))?.to_owned())
    }

    /// Runs a command of the CLI against this server, to its end.
    ///
    /// # Errors
    /// It cannot be run, or hangs.
    pub async fn cli<S: AsRef<str>>(&self, args: &[S]) -> Result<Output> {
        let mut command = self.setup.command();
        command.args(args.iter().map(AsRef::as_ref)).stdin(Stdio::null());
        command.env("POINTSMAN_URL", self.url()).env("POINTSMAN_KEY", &self.key);
        let output = tokio::time::timeout(COMMAND_LIMIT, command.output()).await;
        Ok(output.context("the command hangs")??)
    }

    /// A command of the CLI with the same environment that is not run yet.
    pub fn cli_command(&self) -> Command {
        let mut command = self.setup.command();
        command.env("POINTSMAN_URL", self.url()).env("POINTSMAN_KEY", &self.key);
        command
    }

    /// One scrape of its metrics.
    ///
    /// # Errors
    /// `/metrics` does not answer 200.
    pub async fn metrics(&self) -> Result<Metrics> {
        let answer = self.api()?.get("/metrics").await?;
        ensure!(answer.status == 200, "/metrics answered {}", answer.status);
        Ok(Metrics::parse(&answer.text))
    }

    /// The power fails: SIGKILL, and nothing of the process is left.
    ///
    /// # Errors
    /// It cannot be killed.
    pub async fn kill(&mut self) -> Result<()> {
        if let Some(mut process) = self.process.take() {
            process.kill().await?;
        }
        Ok(())
    }

    /// Starts it again on the same data and the same port.
    ///
    /// # Errors
    /// It does not come up.
    pub async fn restart(&mut self) -> Result<()> {
        self.kill().await?;
        let port = self.ready.url.rsplit(':').next().and_then(|port| port.parse().ok());
        self.launch(port.unwrap_or(0)).await
    }

    /// Asks it to end: SIGTERM, then waits.
    ///
    /// # Errors
    /// It does not run, or does not end within `limit`.
    pub async fn terminate(&mut self, limit: Duration) -> Result<ExitStatus> {
        let mut process = self.process.take().context("it does not run")?;
        let pid = process.id().context("it has ended already")?;
        let sent = Command::new("kill").args(["-TERM", &pid.to_string()]).status().await?;
        ensure!(sent.success(), "SIGTERM was not delivered");
        Ok(tokio::time::timeout(limit, process.wait()).await.context("it does not end")??)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(process) = &mut self.process {
            // It may have ended by itself; there is nothing to do about it then.
            drop(process.start_kill());
        }
        let log = self.log();
        let lines: Vec<&str> = log.lines().collect();
        let tail = lines[lines.len().saturating_sub(LOG_LINES_MAX)..].join("\n");
        backend::keep_log(format!("--- the end of the server's log:\n{tail}"));
    }
}

/// A URL of any host with the scheme, host and port of `base`.
pub fn to_local(public: &str, base: &str) -> String {
    let rest = public.split_once("://").map_or(public, |(_, rest)| rest);
    let path = rest.find(['/', '?']).map_or("", |start| &rest[start..]);
    format!("{base}{path}")
}

/// The standard output of a command that must have succeeded.
///
/// # Errors
/// It failed; the text shows what it wrote.
pub fn succeeded(output: &Output) -> Result<String> {
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    if !output.status.success() {
        bail!("{}: {text}\n{}", output.status, String::from_utf8_lossy(&output.stderr));
    }
    Ok(text)
}

/// Reads the lines up to "listening on"; the links may come before or right after it.
async fn read_ready(lines: &mut Lines<BufReader<ChildStdout>>) -> Result<Ready> {
    /// The links follow at once, or not at all.
    const LINKS_LIMIT: Duration = Duration::from_millis(500);
    let mut ready = Ready::default();
    loop {
        let is_listening = !ready.url.is_empty();
        if is_listening && ready.webchat_link.is_some() {
            return Ok(ready);
        }
        let line = if is_listening {
            match tokio::time::timeout(LINKS_LIMIT, lines.next_line()).await {
                Ok(line) => line?,
                Err(_) => return Ok(ready),
            }
        } else {
            lines.next_line().await?
        };
        let Some(line) = line else { bail!("the server ended before it was ready") };
        match line.split_once(": ") {
            Some(("owner link", link)) => ready.owner_link = Some(link.trim().to_owned()),
            Some(("webchat link", link)) => ready.webchat_link = Some(link.trim().to_owned()),
            _ => {
                if let Some(url) = line.trim().strip_prefix("listening on ") {
                    url.clone_into(&mut ready.url);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::to_local;

    #[test]
    fn public_urls_become_local_ones() {
        let base = "http://127.0.0.1:7";
        assert_eq!(to_local("https://a.example/hooks/k?x=1", base), "http://127.0.0.1:7/hooks/k?x=1");
        assert_eq!(to_local("https://a.example", base), base);
    }
}
