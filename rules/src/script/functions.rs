//! Which functions exist: the words, what the language brings, and what the
//! rule itself declares.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use rhai::AST;

use crate::problem::{Problem, nearest};
use crate::sandbox;
use crate::vocabulary::{FORBIDDEN, WORDS, word};

/// Calls that the engine answers by itself, and how many arguments they take.
const BUILT_IN: &[(&str, usize)] =
    &[("type_of", 1), ("is_def_var", 1), ("is_def_fn", 2), ("is_shared", 1), ("Fn", 1)];
/// Calls on function pointers; any number of arguments.
const ON_POINTERS: &[&str] = &["call", "curry"];

type Arities = BTreeMap<String, BTreeSet<usize>>;

/// What the language brings, by name.
fn standard() -> &'static Arities {
    static STANDARD: LazyLock<Arities> = LazyLock::new(|| {
        let all = sandbox::engine().collect_fn_metadata(
            None,
            |f| Some((f.metadata.name.to_string(), f.metadata.num_params)),
            true,
        );
        let mut known = Arities::new();
        for (name, count) in all.into_iter().chain(BUILT_IN.iter().map(|(n, c)| ((*n).to_owned(), *c))) {
            known.entry(name).or_default().insert(count);
        }
        known
    });
    &STANDARD
}

/// What one rule can call.
pub(super) struct Functions {
    own: Arities,
}

impl Functions {
    pub(super) fn of(ast: &AST) -> Self {
        let mut own = Arities::new();
        for function in ast.iter_functions() {
            own.entry(function.name.to_owned()).or_default().insert(function.params.len());
        }
        Self { own }
    }

    /// Names of own functions that hide a word.
    pub(super) fn hiding_words(&self) -> impl Iterator<Item = &str> {
        self.own.keys().map(String::as_str).filter(|name| word(name).is_some())
    }

    /// What is wrong with a call; `count` includes what stands before the dot.
    pub(super) fn problem(&self, name: &str, count: usize, place: (u32, u32)) -> Option<Problem> {
        let new = |code, message| Problem::new(place.0, place.1, code, message);
        if let Some(word) = word(name) {
            let fits = (word.required..=word.params.len()).contains(&count);
            let message = format!("`{name}` does not take {}", arguments(count));
            return (!fits).then(|| {
                new("wrong_argument_count", message).with_hint(format!("write `{}`", word.signature()))
            });
        }
        if ON_POINTERS.contains(&name) {
            return None;
        }
        let arities = self.own.get(name).or_else(|| standard().get(name));
        match arities {
            Some(known) if known.contains(&count) => None,
            Some(known) => {
                let counts: Vec<String> = known.iter().map(usize::to_string).collect();
                let message = format!("`{name}` does not take {}", arguments(count));
                Some(
                    new("wrong_argument_count", message)
                        .with_hint(format!("it takes {}", counts.join(" or "))),
                )
            }
            None => Some(self.unknown(name, place)),
        }
    }

    fn unknown(&self, name: &str, place: (u32, u32)) -> Problem {
        if let Some((_, why)) = FORBIDDEN.iter().find(|(forbidden, _)| *forbidden == name) {
            let message = format!("`{name}` is not available in rules");
            return Problem::new(place.0, place.1, "forbidden", message).with_hint(*why);
        }
        let problem =
            Problem::new(place.0, place.1, "unknown_function", format!("there is no function `{name}`"));
        let words = || WORDS.iter().map(|w| w.name);
        let others = self.own.keys().chain(standard().keys()).map(String::as_str);
        // Words of the domain are likelier to be meant than the language's own functions.
        match nearest(name, words()).or_else(|| nearest(name, others)) {
            Some(near) => problem.with_hint(format!("did you mean `{near}`?")),
            None => problem.with_hint("every word stands in docs/rules-reference.md"),
        }
    }
}

fn arguments(count: usize) -> String {
    match count {
        0 => "no arguments".to_owned(),
        1 => "1 argument".to_owned(),
        many => format!("{many} arguments"),
    }
}
