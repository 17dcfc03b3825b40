//! A plugin that misbehaves on demand. Webhooks name the way in their query
//! (`authenticate=loop`, `parse=panic`), messages in their effect id; their text
//! is the URL to call. Written on the bare contract, so that it can break what
//! the SDK would not let it break.
// Elsewhere the linker does not take the names of the exports.
#![cfg(target_family = "wasm")]
#![allow(
    missing_docs,
    unsafe_code,
    clippy::all,
    reason = "bindings are generated; breaking rules is the point"
)]

wit_bindgen::generate!({ path: "../../../plugins/wit", world: "provider" });

use std::cell::RefCell;
use std::future::Future;
use std::hint::black_box;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use exports::pointsman::plugin::{account, descriptor, sender, webhook};
use pointsman::plugin::{http, log, types};

struct Guest;
export!(Guest);

fn misbehave(mode: &str) -> Vec<u8> {
    match mode {
        "loop" => {
            let mut n = 0_u64;
            loop {
                n = black_box(n.wrapping_add(1));
            }
        }
        "memory" => {
            let mut all: Vec<Vec<u8>> = vec![];
            loop {
                all.push(black_box(vec![1; 1 << 20]));
            }
        }
        "panic" => {
            let empty: Vec<u8> = vec![];
            vec![empty[black_box(3)]]
        }
        "trap" => std::process::abort(),
        "recursion" => vec![recurse(0) as u8],
        "log" => {
            for i in 0..5_000 {
                log::write(log::Level::Info, &format!("line {i} {}", "x".repeat(5_000)));
            }
            vec![]
        }
        "log-endless" => loop {
            log::write(log::Level::Info, "again");
        },
        "log-10001" => {
            for _ in 0..10_001 {
                log::write(log::Level::Info, "");
            }
            vec![]
        }
        "log-big" => {
            let line = "x".repeat(8 << 20);
            log::write(log::Level::Info, &line);
            log::write(log::Level::Info, &line);
            vec![]
        }
        // As much as `log-big` makes, and nobody is told.
        "big" => {
            black_box("x".repeat(8 << 20));
            vec![]
        }
        "recursion-log" => vec![recurse_and_log(0) as u8],
        "remember" => {
            unsafe { std::ptr::write_volatile(&raw mut KEPT, canary()) };
            std::mem::forget(black_box([canary(); 4_096].to_vec()));
            let stack = black_box([canary(); 512]);
            vec![b'k', stack[7] as u8]
        }
        // Everything that an instance can see of itself, from the first byte to the last.
        "recall" => {
            let words = core::arch::wasm32::memory_size(0) * (64 << 10) / 8;
            let wanted = canary();
            let found =
                (1..words).filter(|at| unsafe { std::ptr::read_volatile((at * 8) as *const u64) } == wanted);
            found.count().to_string().into_bytes()
        }
        "output" => vec![b'x'; 12 << 20],
        _ => vec![],
    }
}

static mut KEPT: u64 = 0;

/// Made anew each time, so that it stands nowhere unless it was put there.
#[inline(never)]
fn canary() -> u64 {
    black_box(0x5ec2_e7ca_11ab_1e00_u64) ^ black_box(0x0101_0101_0101_0101)
}

fn recurse_and_log(depth: u64) -> u64 {
    log::write(log::Level::Info, "deeper");
    let frame = black_box([depth; 64]);
    if depth == u64::MAX { 0 } else { black_box(recurse_and_log(black_box(depth + 1))) + frame[3] }
}

fn recurse(depth: u64) -> u64 {
    let frame = [depth; 64];
    if depth == u64::MAX { 0 } else { black_box(recurse(black_box(depth + 1))) + black_box(frame)[3] }
}

fn hook() {
    std::panic::set_hook(Box::new(|info| log::write(log::Level::Error, &info.to_string())));
}

fn asked(request: &webhook::Request, export: &str) -> String {
    request.query.iter().find(|q| q.name == export).map(|q| q.value.clone()).unwrap_or_default()
}

