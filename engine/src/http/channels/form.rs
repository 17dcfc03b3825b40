//! The form of a channel or an assistant: settings and secrets as the plugin's
//! manifest wants them.
//! Pure; what only the plugin can know is asked of the plugin afterwards.

use std::collections::BTreeMap;

use serde_json::{Map, Value};
use url::Url;

use crate::http::body::escape;
use crate::http::problem::FieldProblem;
use crate::plugins::Manifest;
use crate::plugins::manifest::{Setting, SettingKind};

/// Longest value of one setting or secret, bytes.
const VALUE_BYTES_MAX: usize = 16 * 1024;
/// Digits of an international number (E.164: at most 15; the shortest in use have 7).
const PHONE_DIGITS: std::ops::RangeInclusive<usize> = 7..=15;
/// Settings that hold the channel's own address where none is a phone number.
const ADDRESS_NAMES: [&str; 5] = ["address", "number", "from", "sender", "phone_number_id"];

/// Checks settings and fills in defaults; `is_set` says which secrets there will be.
///
/// # Errors
/// Everything that is wrong, with pointers.
pub(in crate::http) fn settings(
    manifest: &Manifest,
    given: &Map<String, Value>,
    is_set: impl Fn(&str) -> bool,
    allow_private: bool,
) -> Result<Map<String, Value>, Vec<FieldProblem>> {
    let mut problems = Vec::new();
    let mut settings = Map::new();
    for (name, value) in given.iter().filter(|(_, value)| !value.is_null()) {
        let pointer = format!("/settings/{}", escape(name));
        match manifest.setting(name) {
            None => problems.push(FieldProblem::new(pointer, unknown(name, manifest, false))),
            Some(setting) if setting.kind.is_secret() => {
                let message = "is a secret; give it under `secrets`, where it is sealed";
                problems.push(FieldProblem::new(pointer, message));
            }
            Some(setting) => match value_of(setting, value, allow_private) {
                Ok(value) => {
                    settings.insert(name.clone(), value);
                }
                Err(message) => problems.push(FieldProblem::new(pointer, message)),
            },
        }
    }
    for setting in &manifest.settings {
        let name = &setting.name;
        if setting.kind.is_secret() {
            if setting.required && !is_set(name) {
                problems.push(missing(&format!("/secrets/{}", escape(name)), setting));
            }
        } else if given.get(name).is_none_or(Value::is_null) {
            match &setting.default {
                Some(default) => {
                    settings.insert(name.clone(), default.clone());
                }
                None if setting.required => {
                    problems.push(missing(&format!("/settings/{}", escape(name)), setting));
                }
                None => {}
            }
        }
    }
    if problems.is_empty() { Ok(settings) } else { Err(problems) }
}

/// Makes up the secrets that nobody has to know, where none is kept: `null` asks for a new one.
pub(super) fn generate(
    manifest: &Manifest,
    given: &mut BTreeMap<String, Option<String>>,
    is_kept: impl Fn(&str) -> bool,
    random: impl Fn() -> String,
) {
    for setting in manifest.settings.iter().filter(|s| s.kind == SettingKind::GeneratedSecret) {
        let is_wanted = match given.get(&setting.name) {
            Some(value) => value.is_none(),
            None => !is_kept(&setting.name),
        };
        if is_wanted {
            given.insert(setting.name.clone(), Some(random()));
        }
    }
}

/// What is wrong with the secrets that were given.
pub(in crate::http) fn secrets(
    manifest: &Manifest,
    given: &BTreeMap<String, Option<String>>,
) -> Vec<FieldProblem> {
    let mut problems = Vec::new();
    for (name, value) in given {
        let pointer = format!("/secrets/{}", escape(name));
        let message = match (manifest.setting(name).filter(|s| s.kind.is_secret()), value) {
            (None, _) => Some(unknown(name, manifest, true)),
            (Some(_), Some(value)) if value.is_empty() => {
                Some("must not be empty; leave it out to keep it".into())
            }
            (Some(_), Some(value)) if value.len() > VALUE_BYTES_MAX => Some(too_long()),
            (Some(setting), Some(value)) => pattern_problem(setting, value),
            (Some(_), None) => None,
        };
        problems.extend(message.map(|message| FieldProblem::new(pointer, message)));
    }
    problems
}

/// The channel's own address, as far as its settings say it.
pub(super) fn address(manifest: &Manifest, settings: &Map<String, Value>) -> Option<String> {
    let phone = manifest.settings.iter().filter(|s| s.kind == SettingKind::Phone).map(|s| s.name.as_str());
    phone.chain(ADDRESS_NAMES).find_map(|name| settings.get(name)?.as_str().map(str::to_owned))
}

