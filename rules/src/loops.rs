//! Loops between rules: what one asks for raises an event that starts another,
//! and so on back to the first. The engine ends such a chain by itself (no rule
//! runs twice in one), so a loop is a warning: it is hardly what anybody meant.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use crate::event::EventKind;
use crate::problem::Problem;
use crate::script::Script;

/// Most loops of one answer; mending those shows the rest.
pub const LOOPS_MAX: usize = 20;

/// Rules that start each other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Loop {
    /// Names of the rules, from the first one round; each once.
    pub rules: Vec<String>,
    /// As it is drawn: `Tag → conversation.updated → Route → conversation.updated → Tag`.
    pub drawing: String,
}

/// One way from a rule to another.
#[derive(Debug, Clone, Copy)]
struct Step {
    to: usize,
    /// By which event; `None`: by `run_rule`.
    by: Option<EventKind>,
}

/// The events that an intent may raise.
fn raises(intent: &str) -> &'static [EventKind] {
    use EventKind as E;
    match intent {
        "route_to_group" => &[E::ConversationUpdated, E::ConversationUnassigned],
        "assign_agent" => &[E::ConversationUpdated, E::ConversationAssigned, E::ConversationUnassigned],
        "assign_by_policy" => &[
            E::ConversationUpdated,
            E::ConversationAssigned,
            E::ConversationUnassigned,
            E::ConversationOffered,
            E::ConversationOfferPassed,
        ],
        "end_chat" | "set_status" | "archive" => {
            &[E::ConversationUpdated, E::ConversationStatusChanged, E::ConversationEnded]
        }
        "reopen" => &[
            E::ConversationUpdated,
            E::ConversationStatusChanged,
            E::ConversationReopened,
            E::ConversationUnassigned,
        ],
        "snooze" | "set_priority" | "add_labels" | "remove_labels" | "set_attribute" => {
            &[E::ConversationUpdated]
        }
        "add_note" => &[E::NoteAdded],
        "escalate" => &[E::ConversationEscalated],
        "ask_insights" => &[E::ConversationUpdated, E::AiRan],
        "set_ai" => &[E::ConversationUpdated, E::AiToggled],
        "send_message" | "send_template" | "send_message_or_template" => {
            &[E::MessageSent, E::MessageStatusChanged, E::MessageFailed, E::ConversationUpdated]
        }
        "start_timer" => &[E::TimerFired],
        "opt_out" => &[E::ContactOptedOut],
        "block_contact" => &[E::ContactUpdated],
        _ => &[],
    }
}

impl Loop {
    /// What to tell the author of one of the rules.
    pub fn problem(&self) -> Problem {
        let message = format!("this rule is part of a loop: {}", self.drawing);
        let hint = "take `chain: true` away from one of them, or subscribe it to a narrower event";
        Problem::new(1, 1, "rule_loop", message).with_hint(hint).as_warning()
    }
}

/// The shortest loop that a rule closes with others; one of the same name among them gives way to it.
pub fn through<'s>(script: &'s Script, others: impl IntoIterator<Item = &'s Script>) -> Option<Loop> {
    around(script, others, true)
}

/// The same, but through another rule at least: one that only starts itself runs once in a chain and does no harm.
pub fn between<'s>(script: &'s Script, others: impl IntoIterator<Item = &'s Script>) -> Option<Loop> {
    around(script, others, false)
}

fn around<'s>(script: &'s Script, others: impl IntoIterator<Item = &'s Script>, alone: bool) -> Option<Loop> {
    let others = others.into_iter().filter(|other| other.header().name != script.header().name);
    let scripts: Vec<&Script> = std::iter::once(script).chain(others).collect();
    Graph::new(&scripts).shortest_back(0, alone).map(|steps| draw(&scripts, 0, &steps))
}

