//! Rules, timers and calendars over days that are not like others: clocks that
//! change, a leap day, a night that ends on the next day, a server that was down.
//! The server's clock is set forward; nothing here waits.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use jiff::civil::{Weekday, date};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp, ToSpan as _, Zoned};
use pointsman_tests::api::text_at;
use pointsman_tests::{Backend, Server, each_backend, eventually};
use serde_json::{Value, json};

use crate::{SOON, Scene, id, publish};

each_backend!(
    a_weekend_on_which_the_clocks_change,
    a_leap_day_comes_every_four_years,
    what_was_due_while_the_server_was_down_happens_once_or_says_why_not,
);

const CUSTOMER: &str = "+34600000041";
const ZONE: &str = "Europe/Madrid";
const MINUTE: Duration = Duration::from_secs(60);

/// The server's time, which a story moves.
struct Time {
    begin: Timestamp,
    since: Instant,
    ahead: Duration,
}

impl Time {
    /// As the server tells it.
    async fn of(scene: &Scene) -> Result<Self> {
        let made =
            scene.api.post("/api/v1/groups", json!({"name": "What time is it?"})).await?.expect(201)?;
        let begin = text_at(&made, "/created_at")?.parse()?;
        Ok(Self { begin, since: Instant::now(), ahead: Duration::ZERO })
    }

    fn now(&self) -> Result<Timestamp> {
        Ok(self.begin.checked_add(self.since.elapsed() + self.ahead)?)
    }

    /// Forward to this moment.
    fn go_to(&mut self, server: &Server, to: Timestamp) -> Result<()> {
        let by = Duration::try_from(to.duration_since(self.now()?)).context("that is past already")?;
        self.pass(server, by)
    }

    fn pass(&mut self, server: &Server, by: Duration) -> Result<()> {
        self.ahead += by;
        server.advance(by)
    }
}

/// The last Sunday of a month, at midnight.
fn last_sunday(year: i16, month: i8) -> Result<Zoned> {
    let sunday = date(year, month, 1).nth_weekday_of_month(-1, Weekday::Sunday)?;
    Ok(sunday.to_zoned(TimeZone::get(ZONE)?)?)
}

fn rule(name: &str, keys: &str, body: &str) -> String {
    format!("//! {name}\n//!\n//! on: {keys}\n\n{body}\n")
}

/// How many events of this type the customer's conversation has.
async fn count(scene: &Scene, kind: &str) -> Result<usize> {
    let conversation = scene.conversation(CUSTOMER).await?;
    let path = format!("/api/v1/events?conversation={}&type={kind}", id(&conversation)?);
    Ok(scene.api.list(&path).await?.len())
}

/// The schedule of a rule, as soon as it looks as wanted.
async fn schedule(
    scene: &Scene,
    rule: &Value,
    what: &str,
    is_wanted: impl Fn(&Value) -> bool,
) -> Result<Value> {
    let path = format!("/api/v1/rules/{}/schedule", id(rule)?);
    eventually(what, SOON, || async {
        let row = scene.api.get(&path).await?.expect(200)?;
        ensure!(is_wanted(&row), "it is {row}");
        Ok(Some(row))
    })
    .await
}

async fn taken_up(scene: &Scene, time: &mut Time, rule: &Value) -> Result<Value> {
    time.pass(&scene.server, MINUTE)?;
    schedule(scene, rule, "the schedule is taken up", |row| row["counts_from"].is_string()).await
}

/// Lets the tick of this moment come and be given out.
async fn tick(scene: &Scene, time: &mut Time, rule: &Value, at: Timestamp) -> Result<Value> {
    time.go_to(&scene.server, at.checked_add(1.minute())?)?;
    schedule(scene, rule, &format!("the tick of {at}"), |row| is_moment(&row["last_at"], at)).await
}

fn is_moment(shown: &Value, at: Timestamp) -> bool {
    shown.as_str().and_then(|text| text.parse::<Timestamp>().ok()) == Some(at)
}

