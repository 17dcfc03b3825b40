//! Signing in and out: a one-time link or a password gives a session, which is
//! a cookie and a token that writes must carry.

use std::net::SocketAddr;

use axum::Json;
use axum::extract::{ConnectInfo, FromRequestParts as _, Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use pointsman_rules::ids::{SessionId, TenantId, UserId};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::auth::{Principal, SESSION_COOKIE, Who, csrf_token, session_token};
use super::problem::{FieldProblem, Problem};
use super::users::{UserView, email_problem};
use super::{Api, Refused, body, password, plugins, rate};
use crate::clock::rfc3339;
use crate::crypto::{random_token, sha256_hex};
use crate::store::users::{Presence, Role, User};
use crate::store::{sessions, signin_links, tenants, users};

/// How long a session lasts, milliseconds: 14 days.
const SESSION_MS: i64 = 14 * 24 * 3_600_000;
/// Tenants that one e-mail address may belong to and sign in with a password.
const TENANTS_MAX: i64 = 5;

pub(super) fn router() -> OpenApiRouter<Api> {
    OpenApiRouter::default().routes(routes!(sign_in)).routes(routes!(sign_out)).routes(routes!(me))
}

/// Either a link's token or a password.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SignIn {
    /// The one-time token of a link.
    token: Option<String>,
    /// With a password; or, with an owner link, the new owner's address.
    email: Option<String>,
    /// The password; with an owner link the new owner's, at least 10 characters.
    password: Option<String>,
    /// With an owner link: the new owner's name.
    name: Option<String>,
    /// With a password: id of the organisation, for somebody who belongs to several.
    tenant: Option<String>,
}

/// A session has begun; the cookie `pm_session` is set.
#[derive(Debug, Serialize, ToSchema)]
pub struct SignedIn {
    /// Who signed in.
    user: UserView,
    /// Send it as `x-csrf-token` with every write.
    csrf: String,
}

/// Who is asking.
#[derive(Debug, Serialize, ToSchema)]
pub struct Me {
    /// The person; `null` for an API key.
    user: Option<UserView>,
    /// The API key's id; `null` for a person.
    key: Option<String>,
    /// `owner`, `admin` or `agent`.
    role: &'static str,
    /// May they install plugins? Owners of the installation's first organisation may.
    may_install: bool,
    /// The tenant.
    tenant: TenantView,
    /// For a session: send it as `x-csrf-token` with every write.
    csrf: Option<String>,
    /// The server's time.
    #[schema(format = DateTime)]
    now: String,
}

/// A customer organisation.
#[derive(Debug, Serialize, ToSchema)]
pub struct TenantView {
    /// Its id.
    id: String,
    /// Its name.
    name: String,
}

/// Signs in with a one-time link or a password.
#[utoipa::path(post, path = "/api/v1/signin", tag = "signing in", request_body = SignIn,
    responses((status = 200, body = SignedIn, description = "Signed in; `pm_session` is set.")))]
async fn sign_in(State(api): State<Api>, request: Request) -> Result<Response, Problem> {
    let (parts, rest) = request.into_parts();
    let from =
        parts.extensions.get::<ConnectInfo<SocketAddr>>().map(|ConnectInfo(from)| from.ip().to_string());
    let body: SignIn = read(Request::from_parts(parts, rest)).await?;
    let network = format!("signin from {}", from.as_deref().unwrap_or("unknown"));
    api.limits.take(&network, rate::SIGN_IN)?;
    let (tenant, user) = match (&body.token, &body.email, &body.password) {
        (Some(token), ..) => by_link(&api, token, &body).await?,
        (None, Some(email), Some(password)) => {
            api.limits.take(&format!("signin as {}", email.to_lowercase()), rate::SIGN_IN)?;
            by_password(&api, email, password, body.tenant.as_deref()).await?
        }
        _ => return Err(Problem::refused("incomplete", "give `token`, or `email` and `password`")),
    };
    begin(&api, tenant, user).await
}

