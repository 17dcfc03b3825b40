//! Short ways to write an assistant's manifest and to say what came of a task.

use crate::Failure;
use crate::assistant::{Done, Failed, Handoff, HandoffReason, Manifest, Outcome, Task, Usage};

impl Manifest {
    /// A manifest without settings and origins; set the other fields as needed.
    pub fn new(id: &str, name: &str, version: &str, tasks: Vec<Task>) -> Self {
        Self {
            id: id.into(),
            name: name.into(),
            version: version.into(),
            publisher: String::new(),
            docs_url: None,
            license: None,
            settings: vec![],
            origins: vec![],
            tasks,
            languages: vec![],
            extras: vec![],
        }
    }
}

impl Done {
    /// An outcome of which nobody can say how sure it is, or what it cost.
    pub fn new(outcome: Outcome) -> Self {
        Self { outcome, confidence: None, model: None, usage: None, extras: vec![] }
    }
}

impl Outcome {
    /// A person should take over; `note` is one sentence for the agents.
    pub fn handoff(reason: HandoffReason, note: impl Into<String>) -> Self {
        Self::Handoff(Handoff { reason, note: note.into(), extras: vec![] })
    }
}

impl Usage {
    /// Tokens, and no word about money.
    pub fn tokens(input_tokens: u32, output_tokens: u32) -> Self {
        Self { input_tokens, output_tokens, cost: None, extras: vec![] }
    }
}

impl From<Failure> for Failed {
    /// A failure before the model was asked.
    fn from(failure: Failure) -> Self {
        Self { failure, model: None, usage: None }
    }
}
