//! Fetches a received file: by the plugin with the vendor's credentials, or from
//! a public address by the host itself. The bytes go to the blob store and never
//! into the plugin.

use super::bindings::provider::pointsman::plugin::http;
use super::egress::{BLOB_BYTES_MAX, Files, Line, Patience, Permissions};
use super::operation::{self, Caller as _};
use super::wire::{Certainty, Failure, FailureKind, MediaSource, Retry};
use super::{ChannelContext, Plugin, convert};

/// A file in the host's store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FetchedFile {
    /// `blb_…`.
    pub blob: String,
    /// As the vendor's server claims it.
    pub content_type: String,
    /// Bytes.
    pub size: u64,
}

/// Fetches a file of at most `bytes_max` bytes.
pub(super) async fn fetch(
    plugin: &Plugin,
    context: &ChannelContext,
    source: &MediaSource,
    bytes_max: u64,
) -> Result<FetchedFile, Failure> {
    let bytes_max = bytes_max.min(BLOB_BYTES_MAX);
    let files = Files::fetching(context, bytes_max);
    let fetched = match source {
        MediaSource::VendorRef(reference) => by_plugin(plugin, context, reference, &files).await,
        MediaSource::Url(url) => by_host(plugin, context, url, &files).await,
    };
    if files.was_too_large() {
        let message = format!(
            "the file is larger than {} KiB, which is the most that is received here",
            bytes_max >> 10
        );
        return Err(failure(FailureKind::MediaInvalid, Retry::Never, message));
    }
    fetched
}

async fn by_plugin(
    plugin: &Plugin,
    context: &ChannelContext,
    reference: &str,
    files: &Files,
) -> Result<FetchedFile, Failure> {
    let permissions = plugin.permissions(context);
    let (egress, secrets, patience) = (&*plugin.egress, &*context.secrets, Patience::default());
    let line = Line { egress, permissions: &permissions, secrets, files, patience };
    let operation =
        operation::FetchMedia { context: convert::context(context), vendor_ref: reference.to_owned() };
    let blob = operation::run(&plugin.runner, &line, context, operation).await?;
    files.kept(&blob).ok_or_else(|| {
        failure(FailureKind::BadResponse, Retry::Never, "the plugin names a file that it did not fetch")
    })
}

async fn by_host(
    plugin: &Plugin,
    context: &ChannelContext,
    url: &str,
    files: &Files,
) -> Result<FetchedFile, Failure> {
    let permissions = Permissions::public(context, url);
    let (egress, secrets, patience) = (&*plugin.egress, &*context.secrets, Patience::default());
    let line = Line { egress, permissions: &permissions, secrets, files, patience };
    let call = plain_get(url, http::Sink::Blob);
    let later = Retry::After { ms: 0 };
    match line.perform(call).await.answer {
        http::Answer::Stored(stored) => files
            .kept(&stored.blob)
            .ok_or_else(|| failure(FailureKind::Internal, later, "the file was stored and cannot be found")),
        http::Answer::Response(answer) => {
            let retry = if answer.status >= 500 || answer.status == 429 { later } else { Retry::Never };
            let message = format!("the vendor's link to the file answered {}", answer.status);
            Err(Failure {
                http_status: Some(answer.status),
                ..failure(FailureKind::NotFound, retry, message)
            })
        }
        http::Answer::NotSent(why) | http::Answer::Unclear(why) => {
            Err(failure(FailureKind::VendorUnavailable, later, why))
        }
        http::Answer::Refused(why) => Err(failure(FailureKind::MediaInvalid, Retry::Never, why)),
    }
}

/// A picture that the vendor named, of at most as many bytes as an answer may have. From a public address, or from the
/// server that an admin wrote into the channel's settings.
pub(super) async fn picture(
    plugin: &Plugin,
    context: &ChannelContext,
    url: &str,
) -> Result<Vec<u8>, Failure> {
    let files = Files::default();
    let permissions = plugin.permissions(context).and_public(url);
    let (egress, secrets, patience) = (&*plugin.egress, &*context.secrets, Patience::default());
    let line = Line { egress, permissions: &permissions, secrets, files: &files, patience };
    let why = match line.perform(plain_get(url, http::Sink::Plugin)).await.answer {
        http::Answer::Response(answer) if answer.status == 200 => return Ok(answer.body),
        http::Answer::Response(answer) => {
            format!("the vendor's link to the picture answered {}", answer.status)
        }
        http::Answer::Stored(_) => "the picture came as a file".to_owned(),
        http::Answer::NotSent(why) | http::Answer::Unclear(why) | http::Answer::Refused(why) => why,
    };
    Err(failure(FailureKind::NotFound, Retry::Never, why))
}

/// Asks for a file as anybody could: no secret goes along.
fn plain_get(url: &str, sink: http::Sink) -> http::Call {
    http::Call {
        method: "GET".into(),
        url: url.to_owned(),
        query: Vec::new(),
        auth: http::Auth::None,
        headers: Vec::new(),
        body: http::Body::None,
        sink,
        idempotent: true,
        extras: Vec::new(),
        timeout_ms: None,
    }
}

fn failure(kind: FailureKind, retry: Retry, message: impl Into<String>) -> Failure {
    Failure { kind, retry, ..Failure::internal(Certainty::NotPerformed, message) }
}
