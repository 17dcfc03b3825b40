//! What a component must pass before it may run: size, form, imports, compiling
//! under limits, a trial load of every interface, a description that makes
//! sense. Every refusal has a code, a cause and a way out.

use std::sync::Arc;

use wasmparser::component_types::ComponentEntityType;
use wasmparser::{Parser, Payload, Validator};
use wasmtime::component::{Component, Instance};
use wasmtime::{Engine, Store};

use super::bindings::provider::ProviderCoreIndices;
use super::bindings::provider::exports::pointsman::plugin::descriptor;
use super::bindings::{account, backfill, media, sessions, templates};
use super::call::{CallError, DESCRIBE_CPU_MS, Loaded, Runner, Sandbox};
use super::compile::CompileError;
use super::convert;
use super::engine::{self, CallState};
use super::journal::{RecentLog, Redactor};
use super::manifest::{Manifest, ManifestError, Setting};
use super::wire::FieldError;

/// Largest component, bytes; larger ones are refused before they are read.
pub const COMPONENT_BYTES_MAX: usize = 16 << 20;
/// The one instance with a function that a plugin may import.
const LOG_IMPORT: &str = "pointsman:plugin/log@";
/// The one function in it.
const LOG_FUNCTION: &str = "write";

const DESCRIBE: &str = "descriptor.describe";

