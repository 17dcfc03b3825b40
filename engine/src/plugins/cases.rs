//! Runs case folders against an installed plugin: the built wasm, in the
//! sandbox, with the limits and the checks of every call that it has in
//! production. Only the vendor is not there: its answers are the recorded ones.
//! The format of a case is that of [`pointsman_cases::case`].

pub(super) mod recording;
pub(super) mod shape;
pub(super) mod webhook;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use pointsman_cases::{Case, Run, SessionTask as CaseSession, Task};
pub use pointsman_cases::{CaseError, Difference};
use serde_json::{Value, json};

use super::assistant::{self, Assist};
use super::egress::Files;
use super::operation::{self, Operation};
use super::wire::{AccountTask, AssistRequest, OutboundMessage, SessionTask};
use super::{ChannelContext, Plugin, Secret, convert};
use recording::Recording;

/// Whose files a case may use; there are none.
const CASES: &str = "cases";

/// How one case came out.
#[derive(Debug)]
pub struct CaseReport {
    /// Name of its folder.
    pub name: String,
    /// Where it is not as expected; nothing when it passed.
    pub differences: Vec<Difference>,
}

impl CaseReport {
    /// Is everything as expected?
    pub fn passed(&self) -> bool {
        self.differences.is_empty()
    }
}

/// Runs every case of a folder, one after the other. Takes the plugin's log with it, so give it a
/// plugin that serves nobody else.
///
/// # Errors
/// A file of a case is missing or not of the format.
pub async fn run(plugin: &Plugin, folder: &Path) -> Result<Vec<CaseReport>, CaseError> {
    let mut reports = Vec::new();
    for case in Case::all(folder)? {
        let differences = check(plugin, &case).await?;
        reports.push(CaseReport { name: case.name, differences });
    }
    Ok(reports)
}

/// Makes what comes of every case the expected outcome, where the calls are the expected ones.
///
/// # Errors
/// A file of a case is missing or not of the format, or cannot be written.
pub async fn record(plugin: &Plugin, folder: &Path) -> Result<(), CaseError> {
    for case in Case::all(folder)? {
        let (outcome, differences) = outcome(plugin, &case).await;
        if differences.is_empty() {
            case.record(&outcome)?;
        }
    }
    Ok(())
}

/// How a case differs from what is expected.
pub(super) async fn check(plugin: &Plugin, case: &Case) -> Result<Vec<Difference>, CaseError> {
    plugin.runner.log.take();
    let (outcome, mut differences) = outcome(plugin, case).await;
    let log: Vec<String> = plugin.runner.log.take().into_iter().map(|line| line.text).collect();
    // What came after a call that is not the expected one says nothing.
    if differences.is_empty() {
        differences = case.judge(&outcome, &log)?;
    }
    differences.extend(webhook::attack(plugin, case).await);
    Ok(differences)
}

