//! A contact as clients see it.

use std::collections::BTreeMap;

use pointsman_rules::ids::{ContactId, IdentityId};
use serde::Serialize;
use utoipa::ToSchema;

use crate::clock::rfc3339;
use crate::flow::mask::mask_name;
use crate::store::contact_views::{ContactView, Pair};
use crate::store::contacts::BY_VENDOR;

/// A person outside, with all that is known of them.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = FullContact)]
pub(super) struct Contact {
    /// `cnt_…`.
    #[schema(value_type = String)]
    id: ContactId,
    /// What they are called, if known.
    name: Option<String>,
    /// E.164, when known. Agents who know them from masked channels only see the last digits.
    phone: Option<String>,
    /// BCP 47.
    language: Option<String>,
    /// Typed values.
    attributes: BTreeMap<String, serde_json::Value>,
    /// When they were blocked.
    blocked_at: Option<String>,
    /// On which kinds of channels they want no messages.
    opt_outs: Vec<OptOut>,
    /// Where they can be reached; masked like the phone.
    identities: Vec<Identity>,
    /// Also the `ETag`.
    version: i64,
    /// When they were first seen.
    created_at: String,
    /// When they were erased: nothing else is left then.
    erased_at: Option<String>,
    /// The contact that this one became a part of.
    #[schema(value_type = Option<String>)]
    merged_into: Option<ContactId>,
    /// Who may be the same person; for admins, and only when one contact is read.
    #[serde(skip_serializing_if = "Option::is_none")]
    duplicates: Option<Vec<Duplicate>>,
}

/// A kind of channel on which a contact wants no messages.
#[derive(Debug, Clone, Serialize, ToSchema)]
struct OptOut {
    /// `whatsapp`, `sms`, …
    channel_kind: String,
    /// Since when.
    since: String,
    /// Who says so: `vendor`, `rule`, `agent` or `api`.
    source: String,
    /// May you opt them in? Not when the vendor has it: then only the contact can, by writing START.
    can_opt_in: bool,
}

/// One address of a contact.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(super) struct Identity {
    /// `idn_…`.
    #[schema(value_type = String)]
    id: IdentityId,
    /// The kind of channel it is valid on.
    channel_kind: String,
    /// Where answers go, as the vendor writes it.
    address: String,
    /// E.164, when known.
    phone: Option<String>,
    /// The vendor's stable id.
    scoped_id: Option<String>,
    /// A handle.
    username: Option<String>,
    /// How it became known: `webhook`, `api`, `agent`; `…, same phone` when the number said whose it is.
    evidence: String,
    /// When it became known.
    created_at: String,
}

/// A contact that may be the same person.
#[derive(Debug, Clone, Serialize, ToSchema)]
struct Duplicate {
    /// Which one.
    #[schema(value_type = String)]
    contact: ContactId,
    /// Why: `phone`, `scoped_id` or `email`.
    evidence: String,
}

impl Contact {
    pub(super) fn show(it: ContactView) -> Self {
        let shown = |text: String| if it.is_masked { mask_name(&text) } else { text };
        Self {
            id: it.id,
            name: it.name.map(shown),
            phone: it.phone.map(shown),
            language: it.language,
            attributes: it.attributes,
            blocked_at: it.blocked_ms.map(rfc3339),
            opt_outs: it
                .opt_outs
                .into_iter()
                .map(|out| OptOut {
                    can_opt_in: out.source != BY_VENDOR,
                    channel_kind: out.channel_kind,
                    since: rfc3339(out.since_ms),
                    source: out.source,
                })
                .collect(),
            identities: it
                .identities
                .into_iter()
                .map(|identity| Identity {
                    id: identity.id,
                    channel_kind: identity.channel_kind,
                    address: shown(identity.address),
                    phone: identity.phone.map(shown),
                    scoped_id: identity.scoped_id,
                    username: identity.username,
                    evidence: identity.evidence,
                    created_at: rfc3339(identity.created_ms),
                })
                .collect(),
            version: it.version,
            created_at: rfc3339(it.created_ms),
            erased_at: it.erased_ms.map(rfc3339),
            merged_into: it.merged_into,
            duplicates: None,
        }
    }

    /// Adds who may be the same person.
    pub(super) fn may_be(&mut self, pairs: Vec<Pair>) {
        let duplicates = pairs.into_iter().map(|it| Duplicate { contact: it.two, evidence: it.evidence });
        self.duplicates = Some(duplicates.collect());
    }
}