async fn read(request: Request) -> Result<SignIn, Problem> {
    use axum::extract::FromRequest as _;
    body::Json::from_request(request, &()).await.map(|body::Json(body)| body)
}

async fn by_password(
    api: &Api,
    email: &str,
    given: &str,
    tenant: Option<&str>,
) -> Result<(TenantId, User), Problem> {
    let email = email.trim().to_lowercase();
    let found = users::by_email(&mut api.read().await?, &email, tenant, TENANTS_MAX).await?;
    let found: Vec<_> = found.into_iter().filter(|(_, user)| user.disabled_ms.is_none()).collect();
    if found.is_empty() {
        password::verify(given, None).await?; // as slow as for somebody who exists
    }
    let mut proven = Vec::new();
    for (tenant, user) in found {
        if password::verify(given, user.password_hash.as_deref()).await? {
            proven.push((tenant, user));
        }
    }
    match proven.len() {
        0 => Err(Problem::unauthorized("this e-mail address and password do not belong together")),
        1 => Ok(proven.remove(0)),
        _ => Err(which(api, &proven).await?),
    }
}

/// Somebody uses one password in several organisations: which one is meant? Only told to who knows the password.
async fn which(api: &Api, proven: &[(TenantId, User)]) -> Result<Problem, Problem> {
    let mut tx = api.read().await?;
    let mut choices = Vec::new();
    for (id, _) in proven {
        let name = tenants::get(&mut tx, *id).await?.map(|tenant| tenant.name);
        choices.push(serde_json::json!({"id": id, "name": name}));
    }
    let detail = "you belong to several organisations; say in `tenant` which one you mean";
    Ok(Problem::conflict("which_tenant", detail).with("tenants", choices))
}

async fn by_link(api: &Api, token: &str, body: &SignIn) -> Result<(TenantId, User), Problem> {
    let used_up = || Problem::unauthorized("this link was used or has expired; ask for a new one");
    let (hash, now_ms) = (sha256_hex(token.as_bytes()), api.flow.clock.now_ms());
    let link = signin_links::get(&mut api.read().await?, &hash, now_ms).await?.ok_or_else(used_up)?;
    let tenant = link.tenant;
    let newcomer = match link.user {
        Some(_) => None,
        None => Some(newcomer(api, link.role, body, now_ms).await?),
    };
    let user = api.write(move |tx| {
        let (hash, newcomer) = (hash.clone(), newcomer.clone());
        Box::pin(async move {
            if !signin_links::spend(tx, tenant, &hash, now_ms).await? {
                return Err(Problem::unauthorized("this link was used just now; ask for a new one").into());
            }
            let Some(user) = newcomer else {
                let id = link.user.unwrap_or(UserId::new(0, 0));
                return Ok::<_, Refused>(users::get(tx, tenant, id).await?);
            };
            if user.role == Role::Owner && users::count_owners(tx, tenant).await? > 0 {
                return Err(
                    Problem::conflict("owner_exists", "there is an owner already; sign in as them").into()
                );
            }
            if !users::insert(tx, tenant, &user).await? {
                return Err(Problem::field("/email", "somebody has this e-mail address already").into());
            }
            Ok(Some(user))
        })
    });
    let user = user.await?.filter(|user| user.disabled_ms.is_none()).ok_or_else(used_up)?;
    api.changed(tenant, None);
    Ok((tenant, user))
}

/// The person whom a link makes.
async fn newcomer(api: &Api, role: Role, body: &SignIn, now_ms: i64) -> Result<User, Problem> {
    let (Some(email), Some(name), Some(given)) = (&body.email, &body.name, &body.password) else {
        let missing = [("/email", &body.email), ("/name", &body.name), ("/password", &body.password)];
        let errors = missing.iter().filter(|(_, given)| given.is_none());
        return Err(Problem::refused(
            "owner_details_required",
            "there is no owner yet: give `email`, `name` and `password` along with the token",
        )
        .with_errors(errors.map(|(pointer, _)| FieldProblem::new(*pointer, "is missing")).collect()));
    };
    let email = email.trim().to_lowercase();
    if let Some(problem) = email_problem(&email) {
        return Err(Problem::field("/email", problem));
    }
    if name.trim().is_empty() {
        return Err(Problem::field("/name", "must not be empty"));
    }
    Ok(User {
        id: UserId::new(now_ms, api.flow.clock.random()),
        email,
        name: name.trim().to_owned(),
        role,
        password_hash: Some(password::hash(&api.flow.clock, given, "/password").await?),
        presence: Presence::Online,
        chats_max: None,
        created_ms: now_ms,
        disabled_ms: None,
    })
}

