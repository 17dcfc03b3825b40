//! What type of value an expression has, as far as that is known without running
//! it. Says nothing rather than something uncertain: values from outside and
//! variables that change have no known type.

use std::collections::{BTreeMap, BTreeSet};

use rhai::{AST, ASTNode, Dynamic, Expr, FnCallExpr, Stmt};

use super::chain::{chain_of, fields_of_call, is_variable, shape_of};
use crate::names::Thing;
use crate::view::Shape;
use crate::vocabulary::{Kind, word};

/// A type in the words of rule authors. A value of any type may also be missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Type {
    Text,
    Number,
    Flag,
    Moment,
    List,
    Map,
    Facts,
    Missing,
}

impl Type {
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Number => "a number",
            Self::Flag => "true or false",
            Self::Moment => "a moment",
            Self::List => "a list",
            Self::Map => "a map",
            Self::Facts => "a group of facts",
            Self::Missing => "the missing value `()`",
        }
    }

    pub(super) fn of_shape(shape: Shape) -> Option<Self> {
        Some(match shape {
            Shape::Text | Shape::Word(_) | Shape::Group | Shape::Agent | Shape::Event => Self::Text,
            Shape::Number => Self::Number,
            Shape::Flag => Self::Flag,
            Shape::Moment => Self::Moment,
            Shape::List => Self::List,
            Shape::Fields(_) => Self::Facts,
            Shape::Any => return None,
        })
    }

    fn of_value(value: &Dynamic) -> Option<Self> {
        Some(match value {
            v if v.is_unit() => Self::Missing,
            v if v.is_string() || v.is_char() => Self::Text,
            v if v.is_int() || v.is_float() => Self::Number,
            v if v.is_bool() => Self::Flag,
            v if v.is_array() => Self::List,
            v if v.is_map() => Self::Map,
            _ => return None,
        })
    }

    /// May values of this type stand there?
    pub(super) fn fits(self, kind: Kind) -> bool {
        match kind {
            Kind::Any => self != Self::Facts,
            Kind::Switch => self == Self::Flag,
            Kind::Level => self == Self::Number,
            Kind::Phrases | Kind::Labels => matches!(self, Self::Text | Self::List),
            Kind::Duration => matches!(self, Self::Text | Self::Number),
            Kind::Until => matches!(self, Self::Text | Self::Number | Self::Moment),
            Kind::Content | Kind::TimerOptions => matches!(self, Self::Text | Self::Map),
            Kind::Slots => self == Self::Map,
            Kind::Subject | Kind::Assignee => matches!(self, Self::Text | Self::Missing),
            Kind::Text
            | Kind::Phrase
            | Kind::Pattern
            | Kind::Name
            | Kind::Status
            | Kind::Priority
            | Kind::Policy
            | Kind::Named(
                Thing::Group
                | Thing::Agent
                | Thing::Recipient
                | Thing::Calendar
                | Thing::Template
                | Thing::Webhook
                | Thing::Rule,
            ) => self == Self::Text,
        }
    }

    /// Can a value of this type show in a template's slot?
    pub(super) fn fits_slot(self) -> bool {
        matches!(self, Self::Text | Self::Number | Self::Flag | Self::Moment)
    }
}

/// What is known about variables: those that are declared once and never assigned again.
#[derive(Default)]
pub(super) struct Variables(BTreeMap<String, Known>);

#[derive(Default, Clone)]
struct Known {
    kind: Option<Type>,
    value: Option<Dynamic>,
}

impl Variables {
    pub(super) fn of(ast: &AST) -> Self {
        let changing = changing(ast);
        let mut known = Self::default();
        ast.walk(&mut |path: &[ASTNode<'_>]| {
            if let Some(ASTNode::Stmt(Stmt::Var(parts, ..))) = path.last()
                && !changing.contains(parts.0.name.as_str())
            {
                let entry = Known { kind: known.type_of(&parts.1), value: known.value_of(&parts.1) };
                known.0.insert(parts.0.name.to_string(), entry);
            }
            true
        });
        known
    }

    fn get(&self, expr: &Expr) -> Option<&Known> {
        match expr {
            Expr::Variable(parts, ..) => self.0.get(parts.1.as_str()),
            _ => None,
        }
    }

    /// The value itself, when it is written down.
    pub(super) fn value_of(&self, expr: &Expr) -> Option<Dynamic> {
        expr.get_literal_value(None).or_else(|| self.get(expr)?.value.clone())
    }

