//! Who may see and set up which channel: the company's are set up by admins and
//! seen by all, a personal one is seen and set up by its owner and by admins.

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use pointsman_rules::ids::ChannelId;

use crate::http::Api;
use crate::http::auth::{Principal, Role};
use crate::http::problem::{FieldProblem, Problem};
use crate::plugins::Exports;
use crate::store::Tx;
use crate::store::channels::{self, Channel};
use crate::store::filter::Sight;

/// Somebody who may set up some channel: an admin, or a person, for whom it depends on the channel. Programs with an
/// agent's role own none.
#[derive(Debug, Clone)]
pub(super) struct Manager(pub(super) Principal);

impl FromRequestParts<Api> for Manager {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, api: &Api) -> Result<Self, Problem> {
        let who = Principal::from_request_parts(parts, api).await?;
        if who.user().is_none() {
            who.require(Role::Admin)?;
        }
        Ok(Self(who))
    }
}

/// Which channels these eyes see; as with conversations.
pub(super) fn sight(who: &Principal) -> Sight {
    crate::http::orders::sight(who)
}

/// May they set it up?
pub(super) fn manages(who: &Principal, channel: &Channel) -> bool {
    who.role >= Role::Admin || (channel.owner.is_some() && channel.owner == who.user())
}

/// A channel that they may see.
///
/// # Errors
/// 404, also for somebody else's personal channel.
pub(super) async fn seen(tx: &mut Tx, who: &Principal, id: ChannelId) -> Result<Channel, Problem> {
    let found = channels::get(tx, who.tenant, id).await?;
    let found = found.filter(|it| it.owner.is_none() || manages(who, it));
    found.ok_or_else(|| Problem::not_found("channel"))
}

/// A channel that they may set up.
///
/// # Errors
/// 404 when they may not see it, 403 when it is the company's.
pub(super) async fn managed(tx: &mut Tx, who: &Principal, id: ChannelId) -> Result<Channel, Problem> {
    let channel = seen(tx, who, id).await?;
    if !manages(who, &channel) {
        who.require(Role::Admin)?;
    }
    Ok(channel)
}

/// May people connect an account of their own with this plugin? Only where a phone is linked: a company's number is
/// not one person's.
pub(super) fn may_be_personal(exports: Exports) -> bool {
    exports.sessions
}

/// What only admins may set, also on a personal channel. `before`: as it was.
///
/// # Errors
/// 422 with the fields.
pub(super) fn check_owner_fields(
    who: &Principal,
    before: &Channel,
    channel: &Channel,
) -> Result<(), Problem> {
    if who.role >= Role::Admin {
        return Ok(());
    }
    let mut problems = Vec::new();
    if channel.allow_private_egress && !before.allow_private_egress {
        let message = "needs an admin's consent; ask one to set it";
        problems.push(FieldProblem::new("/allow_private_egress", message));
    }
    if channel.default_group.is_some() && channel.default_group != before.default_group {
        let message = "is for the company's channels; a personal one's conversations are yours";
        problems.push(FieldProblem::new("/default_group", message));
    }
    if channel.assigned_user.is_some() && channel.assigned_user != channel.owner {
        problems.push(FieldProblem::new("/assigned_agent", "must be yourself on a personal channel"));
    }
    if problems.is_empty() { Ok(()) } else { Err(Problem::invalid(problems)) }
}
