//! Runs the case folders natively.

use pointsman_openai::OpenAi;
use pointsman_plugin::testing::AssistantSuite;

#[test]
fn cases_come_out_as_written() {
    AssistantSuite::<OpenAi>::new().account().run(concat!(env!("CARGO_MANIFEST_DIR"), "/cases"));
}
