//! `/groups`: teams of agents that receive conversations.

mod service;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use pointsman_rules::assign::Assignment;
use pointsman_rules::ids::{CalendarId, GroupId, TenantId, UserId};
use pointsman_rules::sla::Targets;
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::auth::{Admin, Principal};
use super::etag::{IfMatch, Tagged};
use super::paging::{List, Page, Query};
use super::path::Id;
use super::problem::{FieldProblem, Problem};
use super::{Api, Refused, body};
use crate::clock::rfc3339;
use crate::store::groups::{self, Group};
use crate::store::{Tx, audit, calendars, conversations, users};
use service::{AssignmentForm, TargetsForm};

const NAME_CHARS_MAX: usize = 100;
const MEMBERS_MAX: usize = 500;

pub(super) fn router() -> OpenApiRouter<Api> {
    OpenApiRouter::default().routes(routes!(list, create)).routes(routes!(get, change, remove))
}

/// A team.
#[derive(Debug, Serialize, ToSchema)]
pub struct GroupView {
    /// `grp_…`.
    id: String,
    /// For people and rules.
    name: String,
    /// Ids of its members.
    members: Vec<String>,
    /// BCP 47.
    language: Option<String>,
    /// Id of the calendar that it works by.
    calendar: Option<String>,
    /// How conversations are handed out.
    assignment: AssignmentForm,
    /// How long contacts may wait.
    targets: TargetsForm,
    /// Also the `ETag`.
    version: i64,
    /// When it was made.
    #[schema(format = DateTime)]
    created_at: String,
}

impl From<Group> for GroupView {
    fn from(group: Group) -> Self {
        Self {
            id: group.id.to_string(),
            name: group.name,
            members: group.members.iter().map(UserId::to_string).collect(),
            language: group.language,
            calendar: group.calendar.map(|id| id.to_string()),
            assignment: AssignmentForm::from(&group.assignment),
            targets: TargetsForm::from(&group.targets),
            version: group.version,
            created_at: rfc3339(group.created_ms),
        }
    }
}

/// A new team.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewGroup {
    /// Unique, whatever its case.
    #[schema(example = "Billing")]
    name: String,
    /// Ids of its members.
    #[serde(default)]
    #[schema(value_type = Vec<String>)]
    members: Vec<UserId>,
    /// BCP 47.
    language: Option<String>,
    /// Id of a calendar.
    #[schema(value_type = Option<String>)]
    calendar: Option<CalendarId>,
    /// How conversations are handed out; people take them when absent.
    assignment: Option<AssignmentForm>,
    /// How long contacts may wait; not measured when absent.
    targets: Option<TargetsForm>,
}

/// What may be changed. What is left out stays.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct GroupChange {
    /// Unique, whatever its case.
    name: Option<String>,
    /// All members from now on.
    #[schema(value_type = Option<Vec<String>>)]
    members: Option<Vec<UserId>>,
    /// BCP 47; `null` for none.
    #[serde(default, deserialize_with = "body::given")]
    #[schema(value_type = Option<String>)]
    language: Option<Option<String>>,
    /// Id of a calendar; `null` for none.
    #[serde(default, deserialize_with = "body::given")]
    #[schema(value_type = Option<String>)]
    calendar: Option<Option<CalendarId>>,
    /// All of how conversations are handed out.
    assignment: Option<AssignmentForm>,
    /// All of how long contacts may wait.
    targets: Option<TargetsForm>,
}

/// Teams, oldest first.
#[utoipa::path(get, path = "/api/v1/groups", tag = "groups", params(Page), responses((status = 200, body = List<GroupView>)))]
async fn list(
    State(api): State<Api>,
    who: Principal,
    Query(page): Query<Page>,
) -> Result<Json<List<GroupView>>, Problem> {
    let (rows, after) = (page.rows()?, page.after()?);
    let found = groups::list(&mut api.read().await?, who.tenant, after, rows).await?;
    Ok(Json(List::page(found, rows, |g| g.id, GroupView::from)))
}

