//! The compiling child process. This program is its own child: the host starts
//! it again with the argument that the server's hidden subcommand has. That is
//! why it has no test harness, and speaks just enough of one to be listed.
#![allow(clippy::unwrap_used, missing_docs, reason = "tests")]

use std::process::ExitCode;
use std::sync::Arc;

use pointsman::plugins::{
    COMPILE_SUBCOMMAND, Compiler, DirectoryBlobs, EgressConfig, Host, HostConfig, InstallError, SystemLookup,
    compile_child_main,
};

const NAME: &str = "a_component_is_compiled_in_a_child_process";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if arguments.first().is_some_and(|first| first == COMPILE_SUBCOMMAND) {
        return compile_child_main();
    }
    if arguments.iter().any(|argument| argument == "--list") {
        if !arguments.iter().any(|argument| argument == "--ignored") {
            println!("{NAME}: test");
        }
        return ExitCode::SUCCESS;
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(compiles_in_a_child());
    println!("test {NAME} ... ok");
    ExitCode::SUCCESS
}

async fn compiles_in_a_child() {
    let scratch = tempfile::tempdir().unwrap();
    let host = Host::new(HostConfig {
        cache_dir: scratch.path().join("cache"),
        cache_key: [1; 32],
        compiler: Compiler::Child(std::env::current_exe().unwrap()),
        egress: EgressConfig {
            lookup: Arc::new(SystemLookup),
            blobs: Arc::new(DirectoryBlobs::new(scratch.path().join("blobs"), Arc::new(|| 1))),
        },
    })
    .unwrap();
    // What the child compiled fits the engine that runs it: the host gets as far as looking for
    // the exports, which this component does not have.
    let error = host.install(b"\0asm\x0d\0\x01\0").await.err().unwrap();
    assert!(matches!(error, InstallError::Contract(_)), "{error}");
    assert_eq!(std::fs::read_dir(scratch.path().join("cache")).unwrap().count(), 1, "the artefact is kept");

    let error = host.install(&wide_memory()).await.err().unwrap();
    assert!(error.to_string().starts_with("P122"), "the child's own words come back: {error}");
}

/// A valid component around a core module with a 64-bit memory, which the engine does not take.
fn wide_memory() -> Vec<u8> {
    let module = b"\0asm\x01\0\0\0\x05\x03\x01\x04\x01";
    [b"\0asm\x0d\0\x01\0\x01", &[module.len() as u8][..], module].concat()
}
