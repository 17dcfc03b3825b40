//! Calls to the vendor: a builder, and [`Http`] to await them with. The host
//! performs them, with its own rules for egress, secrets and time.

use std::rc::Rc;

use serde::de::DeserializeOwned;

pub use crate::bindings::base::pointsman::plugin::http::{
    Answer, Auth, Basic, BlobAt, Body, Call, Encoding, Field, JsonBody, Part, PartContent, Response,
    SecretAt, Signed, Sink, Stored, Value,
};
use crate::failure::harmless;
use crate::operation::Wire;
use crate::sender::Attachment;
use crate::{Certainty, Failure, FailureKind, Pair, Retry};

/// The way to the vendor, inside an operation.
pub struct Http {
    wire: Rc<Wire>,
}

impl Http {
    pub(crate) fn over(wire: Rc<Wire>) -> Self {
        Self { wire }
    }

    /// Makes a call and returns whatever became of it.
    pub async fn call(&self, call: impl Into<Call>) -> Answer {
        self.wire.exchange(call.into()).await
    }

    /// Makes a call and returns the vendor's answer, whatever its status.
    ///
    /// # Errors
    /// No answer came: not sent, unclear, or refused by the host.
    pub async fn exchange(&self, call: impl Into<Call>) -> Result<Response, Failure> {
        let call = call.into();
        let harmless = harmless(&call);
        match self.call(call).await {
            Answer::Response(response) => Ok(response),
            Answer::Stored(stored) => {
                Ok(Response { status: stored.status, headers: stored.headers, body: vec![] })
            }
            other => Err(unanswered(other, harmless)),
        }
    }
}

/// The failure of a call that got no answer.
pub fn unanswered(answer: Answer, harmless: bool) -> Failure {
    match answer {
        Answer::NotSent(_) => Failure::new(FailureKind::VendorUnavailable, "the vendor cannot be reached")
            .retry(Retry::After(0)),
        Answer::Refused(why) => Failure::new(FailureKind::PermissionDenied, why).retry(Retry::AfterOwnerActs),
        Answer::Unclear(_) | Answer::Response(_) | Answer::Stored(_) => Failure::new(
            FailureKind::VendorUnavailable,
            "the connection broke before the vendor answered; whether it acted is not known",
        )
        .effect(Certainty::Unknown)
        .of_harmless(harmless),
    }
}

impl Response {
    /// 200 to 299.
    pub fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// The first header of this name; names are compared without case.
    pub fn header(&self, name: &str) -> Option<&str> {
        header(&self.headers, name)
    }

    /// `Retry-After` in seconds, as milliseconds; the form with a date is ignored.
    pub fn retry_after_ms(&self) -> Option<u64> {
        self.header("retry-after")?.trim().parse::<u64>().ok()?.checked_mul(1_000)
    }

    /// The body as JSON.
    ///
    /// # Errors
    /// It is not JSON of this form. The failure quotes nothing of the body.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T, Failure> {
        serde_json::from_slice(&self.body).map_err(|e| Failure {
            http_status: Some(self.status),
            ..Failure::bad_response(format!(
                "the vendor's answer is not the JSON it promises (line {}, column {})",
                e.line(),
                e.column()
            ))
        })
    }
}

/// The first header of this name; names are compared without case.
pub fn header<'a>(headers: &'a [Pair], name: &str) -> Option<&'a str> {
    headers.iter().find(|pair| pair.name.eq_ignore_ascii_case(name)).map(|pair| pair.value.as_str())
}

/// Builds a [`Call`].
#[derive(Debug, Clone)]
#[must_use]
pub struct CallBuilder(Call);

/// A GET.
pub fn get(url: impl Into<String>) -> CallBuilder {
    method("GET", url)
}

/// A POST.
pub fn post(url: impl Into<String>) -> CallBuilder {
    method("POST", url)
}

/// Any method, in upper case.
pub fn method(name: &str, url: impl Into<String>) -> CallBuilder {
    CallBuilder(Call {
        method: name.to_owned(),
        url: url.into(),
        query: vec![],
        auth: Auth::None,
        headers: vec![],
        body: Body::None,
        sink: Sink::Plugin,
        idempotent: false,
        timeout_ms: None,
        extras: vec![],
    })
}

