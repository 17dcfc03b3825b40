//! What the sandbox costs: one signed webhook of Twilio, checked and parsed in a
//! fresh instance of the built plugin, beside the same code run natively:
//! `make plugins && cargo bench -p pointsman --bench sandbox`, or with everything
//! else `make bench`. Nothing fails because a machine is slow.

use std::hint::black_box;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use pointsman::crypto::Secret;
use pointsman::plugins::{
    ChannelContext, Compiler, DirectoryBlobs, EgressConfig, Host, HostConfig, SystemLookup, Verdict,
    WebhookRequest,
};
use pointsman_cases::{Case, Run};
use pointsman_plugin::testing::{self, proof};
use pointsman_plugin::{Provider as _, webhook};
use pointsman_twilio::Twilio;

type Problem = Box<dyn std::error::Error>;

/// The recorded webhook: a text message on WhatsApp.
const CASE: &str = "receive-text";
/// Calls measured of either kind, after as many tenth parts to warm up.
const CALLS: usize = 20_000;
/// Calls of one kind in a row; then the other kind has its turn.
const IN_A_ROW: usize = 100;
/// What a call in the sandbox may take: so many times the native one, and this much more.
const TIMES_MAX: u32 = 3;
const MORE_MAX: Duration = Duration::from_micros(30);

fn main() -> Result<(), Problem> {
    let root = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."));
    let folder = root.join("plugins/twilio/cases");
    let case = Case::all(&folder)?.into_iter().find(|it| it.name == CASE).ok_or("the case is missing")?;
    let Run::Webhook(request) = &case.run else { return Err("the case is no webhook".into()) };
    let file = root.join("target/plugins/twilio.wasm");
    let wasm = std::fs::read(&file).map_err(|e| format!("{}: {e}; run `make plugins`", file.display()))?;

    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let scratch = root.join("target/bench/sandbox");
    let plugin = runtime.block_on(async {
        let blobs = Arc::new(DirectoryBlobs::new(scratch.join("blobs"), Arc::new(|| 1)));
        let host = Host::new(HostConfig {
            cache_dir: scratch.join("plugin-cache"),
            cache_key: [7; 32],
            compiler: Compiler::InProcess,
            egress: EgressConfig { lookup: Arc::new(SystemLookup), blobs },
        })?;
        Ok::<_, Problem>(host.install(&wasm).await?)
    })?;
    let (context, received) = (context(&case), received(request));
    let sandboxed = || {
        let (verdict, events) = runtime.block_on(plugin.receive(&context, &received)).ok()?;
        matches!(verdict, Verdict::Accept(_)).then_some(events?.ok()?.len())
    };
    let (own, sent) = (testing::context(&case), testing::request(request));
    let native = || {
        let webhook::Verdict::Accept(claim) = Twilio::authenticate(&own, &sent) else { return None };
        proof::any_holds(&claim.proofs, &case.context.secrets).then_some(())?;
        Some(Twilio::parse(&own, &sent).ok()?.len())
    };
    if (sandboxed(), native()) != (Some(1), Some(1)) {
        return Err(format!("one event was expected: {:?}, {:?}", sandboxed(), native()).into());
    }

    let (mut inside, mut outside) = (Vec::new(), Vec::new());
    for round in 0..(CALLS + CALLS / 10) / IN_A_ROW {
        if round == CALLS / 10 / IN_A_ROW {
            (inside, outside) = (Vec::new(), Vec::new());
        }
        inside.extend((0..IN_A_ROW).map(|_| time(sandboxed)));
        outside.extend((0..IN_A_ROW).map(|_| time(native)));
    }
    let (inside, outside) = (median(inside), median(outside));
    println!(
        "one webhook, checked and parsed: {inside:.1?} in the sandbox, {outside:.1?} natively; target under {:.1?} \
         ({TIMES_MAX} times that and {MORE_MAX:?})",
        outside * TIMES_MAX + MORE_MAX
    );
    Ok(())
}

fn time<T>(call: impl Fn() -> T) -> Duration {
    let before = Instant::now();
    black_box(call());
    before.elapsed()
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times[times.len() / 2]
}

fn context(case: &Case) -> ChannelContext {
    let of = &case.context;
    let secrets = of.secrets.iter().map(|(name, value)| (name.clone(), Secret::new(value)));
    ChannelContext {
        channel_id: of.channel_id.clone(),
        kind: of.kind.clone(),
        address: of.address.clone(),
        settings: of.settings.clone(),
        secrets: Arc::new(secrets.collect()),
        webhook_url: of.webhook_url.clone(),
        now_ms: i64::try_from(of.now_ms).unwrap_or(i64::MAX),
        locale: of.locale.clone(),
        allow_private_egress: of.allow_private_egress,
        files_of: "bench".into(),
    }
}

fn received(request: &pointsman_cases::Request) -> WebhookRequest {
    WebhookRequest {
        method: request.method.clone(),
        url: request.url.clone(),
        query: request.query.clone(),
        headers: request.headers.clone(),
        body: request.body.clone(),
        remote_address: None,
    }
}
