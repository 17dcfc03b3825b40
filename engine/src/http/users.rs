//! `/users`: people who sign in, their roles and presence. Only an owner makes
//! or changes owners; everybody may change their own name, presence, password.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use pointsman_rules::ids::UserId;
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::auth::{Admin, Principal, Who};
use super::paging::{List, Page, Query};
use super::path::Id;
use super::problem::{FieldProblem, Problem};
use super::{Api, Refused, body, password};
use crate::clock::rfc3339;
use crate::store::users::{Presence, Role, User};
use crate::store::{audit, sessions, users};

const NAME_CHARS_MAX: usize = 200;
const EMAIL_BYTES_MAX: usize = 254;
/// The highest limit of live chats that one may set.
const CHATS_MAX: u32 = 1_000;

pub(super) fn router() -> OpenApiRouter<Api> {
    OpenApiRouter::default().routes(routes!(list, create)).routes(routes!(get, change)).routes(routes!(be))
}

/// A person.
#[derive(Debug, Serialize, ToSchema)]
pub struct UserView {
    /// `usr_…`.
    id: String,
    /// Lower case.
    email: String,
    /// For people.
    name: String,
    /// `owner`, `admin` or `agent`.
    role: &'static str,
    /// `online`, `away` or `offline`.
    presence: &'static str,
    /// Live chats they may have at once; `null`: as their group says.
    chats_max: Option<u32>,
    /// May they not sign in?
    disabled: bool,
    /// Do they have a password? Others sign in by link.
    has_password: bool,
    /// When they were added.
    #[schema(format = DateTime)]
    created_at: String,
}

impl From<User> for UserView {
    fn from(user: User) -> Self {
        Self {
            id: user.id.to_string(),
            email: user.email,
            name: user.name,
            role: user.role.word(),
            presence: user.presence.word(),
            chats_max: user.chats_max,
            disabled: user.disabled_ms.is_some(),
            has_password: user.password_hash.is_some(),
            created_at: rfc3339(user.created_ms),
        }
    }
}

/// A new person.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewUser {
    /// Unique; case does not matter.
    #[schema(example = "ana@example.com")]
    email: String,
    /// For people.
    #[schema(example = "Ana García")]
    name: String,
    /// `owner`, `admin` or `agent`.
    #[schema(example = "agent")]
    role: String,
    /// At least 10 characters; without one they sign in by link.
    password: Option<String>,
}

/// What may be changed. What is left out stays.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct UserChange {
    /// Admins.
    email: Option<String>,
    /// Admins, or oneself.
    name: Option<String>,
    /// Admins; owners for the role owner.
    role: Option<String>,
    /// Admins, or oneself. Ends the person's other sessions.
    password: Option<String>,
    /// Admins, or oneself: `online`, `away` or `offline`. What an admin says stays until somebody says otherwise;
    /// what a person says of themself ends a minute after their last connection to `/stream` is lost.
    presence: Option<String>,
    /// Admins: live chats they may have at once, 1 to 1,000; `null`: as their group says.
    #[serde(default, deserialize_with = "body::given")]
    #[schema(value_type = Option<u32>)]
    chats_max: Option<Option<u32>>,
    /// Admins: may they not sign in?
    disabled: Option<bool>,
}

/// People, oldest first.
#[utoipa::path(get, path = "/api/v1/users", tag = "users", params(Page), responses((status = 200, body = List<UserView>)))]
async fn list(
    State(api): State<Api>,
    who: Principal,
    Query(page): Query<Page>,
) -> Result<Json<List<UserView>>, Problem> {
    let (rows, after) = (page.rows()?, page.after()?);
    let found = users::list(&mut api.read().await?, who.tenant, after, rows).await?;
    Ok(Json(List::page(found, rows, |u| u.id, UserView::from)))
}