fn value_of(setting: &Setting, value: &Value, allow_private: bool) -> Result<Value, String> {
    let text = || value.as_str().map(str::trim).ok_or_else(|| "must be a text".to_owned());
    match &setting.kind {
        SettingKind::Integer if value.is_i64() => Ok(value.clone()),
        SettingKind::Integer => Err("must be a whole number".into()),
        SettingKind::Toggle if value.is_boolean() => Ok(value.clone()),
        SettingKind::Toggle => Err("must be true or false".into()),
        SettingKind::Choice { options } => {
            let text = text()?;
            let known = options.iter().any(|option| option == text);
            if known { Ok(text.into()) } else { Err(format!("must be one of {}", options.join(", "))) }
        }
        SettingKind::Phone => matching(setting, phone(text()?)?),
        SettingKind::EgressUrl => matching(setting, egress_url(text()?, allow_private)?),
        SettingKind::Text | SettingKind::Multiline | SettingKind::Secret | SettingKind::GeneratedSecret => {
            let text = text()?;
            if text.len() > VALUE_BYTES_MAX {
                return Err(too_long());
            }
            if setting.required && text.is_empty() {
                return Err("must not be empty".into());
            }
            // An optional field that is left empty is not filled in.
            if text.is_empty() { Ok(text.into()) } else { matching(setting, text.to_owned()) }
        }
    }
}

fn phone(text: &str) -> Result<String, String> {
    let plain: String = text.chars().filter(|c| !matches!(c, ' ' | '-' | '(' | ')' | '.')).collect();
    let digits = plain.strip_prefix('+').unwrap_or_default();
    if PHONE_DIGITS.contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit()) {
        return Ok(plain);
    }
    Err("must be an international number like +34600000000".into())
}

fn egress_url(text: &str, allow_private: bool) -> Result<String, String> {
    let url = Url::parse(text).map_err(|_| "must be a URL like https://host".to_owned())?;
    match url.scheme() {
        "https" => Ok(text.into()),
        "http" if allow_private => Ok(text.into()),
        "http" => Err("must begin with https://; plain http only with `allow_private_egress`".into()),
        _ => Err("must begin with https://".into()),
    }
}

fn matching(setting: &Setting, text: String) -> Result<Value, String> {
    match pattern_problem(setting, &text) {
        Some(message) => Err(message),
        None => Ok(text.into()),
    }
}

fn pattern_problem(setting: &Setting, text: &str) -> Option<String> {
    if setting.matches(text) {
        return None;
    }
    let pattern = setting.pattern.as_deref()?;
    let example =
        setting.example.as_ref().map_or_else(String::new, |example| format!(", for example {example}"));
    Some(format!("does not look right: it must match {pattern}{example}"))
}

fn missing(pointer: &str, setting: &Setting) -> FieldProblem {
    let help = if setting.help.is_empty() { String::new() } else { format!(": {}", setting.help) };
    FieldProblem::new(pointer, format!("is missing ({}){help}", setting.label))
}

fn unknown(name: &str, manifest: &Manifest, secret: bool) -> String {
    let known: Vec<&str> =
        manifest.settings.iter().filter(|s| s.kind.is_secret() == secret).map(|s| s.name.as_str()).collect();
    let near = known.iter().map(|known| (strsim::damerau_levenshtein(name, known), *known)).min();
    match near {
        Some((distance, near)) if distance <= (name.chars().count() / 3).max(2) => {
            format!("is not known; did you mean `{near}`?")
        }
        Some(_) => format!("is not known; {} knows {}", manifest.id, known.join(", ")),
        None => format!("is not known; {} has none", manifest.id),
    }
}

