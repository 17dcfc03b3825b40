//! What is refused before it may run.

use std::time::{Duration, Instant};

use pointsman::plugins::{COMPONENT_BYTES_MAX, Compiler, Host, InstallError};

use crate::bombs::guest_and;
use crate::stage::{Names, channel, config, guest, host, webhook};

async fn refused(wasm: &[u8]) -> InstallError {
    let host = Host::new(config(Names(Default::default()))).unwrap();
    match host.install(wasm).await {
        Ok(plugin) => panic!("{} was installed", plugin.manifest().id),
        Err(error) => error,
    }
}

/// `(component (import "<name>" (instance (export "<function>" (func)))))`, byte by byte.
fn importing(name: &str, function: &str) -> Vec<u8> {
    let text = |s: &str| [&[s.len() as u8], s.as_bytes()].concat();
    let section = |id: u8, content: Vec<u8>| [&[id, content.len() as u8][..], &content].concat();
    // One instance type with two declarations: type 0 is a function without parameters and
    // result; it is exported under the function's name.
    let instance = [&[1, 0x42, 2, 0x01, 0x40, 0, 1, 0, 0x04, 0][..], &text(function), &[0x01, 0]].concat();
    let import = [&[1, 0][..], &text(name), &[0x05, 0]].concat();
    [b"\0asm\x0d\0\x01\0".to_vec(), section(7, instance), section(10, import)].concat()
}

#[tokio::test]
async fn foreign_imports_are_refused_with_advice() {
    for (name, function, advice) in [
        ("wasi:cli/environment@0.2.0", "get-environment", "wasm32-unknown-unknown"),
        ("wasi:random/random@0.2.0", "get-random-u64", "wasm32-unknown-unknown"),
        ("acme:host/http@1.0.0", "send", "returning a call"),
        ("pointsman:plugin/log@1.0.0", "read", "returning a call"),
        ("pointsman:plugin/http@1.0.0", "send", "returning a call"),
    ] {
        let error = refused(&importing(name, function)).await;
        let InstallError::Import { name: refused, .. } = &error else { panic!("{name}: {error}") };
        assert_eq!(*refused, format!("{name}#{function}"));
        assert!(error.to_string().contains(advice), "{error}");
    }
}

#[tokio::test]
async fn another_major_version_of_the_contract_is_named() {
    for (name, advice) in [
        ("pointsman:plugin/log@0.1.0", "rebuild the plugin"),
        ("pointsman:plugin/log@2.0.0", "update the server"),
        ("pointsman:plugin/sender@2.1.0", "update the server"),
    ] {
        let error = refused(&importing(name, "write")).await;
        assert!(matches!(error, InstallError::Version { .. }), "{name}: {error}");
        assert!(error.to_string().starts_with("P111") && error.to_string().contains(advice), "{error}");
    }
    // A later minor version only has more.
    let error = refused(&importing("pointsman:plugin/log@1.7.0", "write")).await;
    assert!(matches!(error, InstallError::Contract(_)), "{error}");
}

#[tokio::test]
async fn a_component_without_our_exports_is_refused() {
    let error = refused(&importing("pointsman:plugin/log@1.0.0", "write")).await;
    assert!(matches!(error, InstallError::Contract(_)), "{error}");
    let error = refused(b"\0asm\x0d\0\x01\0").await;
    assert!(matches!(error, InstallError::Contract(_)), "{error}");
}

#[tokio::test]
async fn malformed_files_are_refused() {
    let guest = guest();
    let mut flipped = guest.clone();
    flipped[guest.len() / 2] ^= 0x55;
    flipped[guest.len() / 3] ^= 0x55;
    for (what, wasm) in [
        ("empty", vec![]),
        ("garbage", b"garbage, not wasm at all".to_vec()),
        ("header only", b"\0asm".to_vec()),
        ("truncated", guest[..guest.len() / 2].to_vec()),
        ("bits flipped", flipped),
    ] {
        let error = refused(&wasm).await;
        assert!(matches!(error, InstallError::Malformed(_)), "{what}: {error}");
    }
    let error = refused(b"\0asm\x01\0\0\0").await;
    assert!(matches!(error, InstallError::NotAPlugin(_) | InstallError::Contract(_)), "{error}");
}

/// How many broken files are tried; `POINTSMAN_FUZZ` says another number.
const BROKEN_FILES: u64 = 400;

/// The guest with bits changed, parts cut out and parts doubled, at random places that are the same in every run. What
/// still looks whole would go to the child, which is not there: all that is tried runs in the server. (Making a component
/// of a module was done there once, and one file in some thousands recursed without end.)
#[tokio::test]
async fn no_broken_file_makes_the_server_panic() {
    let rounds = std::env::var("POINTSMAN_FUZZ").ok().and_then(|it| it.parse().ok()).unwrap_or(BROKEN_FILES);
    let mut config = config(Names(Default::default()));
    let empty = tempfile::tempdir().unwrap();
    config.cache_dir = empty.path().into();
    config.compiler = Compiler::Child("/bin/false".into());
    let host = Host::new(config).unwrap();
    let (module, component) = (guest(), guest_and(""));
    let (mut to_the_child, mut slowest) = (0, Duration::ZERO);
    for round in 0..rounds {
        let broken = broken(if round % 2 == 0 { &module } else { &component }, round);
        let started = Instant::now();
        let error = host.install(&broken).await.err().expect("nothing can be compiled");
        slowest = slowest.max(started.elapsed());
        to_the_child += u64::from(matches!(error, InstallError::Compile(_)));
        assert!(error.to_string().starts_with('P'), "round {round}: {error}");
    }
    println!("{rounds} broken files, {to_the_child} for the child; the slowest took {slowest:?}");
    assert!(to_the_child < rounds, "some are refused before they are compiled");
}

