//! The calls that a case expects, in order, and what is answered to them.

use serde::Deserialize;
use serde_json::{Map, Value};

use crate::difference::{self, Difference};

/// One expected call and its answer.
#[derive(Debug)]
pub struct Exchange {
    call: Value,
    answer: Answer,
}

impl Exchange {
    /// Where the call goes; empty where the case does not say it.
    pub(crate) fn url(&self) -> &str {
        self.call["url"].as_str().unwrap_or_default()
    }
}

/// What the vendor, or the way to it, answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// An answer for the plugin.
    Response {
        /// HTTP status.
        status: u16,
        /// HTTP headers.
        headers: Vec<(String, String)>,
        /// HTTP body.
        body: Vec<u8>,
    },
    /// An answer whose body went into the host's store.
    Stored {
        /// HTTP status.
        status: u16,
        /// HTTP headers.
        headers: Vec<(String, String)>,
        /// The file.
        file: Stored,
    },
    /// The request surely did not reach the vendor.
    NotSent(String),
    /// It left, and no complete answer came.
    Unclear(String),
    /// The host's own rules forbid it.
    Refused(String),
}

/// A file in the host's store.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Stored {
    /// `blb_…`.
    pub blob: String,
    /// MIME type.
    pub content_type: String,
    /// Bytes.
    pub size: u64,
}

/// What is left of a case's calls while an operation runs.
#[derive(Debug)]
pub struct Script<'a> {
    exchanges: &'a [Exchange],
    made: usize,
}

impl<'a> Script<'a> {
    pub(crate) fn new(exchanges: &'a [Exchange]) -> Self {
        Self { exchanges, made: 0 }
    }

    /// The answer to the next call, given in the words of `[call]`.
    ///
    /// # Errors
    /// It is not the call that the case expects now: how it differs.
    pub fn answer(&mut self, call: Value) -> Result<&'a Answer, Vec<Difference>> {
        let next = self.exchanges.get(self.made);
        self.made += 1;
        let expected = next.map_or(Value::Null, |exchange| exchange.call.clone());
        let found = difference::between(&format!("call {}", self.made), expected, call);
        match next {
            Some(exchange) if found.is_empty() => Ok(&exchange.answer),
            _ => Err(found),
        }
    }

    /// Every answer of the script, whatever is called.
    pub fn answers(&self) -> impl Iterator<Item = &'a Answer> + use<'a> {
        self.exchanges.iter().map(|exchange| &exchange.answer)
    }

    /// The expected calls that were not made.
    pub fn rest(&self) -> Vec<Difference> {
        let rest = self.exchanges.iter().enumerate().skip(self.made);
        rest.flat_map(|(at, exchange)| {
            difference::between(&format!("call {}", at + 1), exchange.call.clone(), Value::Null)
        })
        .collect()
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ExchangeToml {
    call: Map<String, Value>,
    pub(crate) answer: AnswerToml,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct AnswerToml {
    status: Option<u16>,
    #[serde(default)]
    headers: Vec<(String, String)>,
    pub(crate) body: Option<String>,
    pub(crate) body_file: Option<String>,
    stored: Option<Stored>,
    not_sent: Option<String>,
    unclear: Option<String>,
    refused: Option<String>,
}

impl ExchangeToml {
    /// The exchange, with the JSON text of a call read. `file` gives the text of a file beside the cases.
    pub(crate) fn read(mut self, file: &dyn Fn(&str) -> Result<String, String>) -> Result<Exchange, String> {
        if let Some(text) = self.call.get("json").and_then(Value::as_str) {
            let mut json = serde_json::from_str(text).map_err(|e| format!("[call] json: {e}"))?;
            fill_in(&mut json, file)?;
            self.call.insert("json".into(), json);
        }
        Ok(Exchange { call: Value::Object(self.call), answer: self.answer.read()? })
    }
}

/// Puts the text of a file where a value is `{file:NAME}`.
fn fill_in(json: &mut Value, file: &dyn Fn(&str) -> Result<String, String>) -> Result<(), String> {
    match json {
        Value::String(text) => {
            if let Some(name) = text.strip_prefix("{file:").and_then(|rest| rest.strip_suffix('}')) {
                *text = file(name)?;
            }
            Ok(())
        }
        Value::Array(items) => items.iter_mut().try_for_each(|item| fill_in(item, file)),
        Value::Object(members) => members.values_mut().try_for_each(|member| fill_in(member, file)),
        _ => Ok(()),
    }
}

impl AnswerToml {
    fn read(self) -> Result<Answer, String> {
        Ok(match self {
            Self { not_sent: Some(why), .. } => Answer::NotSent(why),
            Self { unclear: Some(why), .. } => Answer::Unclear(why),
            Self { refused: Some(why), .. } => Answer::Refused(why),
            Self { stored: Some(file), status, headers, .. } => {
                Answer::Stored { status: status.unwrap_or(200), headers, file }
            }
            Self { status: Some(status), headers, body, .. } => {
                Answer::Response { status, headers, body: body.unwrap_or_default().into_bytes() }
            }
            _ => return Err("[answer] needs `status`, `stored`, `not_sent`, `unclear` or `refused`".into()),
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn calls_are_answered_in_order_and_none_may_be_left_over() {
        let exchange =
            |url: &str| Exchange { call: json!({ "url": url }), answer: Answer::NotSent(url.into()) };
        let exchanges = [exchange("a"), exchange("b")];
        let mut script = Script::new(&exchanges);
        assert_eq!(script.answer(json!({ "url": "a", "body": null })), Ok(&Answer::NotSent("a".into())));
        assert_eq!(script.rest()[0].at, "call 2");
        let found = script.answer(json!({ "url": "c" })).unwrap_err();
        assert_eq!(found[0].to_string(), "call 2/url: expected \"b\", but it was \"c\"");
        assert_eq!(script.rest(), []);
        assert_eq!(script.answer(json!({ "url": "d" })).unwrap_err()[0].expected, Value::Null);
    }
}
