//! `/rules/form`: from a form to a rule file and back. Keeps nothing; the file is
//! put into a rule like any other.

use axum::Json;
use axum::extract::State;
use pointsman_rules::form::{Form, FormError};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::check;
use crate::http::auth::Admin;
use crate::http::problem::{FieldProblem, Problem};
use crate::http::{Api, body};

pub(super) fn router() -> OpenApiRouter<Api> {
    OpenApiRouter::default().routes(routes!(write)).routes(routes!(read))
}

/// A rule as a form.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RuleForm {
    /// `name`, `on`, `when` and `do`, and the other keys of a header; see `docs/rules.md`.
    #[schema(value_type = Object)]
    form: Form,
}

/// What a form says as a rule file.
#[derive(Serialize, ToSchema)]
pub(super) struct WrittenForm {
    /// The rule file.
    source: String,
    /// What a check finds in it: errors and warnings.
    problems: Vec<FieldProblem>,
}

/// A rule file to read.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct FormSource {
    /// The rule file.
    source: String,
}

/// What a rule file says as a form.
#[derive(Serialize, ToSchema)]
pub(super) struct ReadForm {
    /// The form; `null` when it has no field for something in the file.
    #[schema(value_type = Option<Object>)]
    form: Option<Form>,
    /// Why there is none.
    why: Option<String>,
}

/// Writes a form as a rule file, and checks that.
#[utoipa::path(post, path = "/api/v1/rules/form", tag = "rules", request_body = RuleForm, responses((status = 200, body = WrittenForm)))]
async fn write(
    State(api): State<Api>,
    Admin(who): Admin,
    body::Json(given): body::Json<RuleForm>,
) -> Result<Json<WrittenForm>, Problem> {
    let source = given.form.to_source().map_err(|error| match error {
        FormError::Form { pointer, message } => Problem::field(format!("/form{pointer}"), message),
        other => Problem::field("/form", other.to_string()),
    })?;
    let problems = check::report(&api, who.tenant, &source, None).await?.problems;
    Ok(Json(WrittenForm { source, problems }))
}

/// Reads a rule file as a form, if it says nothing that a form has no field for.
#[utoipa::path(post, path = "/api/v1/rules/form/read", tag = "rules", request_body = FormSource, responses((status = 200, body = ReadForm)))]
async fn read(_: Admin, body::Json(given): body::Json<FormSource>) -> Json<ReadForm> {
    Json(match Form::from_source(&given.source) {
        Ok(form) => ReadForm { form: Some(form), why: None },
        Err(error) => ReadForm { form: None, why: Some(error.to_string()) },
    })
}
