//! What a component must pass before it may run: size, form, imports, compiling
//! under limits, a trial load of every interface, a description that makes
//! sense. Every refusal has a code, a cause and a way out.

use std::sync::Arc;

use wasmparser::component_types::ComponentEntityType;
use wasmparser::{Parser, Payload, Validator};
use wasmtime::component::{Component, Instance};
use wasmtime::{Engine, Store};

use super::bindings::assistant::exports::pointsman::plugin::assistant as assistant_api;
use super::bindings::provider::ProviderCoreIndices;
use super::bindings::provider::exports::pointsman::plugin::descriptor;
use super::bindings::{account, assistant, backfill, media, sender, sessions, templates, webhook};
use super::call::{CallError, Crashes, DESCRIBE_CPU_MS, Loaded, Peak, Runner, Sandbox};
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
/// What everything of the contract is called, up to its name and version.
const CONTRACT: &str = "pointsman:plugin/";
/// The contract's major version that this host speaks.
const CONTRACT_MAJOR: u32 = 1;
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
    /// Built for another major version of the contract.
    #[error(
        "P111: the plugin speaks version {version} of the contract, this server speaks {CONTRACT_MAJOR}.x; {advice}"
    )]
    Version {
        /// The plugin's.
        version: String,
        /// What to do.
        advice: &'static str,
    },
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

/// Whether the bytes are a whole core module, which has to be made a component. Takes CPU: a few milliseconds a megabyte.
pub(super) fn is_module(wasm: &[u8]) -> Result<bool, InstallError> {
    if wasm.len() > COMPONENT_BYTES_MAX {
        return Err(InstallError::TooLarge { bytes: wasm.len() });
    }
    if Engine::detect_precompiled(wasm).is_some() || wasm.starts_with(b"\x7fELF") {
        return Err(InstallError::Precompiled);
    }
    if !Parser::is_component(wasm) && !Parser::is_core_wasm(wasm) {
        return Err(InstallError::Malformed("it does not start like one".into()));
    }
    Validator::new().validate_all(wasm).map_err(|e| InstallError::Malformed(e.to_string()))?;
    Ok(Parser::is_core_wasm(wasm))
}

/// Why a core module did not become a component.
pub(super) fn not_a_plugin(error: CompileError) -> InstallError {
    match error {
        CompileError::Refused(why) => InstallError::NotAPlugin(why),
        CompileError::Limit => InstallError::NotAPlugin("that took too much time, memory or stack".into()),
        other => other.into(),
    }
}

/// Nothing but `log.write` may be imported. Takes CPU like [`is_module`].
pub(super) fn check_imports(component: &[u8]) -> Result<(), InstallError> {
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
                    check_version(name)?;
                    let item = types.component_item_for_import(name).map(|item| &item.ty);
                    check_import(&types, name, item)?;
                }
            }
            Payload::ComponentExportSection(exports) if depth == 0 => {
                for export in exports {
                    check_version(export.map_err(malformed)?.name.name)?;
                }
            }
            _ => {}
        }
    }
    Ok(())
}

/// Says at once what would otherwise be a type that does not fit. Any 1.x will do: interfaces only ever come.
fn check_version(name: &str) -> Result<(), InstallError> {
    let Some((_, version)) = name.strip_prefix(CONTRACT).and_then(|rest| rest.split_once('@')) else {
        return Ok(());
    };
    let major = version.split('.').next().and_then(|major| major.parse::<u32>().ok());
    let advice = match major {
        Some(CONTRACT_MAJOR) => return Ok(()),
        Some(newer) if newer > CONTRACT_MAJOR => {
            "update the server, or install an older release of the plugin"
        }
        _ => "rebuild the plugin with the SDK of this server (`cargo update -p pointsman-plugin`)",
    };
    Err(InstallError::Version { version: version.to_owned(), advice })
}

