//! What this plugin says about itself.

use pointsman_plugin::assistant::{Manifest, Task};
use pointsman_plugin::descriptor::{Setting, SettingKind};
use serde_json::json;

use crate::settings::{
    ANSWER_FORM, API_KEY, AZURE_API_VERSION, BASE_URL, EFFORTS, FORMS, MODEL, OPENAI, REASONING_EFFORT,
};

pub(crate) fn describe() -> Manifest {
    let tasks = vec![Task::Reply, Task::Suggest, Task::Insights];
    Manifest {
        publisher: "Pointsman".into(),
        docs_url: Some("https://platform.openai.com/docs/api-reference/chat".into()),
        license: Some("Apache-2.0".into()),
        settings: settings(),
        origins: vec!["https://api.openai.com".into()],
        ..Manifest::new("openai", "OpenAI and compatible", env!("CARGO_PKG_VERSION"), tasks)
    }
}

fn settings() -> Vec<Setting> {
    use SettingKind::{Choice, EgressUrl, Secret, Text};
    let new = Setting::new;
    let options = |all: &[&str]| Choice(all.iter().map(|one| (*one).to_owned()).collect());
    vec![
        new(BASE_URL, "Base URL", EgressUrl, "Up to and without `/chat/completions`. vLLM: `http://HOST:8000/v1`, Ollama: `http://HOST:11434/v1`, llama.cpp: `http://HOST:8080/v1`, Azure: `https://RESOURCE.openai.azure.com/openai/v1`. In a private network it needs an admin's consent.")
            .default_value(&json!(OPENAI)),
        new(MODEL, "Model", Text, "As the server names it; on Azure the deployment's name. Test the connection to list them.")
            .required()
            .example("gpt-5-mini"),
        new(API_KEY, "API key", Secret, "At OpenAI: API keys, of a project that may use the model only. Servers of your own may need none."),
        new(AZURE_API_VERSION, "Azure API version", Text, "Only for Azure's older form with deployments in the URL; the base URL is then `https://RESOURCE.openai.azure.com`.")
            .pattern("[0-9]{4}-[0-9]{2}-[0-9]{2}(-preview)?")
            .example("2024-10-21"),
        new(ANSWER_FORM, "Form of answers", options(&FORMS), "How the server is told to answer in JSON. Take a later one only when the server refuses the first.")
            .default_value(&json!(FORMS[0])),
        new(REASONING_EFFORT, "Reasoning effort", options(&EFFORTS), "For models that think before they write: less is faster and cheaper. Thinking counts as output tokens."),
    ]
}
