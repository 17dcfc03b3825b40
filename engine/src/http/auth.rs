//! Who asks and what they may do: an API key or a console session, looked up
//! once per request. A handler that takes none of these extractors is public.

use std::net::SocketAddr;

use axum::extract::{ConnectInfo, FromRequestParts};
use axum::http::request::Parts;
use axum::http::{HeaderMap, Method, header};
use pointsman_rules::event::Actor;
use pointsman_rules::ids::{AuditId, KeyId, SessionId, TenantId, UserId};

use super::Api;
use super::problem::Problem;
use super::rate;
use crate::clock::Clock;
use crate::crypto::{Keyring, constant_time_eq, hmac_sha256_hex, sha256_hex};
use crate::store::audit::{self, Change, Origin};
pub use crate::store::users::Role;
use crate::store::{api_keys, sessions};

/// The console's cookie.
pub const SESSION_COOKIE: &str = "pm_session";
/// Header that writes of a session must carry, with the token from `/me`.
pub const CSRF_HEADER: &str = "x-csrf-token";

/// Characters of a user agent that are kept.
const USER_AGENT_CHARS_MAX: usize = 200;

/// Who asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Principal {
    /// Their tenant: the only one they can see.
    pub tenant: TenantId,
    /// What they may do.
    pub role: Role,
    /// A person or a program.
    pub who: Who,
    /// From where.
    pub origin: Origin,
}

/// A person or a program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Who {
    /// A signed-in person.
    User {
        /// Who.
        id: UserId,
        /// Their session.
        session: SessionId,
    },
    /// A program.
    Key {
        /// Its key.
        id: KeyId,
    },
}

impl Principal {
    /// As orders and events name them.
    pub fn actor(&self) -> Actor {
        match self.who {
            Who::User { id, .. } => Actor::User { id },
            Who::Key { id } => Actor::Key { id },
        }
    }

    /// The person, if it is one.
    pub fn user(&self) -> Option<UserId> {
        match self.who {
            Who::User { id, .. } => Some(id),
            Who::Key { .. } => None,
        }
    }

    /// Id of the user or key.
    pub fn id(&self) -> String {
        match self.who {
            Who::User { id, .. } => id.to_string(),
            Who::Key { id } => id.to_string(),
        }
    }

    /// Refuses those with a lesser role.
    ///
    /// # Errors
    /// 403 that names the role which is needed.
    pub fn require(&self, role: Role) -> Result<(), Problem> {
        if self.role >= role {
            return Ok(());
        }
        Err(Problem::forbidden(format!(
            "this needs the role {}, you have {}; ask an owner",
            role.word(),
            self.role.word()
        )))
    }

    /// An entry for the audit log: what they did to what. The only way to one, so that every change says what was there
    /// before and after it.
    pub fn did(&self, clock: &Clock, action: &str, target: impl ToString, change: Change) -> audit::Entry {
        let at_ms = clock.now_ms();
        audit::Entry {
            id: AuditId::new(at_ms, clock.random()),
            at_ms,
            actor: self.id(),
            action: action.to_owned(),
            target: target.to_string(),
            change,
            origin: self.origin.clone(),
        }
    }
}

impl FromRequestParts<Api> for Principal {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, api: &Api) -> Result<Self, Problem> {
        if let Some(known) = parts.extensions.get::<Self>() {
            return Ok(known.clone());
        }
        let mut principal = identify(api, &parts.headers, &parts.method).await?;
        principal.origin = origin(parts);
        if !parts.method.is_safe() && api.flow.catalog.view(&api.flow, principal.tenant).await?.is_deleting {
            let detail = "this organisation is being deleted; nothing can be changed any more";
            return Err(Problem::conflict("tenant_deleting", detail));
        }
        api.limits.take(&principal.id(), rate::CALLER)?;
        parts.extensions.insert(principal.clone());
        Ok(principal)
    }
}