fn check_import(
    types: &wasmparser::types::Types,
    name: &str,
    item: Option<&ComponentEntityType>,
) -> Result<(), InstallError> {
    let refuse = |name: String| {
        let advice = if name.starts_with("wasi:") {
            "nothing of WASI exists here: in Rust build for `wasm32-unknown-unknown` and find the crate that pulls it in with `cargo tree -i getrandom`, in JavaScript build with `--stub-wasi`"
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
    let provider = ProviderCoreIndices::new(&pre);
    let assistant = assistant::AssistantIndices::new(&pre).ok();
    Ok(Loaded {
        provider: match provider {
            Err(_) if assistant.is_some() => None,
            found => Some(found.map_err(contract)?),
        },
        assistant,
        webhook: webhook::WebhookIndices::new(&pre).ok(),
        sender: sender::SenderIndices::new(&pre).ok(),
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
    if let Some(export) = &loaded.provider {
        export.load(&mut *store, instance)?;
    }
    if let Some(export) = &loaded.assistant {
        export.load(&mut *store, instance)?;
    }
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

/// What a plugin says about itself, by what it is.
enum Described {
    Provider(descriptor::Manifest),
    Assistant(assistant_api::Manifest),
}

impl Described {
    fn manifest(self) -> Result<Manifest, ManifestError> {
        match self {
            Self::Provider(from) => of_provider(from)?,
            Self::Assistant(from) => of_assistant(from)?,
        }
        .check()
    }
}

async fn describe(runner: &Arc<Runner>) -> Result<Described, InstallError> {
    let mut guest = runner.open("", DESCRIBE, Arc::new(Redactor::default())).await?;
    let mut misfit = None;
    let call = async |loaded: &Loaded, instance: &Instance, store: &mut Store<CallState>| {
        if let Err(error) = load_all(loaded, instance, store) {
            misfit = Some(InstallError::Contract(format!("{error:#}")));
            return Err(error);
        }
        match (&loaded.provider, &loaded.assistant) {
            (Some(export), _) => {
                let provider = export.load(&mut *store, instance)?;
                let described = provider.pointsman_plugin_descriptor().call_describe(store).await;
                described.map(Described::Provider)
            }
            (None, Some(export)) => {
                let assistant = export.load(&mut *store, instance)?;
                let described = assistant.pointsman_plugin_assistant().call_describe(store).await;
                described.map(Described::Assistant)
            }
            (None, None) => Err(wasmtime::Error::msg("nothing that describes itself")),
        }
    };
    let described = guest.run(DESCRIBE, DESCRIBE_CPU_MS, call).await;
    described.map_err(|error| misfit.unwrap_or(InstallError::Describe(error)))
}

/// What an installed plugin says about itself now.
pub(super) async fn describe_again(runner: &Arc<Runner>) -> Result<Manifest, InstallError> {
    Ok(runner.compute(describe(runner)).await??.manifest()?)
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
        crashes: Crashes::default(),
        peak: Peak::default(),
    });
    let described = runner.compute(describe(&runner)).await??;
    let manifest = described.manifest()?;
    let Ok(runner) = Arc::try_unwrap(runner) else {
        return Err(InstallError::Host("a trial call is still running".into()));
    };
    Ok((Arc::new(Runner { id: manifest.id.clone(), ..runner }), manifest))
}

fn of_provider(from: descriptor::Manifest) -> Result<Manifest, ManifestError> {
    Ok(Manifest {
        id: from.id,
        name: from.name,
        version: from.version,
        publisher: from.publisher,
        docs_url: from.docs_url,
        license: from.license,
        settings: settings(from.settings)?,
        kinds: from.kinds.into_iter().map(convert::channel_kind).collect(),
        origins: from.origins,
        assistant: None,
    })
}

fn of_assistant(from: assistant_api::Manifest) -> Result<Manifest, ManifestError> {
    let mut manifest = Manifest {
        id: from.id,
        name: from.name,
        version: from.version,
        publisher: from.publisher,
        docs_url: from.docs_url,
        license: from.license,
        settings: settings(from.settings)?,
        kinds: Vec::new(),
        origins: from.origins,
        assistant: None,
    };
    manifest.assistant = Some(convert::abilities(from.tasks, from.languages, !manifest.may_call()));
    Ok(manifest)
}

fn settings(all: Vec<descriptor::Setting>) -> Result<Vec<Setting>, ManifestError> {
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
            sent_to: s.sent_to,
        })
    };
    all.into_iter().map(setting).collect()
}

impl From<descriptor::FieldError> for FieldError {
    fn from(error: descriptor::FieldError) -> Self {
        Self { setting: error.setting, message: error.message }
    }
}
