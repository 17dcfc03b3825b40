//! Runs the case folders natively.

use pointsman_plugin::testing::Suite;
use pointsman_webchat::Webchat;

#[test]
fn cases_come_out_as_written() {
    Suite::<Webchat>::new().run(concat!(env!("CARGO_MANIFEST_DIR"), "/cases"));
}
