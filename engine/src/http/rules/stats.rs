//! `/rules/stats` and `/rules/{id}/stats`: how often rules fired, were skipped or
//! failed, by day, and how long they took.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::State;
use pointsman_rules::ids::RuleId;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::clock::rfc3339;
use crate::flow::rule_watch::{COUNT_DAYS_MAX, MICROS};
use crate::http::Api;
use crate::http::auth::Principal;
use crate::http::paging::{List, Query};
use crate::http::path::Id;
use crate::http::problem::Problem;
use crate::store::rule_counts::{self, Count};
use crate::store::rules;

const DAYS_DEFAULT: i64 = 7;
const DAY_MS: i64 = 24 * 3_600_000;
/// What the store calls runs that asked for something.
const FIRED: &str = "fired";
/// What the store begins the reasons of skipped runs with.
const SKIPPED: &str = "skipped:";

pub(super) fn router() -> OpenApiRouter<Api> {
    OpenApiRouter::default().routes(routes!(all)).routes(routes!(stats))
}

/// Which days.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct StatsOf {
    /// How many days back, today included (UTC); 7 when absent, at most 400.
    days: Option<i64>,
}

/// What became of a rule. Written every few seconds; the last moments may be missing.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct RuleStats {
    /// All days together.
    total: RuleTally,
    /// When it last fired on these days.
    #[schema(format = DateTime)]
    last_fired_at: Option<String>,
    /// Half of the runs took at most so long, microseconds; within an eighth.
    micros_p50: Option<u64>,
    /// 99 of 100 runs did.
    micros_p99: Option<u64>,
    /// Days on which something happened, the oldest first.
    days: Vec<RuleDay>,
}

/// What became of one of the rules.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct RuleSum {
    /// `rul_…`.
    #[schema(value_type = String)]
    rule: RuleId,
    /// All days together.
    #[serde(flatten)]
    tally: RuleTally,
    /// When it last fired on these days.
    #[schema(format = DateTime)]
    last_fired_at: Option<String>,
}

/// One day of a rule.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct RuleDay {
    /// UTC.
    #[schema(format = Date)]
    day: String,
    /// Its counts.
    #[serde(flatten)]
    tally: RuleTally,
}

/// How often what became of a rule.
#[derive(Debug, Default, Serialize, ToSchema)]
pub(super) struct RuleTally {
    /// It asked for something.
    fired: i64,
    /// It ran and asked for nothing.
    passed: i64,
    /// It failed.
    failed: i64,
    /// It did not run: why, and how often.
    skipped: BTreeMap<String, i64>,
}

impl RuleTally {
    fn add(&mut self, it: &Count) {
        match it.what.as_str() {
            FIRED => self.fired += it.count,
            "passed" => self.passed += it.count,
            "failed" => self.failed += it.count,
            what => {
                if let Some(reason) = what.strip_prefix(SKIPPED) {
                    *self.skipped.entry(reason.to_owned()).or_default() += it.count;
                }
            }
        }
    }
}

/// How all rules are doing; those that saw nothing on these days are missing.
#[utoipa::path(get, path = "/api/v1/rules/stats", tag = "rules", params(StatsOf), responses((status = 200, body = List<RuleSum>)))]
async fn all(
    State(api): State<Api>,
    who: Principal,
    Query(of): Query<StatsOf>,
) -> Result<Json<List<RuleSum>>, Problem> {
    let from_day = first_day(&api, of.days)?;
    let mut sums: BTreeMap<RuleId, RuleSum> = BTreeMap::new();
    for (rule, count) in rule_counts::by_rule(&mut api.read().await?, who.tenant, from_day).await? {
        let fresh = || RuleSum { rule, tally: RuleTally::default(), last_fired_at: None };
        let sum = sums.entry(rule).or_insert_with(fresh);
        sum.tally.add(&count);
        if count.what == FIRED {
            sum.last_fired_at = Some(rfc3339(count.last_ms));
        }
    }
    Ok(Json(List::whole(sums.into_values().collect())))
}

