//! Runs the case folders natively.

use pointsman_plugin::testing::Suite;
use pointsman_telegram::Telegram;

#[test]
fn cases_come_out_as_written() {
    Suite::<Telegram>::new().account().media().run(concat!(env!("CARGO_MANIFEST_DIR"), "/cases"));
}
