//! Rules that are tried on what was stored: how far each trial is, what it
//! counted, and the places where the tried text does something else.

use pointsman_rules::ids::{ConversationId, EventId, RuleId, RuleVersionId, TenantId, TrialId};

use super::{Row, StoreError, Tx};
use crate::args;

/// What kind of trial.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// On the past; it ends.
    Backtest,
    /// On what happens from now on, until it is switched off.
    Shadow,
}

impl Kind {
    /// The stable word.
    pub fn word(self) -> &'static str {
        match self {
            Self::Backtest => "backtest",
            Self::Shadow => "shadow",
        }
    }

    fn from_word(word: &str) -> Option<Self> {
        [Self::Backtest, Self::Shadow].into_iter().find(|it| it.word() == word)
    }
}

/// How a trial stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// It goes on.
    Running,
    /// It came to its end.
    Done,
    /// Somebody stopped it.
    Cancelled,
    /// It could not go on.
    Failed,
}

impl State {
    /// The stable word.
    pub fn word(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Done => "done",
            Self::Cancelled => "cancelled",
            Self::Failed => "failed",
        }
    }

    fn from_word(word: &str) -> Option<Self> {
        [Self::Running, Self::Done, Self::Cancelled, Self::Failed].into_iter().find(|it| it.word() == word)
    }
}

/// A trial.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trial {
    /// Its id.
    pub id: TrialId,
    /// What kind.
    pub kind: Kind,
    /// Which rule.
    pub rule: RuleId,
    /// The text that is tried.
    pub source: String,
    /// The version it is compared with; `None`: with a rule that does nothing.
    pub against: Option<RuleVersionId>,
    /// How it stands.
    pub state: State,
    /// Events from here on, unix milliseconds.
    pub from_ms: i64,
    /// Events before this moment; `None`: without end.
    pub until_ms: Option<i64>,
    /// How far it is: an id, or nothing at the beginning.
    pub place: String,
    /// How many events there are to look at.
    pub events_total: i64,
    /// JSON of what was counted.
    pub counts: String,
    /// Why it could not go on.
    pub problem: Option<String>,
    /// Id of the user or key who began it.
    pub author: String,
    /// Unix milliseconds.
    pub created_ms: i64,
    /// When it last got further.
    pub updated_ms: i64,
    /// When it ended.
    pub ended_ms: Option<i64>,
}

/// An event on which the tried text does something else.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// The event.
    pub event: EventId,
    /// Its conversation.
    pub conversation: ConversationId,
    /// What kind of difference.
    pub kind: String,
    /// JSON of what either would do.
    pub body: String,
    /// When it happened, unix milliseconds.
    pub at_ms: i64,
}

const COLUMNS: &str = "id, kind, rule_id, source, against_version_id, state, from_ms, until_ms, place, events_total, \
    counts, problem, author, created_ms, updated_ms, ended_ms";

fn trial(row: &Row) -> Result<Trial, StoreError> {
    let c = &mut row.columns("trials");
    Ok(Trial {
        id: c.id("id")?,
        kind: c.word("kind", Kind::from_word)?,
        rule: c.id("rule_id")?,
        source: c.text("source")?,
        against: c.opt_id("against_version_id")?,
        state: c.word("state", State::from_word)?,
        from_ms: c.int("from_ms")?,
        until_ms: c.opt_int("until_ms")?,
        place: c.text("place")?,
        events_total: c.int("events_total")?,
        counts: c.text("counts")?,
        problem: c.opt_text("problem")?,
        author: c.text("author")?,
        created_ms: c.int("created_ms")?,
        updated_ms: c.int("updated_ms")?,
        ended_ms: c.opt_int("ended_ms")?,
    })
}

/// Begins a trial.
///
/// # Errors
/// The database's own.
pub async fn insert(tx: &mut Tx, tenant: TenantId, t: &Trial) -> Result<(), StoreError> {
    let values = args![
        tenant,
        t.id,
        t.kind.word(),
        t.rule,
        &t.source,
        t.against,
        t.state.word(),
        t.from_ms,
        t.until_ms,
        &t.place,
        t.events_total,
        &t.counts,
        t.problem.clone(),
        &t.author,
        t.created_ms,
        t.updated_ms,
        t.ended_ms
    ];
    let head = format!("insert into trials (tenant_id, {COLUMNS})");
    tx.insert_many("begin a trial", &head, vec![values], "").await.map(|_| ())
}

/// The trial with this id.
///
/// # Errors
/// The database's own, or a row that cannot be read.
pub async fn get(tx: &mut Tx, tenant: TenantId, id: TrialId) -> Result<Option<Trial>, StoreError> {
    let sql = format!("select {COLUMNS} from trials where tenant_id = $1 and id = $2");
    tx.first("read a trial", &sql, args![tenant, id]).await?.as_ref().map(trial).transpose()
}

