//! Finding things by what people call them. Ids work, too.

use serde_json::Value;

use super::client::{Client, encoded};
use super::error::CliError;
use super::output::text;

/// The id of something by its id or its name.
///
/// # Errors
/// Refused, unreachable, not there, or there several times.
pub(super) async fn named(client: &Client, path: &str, what: &str, name: &str) -> Result<String, CliError> {
    pick(&client.list(path).await?, what, "/name", name)
}

/// The path of something by its id or its name.
///
/// # Errors
/// Refused, unreachable, not there, or there several times.
pub(super) async fn path_to(client: &Client, path: &str, what: &str, name: &str) -> Result<String, CliError> {
    Ok(format!("{path}/{}", encoded(&named(client, path, what, name).await?)))
}

/// The id of one of `items` by its id or by what it is called; `field`: where it says that.
///
/// # Errors
/// It is not there, or there several times.
pub(super) fn pick(items: &[Value], what: &str, field: &str, name: &str) -> Result<String, CliError> {
    let wanted = name.to_lowercase();
    let matching: Vec<_> = items
        .iter()
        .filter(|item| item["id"] == name || text(item, field).to_lowercase() == wanted)
        .map(|item| text(item, "/id"))
        .collect();
    match matching.as_slice() {
        [id] => Ok(id.clone()),
        [] => {
            let known: Vec<_> = items.iter().map(|item| text(item, field)).collect();
            Err(CliError::Failed(format!("there is no {what} `{name}`; there are: {}", known.join(", "))))
        }
        several => {
            Err(CliError::Failed(format!("several are called `{name}`; give an id: {}", several.join(", "))))
        }
    }
}

/// What one of `items` with this id is called; its id when it is gone.
pub(super) fn called(items: &[Value], field: &str, id: &Value) -> String {
    let item = items.iter().find(|item| item["id"] == *id);
    item.map_or_else(|| text(id, ""), |item| text(item, field))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_name_is_found_whatever_its_case_and_must_be_one() {
        let items = [
            json!({"id": "a_1", "name": "Ada"}),
            json!({"id": "a_2", "name": "Bob"}),
            json!({"id": "a_3", "name": "bob"}),
        ];
        assert_eq!(pick(&items, "assistant", "/name", "ada").unwrap(), "a_1");
        assert_eq!(pick(&items, "assistant", "/name", "a_2").unwrap(), "a_2");
        let several = pick(&items, "assistant", "/name", "BOB").unwrap_err().to_string();
        assert!(several.contains("a_2, a_3"), "{several}");
        let none = pick(&items, "assistant", "/name", "Eve").unwrap_err().to_string();
        assert!(none.contains("there is no assistant `Eve`; there are: Ada, Bob, bob"), "{none}");
        assert_eq!(
            (called(&items, "/name", &json!("a_1")), called(&items, "/name", &json!("a_9"))),
            ("Ada".into(), "a_9".into())
        );
    }
}
