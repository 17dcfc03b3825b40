//! Changes to a genuine webhook, each of which must make it refused.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::case::query;
use crate::webhook::Request;

/// A change to a genuine webhook.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Mutation {
    /// One byte of the body.
    Body,
    /// One byte of the URL's query, or of its path when it has none.
    Url,
    /// The signature's header is missing.
    Header,
    /// The signature is shorter.
    CutTag,
    /// Every secret has another value.
    Secret,
}

impl Mutation {
    /// The changed webhook and secrets; several where one change has several places.
    pub(super) fn apply(
        self,
        signature: &str,
        request: &Request,
        secrets: &BTreeMap<String, String>,
    ) -> Vec<(Request, BTreeMap<String, String>)> {
        let with = |change: &dyn Fn(&mut Request)| {
            let mut changed = request.clone();
            change(&mut changed);
            (changed, secrets.clone())
        };
        let same_name = |name: &str| name.eq_ignore_ascii_case(signature);
        match self {
            Self::Body => letters(&request.body)
                .into_iter()
                .map(|at| with(&|request: &mut Request| request.body[at] ^= 1))
                .collect(),
            Self::Url => vec![with(&|request: &mut Request| {
                let end = request.url.split('#').next().unwrap_or("").len();
                let at = request.url[..end].rfind(|c: char| c.is_ascii_alphanumeric()).unwrap_or(0);
                let other = if &request.url[at..=at] == "q" { "p" } else { "q" };
                request.url.replace_range(at..=at, other);
                request.query = query(&request.url);
            })],
            Self::Header => {
                vec![with(&|request: &mut Request| request.headers.retain(|header| !same_name(&header.name)))]
            }
            Self::CutTag => vec![with(&|request: &mut Request| {
                for header in request.headers.iter_mut().filter(|header| same_name(&header.name)) {
                    header.value.truncate(header.value.len() - 4);
                }
            })],
            Self::Secret => {
                let other = |(name, value): (&String, &String)| (name.clone(), format!("{value}x"));
                vec![(request.clone(), secrets.iter().map(other).collect())]
            }
        }
    }
}

/// Places of letters and digits, spread over the body.
fn letters(body: &[u8]) -> Vec<usize> {
    const PLACES_MAX: usize = 16;
    let all: Vec<usize> = (0..body.len()).filter(|at| body[*at].is_ascii_alphanumeric()).collect();
    let step = all.len().div_ceil(PLACES_MAX).max(1);
    all.into_iter().step_by(step).collect()
}
