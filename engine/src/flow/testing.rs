//! A flow for tests: everything real but the clock, no plugin installed.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use pointsman_rules::facts::{Capabilities, ChannelFacts, Window};
use pointsman_rules::ids::{ChannelId, GroupId, TenantId};

use super::catalog::{Channel, Reopen};
use super::head_start::RUSH;
use super::{Flow, FlowSettings};
use crate::bus::Bus;
use crate::clock::Clock;
use crate::config::Retention;
use crate::crypto::Keyring;
use crate::plugins::{Compiler, DirectoryBlobs, EgressConfig, Host, HostConfig, SystemLookup};
use crate::store::Db;

/// A flow on this database that keeps its files in `folder`.
pub(crate) fn on(db: Db, clock: Clock, folder: &Path) -> Flow {
    let host = Host::new(HostConfig {
        cache_dir: folder.join("plugins"),
        cache_key: [1; 32],
        compiler: Compiler::InProcess,
        egress: EgressConfig {
            lookup: Arc::new(SystemLookup),
            blobs: Arc::new(DirectoryBlobs::new(folder.join("blobs"), Arc::new(|| 1))),
        },
    });
    let retention = Retention {
        webhooks_days: 2,
        quarantine_days: 5,
        redelivery_days: 3,
        rule_runs_days: 4,
        deliveries_days: 6,
    };
    let settings = FlowSettings {
        public_url: "http://localhost:8080".into(),
        lease_ms: 30_000,
        retention,
        uploads_dir: folder.join("uploads"),
    };
    Flow::new(db, clock, Keyring::new(&[7; 32]).unwrap(), host.unwrap(), Bus::new(), settings)
}

/// From now on there is a rush, without end.
pub(crate) fn rush(flow: &Flow) {
    flow.head_start.arriving().store(RUSH, Ordering::Relaxed);
}

/// A channel that works, of a vendor whose messages need no template.
pub(super) fn channel(kind: &str, window: Window) -> Channel {
    Channel {
        tenant: TenantId::new(1, 1),
        facts: Arc::new(ChannelFacts {
            id: ChannelId::new(1, 1),
            name: "Test".into(),
            kind: kind.into(),
            provider: "test".into(),
            language: Some("en".into()),
            default_group: Some(GroupId::new(1, 1)),
            assigned_agent: None,
            receive_only: false,
            capabilities: Capabilities {
                window,
                templates: kind == "whatsapp",
                first_message_needs_template: kind == "whatsapp",
                ..pointsman_rules::case::given::usual_capabilities(kind)
            },
        }),
        address: "us".into(),
        settings: "{}".into(),
        secrets: Arc::default(),
        hook_key: "k".into(),
        active: true,
        allow_private_egress: false,
        idle_end_ms: 600_000,
        reopen: Reopen::Reopen,
        state: "connected".into(),
        is_removed: false,
    }
}
