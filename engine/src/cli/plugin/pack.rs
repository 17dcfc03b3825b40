//! `pointsman plugin pack`: the one file to give away. It is the plugin with its
//! manifest beside the code, so that it can be read without running anything.

use std::path::PathBuf;

use clap::Args;
use serde_json::json;
use wasmparser::{Parser, Payload};

use super::super::error::CliError;
use super::super::output::Out;
use super::{build, check, loaded};
use crate::plugins::Manifest;

/// Custom section that holds the manifest as JSON.
const SECTION: &str = "pointsman:manifest";
/// Id of a custom section in a wasm file.
const CUSTOM: u8 = 0;

/// Check a plugin and make the one file to give away
#[derive(Debug, Clone, Args)]
pub(in super::super) struct Pack {
    /// Folder of the plugin, which is built first, or a .wasm file
    #[arg(default_value = ".")]
    plugin: PathBuf,
    /// Folder of the cases [default: cases beside the plugin]
    #[arg(long)]
    cases: Option<PathBuf>,
    /// What to write [default: ID-VERSION.wasm]
    #[arg(long, short)]
    output: Option<PathBuf>,
}

impl Pack {
    pub(super) async fn run(self, out: Out) -> Result<(), CliError> {
        let wasm = build::wasm(&self.plugin).await?;
        let (plugin, _scratch) = loaded(&wasm).await?;
        let checked = check::checked(&plugin, self.plugin, self.cases).await?;
        if !checked.is_good() {
            return Err(CliError::Failed(format!("it is not packed, because it fails\n{}", checked.told())));
        }
        let manifest = plugin.manifest();
        let packed = match kept_manifest(&wasm) {
            Some(_) => wasm,
            None => with_manifest(wasm, manifest)?,
        };
        let (packed_plugin, _scratch) = loaded(&packed).await?;
        let file = self
            .output
            .unwrap_or_else(|| PathBuf::from(format!("{}-{}.wasm", manifest.id, manifest.version)));
        build::write(&file, &packed)?;
        let digest = packed_plugin.digest();
        let result = json!({"ok": true, "file": file, "digest": digest, "bytes": packed.len()});
        Ok(out.result(&result, || format!("{}\n  sha-256   {digest}", file.display()))?)
    }
}

/// The file with one more section at its end.
fn with_manifest(mut wasm: Vec<u8>, manifest: &Manifest) -> Result<Vec<u8>, CliError> {
    let json = serde_json::to_vec(manifest).map_err(|error| CliError::Failed(error.to_string()))?;
    let mut content = Vec::new();
    leb128(SECTION.len(), &mut content);
    content.extend(SECTION.bytes());
    content.extend(json);
    wasm.push(CUSTOM);
    leb128(content.len(), &mut wasm);
    wasm.extend(content);
    Ok(wasm)
}

/// Lengths as wasm writes them.
fn leb128(mut number: usize, to: &mut Vec<u8>) {
    while number >= 0x80 {
        to.push(u8::try_from(number & 0x7f).unwrap_or_default() | 0x80);
        number >>= 7;
    }
    to.push(u8::try_from(number).unwrap_or_default());
}

/// The manifest that was packed with a file.
pub(super) fn kept_manifest(wasm: &[u8]) -> Option<Manifest> {
    let payloads = Parser::new(0).parse_all(wasm).filter_map(Result::ok);
    let sections = payloads.filter_map(|payload| match payload {
        Payload::CustomSection(section) if section.name() == SECTION => Some(section.data()),
        _ => None,
    });
    serde_json::from_slice(sections.last()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_manifest_travels_with_its_file() {
        let manifest = Manifest {
            id: "acme".into(),
            name: "Acme".repeat(40),
            version: "0.1.0".into(),
            publisher: "Acme".into(),
            docs_url: None,
            license: None,
            settings: Vec::new(),
            kinds: Vec::new(),
            origins: vec!["https://api.acme.example".into()],
            assistant: None,
        };
        let empty_module = b"\0asm\x01\0\0\0".to_vec();
        assert_eq!(kept_manifest(&empty_module), None);
        let packed = with_manifest(empty_module, &manifest).unwrap();
        wasmparser::Validator::new().validate_all(&packed).unwrap();
        assert_eq!(kept_manifest(&packed), Some(manifest));
    }
}
