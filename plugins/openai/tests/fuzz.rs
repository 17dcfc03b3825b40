//! Answers with anything in them: whatever a server says, the plugin ends and never
//! panics. `POINTSMAN_FUZZ=10000` makes it try so many.

use std::path::Path;

use pointsman_openai::OpenAi;
use pointsman_plugin::testing::fuzz;

#[test]
fn no_answer_makes_it_panic() {
    fuzz::answers::<OpenAi>(Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/cases")));
}
