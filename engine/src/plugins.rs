//! The plugin host: runs wasm components under limits, performs the HTTP calls
//! they ask for and translates between the contract and our types. A plugin can
//! compute and nothing else. Must not know the database, flows or HTTP routes.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use pointsman_rules::facts::Capabilities;

mod assistant;
mod bindings;
mod call;
pub mod cases;
mod compile;
pub mod conformance;
mod convert;
mod egress;
mod engine;
pub mod explain;
mod install;
mod journal;
pub mod manifest;
mod media;
mod operation;
pub mod permissions;
mod proof;
pub mod record;
mod webhook;
pub mod wire;

pub use crate::crypto::Secret;
pub use assistant::{ASSIST_MS_MAX, ASSISTANT_KIND};
pub use call::CallError;
pub use compile::{
    COMPILE_SUBCOMMAND, COMPONENT_ARGUMENT, CompileError, CompileLimits, Compiler, compile_child_main,
};
pub use egress::{
    BLOB_BYTES_MAX, BlobStore, BlobStream, BucketBlobs, BucketError, CALLS_MAX, DirectoryBlobs, EgressConfig,
    Lookup, LookupFuture, Post, Posted, RESPONSE_BYTES_MAX, StoredBlob, SystemLookup, post_url,
    sweep_partials,
};
pub use install::{COMPONENT_BYTES_MAX, InstallError};
pub use journal::{LOG_LINE_BYTES_MAX, LOG_LINES_MAX, LogLevel, LogLine};
pub use manifest::Manifest;
pub use media::FetchedFile;
pub use webhook::EVENTS_MAX;
pub use wire::*;

/// The channel, or the assistant, that a call is about.
#[derive(Debug, Clone)]
pub struct ChannelContext {
    /// `chn_…`; of an assistant its own id.
    pub channel_id: String,
    /// `whatsapp`, `sms`, …
    pub kind: String,
    /// Our number or account, as the vendor writes it.
    pub address: String,
    /// Settings without secrets: one JSON object.
    pub settings: String,
    /// Secret settings by name. They never enter the plugin.
    pub secrets: Arc<BTreeMap<String, Secret>>,
    /// Public URL that the vendor must call for this channel.
    pub webhook_url: String,
    /// Unix milliseconds; for a stored webhook, when it was received.
    pub now_ms: i64,
    /// BCP 47.
    pub locale: String,
    /// May `egress-url` settings point into a private network? An admin's consent.
    pub allow_private_egress: bool,
    /// Whose files it may send and where fetched ones go: the tenant. The plugin does not learn it.
    pub files_of: String,
}

/// What a plugin offers beyond webhooks and sending.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Exports {
    /// Account checks and webhook set-up.
    pub account: bool,
    /// Fetching media by reference.
    pub media: bool,
    /// Listing templates.
    pub templates: bool,
    /// Linked phones.
    pub sessions: bool,
    /// Filling gaps after an outage.
    pub backfill: bool,
    /// Tasks of AI: it is an assistant, and has neither webhooks nor sending.
    pub assistant: bool,
}

impl Exports {
    /// Names of what there is.
    pub fn words(&self) -> Vec<&'static str> {
        let offers = [
            ("account", self.account),
            ("media", self.media),
            ("templates", self.templates),
            ("sessions", self.sessions),
            ("backfill", self.backfill),
            ("assistant", self.assistant),
        ];
        offers.into_iter().filter_map(|(name, there)| there.then_some(name)).collect()
    }
}

/// What the host needs from outside.
pub struct HostConfig {
    /// Directory for compiled plugins; made when missing.
    pub cache_dir: PathBuf,
    /// Seals the compiled plugins. Must not be known to who can write the directory.
    pub cache_key: [u8; 32],
    /// Where unknown components are compiled.
    pub compiler: Compiler,
    /// How plugins' calls leave.
    pub egress: EgressConfig,
}

