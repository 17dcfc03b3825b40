//! Runs the case folders natively: no server, no sandbox, no vendor.

use pointsman_acme::Acme;
use pointsman_plugin::testing::Suite;

#[test]
fn cases_come_out_as_written() {
    Suite::<Acme>::new().run(concat!(env!("CARGO_MANIFEST_DIR"), "/cases"));
}
