//! The bundled assistants as an operator finds them: installed, described, checked
//! from the command line, and never taken for providers.

use anyhow::{Context, Result, ensure};
use pointsman_tests::built::plugins;
use pointsman_tests::server::succeeded;
use pointsman_tests::{Backend, Server, each_backend};
use serde_json::{Value, json};

each_backend!(bundled_assistants_are_installed_and_are_no_providers);

// S90
async fn bundled_assistants_are_installed_and_are_no_providers(backend: Backend) -> Result<()> {
    let server = Server::start(backend).await?;
    let api = server.api()?;
    let all = json!(["reply", "suggest", "insights"]);
    for (plugin, tasks, offline) in [("openai", all, false), ("lexicon", json!(["reply", "insights"]), true)]
    {
        let found = api.get(&format!("/api/v1/plugins/{plugin}")).await?.expect(200)?;
        let offers = found["offers"].as_array().context("offers")?;
        ensure!(offers.contains(&json!("assistant")), "{found}");
        let able = &found["manifest"]["assistant"];
        ensure!(able["tasks"] == tasks && able["offline"] == offline, "{found}");

        let file = plugins()?.join(format!("{plugin}.wasm"));
        let file = file.to_str().context("the path is text")?;
        let checked = succeeded(&server.cli(&["plugin", "inspect", file]).await?)?;
        let words = if offline { "offline" } else { "sends conversations to a model" };
        ensure!(checked.contains("assistant reply") && checked.contains(words), "{checked}");

        let channel =
            json!({"provider": plugin, "kind": "whatsapp", "name": "X", "settings": {}, "secrets": {}});
        let refused = api.post("/api/v1/channels", channel).await?.json()?;
        ensure!(refused.to_string().contains("is an assistant"), "{refused}");
    }
    let twilio: Value = api.get("/api/v1/plugins/twilio").await?.expect(200)?;
    ensure!(twilio["manifest"]["assistant"].is_null(), "{twilio}");
    Ok(())
}
