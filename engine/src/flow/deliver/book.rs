//! What a batch of steps writes, gathered in memory first: few statements for
//! all lanes, and one order in which rows are locked.

use std::collections::{HashMap, HashSet};

use pointsman_rules::event::{Actor, Cause, Event, EventBody};
use pointsman_rules::ids::{AttachmentId, ChannelId, ConversationId, EffectId, EventId, MessageId, TenantId};

use super::{Office, Step};
use crate::bus::News;
use crate::flow::catalog::TenantView;
use crate::flow::channel_state::{self, Move};
use crate::flow::turn::replaces;
use crate::flow::webhook::outbox::{self, Told};
use crate::store::effects::{self, Attempt, Effect, EffectState, Ending};
use crate::store::intake::NewEntry;
use crate::store::lanes::{self, Rest, Task};
use crate::store::log::{self, Logged};
use crate::store::messages::{self, StatusUpdate};
use crate::store::{StoreError, Tx, outgoing};

/// An event of a message that is only true if the message's status moves.
struct Story {
    step: usize,
    message: MessageId,
    tenant: TenantId,
    logged: Logged,
}

/// A channel whose vendor refused in a way that only its owner can mend.
struct BrokenChannel {
    step: usize,
    tenant: TenantId,
    channel: ChannelId,
    name: String,
    reason: String,
}

/// Everything that a batch of steps writes.
pub(super) struct Book {
    office: Office,
    pub(super) now_ms: i64,
    /// Entries for the lanes' inboxes: outcomes that rules are shown.
    pub(super) entries: Vec<NewEntry>,
    pub(super) endings: HashMap<EffectId, (TenantId, Ending)>,
    /// Calls that are made next.
    pub(super) begun: Vec<(TenantId, EffectId, MessageId)>,
    pub(super) attempts: Vec<Attempt>,
    pub(super) rests: Vec<Rest>,
    /// Messages that became text or template now; JSON.
    pub(super) contents: Vec<(TenantId, MessageId, String)>,
    /// Steps whose lanes wait until their channel works again.
    pub(super) held: HashSet<usize>,
    /// Messages that failed without a call, by step.
    pub(super) refused: HashMap<usize, i64>,
    broken: Vec<BrokenChannel>,
    statuses: Vec<(TenantId, StatusUpdate)>,
    stories: Vec<Story>,
    told: Vec<(TenantId, Told)>,
    news: Vec<Vec<News>>,
}

impl Book {
    pub(super) fn new(office: &Office, steps: usize) -> Self {
        Self {
            office: office.clone(),
            now_ms: office.clock.now_ms(),
            entries: Vec::new(),
            endings: HashMap::new(),
            begun: Vec::new(),
            attempts: Vec::new(),
            rests: Vec::new(),
            contents: Vec::new(),
            held: HashSet::new(),
            refused: HashMap::new(),
            broken: Vec::new(),
            statuses: Vec::new(),
            stories: Vec::new(),
            told: Vec::new(),
            news: vec![Vec::new(); steps],
        }
    }

    /// A random number, for ids and jitter.
    pub(super) fn random(&self) -> u128 {
        self.office.clock.random()
    }

    /// May a message leave by this step's channel now? If not: when to ask again, unix milliseconds.
    pub(super) fn pace(&self, step: &Step) -> Result<(), i64> {
        let facts = &step.channel.facts;
        let per_second = facts.capabilities.messages_per_second;
        self.office.pacer.ask((step.claim.tenant, facts.id), per_second, self.now_ms)
    }

    /// Where vendors and browsers reach us.
    pub(super) fn public_url(&self) -> &str {
        &self.office.settings.public_url
    }

    /// A public link to a file of ours, good from now on.
    pub(super) fn link(&self, tenant: TenantId, attachment: AttachmentId) -> String {
        self.office.links.make(tenant, attachment, self.now_ms)
    }

    pub(super) fn end(
        &mut self,
        tenant: TenantId,
        effect: EffectId,
        state: EffectState,
        failure: Option<String>,
    ) {
        let ending = Ending { state, next_ms: self.now_ms, failure };
        self.endings.insert(effect, (tenant, ending));
    }

