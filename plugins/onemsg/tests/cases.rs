//! Runs the case folders natively.

use pointsman_onemsg::OneMsg;
use pointsman_plugin::testing::Suite;

#[test]
fn cases_come_out_as_written() {
    Suite::<OneMsg>::new().account().templates().run(concat!(env!("CARGO_MANIFEST_DIR"), "/cases"));
}
