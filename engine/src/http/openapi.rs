//! The OpenAPI document: collected from the handlers, completed here with what
//! holds for all of them (how to sign in, how errors look).

use std::collections::BTreeSet;

use axum::http::StatusCode;
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
    for (path, item) in &mut api.paths.paths {
        let operations = [
            ("get", &mut item.get),
            ("head", &mut item.head),
            ("post", &mut item.post),
            ("patch", &mut item.patch),
            ("put", &mut item.put),
            ("delete", &mut item.delete),
        ];
        for (method, operation) in operations {
            if let Some(operation) = operation {
                operation.operation_id = Some(operation_id(method, path));
                complete(operation);
            }
        }
    }
    api
}

/// `get_users_by_id`: unique, and what generated clients call their functions.
fn operation_id(method: &str, path: &str) -> String {
    let path = path.strip_prefix("/api/v1/").unwrap_or(path);
    let words = path.split('/').map(|part| match part.strip_prefix('{').and_then(|p| p.strip_suffix('}')) {
        Some(name) => format!("by_{name}"),
        None => part.replace('-', "_"),
    });
    format!("{method}_{}", words.collect::<Vec<_>>().join("_"))
}

fn complete(operation: &mut Operation) {
    let problem = ContentBuilder::new().schema(Some(Ref::from_schema_name(Document::name()))).build();
    let response = ResponseBuilder::new()
        .description("A problem: see `code`.")
        .content("application/problem+json", problem)
        .build();
    operation.responses.responses.insert("default".to_owned(), response.into());
    for (status, response) in &mut operation.responses.responses {
        if let utoipa::openapi::RefOr::T(response) = response
            && response.description.is_empty()
        {
            let known = StatusCode::from_bytes(status.as_bytes()).ok();
            let word = known.and_then(|status| status.canonical_reason()).unwrap_or("Done");
            response.description = word.to_owned();
        }
    }
    let tags: BTreeSet<&str> = operation.tags.iter().flatten().map(String::as_str).collect();
    if !tags.contains(PUBLIC) {
        let none: [&str; 0] = [];
        operation.security =
            Some(vec![SecurityRequirement::new("key", none), SecurityRequirement::new("session", none)]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOLDEN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/openapi.golden.json");

    #[test]
    fn the_document_is_the_one_that_clients_know() {
        let now = serde_json::to_string_pretty(&document()).unwrap() + "\n";
        if std::env::var_os("UPDATE_GOLDEN").is_some() {
            std::fs::write(GOLDEN, &now).unwrap();
        }
        let golden = std::fs::read_to_string(GOLDEN).unwrap_or_default();
        assert!(now == golden, "the API changed; look at it, then run this test with UPDATE_GOLDEN=1");
    }

    #[test]
    fn operations_have_names_of_their_own_and_schemas_that_exist() {
        let json = serde_json::to_value(document()).unwrap();
        let mut seen = BTreeSet::new();
        for (path, item) in json["paths"].as_object().unwrap() {
            for (method, operation) in item.as_object().unwrap() {
                let id = operation["operationId"].as_str().unwrap().to_owned();
                assert!(seen.insert(id.clone()), "{id} is there twice");
                assert!(operation["summary"].is_string(), "{method} {path} has no summary");
                assert!(operation["tags"][0].is_string(), "{method} {path} belongs to no group");
            }
        }
        let text = json.to_string();
        for reference in text.split("#/components/schemas/").skip(1) {
            let name = reference.split('"').next().unwrap();
            assert!(
                json["components"]["schemas"].get(name).is_some(),
                "schema {name} is not in the document"
            );
        }
    }
}