/// Makes a team.
#[utoipa::path(post, path = "/api/v1/groups", tag = "groups", request_body = NewGroup, responses((status = 201, body = GroupView)))]
async fn create(
    State(api): State<Api>,
    Admin(who): Admin,
    body::Json(new): body::Json<NewGroup>,
) -> Result<Tagged<GroupView>, Problem> {
    let clock = &api.flow.clock;
    let (assignment, targets) = service(new.assignment.as_ref(), new.targets.as_ref())?;
    let group = Group {
        id: GroupId::new(clock.now_ms(), clock.random()),
        name: checked_name(&new.name)?,
        language: new.language,
        calendar: new.calendar,
        assignment: assignment.unwrap_or_default(),
        targets: targets.unwrap_or_default(),
        members: sorted(new.members),
        version: 1,
        created_ms: clock.now_ms(),
    };
    let (tenant, row) = (who.tenant, group.clone());
    let entry = who.did(clock, "group.create", group.id, json!({"name": group.name}));
    api.write(move |tx| {
        let (row, entry) = (row.clone(), entry.clone());
        Box::pin(async move {
            check_members(tx, tenant, &row.members).await?;
            check_calendar(tx, tenant, row.calendar).await?;
            if !groups::insert(tx, tenant, &row).await? {
                return Err(name_taken().into());
            }
            Ok::<_, Refused>(audit::append(tx, tenant, &entry).await?)
        })
    })
    .await?;
    api.changed(tenant, None);
    Ok(Tagged::created(1, group.into()))
}

/// One team.
#[utoipa::path(get, path = "/api/v1/groups/{id}", tag = "groups", params(("id" = String, Path)), responses((status = 200, body = GroupView)))]
async fn get(
    State(api): State<Api>,
    who: Principal,
    Id(id): Id<GroupId>,
) -> Result<Tagged<GroupView>, Problem> {
    let found = groups::get(&mut api.read().await?, who.tenant, id).await?;
    let group = found.ok_or_else(|| Problem::not_found("group"))?;
    Ok(Tagged::ok(group.version, group.into()))
}

/// Changes a team. `If-Match` with the `ETag` that you read keeps you from overwriting others' changes.
#[utoipa::path(patch, path = "/api/v1/groups/{id}", tag = "groups", params(("id" = String, Path)), request_body = GroupChange, responses((status = 200, body = GroupView)))]
async fn change(
    State(api): State<Api>,
    Admin(who): Admin,
    Id(id): Id<GroupId>,
    seen: IfMatch,
    body::Json(change): body::Json<GroupChange>,
) -> Result<Tagged<GroupView>, Problem> {
    let name = change.name.as_deref().map(checked_name).transpose()?;
    let (members, language, calendar) = (change.members.map(sorted), change.language, change.calendar);
    let service = service(change.assignment.as_ref(), change.targets.as_ref())?;
    let now_ms = api.flow.clock.now_ms();
    let (tenant, detail) = (who.tenant, json!({"name": name, "members": members.as_ref().map(Vec::len)}));
    let entry = who.did(&api.flow.clock, "group.change", id, detail);
    let group = api.write(move |tx| {
        let (name, members, language) = (name.clone(), members.clone(), language.clone());
        let (seen, entry, service) = (seen.clone(), entry.clone(), service.clone());
        Box::pin(async move {
            let mut group = groups::get(tx, tenant, id).await?.ok_or_else(|| Problem::not_found("group"))?;
            seen.check(group.version)?;
            if let Some(members) = members {
                check_members(tx, tenant, &members).await?;
                group.members = members;
            }
            group.name = name.unwrap_or(group.name);
            group.language = language.unwrap_or(group.language);
            check_calendar(tx, tenant, calendar.flatten()).await?;
            group.calendar = calendar.unwrap_or(group.calendar);
            let (assignment, targets) = service;
            group.assignment = assignment.unwrap_or(group.assignment);
            group.targets = targets.unwrap_or(group.targets);
            if !groups::update(tx, tenant, &group).await? {
                return Err(name_taken().into());
            }
            // Deadlines and queues of its conversations may be others now.
            conversations::look_again(tx, tenant, id, now_ms).await?;
            group.version += 1;
            audit::append(tx, tenant, &entry).await?;
            Ok::<_, Refused>(group)
        })
    });
    let group = group.await?;
    api.changed(tenant, None);
    Ok(Tagged::ok(group.version, group.into()))
}

/// Removes a team that no channel and no open conversation names.
#[utoipa::path(delete, path = "/api/v1/groups/{id}", tag = "groups", params(("id" = String, Path)), responses((status = 204)))]
async fn remove(
    State(api): State<Api>,
    Admin(who): Admin,
    Id(id): Id<GroupId>,
    seen: IfMatch,
) -> Result<StatusCode, Problem> {
    let tenant = who.tenant;
    let entry = who.did(&api.flow.clock, "group.delete", id, json!({}));
    api.write(move |tx| {
        let (seen, entry) = (seen.clone(), entry.clone());
        Box::pin(async move {
            let group = groups::get(tx, tenant, id).await?.ok_or_else(|| Problem::not_found("group"))?;
            seen.check(group.version)?;
            if groups::is_used(tx, tenant, id).await? {
                let detail =
                    "a channel or an open conversation belongs to this group; give them to another one first";
                return Err(Problem::conflict("in_use", detail).into());
            }
            groups::delete(tx, tenant, id).await?;
            Ok::<_, Refused>(audit::append(tx, tenant, &entry).await?)
        })
    })
    .await?;
    api.changed(tenant, None);
    Ok(StatusCode::NO_CONTENT)
}