/// The loops among these rules, those with the fewest rules first; at most [`LOOPS_MAX`].
pub fn find<'s>(scripts: impl IntoIterator<Item = &'s Script>) -> Vec<Loop> {
    let scripts: Vec<&Script> = scripts.into_iter().collect();
    let graph = Graph::new(&scripts);
    let mut seen = BTreeSet::new();
    let mut loops = Vec::new();
    for start in 0..scripts.len() {
        let Some(steps) = graph.shortest_back(start, true) else { continue };
        let round: BTreeSet<usize> = steps.iter().map(|step| step.to).collect();
        if seen.insert(round) {
            loops.push(draw(&scripts, start, &steps));
        }
    }
    loops.sort_by_key(|found: &Loop| found.rules.len());
    loops.truncate(LOOPS_MAX);
    loops
}

struct Graph<'s> {
    scripts: &'s [&'s Script],
    /// Rules that run on what rules caused, by event.
    listeners: BTreeMap<EventKind, Vec<usize>>,
    by_name: BTreeMap<String, usize>,
}

impl<'s> Graph<'s> {
    fn new(scripts: &'s [&'s Script]) -> Self {
        let mut listeners: BTreeMap<EventKind, Vec<usize>> = BTreeMap::new();
        let mut by_name = BTreeMap::new();
        for (index, script) in scripts.iter().enumerate() {
            let header = script.header();
            by_name.entry(header.name.to_lowercase()).or_insert(index);
            for kind in header.on.iter().filter(|_| header.chain) {
                listeners.entry(*kind).or_default().push(index);
            }
        }
        Self { scripts, listeners, by_name }
    }

    /// The steps of the shortest way from a rule back to itself; `alone`: also without another one.
    fn shortest_back(&self, start: usize, alone: bool) -> Option<Vec<Step>> {
        let mut came_from: BTreeMap<usize, (usize, Step)> = BTreeMap::new();
        let mut raised = BTreeSet::new();
        let mut queue = VecDeque::from([start]);
        while let Some(from) = queue.pop_front() {
            let script = self.scripts.get(from)?;
            let by_name = script.runs().filter_map(|name| self.by_name.get(&name.to_lowercase()));
            let by_name = by_name.map(|to| Step { to: *to, by: None });
            // A second rule that raises the same event leads nowhere else, and not sooner.
            // What the first one raises counts again where it may not lead back at once.
            let is_open = !alone && from == start;
            let kinds = script.asks().flat_map(raises).copied();
            let kinds: Vec<EventKind> = kinds.filter(|k| is_open || raised.insert(*k)).collect();
            let by_event = kinds.iter().flat_map(|kind| {
                let listeners = self.listeners.get(kind).into_iter().flatten();
                listeners.map(|to| Step { to: *to, by: Some(*kind) })
            });
            for step in by_name.chain(by_event).collect::<Vec<_>>() {
                if came_from.contains_key(&step.to) || (is_open && step.to == start) {
                    continue;
                }
                came_from.insert(step.to, (from, step));
                if step.to == start {
                    return Some(trace_back(&came_from, start));
                }
                queue.push_back(step.to);
            }
        }
        None
    }
}

fn trace_back(came_from: &BTreeMap<usize, (usize, Step)>, start: usize) -> Vec<Step> {
    let mut steps = Vec::new();
    let mut at = start;
    while let Some((from, step)) = came_from.get(&at) {
        steps.push(*step);
        at = *from;
        if at == start {
            break;
        }
    }
    steps.reverse();
    steps
}

