//! Turns components into machine code, once per component and version of the
//! engine. Compiling unknown code happens in a child process with limits; the
//! artefact is kept on disk and loaded only when its seal is ours.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{ExitCode, Stdio};
use std::time::Duration;

use ring::hmac;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use wasmtime::Engine;
use wasmtime::component::Component;

use super::engine::code_settings;
use super::install::COMPONENT_BYTES_MAX;

/// Name of the hidden subcommand that runs [`compile_child_main`].
pub const COMPILE_SUBCOMMAND: &str = "plugin-compile";
/// CPU of one compilation, seconds; the child is killed at the limit.
const COMPILE_CPU_S_MAX: u64 = 60;
/// Wall time of one compilation, milliseconds; the child is killed at the limit.
const COMPILE_WALL_MS_MAX: u64 = 90_000;
/// Address space of the child, bytes; allocating more ends it.
const COMPILE_MEMORY_BYTES_MAX: u64 = 2 << 30;
/// Machine code of one component, bytes; more is refused.
const ARTEFACT_BYTES_MAX: usize = 64 << 20;
/// What is kept of the child's complaint, bytes.
const COMPLAINT_BYTES_MAX: usize = 2 << 10;
const SEAL_BYTES: usize = 32;

/// Where unknown components are compiled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Compiler {
    /// In a child process: this program with the argument `plugin-compile`.
    Child(PathBuf),
    /// In this process, without limits: for tests and for plugins that one builds oneself.
    InProcess,
}

/// Why a component could not be compiled.
#[derive(Debug, thiserror::Error)]
pub enum CompileError {
    /// The child process could not be used.
    #[error(
        "P120: the compiling process `{program} {COMPILE_SUBCOMMAND}` cannot be used: {cause}; check that the program is still in its place and may be run"
    )]
    Child {
        /// The program.
        program: String,
        /// What the system said.
        cause: String,
    },
    /// Too big or too odd to compile.
    #[error(
        "P121: compiling the plugin was stopped: it took more than {COMPILE_CPU_S_MAX} s of CPU or {} MiB; make its functions smaller",
        COMPILE_MEMORY_BYTES_MAX >> 20
    )]
    Limit,
    /// The compiler refuses it.
    #[error("P122: the plugin does not compile: {0}; rebuild it with the current SDK")]
    Refused(String),
    /// The code cache cannot be read or written.
    #[error("P123: the plugin cache {path} cannot be used: {cause}; check its owner and the free space")]
    Cache {
        /// Directory or file.
        path: String,
        /// What the system said.
        cause: String,
    },
}

/// Compiled components on disk. Every file starts with an HMAC over its key and its content:
/// such a file is machine code, and who can write to the directory must not be able to run it here.
pub(super) struct CodeCache {
    directory: PathBuf,
    key: hmac::Key,
    compiler: Compiler,
    one_at_a_time: tokio::sync::Mutex<()>,
}

impl CodeCache {
    pub(super) fn new(directory: PathBuf, key: &[u8; 32], compiler: Compiler) -> Result<Self, CompileError> {
        std::fs::create_dir_all(&directory).map_err(|e| cache_error(&directory, &e))?;
        let key = hmac::Key::new(hmac::HMAC_SHA256, key);
        Ok(Self { directory, key, compiler, one_at_a_time: tokio::sync::Mutex::new(()) })
    }

    /// The component, from the cache or freshly compiled. `digest` is the SHA-256 of `wasm`.
    pub(super) async fn load(
        &self,
        engine: &Engine,
        wasm: &[u8],
        digest: &str,
    ) -> Result<Component, CompileError> {
        let key = cache_key(engine, digest);
        let path = self.directory.join(format!("{key}.cwasm"));
        if let Some(component) = self.open(engine, &path, &key) {
            return Ok(component);
        }
        let _alone = self.one_at_a_time.lock().await;
        if let Some(component) = self.open(engine, &path, &key) {
            return Ok(component);
        }
        let artefact = match &self.compiler {
            Compiler::Child(program) => compile_in_child(program, wasm).await?,
            Compiler::InProcess => {
                engine.precompile_component(wasm).map_err(|e| CompileError::Refused(format!("{e:#}")))?
            }
        };
        let sealed = self.seal(&key, &artefact);
        write_whole(&path, &sealed).map_err(|e| cache_error(&path, &e))?;
        self.unseal(engine, &key, &sealed)
            .ok_or_else(|| CompileError::Refused("the compiled code does not fit this server".into()))
    }

    fn open(&self, engine: &Engine, path: &Path, key: &str) -> Option<Component> {
        let sealed = std::fs::read(path).ok()?;
        let component = self.unseal(engine, key, &sealed);
        if component.is_none() {
            tracing::warn!(path = %path.display(), "a compiled plugin in the cache is not ours or damaged; it is compiled again");
        }
        component
    }

    fn seal(&self, key: &str, artefact: &[u8]) -> Vec<u8> {
        let tag = hmac::sign(&self.key, &[key.as_bytes(), b"\0", artefact].concat());
        [tag.as_ref(), artefact].concat()
    }

