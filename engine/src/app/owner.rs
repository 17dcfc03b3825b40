//! The one-time link with which the first owner is made in a browser.

use pointsman_rules::ids::TenantId;

use crate::clock::Clock;
use crate::crypto::{random_token, sha256_hex};
use crate::store::users::Role;
use crate::store::{Db, Durability, StoreError, signin_links, users};

/// How long the link holds; a restart makes a new one.
const LINK_MS: i64 = 24 * 60 * 60 * 1_000;

/// A new token while the tenant has no owner; earlier ones hold no longer.
///
/// # Errors
/// The store's own.
pub async fn link_token(db: &Db, clock: &Clock, tenant: TenantId) -> Result<Option<String>, StoreError> {
    let token = random_token(clock, "");
    let (hash, now_ms) = (sha256_hex(token.as_bytes()), clock.now_ms());
    let made = db.write(Durability::Hard, move |tx| {
        let hash = hash.clone();
        Box::pin(async move {
            if users::count_owners(tx, tenant).await? > 0 {
                return Ok(false);
            }
            signin_links::delete_owner_links(tx, tenant).await?;
            let link = signin_links::Link { tenant, role: Role::Owner, user: None };
            signin_links::insert(tx, &link, &hash, now_ms, now_ms + LINK_MS).await?;
            Ok(true)
        })
    });
    Ok(made.await?.then_some(token))
}
