//! Answers from what was kept, and to whom they are given.

use pointsman_rules::ids::{EventId, RuleId, RuleVersionId};
use serde_json::{Value, json};

use crate::args;
use crate::flow::apply::{earlier_effect_of, effect_of};
use crate::http::auth::Role;
use crate::http::testing::Stage;
use crate::store::views_fixture as rows;

const RULE: &str = "//! Refunds\n//! on: message.received\n\nroute_to_group(\"Billing\");\n";
const OTHER: &str = "//! Closing\n//! on: conversation.ended\n\narchive();\n";

struct Told {
    stage: Stage,
    admin: String,
    rule: String,
    other: String,
    event: EventId,
}

/// One message on which the first rule ran; the second is for other events.
async fn told() -> Told {
    let stage = Stage::new().await;
    let admin = stage.key(Role::Admin).await;
    stage.post("/api/v1/groups", &admin, json!({"name": "Billing"})).await.expect(201);
    let mut ids = Vec::new();
    for source in [RULE, OTHER] {
        let made = stage.post("/api/v1/rules", &admin, json!({"source": source})).await.expect(201);
        ids.push((made["id"].as_str().unwrap().to_owned(), made["version"]["id"].clone()));
    }
    let db = &stage.api.flow.db;
    rows::Thread::new(1).add(db).await;
    let body = json!({"type": "message.received", "message": rows::message(1)});
    rows::add_event(db, Some(1), 2, 10, body).await;
    let trace = json!([{"rule": ids[0].0, "version": ids[0].1, "name": "Refunds", "outcome": "matched", "ops": 3,
        "micros": 7, "intents": [[4, {"intent": "route_to_group", "group": "Billing"}]],
        "refusals": [{"intent": {"intent": "route_to_group", "group": "Billing"}, "line": 4, "code": "unknown_group",
            "reason": "there is no group `Billing`"}]}]);
    let values =
        args![rows::tenant(1), rows::event(10), rows::conversation(1), "{}", trace.to_string(), rows::NOW_MS];
    rows::insert(db, "runs", "tenant_id, event_id, conversation_id, facts, trace, at_ms", values).await;
    let (rule, other) = (ids[0].0.clone(), ids[1].0.clone());
    Told { admin, rule, other, event: rows::event(10), stage }
}

#[tokio::test]
async fn every_rule_is_explained_also_those_that_did_not_look() {
    let Told { stage, admin, rule, other, event } = told().await;
    let path = format!("/api/v1/events/{event}/explain");
    let all = stage.get(&path, &admin).await.expect(200);
    assert_eq!(all["event"]["type"], "message.received");
    let [first, second] = all["rules"].as_array().unwrap().as_slice() else { panic!("{all}") };
    assert_eq!((&first["rule"], &first["outcome"]), (&json!(rule), &json!("matched")));
    assert_eq!(first["intents"][0]["refused"]["code"], "unknown_group");
    assert_eq!((&first["operations"], &first["micros"]), (&json!(3), &json!(7)));
    assert!(first["sentence"].as_str().unwrap().contains("refused: there is no group"), "{first}");
    assert_eq!((&second["rule"], &second["outcome"]), (&json!(other), &json!("not_subscribed")));
    assert!(second["sentence"].as_str().unwrap().contains("conversation.ended"), "{second}");
    let one = stage.get(&format!("{path}?rule={other}"), &admin).await.expect(200);
    assert_eq!(one["rules"], json!([second]));
}