    fn unseal(&self, engine: &Engine, key: &str, sealed: &[u8]) -> Option<Component> {
        let (tag, artefact) = sealed.split_at_checked(SEAL_BYTES)?;
        let signed = [key.as_bytes(), b"\0", artefact].concat();
        hmac::verify(&self.key, &signed, tag).ok()?;
        #[expect(
            unsafe_code,
            reason = "the seal proves that these very bytes were made by our own compiler for this key"
        )]
        // SAFETY: `artefact` is the unchanged output of `precompile_component`, as its HMAC shows.
        unsafe { Component::deserialize(engine, artefact) }.ok()
    }
}

/// Says for what the code is: the engine's version and settings, the component. Fit for a file name.
fn cache_key(engine: &Engine, digest: &str) -> String {
    let mut settings = DefaultHasher::new();
    engine.precompile_compatibility_hash().hash(&mut settings);
    format!("{digest}-{:016x}", settings.finish())
}

fn cache_error(path: &Path, error: &std::io::Error) -> CompileError {
    CompileError::Cache { path: path.display().to_string(), cause: error.to_string() }
}

/// Readers see the whole file or none.
fn write_whole(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let partial = path.with_extension(format!("{}.partial", std::process::id()));
    std::fs::write(&partial, bytes)?;
    std::fs::rename(&partial, path)
}

async fn compile_in_child(program: &Path, wasm: &[u8]) -> Result<Vec<u8>, CompileError> {
    let unusable = |error: std::io::Error| CompileError::Child {
        program: program.display().to_string(),
        cause: error.to_string(),
    };
    let mut child = tokio::process::Command::new(program)
        .arg(COMPILE_SUBCOMMAND)
        .env_clear()
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .map_err(unusable)?;
    let (Some(mut input), Some(output), Some(complaint)) =
        (child.stdin.take(), child.stdout.take(), child.stderr.take())
    else {
        return Err(unusable(std::io::Error::other("its pipes are missing")));
    };
    let talk = async {
        // A child that dies early closes its end; its exit status says why.
        let feed = async {
            let _ = input.write_all(wasm).await;
            drop(input);
        };
        let (mut artefact, mut words) = (Vec::new(), Vec::new());
        let mut output = output.take(ARTEFACT_BYTES_MAX as u64 + 1);
        let mut complaint = complaint.take(COMPLAINT_BYTES_MAX as u64);
        let ((), read, _) =
            tokio::join!(feed, output.read_to_end(&mut artefact), complaint.read_to_end(&mut words));
        read?;
        if artefact.len() > ARTEFACT_BYTES_MAX {
            return Ok((None, artefact, words));
        }
        child.wait().await.map(|status| (Some(status), artefact, words))
    };
    let limit = Duration::from_millis(COMPILE_WALL_MS_MAX);
    let (status, artefact, words) = match tokio::time::timeout(limit, talk).await {
        Ok(result) => result.map_err(unusable)?,
        Err(_) => return Err(CompileError::Limit),
    };
    match status.and_then(|s| s.code()) {
        Some(0) if !artefact.is_empty() => Ok(artefact),
        Some(code) if code == i32::from(REFUSED_EXIT) => {
            Err(CompileError::Refused(String::from_utf8_lossy(&words).trim().to_owned()))
        }
        Some(code) => {
            let words = String::from_utf8_lossy(&words);
            Err(unusable(std::io::Error::other(format!(
                "it ended with code {code} without machine code: {}",
                words.trim()
            ))))
        }
        // Killed by a signal: a limit, or a crash of the compiler on this input.
        None => Err(CompileError::Limit),
    }
}

/// Exit code of the child for a component that does not compile.
const REFUSED_EXIT: u8 = 65;

/// The whole work of the hidden subcommand: limits itself, reads a component on stdin and writes
/// its machine code to stdout.
pub fn compile_child_main() -> ExitCode {
    match compile_stdin() {
        Ok(()) => ExitCode::SUCCESS,
        Err((code, message)) => {
            let _ = writeln!(std::io::stderr(), "{message}");
            ExitCode::from(code)
        }
    }
}

fn compile_stdin() -> Result<(), (u8, String)> {
    let system = |e: std::io::Error| (71, e.to_string());
    rlimit::Resource::CPU.set(COMPILE_CPU_S_MAX, COMPILE_CPU_S_MAX).map_err(system)?;
    rlimit::Resource::AS.set(COMPILE_MEMORY_BYTES_MAX, COMPILE_MEMORY_BYTES_MAX).map_err(system)?;
    rlimit::Resource::CORE.set(0, 0).map_err(system)?;
    let mut wasm = Vec::new();
    std::io::stdin().take(COMPONENT_BYTES_MAX as u64 + 1).read_to_end(&mut wasm).map_err(system)?;
    let refused = |e: wasmtime::Error| (REFUSED_EXIT, format!("{e:#}"));
    let engine = Engine::new(&code_settings()).map_err(refused)?;
    let artefact = engine.precompile_component(&wasm).map_err(refused)?;
    std::io::stdout().write_all(&artefact).map_err(system)
}