/// How a rule is doing.
#[utoipa::path(get, path = "/api/v1/rules/{id}/stats", tag = "rules", params(("id" = String, Path), StatsOf), responses((status = 200, body = RuleStats)))]
async fn stats(
    State(api): State<Api>,
    who: Principal,
    Id(id): Id<RuleId>,
    Query(of): Query<StatsOf>,
) -> Result<Json<RuleStats>, Problem> {
    let from_day = first_day(&api, of.days)?;
    let mut tx = api.read().await?;
    rules::get(&mut tx, who.tenant, id).await?.ok_or_else(|| Problem::not_found("rule"))?;
    let counts = rule_counts::of(&mut tx, who.tenant, id, from_day).await?;
    Ok(Json(sum(&counts)))
}

/// The first of so many days, today being the last.
fn first_day(api: &Api, days: Option<i64>) -> Result<i64, Problem> {
    let days = days.unwrap_or(DAYS_DEFAULT);
    if !(1..=COUNT_DAYS_MAX).contains(&days) {
        return Err(Problem::field("/days", format!("must be from 1 to {COUNT_DAYS_MAX}")));
    }
    Ok(api.flow.clock.now_ms().div_euclid(DAY_MS) - days + 1)
}

fn sum(counts: &[Count]) -> RuleStats {
    let (mut total, mut days, mut times) = (RuleTally::default(), BTreeMap::new(), BTreeMap::new());
    for it in counts {
        total.add(it);
        days.entry(it.day).or_insert_with(RuleTally::default).add(it);
        if let Some(bound) = it.what.strip_prefix(MICROS).and_then(|bound| bound.parse::<u64>().ok()) {
            *times.entry(bound).or_insert(0) += it.count;
        }
    }
    let fired = counts.iter().filter(|it| it.what == FIRED);
    RuleStats {
        total,
        last_fired_at: fired.map(|it| it.last_ms).max().map(rfc3339),
        micros_p50: percentile(&times, 50),
        micros_p99: percentile(&times, 99),
        days: days.into_iter().map(|(day, tally)| RuleDay { day: date(day), tally }).collect(),
    }
}

/// The smallest bound within which so many of 100 runs stayed.
fn percentile(times: &BTreeMap<u64, i64>, percent: i64) -> Option<u64> {
    let all: i64 = times.values().sum();
    let mut seen = 0;
    times.iter().find_map(|(bound, count)| {
        seen += count;
        (seen * 100 >= all * percent).then_some(*bound)
    })
}

/// `2026-05-01`.
fn date(day: i64) -> String {
    rfc3339(day * DAY_MS).chars().take_while(|c| *c != 'T').collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_become_days_and_percentiles() {
        let count =
            |day, what: &str, count| Count { day, what: what.into(), count, last_ms: day * DAY_MS + 5 };
        let stats = sum(&[
            count(20_000, "fired", 60),
            count(20_000, "micros:15", 50),
            count(20_000, "micros:31", 10),
            count(20_001, "fired", 38),
            count(20_001, "failed", 2),
            count(20_001, "skipped:quota", 7),
            count(20_001, "micros:31", 38),
            count(20_001, "micros:1023", 2),
        ]);
        assert_eq!((stats.total.fired, stats.total.failed, stats.total.skipped["quota"]), (98, 2, 7));
        assert_eq!((stats.micros_p50, stats.micros_p99), (Some(15), Some(1023)));
        let days: Vec<_> = stats.days.iter().map(|it| (it.day.as_str(), it.tally.fired)).collect();
        assert_eq!(days, [("2024-10-04", 60), ("2024-10-05", 38)]);
        assert_eq!(stats.last_fired_at.as_deref(), Some("2024-10-05T00:00:00.005Z"));
        assert_eq!(sum(&[]).micros_p50, None);
    }
}
