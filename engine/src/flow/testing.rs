//! A flow for tests: everything real but the clock, no plugin installed.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;

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
