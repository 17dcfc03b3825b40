//! Who gets a conversation that waits. Pure: the waiting ones and the people who
//! are there come in, pairs go out; nobody gets more chats than they may have.

use serde::{Deserialize, Serialize};

use crate::ids::{ConversationId, UserId};

/// How a group hands out conversations.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Policy {
    /// People take them.
    #[default]
    Manual,
    /// To whoever was given one the longest ago.
    RoundRobin,
    /// To whoever has the fewest live chats.
    LeastBusy,
}

impl Policy {
    /// Every word, for messages and documentation.
    pub const WORDS: &'static [&'static str] = &["manual", "round_robin", "least_busy"];
    /// The words that hand out by themselves: what a rule may ask for.
    pub const AUTOMATIC: &'static [&'static str] = &["round_robin", "least_busy"];

    /// The stable word.
    pub fn word(self) -> &'static str {
        match self {
            Self::Manual => "manual",
            Self::RoundRobin => "round_robin",
            Self::LeastBusy => "least_busy",
        }
    }

    /// The policy with this word.
    pub fn from_word(word: &str) -> Option<Self> {
        match word {
            "manual" => Some(Self::Manual),
            "round_robin" => Some(Self::RoundRobin),
            "least_busy" => Some(Self::LeastBusy),
            _ => None,
        }
    }
}

/// How a group assigns, as it is kept with the group.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Assignment {
    /// How it hands out conversations.
    pub policy: Policy,
    /// Live chats that one member may have at once; `None`: no limit. A person's own limit comes first.
    pub chats_max: Option<u32>,
    /// How long a person may think about an offer, milliseconds; `None`: conversations are assigned without asking.
    pub offer_ms: Option<i64>,
    /// Does a reopened conversation go back to whoever had it, if they are there?
    pub keep_assignee: bool,
}

impl Default for Assignment {
    fn default() -> Self {
        Self { policy: Policy::Manual, chats_max: None, offer_ms: None, keep_assignee: true }
    }
}

/// A conversation that waits for somebody.
#[derive(Debug, Clone)]
pub struct Waiting<'a> {
    /// Which.
    pub conversation: ConversationId,
    /// How it is handed out.
    pub policy: Policy,
    /// Who may get it.
    pub members: &'a [UserId],
    /// Live chats that one member may have at once, where they have no limit of their own.
    pub chats_max: Option<u32>,
    /// Who passed on it a short while ago.
    pub passed: Vec<UserId>,
}

/// A person who is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seat {
    /// Who.
    pub agent: UserId,
    /// Live chats they have or were offered.
    pub chats: u32,
    /// Live chats they may have at once, if they have a limit of their own.
    pub chats_max: Option<u32>,
    /// When they were last given one, unix milliseconds; 0: never.
    pub given_ms: i64,
}

