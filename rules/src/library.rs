//! Starter rules: what a new installation begins with. Each is a folder of
//! `library/` with the rule and its cases; nothing is special about them.

use std::sync::LazyLock;

use crate::header::Header;

/// A rule to start from.
#[derive(Debug, Clone, Copy)]
pub struct Starter {
    /// Stable name: its folder.
    pub key: &'static str,
    /// The rule file.
    pub source: &'static str,
    /// Its cases, TOML.
    pub cases: &'static str,
    /// Does it work in a new installation, which has groups `Support` and `Billing`
    /// but no templates and calendars? As its header says.
    pub default_enabled: bool,
}

macro_rules! starters {
    ($($key:literal),* $(,)?) => {
        vec![$(Starter {
            key: $key,
            source: include_str!(concat!("../library/", $key, "/rule.rhai")),
            cases: include_str!(concat!("../library/", $key, "/cases.toml")),
            default_enabled: Header::parse(include_str!(concat!("../library/", $key, "/rule.rhai")))
                .is_ok_and(|header| header.enabled),
        }),*]
    };
}

/// Every starter rule.
pub fn starters() -> &'static [Starter] {
    static STARTERS: LazyLock<Vec<Starter>> = LazyLock::new(|| {
        starters![
            "stop-word",
            "human-replied",
            "opted-out-failure",
            "default-group",
            "escalate-urgent",
            "keyword-group",
            "keyword-answer",
            "vip",
            "window-expired-template",
            "idle-end",
            "window-expiring",
            "unsupported-media",
            "out-of-office",
            "first-reply-late",
            "assignee-away",
            "end-at-once",
            "assistant-answers",
        ]
    });
    &STARTERS
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::case::{Cases, given, run_cases};
    use crate::facts::Directory;
    use crate::script::Script;

    // S85
    #[test]
    fn every_starter_passes_its_cases() {
        for starter in starters() {
            let script = Script::parse(starter.source);
            let script =
                script.unwrap_or_else(|p| panic!("{}: {}", starter.key, p[0].render(starter.source)));
            let cases = Cases::parse(starter.cases).unwrap_or_else(|p| panic!("{}: {p:?}", starter.key));
            assert_eq!(script.warnings(), [], "{}", starter.key);
            assert!(starter.source.contains("Answers: "), "{} says what it answers", starter.key);
            let results = run_cases(&script, &cases);
            assert!(results.len() >= 2, "{}", starter.key);
            for result in results {
                assert!(result.passed, "{}, {}:\n{}", starter.key, result.name, result.diff);
            }
        }
    }

    #[test]
    fn enabled_starters_name_only_what_a_new_installation_has() {
        let mut new = given::default_directory();
        new.groups.retain(|g| ["Support", "Billing"].contains(&g.name.as_str()));
        let new = Directory { groups: new.groups, ..Directory::default() };
        for starter in starters().iter().filter(|s| s.default_enabled) {
            assert_eq!(Script::parse(starter.source).unwrap().check(&new), [], "{}", starter.key);
        }
        let disabled: Vec<_> = starters().iter().filter(|s| !s.default_enabled).map(|s| s.key).collect();
        assert_eq!(
            disabled,
            [
                "window-expired-template",
                "out-of-office",
                "first-reply-late",
                "assignee-away",
                "end-at-once",
                "assistant-answers"
            ]
        );
    }
}