/// The newest trials of a rule, the newest first.
///
/// # Errors
/// The database's own, or a row that cannot be read.
pub async fn of_rule(
    tx: &mut Tx,
    tenant: TenantId,
    rule: RuleId,
    kind: Kind,
    rows_max: u32,
) -> Result<Vec<Trial>, StoreError> {
    let sql = format!(
        "select {COLUMNS} from trials where tenant_id = $1 and rule_id = $2 and kind = $3 order by id desc limit $4"
    );
    tx.all("list trials", &sql, args![tenant, rule, kind.word(), rows_max]).await?.iter().map(trial).collect()
}

/// Trials that go on, the oldest first.
///
/// # Errors
/// The database's own, or a row that cannot be read.
pub async fn running(tx: &mut Tx, tenant: TenantId, kind: Kind) -> Result<Vec<Trial>, StoreError> {
    let sql = format!(
        "select {COLUMNS} from trials where tenant_id = $1 and kind = $2 and state = 'running' order by id"
    );
    tx.all("find running trials", &sql, args![tenant, kind.word()]).await?.iter().map(trial).collect()
}

/// Moves a trial on from the place it was at, and writes what it has counted so far; `false`: it has ended, or somebody
/// else has moved it.
///
/// # Errors
/// The database's own.
pub async fn advance(
    tx: &mut Tx,
    tenant: TenantId,
    seen: &Trial,
    place: &str,
    counts: &str,
    now_ms: i64,
) -> Result<bool, StoreError> {
    let sql = "update trials set place = $4, counts = $5, updated_ms = $6 \
               where tenant_id = $1 and id = $2 and place = $3 and state = 'running'";
    Ok(tx.execute("move a trial on", sql, args![tenant, seen.id, &seen.place, place, counts, now_ms]).await?
        == 1)
}

/// Ends a trial; `false`: it had ended.
///
/// # Errors
/// The database's own.
pub async fn end(
    tx: &mut Tx,
    tenant: TenantId,
    id: TrialId,
    (state, problem): (State, Option<String>),
    now_ms: i64,
) -> Result<bool, StoreError> {
    let sql = "update trials set state = $3, problem = $4, updated_ms = $5, ended_ms = $5 \
               where tenant_id = $1 and id = $2 and state = 'running'";
    Ok(tx.execute("end a trial", sql, args![tenant, id, state.word(), problem, now_ms]).await? == 1)
}

/// Keeps findings; an event is kept once.
///
/// # Errors
/// The database's own.
pub async fn add_findings(
    tx: &mut Tx,
    tenant: TenantId,
    trial: TrialId,
    found: &[Finding],
) -> Result<(), StoreError> {
    let rows = found
        .iter()
        .map(|it| args![tenant, trial, it.event, it.conversation, &it.kind, &it.body, it.at_ms])
        .collect();
    let head =
        "insert into trial_findings (tenant_id, trial_id, event_id, conversation_id, kind, body, at_ms)";
    tx.insert_many("keep findings", head, rows, "on conflict do nothing").await.map(|_| ())
}

/// What a trial found, oldest first.
///
/// # Errors
/// The database's own, or a row that cannot be read.
pub async fn findings(tx: &mut Tx, tenant: TenantId, trial: TrialId) -> Result<Vec<Finding>, StoreError> {
    let sql = "select event_id, conversation_id, kind, body, at_ms from trial_findings \
               where tenant_id = $1 and trial_id = $2 order by event_id";
    let rows = tx.all("list findings", sql, args![tenant, trial]).await?;
    rows.iter()
        .map(|row| {
            let c = &mut row.columns("trial_findings");
            Ok(Finding {
                event: c.id("event_id")?,
                conversation: c.id("conversation_id")?,
                kind: c.text("kind")?,
                body: c.text("body")?,
                at_ms: c.int("at_ms")?,
            })
        })
        .collect()
}

/// Drops all findings of a trial but the newest.
///
/// # Errors
/// The database's own.
pub async fn keep_newest(tx: &mut Tx, tenant: TenantId, trial: TrialId, keep: u32) -> Result<(), StoreError> {
    let sql = "delete from trial_findings where tenant_id = $1 and trial_id = $2 and event_id not in \
               (select event_id from trial_findings where tenant_id = $1 and trial_id = $2 \
               order by event_id desc limit $3)";
    tx.execute("drop old findings", sql, args![tenant, trial, keep]).await.map(|_| ())
}

