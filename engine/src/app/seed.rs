//! What an empty database begins with. Only the tenant for now: the groups, starter
//! rules and the chat channel come from `store::seed`, which takes this place.

use pointsman_rules::ids::{ChannelId, TenantId};

use crate::clock::Clock;
use crate::store::{Db, Durability, StoreError, channels, tenants};

/// The kind of channel that has a chat page.
const CHAT_KIND: &str = "webchat";
/// Channels looked through for a chat page.
const CHANNELS_MAX: i64 = 200;

/// What is there after seeding.
pub(super) struct Seeded {
    pub(super) tenant: TenantId,
    /// Key of the first chat page.
    pub(super) chat_key: Option<String>,
}

pub(super) async fn seed(db: &Db, clock: &Clock) -> Result<Seeded, StoreError> {
    let (now_ms, random) = (clock.now_ms(), clock.random());
    let tenant = db.write(Durability::Hard, move |tx| {
        Box::pin(async move {
            if let Some(first) = tenants::list(tx).await?.first() {
                return Ok(first.id);
            }
            let tenant = tenants::Tenant { id: TenantId::new(now_ms, random), name: "Default".to_owned() };
            tenants::insert(tx, &tenant, now_ms).await?;
            Ok(tenant.id)
        })
    });
    let tenant = tenant.await?;
    let mut tx = db.read().await?;
    let channels = channels::list(&mut tx, tenant, None::<ChannelId>, CHANNELS_MAX).await?;
    let chat = channels.into_iter().find(|channel| channel.kind == CHAT_KIND && channel.active);
    Ok(Seeded { tenant, chat_key: chat.map(|channel| channel.hook_key) })
}
