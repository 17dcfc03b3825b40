//! Moments in scripts: compared with each other, moved by durations, subtracted
//! to seconds. A comparison with a missing moment is false.

use std::fmt;

use rhai::{Engine, EvalAltResult};

use crate::duration;
use crate::vocabulary::Wrong;

/// A point in time, unix milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Moment(pub(crate) i64);

impl fmt::Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&duration::moment_to_text(self.0))
    }
}

type Outcome = Result<Moment, Box<EvalAltResult>>;

fn moved(moment: Moment, text: &str, sign: i64) -> Outcome {
    match duration::parse_ms(text) {
        Some(ms) => Ok(Moment(moment.0.saturating_add(sign * ms))),
        None => {
            let wrong = Wrong::new("bad_duration", format!("`{text}` is not a duration"));
            Err(wrong.hint("write e.g. \"10m\", \"2h\" or \"1d\"").into())
        }
    }
}

fn moved_seconds(moment: Moment, seconds: i64, sign: i64) -> Moment {
    Moment(moment.0.saturating_add(seconds.saturating_mul(1_000).saturating_mul(sign)))
}

pub(super) fn register(engine: &mut Engine) {
    engine
        .register_type_with_name::<Moment>("moment")
        .register_get("unix_ms", |m: &mut Moment| m.0)
        .register_fn("to_string", |m: &mut Moment| m.to_string())
        .register_fn("to_debug", |m: &mut Moment| m.to_string())
        .register_fn("+", |a: Moment, text: &str| moved(a, text, 1))
        .register_fn("-", |a: Moment, text: &str| moved(a, text, -1))
        .register_fn("+", |a: Moment, seconds: i64| moved_seconds(a, seconds, 1))
        .register_fn("-", |a: Moment, seconds: i64| moved_seconds(a, seconds, -1))
        .register_fn("-", |a: Moment, b: Moment| a.0.saturating_sub(b.0) / 1_000)
        .register_fn("==", |a: Moment, b: Moment| a == b)
        .register_fn("!=", |a: Moment, b: Moment| a != b)
        .register_fn("<", |a: Moment, b: Moment| a < b)
        .register_fn("<=", |a: Moment, b: Moment| a <= b)
        .register_fn(">", |a: Moment, b: Moment| a > b)
        .register_fn(">=", |a: Moment, b: Moment| a >= b);
    for operator in ["<", "<=", ">", ">=", "=="] {
        engine
            .register_fn(operator, |_: Moment, (): ()| false)
            .register_fn(operator, |(): (), _: Moment| false);
    }
    engine.register_fn("!=", |_: Moment, (): ()| true).register_fn("!=", |(): (), _: Moment| true);
}
