//! Tables, memories, globals, handles and instances without measure: things that no guest in Rust can ask for, so that
//! they are written in the text format and appended to the test guest.

use std::fmt::Write as _;

use pointsman::plugins::{CallError, Host, InstallError};

use crate::stage::{Names, config, host, wasm};

/// The test guest as a component, with this text of a component behind it.
pub(crate) fn guest_and(text: &str) -> Vec<u8> {
    let mut component = wit_component::ComponentEncoder::default().module(&wasm("sandbox_guest")).unwrap();
    let printed = wasmprinter::print_bytes(component.encode().unwrap()).unwrap();
    let open = printed.trim_end().strip_suffix(')').unwrap();
    wat::parse_str(format!("{open}\n{text}\n)")).unwrap()
}

/// A core module with these parts, instantiated beside the guest.
fn module(parts: &str) -> String {
    format!("(core module $bomb {parts}) (core instance (instantiate $bomb))")
}

async fn refused(host: &Host, text: &str) -> InstallError {
    match host.install(&guest_and(text)).await {
        Ok(_) => panic!("it was installed: {}", text.chars().take(80).collect::<String>()),
        Err(error) => error,
    }
}

/// A table that grows by a thousand entries again and again, from the moment in which it is there.
pub(crate) fn growing_table() -> String {
    let body = "(loop $again (drop (table.grow $t (ref.null func) (i32.const 1000))) (br $again))";
    module(&format!("(table $t 0 funcref) (func $go {body}) (start $go)"))
}

/// Handles of a resource of its own, one after the other.
pub(crate) fn growing_handles() -> String {
    let module = "(core module $bomb (import \"own\" \"new\" (func $new (param i32) (result i32)))
        (func $go (loop $again (drop (call $new (i32.const 0))) (br $again))) (start $go))";
    format!(
        "(type $thing (resource (rep i32))) (core func $make (canon resource.new $thing)) {module}
        (core instance (instantiate $bomb (with \"own\" (instance (export \"new\" (func $make))))))"
    )
}

#[tokio::test]
async fn the_guest_with_nothing_behind_it_is_installed() {
    let host = Host::new(config(Names(Default::default()))).unwrap();
    host.install(&guest_and(&module("(func)"))).await.expect("what is refused below is refused for the bomb");
}

/// What grows is stopped where it grows. What stays of it is measured in `figures`.
#[tokio::test]
async fn tables_and_handles_cannot_grow_without_end() {
    let host = Host::new(config(Names(Default::default()))).unwrap();
    for (bomb, word) in [(growing_table(), "table limit"), (growing_handles(), "handle")] {
        let error = refused(&host, &bomb).await;
        let InstallError::Describe(CallError::Crashed { cause, .. }) = &error else { panic!("{error}") };
        assert!(cause.contains(word), "{error}");
    }
}

#[tokio::test]
async fn what_is_too_large_from_the_start_is_refused() {
    let host = Host::new(config(Names(Default::default()))).unwrap();
    let instances = |count: usize| {
        let mut text = "(core module $small)".to_owned();
        for _ in 0..count {
            let _ = write!(text, "(core instance (instantiate $small))");
        }
        text
    };
    for (what, bomb, code, word) in [
        ("a table of 20,001 entries", module("(table 20001 funcref)"), "P122", "table"),
        ("three tables in a module", module(&"(table 1 funcref)".repeat(3)), "P122", "tables"),
        ("two memories in a module", module("(memory 1) (memory 1)"), "P122", "memories"),
        ("513 pages of memory", module("(memory 513)"), "P122", "memory"),
        ("100,000 globals", module(&"(global i64 (i64.const 0))".repeat(100_000)), "P122", "size"),
        ("25 more instances", instances(25), "P122", "core module instances"),
        ("1,000 more instances", instances(1_000), "P103", "instances"),
        ("100,001 element segments", module(&"(elem func)".repeat(100_001)), "P103", "element segments"),
    ] {
        let error = refused(&host, &bomb).await.to_string();
        assert!(error.starts_with(code) && error.contains(word), "{what}: {error}");
    }
}

#[tokio::test]
async fn an_element_segment_beside_its_table_is_a_trap() {
    let host = Host::new(config(Names(Default::default()))).unwrap();
    let text = module("(table $t 1 funcref) (func $f) (elem (table $t) (i32.const 7) func $f)");
    let error = refused(&host, &text).await;
    let InstallError::Describe(CallError::Crashed { cause, .. }) = &error else { panic!("{error}") };
    assert!(cause.contains("table"), "{error}");
}

/// A file that was refused leaves the ones beside it as they were.
#[tokio::test]
async fn after_a_bomb_others_are_served() {
    let (host, plugin) = host().await;
    refused(&host, &growing_table()).await;
    let (channel, webhook) = (crate::stage::channel(), crate::stage::webhook(&[]));
    plugin.authenticate(&channel, &webhook).await.expect("an honest plugin beside it");
}
