//! Runs the case folders natively.

use pointsman_meta_cloud::MetaCloud;
use pointsman_plugin::testing::Suite;

#[test]
fn cases_come_out_as_written() {
    Suite::<MetaCloud>::new()
        .account()
        .media()
        .templates()
        .run(concat!(env!("CARGO_MANIFEST_DIR"), "/cases"));
}
