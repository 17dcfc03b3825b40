//! `/rules/vocabulary`: the rule language as data, for editors and the console.

use std::sync::LazyLock;

use axum::Json;
use pointsman_rules::reference::{self, Vocabulary};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::http::Api;
use crate::http::auth::Principal;

pub(super) fn router() -> OpenApiRouter<Api> {
    OpenApiRouter::default().routes(routes!(vocabulary))
}

/// Everything that a rule can say: header keys, events, facts, functions and the types of their arguments.
#[utoipa::path(get, path = "/api/v1/rules/vocabulary", tag = "rules", responses((status = 200, body = Object)))]
async fn vocabulary(_: Principal) -> Json<&'static Vocabulary> {
    static LANGUAGE: LazyLock<Vocabulary> = LazyLock::new(reference::describe);
    Json(&LANGUAGE)
}
