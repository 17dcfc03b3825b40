//! The vendor of a case: every call passes the checks of egress, must be the one
//! that the case expects next, and gets the recorded answer.

use std::sync::{Mutex, PoisonError};

use futures_util::future::BoxFuture;
use futures_util::stream;
use pointsman_cases::{Answer, Difference, Script};

use super::super::bindings::provider::pointsman::plugin::{http, types};
use super::super::egress::{BlobStore, BlobStream, Files, Performed, Permissions, StoredBlob};
use super::super::operation::Caller;
use super::super::{ChannelContext, Plugin};
use super::shape;

/// Plays the vendor for one operation.
pub(super) struct Recording<'a> {
    pub(super) plugin: &'a Plugin,
    pub(super) context: &'a ChannelContext,
    permissions: Permissions,
    files: Files,
    progress: Mutex<Progress<'a>>,
}

struct Progress<'a> {
    script: Script<'a>,
    differences: Vec<Difference>,
}

impl<'a> Recording<'a> {
    pub(super) fn new(
        plugin: &'a Plugin,
        context: &'a ChannelContext,
        files: Files,
        script: Script<'a>,
    ) -> Self {
        let progress = Mutex::new(Progress { script, differences: Vec::new() });
        Self { plugin, context, permissions: plugin.permissions(context), files, progress }
    }

    /// How the calls differ from the expected ones, those that were not made included.
    pub(super) fn differences(self) -> Vec<Difference> {
        let Progress { script, mut differences } =
            self.progress.into_inner().unwrap_or_else(PoisonError::into_inner);
        if differences.is_empty() {
            differences = script.rest();
        }
        differences
    }

    /// The recorded answer, unless the call is not the expected one or would not be made.
    fn answer(&self, call: &http::Call, checked: Result<(), String>) -> http::Answer {
        let mut progress = self.progress.lock().unwrap_or_else(PoisonError::into_inner);
        match (progress.script.answer(shape::call(call)), checked) {
            (Ok(recorded @ Answer::Refused(_)), _) | (Ok(recorded), Ok(())) => answer(recorded),
            (Ok(_), Err(sentence)) => {
                let difference = Difference {
                    at: "call".into(),
                    expected: "allowed".into(),
                    actual: sentence.as_str().into(),
                };
                progress.differences.push(difference);
                http::Answer::Refused(sentence)
            }
            (Err(found), _) => {
                progress.differences.extend(found);
                http::Answer::Refused("the case does not expect this call".into())
            }
        }
    }
}

impl Caller for Recording<'_> {
    async fn perform(&self, call: http::Call) -> Performed {
        let (egress, secrets) = (&self.plugin.egress, &self.context.secrets);
        let shelf: (&Files, &dyn BlobStore) = (&self.files, &AnyFile);
        let checked = egress.check(&self.permissions, secrets, call.clone(), shelf).await;
        Performed::new(&call.method, self.answer(&call, checked))
    }
}

/// A recorded answer in the contract's words.
pub(in super::super) fn answer(from: &Answer) -> http::Answer {
    let pairs = |headers: &[(String, String)]| {
        headers.iter().map(|(name, value)| types::Pair { name: name.clone(), value: value.clone() }).collect()
    };
    match from {
        Answer::NotSent(why) => http::Answer::NotSent(why.clone()),
        Answer::Unclear(why) => http::Answer::Unclear(why.clone()),
        Answer::Refused(why) => http::Answer::Refused(why.clone()),
        Answer::Stored { status, headers, file } => http::Answer::Stored(http::Stored {
            status: *status,
            headers: pairs(headers),
            blob: file.blob.clone(),
            content_type: file.content_type.clone(),
            size: file.size,
        }),
        Answer::Response { status, headers, body } => http::Answer::Response(http::Response {
            status: *status,
            headers: pairs(headers),
            body: body.clone(),
        }),
    }
}

/// Every file that a message of a case names exists and is empty.
struct AnyFile;

impl BlobStore for AnyFile {
    fn store<'a>(&'a self, _: &'a str, _: BlobStream, _: u64) -> BoxFuture<'a, std::io::Result<StoredBlob>> {
        Box::pin(async { Err(std::io::ErrorKind::Unsupported.into()) })
    }

    fn open<'a>(&'a self, _: &'a str, _: &'a str) -> BoxFuture<'a, std::io::Result<(BlobStream, u64)>> {
        Box::pin(async { Ok((Box::pin(stream::empty()) as BlobStream, 0)) })
    }

    fn remove<'a>(&'a self, _: &'a str, _: &'a str) -> BoxFuture<'a, std::io::Result<()>> {
        Box::pin(async { Ok(()) })
    }
}
