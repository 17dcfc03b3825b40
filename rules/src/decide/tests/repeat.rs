//! The same event and the same facts give the same decision, whatever the rules
//! are and in whatever order they were loaded.

use proptest::prelude::*;

use super::*;
use crate::library::starters;

/// Events that starter rules are for, and a few that nobody is for.
const KINDS: &[EventKind] = &[
    EventKind::MessageReceived,
    EventKind::MessageSent,
    EventKind::MessageFailed,
    EventKind::ConversationCreated,
    EventKind::ConversationReopened,
    EventKind::ConversationIdle,
    EventKind::WindowExpiring,
    EventKind::WindowExpired,
    EventKind::SlaBreached,
    EventKind::ContactOptedOut,
];

fn starter_rules(chosen: &[usize]) -> Vec<CompiledRule> {
    let all = starters();
    let rule = |(nth, index): (usize, &usize)| {
        let script = Script::parse(all[index % all.len()].source).unwrap();
        let id = nth as u128 + 1;
        CompiledRule { id: RuleId::new(0, id), version: RuleVersionId::new(0, id), script }
    };
    chosen.iter().enumerate().map(rule).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]
    #[test]
    fn deciding_again_gives_the_same(
        kind in prop::sample::select(KINDS),
        chosen in prop::collection::vec(0usize..100, 1..12),
        text in prop_oneof![Just("STOP".to_owned()), Just("I want a refund, lawyer!".to_owned()), ".{0,40}"],
        status in prop::sample::select(&[Status::Open, Status::Pending, Status::Closed][..]),
        flags in any::<[bool; 5]>(),
        later_ms in 0i64..200_000_000,
        shift in 0usize..12,
    ) {
        let (event, mut facts) = given::situation_of(kind);
        facts.now_ms += later_ms;
        if let Some(message) = &mut facts.message {
            message.text = flags[0].then_some(text);
        }
        facts.conversation.status = status;
        facts.conversation.live = flags[1];
        facts.contact.opted_out = flags[2];
        facts.conversation.group = flags[3].then(|| facts.directory.groups[0].id);
        facts.conversation.assignee = flags[4].then(|| facts.directory.agents[1].id);
        let rules = starter_rules(&chosen);
        let first = run(rules.clone(), &event, &facts);
        let mut turned = rules;
        let by = shift % turned.len();
        turned.rotate_left(by);
        let stored: Facts = serde_json::from_value(serde_json::to_value(&facts).unwrap()).unwrap();
        let stored = Facts { directory: facts.directory.clone(), ..stored };
        prop_assert_eq!(&run(turned, &event, &stored), &first);
        for planned in &first.planned {
            // Semantics 11: what is asked for names the version that asked.
            prop_assert!(first.runs.iter().any(|r| (r.rule, r.version) == (planned.rule, planned.version)));
        }
    }
}

#[test]
fn s11_a_run_and_what_it_asks_for_name_the_version() {
    let old = rule(1, "", "archive();");
    let new = CompiledRule { version: RuleVersionId::new(0, 9), ..rule(1, "", "opt_out();") };
    for (given, call) in [(old, "archive()"), (new, "opt_out()")] {
        let version = given.version;
        let decision = on_hello(vec![given]);
        assert_eq!(calls(&decision), [call]);
        assert_eq!((decision.planned[0].version, decision.runs[0].version), (version, version));
    }
}
