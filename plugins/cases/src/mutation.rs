//! Changes to a genuine webhook: forgeries that must be refused, and damage
//! that must be survived.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::case::Request;
use crate::case::read::query;
use crate::difference::Difference;

/// Places of a body that are changed, each in a forgery of its own.
const PLACES_MAX: usize = 16;
/// A prime, so that damage is spread over bodies of any length.
const STRIDE: usize = 7919;

/// A change to a genuine webhook.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mutation {
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

/// A webhook that is not genuine any more.
#[derive(Debug)]
pub struct Forgery {
    /// What was changed.
    pub mutation: Mutation,
    /// The webhook.
    pub request: Request,
    /// The secrets to check it with.
    pub secrets: BTreeMap<String, String>,
}

impl Forgery {
    /// The difference to report when it was not refused.
    pub fn accepted(&self) -> Difference {
        Difference::new(format!("forgery {:?}", self.mutation), "refused", "accepted")
    }
}

pub(crate) fn forgeries(
    mutations: &[Mutation],
    signature: &str,
    request: &Request,
    secrets: &BTreeMap<String, String>,
) -> Result<Vec<Forgery>, Difference> {
    let mut all = Vec::new();
    for mutation in mutations {
        let before = all.len();
        for changed in mutation.requests(signature, request) {
            all.push(Forgery { mutation: *mutation, request: changed, secrets: secrets.clone() });
        }
        if *mutation == Mutation::Secret && !secrets.is_empty() {
            let other = |(name, value): (&String, &String)| (name.clone(), format!("{value}x"));
            let secrets = secrets.iter().map(other).collect();
            all.push(Forgery { mutation: *mutation, request: request.clone(), secrets });
        }
        if all.len() == before {
            let what = format!("forgery {mutation:?}");
            return Err(Difference::new(what, "something to change", "nothing to change"));
        }
    }
    Ok(all)
}

impl Mutation {
    /// The changed webhooks; several where one change has several places.
    fn requests(self, signature: &str, request: &Request) -> Vec<Request> {
        let with = |change: &dyn Fn(&mut Request)| {
            let mut changed = request.clone();
            change(&mut changed);
            changed
        };
        let is_signature = |name: &str| name.eq_ignore_ascii_case(signature);
        let signed = request.headers.iter().any(|(name, _)| is_signature(name));
        match self {
            Self::Body => letters(&request.body)
                .into_iter()
                .map(|at| with(&|it: &mut Request| it.body[at] ^= 1))
                .collect(),
            Self::Url => vec![with(&|it: &mut Request| {
                let end = it.url.split('#').next().unwrap_or("").len();
                let at = it.url[..end].rfind(|c: char| c.is_ascii_alphanumeric()).unwrap_or(0);
                let other = if &it.url[at..=at] == "q" { "p" } else { "q" };
                it.url.replace_range(at..=at, other);
                it.query = query(&it.url);
            })],
            Self::Header if signed => {
                vec![with(&|it: &mut Request| it.headers.retain(|(name, _)| !is_signature(name)))]
            }
            Self::CutTag if signed => vec![with(&|it: &mut Request| {
                for (_, value) in it.headers.iter_mut().filter(|(name, _)| is_signature(name)) {
                    value.truncate(value.len().saturating_sub(4));
                }
            })],
            Self::Header | Self::CutTag | Self::Secret => vec![],
        }
    }
}

/// Places of letters and digits, spread over the body.
fn letters(body: &[u8]) -> Vec<usize> {
    let all: Vec<usize> = (0..body.len()).filter(|at| body[*at].is_ascii_alphanumeric()).collect();
    let step = all.len().div_ceil(PLACES_MAX).max(1);
    all.into_iter().step_by(step).collect()
}

/// The webhook with its body changed, cut or longer. The body is not empty.
pub(crate) fn damage(request: &Request, round: usize) -> Request {
    let mut damaged = request.clone();
    let at = round * STRIDE % damaged.body.len();
    match round % 3 {
        0 => damaged.body[at] ^= 1 << (round % 8),
        1 => damaged.body.truncate(at),
        _ => damaged.body.insert(at, u8::try_from(round % 256).unwrap_or(0)),
    }
    damaged
}
