//! Decides whether a plugin may call a URL, before anything is resolved or
//! sent: form, scheme, origin, literal addresses, and secrets only in the path.

use std::collections::BTreeMap;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use url::{Host, Url};

use super::address::Reach;
use super::secrets::{self, Secrets};
use super::{Permissions, Refusal};
use crate::crypto::Secret;

/// Longest URL without its query fields, bytes; longer ones are refused.
const URL_BYTES_MAX: usize = 4 << 10;
/// What a secret may hold in a path without being encoded: RFC 3986 unreserved, and `:` as in Telegram's tokens.
const PATH_SECRET: &AsciiSet =
    &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~').remove(b':');

/// A URL that may be called.
#[derive(Debug)]
pub(super) struct Target {
    pub(super) url: Url,
    pub(super) reach: Reach,
}

impl Target {
    /// For messages: never a path, which may hold a secret.
    pub(super) fn origin(&self) -> String {
        self.url.origin().ascii_serialization()
    }
}

/// Checks a URL and puts the secrets into its path. The secrets that come back are those that may go there.
pub(super) fn target<'a>(
    raw: &str,
    permissions: &'a Permissions,
    values: &'a BTreeMap<String, Secret>,
) -> Result<(Target, Secrets<'a>), Refusal> {
    if raw.len() > URL_BYTES_MAX {
        return Err(Refusal::new(format!("the URL is longer than {URL_BYTES_MAX} bytes; use query fields")));
    }
    if !raw.bytes().all(|c| c.is_ascii_graphic() && c != b'\\') {
        return Err(Refusal::new(
            "the URL has a space, a control character, a backslash or a letter outside ASCII; percent-encode it",
        ));
    }
    let (scheme, rest) = raw
        .split_once("://")
        .filter(|(scheme, _)| matches!(*scheme, "https" | "http"))
        .ok_or_else(|| Refusal::new("the URL must start with `https://`"))?;
    let (authority, path) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
    if authority.contains(['@', '{', '%']) || path.contains('#') {
        return Err(Refusal::new("the URL may hold no user, no fragment and no placeholder in its host"));
    }
    let (path, query) = path.split_at(path.find('?').unwrap_or(path.len()));
    if query.contains(secrets::OPEN) {
        return Err(Refusal::new("secrets go into query fields, not into the text of the URL"));
    }
    let valid =
        |text: String| Url::parse(&text).map_err(|e| Refusal::new(format!("the URL is not valid: {e}")));
    let origin = valid(format!("{scheme}://{authority}"))?;
    let reach = permissions.reach(&origin)?;
    check_literal(&origin, reach, permissions)?;
    let secrets = Secrets::for_origin(permissions, values, &origin);
    let path = fill(path, &secrets)?;
    let url = valid(format!("{scheme}://{authority}{path}{query}"))?;
    Ok((Target { url, reach }, secrets))
}

/// Replaces `{secret:name}` by the percent-encoded secret.
fn fill(path: &str, secrets: &Secrets<'_>) -> Result<String, Refusal> {
    secrets.fill(path, |filled, name, value| {
        // A dot segment would change which path is called.
        if value.chars().all(|c| c == '.') {
            return Err(Refusal::new(format!("secret `{name}` cannot be part of a path; check its value")));
        }
        filled.extend(utf8_percent_encode(value, PATH_SECRET));
        Ok(())
    })
}

/// An address in the URL skips the resolver, so it is checked here.
fn check_literal(url: &Url, reach: Reach, permissions: &Permissions) -> Result<(), Refusal> {
    if is_within(url, reach) { Ok(()) } else { Err(permissions.forbidden_address(url, reach)) }
}

/// May the host of this URL be called, as far as the URL itself tells? Names are checked when they are resolved.
pub(super) fn is_within(url: &Url, reach: Reach) -> bool {
    match url.host() {
        Some(Host::Ipv4(address)) => reach.allows(address.into()),
        Some(Host::Ipv6(address)) => reach.allows(address.into()),
        Some(Host::Domain(_)) => true,
        None => false,
    }
}