    /// The vendor refuses the step's channel until its owner acts.
    pub(super) fn break_channel(&mut self, (index, step): (usize, &Step), reason: &str) {
        let facts = &step.channel.facts;
        let (tenant, channel, name) = (step.claim.tenant, facts.id, facts.name.clone());
        let reason = reason.to_owned();
        self.broken.push(BrokenChannel { step: index, tenant, channel, name, reason });
    }

    pub(super) fn tell(&mut self, step: usize, news: News) {
        self.news[step].push(news);
    }

    /// Moves a message on if its status allows; what happened to it by this effect is then appended to the log.
    pub(super) fn move_on(
        &mut self,
        (index, step): (usize, &Step),
        message: MessageId,
        (status, failure, vendor_id): (&'static str, Option<String>, Option<String>),
        (effect, story): (&Effect, EventBody),
    ) {
        let (tenant, at_ms) = (step.claim.tenant, self.now_ms);
        let over = replaces(status);
        self.statuses.push((tenant, StatusUpdate { message, status, over, failure, vendor_id, at_ms }));
        let event = self.event(Some(effect.conversation), Actor::System, story);
        let logged = Logged { event, channel: Some(step.claim.channel), seq: effect.seq };
        self.stories.push(Story { step: index, message, tenant, logged });
    }

    fn event(&self, conversation: Option<ConversationId>, actor: Actor, body: EventBody) -> Event {
        let id = EventId::new(self.now_ms, self.random());
        Event { id, at_ms: self.now_ms, conversation, cause: Cause { actor, chain: Vec::new() }, body }
    }

    /// Writes everything but the inbox entries; answers the news of each step.
    pub(super) async fn write(mut self, tx: &mut Tx, steps: &[Step]) -> Result<Vec<Vec<News>>, StoreError> {
        let now_ms = self.now_ms;
        let endings: Vec<_> = std::mem::take(&mut self.endings)
            .into_iter()
            .map(|(effect, (tenant, ending))| (tenant, effect, ending))
            .collect();
        let moved = messages::set_status(tx, &self.statuses).await?;
        messages::begin(tx, &self.begun, now_ms).await?;
        for (tenant, message, content) in &self.contents {
            outgoing::set_content(tx, *tenant, *message, content).await?;
        }
        effects::end(tx, &endings, now_ms).await?;
        effects::begin(tx, &self.begun).await?;
        effects::record_attempts(tx, &self.attempts).await?;
        let stories = std::mem::take(&mut self.stories);
        let mut logged = Vec::with_capacity(stories.len());
        for story in stories.into_iter().filter(|it| moved.contains(&it.message)) {
            self.news[story.step].push(news_of(story.tenant, &story.logged.event));
            self.tell_others(story.step, story.tenant, &steps[story.step].view, &story.logged);
            logged.push((story.tenant, story.logged));
        }
        log::append(tx, &logged).await?;
        for broken in std::mem::take(&mut self.broken) {
            self.channel_failed(tx, steps, broken).await?;
        }
        lanes::rest(tx, &self.rests, now_ms).await?;
        outbox::put(tx, &self.office.clock, std::mem::take(&mut self.told)).await?;
        Ok(self.news)
    }

    /// Other programs are told what happened, and their deliveries are rung for once it is committed.
    fn tell_others(&mut self, step: usize, tenant: TenantId, view: &TenantView, logged: &Logged) {
        let before = self.told.len();
        self.told.extend(outbox::of_event(view, logged).map(|it| (tenant, it)));
        if self.told.len() > before {
            self.news[step].push(News::Ready { task: Task::Webhook });
        }
    }

    async fn channel_failed(
        &mut self,
        tx: &mut Tx,
        steps: &[Step],
        broken: BrokenChannel,
    ) -> Result<(), StoreError> {
        let BrokenChannel { step, tenant, channel, name, reason } = broken;
        let notice = Some(format!("The channel {name} failed: {reason}"));
        let (to, reason, actor) = (channel_state::FAILED.to_owned(), Some(reason), Actor::Vendor);
        let entered = Move { tenant, channel, to, reason, notice, actor };
        if let Some(entered) = channel_state::enter(tx, &self.office.clock, &entered).await? {
            self.news[step].push(entered.news());
            self.tell_others(step, tenant, &steps[step].view, &entered.logged);
        }
        Ok(())
    }
}

fn news_of(tenant: TenantId, event: &Event) -> News {
    News::Event { tenant, event: event.id, conversation: event.conversation }
}
