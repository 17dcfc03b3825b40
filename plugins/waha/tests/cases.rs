//! Runs the case folders natively.

use pointsman_plugin::testing::Suite;
use pointsman_waha::Waha;

#[test]
fn cases_come_out_as_written() {
    Suite::<Waha>::new()
        .account()
        .media()
        .sessions()
        .backfill()
        .run(concat!(env!("CARGO_MANIFEST_DIR"), "/cases"));
}