/// One of three kinds of damage. The numbers are those of a linear congruential generator (Knuth's MMIX).
fn broken(whole: &[u8], round: u64) -> Vec<u8> {
    let mut state = round;
    let mut below = |limit: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize % limit
    };
    let mut file = whole.to_vec();
    let (start, length) = (below(whole.len()), 1 + below(64));
    let end = (start + length).min(whole.len());
    match below(3) {
        0 => (0..=below(4)).for_each(|_| file[below(whole.len())] ^= 1 << below(8)),
        1 => drop(file.drain(start..end)),
        _ => drop(file.splice(start..start, whole[start..end].to_vec())),
    }
    file
}

/// A component in a component in a component…
#[tokio::test]
async fn deep_nesting_is_refused() {
    let mut nested = b"\0asm\x0d\0\x01\0".to_vec();
    for _ in 0..1_000 {
        let mut size = nested.len();
        let mut section = vec![4];
        while size >= 0x80 {
            section.push((size & 0x7f) as u8 | 0x80);
            size >>= 7;
        }
        section.push(size as u8);
        nested = [b"\0asm\x0d\0\x01\0".as_slice(), &section, &nested].concat();
    }
    let error = refused(&nested).await;
    assert!(matches!(error, InstallError::Malformed(_) | InstallError::Contract(_)), "{error}");
}

#[tokio::test]
async fn machine_code_is_refused() {
    let engine = wasmtime::Engine::default();
    let code = engine.precompile_component(b"\0asm\x0d\0\x01\0").unwrap();
    assert!(matches!(refused(&code).await, InstallError::Precompiled));
}

#[tokio::test]
async fn large_files_are_refused_unread() {
    assert!(matches!(refused(&vec![0; COMPONENT_BYTES_MAX + 1]).await, InstallError::TooLarge { .. }));
}

#[tokio::test]
async fn a_compiler_that_does_not_work_is_named() {
    let directory = tempfile::tempdir().unwrap();
    let killed = directory.path().join("killed");
    std::fs::write(&killed, "#!/bin/sh\nkill -KILL $$\n").unwrap();
    std::fs::set_permissions(&killed, std::os::unix::fs::PermissionsExt::from_mode(0o700)).unwrap();
    let (module, component) = (guest(), guest_and(""));
    for (program, file, start, word) in [
        ("/nonexistent/pointsman".into(), &component, "P120", "/nonexistent/pointsman plugin-compile"),
        ("/bin/false".into(), &component, "P120", "code 1 without machine code"),
        ("/bin/true".into(), &component, "P120", "code 0 without machine code"),
        (killed.clone(), &component, "P121", "60 s of CPU"),
        // Making a component of a core module is the child's work as well.
        ("/bin/false".into(), &module, "P120", "code 1"),
        (killed, &module, "P104", "too much time, memory or stack"),
    ] {
        let mut config = config(Names(Default::default()));
        config.cache_dir = directory.path().join("cache");
        config.compiler = Compiler::Child(program);
        let error = Host::new(config).unwrap().install(file).await.err().unwrap().to_string();
        assert!(error.starts_with(start) && error.contains(word), "{error}");
    }
}

#[tokio::test]
async fn a_tampered_cache_is_compiled_again() {
    let directory = tempfile::tempdir().unwrap();
    let at = || {
        let mut config = config(Names(Default::default()));
        config.cache_dir = directory.path().into();
        Host::new(config).unwrap()
    };
    at().install(&guest()).await.unwrap();
    let file = std::fs::read_dir(directory.path()).unwrap().next().unwrap().unwrap().path();
    let good = std::fs::read(&file).unwrap();
    let mut bad = good.clone();
    *bad.last_mut().unwrap() ^= 1;
    std::fs::write(&file, &bad).unwrap();
    at().install(&guest()).await.unwrap();
    assert_eq!(std::fs::read(&file).unwrap(), good, "the damaged file was replaced");
    let mut other_key = config(Names(Default::default()));
    other_key.cache_dir = directory.path().into();
    other_key.cache_key = [8; 32];
    Host::new(other_key).unwrap().install(&guest()).await.unwrap();
    assert_ne!(std::fs::read(&file).unwrap(), good, "another key's seal is not ours");
}

#[tokio::test]
async fn an_installed_plugin_is_described_and_can_be_replaced_and_removed() {
    let (host, plugin) = host().await;
    assert_eq!(plugin.manifest().id, "sandbox-guest");
    assert_eq!(plugin.digest().len(), 64);
    let exports = plugin.exports();
    assert!(
        exports.account && !exports.media && !exports.templates && !exports.sessions && !exports.backfill
    );
    assert_eq!(plugin.capabilities("sms").unwrap().text_max, 100);
    assert!(plugin.capabilities("fax").is_none());
    assert!(plugin.validate(r#"{"base_url":"bad"}"#, "sms").await.unwrap()[0].setting == "base_url");
    host.install(&guest()).await.unwrap();
    assert_eq!(host.list().len(), 1);
    host.remove("sandbox-guest").unwrap();
    assert!(host.get("sandbox-guest").is_none());
    plugin.authenticate(&channel(), &webhook(&[])).await.expect("a held plugin still works");
}