impl webhook::Guest for Guest {
    fn authenticate(_: types::Context, request: webhook::Request) -> webhook::Verdict {
        hook();
        let mode = asked(&request, "authenticate");
        let body = misbehave(&mode);
        let signature = request.headers.iter().find(|h| h.name == "x-signature").map_or("", |h| &h.value);
        let byte = |i| u8::from_str_radix(signature.get(2 * i..2 * i + 2).unwrap_or(""), 16).unwrap_or(0);
        let tag = (0..signature.len() / 2).map(byte).collect();
        let proof = webhook::Proof::Hmac(webhook::HmacProof {
            algorithm: types::HmacAlgorithm::Sha256,
            key: "auth_token".into(),
            message: request.body,
            tag,
        });
        let header = |name: &str, value: &str| types::Pair { name: name.into(), value: value.into() };
        let headers = vec![header("set-cookie", "a=b"), header("content-type", "text/plain")];
        webhook::Verdict::Accept(webhook::Claim {
            proofs: if mode == "no-proof" { vec![] } else { vec![proof] },
            reply: webhook::Reply { status: 200, headers, body },
        })
    }

    fn parse(_: types::Context, request: webhook::Request) -> Result<Vec<webhook::Event>, types::Failure> {
        hook();
        let event = |key: String| webhook::Event {
            dedupe_key: key,
            body: webhook::EventBody::Unreadable("test".into()),
        };
        match asked(&request, "parse").as_str() {
            "flood" => Ok((0..6_000).map(|i| event(i.to_string())).collect()),
            "leak" => {
                let body = String::from_utf8_lossy(&request.body).into_owned();
                log::write(log::Level::Info, &body);
                Err(failure(body))
            }
            mode => {
                misbehave(mode);
                Ok(vec![event(format!("k{}", request.body.len()))])
            }
        }
    }
}

thread_local! {
    static OUT: RefCell<Option<http::Call>> = const { RefCell::new(None) };
    static IN: RefCell<Option<http::Answer>> = const { RefCell::new(None) };
    static TASK: RefCell<Option<Pin<Box<dyn Future<Output = Ended>>>>> = const { RefCell::new(None) };
}

type Ended = Result<sender::Receipt, types::Failure>;

struct Asked;

impl Future for Asked {
    type Output = http::Answer;

    fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<http::Answer> {
        IN.take().map_or(Poll::Pending, Poll::Ready)
    }
}

async fn ask(call: http::Call) -> http::Answer {
    OUT.set(Some(call));
    Asked.await
}

fn step() -> sender::Step {
    let mut task = TASK.take().expect("an operation");
    match task.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(Ok(receipt)) => sender::Step::Done(receipt),
        Poll::Ready(Err(failure)) => sender::Step::Failed(failure),
        Poll::Pending => {
            TASK.set(Some(task));
            sender::Step::Call(OUT.take().expect("a call"))
        }
    }
}

impl sender::Guest for Guest {
    fn send(context: types::Context, message: sender::Message) -> sender::Step {
        hook();
        TASK.set(Some(Box::pin(send(context, message))));
        step()
    }

    fn resume(answer: http::Answer) -> sender::Step {
        IN.set(Some(answer));
        step()
    }
}

async fn send(context: types::Context, message: sender::Message) -> Ended {
    let sender::Content::Text(url) = &message.content else { return Err(failure("text only".into())) };
    let mode = message.effect_id.as_str();
    if mode == "misbehave-first" {
        misbehave(&context.address);
    }
    if mode == "endless-calls" {
        loop {
            ask(call(mode, url)).await;
        }
    }
    if mode == "until-refused" {
        let mut made = 0;
        while !matches!(ask(call(mode, url)).await, http::Answer::Refused(_)) {
            made += 1;
        }
        return Err(failure(format!("refused after {made} calls")));
    }
    let answer = ask(call(mode, url)).await;
    if mode == "misbehave-after" {
        misbehave(&context.address);
    }
    match answer {
        http::Answer::Response(response) if response.status < 300 => {
            let body = String::from_utf8_lossy(&response.body).into_owned();
            Ok(sender::Receipt { message_ids: vec![body], accepted_at: Some(context.now), extras: vec![] })
        }
        http::Answer::Response(response) => {
            let retry = response.headers.iter().find(|h| h.name == "retry-after").map(|h| h.value.clone());
            Err(types::Failure {
                http_status: Some(response.status),
                vendor_code: retry,
                ..failure("response".into())
            })
        }
        http::Answer::Stored(stored) => {
            Err(failure(format!("stored {} {}", stored.size, stored.content_type)))
        }
        http::Answer::NotSent(why) => Err(failure(format!("not-sent: {why}"))),
        http::Answer::Unclear(why) => Err(failure(format!("unclear: {why}"))),
        http::Answer::Refused(why) => Err(failure(format!("refused: {why}"))),
    }
}

