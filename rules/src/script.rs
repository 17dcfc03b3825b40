//! A rule file that has been read, compiled and checked. What can be known
//! without running is found here; names that depend on the tenant are checked
//! against its directory.

mod check;
mod functions;

use std::fmt;
use std::sync::Arc;

use rhai::{AST, OptimizationLevel};

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
    /// Everything that is wrong with it, in the order of the file. A syntax
    /// error ends the search, since what follows it cannot be read.
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
        let found = check::check(&ast, source);
        problems.extend(found.problems);
        if !problems.is_empty() {
            problems.sort_by_key(|p| (p.line, p.column));
            return Err(problems);
        }
        let mut names = filter_names(source, &header);
        names.extend(found.names);
        // Checked as written; folded constants only afterwards, so that no mistake is folded away.
        let ast = sandbox::engine().optimize_ast(&sandbox::names_only(), ast, OptimizationLevel::Simple);
        Ok(Self(Arc::new(Inner { source: source.to_owned(), header, ast, names })))
    }

    /// Names in the rule that this directory does not have, with the nearest that it has.
    pub fn check(&self, directory: &Directory) -> Vec<Problem> {
        let missing = |n: &NameRef| {
            let missing = n.thing.missing(&n.name, directory)?;
            Some(Problem::new(n.line, n.column, missing.code, missing.message).with_hint(missing.hint))
        };
        self.0.names.iter().filter_map(missing).collect()
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

fn compile(source: &str) -> Result<AST, Problem> {
    // Optimising here would drop branches that the check pass has to see.
    let scope = sandbox::names_only();
    sandbox::plain_engine().compile_with_scope(&scope, source).map_err(|error| sandbox::syntax(&error))
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
