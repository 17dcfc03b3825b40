//! `start_timer`: `timer.fired` comes later.

use super::{Act, Kind, Word, param};
use crate::intent::Intent;

pub(super) static WORD: Word = Word {
    name: "start_timer",
    params: &[param("name", Kind::Name), param("after", Kind::Duration), param("options", Kind::TimerOptions)],
    required: 2,
    doc: "Raises `timer.fired` after a duration, or after so much open time of a calendar; a running timer with this name moves unless `keep` is set.",
    example: r#"start_timer("remind", "4h", #{ calendar: "Office hours", keep: true })"#,
    act: Act::Intent(|args| {
        let calendar = args.opt_text(2).or_else(|| args.field(2, "calendar")?.into_string().ok());
        Intent::StartTimer {
            name: args.text(0),
            after_ms: args.duration_ms(1).unwrap_or_default(),
            calendar,
            keep: args.field(2, "keep").is_some_and(|v| v.as_bool().unwrap_or_default()),
        }
    }),
};
