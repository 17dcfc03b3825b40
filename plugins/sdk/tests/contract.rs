//! The contract is a promise to every plugin that is already built. What 1.0.0
//! says is kept in `contract.golden`, without comments; within 1.x every interface
//! and world that is there stays word for word, and only new ones may be added.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::collections::BTreeMap;

const CONTRACT: &str = include_str!("../../wit/plugin.wit");
const GOLDEN: &str = include_str!("contract.golden");
const PACKAGE: &str = "package pointsman:plugin@1.";

/// Lines without comments and without the spaces that only lay them out.
fn bare(text: &str) -> String {
    let line =
        |line: &str| line.split("//").next().unwrap_or("").split_whitespace().collect::<Vec<_>>().join(" ");
    text.lines().map(line).filter(|line| !line.is_empty()).fold(String::new(), |all, line| all + &line + "\n")
}

/// Everything with braces at the top level, by its first words: `interface http`, `world provider`.
fn blocks(text: &str) -> BTreeMap<String, String> {
    let (mut blocks, mut block, mut depth) = (BTreeMap::new(), String::new(), 0_i32);
    for line in bare(text).lines().filter(|line| !line.starts_with("package ")) {
        block += line;
        block.push('\n');
        let count = |brace: char| i32::try_from(line.matches(brace).count()).unwrap();
        depth += count('{') - count('}');
        if depth == 0 {
            let name = block.split('{').next().unwrap_or("").trim().to_owned();
            assert!(blocks.insert(name, std::mem::take(&mut block)).is_none(), "a name stands twice");
        }
    }
    assert!(block.is_empty(), "the braces do not match: {block}");
    blocks
}

/// What breaks plugins that were built for `old`.
fn breaks(old: &str, new: &str) -> Vec<String> {
    let mut found = Vec::new();
    if !bare(new).starts_with(PACKAGE) {
        found.push("it is not version 1 any more".to_owned());
    }
    let new = blocks(new);
    for (name, block) in blocks(old) {
        match new.get(&name) {
            None => found.push(format!("`{name}` is gone")),
            Some(now) if *now != block => found.push(format!("`{name}` has changed")),
            Some(_) => {}
        }
    }
    found
}

#[test]
fn the_contract_is_the_one_that_plugins_were_built_for() {
    let found = breaks(GOLDEN, CONTRACT);
    assert!(
        found.is_empty(),
        "plugins/wit/plugin.wit breaks plugins that exist: {found:?}. Within 1.x put what is new into an \
         interface of its own; `extras` and `other` are there for small things"
    );
    if std::env::var_os("POINTSMAN_UPDATE").is_some() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/contract.golden");
        std::fs::write(path, bare(CONTRACT)).unwrap();
        return;
    }
    assert!(
        blocks(GOLDEN).len() == blocks(CONTRACT).len(),
        "the contract has new interfaces or worlds: run this test with POINTSMAN_UPDATE=1 and commit contract.golden"
    );
}

#[test]
fn what_breaks_plugins_is_told_from_what_does_not() {
    let old = "package pointsman:plugin@1.0.0;\ninterface a { // why\n  record r { x: u32 }\n}\nworld w { export a; }\n";
    let changed = |from: &str, to: &str| breaks(old, &old.replace(from, to));
    assert!(changed("why", "because").is_empty(), "comments may change");
    assert!(changed("@1.0.0", "@1.1.0").is_empty());
    assert!(changed("world w", "interface b { f: func(); }\nworld w").is_empty(), "new interfaces may come");
    assert_eq!(changed("x: u32", "x: u32, y: u32"), ["`interface a` has changed"]);
    assert_eq!(changed("interface a", "interface b"), ["`interface a` is gone"]);
    assert_eq!(changed("export a", "export a; import log"), ["`world w` has changed"]);
    assert_eq!(changed("@1.0.0", "@2.0.0"), ["it is not version 1 any more"]);
}
