//! Linking a phone: every step that people take is shown by a case, states are words that the server knows and say what to
//! do, asking changes nothing at the vendor, and a vendor that refuses or breaks gives a failure and never a code.

use std::collections::BTreeSet;

use pointsman_cases::{Answer, Case, Run};
use serde_json::Value;

use super::super::cases::{self, webhook};
use super::super::wire::{Failure, FailureKind, QrImage, SessionOutcome, SessionTask, SessionUpdate};
use super::super::{ChannelContext, Plugin};
use super::vendor::{Made, Vendor, leak};
use super::{Conformance, Finding};

/// The states of the contract.
const STATES: [&str; 7] = ["stopped", "starting", "needs_qr", "needs_code", "working", "degraded", "failed"];
/// In these somebody has to act, and must be told what to do.
const WAITING: [&str; 3] = ["needs_qr", "needs_code", "failed"];
/// What everybody goes through who links a phone; a case must show each.
const STATES_SHOWN: [&str; 3] = ["needs_qr", "working", "stopped"];
const TASKS_SHOWN: [&str; 5] = ["start", "stop", "logout", "state", "qr"];
/// A code of more bytes fits no picture that a phone could scan.
const QR_BYTES_MAX: usize = 2_953;
const PNG: &[u8] = b"\x89PNG\r\n\x1a\n";
const PAGE: &str = "<html><body>Bad Gateway</body></html>";

/// A case's task with its channel.
struct Asking<'a> {
    plugin: &'a Plugin,
    case: &'a Case,
    context: ChannelContext,
    task: SessionTask,
}

/// What the cases show.
#[derive(Default)]
struct Shown {
    tasks: BTreeSet<&'static str>,
    states: BTreeSet<String>,
}

pub(super) async fn check(plugin: &Plugin, all: &[Case], found: &mut Conformance) {
    if !plugin.exports().sessions {
        return;
    }
    let mut shown = Shown::default();
    for case in all {
        let context = cases::context(case, &case.context.secrets);
        match &case.run {
            Run::Session(task) => {
                let asking = Asking { plugin, case, context, task: cases::session_task(task) };
                as_recorded(&asking, &mut shown, found).await;
                broken(&asking, found).await;
            }
            Run::Webhook(request) => {
                let told = webhook::outcome(plugin, &context, request).await;
                shown.states.extend(states(&told));
            }
            _ => {}
        }
    }
    missing(&shown, found);
}

/// States that a webhook tells of.
fn states(outcome: &Value) -> impl Iterator<Item = String> {
    let bodies = outcome["events"].as_array().into_iter().flatten().map(|event| &event["body"]);
    let sessions = bodies.filter(|body| body["type"] == "session");
    sessions.filter_map(|body| body["value"]["state"].as_str().map(str::to_owned))
}

async fn as_recorded(from: &Asking<'_>, shown: &mut Shown, found: &mut Conformance) {
    let silent = Answer::Refused("no further call is recorded".into());
    let vendor = Vendor::new(from.case.script(), from.case.urls().count(), silent);
    let (outcome, made) = vendor.ask(from.plugin, &from.context, &from.task).await;
    let word = word(&from.task);
    let only_asks = matches!(from.task, SessionTask::State | SessionTask::Qr);
    let acts = only_asks && made.iter().any(|call| !call.harmless);
    let acts =
        acts.then(|| format!("`{word}` is asked again and again; its calls must be GET or `idempotent`"));
    found.tried(from.case, "calls of the task", acts);
    let Ok(outcome) = outcome else { return };
    shown.tasks.insert(word);
    let problem = match &outcome {
        SessionOutcome::Session(session) => {
            shown.states.insert(session.state.clone());
            session_problem(session)
        }
        SessionOutcome::Qr { image, expires_at_ms } => {
            qr_problem(image).or_else(|| expired(*expires_at_ms, from))
        }
        SessionOutcome::PairingCode { code, expires_at_ms } => {
            let is_empty = code.trim().is_empty();
            is_empty.then(|| "the pairing code is empty".to_owned()).or_else(|| expired(*expires_at_ms, from))
        }
        SessionOutcome::Other(_) => None,
    };
    found.tried(from.case, "what people are shown", problem);
}

fn session_problem(session: &SessionUpdate) -> Option<String> {
    let state = session.state.as_str();
    if !STATES.contains(&state) {
        return Some(format!(
            "the server does not know the state `{state}`; say one of {}",
            STATES.join(", ")
        ));
    }
    let is_silent = session.reason.as_deref().is_none_or(|reason| reason.trim().is_empty());
    (WAITING.contains(&state) && is_silent)
        .then(|| format!("in the state `{state}` somebody has to act; `reason` must say what to do"))
}

