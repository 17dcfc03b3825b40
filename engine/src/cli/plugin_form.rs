//! What a plugin is given on the command line, whether it speaks for a channel or
//! for an assistant: settings with the types of its manifest, and secrets.

use clap::Args;
use serde_json::{Map, Value};

use super::client::Client;
use super::error::CliError;
use super::output::text;
use crate::config::{Environment, Strings};
use crate::crypto::Secret;

/// Settings and secrets of a plugin
#[derive(Debug, Clone, Args)]
pub(super) struct PluginForm {
    /// A setting of the plugin
    #[arg(long = "set", value_name = "NAME=VALUE", value_parser = pair)]
    set: Vec<(String, String)>,
    /// A secret; better with --secret-env, since others can read command lines
    #[arg(long = "secret", value_name = "NAME=VALUE", value_parser = secret_pair)]
    secret: Vec<(String, Secret)>,
    /// A secret that a variable holds
    #[arg(long = "secret-env", value_name = "NAME=VARIABLE", value_parser = pair)]
    secret_env: Vec<(String, String)>,
    /// Let the plugin call addresses of private networks that its settings name
    #[arg(long)]
    allow_private_egress: bool,
}

/// `name=value`.
pub(super) fn pair(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err("write it as name=value".to_owned()),
    }
}

fn secret_pair(text: &str) -> Result<(String, Secret), String> {
    pair(text).map(|(name, value)| (name, Secret::new(value)))
}

impl PluginForm {
    /// The fields of a request that were given, for this plugin.
    ///
    /// # Errors
    /// There is no such plugin, a value does not fit, or a variable is not set.
    pub(super) async fn fields(&self, client: &Client, plugin: &str) -> Result<Map<String, Value>, CliError> {
        self.filled(&fields_of(client, plugin).await?, &Environment)
    }

    fn filled(&self, fields: &[Value], strings: &dyn Strings) -> Result<Map<String, Value>, CliError> {
        let mut body = Map::new();
        let (settings, secrets) = (self.settings(fields)?, self.secrets(strings)?);
        for (name, values) in [("settings", settings), ("secrets", secrets)] {
            if !values.is_empty() {
                body.insert(name.to_owned(), values.into());
            }
        }
        if self.allow_private_egress {
            body.insert("allow_private_egress".to_owned(), true.into());
        }
        Ok(body)
    }

    fn settings(&self, fields: &[Value]) -> Result<Map<String, Value>, CliError> {
        let mut settings = Map::new();
        for (name, value) in &self.set {
            let kind = kind_of(fields, name);
            if kind == Some("secret") {
                let say = format!(
                    "{name} is a secret; give it with --secret-env {name}=VARIABLE or --secret {name}=…"
                );
                return Err(CliError::Usage(say));
            }
            settings.insert(name.clone(), typed(kind, name, value)?);
        }
        Ok(settings)
    }

    fn secrets(&self, strings: &dyn Strings) -> Result<Map<String, Value>, CliError> {
        let mut secrets = Map::new();
        for (name, value) in &self.secret {
            secrets.insert(name.clone(), value.expose().into());
        }
        for (name, variable) in &self.secret_env {
            let value = strings.get(variable).filter(|value| !value.is_empty());
            let value = value.ok_or_else(|| {
                CliError::Usage(format!("{variable}, which should hold {name}, is not set"))
            })?;
            secrets.insert(name.clone(), value.into());
        }
        Ok(secrets)
    }
}

/// The form of a plugin; tells which plugins there are when there is no such one.
async fn fields_of(client: &Client, id: &str) -> Result<Vec<Value>, CliError> {
    let plugins = client.list("/api/v1/plugins").await?;
    let Some(plugin) = plugins.iter().find(|plugin| plugin["id"] == id) else {
        let known: Vec<_> = plugins.iter().map(|plugin| text(plugin, "/id")).collect();
        return Err(CliError::Failed(match known.as_slice() {
            [] => "no plugin is installed; put its .wasm into the plugin folder and restart the server"
                .to_owned(),
            known => format!("there is no plugin `{id}`; there are: {}", known.join(", ")),
        }));
    };
    Ok(plugin["manifest"]["settings"].as_array().cloned().unwrap_or_default())
}

fn kind_of<'f>(fields: &'f [Value], name: &str) -> Option<&'f str> {
    let field = fields.iter().find(|field| field["name"] == name)?;
    field["kind"]["type"].as_str().or_else(|| field["kind"].as_str())
}

/// A setting as its plugin wants it. What is no field of the plugin goes as text: the server knows best.
fn typed(kind: Option<&str>, name: &str, value: &str) -> Result<Value, CliError> {
    let wrong = |what| CliError::Usage(format!("{name} must be {what}, not `{value}`"));
    match kind {
        Some("integer") => value.parse::<i64>().map(Value::from).map_err(|_| wrong("a whole number")),
        Some("toggle") => value.parse::<bool>().map(Value::from).map_err(|_| wrong("true or false")),
        _ => Ok(value.into()),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use clap::Parser;
    use serde_json::json;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        form: PluginForm,
    }

    fn body(line: &str, env: &[(&str, &str)]) -> Result<Value, String> {
        let words = std::iter::once("x").chain(line.split_whitespace());
        let form = Line::try_parse_from(words).unwrap().form;
        let fields = json!([
            {"name": "account_sid", "kind": {"type": "text"}}, {"name": "port", "kind": {"type": "integer"}},
            {"name": "test", "kind": {"type": "toggle"}}, {"name": "auth_token", "kind": {"type": "secret"}},
        ]);
        let env: BTreeMap<_, _> = env.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect();
        form.filled(fields.as_array().unwrap(), &env).map(Value::from).map_err(|e| e.to_string())
    }

    #[test]
    fn settings_get_the_type_of_their_field() {
        let line =
            "--set account_sid=0123 --set port=8 --set test=true --set other=1 --secret-env auth_token=T";
        assert_eq!(
            body(line, &[("T", "hidden")]).unwrap(),
            json!({
                "settings": {"account_sid": "0123", "port": 8, "test": true, "other": "1"},
                "secrets": {"auth_token": "hidden"},
            })
        );
        assert_eq!(body("", &[]).unwrap(), json!({}), "what is not given is not sent");
        assert_eq!(body("--allow-private-egress", &[]).unwrap(), json!({"allow_private_egress": true}));
    }

    #[test]
    fn mistakes_say_what_to_do() {
        let secret = body("--set auth_token=x", &[]).unwrap_err();
        assert!(secret.contains("--secret-env auth_token=VARIABLE"), "{secret}");
        assert_eq!(body("--set port=x", &[]).unwrap_err(), "port must be a whole number, not `x`");
        assert_eq!(
            body("--secret-env auth_token=T", &[]).unwrap_err(),
            "T, which should hold auth_token, is not set"
        );
        assert!(pair("=x").is_err() && pair("x").is_err());
        assert_eq!(pair("a=b=c").unwrap(), ("a".into(), "b=c".into()));
    }
}
