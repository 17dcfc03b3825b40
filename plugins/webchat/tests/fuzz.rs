//! Webhooks with anything in them: whatever comes, the plugin answers and never
//! panics. `POINTSMAN_FUZZ=10000` makes it try so many of each.

use std::path::Path;

use pointsman_plugin::testing::fuzz;
use pointsman_webchat::Webchat;

#[test]
fn no_webhook_makes_it_panic() {
    fuzz::webhooks::<Webchat>(Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/cases")));
}
