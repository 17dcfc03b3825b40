//! The compiling child process. This program is its own child: the host starts
//! it again with the argument that the server's hidden subcommand has. That is
//! why it has no test harness, and speaks just enough of one to be listed.
#![allow(clippy::unwrap_used, missing_docs, reason = "tests")]

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Instant;

use pointsman::plugins::{
    COMPILE_SUBCOMMAND, COMPONENT_ARGUMENT, CompileLimits, Compiler, DirectoryBlobs, EgressConfig, Host,
    HostConfig, InstallError, SystemLookup, compile_child_main,
};
use tempfile::TempDir;

const IN_A_CHILD: &str = "a_component_is_compiled_in_a_child_process";
const BOMBS: &str = "compile_bombs_end_their_child_and_nobody_else";
/// The server's own limits, for the figures in `docs/sandbox.md`: `--ignored --nocapture`.
const FIGURES: &str = "figures_of_compile_bombs";

/// A child by this name has little time.
const HASTY: CompileLimits = CompileLimits { cpu_s: 1, memory_bytes: 2 << 30 };
/// A child by this name has little memory.
const NARROW: CompileLimits = CompileLimits { cpu_s: 60, memory_bytes: 256 << 20 };

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().collect();
    let has = |wanted: &str| arguments.iter().any(|argument| argument == wanted);
    if has(COMPILE_SUBCOMMAND) {
        let limits = match Path::new(&arguments[0]).file_name().and_then(|it| it.to_str()) {
            Some("hasty") => HASTY,
            Some("narrow") => NARROW,
            _ => CompileLimits::default(),
        };
        return compile_child_main(limits, has(COMPONENT_ARGUMENT));
    }
    if has("--list") {
        let names: &[&str] = if has("--ignored") { &[FIGURES] } else { &[IN_A_CHILD, BOMBS] };
        names.iter().for_each(|name| println!("{name}: test"));
        return ExitCode::SUCCESS;
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    // A name is given where only one is wanted.
    let named = [IN_A_CHILD, BOMBS, FIGURES].into_iter().find(|name| has(name));
    for name in named.map_or_else(|| vec![IN_A_CHILD, BOMBS], |name| vec![name]) {
        match name {
            IN_A_CHILD => runtime.block_on(compiles_in_a_child()),
            BOMBS => runtime.block_on(bombs_end_their_child()),
            _ => runtime.block_on(figures()),
        }
        println!("test {name} ... ok");
    }
    ExitCode::SUCCESS
}

/// A host whose compiling child is this program, called `name`.
fn host(name: &str) -> (Host, TempDir) {
    let scratch = tempfile::tempdir().unwrap();
    let program: PathBuf = scratch.path().join(name);
    std::os::unix::fs::symlink(std::env::current_exe().unwrap(), &program).unwrap();
    let host = Host::new(HostConfig {
        cache_dir: scratch.path().join("cache"),
        cache_key: [1; 32],
        compiler: Compiler::Child(program),
        egress: EgressConfig {
            lookup: Arc::new(SystemLookup),
            blobs: Arc::new(DirectoryBlobs::new(scratch.path().join("blobs"), Arc::new(|| 1))),
        },
    });
    (host.unwrap(), scratch)
}

async fn refusal(host: &Host, wasm: &[u8]) -> InstallError {
    host.install(wasm).await.err().unwrap()
}

async fn compiles_in_a_child() {
    let (host, scratch) = host("child");
    // What the child compiled fits the engine that runs it: the host gets as far as looking for
    // the exports, which this component does not have.
    let error = refusal(&host, b"\0asm\x0d\0\x01\0").await;
    assert!(matches!(error, InstallError::Contract(_)), "{error}");
    assert_eq!(std::fs::read_dir(scratch.path().join("cache")).unwrap().count(), 1, "the artefact is kept");

    let error = refusal(&host, &wide_memory()).await;
    assert!(error.to_string().starts_with("P122"), "the child's own words come back: {error}");
}

