//! `calendar`: is it open now, and when next.

use super::{Act, Kind, Word, field, param};
use crate::names::Thing;
use rhai::Dynamic;
use crate::view::{Moment, Shape};

pub(super) static WORD: Word = Word {
    name: "calendar",
    params: &[param("name", Kind::Named(Thing::Calendar))],
    required: 1,
    doc: "Working hours: `is_open` now, and `next_open`.",
    example: r#"calendar("Office hours").is_open"#,
    act: Act::Fact {
        fields: &[
            field("is_open", Shape::Flag, "Is it open now?"),
            field("next_open", Shape::Moment, "When it opens; now while it is open."),
        ],
        get: |snapshot, args| {
            let directory = &snapshot.facts.directory;
            let name = args.text(0);
            let found = directory.calendar(&name).ok_or_else(|| super::no_such(Thing::Calendar, &name, directory))?;
            let now_ms = snapshot.facts.now_ms;
            let next = found.calendar.next_open(now_ms).map_or(Dynamic::UNIT, |ms| Dynamic::from(Moment(ms)));
            Ok(super::answer([("is_open", found.calendar.is_open(now_ms).into()), ("next_open", next)]))
        },
    },
};