    pub(super) fn type_of(&self, expr: &Expr) -> Option<Type> {
        if let Some(value) = self.value_of(expr) {
            return Type::of_value(&value);
        }
        match expr {
            Expr::InterpolatedString(..) => Some(Type::Text),
            Expr::Array(..) => Some(Type::List),
            Expr::Map(..) => Some(Type::Map),
            Expr::And(..) | Expr::Or(..) => Some(Type::Flag),
            Expr::Variable(parts, ..) if is_variable(expr) && ["on", "off"].contains(&parts.1.as_str()) => {
                Some(Type::Flag)
            }
            Expr::Variable(..) => shape_of(expr).and_then(Type::of_shape).or_else(|| self.get(expr)?.kind),
            Expr::FnCall(call, _) => self.type_of_call(call),
            Expr::Dot(..) => shape_of(expr).and_then(Type::of_shape).or_else(|| type_of_chain(expr)),
            Expr::Coalesce(parts, _) => {
                let mut types = parts.iter().map(|part| self.type_of(part));
                let first = types.next()??;
                types.all(|other| other == Some(first)).then_some(first)
            }
            _ => None,
        }
    }

    fn type_of_call(&self, call: &FnCallExpr) -> Option<Type> {
        if let Some(word) = word(&call.name) {
            return (word.family() == "text").then_some(Type::Flag);
        }
        let sides: Vec<_> = call.args.iter().map(|arg| self.type_of(arg)).collect();
        match (call.name.as_str(), sides.as_slice()) {
            ("==" | "!=" | "<" | "<=" | ">" | ">=", [_, _]) | ("!", [_]) => Some(Type::Flag),
            ("+", [Some(Type::Text), _] | [_, Some(Type::Text)]) if sides[0] != Some(Type::Moment) => {
                Some(Type::Text)
            }
            ("-", [Some(Type::Moment), Some(Type::Moment)]) => Some(Type::Number),
            ("+" | "-", [Some(Type::Moment), Some(_)]) => Some(Type::Moment),
            ("+" | "-" | "*" | "/" | "%", [Some(Type::Number), Some(Type::Number)]) => Some(Type::Number),
            _ => None,
        }
    }
}

/// `list.len()`, `message.text.has_word("a")`, `calendar("Office").is_open`.
fn type_of_chain(expr: &Expr) -> Option<Type> {
    let links = chain_of(expr);
    match links.as_slice() {
        [call, Expr::Property(parts, _)] if fields_of_call(call).is_some() => {
            let (_, fields) = fields_of_call(call)?;
            let field = fields.iter().find(|field| field.name == parts.2.as_str())?;
            Type::of_shape(field.shape)
        }
        [.., Expr::Property(parts, _)] => {
            let known_to_all = [("len", Type::Number), ("unix_ms", Type::Number), ("is_empty", Type::Flag)];
            known_to_all.iter().find(|(name, _)| *name == parts.2.as_str()).map(|(_, kind)| *kind)
        }
        [.., Expr::MethodCall(call, _)] => match call.name.as_str() {
            "len" => Some(Type::Number),
            "is_empty" => Some(Type::Flag),
            "to_string" => Some(Type::Text),
            name => word(name).filter(|word| word.family() == "text").map(|_| Type::Flag),
        },
        _ => None,
    }
}

/// Names that stand for more than one value: assigned, declared twice, or given by a loop or a caller.
fn changing(ast: &AST) -> BTreeSet<String> {
    let mut seen = BTreeSet::new();
    let mut changing: BTreeSet<String> =
        ast.iter_functions().flat_map(|f| f.params.into_iter().map(str::to_owned)).collect();
    let mut change = |name: &str| {
        changing.insert(name.to_owned());
    };
    ast.walk(&mut |path: &[ASTNode<'_>]| {
        match path.last() {
            Some(ASTNode::Stmt(Stmt::Var(parts, ..))) if !seen.insert(parts.0.name.to_string()) => {
                change(&parts.0.name);
            }
            Some(ASTNode::Stmt(Stmt::For(parts, _))) => {
                change(&parts.0.name);
                if let Some(counter) = &parts.1 {
                    change(&counter.name);
                }
            }
            Some(ASTNode::Stmt(Stmt::Assignment(parts))) => root_names(&parts.1.lhs, &mut change),
            Some(ASTNode::Stmt(Stmt::TryCatch(parts, _))) => root_names(&parts.expr, &mut change),
            // A method may change what it is called on.
            Some(ASTNode::Expr(Expr::Dot(parts, ..))) if matches!(parts.rhs, Expr::MethodCall(..)) => {
                root_names(&parts.lhs, &mut change);
            }
            _ => {}
        }
        true
    });
    changing
}

fn root_names(expr: &Expr, found: &mut impl FnMut(&str)) {
    match expr {
        Expr::Variable(parts, ..) => found(&parts.1),
        Expr::Dot(parts, ..) | Expr::Index(parts, ..) => root_names(&parts.lhs, found),
        _ => {}
    }
}
