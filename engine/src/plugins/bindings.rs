//! Bindings made from the contract's text. The core world is what every
//! provider exports; each optional interface has a probe world of its own, so
//! that it is looked for by itself. All share the types of the core bindings.
#![allow(missing_docs, unreachable_pub, clippy::all, reason = "generated")]

/// `log`, `descriptor`, `webhook`, `sender`.
pub(super) mod provider {
    wasmtime::component::bindgen!({
        path: "../plugins/wit",
        world: "pointsman:plugin/provider-core",
        imports: { default: trappable },
        exports: { default: async },
    });
}

macro_rules! probe {
    ($module:ident, $world:literal) => {
        pub(super) mod $module {
            wasmtime::component::bindgen!({
                path: ["../plugins/wit", "src/plugins/probes.wit"],
                world: $world,
                exports: { default: async },
                with: {
                    "pointsman:plugin/types": crate::plugins::bindings::provider::pointsman::plugin::types,
                    "pointsman:plugin/http": crate::plugins::bindings::provider::pointsman::plugin::http,
                },
            });
        }
    };
}
probe!(account, "pointsman:probes/account");
probe!(media, "pointsman:probes/media");
probe!(templates, "pointsman:probes/templates");
probe!(sessions, "pointsman:probes/sessions");
/// Its events are those of webhooks.
pub(super) mod backfill {
    wasmtime::component::bindgen!({
        path: ["../plugins/wit", "src/plugins/probes.wit"],
        world: "pointsman:probes/backfill",
        exports: { default: async },
        with: {
            "pointsman:plugin/types": crate::plugins::bindings::provider::pointsman::plugin::types,
            "pointsman:plugin/http": crate::plugins::bindings::provider::pointsman::plugin::http,
            "pointsman:plugin/events": crate::plugins::bindings::provider::pointsman::plugin::events,
        },
    });
}
/// Its settings are those of channels.
pub(super) mod assistant {
    wasmtime::component::bindgen!({
        path: ["../plugins/wit", "src/plugins/probes.wit"],
        world: "pointsman:probes/assistant",
        exports: { default: async },
        with: {
            "pointsman:plugin/types": crate::plugins::bindings::provider::pointsman::plugin::types,
            "pointsman:plugin/http": crate::plugins::bindings::provider::pointsman::plugin::http,
            "pointsman:plugin/settings": crate::plugins::bindings::provider::pointsman::plugin::settings,
        },
    });
}