fn qr_problem(image: &QrImage) -> Option<String> {
    match image {
        QrImage::Text(text) if text.is_empty() || text.len() > QR_BYTES_MAX => {
            Some(format!("the code has {} bytes; 1 to {QR_BYTES_MAX} can be scanned", text.len()))
        }
        QrImage::Text(text) if text.trim_start().starts_with('<') => {
            Some("the code is a page; answer a failure".to_owned())
        }
        _ => None,
    }
}

fn expired(at_ms: Option<i64>, from: &Asking<'_>) -> Option<String> {
    (at_ms? <= from.context.now_ms).then(|| "it expires before it is shown".to_owned())
}

/// The last call answered in other ways.
async fn broken(from: &Asking<'_>, found: &mut Conformance) {
    let calls = from.case.urls().count();
    if calls == 0 {
        return;
    }
    let response = |status: u16, body: &str| Answer::Response { status, headers: vec![], body: body.into() };
    for (what, answer) in [
        ("HTTP 401", response(401, "{}")),
        ("HTTP 429", response(429, "{}")),
        ("HTTP 500", response(500, "{}")),
        ("no connection", Answer::NotSent("the connection was refused".into())),
        ("a lost answer", Answer::Unclear("the answer did not arrive".into())),
        ("a page instead of JSON", response(200, PAGE)),
        ("an empty answer", response(200, "")),
    ] {
        let vendor = Vendor::new(from.case.script(), calls - 1, answer);
        let (outcome, made) = vendor.ask(from.plugin, &from.context, &from.task).await;
        let problem = match &outcome {
            Err(failure) => failure_problem(from, what, failure, &made, calls),
            Ok(SessionOutcome::Qr { image: QrImage::Png(png), .. }) if !png.starts_with(PNG) => {
                Some("it hands out a picture that is none; look for the PNG's first bytes".to_owned())
            }
            Ok(SessionOutcome::Qr { image, .. }) => qr_problem(image),
            Ok(_) => None,
        };
        found.tried(from.case, what, problem);
    }
}

fn failure_problem(
    from: &Asking<'_>,
    what: &str,
    failure: &Failure,
    made: &[Made],
    calls: usize,
) -> Option<String> {
    if failure.kind == FailureKind::Internal {
        return Some(format!("it broke: {}", failure.message));
    }
    if what == "HTTP 401" && made.len() == calls && failure.kind != FailureKind::AuthFailed {
        return Some("wrong credentials are `auth-failed`".to_owned());
    }
    leak(from.case, "", failure)
}

/// A step that no case shows was never tried.
fn missing(shown: &Shown, found: &mut Conformance) {
    let tasks = TASKS_SHOWN.iter().filter(|task| !shown.tasks.contains(*task));
    let states = STATES_SHOWN.iter().filter(|state| !shown.states.contains(**state));
    let words = tasks.map(|task| format!("no case shows that `{task}` works"));
    let words = words.chain(states.map(|state| format!("no case shows the state `{state}`")));
    found.trials += TASKS_SHOWN.len() + STATES_SHOWN.len();
    found.findings.extend(words.map(|problem| Finding {
        case: String::new(),
        tried: "linking a phone".to_owned(),
        problem,
    }));
}

fn word(task: &SessionTask) -> &'static str {
    match task {
        SessionTask::Start => "start",
        SessionTask::Restart => "restart",
        SessionTask::Stop => "stop",
        SessionTask::Logout => "logout",
        SessionTask::State => "state",
        SessionTask::Qr => "qr",
        SessionTask::PairingCode(_) => "pairing_code",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn session(state: &str, reason: Option<&str>) -> SessionUpdate {
        SessionUpdate {
            state: state.to_owned(),
            at_ms: 1,
            reason: reason.map(str::to_owned),
            account_name: None,
            picture_url: None,
            address: None,
            extras: Vec::new(),
        }
    }

    #[test]
    fn whoever_has_to_act_is_told_what_to_do() {
        assert_eq!(session_problem(&session("working", None)), None);
        assert_eq!(session_problem(&session("needs_qr", Some("scan the code"))), None);
        for (state, reason) in [("needs_qr", None), ("failed", Some(" ")), ("scan_qr_code", Some("scan"))] {
            assert!(session_problem(&session(state, reason)).is_some(), "{state}");
        }
    }

    #[test]
    fn a_page_or_a_book_is_no_code() {
        assert_eq!(qr_problem(&QrImage::Text("2@AbC==".into())), None);
        for text in [String::new(), PAGE.to_owned(), "x".repeat(QR_BYTES_MAX + 1)] {
            assert!(qr_problem(&QrImage::Text(text)).is_some());
        }
    }

    #[test]
    fn what_no_case_shows_is_a_finding() {
        let mut found = Conformance::default();
        let tasks = ["start", "stop", "state", "qr"].into();
        missing(&Shown { tasks, states: ["working".to_owned(), "stopped".to_owned()].into() }, &mut found);
        let problems: Vec<_> = found.findings.iter().map(|it| it.problem.as_str()).collect();
        assert_eq!(problems, ["no case shows that `logout` works", "no case shows the state `needs_qr`"]);
    }
}
