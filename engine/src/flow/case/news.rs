//! Telling people that a contact wrote. Decided at the end of the turn, when it
//! is known who has the conversation.

use pointsman_rules::assign::Policy;
use pointsman_rules::ids::UserId;

use super::{Case, Notice, NoticeTo};

impl Case<'_> {
    /// The contact wrote something that people should see.
    pub(in crate::flow) fn note_news(&mut self) {
        self.has_news = true;
    }

    /// Tells whoever has the conversation; where nobody has it and people take them by hand, the group. What an
    /// assistant answers is no news.
    pub(super) fn tell_of_news(&mut self) {
        let directory = &self.view.directory;
        let Some(conversation) = self.conversation.as_ref().filter(|_| self.has_news) else { return };
        let facts = &conversation.facts;
        if facts.ai.is_on(self.now_ms) || facts.snoozed_until_ms.is_some() {
            return;
        }
        let group = facts.group.and_then(|group| directory.group_by_id(group));
        let users: Vec<UserId> = match (facts.assignee, group) {
            (Some(agent), _) => vec![agent],
            (None, Some(group)) if group.assignment.policy == Policy::Manual => group.members.clone(),
            (None, _) => Vec::new(),
        };
        if !users.is_empty() {
            self.out.notices.push(Notice {
                to: NoticeTo::Users(users),
                kind: "message",
                conversation: facts.id,
                text: "A contact wrote.".into(),
                event: None,
            });
        }
    }
}