/// A part of a multipart body that is a field.
pub fn field_part(name: &str, value: impl Into<String>) -> Part {
    let content = PartContent::Field(plain(value));
    Part { name: name.to_owned(), file_name: None, content_type: None, content }
}

/// A part of a multipart body that is a file to send; the host streams its bytes.
pub fn file_part(name: &str, file: &Attachment) -> Part {
    Part {
        name: name.to_owned(),
        file_name: Some(file.file_name.clone()),
        content_type: Some(file.content_type.clone()),
        content: PartContent::Blob(file.blob.clone()),
    }
}

/// A value that is no secret.
pub fn plain(value: impl Into<String>) -> Value {
    Value::Plain(value.into())
}

/// Text with `{secret:name}` in it, which the host replaces: `Key {secret:api_key}`.
pub fn filled(text: impl Into<String>) -> Value {
    Value::Filled(text.into())
}

/// The value of a secret setting, put in place by the host.
pub fn secret(name: &str) -> Value {
    Value::Secret(name.to_owned())
}

impl CallBuilder {
    /// Adds a query field; the host encodes it.
    pub fn query(mut self, name: &str, value: impl Into<String>) -> Self {
        self.0.query.push(Field { name: name.to_owned(), value: plain(value) });
        self
    }

    /// Adds a header.
    pub fn header(mut self, name: &str, value: Value) -> Self {
        self.0.headers.push(Field { name: name.to_owned(), value });
        self
    }

    /// HTTP Basic.
    pub fn basic(mut self, user: Value, password: Value) -> Self {
        self.0.auth = Auth::Basic(Basic { user, password });
        self
    }

    /// `Authorization: Bearer …`.
    pub fn bearer(mut self, token: Value) -> Self {
        self.0.auth = Auth::Bearer(token);
        self
    }

    /// A form body of plain values, in this order.
    pub fn form<N: Into<String>, V: Into<String>>(
        mut self,
        fields: impl IntoIterator<Item = (N, V)>,
    ) -> Self {
        let field = |(name, value): (N, V)| Field { name: name.into(), value: plain(value) };
        self.0.body = Body::Form(fields.into_iter().map(field).collect());
        self
    }

    /// A JSON body.
    pub fn json(mut self, body: &serde_json::Value) -> Self {
        self.0.body = Body::Json(JsonBody { text: body.to_string(), secrets: vec![], blobs: vec![] });
        self
    }

    /// The string that stands at `pointer` (RFC 6901) in the JSON body becomes the value of a secret.
    pub fn json_secret(mut self, pointer: &str, secret: &str) -> Self {
        if let Body::Json(body) = &mut self.0.body {
            body.secrets.push(SecretAt { pointer: pointer.to_owned(), secret: secret.to_owned() });
        }
        self
    }

    /// The string that stands at `pointer` in the JSON body is followed by the base64 of a file.
    pub fn json_file(mut self, pointer: &str, file: &Attachment) -> Self {
        if let Body::Json(body) = &mut self.0.body {
            body.blobs.push(BlobAt { pointer: pointer.to_owned(), blob: file.blob.clone() });
        }
        self
    }

    /// The bytes of a file are the body.
    pub fn file(mut self, file: &Attachment) -> Self {
        self.0.body = Body::Blob(file.blob.clone());
        self
    }

    /// A multipart body.
    pub fn multipart(mut self, parts: Vec<Part>) -> Self {
        self.0.body = Body::Multipart(parts);
        self
    }

    /// The answer's body goes into the host's blob store.
    pub fn into_blob(mut self) -> Self {
        self.0.sink = Sink::Blob;
        self
    }

    /// Repeating this call after an unclear outcome is harmless.
    pub fn idempotent(mut self) -> Self {
        self.0.idempotent = true;
        self
    }

    /// Another time limit than the host's, milliseconds.
    pub fn timeout_ms(mut self, timeout: u32) -> Self {
        self.0.timeout_ms = Some(timeout);
        self
    }

    /// The call.
    pub fn build(self) -> Call {
        self.0
    }
}

impl From<CallBuilder> for Call {
    fn from(builder: CallBuilder) -> Self {
        builder.build()
    }
}
