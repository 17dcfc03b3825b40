//! What the codes mean that the host puts in front of its refusals: cause and
//! way out, at more length than a line allows.

/// A code and what is to be said about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Explanation {
    /// `P101`.
    pub code: &'static str,
    /// What happened.
    pub what: &'static str,
    /// Why it happens.
    pub cause: &'static str,
    /// What to do.
    pub fix: &'static str,
}

/// The explanation of a code, however it is spelt.
pub fn explain(code: &str) -> Option<&'static Explanation> {
    ALL.iter().find(|it| it.code.eq_ignore_ascii_case(code.trim()))
}

/// All codes, in order.
pub const ALL: &[Explanation] = &[
    Explanation {
        code: "P100",
        what: "The file is too large.",
        cause: "Debug symbols and unused dependencies make most of it: a provider needs 150 to 600 KiB.",
        fix: "Build it with `pointsman plugin build`, which uses the profile `guest`. `cargo tree` shows what is pulled in; \
              `regex`, `chrono` and `reqwest` are not needed in a plugin.",
    },
    Explanation {
        code: "P101",
        what: "The plugin imports something else than `log.write`.",
        cause: "A plugin computes and nothing else: no files, clock, chance or network exist here. An import of `wasi:` \
                comes from another target than wasm32-unknown-unknown, or from a crate that asks the system for chance or time.",
        fix: "In Rust, build for wasm32-unknown-unknown and look for the crate with `cargo tree -i getrandom`; a time comes \
              as `context.now`, maps are `BTreeMap`. In JavaScript, `componentize-qjs` needs `--stub-wasi` and `--sync`. \
              HTTP is asked for by returning a call.",
    },
    Explanation {
        code: "P102",
        what: "The file is compiled machine code.",
        cause: "Machine code can do anything, so it is never taken from outside.",
        fix: "Install the `.wasm` file; the server compiles it itself and keeps the result.",
    },
    Explanation {
        code: "P103",
        what: "The file is no whole WebAssembly component.",
        cause: "It was cut, changed on its way, or is something else, e.g. a page of an error that was downloaded.",
        fix: "Build it again, copy it in binary mode, and compare its SHA-256 with that of `pointsman plugin inspect`.",
    },
    Explanation {
        code: "P104",
        what: "The core module cannot be made a component.",
        cause: "It asks for functions that no contract offers, or it was made by another version of wit-bindgen.",
        fix: "Build it for wasm32-unknown-unknown with the SDK that `pointsman plugin new` gives, and with nothing that \
              declares `extern` functions of its own.",
    },
    Explanation {
        code: "P110",
        what: "The plugin does not fit this server's contract.",
        cause: "A function or record of the contract is missing or has another shape: it was built for another contract, or \
                it exports nothing. Within one major version of the contract nothing is changed, so an older plugin fits a \
                newer server and not the other way round.",
        fix: "Write `export!(YourProvider);` once in lib.rs and rebuild with the SDK of this server: `pointsman plugin new` \
              writes it to `kit/`, and copying that folder into an existing plugin updates it. For a plugin that is newer \
              than the server, update the server.",
    },
    Explanation {
        code: "P111",
        what: "The plugin speaks another major version of the contract.",
        cause: "Between major versions records and functions change, so that nothing would fit. Within one, every older \
                plugin runs.",
        fix: "For a plugin of an older version, rebuild it with the SDK of this server; for one that is newer, update the \
              server or install an older release of the plugin.",
    },
    Explanation {
        code: "P120",
        what: "The process that compiles plugins cannot be used.",
        cause: "Unknown code is compiled in a process of its own, started from the server's own program, which was moved, \
                replaced or may not be run.",
        fix: "Put the program back and start the server anew; in a container, check that its file system may run programs.",
    },
    Explanation {
        code: "P121",
        what: "Compiling took too long or too much memory.",
        cause: "Machine-made code with enormous functions, or a file made to do harm.",
        fix: "Make its functions smaller; tables of data belong into `const` slices and not into code.",
    },
    Explanation {
        code: "P122",
        what: "The compiler refuses the plugin.",
        cause: "It uses a proposal of WebAssembly that is off here, e.g. threads or 64-bit memory, or has more tables, \
                memories or instances than fit one component.",
        fix: "Rebuild it without special target features, from one core module.",
    },
    Explanation {
        code: "P123",
        what: "The folder of compiled plugins cannot be used.",
        cause: "It belongs to somebody else, or the disk is full.",
        fix: "Check the owner and the free space of `plugins.cache_dir`; it may be deleted at any time.",
    },
    Explanation {
        code: "P130",
        what: "The manifest makes no sense.",
        cause: "`describe` gives an id, kind or setting that is no plain word, one twice, a default that does not fit its \
                setting, or an origin that is no plain https origin.",
        fix: "Correct what the line names. A self-hosted vendor has no fixed origin: declare a setting of kind `egress-url`.",
    },
    Explanation {
        code: "P201",
        what: "The plugin crashed.",
        cause: "A panic in Rust or an exception in JavaScript. The line names file and line; its words are only shown when \
                they are a literal, since formatted ones may quote a contact.",
        fix: "Put the webhook or message into a case folder and run `pointsman plugin test`; `unwrap`, indexing and \
              division are the usual places. A webhook that crashed is kept and can be replayed once the plugin is mended.",
    },
    Explanation {
        code: "P202",
        what: "The plugin computed for too long.",
        cause: "A loop without end, or work that grows with the square of the input.",
        fix: "Test it with a large webhook: `pointsman plugin check` repeats bodies ten times and tells what a call uses.",
    },
    Explanation {
        code: "P203",
        what: "The plugin wanted too much memory.",
        cause: "It copies a large body several times, or collects without a bound.",
        fix: "Borrow instead of cloning, and leave files to the host: a call with the sink `blob` never enters the plugin.",
    },
    Explanation {
        code: "P204",
        what: "The plugin ran out of stack or left its memory.",
        cause: "Most often recursion without end, e.g. over JSON that nests deep.",
        fix: "Read JSON into types instead of walking it, or count the depth.",
    },
    Explanation {
        code: "P205",
        what: "The plugin handed over too much data.",
        cause: "One call returned or logged megabytes.",
        fix: "Return less: events hold no raw webhook, the host has kept that already.",
    },
    Explanation {
        code: "P206",
        what: "Too many calls of the plugin wait.",
        cause: "The vendor is slow, or the plugin needs much CPU.",
        fix: "It is tried again by itself. If it stays, look at the plugin's log and the vendor's state.",
    },
    Explanation {
        code: "P207",
        what: "The host itself failed.",
        cause: "A mistake in Pointsman.",
        fix: "Report it with the line and the plugin's id and version.",
    },
    Explanation {
        code: "P301",
        what: "A call went to an origin that the plugin may not call.",
        cause: "A plugin calls the origins of its manifest and the addresses in its settings of kind `egress-url`, and \
                nothing else; redirects are not followed.",
        fix: "Add the origin that the line names to `origins` in `describe`. Vendors that serve files from another host \
              need that one, too. Whoever upgrades the plugin is asked for consent.",
    },
    Explanation {
        code: "P302",
        what: "A call went to a private or reserved address.",
        cause: "Names that lead into the server's own network would let a channel's settings reach what only the server may.",
        fix: "For a vendor in your own network an admin sets `allow_private_egress` on the channel. Link-local and metadata \
              addresses are never called.",
    },
];

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::Path;

    use super::*;

    /// Codes in the texts of a file or of a folder's files.
    fn codes(path: &Path, found: &mut BTreeSet<String>) {
        if path.is_dir() {
            for entry in std::fs::read_dir(path).unwrap() {
                codes(&entry.unwrap().path(), found);
            }
        } else if !path.ends_with("explain.rs") {
            let text = std::fs::read_to_string(path).unwrap();
            let code = regex::Regex::new(r"\bP[1-3][0-9]{2}\b").unwrap();
            found.extend(code.find_iter(&text).map(|it| it.as_str().to_owned()));
        }
    }

    #[test]
    fn every_code_that_is_said_is_explained_and_no_other() {
        let mut said = BTreeSet::new();
        codes(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src/plugins"), &mut said);
        codes(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src/plugins.rs"), &mut said);
        let explained: BTreeSet<String> = ALL.iter().map(|it| it.code.to_owned()).collect();
        assert_eq!(said, explained);
        assert_eq!(explain(" p101 ").unwrap().code, "P101");
        assert_eq!(explain("P999"), None);
    }
}