// Semantics 7, 8
async fn a_weekend_on_which_the_clocks_change(backend: Backend) -> Result<()> {
    let scene = Scene::quiet(Server::start(backend).await?).await?;
    let mut time = Time::of(&scene).await?;
    let year = time.now()?.to_zoned(TimeZone::get(ZONE)?).year() + 1;
    let spring = last_sunday(year, 3)?;
    let saturday = spring.checked_sub(1.day())?;
    time.go_to(&scene.server, saturday.with().hour(20).build()?.timestamp())?;

    // Saturday night from ten to four: one hour of it does not exist.
    let hours = json!([{"day": "sat", "from": "22:00", "to": "04:00"}]);
    let night = json!({"name": "Night", "timezone": ZONE, "intervals": hours});
    let night = scene.api.post("/api/v1/calendars", night).await?.expect(201)?;
    let opens = saturday.with().hour(22).build()?.timestamp();
    ensure!(night["is_open"] == false && is_moment(&night["next_open"], opens), "{night}");
    let timer = "start_timer(\"four\", \"4h\", #{ calendar: \"Night\" });";
    publish(&scene.api, &rule("Starts", "message.received", timer)).await?;
    let daily =
        rule("Daily", &format!("schedule.tick\n//! cron: 30 2 * * *\n//! timezone: {ZONE}"), "archive();");
    let daily = publish(&scene.api, &daily).await?;
    scene.hear(CUSTOMER, 1, "hello").await?;
    scene.conversation(CUSTOMER).await?;
    taken_up(&scene, &mut time, &daily).await?;

    // Half past two is jumped over: its tick comes at three, which is one hour after half past one.
    let jump = spring.with().hour(3).build()?.timestamp();
    ensure!(jump == opens.checked_add(4.hours())?, "ten to three are four hours that night");
    time.go_to(&scene.server, jump.checked_sub(1.minute())?)?;
    let path = format!("/api/v1/calendars/{}", id(&night)?);
    let is_open = |wanted: bool| {
        let (api, path) = (&scene.api, &path);
        async move {
            eventually(&format!("open is {wanted}"), SOON, || async {
                let row = api.get(path).await?.expect(200)?;
                ensure!(row["is_open"] == wanted, "{row}");
                Ok(Some(()))
            })
            .await
        }
    };
    is_open(true).await?;
    ensure!(count(&scene, "timer.fired").await? == 0, "four open hours are not over");
    ensure!(count(&scene, "schedule.tick").await? == 0, "it ticked before the jump");
    let row = tick(&scene, &mut time, &daily, jump).await?;
    let next = spring.checked_add(1.day())?.with().hour(2).minute(30).build()?.timestamp();
    ensure!(is_moment(&row["next_at"], next), "the next one is at half past two again: {row}");
    eventually("the timer fires after four open hours", SOON, || async {
        ensure!(count(&scene, "timer.fired").await? == 1, "not once");
        Ok(Some(()))
    })
    .await?;
    time.go_to(&scene.server, spring.with().hour(4).build()?.timestamp())?;
    is_open(false).await?;

    // In autumn half past two comes twice; the first one counts.
    let autumn = last_sunday(year, 10)?;
    let first = autumn.with().hour(2).minute(30).build()?.timestamp();
    ensure!(
        autumn.with().hour(4).build()?.timestamp().duration_since(first) == SignedDuration::from_mins(150)
    );
    time.go_to(&scene.server, first.checked_sub(2.hours())?)?;
    // Says how far schedules were looked at; takes no conversation.
    let minutes =
        rule("Minutes", "schedule.tick\n//! cron: * * * * *\n//! where: label = \"nobody\"", "archive();");
    let minutes = publish(&scene.api, &minutes).await?;
    taken_up(&scene, &mut time, &minutes).await?;
    let row = tick(&scene, &mut time, &daily, first).await?;
    let next = autumn.checked_add(1.day())?.with().hour(2).minute(30).build()?.timestamp();
    ensure!(is_moment(&row["next_at"], next), "{row}");
    let second = first.checked_add(1.hour())?;
    time.go_to(&scene.server, second.checked_add(1.minute())?)?;
    let is_past = |row: &Value| row["last_at"].as_str().is_some_and(|at| at >= second.to_string().as_str());
    schedule(&scene, &minutes, "the second half past two is over", is_past).await?;
    let row = schedule(&scene, &daily, "the daily rule", |row| row["last_at"].is_string()).await?;
    ensure!(is_moment(&row["last_at"], first), "it ticked twice: {row}");
    Ok(())
}