/// Adds a person.
#[utoipa::path(post, path = "/api/v1/users", tag = "users", request_body = NewUser, responses((status = 201, body = UserView)))]
async fn create(
    State(api): State<Api>,
    Admin(who): Admin,
    body::Json(new): body::Json<NewUser>,
) -> Result<(StatusCode, Json<UserView>), Problem> {
    let (email, role) = (new.email.trim().to_lowercase(), parse_role(&new.role)?);
    if let Some(problem) = email_problem(&email) {
        return Err(Problem::field("/email", problem));
    }
    may_grant(&who, role)?;
    let clock = &api.flow.clock;
    let password_hash = match &new.password {
        Some(given) => Some(password::hash(clock, given, "/password").await?),
        None => None,
    };
    let user = User {
        id: UserId::new(clock.now_ms(), clock.random()),
        email,
        name: checked_name(&new.name)?,
        role,
        password_hash,
        presence: Presence::Offline,
        chats_max: None,
        created_ms: clock.now_ms(),
        disabled_ms: None,
    };
    let detail = json!({"email": user.email, "role": role.word()});
    let (tenant, entry, row) = (who.tenant, who.did(clock, "user.create", user.id, detail), user.clone());
    api.write(move |tx| {
        let (entry, row) = (entry.clone(), row.clone());
        Box::pin(async move {
            if !users::insert(tx, tenant, &row).await? {
                return Err(Problem::field("/email", "somebody has this e-mail address already").into());
            }
            Ok::<_, Refused>(audit::append(tx, tenant, &entry).await?)
        })
    })
    .await?;
    api.changed(tenant, None);
    Ok((StatusCode::CREATED, Json(user.into())))
}

/// One person.
#[utoipa::path(get, path = "/api/v1/users/{id}", tag = "users", params(("id" = String, Path)), responses((status = 200, body = UserView)))]
async fn get(State(api): State<Api>, who: Principal, Id(id): Id<UserId>) -> Result<Json<UserView>, Problem> {
    let found = users::get(&mut api.read().await?, who.tenant, id).await?;
    Ok(Json(found.ok_or_else(|| Problem::not_found("user"))?.into()))
}

/// Changes a person.
#[utoipa::path(patch, path = "/api/v1/users/{id}", tag = "users", params(("id" = String, Path)), request_body = UserChange, responses((status = 200, body = UserView)))]
async fn change(
    State(api): State<Api>,
    who: Principal,
    Id(id): Id<UserId>,
    body::Json(change): body::Json<UserChange>,
) -> Result<Json<UserView>, Problem> {
    let is_self = who.user() == Some(id);
    let own_things_only = change.email.is_none()
        && change.role.is_none()
        && change.disabled.is_none()
        && change.chats_max.is_none();
    if !(is_self && own_things_only) {
        who.require(Role::Admin)?;
    }
    let before = users::get(&mut api.read().await?, who.tenant, id).await?;
    let before = before.ok_or_else(|| Problem::not_found("user"))?;
    if before.role == Role::Owner && !is_self {
        who.require(Role::Owner)?;
    }
    let after = changed(&api, &who, &before, &change).await?;
    let new_password = change.password.is_some();
    let keep = match who.who {
        Who::User { session, .. } if is_self => Some(session),
        _ => None,
    };
    let detail = json!({"email": after.email, "name": after.name, "role": after.role.word(),
        "disabled": after.disabled_ms.is_some(), "password_changed": new_password});
    let entry = who.did(&api.flow.clock, "user.change", id, detail);
    let (tenant, row) = (who.tenant, after.clone());
    let presence = change.presence.is_some();
    let seen_ms = (is_self && who.user().is_some()).then(|| api.flow.clock.now_ms());
    api.write(move |tx| {
        let (entry, row) = (entry.clone(), row.clone());
        Box::pin(async move {
            let current = users::get(tx, tenant, id).await?;
            let was_owner =
                current.is_some_and(|user| user.role == Role::Owner && user.disabled_ms.is_none());
            let stays_owner = row.role == Role::Owner && row.disabled_ms.is_none();
            if was_owner && !stays_owner && users::count_owners(tx, tenant).await? < 2 {
                return Err(Problem::conflict(
                    "last_owner",
                    "this is the last owner; make another one first",
                )
                .into());
            }
            if !users::update(tx, tenant, &row).await? {
                return Err(Problem::field("/email", "somebody has this e-mail address already").into());
            }
            if presence {
                users::set_presence(tx, tenant, id, row.presence, seen_ms).await?;
            }
            if new_password || row.disabled_ms.is_some() {
                sessions::delete_of_user(tx, tenant, id, keep).await?;
            }
            Ok::<_, Refused>(audit::append(tx, tenant, &entry).await?)
        })
    })
    .await?;
    api.changed(tenant, None);
    Ok(Json(after.into()))
}

