//! Runs the case folders natively.

use pointsman_line::Line;
use pointsman_plugin::testing::Suite;

#[test]
fn cases_come_out_as_written() {
    Suite::<Line>::new().account().media().run(concat!(env!("CARGO_MANIFEST_DIR"), "/cases"));
}
