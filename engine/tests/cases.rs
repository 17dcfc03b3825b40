//! Every recorded case of every bundled plugin against its built wasm, through
//! the real host. The plugins are staged before the tests (`make plugins`).
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs, reason = "tests")]

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use pointsman::plugins::{
    Compiler, DirectoryBlobs, EgressConfig, Host, HostConfig, Plugin, SystemLookup, cases, conformance,
};

async fn installed(plugin: &str) -> Arc<Plugin> {
    let staged =
        std::env::var_os("POINTSMAN_PLUGINS").map_or_else(|| root().join("target/plugins"), PathBuf::from);
    loaded(&staged.join(format!("{plugin}.wasm")), "make plugins").await
}

async fn loaded(file: &Path, made_by: &str) -> Arc<Plugin> {
    let wasm = std::fs::read(file).unwrap_or_else(|e| panic!("{}: {e}; run `{made_by}`", file.display()));
    let scratch = PathBuf::from(env!("CARGO_TARGET_TMPDIR"));
    let host = Host::new(HostConfig {
        cache_dir: scratch.join("plugin-cache"),
        cache_key: [7; 32],
        compiler: Compiler::InProcess,
        egress: EgressConfig {
            lookup: Arc::new(SystemLookup),
            blobs: Arc::new(DirectoryBlobs::new(scratch.join("blobs"), Arc::new(|| 1))),
        },
    });
    host.unwrap().install(&wasm).await.unwrap()
}

/// Its cases, and what every plugin must keep.
async fn every_case_passes(plugin: &str, count_min: usize) {
    all_pass(installed(plugin).await.as_ref(), &folder(plugin), count_min).await;
}

async fn all_pass(plugin: &Plugin, cases: &Path, count_min: usize) {
    let (reports, conformance) = conformance::run(plugin, cases).await.unwrap();
    assert!(reports.len() >= count_min, "{} cases of {count_min} at least", reports.len());
    let mut wrong = String::new();
    for report in reports.iter().filter(|report| !report.passed()) {
        let _ = writeln!(wrong, "{}:", report.name);
        for difference in &report.differences {
            let _ = writeln!(wrong, "  {difference}");
        }
    }
    for finding in &conformance.findings {
        let _ = writeln!(wrong, "{}: {}: {}", finding.case, finding.tried, finding.problem);
    }
    assert!(wrong.is_empty(), "{wrong}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_example_passes_its_cases_in_the_sandbox() {
    let guests = std::env::var_os("POINTSMAN_TEST_PLUGINS")
        .map_or_else(|| root().join("target/wasm32-unknown-unknown/guest"), PathBuf::from);
    let plugin = loaded(&guests.join("pointsman_acme.wasm"), "make guests").await;
    all_pass(&plugin, &root().join("examples/plugin/cases"), 6).await;
}

/// Built by `make guests` where there is Node.js; it must be there where everything is tested.
#[tokio::test(flavor = "multi_thread")]
async fn the_example_in_javascript_passes_the_same_cases() {
    let file = root().join("examples/plugin-js/plugin.wasm");
    if !file.is_file() && std::env::var_os("CI").is_none() {
        eprintln!("NOT TESTED: {} is missing; install Node.js and run `make guests`", file.display());
        return;
    }
    all_pass(loaded(&file, "make guests").await.as_ref(), &root().join("examples/plugin-js/cases"), 6).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn line_passes_its_cases_in_the_sandbox() {
    every_case_passes("line", 36).await;
}

fn folder(plugin: &str) -> PathBuf {
    root().join("plugins").join(plugin).join("cases")
}

fn root() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
}

// S20
#[tokio::test(flavor = "multi_thread")]
async fn twilio_passes_its_cases_in_the_sandbox() {
    every_case_passes("twilio", 123).await;
}

// S33
#[tokio::test(flavor = "multi_thread")]
async fn meta_passes_its_cases_in_the_sandbox() {
    every_case_passes("meta-cloud", 190).await;
}

// S47
#[tokio::test(flavor = "multi_thread")]
async fn telegram_passes_its_cases_in_the_sandbox() {
    every_case_passes("telegram", 110).await;
}

// S25, S66
#[tokio::test(flavor = "multi_thread")]
async fn waha_passes_its_cases_in_the_sandbox() {
    every_case_passes("waha", 138).await;
}

// S44, S46
#[tokio::test(flavor = "multi_thread")]
async fn onemsg_passes_its_cases_in_the_sandbox() {
    every_case_passes("onemsg", 95).await;
}

// S89, S90
#[tokio::test(flavor = "multi_thread")]
async fn openai_passes_its_cases_in_the_sandbox() {
    every_case_passes("openai", 87).await;
}

// S90
#[tokio::test(flavor = "multi_thread")]
async fn lexicon_passes_its_cases_in_the_sandbox() {
    every_case_passes("lexicon", 21).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn webchat_passes_its_cases_in_the_sandbox() {
    every_case_passes("webchat", 12).await;
}

/// A folder with one case of Twilio's, one file of which is changed.
fn changed(name: &str, file: &str, from: &str, to: &str) -> tempfile::TempDir {
    let scratch = tempfile::tempdir().unwrap();
    let (source, target) = (folder("twilio").join(name), scratch.path().join(name));
    std::fs::create_dir_all(target.join("http")).unwrap();
    std::fs::copy(folder("twilio").join("context.toml"), scratch.path().join("context.toml")).unwrap();
    for part in ["case.toml", "expect.json", "http/01.toml"] {
        let text = std::fs::read_to_string(source.join(part)).unwrap();
        assert!(part != file || text.contains(from), "{part} has no {from}");
        let text = if part == file { text.replace(from, to) } else { text };
        std::fs::write(target.join(part), text).unwrap();
    }
    scratch
}

#[tokio::test(flavor = "multi_thread")]
async fn what_differs_is_reported_place_by_place() {
    let plugin = installed("twilio").await;
    let here = "plugins of this test";
    for (file, from, to, expected) in [
        (
            "http/01.toml",
            "Recibo",
            here,
            "call 1/form/2/1: expected \"plugins of this test\", but it was \"Recibo\"",
        ),
        ("expect.json", "MM0", "MM1", "outcome/receipt/message_ids/0: expected \"MM1"),
        ("http/01.toml", "status = 201", "status = 503", "outcome/receipt: expected {"),
        (
            "case.toml",
            "[message]",
            "[context.settings]\nbase_url = \"https://10.0.0.1\"\n[message]",
            "call 1/url",
        ),
    ] {
        let folder = changed("send-image", file, from, to);
        let reports = cases::run(&plugin, folder.path()).await.unwrap();
        let found: Vec<_> = reports[0].differences.iter().map(ToString::to_string).collect();
        assert!(found.iter().any(|line| line.starts_with(expected)), "{expected}: {found:#?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_egress_would_not_make_fails_its_case() {
    let plugin = installed("twilio").await;
    let folder = changed("send-to-stand-in", "case.toml", "allow_private_egress = true", "");
    let reports = cases::run(&plugin, folder.path()).await.unwrap();
    let found: Vec<_> = reports[0].differences.iter().map(ToString::to_string).collect();
    assert!(
        found[0].starts_with("call: expected \"allowed\", but it was \"http://127.0.0.1:9000 is not https"),
        "{found:?}"
    );
}
