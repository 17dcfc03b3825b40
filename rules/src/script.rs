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
    filter: Option<AST>,
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
        let filter = match header.filter.as_deref().map(|text| compile_filter(source, text)).transpose() {
            Ok(filter) => filter,
            Err(found) => {
                problems.extend(found);
                None
            }
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
        // Checked as written; folded constants only afterwards, so that no mistake is folded away.
        let ast = sandbox::engine().optimize_ast(&sandbox::names_only(), ast, OptimizationLevel::Simple);
        Ok(Self(Arc::new(Inner { source: source.to_owned(), header, ast, filter, names: found.names })))
    }

    /// Names in the rule that this directory does not have, with the nearest that it has.
    pub fn check(&self, directory: &Directory) -> Vec<Problem> {
        let missing = |n: &NameRef| {
            let missing = n.thing.missing(&n.name, directory)?;
            Some(Problem::new(n.line, n.column, missing.code, missing.message).with_hint(missing.hint))
        };
        self.0.names.iter().filter_map(missing).collect()
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

    /// Which conversations a schedule looks at; all of them when absent.
    pub(crate) fn filter(&self) -> Option<&AST> {
        self.0.filter.as_ref()
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

/// The `where` of a schedule; it stands in the header, so only its line is known.
fn compile_filter(source: &str, filter: &str) -> Result<AST, Vec<Problem>> {
    let is_filter = |line: &str| line.trim_start().starts_with("//!") && line.contains("where:");
    let line =
        source.lines().position(is_filter).and_then(|index| u32::try_from(index + 1).ok()).unwrap_or(0);
    let moved = |p: Problem| Problem { line, column: 5, message: format!("`where`: {}", p.message), ..p };
    let compiled = sandbox::plain_engine().compile_expression_with_scope(&sandbox::names_only(), filter);
    let ast = compiled.map_err(|error| vec![moved(sandbox::syntax(&error))])?;
    let found = check::check(&ast, filter);
    if found.problems.is_empty() { Ok(ast) } else { Err(found.problems.into_iter().map(moved).collect()) }
}

#[cfg(test)]
mod tests;
