//! Public links to files, for vendors that fetch what is sent and for people whom
//! somebody gives one: signed, good for a while, and for one file only. Whoever has the link has the file until then.

use std::sync::Arc;

use pointsman_rules::ids::{AttachmentId, TenantId};

use crate::crypto::{Keyring, constant_time_eq, hmac_sha256_hex};

/// How long a link is good, milliseconds: vendors fetch when they send, and may queue a message for ten hours.
pub const LINK_MS: i64 = 12 * 3_600_000;
/// Another key than those of other purposes.
const PURPOSE: &str = "media-links";

/// Makes and reads links, cheap to clone.
#[derive(Clone)]
pub struct Links(Arc<Inner>);

struct Inner {
    key: [u8; 32],
    public_url: String,
}

impl Links {
    pub(super) fn new(keyring: &Keyring, public_url: &str) -> Self {
        Self(Arc::new(Inner { key: keyring.derive(PURPOSE), public_url: public_url.to_owned() }))
    }

    /// A link for a vendor, good from now on for [`LINK_MS`].
    pub fn make(&self, tenant: TenantId, attachment: AttachmentId, now_ms: i64) -> String {
        self.until(tenant, attachment, now_ms + LINK_MS)
    }

    /// A link that is good until then, unix milliseconds.
    pub fn until(&self, tenant: TenantId, attachment: AttachmentId, until_ms: i64) -> String {
        let claim = format!("{tenant}.{attachment}.{until_ms}");
        format!("{}/media/{claim}.{}", self.0.public_url, self.tag(&claim))
    }

    /// The file that the last part of a link names; `None` when it is not ours or not good any more.
    pub fn read(&self, signed: &str, now_ms: i64) -> Option<(TenantId, AttachmentId)> {
        let (claim, tag) = signed.rsplit_once('.')?;
        if !constant_time_eq(self.tag(claim).as_bytes(), tag.as_bytes()) {
            return None;
        }
        let mut parts = claim.split('.');
        let (tenant, attachment, until) = (parts.next()?, parts.next()?, parts.next()?);
        let is_good = until.parse().is_ok_and(|until_ms: i64| now_ms < until_ms);
        is_good.then_some((tenant.parse().ok()?, attachment.parse().ok()?))
    }

    fn tag(&self, claim: &str) -> String {
        hmac_sha256_hex(&self.0.key, claim.as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_is_good_for_its_file_and_time_only() {
        let links = Links::new(&Keyring::new(&[7; 32]).unwrap(), "https://x.test");
        let (tenant, file) = (TenantId::new(1, 2), AttachmentId::new(3, 4));
        let link = links.make(tenant, file, 1_000);
        let signed = link.strip_prefix("https://x.test/media/").unwrap();
        assert_eq!(links.read(signed, 1_000 + LINK_MS - 1), Some((tenant, file)));
        assert_eq!(links.read(signed, 1_000 + LINK_MS), None);
        let other = AttachmentId::new(3, 5).to_string();
        assert_eq!(links.read(&signed.replace(&file.to_string(), &other), 1_000), None);
        let stranger = Links::new(&Keyring::new(&[8; 32]).unwrap(), "https://x.test");
        assert_eq!(stranger.read(signed, 1_000), None);
        for broken in ["", ".", "a.b.c.d", &signed[..signed.len() - 1]] {
            assert_eq!(links.read(broken, 1_000), None, "{broken}");
        }
    }
}