async fn check_members(tx: &mut Tx, tenant: TenantId, members: &[UserId]) -> Result<(), Refused> {
    if members.len() > MEMBERS_MAX {
        return Err(
            Problem::field("/members", format!("at most {MEMBERS_MAX} people fit into a group")).into()
        );
    }
    let mut errors = Vec::new();
    for (index, member) in members.iter().enumerate() {
        if users::get(tx, tenant, *member).await?.is_none() {
            errors.push(FieldProblem::new(format!("/members/{index}"), format!("there is no user {member}")));
        }
    }
    if errors.is_empty() { Ok(()) } else { Err(Problem::invalid(errors).into()) }
}

async fn check_calendar(tx: &mut Tx, tenant: TenantId, id: Option<CalendarId>) -> Result<(), Refused> {
    match id {
        Some(id) if calendars::get(tx, tenant, id).await?.is_none() => {
            Err(Problem::field("/calendar", format!("there is no calendar {id}")).into())
        }
        _ => Ok(()),
    }
}

/// What was given of the two, checked.
fn service(
    assignment: Option<&AssignmentForm>,
    targets: Option<&TargetsForm>,
) -> Result<(Option<Assignment>, Option<Targets>), Problem> {
    let mut problems = Vec::new();
    let assignment = assignment.map(|form| form.checked(&mut problems));
    let targets = targets.map(|form| form.checked(&mut problems));
    if problems.is_empty() { Ok((assignment, targets)) } else { Err(Problem::invalid(problems)) }
}

fn sorted(mut members: Vec<UserId>) -> Vec<UserId> {
    members.sort_unstable();
    members.dedup();
    members
}

fn name_taken() -> Problem {
    Problem::field("/name", "another group has this name")
}

fn checked_name(name: &str) -> Result<String, Problem> {
    let name = name.trim();
    if name.is_empty() || name.chars().count() > NAME_CHARS_MAX {
        return Err(Problem::field("/name", format!("must have 1 to {NAME_CHARS_MAX} characters")));
    }
    Ok(name.to_owned())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::http::auth::Role;
    use crate::http::testing::Stage;

    #[tokio::test]
    async fn two_people_do_not_overwrite_each_other() {
        let stage = Stage::new().await;
        let admin = stage.key(Role::Admin).await;
        let ana = stage.user("ana@x.test", Role::Agent).await;
        let new = json!({"name": "Support", "members": [ana]});
        let answer = stage.post("/api/v1/groups", &admin, new).await;
        assert_eq!(answer.header("etag"), "\"1\"");
        let made = answer.expect(201);
        assert_eq!(made["members"], json!([ana]));
        let path = format!("/api/v1/groups/{}", made["id"].as_str().unwrap());
        let auth = format!("Bearer {admin}");
        let seen = [("authorization", auth.as_str()), ("if-match", "\"1\"")];
        let answer = stage.send("PATCH", &path, &seen, Some(json!({"name": "Help"}))).await;
        assert_eq!(answer.header("etag"), "\"2\"");
        answer.expect(200);
        stage.send("PATCH", &path, &seen, Some(json!({"name": "Late"}))).await.problem(412, "stale");
        stage.send("DELETE", &path, &seen, None).await.problem(412, "stale");
        assert_eq!(stage.get(&path, &admin).await.expect(200)["name"], "Help");
        stage.patch(&path, &admin, json!({"members": []})).await.expect(200);
        assert_eq!(stage.get(&path, &admin).await.expect(200)["members"], json!([]));
        stage.delete(&path, &admin).await.expect(204);
        stage.get(&path, &admin).await.problem(404, "not_found");
    }

    #[tokio::test]
    async fn names_and_members_are_checked() {
        let stage = Stage::new().await;
        let admin = stage.key(Role::Admin).await;
        stage.post("/api/v1/groups", &admin, json!({"name": "Support"})).await.expect(201);
        let problem =
            stage.post("/api/v1/groups", &admin, json!({"name": "SUPPORT"})).await.problem(422, "invalid");
        assert_eq!(problem["errors"][0]["pointer"], "/name");
        let stranger = "usr_01jd0000000000000000000000";
        let new = json!({"name": "B", "members": [stranger]});
        let problem = stage.post("/api/v1/groups", &admin, new).await.problem(422, "invalid");
        assert_eq!(problem["errors"][0]["pointer"], "/members/0");
        let problem =
            stage.post("/api/v1/groups", &admin, json!({"nmae": "B"})).await.problem(422, "invalid");
        assert!(
            problem["errors"][0]["message"].as_str().unwrap().contains("did you mean `name`?"),
            "{problem}"
        );
    }
}