/// Begins a session and sets its cookie.
async fn begin(api: &Api, tenant: TenantId, user: User) -> Result<Response, Problem> {
    let (clock, now_ms) = (&api.flow.clock, api.flow.clock.now_ms());
    let token = random_token(clock, "pms_");
    let csrf = csrf_token(&api.flow.keyring, &token);
    let session = sessions::Session {
        id: SessionId::new(now_ms, clock.random()),
        token_hash: sha256_hex(token.as_bytes()),
        csrf_hash: sha256_hex(csrf.as_bytes()),
        user: user.id,
        created_ms: now_ms,
        expires_ms: now_ms + SESSION_MS,
    };
    api.write(move |tx| {
        let session = session.clone();
        Box::pin(async move { Ok::<_, Refused>(sessions::insert(tx, tenant, &session).await?) })
    })
    .await?;
    let mut response = Json(SignedIn { user: user.into(), csrf }).into_response();
    set_cookie(api, response.headers_mut(), &token, SESSION_MS / 1_000);
    Ok(response)
}

fn set_cookie(api: &Api, headers: &mut HeaderMap, value: &str, seconds: i64) {
    let secure = if api.flow.settings.public_url.starts_with("https://") { "; Secure" } else { "" };
    let cookie =
        format!("{SESSION_COOKIE}={value}; Path=/; HttpOnly; SameSite=Lax; Max-Age={seconds}{secure}");
    if let Ok(cookie) = HeaderValue::from_str(&cookie) {
        headers.insert(header::SET_COOKIE, cookie);
    }
}

/// Ends the session. An API key stays as it is.
#[utoipa::path(post, path = "/api/v1/signout", tag = "me", responses((status = 204)))]
async fn sign_out(State(api): State<Api>, who: Principal) -> Result<Response, Problem> {
    let mut response = StatusCode::NO_CONTENT.into_response();
    if let Who::User { session, .. } = who.who {
        let tenant = who.tenant;
        api.write(move |tx| {
            Box::pin(async move { Ok::<_, Refused>(sessions::delete(tx, tenant, session).await?) })
        })
        .await?;
        set_cookie(&api, response.headers_mut(), "", 0);
    }
    Ok(response)
}

/// Who am I?
#[utoipa::path(get, path = "/api/v1/me", tag = "me", responses((status = 200, body = Me)))]
async fn me(State(api): State<Api>, request: Request) -> Result<Json<Me>, Problem> {
    let (mut parts, _) = request.into_parts();
    let who = Principal::from_request_parts(&mut parts, &api).await?;
    let may_install = plugins::may_install(&api, &who).await?;
    let mut tx = api.read().await?;
    let tenant = tenants::get(&mut tx, who.tenant).await?.ok_or_else(|| Problem::not_found("tenant"))?;
    let (user, key, csrf) = match who.who {
        Who::User { id, .. } => {
            let csrf = session_token(&parts.headers).map(|token| csrf_token(&api.flow.keyring, token));
            (users::get(&mut tx, who.tenant, id).await?.map(UserView::from), None, csrf)
        }
        Who::Key { id } => (None, Some(id.to_string()), None),
    };
    let tenant = TenantView { id: tenant.id.to_string(), name: tenant.name };
    let now = rfc3339(api.flow.clock.now_ms());
    Ok(Json(Me { user, key, role: who.role.word(), may_install, tenant, csrf, now }))
}

#[cfg(test)]
mod tests;
