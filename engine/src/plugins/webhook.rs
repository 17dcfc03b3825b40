//! The exports that only compute: `authenticate`, `parse`, `validate`. No network
//! anywhere.

use std::collections::BTreeMap;
use std::sync::Arc;

use wasmtime::Store;
use wasmtime::component::Instance;

use super::bindings::provider::pointsman::plugin::types;
use super::bindings::webhook::Webhook;
use super::bindings::webhook::exports::pointsman::plugin::webhook;
use super::call::{AUTHENTICATE_CPU_MS, CallError, DESCRIBE_CPU_MS, Guest, Loaded, PARSE_CPU_MS, Runner};
use super::engine::CallState;
use super::journal::Redactor;
use super::wire::{Certainty, Failure, FieldError, InboundEvent, Verdict, WebhookReply, WebhookRequest};
use super::{ChannelContext, Secret, convert, proof};

/// Events of one webhook; a plugin that returns more is broken.
pub const EVENTS_MAX: usize = 5_000;
/// Bytes of a reply's body; the rest is cut.
const REPLY_BYTES_MAX: usize = 64 << 10;
/// A reply is served from our own origin, so only types that no browser runs.
const REPLY_TYPES: [&str; 4] = ["text/plain", "application/json", "application/xml", "text/xml"];
const AUTHENTICATE: &str = "webhook.authenticate";
const PARSE: &str = "webhook.parse";
const VALIDATE: &str = "descriptor.validate";

/// How far to go with a webhook.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Extent {
    Authenticate,
    Parse,
}

/// What shows that a webhook is the vendor's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Trust {
    /// One of the proofs that the plugin names.
    Proof,
    /// Also the secret URL alone, when the plugin names no proof: this vendor does not sign.
    Url,
}

type Parsed = Result<Vec<InboundEvent>, Failure>;

pub(super) async fn receive(
    runner: &Arc<Runner>,
    context: &ChannelContext,
    request: &WebhookRequest,
    trust: Trust,
    extent: Extent,
) -> Result<(Verdict, Option<Parsed>), CallError> {
    let (outgoing, request) = (convert::context(context), convert::request(request));
    let redactor = Arc::new(Redactor::new(context.secrets.clone()));
    let work = async {
        let mut guest = runner.open(&outgoing.channel_id, AUTHENTICATE, redactor.clone()).await?;
        let exports = guest.webhook(AUTHENTICATE)?;
        let claimed = authenticate(&mut guest, &exports, &outgoing, &request).await?;
        let verdict = judge(claimed, &context.secrets, trust, &redactor);
        if extent == Extent::Authenticate || !matches!(verdict, Verdict::Accept(_)) {
            return Ok((verdict, None));
        }
        let parsed = parse_with(&mut guest, &exports, (&outgoing, &request), &redactor).await;
        let parsed = parsed.unwrap_or_else(|error| {
            Err(redactor.clean_failure(Failure::internal(Certainty::NotPerformed, error.to_string())))
        });
        Ok((verdict, Some(parsed)))
    };
    runner.compute(work).await?
}

pub(super) async fn parse(
    runner: &Arc<Runner>,
    context: &ChannelContext,
    request: &WebhookRequest,
) -> Result<Parsed, CallError> {
    let (outgoing, request) = (convert::context(context), convert::request(request));
    let redactor = Arc::new(Redactor::new(context.secrets.clone()));
    let work = async {
        let mut guest = runner.open(&outgoing.channel_id, PARSE, redactor.clone()).await?;
        let exports = guest.webhook(PARSE)?;
        parse_with(&mut guest, &exports, (&outgoing, &request), &redactor).await
    };
    runner.compute(work).await?
}

async fn authenticate(
    guest: &mut Guest,
    exports: &Webhook,
    context: &types::Context,
    request: &webhook::Request,
) -> Result<webhook::Verdict, CallError> {
    let call = async |_: &Loaded, _: &Instance, store: &mut Store<CallState>| {
        exports.pointsman_plugin_webhook().call_authenticate(store, context, request).await
    };
    guest.run(AUTHENTICATE, AUTHENTICATE_CPU_MS, call).await
}

