//! Bindings made from the contract's text. The core world is what every
//! provider exports. Each interface that is called, optional ones and those of
//! every message, has a probe world of its own, so that it is looked for by
//! itself: finding a function costs as much as a short call of it. All share the
//! types of the core bindings.
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
    ($module:ident, $world:literal, $($interface:literal = $shared:ident),+) => {
        pub(super) mod $module {
            wasmtime::component::bindgen!({
                path: ["../plugins/wit", "src/plugins/probes.wit"],
                world: $world,
                exports: { default: async },
                with: { $($interface: crate::plugins::bindings::provider::pointsman::plugin::$shared),+ },
            });
        }
    };
}
probe!(
    webhook,
    "pointsman:probes/webhook",
    "pointsman:plugin/types" = types,
    "pointsman:plugin/events" = events
);
probe!(
    sender,
    "pointsman:probes/sender",
    "pointsman:plugin/types" = types,
    "pointsman:plugin/http" = http,
    "pointsman:plugin/events" = events
);
probe!(account, "pointsman:probes/account", "pointsman:plugin/types" = types, "pointsman:plugin/http" = http);
probe!(media, "pointsman:probes/media", "pointsman:plugin/types" = types, "pointsman:plugin/http" = http);
probe!(
    templates,
    "pointsman:probes/templates",
    "pointsman:plugin/types" = types,
    "pointsman:plugin/http" = http
);
probe!(
    sessions,
    "pointsman:probes/sessions",
    "pointsman:plugin/types" = types,
    "pointsman:plugin/http" = http
);
probe!(
    backfill,
    "pointsman:probes/backfill",
    "pointsman:plugin/types" = types,
    "pointsman:plugin/http" = http,
    "pointsman:plugin/events" = events
);
probe!(
    assistant,
    "pointsman:probes/assistant",
    "pointsman:plugin/types" = types,
    "pointsman:plugin/http" = http,
    "pointsman:plugin/settings" = settings
);