/// Hands out what waits, in the order given. Whoever is left out stays waiting: nobody who may have it is there, or has
/// room.
pub fn distribute(
    waiting: &[Waiting<'_>],
    mut seats: Vec<Seat>,
    now_ms: i64,
) -> Vec<(ConversationId, UserId)> {
    let mut out = Vec::new();
    for it in waiting {
        let may = |seat: &&mut Seat| {
            let most = seat.chats_max.or(it.chats_max).unwrap_or(u32::MAX);
            seat.chats < most && it.members.contains(&seat.agent) && !it.passed.contains(&seat.agent)
        };
        let key = |seat: &&mut Seat| match it.policy {
            Policy::LeastBusy => (seat.chats, seat.given_ms, seat.agent),
            Policy::RoundRobin | Policy::Manual => (0, seat.given_ms, seat.agent),
        };
        if it.policy == Policy::Manual {
            continue;
        }
        let Some(seat) = seats.iter_mut().filter(may).min_by_key(key) else { continue };
        seat.chats += 1;
        // Never earlier than any other's turn, also within a millisecond.
        let turn_ms = now_ms.saturating_add(i64::try_from(out.len()).unwrap_or(0));
        out.push((it.conversation, seat.agent));
        seat.given_ms = turn_ms.max(seat.given_ms);
    }
    out
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn agent(n: u128) -> UserId {
        UserId::new(1, n)
    }

    fn seat(n: u128, chats: u32, given_ms: i64) -> Seat {
        Seat { agent: agent(n), chats, chats_max: None, given_ms }
    }

    fn waiting(n: u128, policy: Policy, members: &[UserId]) -> Waiting<'_> {
        let conversation = ConversationId::new(1, n);
        Waiting { conversation, policy, members, chats_max: None, passed: vec![] }
    }

    fn who(pairs: &[(ConversationId, UserId)]) -> Vec<UserId> {
        pairs.iter().map(|(_, agent)| *agent).collect()
    }

    #[test]
    fn round_robin_goes_round_and_least_busy_evens_out() {
        let all = [agent(1), agent(2), agent(3)];
        let queue: Vec<_> = (0..4).map(|n| waiting(n, Policy::RoundRobin, &all)).collect();
        let seats = vec![seat(1, 9, 30), seat(2, 0, 10), seat(3, 0, 20)];
        assert_eq!(who(&distribute(&queue, seats.clone(), 100)), [agent(2), agent(3), agent(1), agent(2)]);
        let queue: Vec<_> = (0..3).map(|n| waiting(n, Policy::LeastBusy, &all)).collect();
        assert_eq!(who(&distribute(&queue, seats, 100)), [agent(2), agent(3), agent(2)]);
    }

    #[test]
    fn nobody_is_given_what_is_not_for_them() {
        let (all, one) = ([agent(1), agent(2)], [agent(2)]);
        let only_two = waiting(1, Policy::RoundRobin, &one);
        let passed = Waiting { passed: vec![agent(2)], ..waiting(2, Policy::RoundRobin, &one) };
        let by_hand = waiting(3, Policy::Manual, &all);
        let full = Waiting { chats_max: Some(3), ..waiting(4, Policy::LeastBusy, &all) };
        let seats = vec![seat(1, 3, 0), Seat { chats_max: Some(4), ..seat(2, 3, 0) }];
        let given = distribute(&[only_two, passed, by_hand, full], seats, 100);
        assert_eq!(given, [(ConversationId::new(1, 1), agent(2))], "her own limit of 4 is reached by then");
    }

    proptest! {
        #[test]
        fn nobody_has_more_than_they_may_and_nobody_waits_beside_a_free_seat(
            chats in prop::collection::vec(0u32..6, 0..6),
            limits in prop::collection::vec(prop::option::of(0u32..6), 6),
            group_max in prop::option::of(0u32..6),
            queue in prop::collection::vec(any::<bool>(), 0..20),
        ) {
            let members: Vec<_> = (0..chats.len()).map(|n| agent(n as u128)).collect();
            let seats: Vec<_> = members
                .iter()
                .zip(&chats)
                .zip(&limits)
                .map(|((agent, chats), limit)| Seat { agent: *agent, chats: *chats, chats_max: *limit, given_ms: 0 })
                .collect();
            let of = |(n, busy): (usize, &bool)| Waiting {
                chats_max: group_max,
                ..waiting(n as u128, if *busy { Policy::LeastBusy } else { Policy::RoundRobin }, &members)
            };
            let waiting: Vec<_> = queue.iter().enumerate().map(of).collect();
            let given = distribute(&waiting, seats.clone(), 1_000);
            let mut room = 0;
            for seat in &seats {
                let most = seat.chats_max.or(group_max).unwrap_or(u32::MAX);
                let got = u32::try_from(given.iter().filter(|(_, agent)| *agent == seat.agent).count()).unwrap();
                prop_assert!(got == 0 || seat.chats + got <= most);
                room += u64::from(most.saturating_sub(seat.chats));
            }
            prop_assert_eq!(given.len() as u64, room.min(waiting.len() as u64));
            let mut conversations: Vec<_> = given.iter().map(|(id, _)| *id).collect();
            conversations.dedup();
            prop_assert_eq!(conversations.len(), given.len(), "each at most once, in order");
        }
    }
}