fn draw(scripts: &[&Script], start: usize, steps: &[Step]) -> Loop {
    let name = |index: usize| scripts.get(index).map_or("", |script| script.header().name.as_str());
    let mut drawing = name(start).to_owned();
    for step in steps {
        let by = step.by.map_or("run_rule", EventKind::name);
        drawing.push_str(&format!(" → {by} → {}", name(step.to)));
    }
    let mut rules = vec![name(start).to_owned()];
    rules.extend(steps.iter().take(steps.len().saturating_sub(1)).map(|step| name(step.to).to_owned()));
    Loop { rules, drawing }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vocabulary::words;

    fn script(name: &str, header: &str, body: &str) -> Script {
        let lines: String = header.split(';').map(|line| format!("//! {}\n", line.trim())).collect();
        let source = format!("//! {name}\n{lines}{body}");
        Script::parse(&source).unwrap_or_else(|p| panic!("{}", p[0].render(&source)))
    }

    fn drawings(scripts: &[Script]) -> Vec<String> {
        find(scripts).into_iter().map(|found| found.drawing).collect()
    }

    // Semantics 12.
    #[test]
    fn s12_two_rules_that_start_each_other_are_drawn() {
        let scripts = [
            script("Tag", "on: conversation.escalated; chain: true", "add_labels(\"x\");"),
            script("Escalate", "on: conversation.updated; chain: true", "if true { escalate(1, \"x\"); }"),
            script("Hello", "on: message.received", "send_message(\"hi\"); set_priority(\"high\");"),
        ];
        assert_eq!(
            drawings(&scripts),
            ["Tag → conversation.updated → Escalate → conversation.escalated → Tag"]
        );
        assert_eq!(find(&scripts)[0].rules, ["Tag", "Escalate"]);
        let round = through(&scripts[1], &scripts).unwrap();
        assert_eq!(
            round.drawing,
            "Escalate → conversation.escalated → Tag → conversation.updated → Escalate"
        );
        assert!(!round.problem().is_error() && round.problem().message.ends_with(&round.drawing));
        assert_eq!(through(&scripts[2], &scripts), None);
    }

    #[test]
    fn a_rule_can_start_itself() {
        let scripts = [script("A", "on: conversation.updated; chain: true", "set_attribute(\"n\", 1);")];
        assert_eq!(drawings(&scripts), ["A → conversation.updated → A"]);
        assert_eq!(between(&scripts[0], &scripts), None);
        let other = script("B", "on: conversation.updated; chain: true", "set_priority(\"high\");");
        let round = between(&scripts[0], [&other]).unwrap();
        assert_eq!(round.drawing, "A → conversation.updated → B → conversation.updated → A");
        let timer =
            [script("Remind", "on: message.sent, timer.fired; chain: true", "start_timer(\"r\", \"1h\");")];
        assert_eq!(drawings(&timer), ["Remind → timer.fired → Remind"]);
    }

    #[test]
    fn rules_that_run_each_other_by_name_are_a_loop_too() {
        let scripts = [
            script("A", "on: message.received", "run_rule(\"b\");"),
            script("B", "on: rule.manual", "set_status(\"closed\");"),
            script("C", "on: conversation.ended; chain: true", "run_rule(\"A\");"),
        ];
        assert_eq!(drawings(&scripts), ["A → run_rule → B → conversation.ended → C → run_rule → A"]);
    }

    #[test]
    fn rules_that_do_not_chain_end_the_way() {
        let scripts = [
            script("Tag", "on: conversation.escalated", "add_labels(\"x\");"),
            script("Escalate", "on: conversation.updated; chain: true", "escalate(1, \"x\");"),
        ];
        assert_eq!(drawings(&scripts), Vec::<String>::new());
    }

    #[test]
    fn many_rules_are_looked_through_quickly() {
        let scripts: Vec<Script> = (0..500)
            .map(|n| {
                script(
                    &format!("R{n}"),
                    "on: conversation.updated; chain: true",
                    "archive(); set_priority(\"low\");",
                )
            })
            .collect();
        let began = std::time::Instant::now();
        assert_eq!(find(&scripts).len(), LOOPS_MAX);
        assert!(began.elapsed().as_secs() < 5, "{:?}", began.elapsed());
    }

    #[test]
    fn every_intent_that_changes_anything_raises_something() {
        let silent = ["notify", "call_webhook", "cancel_timer", "run_rule", "stop_rules"];
        for word in words().iter().filter(|word| word.family() == "intent") {
            assert_eq!(raises(word.name).is_empty(), silent.contains(&word.name), "{}", word.name);
        }
    }
}