/// The call that a mode asks for.
fn call(mode: &str, url: &str) -> http::Call {
    let plain = |text: &str| http::Value::Plain(text.into());
    let secret = |name: &str| http::Value::Secret(name.into());
    let field = |name: &str, value: http::Value| http::Field { name: name.into(), value };
    let json = |text: &str, pointer: &str, secret: &str| {
        http::Body::Json(http::JsonBody {
            text: text.into(),
            secrets: vec![http::SecretAt { pointer: pointer.into(), secret: secret.into() }],
            blobs: vec![],
        })
    };
    let part = |name: &str, file: Option<&str>| http::Part {
        name: name.into(),
        file_name: file.map(Into::into),
        content_type: None,
        content: http::PartContent::Bytes(b"bytes".to_vec()),
    };
    let mut call = http::Call {
        method: "POST".into(),
        url: url.into(),
        query: vec![],
        auth: http::Auth::None,
        headers: vec![],
        body: http::Body::None,
        sink: http::Sink::Plugin,
        idempotent: false,
        timeout_ms: Some(500),
        extras: vec![],
    };
    match mode.split_once('=').unwrap_or((mode, "")) {
        ("headers", count) => {
            call.headers = many(count).map(|i| field(&format!("x-{i}"), plain("x"))).collect()
        }
        // As many as `headers` makes, and nobody is told.
        ("own-headers", count) => {
            black_box(many(count).map(|i| field(&format!("x-{i}"), plain("x"))).collect::<Vec<_>>());
        }
        ("long-header", bytes) => {
            call.headers = vec![field("x-long", plain(&"x".repeat(bytes.parse().unwrap_or(0))))];
        }
        ("queries", count) => call.query = many(count).map(|i| field(&format!("q{i}"), plain("x"))).collect(),
        ("fields", count) => {
            call.body = http::Body::Form(many(count).map(|i| field(&format!("f{i}"), plain("x"))).collect());
        }
        ("parts", count) => {
            call.body = http::Body::Multipart(many(count).map(|i| part(&format!("p{i}"), None)).collect());
        }
        ("filled", text) => call.headers = vec![field("x-key", http::Value::Filled(text.into()))],
        ("hmac", message) => {
            let signed = http::Signed {
                algorithm: types::HmacAlgorithm::Sha256,
                key: "auth_token".into(),
                message: message.into(),
                encoding: http::Encoding::Hex,
            };
            call.headers = vec![field("x-signature", http::Value::Hmac(signed))];
        }
        ("method", method) => call.method = method.into(),
        ("header", header) => {
            let (name, value) = header.split_once(": ").unwrap_or((header, "x"));
            call.headers = vec![field(name, plain(value))];
        }
        ("bearer", name) => call.auth = http::Auth::Bearer(secret(name)),
        ("user", user) => {
            call.auth = http::Auth::Basic(http::Basic { user: plain(user), password: secret("auth_token") });
        }
        ("pointer", pointer) => call.body = json(r#"{"a":{"token":""},"n":1}"#, pointer, "auth_token"),
        ("not-json", text) => call.body = json(text, "/a", "auth_token"),
        ("part", name) => call.body = http::Body::Multipart(vec![part(name, None)]),
        ("file", name) => call.body = http::Body::Multipart(vec![part("file", Some(name))]),
        ("big-body", _) => call.body = http::Body::Bytes(vec![0; (1 << 20) + 1]),
        ("blob", _) => call.sink = http::Sink::Blob,
        ("everywhere", _) => {
            call.query = vec![field("q", secret("auth_token"))];
            call.headers = vec![field("x-token", secret("auth_token"))];
            call.auth = http::Auth::Basic(http::Basic { user: plain("AC1"), password: secret("auth_token") });
            call.body =
                http::Body::Form(vec![field("To", plain("+34 600")), field("f", secret("auth_token"))]);
        }
        _ => {}
    }
    call
}

fn many(count: &str) -> std::ops::Range<u32> {
    0..count.parse().unwrap_or(0)
}

fn failure(message: String) -> types::Failure {
    types::Failure {
        kind: types::FailureKind::VendorUnavailable,
        retry: types::Retry::Never,
        effect: types::Certainty::NotPerformed,
        message,
        vendor_code: None,
        vendor_message: None,
        http_status: None,
        extras: vec![],
    }
}

impl account::Guest for Guest {
    fn begin(context: types::Context, _: account::Task) -> account::Step {
        account::Step::Done(account::Report {
            display_name: Some(context.channel_id),
            address: None,
            webhook_url: None,
            addresses: vec![],
            warnings: vec![],
            extras: vec![],
        })
    }

    fn resume(_: http::Answer) -> account::Step {
        account::Step::Failed(failure("no call was made".into()))
    }
}

impl descriptor::Guest for Guest {
    fn describe() -> descriptor::Manifest {
        let setting = |name: &str, kind| descriptor::Setting {
            name: name.into(),
            label: name.into(),
            help: String::new(),
            kind,
            required: false,
            default_json: None,
            pattern: None,
            example: None,
            sent_to: None,
            extras: vec![],
        };
        let capabilities = descriptor::Capabilities {
            text_max: 100,
            text_unit: descriptor::LengthUnit::Characters,
            attachments_max: 0,
            media: vec![],
            window: descriptor::Window::None,
            first_message_needs_template: false,
            templates: false,
            buttons_max: 0,
            list_rows_max: 0,
            reactions: false,
            replies: false,
            read_receipts: false,
            typing: false,
            delivery_reports: descriptor::DeliveryReports::None,
            echoes: false,
            idempotent_send: false,
            messages_per_second: 0,
            unsigned_webhooks: false,
            beta: false,
            extras: vec![],
        };
        descriptor::Manifest {
            id: "sandbox-guest".into(),
            name: "Sandbox guest".into(),
            version: "1.0.0".into(),
            publisher: "tests".into(),
            docs_url: None,
            license: None,
            settings: vec![
                setting("base_url", descriptor::SettingKind::EgressUrl),
                setting("auth_token", descriptor::SettingKind::Secret),
                setting("dots", descriptor::SettingKind::Secret),
                descriptor::Setting {
                    sent_to: Some(vec!["https://api.example.com".into(), "base_url".into()]),
                    ..setting("bound", descriptor::SettingKind::Secret)
                },
                descriptor::Setting {
                    sent_to: Some(vec![]),
                    ..setting("kept", descriptor::SettingKind::GeneratedSecret)
                },
            ],
            kinds: vec![
                descriptor::ChannelKind {
                    kind: "unsigned".into(),
                    label: "Unsigned".into(),
                    capabilities: descriptor::Capabilities {
                        unsigned_webhooks: true,
                        ..capabilities.clone()
                    },
                },
                descriptor::ChannelKind { kind: "sms".into(), label: "SMS".into(), capabilities },
            ],
            origins: vec![
                "https://api.example.com".into(),
                "https://trap.example.com".into(),
                "https://*.wide.example.com".into(),
            ],
            extras: vec![],
        }
    }

    fn validate(settings: String, _: String) -> Vec<descriptor::FieldError> {
        if !settings.contains("bad") {
            return vec![];
        }
        vec![descriptor::FieldError { setting: "base_url".into(), message: "must not be bad".into() }]
    }
}
