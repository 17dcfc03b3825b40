//! A rule file that has been read, compiled and checked. What can be known
//! without running is found here; names that depend on the tenant are checked
//! against its directory.

mod check;
mod functions;

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use rhai::{AST, OptimizationLevel};

pub(crate) use check::chain::chain_of;

use crate::facts::Directory;
use crate::header::Header;
use crate::names::Thing;
use crate::problem::Problem;
use crate::sandbox::{self, SOURCE_BYTES_MAX};

/// A checked rule file. Cheap to clone, shared by all threads.
#[derive(Clone)]
pub struct Script(Arc<Inner>);

struct Inner {
    source: String,
    header: Header,
    ast: AST,
    names: Vec<NameRef>,
    templates: Vec<TemplateRef>,
    warnings: Vec<Problem>,
    asks: BTreeSet<&'static str>,
}

/// A template that the rule names, and how it fills it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TemplateRef {
    name: String,
    /// `None` when it is left to the conversation, or only known at run time.
    language: Option<String>,
    /// `None` when only known at run time.
    slots: Option<Vec<String>>,
    place: (u32, u32),
}

/// A name that the rule writes down, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct NameRef {
    pub(crate) thing: Thing,
    pub(crate) name: String,
    pub(crate) line: u32,
    pub(crate) column: u32,
}

impl Script {
    /// Reads a rule file.
    ///
    /// # Errors
    /// Everything that is wrong with it, in the order of the file, warnings
    /// included. A syntax error ends the search, since what follows it cannot be read.
    pub fn parse(source: &str) -> Result<Self, Vec<Problem>> {
        if source.len() > SOURCE_BYTES_MAX {
            let message = format!("the rule is longer than {SOURCE_BYTES_MAX} bytes");
            return Err(vec![Problem::new(1, 1, "too_large", message)]);
        }
        let (header, mut problems) = match Header::parse(source) {
            Ok(header) => (header, Vec::new()),
            Err(problems) => (Header::default(), problems),
        };
        let ast = match compile(source) {
            Ok(ast) => ast,
            Err(problem) => {
                problems.push(problem);
                return Err(problems);
            }
        };
        let found = check::check(&ast, source, &header.on);
        problems.extend(found.problems);
        problems.sort_by_key(|p| (p.line, p.column));
        if problems.iter().any(Problem::is_error) {
            return Err(problems);
        }
        let mut names = filter_names(source, &header);
        names.extend(found.names);
        // Checked as written; folded constants only afterwards, so that no mistake is folded away.
        let ast = sandbox::engine().optimize_ast(&sandbox::names_only(), ast, OptimizationLevel::Simple);
        let (warnings, templates, asks) = (problems, found.templates, found.asks);
        Ok(Self(Arc::new(Inner { source: source.to_owned(), header, ast, names, templates, warnings, asks })))
    }

    /// Names in the rule that this directory does not have, with the nearest that it has, and
    /// templates that are filled in another way than their vendor approved.
    pub fn check(&self, directory: &Directory) -> Vec<Problem> {
        let missing = |n: &NameRef| {
            let missing = n.thing.missing(&n.name, directory)?;
            Some(Problem::new(n.line, n.column, missing.code, missing.message).with_hint(missing.hint))
        };
        let names = self.0.names.iter().filter_map(missing);
        let templates = self.0.templates.iter().filter_map(|template| template.problem(directory));
        let mut problems: Vec<Problem> = names.chain(templates).collect();
        problems.sort_by_key(|p| (p.line, p.column));
        problems
    }

    /// What is hardly meant, though the rule can run; in the order of the file.
    pub fn warnings(&self) -> &[Problem] {
        &self.0.warnings
    }

    /// The intents that it may ask for.
    pub(crate) fn asks(&self) -> impl Iterator<Item = &'static str> {
        self.0.asks.iter().copied()
    }

    /// The rules that it runs by name, as far as they are written down.
    pub(crate) fn runs(&self) -> impl Iterator<Item = &str> {
        self.0.names.iter().filter(|n| n.thing == Thing::Rule).map(|n| n.name.as_str())
    }

    /// The names that it writes down as literals.
    pub(crate) fn names(&self) -> impl Iterator<Item = (Thing, &str)> {
        self.0.names.iter().map(|it| (it.thing, it.name.as_str()))
    }

    /// When and where it runs.
    pub fn header(&self) -> &Header {
        &self.0.header
    }

    /// The file as it was read.
    pub fn source(&self) -> &str {
        &self.0.source
    }

    pub(crate) fn ast(&self) -> &AST {
        &self.0.ast
    }
}

impl fmt::Debug for Script {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Script").field(&self.0.header.name).finish()
    }
}

/// The file as a tree, as it was written.
pub(crate) fn compile(source: &str) -> Result<AST, Problem> {
    // Optimising here would drop branches that the check pass has to see.
    let scope = sandbox::names_only();
    sandbox::plain_engine().compile_with_scope(&scope, source).map_err(|error| sandbox::syntax(&error))
}

impl TemplateRef {
    fn problem(&self, directory: &Directory) -> Option<Problem> {
        let new = |code, message| Problem::new(self.place.0, self.place.1, code, message);
        // Whether there is one at all is asked of every name.
        let mut found: Vec<_> = directory.templates.iter().filter(|t| t.name == self.name).collect();
        let first = *found.first()?;
        if let Some(language) = &self.language {
            found.retain(|template| template.speaks(language));
            if found.is_empty() {
                let message = format!("template `{}` is not there in `{language}`", self.name);
                let hint = format!("it is there in `{}`", first.language);
                return Some(new("unknown_template_language", message).with_hint(hint));
            }
        }
        let slots = self.slots.as_ref()?;
        let nearest = *found.first()?;
        if found.iter().any(|template| template.takes_slots(slots.iter().map(String::as_str))) {
            return None;
        }
        let missing: Vec<_> = nearest.slots.iter().filter(|slot| !slots.contains(slot)).collect();
        let surplus: Vec<_> = slots.iter().filter(|slot| !nearest.slots.contains(slot)).collect();
        let message = match (missing.first(), surplus.first()) {
            (Some(slot), _) => format!("template `{}` needs the slot `{slot}`", self.name),
            (None, Some(slot)) => format!("template `{}` has no slot `{slot}`", self.name),
            (None, None) => format!("template `{}` is filled in another way", self.name),
        };
        let filled: Vec<String> = nearest.slots.iter().map(|slot| format!("{slot}: …")).collect();
        Some(new("template_slots", message).with_hint(match filled.is_empty() {
            true => "give it no slots".to_owned(),
            false => format!("write `#{{ {} }}`", filled.join(", ")),
        }))
    }
}

/// Names in the `where` line, with their places.
fn filter_names(source: &str, header: &Header) -> Vec<NameRef> {
    let Some(schedule) = &header.schedule else { return Vec::new() };
    let is_filter =
        |line: &str| line.trim_start().trim_start_matches("//!").trim_start().starts_with("where:");
    let Some((index, text)) = source.lines().enumerate().find(|(_, line)| is_filter(line)) else {
        return Vec::new();
    };
    let small = |n: usize| u32::try_from(n + 1).unwrap_or(u32::MAX);
    let column = |name: &str| text.find(name).map_or(0, |at| text[..at].chars().count());
    let name = |(thing, name): (Thing, &str)| NameRef {
        thing,
        name: name.to_owned(),
        line: small(index),
        column: small(column(name)),
    };
    schedule.filter.names().into_iter().map(name).collect()
}

#[cfg(test)]
mod tests;