/// Drops ended trials of a rule but the newest, with what they found.
///
/// # Errors
/// The database's own.
pub async fn prune(
    tx: &mut Tx,
    tenant: TenantId,
    rule: RuleId,
    kind: Kind,
    keep: u32,
) -> Result<(), StoreError> {
    for old in of_rule(tx, tenant, rule, kind, PRUNED_MAX).await?.iter().skip(keep as usize) {
        if old.state == State::Running {
            continue;
        }
        let args = args![tenant, old.id];
        let sql = "delete from trial_findings where tenant_id = $1 and trial_id = $2";
        tx.execute("drop old findings", sql, args.clone()).await?;
        tx.execute("drop an old trial", "delete from trials where tenant_id = $1 and id = $2", args).await?;
    }
    Ok(())
}

/// Trials looked at for pruning at most; each new one prunes again.
const PRUNED_MAX: u32 = 200;

#[cfg(test)]
mod tests {
    use super::super::Durability;
    use super::super::testing::each_db;
    use super::*;

    fn example(n: i64, kind: Kind) -> Trial {
        Trial {
            id: TrialId::new(n, 0),
            kind,
            rule: RuleId::new(1, 1),
            source: "archive();".into(),
            against: Some(RuleVersionId::new(1, 1)),
            state: State::Running,
            from_ms: 1,
            until_ms: (kind == Kind::Backtest).then_some(9),
            place: String::new(),
            events_total: 5,
            counts: "{}".into(),
            problem: None,
            author: "usr_x".into(),
            created_ms: n,
            updated_ms: n,
            ended_ms: None,
        }
    }

    #[test]
    fn a_trial_moves_from_place_to_place_and_ends_once() {
        each_db(|db| async move {
            db.write(Durability::Soft, move |tx| {
                Box::pin(async move {
                    let tenant = TenantId::new(1, 1);
                    let (back, shadow) = (example(1, Kind::Backtest), example(2, Kind::Shadow));
                    insert(tx, tenant, &back).await?;
                    insert(tx, tenant, &shadow).await?;
                    assert_eq!(get(tx, tenant, back.id).await?, Some(back.clone()));
                    assert_eq!(running(tx, tenant, Kind::Shadow).await?, [shadow]);
                    assert!(advance(tx, tenant, &back, "cnv_1", "{\"a\":1}", 7).await?);
                    assert!(!advance(tx, tenant, &back, "cnv_2", "{}", 8).await?, "somebody else was faster");
                    assert!(end(tx, tenant, back.id, (State::Done, None), 9).await?);
                    assert!(!end(tx, tenant, back.id, (State::Cancelled, None), 10).await?);
                    let ended = get(tx, tenant, back.id).await?.unwrap();
                    let of_end = (ended.state, ended.place.as_str(), ended.ended_ms);
                    assert_eq!(of_end, (State::Done, "cnv_1", Some(9)));
                    assert!(running(tx, tenant, Kind::Backtest).await?.is_empty());
                    assert!(running(tx, TenantId::new(1, 2), Kind::Shadow).await?.is_empty());
                    Ok::<_, StoreError>(())
                })
            })
            .await
            .unwrap();
        });
    }

    #[test]
    fn findings_are_kept_once_and_old_ones_go() {
        each_db(|db| async move {
            db.write(Durability::Soft, move |tx| {
                Box::pin(async move {
                    let tenant = TenantId::new(1, 1);
                    let finding = |n: i64| Finding {
                        event: EventId::new(n, 0),
                        conversation: ConversationId::new(1, 1),
                        kind: "would_fire".into(),
                        body: "{}".into(),
                        at_ms: n,
                    };
                    for n in 1..=4 {
                        let trial = Trial { state: State::Done, ..example(n, Kind::Backtest) };
                        insert(tx, tenant, &trial).await?;
                    }
                    let newest = TrialId::new(4, 0);
                    add_findings(tx, tenant, newest, &[finding(1), finding(2), finding(3)]).await?;
                    add_findings(tx, tenant, newest, &[finding(3)]).await?;
                    keep_newest(tx, tenant, newest, 2).await?;
                    assert_eq!(findings(tx, tenant, newest).await?, [finding(2), finding(3)]);
                    prune(tx, tenant, RuleId::new(1, 1), Kind::Backtest, 2).await?;
                    let left = of_rule(tx, tenant, RuleId::new(1, 1), Kind::Backtest, 9).await?;
                    assert_eq!(left.iter().map(|it| it.id).collect::<Vec<_>>(), [newest, TrialId::new(3, 0)]);
                    prune(tx, tenant, RuleId::new(1, 1), Kind::Backtest, 0).await?;
                    assert!(findings(tx, tenant, newest).await?.is_empty());
                    Ok::<_, StoreError>(())
                })
            })
            .await
            .unwrap();
        });
    }
}