async fn parse_with(
    guest: &mut Guest,
    exports: &Webhook,
    (context, request): (&types::Context, &webhook::Request),
    redactor: &Redactor,
) -> Result<Parsed, CallError> {
    let call = async |_: &Loaded, _: &Instance, store: &mut Store<CallState>| {
        exports.pointsman_plugin_webhook().call_parse(store, context, request).await
    };
    Ok(match guest.run(PARSE, PARSE_CPU_MS, call).await? {
        Ok(events) if events.len() > EVENTS_MAX => Err(Failure::internal(
            Certainty::NotPerformed,
            format!("the plugin made {} events of one webhook, {EVENTS_MAX} are allowed", events.len()),
        )),
        Ok(events) => Ok(events.into_iter().map(convert::event).collect()),
        Err(failure) => Err(redactor.clean_failure(convert::failure(failure))),
    })
}

/// The proofs that a webhook would have to hold, for whoever makes one.
pub(super) async fn claimed(
    runner: &Arc<Runner>,
    context: &ChannelContext,
    request: &WebhookRequest,
) -> Result<Vec<webhook::Proof>, CallError> {
    let (outgoing, request) = (convert::context(context), convert::request(request));
    let work = async {
        let mut guest =
            runner.open(&outgoing.channel_id, AUTHENTICATE, Arc::new(Redactor::default())).await?;
        let exports = guest.webhook(AUTHENTICATE)?;
        authenticate(&mut guest, &exports, &outgoing, &request).await
    };
    Ok(match runner.compute(work).await?? {
        webhook::Verdict::Accept(claim) | webhook::Verdict::Answer(claim) => claim.proofs,
        webhook::Verdict::Reject(_) => Vec::new(),
    })
}

/// What the claim is worth once its proofs are checked.
fn judge(
    claimed: webhook::Verdict,
    secrets: &BTreeMap<String, Secret>,
    trust: Trust,
    redactor: &Redactor,
) -> Verdict {
    let proven = |claim: &webhook::Claim| {
        proof::any_holds(&claim.proofs, secrets) || trust == Trust::Url && claim.proofs.is_empty()
    };
    match claimed {
        webhook::Verdict::Accept(claim) if proven(&claim) => Verdict::Accept(reply(claim.reply)),
        webhook::Verdict::Answer(claim) if proven(&claim) => Verdict::Answer(reply(claim.reply)),
        webhook::Verdict::Accept(claim) | webhook::Verdict::Answer(claim) => {
            let count = claim.proofs.len();
            Verdict::Reject(format!("none of the {count} proofs holds; check the channel's secrets"))
        }
        webhook::Verdict::Reject(why) => Verdict::Reject(redactor.clean_line(&why)),
    }
}

/// A reply that is safe to serve: a status that HTTP knows, no header but a harmless content type.
fn reply(reply: webhook::Reply) -> WebhookReply {
    let mut reply = convert::reply(reply);
    if !(200..=599).contains(&reply.status) {
        reply.status = 200;
    }
    reply.headers.retain(|(name, value)| {
        let essence = value.split(';').next().unwrap_or("").trim().to_ascii_lowercase();
        name.eq_ignore_ascii_case("content-type")
            && REPLY_TYPES.contains(&essence.as_str())
            && value.bytes().all(|c| (0x20..0x7f).contains(&c))
    });
    reply.headers.truncate(1);
    reply.body.truncate(REPLY_BYTES_MAX);
    reply
}

pub(super) async fn validate(
    runner: &Arc<Runner>,
    settings: String,
    kind: String,
) -> Result<Vec<FieldError>, CallError> {
    let work = async {
        let mut guest = runner.open("", VALIDATE, Arc::new(Redactor::default())).await?;
        let call = async |loaded: &Loaded, instance: &Instance, store: &mut Store<CallState>| {
            if let (None, Some(export)) = (&loaded.provider, &loaded.assistant) {
                let assistant = export.load(&mut *store, instance)?;
                let errors = assistant.pointsman_plugin_assistant().call_validate(store, &settings).await?;
                return Ok(errors.into_iter().map(FieldError::from).collect());
            }
            let provider = loaded.provider(&mut *store, instance)?;
            let errors =
                provider.pointsman_plugin_descriptor().call_validate(store, &settings, &kind).await?;
            Ok(errors.into_iter().map(FieldError::from).collect())
        };
        guest.run(VALIDATE, DESCRIBE_CPU_MS, call).await
    };
    runner.compute(work).await?
}