/// From where a request came: who is connected, and what they call themselves.
fn origin(parts: &Parts) -> Origin {
    let from = parts.extensions.get::<ConnectInfo<SocketAddr>>();
    let agent = parts.headers.get(header::USER_AGENT).and_then(|value| value.to_str().ok());
    Origin {
        address: from.map(|ConnectInfo(from)| from.ip().to_string()),
        user_agent: agent.map(|agent| agent.chars().take(USER_AGENT_CHARS_MAX).collect()),
    }
}

async fn identify(api: &Api, headers: &HeaderMap, method: &Method) -> Result<Principal, Problem> {
    let now_ms = api.flow.clock.now_ms();
    if let Some(given) = headers.get(header::AUTHORIZATION) {
        let key = given
            .to_str()
            .ok()
            .and_then(bearer)
            .ok_or_else(|| Problem::unauthorized("send the API key as `Authorization: Bearer pm_…`"))?;
        let found = api_keys::by_hash(&mut api.read().await?, &sha256_hex(key.as_bytes()), now_ms).await?;
        let (tenant, id, role) = found.ok_or_else(|| {
            Problem::unauthorized("this API key is not known, has expired or was revoked; make a new one")
        })?;
        return Ok(Principal { tenant, role, who: Who::Key { id }, origin: Origin::default() });
    }
    let Some(token) = session_token(headers) else {
        return Err(Problem::unauthorized("sign in, or send an API key as `Authorization: Bearer pm_…`"));
    };
    let found = sessions::by_token(&mut api.read().await?, &sha256_hex(token.as_bytes()), now_ms).await?;
    let session = found.ok_or_else(|| Problem::unauthorized("the session has ended; sign in again"))?;
    if !method.is_safe() {
        let given = headers.get(CSRF_HEADER).map(|value| sha256_hex(value.as_bytes()));
        if !given.is_some_and(|given| constant_time_eq(given.as_bytes(), session.csrf_hash.as_bytes())) {
            return Err(Problem::new(
                axum::http::StatusCode::FORBIDDEN,
                "csrf",
                format!("a session's writes need the header {CSRF_HEADER} with the `csrf` of GET /api/v1/me"),
            ));
        }
    }
    let who = Who::User { id: session.user.id, session: session.id };
    Ok(Principal { tenant: session.tenant, role: session.user.role, who, origin: Origin::default() })
}

/// The token that writes of a session carry. A function of the session's token, so that `/me` can tell it again.
pub fn csrf_token(keyring: &Keyring, session_token: &str) -> String {
    hmac_sha256_hex(&keyring.derive("csrf"), session_token.as_bytes())
}

/// The key of `Bearer pm_…`; the scheme's case does not matter (RFC 9110).
fn bearer(value: &str) -> Option<&str> {
    let (scheme, key) = value.split_once(' ')?;
    let key = key.trim();
    (scheme.eq_ignore_ascii_case("bearer") && !key.is_empty()).then_some(key)
}

/// The value of the session cookie.
pub fn session_token(headers: &HeaderMap) -> Option<&str> {
    headers
        .get_all(header::COOKIE)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .find_map(|(name, value)| (name == SESSION_COOKIE).then_some(value))
}

macro_rules! at_least {
    ($($(#[$doc:meta])* $name:ident = $role:ident;)*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone)]
        pub struct $name(pub Principal);

        impl FromRequestParts<Api> for $name {
            type Rejection = Problem;

            async fn from_request_parts(parts: &mut Parts, api: &Api) -> Result<Self, Problem> {
                let principal = Principal::from_request_parts(parts, api).await?;
                principal.require(Role::$role)?;
                Ok(Self(principal))
            }
        }
    )*};
}
at_least! {
    /// Somebody who may configure: admin or owner.
    Admin = Admin;
    /// Somebody who may everything.
    Owner = Owner;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cookie_is_found_among_others() {
        let mut headers = HeaderMap::new();
        headers.insert(header::COOKIE, "a=1; pm_session=tok; xpm_session=2".parse().unwrap());
        assert_eq!(session_token(&headers), Some("tok"));
        assert_eq!((bearer("bearer pm_x"), bearer("Basic x"), bearer("Bearer ")), (Some("pm_x"), None, None));
    }
}
