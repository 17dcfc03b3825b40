//! `snooze`: hides the conversation for a while.

use super::{Act, Kind, Word, param};
use crate::intent::Intent;

pub(super) static WORD: Word = Word {
    name: "snooze",
    params: &[param("until", Kind::Until)],
    required: 1,
    doc: "Hides the conversation until a moment, or for a duration.",
    example: r#"snooze("2h")"#,
    act: Act::Intent(|args| Intent::Snooze { until_ms: args.moment_ms(0) }),
};