#[tokio::test]
async fn what_became_of_an_answer_is_told_also_under_an_earlier_id() {
    let Told { stage, admin, rule, .. } = told().await;
    let db = &stage.api.flow.db;
    let made = stage.get(&format!("/api/v1/rules/{rule}"), &admin).await.expect(200);
    let version = RuleVersionId::parse(made["version"]["id"].as_str().unwrap()).unwrap();
    for (at_ms, is_earlier) in [(20, false), (30, true)] {
        let event = rows::event(at_ms);
        let id = if is_earlier { earlier_effect_of(version, event, 0) } else { effect_of(version, event, 0) };
        assert_eq!(id.at_ms() == event.at_ms(), !is_earlier, "effects are stored in order of time");
        let body = json!({"type": "message.received", "message": rows::message(1)});
        rows::add_event(db, Some(1), at_ms, at_ms, body).await;
        let trace = json!([{"rule": rule, "version": version, "name": "Refunds", "outcome": "matched", "ops": 3,
            "micros": 7, "intents": [[4, {"intent": "send_message", "text": "Hello"}]]}]);
        let of = (rows::tenant(1), rows::conversation(1));
        let values = args![of.0, event, of.1, "{}", trace.to_string(), rows::NOW_MS];
        rows::insert(db, "runs", "tenant_id, event_id, conversation_id, facts, trace, at_ms", values).await;
        let columns = "tenant_id, id, lane_id, channel_id, conversation_id, seq, kind, state, attempts, next_ms, \
            created_ms";
        let values = args![
            of.0,
            id,
            rows::lane(1),
            rows::channel(1),
            of.1,
            at_ms,
            "message",
            "done",
            2_i64,
            0_i64,
            0_i64
        ];
        rows::insert(db, "effects", columns, values).await;
        let told =
            stage.get(&format!("/api/v1/events/{event}/explain?rule={rule}"), &admin).await.expect(200);
        let effect = &told["rules"][0]["intents"][0]["effect"];
        assert_eq!((&effect["id"], &effect["state"]), (&json!(id), &json!("done")), "{told}");
        assert_eq!(effect["attempts"], 2);
    }
}

#[tokio::test]
async fn why_not_is_answered_for_a_conversation_and_for_an_event() {
    let Told { stage, admin, rule, other, event } = told().await;
    let why = |id: &str, about: String| format!("/api/v1/rules/{id}/why?{about}");
    let of = format!("conversation={}", rows::conversation(1));
    let answer = stage.get(&why(&rule, of.clone()), &admin).await.expect(200);
    assert_eq!(
        (&answer["name"], &answer["events"][0]["run"]["outcome"]),
        (&json!("Refunds"), &json!("matched"))
    );
    stage.patch(&format!("/api/v1/rules/{other}"), &admin, json!({"enabled": false})).await.expect(200);
    let answer = stage.get(&why(&other, format!("event={event}")), &admin).await.expect(200);
    assert_eq!(answer["events"][0]["run"]["outcome"], "not_subscribed", "what it is for comes first");
    stage.get(&why(&rule, String::new()), &admin).await.problem(400, "bad_query");
    let unknown = RuleId::new(1, 99).to_string();
    stage.get(&why(&unknown, of), &admin).await.problem(404, "not_found");
}

#[tokio::test]
async fn agents_are_told_of_their_conversations_but_not_every_line() {
    let Told { stage, rule, event, .. } = told().await;
    let agent = stage.key(Role::Agent).await;
    let path = format!("/api/v1/events/{event}/explain");
    let told: Value = stage.get(&path, &agent).await.expect(200);
    assert_eq!(told["rules"][0]["rule"], json!(rule));
    stage.get(&format!("{path}?lines=true"), &agent).await.problem(403, "forbidden");
    rows::set(&stage.api.flow.db, rows::tenant(1), "conversations", "group_id = 'grp_x'", "true").await;
    stage.get(&path, &agent).await.problem(404, "not_found");
}

#[tokio::test]
async fn a_rules_runs_are_listed_by_outcome() {
    let Told { stage, admin, rule, event, .. } = told().await;
    let path = format!("/api/v1/rules/{rule}/runs");
    let runs = stage.get(&path, &admin).await.expect(200);
    assert_eq!((&runs["items"][0]["event"], &runs["next"]), (&json!(event), &json!(null)), "{runs}");
    assert_eq!(runs["items"][0]["outcome"], "matched");
    let none = stage.get(&format!("{path}?outcome=failed"), &admin).await.expect(200);
    assert_eq!(none["items"], json!([]));
    stage.get(&format!("{path}?outcome=fired"), &admin).await.problem(400, "bad_query");
}
