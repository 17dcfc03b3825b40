//! The comparison of providers in `docs/providers.md` is what the built plugins
//! say about themselves. `UPDATE_GOLDEN=1` writes it anew.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs, reason = "tests")]

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use pointsman::plugins::{
    Compiler, DirectoryBlobs, EgressConfig, Exports, Host, HostConfig, Manifest, SystemLookup,
};
use pointsman_rules::facts::{Capabilities, MediaRule, Window};

const HEAD: &str = "# Providers

What each provider can do, as its plugin says it; made by `UPDATE_GOLDEN=1 cargo nextest run -E 'binary(providers)'`. A \
running server says the same at `GET /api/v1/plugins`, and rules read it as `channel.capabilities`.

| | text | files sent | window | templates | buttons, list | we hear of a message | they see of us | phone linked | beta |
|---|---|---|---|---|---|---|---|---|---|
";

const TAIL: &str = "
“We hear” is the furthest that the vendor reports of a message of ours. “They see” is what it shows the contact: that we \
read, that somebody types. Sizes are those of the largest file of a family.
";

#[tokio::test(flavor = "multi_thread")]
async fn the_comparison_of_providers_is_current() {
    let root = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."));
    let staged =
        std::env::var_os("POINTSMAN_PLUGINS").map_or_else(|| root.join("target/plugins"), PathBuf::from);
    let scratch = PathBuf::from(env!("CARGO_TARGET_TMPDIR"));
    let host = Host::new(HostConfig {
        cache_dir: scratch.join("plugin-cache"),
        cache_key: [7; 32],
        compiler: Compiler::InProcess,
        egress: EgressConfig {
            lookup: Arc::new(SystemLookup),
            blobs: Arc::new(DirectoryBlobs::new(scratch.join("blobs"), Arc::new(|| 1))),
        },
    })
    .unwrap();
    let mut table = HEAD.to_owned();
    for name in ["line", "meta-cloud", "onemsg", "telegram", "twilio", "waha", "webchat"] {
        let file = staged.join(format!("{name}.wasm"));
        let wasm =
            std::fs::read(&file).unwrap_or_else(|e| panic!("{}: {e}; run `make plugins`", file.display()));
        let plugin = host.install(&wasm).await.unwrap();
        rows(plugin.manifest(), plugin.exports(), &mut table);
    }
    table.push_str(TAIL);
    let kept = root.join("docs/providers.md");
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(&kept, &table).unwrap();
    }
    let there = std::fs::read_to_string(&kept).unwrap_or_default();
    assert_eq!(there, table, "docs/providers.md is not current; run this test with UPDATE_GOLDEN=1");
}

fn rows(manifest: &Manifest, exports: Exports, table: &mut String) {
    for kind in &manifest.kinds {
        let can = &kind.capabilities;
        let cells = [
            name(&manifest.name, &kind.label),
            format!("{} {}", can.text_max, can.text_unit.replace('_', " ")),
            files(can),
            window(can),
            word(can.templates),
            choices(can),
            can.delivery_reports.clone(),
            shown(can),
            word(exports.sessions),
            word(can.beta),
        ];
        let _ = writeln!(table, "| {} |", cells.join(" | "));
    }
}

/// The provider's name, and the kind's where it says more.
fn name(provider: &str, kind: &str) -> String {
    if kind.contains(provider) { kind.to_owned() } else { format!("{provider} {kind}") }
}

fn word(is: bool) -> String {
    if is { "yes" } else { "–" }.to_owned()
}

/// Each family once, with the largest file that is sent.
fn files(can: &Capabilities) -> String {
    let mut largest: Vec<(&str, u64)> = Vec::new();
    for MediaRule { family, send_bytes_max, .. } in can.media.iter().filter(|rule| rule.send_bytes_max > 0) {
        match largest.iter_mut().find(|(known, _)| *known == family.as_str()) {
            Some((_, bytes)) => *bytes = (*bytes).max(*send_bytes_max),
            None => largest.push((family.as_str(), *send_bytes_max)),
        }
    }
    if can.attachments_max == 0 || largest.is_empty() {
        return "–".to_owned();
    }
    let words: Vec<_> = largest.iter().map(|(family, bytes)| format!("{family} {}", size(*bytes))).collect();
    words.join(", ")
}

/// Exactly, in the unit in which the vendor counts: `10 MB`, `1.5 MiB`, `500 KiB`.
fn size(bytes: u64) -> String {
    const UNITS: [(u64, &str); 4] = [(1_000_000, "MB"), (1 << 20, "MiB"), (1_000, "kB"), (1 << 10, "KiB")];
    let halves = |unit: u64| bytes >= unit && (2 * bytes).is_multiple_of(unit);
    match UNITS.into_iter().find(|(unit, _)| halves(*unit)) {
        Some((unit, word)) if bytes.is_multiple_of(unit) => format!("{} {word}", bytes / unit),
        Some((unit, word)) => format!("{}.5 {word}", bytes / unit),
        None => format!("{bytes} bytes"),
    }
}

/// What the contact sees of us.
fn shown(can: &Capabilities) -> String {
    let words: Vec<_> = [("read", can.read_receipts), ("typing", can.typing)]
        .into_iter()
        .filter_map(|(word, can)| can.then_some(word))
        .collect();
    if words.is_empty() { "–".to_owned() } else { words.join(", ") }
}

#[test]
fn sizes_are_exact() {
    for (bytes, text) in [
        (10_000_000, "10 MB"),
        (3 << 19, "1.5 MiB"),
        (100 << 20, "100 MiB"),
        (500 << 10, "512 kB"),
        (512 << 10, "512 KiB"),
        (7, "7 bytes"),
    ] {
        assert_eq!(size(bytes), text);
    }
}

fn window(can: &Capabilities) -> String {
    match can.window {
        Window::None => "always".to_owned(),
        Window::SinceLastInbound { seconds } => format!("{} h after they write", seconds / 3_600),
        Window::AfterFirstInbound => "once they wrote".to_owned(),
    }
}

fn choices(can: &Capabilities) -> String {
    match (can.buttons_max, can.list_rows_max) {
        (0, 0) => "–".to_owned(),
        (buttons, 0) => buttons.to_string(),
        (buttons, rows) => format!("{buttons}, {rows}"),
    }
}
