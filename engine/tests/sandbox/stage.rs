//! A host with the test guest installed, and a channel to call it for.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;

use pointsman::plugins::{
    ChannelContext, Compiler, DirectoryBlobs, EgressConfig, Host, HostConfig, Lookup, LookupFuture,
    OutboundContent, OutboundMessage, Party, Plugin, Secret, WebhookRequest,
};

pub(crate) const TOKEN: &str = "tok-4f9c-canary";
/// HMAC-SHA256 of `{}` under [`TOKEN`].
pub(crate) const SIGNATURE: &str = "807fad5b7dcc3eb472fecfe6d711f12a13a7a89445d1868d9198125f25ab33f4";

pub(crate) fn guest() -> Vec<u8> {
    wasm("sandbox_guest")
}

pub(crate) fn wasm(crate_name: &str) -> Vec<u8> {
    let directory = std::env::var_os("POINTSMAN_TEST_PLUGINS").map(PathBuf::from).unwrap_or_else(|| {
        PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../target/wasm32-unknown-unknown/guest"))
    });
    let path = directory.join(format!("{crate_name}.wasm"));
    std::fs::read(&path).unwrap_or_else(|error| {
        panic!(
            "{}: {error}; build it with `make guests`, or name its directory in POINTSMAN_TEST_PLUGINS",
            path.display()
        )
    })
}

/// What this process holds in memory, KiB.
pub(crate) fn resident_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

/// Names that resolve as written here; others do not exist.
pub(crate) struct Names(pub(crate) BTreeMap<&'static str, Vec<IpAddr>>);

impl Lookup for Names {
    fn addresses(&self, name: String) -> LookupFuture {
        let found = self.0.get(name.as_str()).cloned();
        Box::pin(async move { found.ok_or_else(|| std::io::ErrorKind::NotFound.into()) })
    }
}

/// Every name is this address.
pub(crate) struct Everywhere(pub(crate) IpAddr);

impl Lookup for Everywhere {
    fn addresses(&self, _: String) -> LookupFuture {
        let found = vec![self.0];
        Box::pin(async move { Ok(found) })
    }
}

/// Compiled once for all test processes: the cache is shared and sealed with a fixed key.
pub(crate) fn config(lookup: impl Lookup + 'static) -> HostConfig {
    let scratch = PathBuf::from(env!("CARGO_TARGET_TMPDIR"));
    HostConfig {
        cache_dir: scratch.join("plugin-cache"),
        cache_key: [7; 32],
        compiler: Compiler::InProcess,
        egress: EgressConfig {
            lookup: Arc::new(lookup),
            blobs: Arc::new(DirectoryBlobs::new(scratch.join("blobs"), Arc::new(|| 1))),
        },
    }
}

pub(crate) async fn host() -> (Host, Arc<Plugin>) {
    host_with(Names(BTreeMap::new())).await
}

pub(crate) async fn host_with(lookup: impl Lookup + 'static) -> (Host, Arc<Plugin>) {
    let host = Host::new(config(lookup)).unwrap();
    let plugin = host.install(&guest()).await.unwrap();
    (host, plugin)
}

pub(crate) fn channel() -> ChannelContext {
    ChannelContext {
        channel_id: "chn_test".into(),
        kind: "sms".into(),
        address: "+15550100".into(),
        settings: "{}".into(),
        secrets: Arc::new(BTreeMap::from([("auth_token".to_owned(), Secret::new(TOKEN))])),
        webhook_url: "https://pointsman.test/hooks/k".into(),
        now_ms: 1_700_000_000_000,
        locale: "en".into(),
        allow_private_egress: false,
        files_of: "tests".into(),
    }
}

/// A signed webhook; `(export, mode)` pairs tell the guest how to behave where.
pub(crate) fn webhook(modes: &[(&str, &str)]) -> WebhookRequest {
    WebhookRequest {
        method: "POST".into(),
        url: "https://pointsman.test/hooks/k".into(),
        query: modes.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect(),
        headers: vec![("x-signature".into(), SIGNATURE.into())],
        body: b"{}".to_vec(),
        remote_address: None,
    }
}

/// A message; `mode` tells the guest how to behave, `url` what to call.
pub(crate) fn message(mode: &str, url: &str) -> OutboundMessage {
    OutboundMessage {
        effect_id: mode.into(),
        attempt: 1,
        to: Party {
            address: "+15550199".into(),
            phone: None,
            scoped_id: None,
            username: None,
            display_name: None,
            extras: Vec::new(),
        },
        reply_to: None,
        content: OutboundContent::Text(url.into()),
        status_url: "https://pointsman.test/status".into(),
    }
}