/// Row 13: a child with too little time or memory is killed, the server says so and goes on, and what is compiled at the
/// same time by another child is not disturbed.
async fn bombs_end_their_child() {
    let (hasty, _here) = host("hasty");
    let small = async {
        let (patient, _there) = host("child");
        refusal(&patient, b"\0asm\x0d\0\x01\0").await
    };
    let bomb = straight_line(200_000);
    let (killed, beside) = tokio::join!(refusal(&hasty, &bomb), small);
    assert!(killed.to_string().starts_with("P121"), "{killed}");
    assert!(matches!(beside, InstallError::Contract(_)), "{beside}");
    let error = refusal(&hasty, b"\0asm\x0d\0\x01\0").await;
    assert!(matches!(error, InstallError::Contract(_)), "the next one is compiled: {error}");

    // Enough memory for it, or not: only that differs.
    let many = functions(60_000);
    let (narrow, _here) = host("narrow");
    let error = refusal(&narrow, &many).await;
    assert!(error.to_string().starts_with("P121"), "{error}");
    let (patient, _there) = host("child");
    let error = refusal(&patient, &many).await;
    assert!(matches!(error, InstallError::Contract(_)), "{error}");
}

/// What the bombs of the threat list need under the server's own limits.
async fn figures() {
    for (what, bomb) in [
        ("2 MB in a straight line", straight_line(700_000)),
        ("1.7 MB of branches", branches(240_000)),
        ("50,000 locals, all in use", locals(50_000)),
        ("100,000 functions", functions(100_000)),
    ] {
        let (host, _scratch) = host("child");
        let started = Instant::now();
        let error = refusal(&host, &bomb).await.to_string();
        let code = error.split(':').next().unwrap_or_default();
        println!("{what}, {} KB: {code} after {:.1} s", bomb.len() / 1_000, started.elapsed().as_secs_f64());
    }
}

/// A valid component around a core module with a 64-bit memory, which the engine does not take.
fn wide_memory() -> Vec<u8> {
    around(b"\0asm\x01\0\0\0\x05\x03\x01\x04\x01")
}

/// A component around a core module.
fn around(module: &[u8]) -> Vec<u8> {
    [b"\0asm\x0d\0\x01\0".as_slice(), &section(1, module)].concat()
}

/// One function without end: `(i32.const 1) (i32.add)`, so often.
fn straight_line(count: usize) -> Vec<u8> {
    module(1, &[b"\x00\x41\x00".as_slice(), &b"\x41\x01\x6a".repeat(count), b"\x1a\x0b"].concat())
}

/// One function of blocks that are left or not: `block (i32.const 1) (br_if 0) end`.
fn branches(count: usize) -> Vec<u8> {
    module(1, &[b"\x00".as_slice(), &b"\x02\x40\x41\x01\x0d\x00\x0b".repeat(count), b"\x0b"].concat())
}

/// One function that adds every local to the one before it.
fn locals(count: usize) -> Vec<u8> {
    let mut body = [b"\x01".as_slice(), &leb(count), b"\x7f"].concat();
    for local in 1..count {
        body.extend(
            [b"\x20".as_slice(), &leb(local), b"\x20", &leb(local - 1), b"\x6a\x21", &leb(local)].concat(),
        );
    }
    body.push(0x0b);
    module(1, &body)
}

/// So many functions that do next to nothing.
fn functions(count: usize) -> Vec<u8> {
    module(count, b"\x00\x41\x01\x41\x02\x6a\x1a\x0b")
}

/// A component around a core module of so many functions with this body.
fn module(count: usize, body: &[u8]) -> Vec<u8> {
    let body = [leb(body.len()), body.to_vec()].concat();
    let types = section(1, b"\x01\x60\x00\x00");
    let declared = section(3, &[leb(count), vec![0; count]].concat());
    let code = section(10, &[leb(count), body.repeat(count)].concat());
    around(&[b"\0asm\x01\0\0\0".to_vec(), types, declared, code].concat())
}

fn section(id: u8, content: &[u8]) -> Vec<u8> {
    [vec![id], leb(content.len()), content.to_vec()].concat()
}

/// An unsigned number in LEB128.
fn leb(mut number: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    while number >= 0x80 {
        bytes.push((number & 0x7f) as u8 | 0x80);
        number >>= 7;
    }
    bytes.push(number as u8);
    bytes
}
