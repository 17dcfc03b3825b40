//! Lists files that the binary carries, with what is in them: the built console, and the example plugin with the SDK,
//! which `pointsman plugin new` copies. Builds nothing itself: without a console its list is empty, and the server says
//! how to get one.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::{env, fs, io};

/// Where `make console` puts what it built.
const CONSOLE: &str = "console/dist/app";
/// What `pointsman plugin new` copies, from the root of the repository.
const KIT: [&str; 13] = [
    "examples/plugin",
    "examples/plugin-js/.npmrc",
    "examples/plugin-js/README.md",
    "examples/plugin-js/cases",
    "examples/plugin-js/kit.js",
    "examples/plugin-js/package.json",
    "examples/plugin-js/plugin.js",
    "examples/plugin-js/wit",
    "plugins/cases/Cargo.toml",
    "plugins/cases/src",
    "plugins/sdk/Cargo.toml",
    "plugins/sdk/src",
    "plugins/wit",
];

fn main() -> io::Result<()> {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed=console/dist");
    let (mut console, mut files) = (PathBuf::from(CONSOLE), Vec::new());
    if console.is_dir() {
        console = fs::canonicalize(console)?;
        collect(&console, &mut files)?;
    }
    list("console.rs", "include_bytes!", ".as_slice()", &console, files)?;
    let root = fs::canonicalize("..")?;
    let mut files = Vec::new();
    for part in KIT {
        println!("cargo::rerun-if-changed=../{part}");
        collect(&root.join(part), &mut files)?;
    }
    list("kit.rs", "include_str!", "", &root, files)
}

/// Writes a list of files, by their path below `root`, as Rust.
fn list(name: &str, include: &str, then: &str, root: &Path, mut files: Vec<PathBuf>) -> io::Result<()> {
    files.sort();
    let mut list = String::from("&[\n");
    for file in files {
        let path = file.strip_prefix(root).unwrap_or(&file).to_string_lossy().replace('\\', "/");
        writeln!(list, "    ({path:?}, {include}({file:?}){then}),").map_err(io::Error::other)?;
    }
    list.push(']');
    let out = env::var_os("OUT_DIR").ok_or_else(|| io::Error::other("cargo sets OUT_DIR"))?;
    fs::write(PathBuf::from(out).join(name), list)
}

/// All files below a place.
fn collect(place: &Path, files: &mut Vec<PathBuf>) -> io::Result<()> {
    if place.is_file() {
        files.push(place.to_owned());
        return Ok(());
    }
    for entry in fs::read_dir(place)? {
        collect(&entry?.path(), files)?;
    }
    Ok(())
}
