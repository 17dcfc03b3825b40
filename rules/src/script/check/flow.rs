//! Lines that can never run, and conditions that are always the same.

use rhai::{ASTFlags, Expr, Position, Stmt};

use super::Found;

/// Looks at the statements of one block.
pub(super) fn block(statements: &[Stmt], found: &mut Found) {
    for pair in statements.windows(2) {
        let [first, second] = pair else { continue };
        if ends(first) && !matches!(second, Stmt::Noop(_)) {
            unreachable(second, found);
            return;
        }
    }
}

/// This comes after something that ends.
pub(super) fn unreachable(statement: &Stmt, found: &mut Found) {
    let message = "this can never run: what stands before it ends the rule, the function or the loop";
    found.warn(statement.position(), "unreachable_code", message).hint =
        Some("remove it, or move it up".to_owned());
}

/// Looks at one statement and the blocks in it.
pub(super) fn statement(statement: &Stmt, found: &mut Found) {
    match statement {
        Stmt::If(parts, _) => {
            constant(&parts.expr, found);
            block(parts.body.statements(), found);
            block(parts.branch.statements(), found);
        }
        Stmt::While(parts, at) => {
            block(parts.body.statements(), found);
            let is_endless = matches!(parts.expr, Expr::Unit(_) | Expr::BoolConstant(true, _));
            if is_endless && !parts.body.statements().iter().any(leaves) {
                found.warn(*at, "endless_loop", "this loop never ends by itself").hint =
                    Some("add a `break`, or loop over a list with `for`".to_owned());
            } else if !is_endless {
                constant(&parts.expr, found);
            }
        }
        Stmt::Do(parts, ..) | Stmt::TryCatch(parts, _) => {
            block(parts.body.statements(), found);
            block(parts.branch.statements(), found);
        }
        Stmt::For(parts, _) => block(parts.2.body.statements(), found),
        Stmt::Block(parts) => block(parts.statements(), found),
        _ => {}
    }
}

fn constant(condition: &Expr, found: &mut Found) {
    if let Expr::BoolConstant(value, at) = condition {
        let message = format!("this condition is always {value}");
        found.warn(*at, "constant_condition", message).hint =
            Some("compare something of the event".to_owned());
    }
}

/// Does nothing after it run?
pub(super) fn ends(statement: &Stmt) -> bool {
    let all_end = |statements: &[Stmt]| statements.iter().any(ends);
    match statement {
        Stmt::Return(..) | Stmt::BreakLoop(..) => true,
        Stmt::If(parts, _) => all_end(parts.body.statements()) && all_end(parts.branch.statements()),
        Stmt::Block(parts) => all_end(parts.statements()),
        _ => false,
    }
}

/// Is there a way out of the loop in it?
fn leaves(statement: &Stmt) -> bool {
    let mut leaves = false;
    statement.walk(&mut Vec::new(), &mut |path| {
        leaves |= match path.last() {
            Some(rhai::ASTNode::Stmt(Stmt::Return(..))) => true,
            Some(rhai::ASTNode::Stmt(Stmt::BreakLoop(_, flags, _))) => flags.intersects(ASTFlags::BREAK),
            _ => false,
        };
        !leaves
    });
    leaves
}

/// Where a condition stands whose type is known.
pub(super) fn conditions(statement: &Stmt) -> Option<(&Expr, Position)> {
    let expr = match statement {
        Stmt::If(parts, _) | Stmt::Do(parts, ..) => &parts.expr,
        Stmt::While(parts, _) if !matches!(parts.expr, Expr::Unit(_)) => &parts.expr,
        _ => return None,
    };
    Some((expr, expr.start_position()))
}