/// Am I there?
#[derive(Debug, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PresenceChange {
    /// `online`, `away` or `offline`.
    #[schema(example = "online")]
    presence: String,
}

/// Says whether you are there. It ends a minute after your last connection to `/stream` is lost.
#[utoipa::path(put, path = "/api/v1/me/presence", tag = "me", request_body = PresenceChange, responses((status = 200, body = PresenceChange)))]
async fn be(
    State(api): State<Api>,
    who: Principal,
    body::Json(change): body::Json<PresenceChange>,
) -> Result<Json<PresenceChange>, Problem> {
    let presence = parse_presence(&change.presence)?;
    let Some(id) = who.user() else {
        return Err(Problem::conflict("not_a_person", "an API key is never there; sign in as a person"));
    };
    let (tenant, now_ms) = (who.tenant, api.flow.clock.now_ms());
    api.write(move |tx| {
        Box::pin(async move {
            Ok::<_, Refused>(users::set_presence(tx, tenant, id, presence, Some(now_ms)).await?)
        })
    })
    .await?;
    api.changed(tenant, None);
    Ok(Json(change))
}

fn parse_presence(word: &str) -> Result<Presence, Problem> {
    Presence::from_word(word).ok_or_else(|| Problem::field("/presence", "must be online, away or offline"))
}

async fn changed(api: &Api, who: &Principal, before: &User, change: &UserChange) -> Result<User, Problem> {
    let mut user = before.clone();
    if let Some(email) = &change.email {
        user.email = email.trim().to_lowercase();
        if let Some(problem) = email_problem(&user.email) {
            return Err(Problem::field("/email", problem));
        }
    }
    if let Some(name) = &change.name {
        user.name = checked_name(name)?;
    }
    if let Some(role) = &change.role {
        user.role = parse_role(role)?;
        may_grant(who, user.role)?;
    }
    if let Some(given) = &change.password {
        user.password_hash = Some(password::hash(&api.flow.clock, given, "/password").await?);
    }
    if let Some(presence) = &change.presence {
        user.presence = parse_presence(presence)?;
    }
    if let Some(most) = change.chats_max {
        user.chats_max = most.map(checked_chats_max).transpose()?;
    }
    match change.disabled {
        Some(true) => user.disabled_ms = user.disabled_ms.or(Some(api.flow.clock.now_ms())),
        Some(false) => user.disabled_ms = None,
        None => {}
    }
    Ok(user)
}

/// How many live chats somebody may have at once.
pub(super) fn checked_chats_max(most: u32) -> Result<u32, Problem> {
    if (1..=CHATS_MAX).contains(&most) {
        return Ok(most);
    }
    Err(Problem::field("/chats_max", format!("must be 1 to {CHATS_MAX}, or null for no limit")))
}

/// Nobody gives away more than they have.
pub(super) fn may_grant(who: &Principal, role: Role) -> Result<(), Problem> {
    if who.role >= role {
        return Ok(());
    }
    Err(Problem::forbidden(format!("only an owner may give the role {}", role.word())))
}

/// Reads the field `/role`.
pub(super) fn parse_role(word: &str) -> Result<Role, Problem> {
    Role::from_word(word)
        .ok_or_else(|| Problem::field("/role", format!("must be one of {}", Role::WORDS.join(", "))))
}

fn checked_name(name: &str) -> Result<String, Problem> {
    let name = name.trim();
    if name.is_empty() || name.chars().count() > NAME_CHARS_MAX {
        let message = format!("must have 1 to {NAME_CHARS_MAX} characters");
        return Err(Problem::invalid(vec![FieldProblem::new("/name", message)]));
    }
    Ok(name.to_owned())
}

/// What is wrong with an e-mail address. Whether it exists, only a letter can tell.
pub(super) fn email_problem(email: &str) -> Option<&'static str> {
    let sound = email.len() <= EMAIL_BYTES_MAX
        && !email.contains(char::is_whitespace)
        && email.rsplit_once('@').is_some_and(|(local, domain)| {
            !local.is_empty() && !domain.is_empty() && !domain.starts_with('.') && !domain.ends_with('.')
        });
    (!sound).then_some("must be an e-mail address like ana@example.com")
}

#[cfg(test)]
mod tests;
