//! An assistant that does what its instructions say, right or wrong: `loop`, `panic`,
//! `empty`, `long`, `misfit`, `garbage`, `cost`; anything else is a path to call.

// Elsewhere nothing of it is used.
#![cfg(target_family = "wasm")]

use std::hint::black_box;

use pointsman_plugin::assistant::{
    Cost, Done, Failed, HandoffReason, Insights, Manifest, Mood, Outcome, Request, Sentiment, Task, Usage,
};
use pointsman_plugin::descriptor::{Setting, SettingKind};
use pointsman_plugin::{Assistant, Context, Failure, Http, export, http};

struct Guest;

export!(assistant Guest);

impl Assistant for Guest {
    fn describe() -> Manifest {
        let tasks = vec![Task::Reply, Task::Insights, Task::Other("dance".into()), Task::Reply];
        Manifest {
            languages: vec!["en".into(), "no such language!".into()],
            settings: vec![
                Setting::new("base_url", "URL", SettingKind::EgressUrl, ""),
                Setting::new("api_key", "Key", SettingKind::Secret, ""),
            ],
            ..Manifest::new("sandbox-assistant", "Assistant of the sandbox's tests", "1.0.0", tasks)
        }
    }

    async fn assist(context: &Context, request: Request, http: &Http) -> Result<Done, Failed> {
        let usage =
            Some(Usage { cost: Some(Cost { micros: 12, currency: "EUR".into() }), ..Usage::tokens(100, 7) });
        let outcome = match request.conversation.instructions.as_str() {
            "loop" => {
                let mut n = 0_u64;
                loop {
                    n = black_box(n.wrapping_add(1));
                }
            }
            "panic" => panic!("no outcome"),
            "empty" => Outcome::Reply(" \u{0}\n".into()),
            "long" => Outcome::Reply("x".repeat(100_000)),
            "misfit" => Outcome::Insights(insights(0.5)),
            "garbage" => {
                Outcome::handoff(HandoffReason::Other("Not a word!".into()), "a\u{0}b".repeat(5_000))
            }
            "cost" => {
                let failure = Failure::bad_response("the model wrote nonsense");
                return Err(Failed { failure, model: Some("m".into()), usage });
            }
            "judge" => Outcome::Insights(insights(f64::NAN)),
            path => Outcome::Reply(call(context, path, http).await?),
        };
        Ok(Done { confidence: Some(7.0), model: Some("test-1".into()), usage, ..Done::new(outcome) })
    }
}

fn insights(score: f64) -> Insights {
    Insights {
        sentiment: Some(Sentiment { mood: Mood::Positive, score }),
        summary: Some("All is well.".into()),
        language: Some("en".into()),
        extras: vec![],
    }
}

/// The text that the path of the setting's server answers.
async fn call(context: &Context, path: &str, http: &Http) -> Result<String, Failure> {
    let settings: std::collections::BTreeMap<String, String> = context.settings()?;
    let base = settings.get("base_url").cloned().unwrap_or_default();
    let call = http::post(format!("{base}{path}")).bearer(http::secret("api_key")).idempotent();
    let answer = http.exchange(call).await?;
    Ok(String::from_utf8_lossy(&answer.body).into_owned())
}
