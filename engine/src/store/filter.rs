//! The part of a listing's SQL that depends on what was asked: conditions and
//! their values grow together, so that a placeholder never loses its value.

use pointsman_rules::ids::{TenantId, UserId};

use super::Arg;
use crate::args;

/// Whose eyes a listing is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sight {
    /// Owners, admins and their programs: the whole tenant.
    All,
    /// An agent: conversations of own groups, assigned to them, or without a group; none of others' personal channels.
    Agent(UserId),
    /// A program with an agent's role: it is in no group, so only conversations without one.
    Ungrouped,
}

/// The conversation's channel, if it is somebody's own.
const PERSONAL: &str = "select 1 from channels o where o.tenant_id = c.tenant_id and o.id = c.channel_id \
    and o.owner_user_id is not null";

impl Sight {
    /// Which conversations (alias `c`) these eyes may see; empty for all.
    fn condition(self) -> (String, Vec<Arg>) {
        match self {
            Self::All => (String::new(), vec![]),
            Self::Ungrouped => (format!("c.group_id is null and not exists ({PERSONAL})"), vec![]),
            Self::Agent(user) => (
                format!(
                    "(c.group_id is null or c.assignee_id = ? or exists (select 1 from group_members gm \
                     where gm.tenant_id = c.tenant_id and gm.group_id = c.group_id and gm.user_id = ?)) \
                     and not exists ({PERSONAL} and o.owner_user_id <> ?)"
                ),
                args![user, user, user],
            ),
        }
    }
}

/// A pattern that matches texts with this part, whatever signs are in it; goes with `escape '!'`.
pub(super) fn like_part(part: &str) -> String {
    let mut pattern = String::with_capacity(part.len() + 2);
    pattern.push('%');
    for character in part.chars() {
        if matches!(character, '%' | '_' | '!') {
            pattern.push('!');
        }
        pattern.push(character);
    }
    pattern.push('%');
    pattern
}

/// `a.x, a.y` of `x, y`: a table's column list where several tables are read.
pub(super) fn of_table(alias: &str, columns: &str) -> String {
    columns.split(", ").map(|column| format!("{alias}.{column}")).collect::<Vec<_>>().join(", ")
}

/// The conditions of one listing.
pub(super) struct Filter {
    sql: String,
    args: Vec<Arg>,
}

impl Filter {
    /// Rows of one tenant; `table` is the alias whose `tenant_id` is meant.
    pub(super) fn new(table: &str, tenant: TenantId) -> Self {
        Self { sql: format!(" where {table}.tenant_id = $1"), args: args![tenant] }
    }

    /// Adds a condition; `?` stands for the next value.
    pub(super) fn and(&mut self, condition: &str, values: Vec<Arg>) {
        self.sql.push_str(" and ");
        let mut pieces = condition.split('?');
        self.sql.push_str(pieces.next().unwrap_or_default());
        for (piece, value) in pieces.zip(values) {
            self.args.push(value);
            self.sql.push_str(&format!("${}{piece}", self.args.len()));
        }
    }

    /// Adds a condition when there is a value for it.
    pub(super) fn and_if(&mut self, condition: &str, value: Option<impl Into<Arg>>) {
        if let Some(value) = value {
            self.and(condition, vec![value.into()]);
        }
    }

    /// Leaves only conversations (alias `c`) that these eyes may see.
    pub(super) fn seen_by(&mut self, sight: Sight) {
        let (condition, values) = sight.condition();
        if !condition.is_empty() {
            self.and(&condition, values);
        }
    }

    /// Leaves only contacts (alias `p`) with whom these eyes may see a conversation.
    pub(super) fn met_by(&mut self, sight: Sight) {
        let (condition, values) = sight.condition();
        if !condition.is_empty() {
            let condition = format!(
                "exists (select 1 from conversations c where c.tenant_id = p.tenant_id and c.contact_id = p.id \
                 and {condition})"
            );
            self.and(&condition, values);
        }
    }

    /// The whole statement: `head`, the conditions, `order`, at most `rows_max` rows.
    pub(super) fn finish(mut self, head: &str, order: &str, rows_max: u32) -> (String, Vec<Arg>) {
        self.args.push(Arg::from(rows_max));
        let sql = format!("{head}{} {order} limit ${}", self.sql, self.args.len());
        (sql, self.args)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_column_list_is_told_apart_from_another_tables() {
        assert_eq!(of_table("m", "id, seq"), "m.id, m.seq");
    }

    #[test]
    fn every_placeholder_has_its_value() {
        let tenant = TenantId::new(1, 1);
        let mut filter = Filter::new("c", tenant);
        filter.and_if("c.status = ?", Some("open"));
        filter.and_if("c.live = ?", None::<bool>);
        filter.and("(c.a, c.b) < (?, ?)", args![1i64, "x"]);
        let (sql, args) = filter.finish("select 1 from c", "order by c.a", 5);
        assert_eq!(
            sql,
            "select 1 from c where c.tenant_id = $1 and c.status = $2 and (c.a, c.b) < ($3, $4) order by c.a limit $5"
        );
        assert_eq!(args, args![tenant, "open", 1i64, "x", 5u32]);
    }
}
