//! Runs the case folders natively.

use pointsman_plugin::testing::Suite;
use pointsman_twilio::Twilio;

#[test]
fn cases_come_out_as_written() {
    Suite::<Twilio>::new().account().media().templates().run(concat!(env!("CARGO_MANIFEST_DIR"), "/cases"));
}