fn too_long() -> String {
    format!("must have at most {VALUE_BYTES_MAX} bytes")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn setting(name: &str, kind: SettingKind, required: bool) -> Setting {
        Setting {
            name: name.into(),
            label: name.into(),
            help: "See the vendor's console".into(),
            kind,
            required,
            default: None,
            pattern: None,
            example: None,
            sent_to: None,
        }
    }

    fn manifest() -> Manifest {
        let mut sid = setting("account_sid", SettingKind::Text, true);
        (sid.pattern, sid.example) = (Some("AC[0-9a-f]{4}".into()), Some("AC00ff".into()));
        let mut number = setting("number", SettingKind::Phone, true);
        number.pattern = Some(r"\+34\d+".into());
        let mut base = setting("api_base", SettingKind::EgressUrl, false);
        base.default = Some(json!("https://api.example.com"));
        Manifest {
            assistant: None,
            id: "acme".into(),
            name: "Acme".into(),
            version: "1".into(),
            publisher: "Acme".into(),
            docs_url: None,
            license: None,
            settings: vec![
                sid,
                number,
                base,
                setting("retries", SettingKind::Integer, false),
                setting("mode", SettingKind::Choice { options: vec!["a".into(), "b".into()] }, false),
                setting("auth_token", SettingKind::Secret, true),
            ],
            kinds: vec![],
            origins: vec![],
        }
    }

    /// Checks with the secret set; answers `pointer message` of each problem.
    fn wrong(given: Value, allow_private: bool) -> Vec<String> {
        let given = given.as_object().unwrap().clone();
        match settings(&manifest(), &given, |_| true, allow_private) {
            Ok(_) => vec![],
            Err(problems) => problems.into_iter().map(|p| format!("{} {}", p.pointer, p.message)).collect(),
        }
    }

    #[test]
    fn good_settings_are_completed_and_tidied() {
        let given = json!({"account_sid": " AC00ff ", "number": "+34 600-00 00 00", "retries": null});
        let done = settings(&manifest(), given.as_object().unwrap(), |_| true, false).unwrap();
        let wanted =
            json!({"account_sid": "AC00ff", "number": "+34600000000", "api_base": "https://api.example.com"});
        assert_eq!(Value::Object(done.clone()), wanted);
        assert_eq!(address(&manifest(), &done).as_deref(), Some("+34600000000"));
    }

    // S16, S35, S48
    #[test]
    fn every_mistake_is_named_at_its_place() {
        let good = |name: &str, value: Value| {
            let mut given = json!({"account_sid": "AC00ff", "number": "+34600000000"});
            given[name] = value;
            given
        };
        for (given, says) in [
            (good("account_sid", json!("XX")), "/settings/account_sid does not look right"),
            (good("account_sid", json!("AC00ffAC00ff")), "/settings/account_sid does not look right"),
            (good("number", json!("+1 600 000 0000")), "/settings/number does not look right"),
            (good("account_sid", json!(5)), "/settings/account_sid must be a text"),
            (good("account_sid", Value::Null), "/settings/account_sid is missing"),
            (good("number", json!("600")), "/settings/number must be an international number"),
            (
                good("acount_sid", json!("x")),
                "/settings/acount_sid is not known; did you mean `account_sid`?",
            ),
            (good("retries", json!("2")), "/settings/retries must be a whole number"),
            (good("mode", json!("c")), "/settings/mode must be one of a, b"),
            (good("auth_token", json!("t")), "/settings/auth_token is a secret"),
            (good("api_base", json!("http://127.0.0.1:1")), "/settings/api_base must begin with https://"),
        ] {
            let problems = wrong(given, false);
            assert!(problems.len() == 1 && problems[0].starts_with(says), "{problems:?}, wanted {says}");
        }
        assert!(wrong(good("api_base", json!("http://127.0.0.1:1")), true).is_empty(), "with consent");
    }

    #[test]
    fn a_generated_secret_is_made_up_once_and_again_when_it_is_taken_away() {
        let mut manifest = manifest();
        manifest.settings = vec![setting("hmac_key", SettingKind::GeneratedSecret, true)];
        let made = |given: &[Option<&str>], kept: bool| {
            let given = given.iter().map(|value| ("hmac_key".to_owned(), value.map(str::to_owned)));
            let mut given: BTreeMap<_, _> = given.collect();
            generate(&manifest, &mut given, |_| kept, || "made up".into());
            given.remove("hmac_key").flatten()
        };
        assert_eq!(made(&[], false).as_deref(), Some("made up"));
        assert_eq!(made(&[], true), None);
        assert_eq!(made(&[None], true).as_deref(), Some("made up"));
        assert_eq!(made(&[Some("mine")], false).as_deref(), Some("mine"));
    }

    #[test]
    fn secrets_are_checked_by_name_and_must_be_there() {
        let given = json!({"account_sid": "AC00ff", "number": "+34600000000"});
        let problems = settings(&manifest(), given.as_object().unwrap(), |_| false, false).unwrap_err();
        assert_eq!(problems[0].pointer, "/secrets/auth_token");
        let given =
            BTreeMap::from([("auth_tken".to_owned(), Some("x".to_owned())), ("auth_token".to_owned(), None)]);
        let problems = secrets(&manifest(), &given);
        assert_eq!((problems.len(), problems[0].pointer.as_str()), (1, "/secrets/auth_tken"));
        assert!(problems[0].message.contains("did you mean `auth_token`?"));
    }
}
