//! The OpenAPI document: collected from the handlers, completed here with what
//! holds for all of them (how to sign in, how errors look).

use std::collections::BTreeSet;

use utoipa::openapi::content::ContentBuilder;
use utoipa::openapi::path::Operation;
use utoipa::openapi::security::{
    ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme,
};
use utoipa::openapi::{OpenApi, Ref, ResponseBuilder};
use utoipa::{OpenApi as _, ToSchema};

use super::auth::SESSION_COOKIE;
use super::problem::{Document, FieldProblem};

/// Operations with this tag need no credential.
pub(super) const PUBLIC: &str = "signing in";

#[derive(utoipa::OpenApi)]
#[openapi(
    info(
        title = "Pointsman",
        description = "Rules-driven workflow engine for customer messaging. Everything the console does goes through \
            this API. Lists take `limit` (at most 200) and `cursor`. Every POST takes `Idempotency-Key` (kept 24 h). \
            Bodies are at most 1 MiB; unknown fields are refused. Times are RFC 3339 in UTC."
    ),
    components(schemas(Document, FieldProblem))
)]
struct Base;

/// The whole document.
pub fn document() -> OpenApi {
    let (_, collected) = super::families().split_for_parts();
    let mut api = Base::openapi();
    api.merge(collected);
    let components = api.components.get_or_insert_default();
    let bearer = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).description(Some("An API key, `pm_…`."));
    components.add_security_scheme("key", SecurityScheme::Http(bearer.build()));
    let cookie =
        ApiKeyValue::with_description(SESSION_COOKIE, "Set by signing in; writes also need `x-csrf-token`.");
    components.add_security_scheme("session", SecurityScheme::ApiKey(ApiKey::Cookie(cookie)));
    for item in api.paths.paths.values_mut() {
        let operations = [&mut item.get, &mut item.post, &mut item.patch, &mut item.put, &mut item.delete];
        operations.into_iter().flatten().for_each(complete);
    }
    api
}

fn complete(operation: &mut Operation) {
    let problem = ContentBuilder::new().schema(Some(Ref::from_schema_name(Document::name()))).build();
    let response = ResponseBuilder::new()
        .description("A problem: see `code`.")
        .content("application/problem+json", problem)
        .build();
    operation.responses.responses.insert("default".to_owned(), response.into());
    let tags: BTreeSet<&str> = operation.tags.iter().flatten().map(String::as_str).collect();
    if !tags.contains(PUBLIC) {
        let none: [&str; 0] = [];
        operation.security =
            Some(vec![SecurityRequirement::new("key", none), SecurityRequirement::new("session", none)]);
    }
}
