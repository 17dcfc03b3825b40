//! Working hours over the API: what is taken, what is refused, and what a group keeps.

use serde_json::json;

use crate::http::auth::Role;
use crate::http::testing::Stage;

#[tokio::test]
async fn hours_are_kept_checked_and_imported() {
    let stage = Stage::new().await;
    let admin = stage.key(Role::Admin).await;
    let hours = json!([{"day": "mon", "from": "09:00", "to": "12:00"}, {"day": "mon", "from": "22:00", "to": "02:00"}]);
    let new = json!({"name": "Office", "timezone": "Europe/Madrid", "intervals": hours});
    let made = stage.post("/api/v1/calendars", &admin, new.clone()).await.expect(201);
    assert_eq!((&made["intervals"], &made["holidays"]), (&hours, &json!([])));
    let path = format!("/api/v1/calendars/{}", made["id"].as_str().unwrap());
    let again = stage.post("/api/v1/calendars", &admin, new).await.problem(422, "invalid");
    assert_eq!(again["errors"][0]["pointer"], "/name");
    for (change, pointer) in [
        (json!({"timezone": "Mars/Olympus"}), "/timezone"),
        (json!({"intervals": [{"day": "monday", "from": "09:00", "to": "10:00"}]}), "/intervals/0/day"),
        (json!({"intervals": [{"day": "mon", "from": "9", "to": "10:00"}]}), "/intervals/0"),
        (json!({"holidays": ["25 December"]}), "/holidays/0"),
    ] {
        let problem = stage.patch(&path, &admin, change).await.problem(422, "invalid");
        assert_eq!(problem["errors"][0]["pointer"], pointer, "{problem}");
    }
    let file = "BEGIN:VCALENDAR\r\nBEGIN:VEVENT\r\nDTSTART;VALUE=DATE:20261225\r\nDTEND;VALUE=DATE:20261227\r\n\
                SUMMARY:Christmas\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n";
    let import = format!("{path}/holidays");
    let auth = format!("Bearer {admin}");
    let headers = [("authorization", auth.as_str()), ("content-type", "text/calendar")];
    let answer = stage.send_text("POST", &import, &headers, file).await;
    assert_eq!(answer.expect(200)["holidays"], json!(["2026-12-25", "2026-12-26"]));
    stage.send_text("POST", &import, &headers, "no calendar").await.problem(400, "not_a_calendar");
    let group = json!({"name": "Night shift", "calendar": made["id"]});
    let group = stage.post("/api/v1/groups", &admin, group).await.expect(201);
    stage.delete(&path, &admin).await.problem(409, "in_use");
    let group = format!("/api/v1/groups/{}", group["id"].as_str().unwrap());
    stage.patch(&group, &admin, json!({"calendar": null})).await.expect(200);
    stage.delete(&path, &admin).await.expect(204);
    stage.get(&path, &admin).await.problem(404, "not_found");
}
