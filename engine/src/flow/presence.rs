//! Who is there: a person whose last connection was lost a while ago is taken to
//! be offline, so that nobody is given to an empty chair.

use super::{Flow, FlowError};
use crate::store::{Durability, users};

/// A connection that was not seen for this long is lost, milliseconds.
pub const LOST_MS: i64 = 60_000;
/// How often a connection tells that it is there, milliseconds: well within [`LOST_MS`].
pub const BEAT_MS: i64 = 20_000;

/// Sets everybody offline whose connection is lost.
///
/// # Errors
/// The store's.
pub async fn sweep(flow: &Flow) -> Result<(), FlowError> {
    let before_ms = flow.clock.now_ms() - LOST_MS;
    if !users::any_lost(&mut flow.db.read().await?, before_ms).await? {
        return Ok(());
    }
    let lost = flow.db.write(Durability::Soft, move |tx| Box::pin(users::set_lost(tx, before_ms)));
    for tenant in lost.await? {
        flow.forget(tenant, None);
    }
    Ok(())
}
