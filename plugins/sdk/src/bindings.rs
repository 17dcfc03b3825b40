//! The contract in Rust, generated from `plugins/wit/plugin.wit`: the part that
//! every provider exports, one world for each optional export, so that a plugin
//! exports exactly what it offers, and the world of assistants. Nothing here is written by hand.

/// `provider-core`: descriptor, webhook, sender.
pub mod base {
    wit_bindgen::generate!({
        path: "../wit",
        world: "provider-core",
        pub_export_macro: true,
        export_macro_name: "export_base",
        additional_derives: [PartialEq],
    });
}

/// The optional export `account`.
pub mod account {
    wit_bindgen::generate!({
        inline: "package pointsman:parts-account@0.1.0; world account { export pointsman:plugin/account@1.0.0; }",
        path: "../wit",
        pub_export_macro: true,
        export_macro_name: "export_account",
        additional_derives: [PartialEq],
        with: {
            "pointsman:plugin/types@1.0.0": super::base::pointsman::plugin::types,
            "pointsman:plugin/http@1.0.0": super::base::pointsman::plugin::http,
        },
        generate_all,
    });
}

/// The optional export `media`.
pub mod media {
    wit_bindgen::generate!({
        inline: "package pointsman:parts-media@0.1.0; world media { export pointsman:plugin/media@1.0.0; }",
        path: "../wit",
        pub_export_macro: true,
        export_macro_name: "export_media",
        additional_derives: [PartialEq],
        with: {
            "pointsman:plugin/types@1.0.0": super::base::pointsman::plugin::types,
            "pointsman:plugin/http@1.0.0": super::base::pointsman::plugin::http,
        },
        generate_all,
    });
}

/// The optional export `templates`.
pub mod templates {
    wit_bindgen::generate!({
        inline: "package pointsman:parts-templates@0.1.0; world templates { export pointsman:plugin/templates@1.0.0; }",
        path: "../wit",
        pub_export_macro: true,
        export_macro_name: "export_templates",
        additional_derives: [PartialEq],
        with: {
            "pointsman:plugin/types@1.0.0": super::base::pointsman::plugin::types,
            "pointsman:plugin/http@1.0.0": super::base::pointsman::plugin::http,
        },
        generate_all,
    });
}

/// The optional export `sessions`.
pub mod sessions {
    wit_bindgen::generate!({
        inline: "package pointsman:parts-sessions@0.1.0; world sessions { export pointsman:plugin/sessions@1.0.0; }",
        path: "../wit",
        pub_export_macro: true,
        export_macro_name: "export_sessions",
        additional_derives: [PartialEq],
        with: {
            "pointsman:plugin/types@1.0.0": super::base::pointsman::plugin::types,
            "pointsman:plugin/http@1.0.0": super::base::pointsman::plugin::http,
        },
        generate_all,
    });
}

/// The optional export `backfill`. Its events are those of webhooks.
pub mod backfill {
    wit_bindgen::generate!({
        inline: "package pointsman:parts-backfill@0.1.0; world backfill { export pointsman:plugin/backfill@1.0.0; }",
        path: "../wit",
        pub_export_macro: true,
        export_macro_name: "export_backfill",
        additional_derives: [PartialEq],
        with: {
            "pointsman:plugin/types@1.0.0": super::base::pointsman::plugin::types,
            "pointsman:plugin/http@1.0.0": super::base::pointsman::plugin::http,
            "pointsman:plugin/events@1.0.0": super::base::pointsman::plugin::events,
        },
        generate_all,
    });
}

/// The export of assistants. Its settings are of the same types as those of providers.
pub mod assistant {
    wit_bindgen::generate!({
        path: "../wit",
        world: "assistant-plugin",
        pub_export_macro: true,
        export_macro_name: "export_assistant",
        additional_derives: [PartialEq],
        with: {
            "pointsman:plugin/log@1.0.0": super::base::pointsman::plugin::log,
            "pointsman:plugin/types@1.0.0": super::base::pointsman::plugin::types,
            "pointsman:plugin/http@1.0.0": super::base::pointsman::plugin::http,
            "pointsman:plugin/settings@1.0.0": super::base::pointsman::plugin::settings,
        },
    });
}