/// Why a plugin was not installed.
#[derive(Debug, thiserror::Error)]
pub enum InstallError {
    /// Larger than [`COMPONENT_BYTES_MAX`].
    #[error(
        "P100: the plugin has {bytes} bytes, {COMPONENT_BYTES_MAX} are allowed; build it with `--profile guest` and without unused dependencies"
    )]
    TooLarge {
        /// Its size.
        bytes: usize,
    },
    /// It wants more than `log.write`.
    #[error("P101: the plugin imports `{name}`, and only `log.write` is offered; {advice}")]
    Import {
        /// The import.
        name: String,
        /// What to do.
        advice: &'static str,
    },
    /// Machine code instead of wasm.
    #[error("P102: this is compiled machine code, which is never accepted; install the `.wasm` file")]
    Precompiled,
    /// Neither a core module nor a component, or a broken one.
    #[error(
        "P103: this is not a whole WebAssembly component: {0}; build it again and copy it in binary mode"
    )]
    Malformed(String),
    /// A core module without the contract inside.
    #[error(
        "P104: this core module cannot be made a component: {0}; build it with the plugin SDK for `wasm32-unknown-unknown`"
    )]
    NotAPlugin(String),
    /// Built against another contract.
    #[error(
        "P110: the plugin does not fit this server's contract: {0}; rebuild it with the SDK of this version (`cargo update -p pointsman-plugin`)"
    )]
    Contract(String),
    /// It could not be compiled.
    #[error(transparent)]
    Compile(#[from] CompileError),
    /// It failed while it described itself.
    #[error(transparent)]
    Describe(#[from] CallError),
    /// Its description makes no sense.
    #[error("P130: the plugin's manifest is not valid: {0}")]
    Manifest(#[from] ManifestError),
    /// The host is at fault.
    #[error("P207: the plugin host failed: {0}; please report this")]
    Host(String),
}

/// The component inside the bytes, with its form and its imports checked. Takes CPU: a few milliseconds a megabyte.
pub(super) fn component_bytes(wasm: &[u8]) -> Result<Vec<u8>, InstallError> {
    if wasm.len() > COMPONENT_BYTES_MAX {
        return Err(InstallError::TooLarge { bytes: wasm.len() });
    }
    if Engine::detect_precompiled(wasm).is_some() || wasm.starts_with(b"\x7fELF") {
        return Err(InstallError::Precompiled);
    }
    let component = if Parser::is_component(wasm) {
        wasm.to_vec()
    } else if Parser::is_core_wasm(wasm) {
        Validator::new().validate_all(wasm).map_err(|e| InstallError::Malformed(e.to_string()))?;
        componentise(wasm)?
    } else {
        return Err(InstallError::Malformed("it does not start like one".into()));
    };
    check_imports(&component)?;
    Ok(component)
}

/// Authors only need `cargo build`: the contract travels in a custom section of the core module.
fn componentise(module: &[u8]) -> Result<Vec<u8>, InstallError> {
    let refused = |e: anyhow::Error| InstallError::NotAPlugin(format!("{e:#}"));
    wit_component::ComponentEncoder::default()
        .module(module)
        .and_then(|encoder| encoder.validate(true).encode())
        .map_err(refused)
}

fn check_imports(component: &[u8]) -> Result<(), InstallError> {
    let malformed = |e: wasmparser::BinaryReaderError| InstallError::Malformed(e.to_string());
    let types = Validator::new().validate_all(component).map_err(malformed)?;
    let mut depth = 0_u32;
    for payload in Parser::new(0).parse_all(component) {
        match payload.map_err(malformed)? {
            Payload::ModuleSection { .. } | Payload::ComponentSection { .. } => depth += 1,
            Payload::End(_) => depth = depth.saturating_sub(1),
            Payload::ComponentImportSection(imports) if depth == 0 => {
                for import in imports {
                    let name = import.map_err(malformed)?.name.name;
                    let item = types.component_item_for_import(name).map(|item| &item.ty);
                    check_import(&types, name, item)?;
                }
            }
            _ => {}
        }
    }
    Ok(())
}

fn check_import(
    types: &wasmparser::types::Types,
    name: &str,
    item: Option<&ComponentEntityType>,
) -> Result<(), InstallError> {
    let refuse = |name: String| {
        let advice = if name.starts_with("wasi:") {
            "nothing of WASI exists here: build for `wasm32-unknown-unknown`, and find the crate that pulls it in with `cargo tree -i getrandom`"
        } else {
            "remove the import; HTTP is asked for by returning a call, time comes with the context"
        };
        Err(InstallError::Import { name, advice })
    };
    let Some(ComponentEntityType::Instance(id)) = item else {
        return match item {
            Some(ComponentEntityType::Type { .. }) => Ok(()),
            _ => refuse(name.to_owned()),
        };
    };
    for (export, item) in &types[*id].exports {
        let allowed = match item.ty {
            ComponentEntityType::Type { .. } => true,
            ComponentEntityType::Func(_) => name.starts_with(LOG_IMPORT) && export == LOG_FUNCTION,
            _ => false,
        };
        if !allowed {
            return refuse(format!("{name}#{export}"));
        }
    }
    Ok(())
}

/// Finds the exports of a compiled component, by name.
fn locate(engine: &Engine, component: &Component) -> Result<Loaded, InstallError> {
    let contract = |e: wasmtime::Error| InstallError::Contract(format!("{e:#}"));
    let linker = engine::linker(engine).map_err(|e| InstallError::Host(e.to_string()))?;
    let pre = linker.instantiate_pre(component).map_err(contract)?;
    Ok(Loaded {
        provider: ProviderCoreIndices::new(&pre).map_err(contract)?,
        account: account::AccountIndices::new(&pre).ok(),
        media: media::MediaIndices::new(&pre).ok(),
        templates: templates::TemplatesIndices::new(&pre).ok(),
        sessions: sessions::SessionsIndices::new(&pre).ok(),
        backfill: backfill::BackfillIndices::new(&pre).ok(),
        pre,
    })
}

/// Loads every interface once, so that a type that does not fit shows now and not at the first message.
fn load_all(
    loaded: &Loaded,
    instance: &wasmtime::component::Instance,
    store: &mut Store<CallState>,
) -> wasmtime::Result<()> {
    loaded.provider.load(&mut *store, instance)?;
    if let Some(export) = &loaded.account {
        export.load(&mut *store, instance)?;
    }
    if let Some(export) = &loaded.media {
        export.load(&mut *store, instance)?;
    }
    if let Some(export) = &loaded.templates {
        export.load(&mut *store, instance)?;
    }
    if let Some(export) = &loaded.sessions {
        export.load(&mut *store, instance)?;
    }
    if let Some(export) = &loaded.backfill {
        export.load(&mut *store, instance)?;
    }
    Ok(())
}

async fn describe(runner: &Arc<Runner>) -> Result<descriptor::Manifest, InstallError> {
    let mut guest = runner.open("", DESCRIBE, Arc::new(Redactor::default())).await?;
    let mut misfit = None;
    let call = async |loaded: &Loaded, instance: &Instance, store: &mut Store<CallState>| {
        if let Err(error) = load_all(loaded, instance, store) {
            misfit = Some(InstallError::Contract(format!("{error:#}")));
            return Err(error);
        }
        let provider = loaded.provider.load(&mut *store, instance)?;
        provider.pointsman_plugin_descriptor().call_describe(store).await
    };
    let described = guest.run(DESCRIBE, DESCRIBE_CPU_MS, call).await;
    described.map_err(|error| misfit.unwrap_or(InstallError::Describe(error)))
}

/// Instantiates a compiled component, loads everything it exports and asks it who it is.
pub(super) async fn try_out(
    sandbox: &Arc<Sandbox>,
    component: &Component,
) -> Result<(Arc<Runner>, Manifest), InstallError> {
    let runner = Arc::new(Runner {
        id: "(new)".into(),
        loaded: locate(&sandbox.engine, component)?,
        gate: sandbox.gate(),
        sandbox: sandbox.clone(),
        log: RecentLog::default(),
    });
    let described = runner.compute(describe(&runner)).await??;
    let manifest = manifest(described)?.check()?;
    let Ok(runner) = Arc::try_unwrap(runner) else {
        return Err(InstallError::Host("a trial call is still running".into()));
    };
    Ok((Arc::new(Runner { id: manifest.id.clone(), ..runner }), manifest))
}

fn manifest(from: descriptor::Manifest) -> Result<Manifest, ManifestError> {
    let setting = |s: descriptor::Setting| {
        let default = s.default_json.map(|json| serde_json::from_str(&json)).transpose();
        Ok(Setting {
            default: default
                .map_err(|e| ManifestError::Default { setting: s.name.clone(), cause: e.to_string() })?,
            name: s.name,
            label: s.label,
            help: s.help,
            kind: convert::setting_kind(s.kind),
            required: s.required,
            pattern: s.pattern,
            example: s.example,
        })
    };
    Ok(Manifest {
        id: from.id,
        name: from.name,
        version: from.version,
        publisher: from.publisher,
        docs_url: from.docs_url,
        license: from.license,
        settings: from.settings.into_iter().map(setting).collect::<Result<_, _>>()?,
        kinds: from.kinds.into_iter().map(convert::channel_kind).collect(),
        origins: from.origins,
    })
}

impl From<descriptor::FieldError> for FieldError {
    fn from(error: descriptor::FieldError) -> Self {
        Self { setting: error.setting, message: error.message }
    }
}