/// What came of a case, and how its calls differ from the expected ones.
async fn outcome(plugin: &Plugin, case: &Case) -> (Value, Vec<Difference>) {
    let context = context(case, &case.context.secrets);
    let outgoing = convert::context(&context);
    let recording = || Recording::new(plugin, &context, Files::default(), case.script());
    match &case.run {
        Run::Validate => (validate(plugin, &context).await, Vec::new()),
        Run::Webhook(request) => (webhook::outcome(plugin, &context, request).await, Vec::new()),
        Run::Send(message) => match serde_json::from_value::<OutboundMessage>(message.clone()) {
            Ok(message) => {
                let recording =
                    Recording::new(plugin, &context, Files::sending(&context, &message), case.script());
                let operation =
                    operation::SendMessage { context: outgoing, message: convert::outbound(&message) };
                operate(recording, operation, |it| json!({ "receipt": convert::receipt(it) })).await
            }
            Err(error) => (json!({ "failure": format!("[message]: {error}") }), Vec::new()),
        },
        Run::Account(task) => {
            let task = convert::account_task(account_task(*task));
            let operation = operation::Account { context: outgoing, task };
            operate(recording(), operation, |it| json!({ "report": convert::account_report(it) })).await
        }
        Run::Media(vendor_ref) => {
            let operation = operation::FetchMedia { context: outgoing, vendor_ref: vendor_ref.clone() };
            operate(recording(), operation, |blob| json!({ "blob": blob })).await
        }
        Run::Session(task) => {
            let task = convert::session_task(&session_task(task));
            let operation = operation::Session { context: outgoing, task };
            operate(recording(), operation, |it| shape::session_outcome(convert::session_outcome(it))).await
        }
        Run::Templates(cursor) => {
            let operation = operation::ListTemplates { context: outgoing, cursor: cursor.clone() };
            operate(recording(), operation, |it| json!({ "page": convert::template_page(it) })).await
        }
        Run::Backfill { since_ms, cursor } => {
            let range = convert::backfill_range(i64::try_from(*since_ms).unwrap_or(i64::MAX), cursor.clone());
            let operation = operation::Poll { context: outgoing, range };
            operate(recording(), operation, |it| json!(convert::backfill_batch(it))).await
        }
        Run::Assist(task) => match serde_json::from_value::<AssistRequest>(task.clone()) {
            Ok(request) => assist(recording(), &request).await,
            Err(error) => (json!({ "failure": format!("[assist]: {error}") }), Vec::new()),
        },
    }
}

async fn operate<O: Operation>(
    recording: Recording<'_>,
    operation: O,
    done: impl FnOnce(O::Done) -> Value,
) -> (Value, Vec<Difference>) {
    let runner = &recording.plugin.runner;
    let outcome = match operation::run(runner, &recording, recording.context, operation).await {
        Ok(value) => done(value),
        Err(failure) => json!({ "failure": failure }),
    };
    (outcome, recording.differences())
}

async fn assist(recording: Recording<'_>, request: &AssistRequest) -> (Value, Vec<Difference>) {
    let task = Assist::new(recording.context, request);
    let ended = operation::run(&recording.plugin.runner, &recording, recording.context, task).await;
    let outcome = match assistant::judge(request, ended) {
        Ok(assisted) => json!({ "assisted": assisted }),
        Err(failed) => json!(failed),
    };
    (outcome, recording.differences())
}

async fn validate(plugin: &Plugin, context: &ChannelContext) -> Value {
    match plugin.validate(&context.settings, &context.kind).await {
        Ok(errors) => json!({ "errors": errors }),
        Err(error) => shape::crash(&error),
    }
}

/// The channel of the case, as the host hands it in.
pub(super) fn context(case: &Case, secrets: &BTreeMap<String, String>) -> ChannelContext {
    let from = &case.context;
    let secrets = secrets.iter().map(|(name, value)| (name.clone(), Secret::new(value.as_str()))).collect();
    ChannelContext {
        channel_id: from.channel_id.clone(),
        kind: from.kind.clone(),
        address: from.address.clone(),
        settings: from.settings.clone(),
        secrets: Arc::new(secrets),
        webhook_url: from.webhook_url.clone(),
        now_ms: i64::try_from(from.now_ms).unwrap_or(i64::MAX),
        locale: from.locale.clone(),
        allow_private_egress: from.allow_private_egress,
        files_of: CASES.to_owned(),
    }
}

fn account_task(task: Task) -> AccountTask {
    match task {
        Task::Check => AccountTask::Check,
        Task::Connect => AccountTask::Connect,
        Task::Disconnect => AccountTask::Disconnect,
        Task::ListAddresses => AccountTask::ListAddresses,
    }
}

pub(super) fn session_task(task: &CaseSession) -> SessionTask {
    match task {
        CaseSession::Start => SessionTask::Start,
        CaseSession::Restart => SessionTask::Restart,
        CaseSession::Stop => SessionTask::Stop,
        CaseSession::Logout => SessionTask::Logout,
        CaseSession::State => SessionTask::State,
        CaseSession::Qr => SessionTask::Qr,
        CaseSession::PairingCode(phone) => SessionTask::PairingCode(phone.clone()),
    }
}