/// Why the host could not start.
#[derive(Debug, thiserror::Error)]
pub enum HostError {
    /// The wasm engine.
    #[error(transparent)]
    Engine(#[from] engine::EngineError),
    /// The cache of compiled plugins.
    #[error(transparent)]
    Cache(#[from] CompileError),
    /// The HTTP client.
    #[error(transparent)]
    Egress(#[from] egress::EgressError),
}

/// Runs plugins. A clone is the same host.
#[derive(Clone)]
pub struct Host(Arc<Shared>);

struct Shared {
    sandbox: Arc<call::Sandbox>,
    cache: compile::CodeCache,
    egress: Arc<egress::Egress>,
    plugins: RwLock<Shelf>,
}

/// Plugins by id. An installed one hides the one of the folder, which is back when the installed one goes.
#[derive(Default)]
struct Shelf {
    folder: BTreeMap<String, Arc<Plugin>>,
    installed: BTreeMap<String, Arc<Plugin>>,
}

impl Host {
    /// Sets up the engine, the cache and the HTTP clients; loads no plugin.
    ///
    /// # Errors
    /// When the system gives no address space, no thread, no directory or no certificates.
    pub fn new(config: HostConfig) -> Result<Self, HostError> {
        Ok(Self(Arc::new(Shared {
            sandbox: Arc::new(call::Sandbox::new()?),
            cache: compile::CodeCache::new(config.cache_dir, &config.cache_key, config.compiler)?,
            egress: Arc::new(egress::Egress::new(config.egress)?),
            plugins: RwLock::default(),
        })))
    }

    /// Takes a plugin of the folder into use, in place of an older one of its id; calls of the old one run to their end.
    ///
    /// # Errors
    /// The first check that fails, with code, cause and way out.
    pub async fn install(&self, wasm: &[u8]) -> Result<Arc<Plugin>, InstallError> {
        let plugin = self.prepare(wasm).await?;
        self.shelf_mut().folder.insert(plugin.manifest.id.clone(), plugin.clone());
        Ok(plugin)
    }

    /// Checks, compiles and tries out a core module or component, and changes nothing. [`Host::adopt`] takes it into use.
    ///
    /// # Errors
    /// The first check that fails, with code, cause and way out.
    pub async fn prepare(&self, wasm: &[u8]) -> Result<Arc<Plugin>, InstallError> {
        let digest = sha256_hex(wasm);
        let bytes = wasm.to_vec();
        let unread = |_| InstallError::Malformed("reading it failed".into());
        let read = tokio::task::spawn_blocking(move || install::is_module(&bytes).map(|it| (it, bytes)));
        let (is_module, mut component) = read.await.map_err(unread)??;
        if is_module {
            component = self.0.cache.component(&component, &digest).await.map_err(install::not_a_plugin)?;
        }
        let read = tokio::task::spawn_blocking(move || {
            install::check_imports(&component).map(|()| (sha256_hex(&component), component))
        });
        let (component_digest, component) = read.await.map_err(unread)??;
        let compiled = self.0.cache.load(&self.0.sandbox.engine, &component, &component_digest).await?;
        let (runner, manifest) = install::try_out(&self.0.sandbox, &compiled).await?;
        Ok(Arc::new(Plugin {
            origins: manifest.origins.clone().into(),
            secrets: egress::SecretRule::all(&manifest),
            egress: self.0.egress.clone(),
            runner,
            manifest,
            digest,
        }))
    }

    /// Takes a plugin into use that was installed over the API; calls of an older one run to their end.
    pub fn adopt(&self, plugin: Arc<Plugin>) {
        self.shelf_mut().installed.insert(plugin.manifest.id.clone(), plugin);
    }

    /// Gives up what [`Host::adopt`] took into use; the plugin of the folder with this id, if there is one, is back.
    pub fn abandon(&self, id: &str) -> Option<Arc<Plugin>> {
        self.shelf_mut().installed.remove(id)
    }

    /// The plugin with this id among those of the folder, whether it is hidden by an installed one or not.
    pub fn of_folder(&self, id: &str) -> Option<Arc<Plugin>> {
        self.shelf().folder.get(id).cloned()
    }

    /// The plugin with this id among those installed over the API.
    pub fn adopted(&self, id: &str) -> Option<Arc<Plugin>> {
        self.shelf().installed.get(id).cloned()
    }

    /// Ids of those installed over the API.
    pub fn adopted_ids(&self) -> Vec<String> {
        self.shelf().installed.keys().cloned().collect()
    }

    fn shelf(&self) -> RwLockReadGuard<'_, Shelf> {
        self.0.plugins.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn shelf_mut(&self) -> RwLockWriteGuard<'_, Shelf> {
        self.0.plugins.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// The plugin with this id.
    pub fn get(&self, id: &str) -> Option<Arc<Plugin>> {
        let shelf = self.shelf();
        shelf.installed.get(id).or_else(|| shelf.folder.get(id)).cloned()
    }

    /// All plugins, by id.
    pub fn list(&self) -> Vec<Arc<Plugin>> {
        let shelf = self.shelf();
        let mut all = shelf.folder.clone();
        all.extend(shelf.installed.iter().map(|(id, plugin)| (id.clone(), plugin.clone())));
        all.into_values().collect()
    }

    /// Where files are kept.
    pub fn blobs(&self) -> &Arc<dyn BlobStore> {
        &self.0.egress.blobs
    }

    /// Posts something for nobody's plugin, with the same clients and the same checks of addresses.
    pub async fn post(&self, post: Post) -> Posted {
        self.0.egress.post(post).await
    }

    /// Forgets a plugin of the folder; its running calls run to their end.
    pub fn remove(&self, id: &str) -> Option<Arc<Plugin>> {
        self.shelf_mut().folder.remove(id)
    }
}

fn sha256_hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    let digest = ring::digest::digest(&ring::digest::SHA256, bytes);
    digest.as_ref().iter().fold(String::with_capacity(64), |mut hex, byte| {
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}

/// An installed plugin. Every call runs in an instance of its own.
pub struct Plugin {
    runner: Arc<call::Runner>,
    manifest: Manifest,
    digest: String,
    origins: Arc<[String]>,
    secrets: Arc<[egress::SecretRule]>,
    egress: Arc<egress::Egress>,
}

impl Plugin {
    /// What it says about itself.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// SHA-256 of the installed file, lower-case hex.
    pub fn digest(&self) -> &str {
        &self.digest
    }

    /// What it offers beyond webhooks and sending.
    pub fn exports(&self) -> Exports {
        let loaded = &self.runner.loaded;
        Exports {
            account: loaded.account.is_some(),
            media: loaded.media.is_some(),
            templates: loaded.templates.is_some(),
            sessions: loaded.sessions.is_some(),
            backfill: loaded.backfill.is_some(),
            assistant: loaded.assistant.is_some(),
        }
    }

    /// What the vendor can do on this kind of channel.
    pub fn capabilities(&self, kind: &str) -> Option<&Capabilities> {
        self.manifest.capabilities(kind)
    }

    /// The last lines that it wrote to its log, oldest first, without secrets.
    pub fn recent_log(&self) -> Vec<LogLine> {
        self.runner.log.lines()
    }

    /// How often it crashed or went over a limit for this channel since this was asked last.
    pub fn take_crashes(&self, channel_id: &str) -> u32 {
        self.runner.crashes.take(channel_id)
    }

    /// Checks of the settings beyond the manifest; empty when all is well.
    ///
    /// # Errors
    /// When the plugin crashes or goes over a limit.
    pub async fn validate(&self, settings: &str, kind: &str) -> Result<Vec<FieldError>, CallError> {
        webhook::validate(&self.runner, settings.to_owned(), kind.to_owned()).await
    }

    /// Is this webhook the vendor's? Proofs are checked here.
    ///
    /// # Errors
    /// When the plugin crashes or goes over a limit.
    pub async fn authenticate(
        &self,
        context: &ChannelContext,
        request: &WebhookRequest,
    ) -> Result<Verdict, CallError> {
        let trust = self.trust(&context.kind);
        Ok(webhook::receive(&self.runner, context, request, trust, webhook::Extent::Authenticate).await?.0)
    }

    /// What a stored webhook says. Pure: the same bytes give the same events.
    ///
    /// # Errors
    /// When the plugin crashes or goes over a limit; a webhook it cannot read is the inner error.
    pub async fn parse(
        &self,
        context: &ChannelContext,
        request: &WebhookRequest,
    ) -> Result<Result<Vec<InboundEvent>, Failure>, CallError> {
        webhook::parse(&self.runner, context, request).await
    }

    /// `authenticate`, and `parse` when the verdict is to accept, in one instance. A crash while
    /// parsing is the inner error: the webhook is authentic and can be kept for later.
    ///
    /// # Errors
    /// When the plugin crashes or goes over a limit in `authenticate`.
    pub async fn receive(
        &self,
        context: &ChannelContext,
        request: &WebhookRequest,
    ) -> Result<(Verdict, Option<Result<Vec<InboundEvent>, Failure>>), CallError> {
        let trust = self.trust(&context.kind);
        webhook::receive(&self.runner, context, request, trust, webhook::Extent::Parse).await
    }

    fn trust(&self, kind: &str) -> webhook::Trust {
        match self.capabilities(kind) {
            Some(can) if can.unsigned_webhooks => webhook::Trust::Url,
            _ => webhook::Trust::Proof,
        }
    }

    /// Sends one message.
    ///
    /// # Errors
    /// The vendor's or the plugin's failure, with what is known about its effect.
    pub async fn send(
        &self,
        context: &ChannelContext,
        message: &OutboundMessage,
    ) -> Result<Receipt, Failure> {
        let files = egress::Files::sending(context, message);
        let (outgoing, message) = (convert::context(context), convert::outbound(message));
        let operation = operation::SendMessage { context: outgoing, message };
        self.operate(context, &files, operation).await.map(convert::receipt)
    }

    /// Fetches a received file of at most `bytes_max` bytes into the host's store.
    ///
    /// # Errors
    /// The vendor's or the plugin's failure; kind `unsupported` when the plugin fetches no files.
    pub async fn fetch_media(
        &self,
        context: &ChannelContext,
        source: &MediaSource,
        bytes_max: u64,
    ) -> Result<FetchedFile, Failure> {
        media::fetch(self, context, source, bytes_max).await
    }

    /// Fetches a small picture that the vendor named, such as an account's; no secret goes along.
    ///
    /// # Errors
    /// There is none, or it cannot be reached.
    pub async fn fetch_picture(&self, context: &ChannelContext, url: &str) -> Result<Vec<u8>, Failure> {
        media::picture(self, context, url).await
    }

    /// Does something with the vendor's account.
    ///
    /// # Errors
    /// The vendor's or the plugin's failure; kind `unsupported` when the plugin has no account part.
    pub async fn account(
        &self,
        context: &ChannelContext,
        task: AccountTask,
    ) -> Result<AccountReport, Failure> {
        let (outgoing, task) = (convert::context(context), convert::account_task(task));
        let operation = operation::Account { context: outgoing, task };
        self.operate(context, &egress::Files::default(), operation).await.map(convert::account_report)
    }

    /// Does something with the session of a linked phone.
    ///
    /// # Errors
    /// The vendor's or the plugin's failure; kind `unsupported` when the plugin links no phones.
    pub async fn session(
        &self,
        context: &ChannelContext,
        task: &SessionTask,
    ) -> Result<SessionOutcome, Failure> {
        let (outgoing, task) = (convert::context(context), convert::session_task(task));
        let operation = operation::Session { context: outgoing, task };
        self.operate(context, &egress::Files::default(), operation).await.map(convert::session_outcome)
    }

    /// One page of the vendor's templates; `None` asks for the first.
    ///
    /// # Errors
    /// The vendor's or the plugin's failure; kind `unsupported` when the plugin lists no templates.
    pub async fn list_templates(
        &self,
        context: &ChannelContext,
        cursor: Option<&str>,
    ) -> Result<TemplatePage, Failure> {
        let (outgoing, cursor) = (convert::context(context), cursor.map(str::to_owned));
        let operation = operation::ListTemplates { context: outgoing, cursor };
        self.operate(context, &egress::Files::default(), operation).await.map(convert::template_page)
    }

    /// One batch of what happened at the vendor since then; `None` asks for the first.
    ///
    /// # Errors
    /// The vendor's or the plugin's failure; kind `unsupported` when the plugin tells no past.
    pub async fn poll(
        &self,
        context: &ChannelContext,
        since_ms: i64,
        cursor: Option<&str>,
    ) -> Result<BackfillBatch, Failure> {
        let outgoing = convert::context(context);
        let range = convert::backfill_range(since_ms, cursor.map(str::to_owned));
        let operation = operation::Poll { context: outgoing, range };
        let batch = self.operate(context, &egress::Files::default(), operation).await?;
        if batch.events.len() > EVENTS_MAX {
            let sentence = format!("the plugin gave {} events, {EVENTS_MAX} are allowed", batch.events.len());
            return Err(Failure::internal(Certainty::NotPerformed, sentence));
        }
        Ok(convert::backfill_batch(batch))
    }

    async fn operate<O: operation::Operation>(
        &self,
        context: &ChannelContext,
        files: &egress::Files,
        operation: O,
    ) -> Result<O::Done, Failure> {
        let permissions = self.permissions(context);
        let (egress, secrets) = (&*self.egress, &*context.secrets);
        let patience = egress::Patience::default();
        let line = egress::Line { egress, permissions: &permissions, secrets, files, patience };
        operation::run(&self.runner, &line, context, operation).await
    }

    fn permissions(&self, context: &ChannelContext) -> egress::Permissions {
        let (origins, secrets) = (self.origins.clone(), self.secrets.clone());
        egress::Permissions::new(&self.manifest, origins, secrets, context)
    }
}