async fn a_leap_day_comes_every_four_years(backend: Backend) -> Result<()> {
    let scene = Scene::quiet(Server::start(backend).await?).await?;
    let mut time = Time::of(&scene).await?;
    let leaps = rule("Leaps", "schedule.tick\n//! cron: 0 9 29 2 *", "add_labels([\"leapt\"]);");
    let leaps = publish(&scene.api, &leaps).await?;
    scene.hear(CUSTOMER, 1, "hello").await?;
    scene.conversation(CUSTOMER).await?;
    let row = taken_up(&scene, &mut time, &leaps).await?;
    let mut year = time.now()?.to_zoned(TimeZone::UTC).year();
    let nine = |year: i16| {
        let day = jiff::civil::Date::new(year, 2, 29).ok()?;
        Some(day.at(9, 0, 0, 0).to_zoned(TimeZone::UTC).ok()?.timestamp())
    };
    let now = time.now()?;
    let at = loop {
        match nine(year).filter(|at| *at > now) {
            Some(at) => break at,
            None => year += 1,
        }
    };
    ensure!(is_moment(&row["next_at"], at), "{row}");
    let row = tick(&scene, &mut time, &leaps, at).await?;
    let next = (year + 1..).find_map(nine).context("there is always another one")?;
    ensure!(is_moment(&row["next_at"], next), "{row}");
    eventually("the conversation got it once", SOON, || async {
        ensure!(count(&scene, "schedule.tick").await? == 1, "not once");
        Ok(Some(()))
    })
    .await
}

// Semantics 6, 7: the due window, and ticks that came too late.
async fn what_was_due_while_the_server_was_down_happens_once_or_says_why_not(backend: Backend) -> Result<()> {
    let mut scene = Scene::quiet(Server::start(backend).await?).await?;
    let mut time = Time::of(&scene).await?;
    let timers = "start_timer(\"soon\", \"30m\");\nstart_timer(\"later\", \"2h\");";
    publish(&scene.api, &rule("Starts", "message.received", timers)).await?;
    publish(&scene.api, &rule("Hears", "timer.fired", "add_labels([event.name]);")).await?;
    let hourly = rule("Hourly", "schedule.tick\n//! cron: 0 * * * *", "set_priority(\"high\");");
    let hourly = publish(&scene.api, &hourly).await?;
    scene.hear(CUSTOMER, 1, "hello").await?;
    scene.conversation(CUSTOMER).await?;
    taken_up(&scene, &mut time, &hourly).await?;
    let (ticks, fired) = (count(&scene, "schedule.tick").await?, count(&scene, "timer.fired").await?);
    ensure!(fired == 0, "too early");

    // Down over a full hour: the timer that came due and the last tick, both once.
    scene.server.kill().await?;
    let hour = time
        .now()?
        .to_zoned(TimeZone::UTC)
        .round(jiff::ZonedRound::new().smallest(jiff::Unit::Hour).mode(jiff::RoundMode::Ceil))?;
    let back = hour.timestamp().max(time.now()?.checked_add(31.minutes())?).checked_add(1.minute())?;
    let last = back
        .to_zoned(TimeZone::UTC)
        .round(jiff::ZonedRound::new().smallest(jiff::Unit::Hour).mode(jiff::RoundMode::Floor))?;
    time.go_to(&scene.server, back)?;
    scene.server.restart().await?;
    schedule(&scene, &hourly, "the last tick", |row| is_moment(&row["last_at"], last.timestamp())).await?;
    eventually("one timer and one tick", SOON, || async {
        let now = (count(&scene, "schedule.tick").await?, count(&scene, "timer.fired").await?);
        ensure!(now == (ticks + 1, 1), "{now:?}");
        Ok(Some(()))
    })
    .await?;

    // Down for four days: the second timer is too old to be true, and of ninety ticks the last one comes.
    scene.server.kill().await?;
    time.pass(&scene.server, Duration::from_secs(4 * 86_400))?;
    scene.server.restart().await?;
    let row = schedule(&scene, &hourly, "ticks were skipped", |row| row["skipped_at"].is_string()).await?;
    ensure!(row["last_at"].as_str() >= row["skipped_at"].as_str(), "{row}");
    publish(&scene.api, &rule("Marks", "message.received", "add_labels([\"marked\"]);")).await?;
    scene.hear(CUSTOMER, 2, "are you there?").await?;
    let row = crate::settled(&scene.api, id(&scene.conversation(CUSTOMER).await?)?, "it goes on", |row| {
        row["labels"].to_string().contains("marked")
    })
    .await?;
    ensure!(row["labels"].to_string().contains("soon"), "{row}");
    ensure!(!row["labels"].to_string().contains("later"), "a timer ran four days late: {row}");
    ensure!(count(&scene, "timer.fired").await? == 1, "it fired four days late");
    ensure!(count(&scene, "schedule.tick").await? <= ticks + 2, "more than the last tick");
    Ok(())
}
