//! The contract is a promise to every plugin that is already built. Its lines,
//! without comments, are kept in `contract.golden`; a change shows there in review.

const CONTRACT: &str = include_str!("../../wit/plugin.wit");
const GOLDEN: &str = include_str!("contract.golden");

/// Lines without comments and without the spaces that only lay them out.
fn bare(text: &str) -> String {
    let line =
        |line: &str| line.split("//").next().unwrap_or("").split_whitespace().collect::<Vec<_>>().join(" ");
    text.lines().map(line).filter(|line| !line.is_empty()).fold(String::new(), |all, line| all + &line + "\n")
}

#[test]
fn the_contract_is_the_one_that_plugins_were_built_for() {
    let now = bare(CONTRACT);
    if std::env::var_os("POINTSMAN_UPDATE").is_some() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/contract.golden");
        std::fs::write(path, now).unwrap();
        return;
    }
    assert!(
        now == GOLDEN,
        "plugins/wit/plugin.wit has changed: within 1.x only new interfaces may be added; \
         if this is one, run the test with POINTSMAN_UPDATE=1 and commit contract.golden"
    );
}
