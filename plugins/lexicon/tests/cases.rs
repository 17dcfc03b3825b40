//! Runs the case folders natively.

use pointsman_lexicon::Lexicon;
use pointsman_plugin::testing::AssistantSuite;

#[test]
fn cases_come_out_as_written() {
    AssistantSuite::<Lexicon>::new().run(concat!(env!("CARGO_MANIFEST_DIR"), "/cases"));
}
