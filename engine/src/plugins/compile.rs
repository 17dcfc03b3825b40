//! Turns core modules into components and components into machine code, once for
//! each file and version of the engine. Both happen in a child process with limits,
//! because an odd file may take all memory, time or stack; what comes of it is kept
//! on disk and taken only when its seal is ours.

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
/// Tells the child to make a component of a core module instead of machine code of a component.
pub const COMPONENT_ARGUMENT: &str = "--component";

/// Where unknown components are compiled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Compiler {
    /// In a child process: this program with the argument `plugin-compile`.
    Child(PathBuf),
    /// In this process, without limits: for tests and for plugins that one builds oneself.
    InProcess,
}

/// What the compiling child may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CompileLimits {
    /// CPU, seconds.
    pub cpu_s: u64,
    /// Address space, bytes.
    pub memory_bytes: u64,
}

impl Default for CompileLimits {
    fn default() -> Self {
        Self { cpu_s: COMPILE_CPU_S_MAX, memory_bytes: COMPILE_MEMORY_BYTES_MAX }
    }
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
            Compiler::Child(program) => in_child(program, &[], wasm).await?,
            Compiler::InProcess => {
                engine.precompile_component(wasm).map_err(|e| CompileError::Refused(format!("{e:#}")))?
            }
        };
        // More tables, memories or instances than there are places for one component show here.
        let component = load(engine, &artefact).map_err(|e| CompileError::Refused(format!("{e:#}")))?;
        write_whole(&path, &self.seal(&key, &artefact)).map_err(|e| cache_error(&path, &e))?;
        Ok(component)
    }

    /// The component that a core module becomes. Authors only need `cargo build`: the contract travels in a custom
    /// section of the module. `digest` is the module's SHA-256.
    pub(super) async fn component(&self, module: &[u8], digest: &str) -> Result<Vec<u8>, CompileError> {
        let Compiler::Child(program) = &self.compiler else {
            return componentise(module).map_err(CompileError::Refused);
        };
        let key = format!("{digest}-component");
        let path = self.directory.join(&key);
        if let Some(component) = self.read(&path, &key) {
            return Ok(component);
        }
        let component = in_child(program, &[COMPONENT_ARGUMENT], module).await?;
        write_whole(&path, &self.seal(&key, &component)).map_err(|e| cache_error(&path, &e))?;
        Ok(component)
    }

    fn open(&self, engine: &Engine, path: &Path, key: &str) -> Option<Component> {
        load(engine, &self.read(path, key)?).ok()
    }

    /// What lies there under our seal.
    fn read(&self, path: &Path, key: &str) -> Option<Vec<u8>> {
        let sealed = std::fs::read(path).ok()?;
        let content = self.unsealed(key, &sealed).map(<[u8]>::to_vec);
        if content.is_none() {
            tracing::warn!(path = %path.display(), "a compiled plugin in the cache is not ours or damaged; it is compiled again");
        }
        content
    }

    fn seal(&self, key: &str, artefact: &[u8]) -> Vec<u8> {
        let tag = hmac::sign(&self.key, &[key.as_bytes(), b"\0", artefact].concat());
        [tag.as_ref(), artefact].concat()
    }

    fn unsealed<'s>(&self, key: &str, sealed: &'s [u8]) -> Option<&'s [u8]> {
        let (tag, content) = sealed.split_at_checked(SEAL_BYTES)?;
        let signed = [key.as_bytes(), b"\0", content].concat();
        hmac::verify(&self.key, &signed, tag).ok()?;
        Some(content)
    }
}

/// Machine code that our own compiler made just now, or whose seal says so.
fn load(engine: &Engine, artefact: &[u8]) -> wasmtime::Result<Component> {
    #[expect(unsafe_code, reason = "callers have the bytes from the compiler or checked their seal")]
    // SAFETY: `artefact` is the unchanged output of `precompile_component`.
    unsafe {
        Component::deserialize(engine, artefact)
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

/// What the child makes of a file.
async fn in_child(program: &Path, arguments: &[&str], wasm: &[u8]) -> Result<Vec<u8>, CompileError> {
    let unusable = |error: std::io::Error| CompileError::Child {
        program: program.display().to_string(),
        cause: error.to_string(),
    };
    let mut child = tokio::process::Command::new(program)
        .arg(COMPILE_SUBCOMMAND)
        .args(arguments)
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

/// The whole work of the hidden subcommand: limits itself, reads a file on stdin and writes to stdout what it becomes: a
/// component its machine code, or a core module its component.
pub fn compile_child_main(limits: CompileLimits, is_module: bool) -> ExitCode {
    match convert_stdin(limits, is_module) {
        Ok(()) => ExitCode::SUCCESS,
        Err((code, message)) => {
            let _ = writeln!(std::io::stderr(), "{message}");
            ExitCode::from(code)
        }
    }
}

fn convert_stdin(limits: CompileLimits, is_module: bool) -> Result<(), (u8, String)> {
    let system = |e: std::io::Error| (71, e.to_string());
    rlimit::Resource::CPU.set(limits.cpu_s, limits.cpu_s).map_err(system)?;
    rlimit::Resource::AS.set(limits.memory_bytes, limits.memory_bytes).map_err(system)?;
    rlimit::Resource::CORE.set(0, 0).map_err(system)?;
    let mut wasm = Vec::new();
    std::io::stdin().take(COMPONENT_BYTES_MAX as u64 + 1).read_to_end(&mut wasm).map_err(system)?;
    let refused = |why: String| (REFUSED_EXIT, why);
    let made = if is_module {
        componentise(&wasm).map_err(refused)?
    } else {
        let compiled = Engine::new(&code_settings()).and_then(|engine| engine.precompile_component(&wasm));
        compiled.map_err(|e| refused(format!("{e:#}")))?
    };
    std::io::stdout().write_all(&made).map_err(system)
}

fn componentise(module: &[u8]) -> Result<Vec<u8>, String> {
    wit_component::ComponentEncoder::default()
        .module(module)
        .and_then(|encoder| encoder.validate(true).encode())
        .map_err(|e| format!("{e:#}"))
}
