//! Teaches the engine every word. Arguments are checked here, once, so that a
//! word's own file only says what it means.

use std::any::TypeId;

use rhai::{Array, Dynamic, Engine, EvalAltResult, ImmutableString, NativeCallContext};

use super::{Act, Args, WORDS, Word, Wrong};
use crate::sandbox::run;
use crate::text;

/// Names that scripts of this language have elsewhere, and why not here.
pub(crate) const FORBIDDEN: &[(&str, &str)] = &[
    ("sleep", "a rule never waits; use `start_timer`"),
    ("eval", "a rule cannot build rules"),
    ("import", "a rule is one file"),
    ("export", "a rule is one file"),
    ("print", "a rule writes nothing; its trace shows what it did"),
    ("debug", "a rule writes nothing; its trace shows what it did"),
    ("timestamp", "read `now` instead"),
    ("rand", "a rule decides the same way every time"),
];

/// Names for values: `set_ai(off)`.
pub(crate) fn constants() -> [(&'static str, bool); 2] {
    [("on", true), ("off", false)]
}

/// Registers every word in every form.
pub(crate) fn register(engine: &mut Engine) {
    for word in WORDS {
        match word.act {
            Act::Text(_) => register_text(engine, word),
            Act::Intent(_) | Act::Fact { .. } => {
                for count in word.required..=word.params.len() {
                    let types = vec![TypeId::of::<Dynamic>(); count];
                    engine.register_raw_fn(word.name, types, move |ctx, args| call(word, &ctx, args));
                }
            }
        }
    }
}

/// Exact types, since the standard words with the same names have exact types and
/// would win over looser ones.
fn register_text(engine: &mut Engine, word: &'static Word) {
    for subject in [TypeId::of::<ImmutableString>(), TypeId::of::<()>()] {
        for other in [TypeId::of::<ImmutableString>(), TypeId::of::<Array>()] {
            engine.register_raw_fn(word.name, [subject, other], move |ctx, args| call(word, &ctx, args));
        }
    }
}

fn call(
    word: &'static Word,
    ctx: &NativeCallContext,
    args: &mut [&mut Dynamic],
) -> Result<Dynamic, Box<EvalAltResult>> {
    run::check_time()?;
    let values: Vec<Dynamic> = args.iter().map(|a| a.flatten_clone()).collect();
    for (index, (param, value)) in word.params.iter().zip(&values).enumerate() {
        let left_out = index >= word.required && value.is_unit();
        if !left_out {
            param.kind.check(value).map_err(|wrong| about(word, index, wrong))?;
        }
    }
    let snapshot = run::snapshot()?;
    let args = Args::new(values, snapshot.facts.now_ms);
    match word.act {
        Act::Intent(make) => {
            let line = ctx.call_position().line().unwrap_or(0);
            run::yield_intent(u32::try_from(line).unwrap_or(u32::MAX), make(&args))?;
            Ok(Dynamic::UNIT)
        }
        Act::Text(test) => Ok(match args.opt_text(0) {
            Some(subject) => test(&text::fold(&subject), &args).into(),
            None => false.into(),
        }),
        Act::Fact { get, .. } => get(&snapshot, &args).map_err(Into::into),
    }
}

/// Says which argument of which word is meant.
pub(crate) fn about(word: &Word, index: usize, wrong: Wrong) -> Wrong {
    let name = word.params.get(index).map_or("argument", |p| p.name);
    Wrong { message: format!("`{}`, {name}: {}", word.name, wrong.message), ..wrong }
}
