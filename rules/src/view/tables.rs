//! The tables of facts. A new field is one line here; the golden vocabulary
//! shows it to reviewers.

use std::sync::Arc;

use rhai::{Array, Dynamic};

use super::{Fact, Field, Moment, Shape, Shown, Snapshot, View, from_json, stored};
use crate::event::Actor;
use crate::facts::{Direction, Priority, SenderKind, Status, Window};
use crate::ids::{GroupId, UserId};

macro_rules! fields {
    ($($name:ident: $shape:expr, $doc:literal => |$s:ident| $get:expr;)*) => {
        &[$(Field { name: stringify!($name), shape: $shape, doc: $doc, get: |$s: &Arc<Snapshot>| Shown::shown($get) },)*]
    };
}

/// Every fact a script can name.
pub static FACTS: &[&Fact] =
    &[&EVENT, &MESSAGE, &CONVERSATION, &CONTACT, &CHANNEL, &WINDOW, &GROUP, &CHANGES, &PREVIOUS];

/// How a contact may sound.
const SENTIMENTS: &[&str] = &["negative", "neutral", "positive"];
/// Who may have caused an event.
const ACTORS: &[&str] = &["contact", "user", "key", "rule", "assistant", "vendor", "system"];

static EVENT: Fact = Fact {
    name: "event",
    doc: "What happened; fields that this event does not have are missing.",
    fields: fields! {
        type: Shape::Event, "Its name, e.g. `message.received`." => |s| s.event.body.kind().name();
        id: Shape::Text, "Its id." => |s| s.event.id.to_string();
        at: Shape::Moment, "When it was recorded." => |s| Moment(s.event.at_ms);
        actor: Shape::Word(ACTORS), "Who did it." => |s| actor(&s.event.cause.actor);
        depth: Shape::Number, "How many rules led here; 0 when none." => |s| i64::try_from(s.event.cause.chain.len()).unwrap_or(i64::MAX);
        message: Shape::Text, "Id of the message." => |s| s.body("message");
        from: Shape::Text, "The status before." => |s| s.body("from");
        to: Shape::Text, "The status after." => |s| s.body("to");
        class: Shape::Text, "Failure class of `message.failed`, e.g. `opted_out`." => |s| s.body("class");
        code: Shape::Text, "The vendor's own error code." => |s| s.body("code");
        reason: Shape::Text, "Why, in a sentence or word." => |s| s.body("reason");
        assignee: Shape::Agent, "Who was assigned." => |s| body_id(s, "assignee").map(|id| agent(s, id));
        previous: Shape::Agent, "Who was taken off." => |s| body_id(s, "previous").map(|id| agent(s, id));
        ends_at: Shape::Moment, "When the chat will end." => |s| s.body("ends_at_ms").as_int().ok().map(Moment);
        closes_at: Shape::Moment, "When the window will close." => |s| s.body("closes_at_ms").as_int().ok().map(Moment);
        closed_at: Shape::Moment, "When the window closed." => |s| s.body("closed_at_ms").as_int().ok().map(Moment);
        target: Shape::Text, "The service target." => |s| s.body("target");
        calendar: Shape::Text, "The calendar that opened or closed." => |s| s.body("calendar");
        template: Shape::Text, "The template's name." => |s| s.body("template");
        language: Shape::Text, "The template's language." => |s| s.body("language");
        status: Shape::Text, "The template's status." => |s| s.body("status");
        channel_kind: Shape::Text, "The kind of channel opted out of." => |s| s.body("channel_kind");
        is_on: Shape::Flag, "Is the assistant on now?" => |s| s.body("on");
        level: Shape::Number, "Level of an escalation." => |s| s.body("level");
        timer: Shape::Text, "Id of the timer." => |s| s.body("timer");
        name: Shape::Text, "Name of the timer or webhook." => |s| s.body("name");
        rule: Shape::Text, "Id of the rule that is started." => |s| s.body("rule");
        agent: Shape::Agent, "Who was asked to take it." => |s| body_id(s, "agent").map(|id| agent(s, id));
        until: Shape::Moment, "How long the agent may think." => |s| s.body("until_ms").as_int().ok().map(Moment);
        group: Shape::Group, "The group that was asked for." => |s| body_group(s).map(|id| group(s, id));
        state: Shape::Text, "State of a linked phone's session." => |s| s.body("state");
        attachment: Shape::Text, "Id of the file." => |s| s.body("attachment");
        task: Shape::Text, "What the assistant was asked for." => |s| s.body("task");
        outcome: Shape::Text, "What came of it." => |s| s.body("outcome");
        model: Shape::Text, "Which model answered." => |s| s.body("model");
        took_ms: Shape::Number, "How long it thought, milliseconds." => |s| s.body("took_ms");
        input_tokens: Shape::Number, "How much the model read." => |s| s.body("input_tokens");
        output_tokens: Shape::Number, "How much the model wrote." => |s| s.body("output_tokens");
        payload: Shape::Any, "What the webhook carried." => |s| s.body("payload");
    },
    by_name: None,
    is_present: |_| true,
};

static MESSAGE: Fact = Fact {
    name: "message",
    doc: "The message of a message event.",
    fields: fields! {
        id: Shape::Text, "Its id." => |s| s.facts.message.as_ref().map(|m| m.id.to_string());
        text: Shape::Text, "Its text or caption." => |s| s.facts.message.as_ref().and_then(|m| m.text.as_deref());
        kind: Shape::Word(&["text", "media", "location", "cards", "choice", "template", "reaction", "unsupported"]), "What it is." => |s| s.facts.message.as_ref().map(|m| m.kind.as_str());
        direction: Shape::Word(Direction::WORDS), "Which way it went." => |s| s.facts.message.as_ref().map(|m| m.direction.word());
        sender: Shape::Word(SenderKind::WORDS), "Who wrote it; `echo` is the linked phone." => |s| s.facts.message.as_ref().map(|m| m.sender.word());
        choice: Shape::Text, "Id of the pressed button." => |s| s.facts.message.as_ref().and_then(|m| m.choice.as_deref());
        attachments: Shape::Number, "How many files it carries." => |s| s.facts.message.as_ref().map(|m| m.attachments);
        status: Shape::Text, "Delivery status of an outbound message." => |s| s.facts.message.as_ref().and_then(|m| m.status.as_deref());
        failure: Shape::Text, "Failure class of an outbound message." => |s| s.facts.message.as_ref().and_then(|m| m.failure.as_deref());
        at: Shape::Moment, "When it was written." => |s| s.facts.message.as_ref().map(|m| Moment(m.at_ms));
    },
    by_name: None,
    is_present: |s| s.facts.message.is_some(),
};

macro_rules! conversation_fields {
    () => {
        fields! {
            id: Shape::Text, "Its id." => |s| s.facts.conversation.id.to_string();
            live: Shape::Flag, "Is a real-time chat going on?" => |s| s.facts.conversation.live;
            status: Shape::Word(Status::WORDS), "The state of the case." => |s| s.facts.conversation.status.word();
            group: Shape::Group, "Which group has it." => |s| s.facts.conversation.group.map(|id| group(s, id));
            assignee: Shape::Agent, "Who has it." => |s| s.facts.conversation.assignee.map(|id| agent(s, id));
            priority: Shape::Word(Priority::WORDS), "How urgent it is." => |s| s.facts.conversation.priority.word();
            labels: Shape::List, "Free words." => |s| s.facts.conversation.labels.as_slice();
            attributes: Shape::Fields(&CONVERSATION_ATTRIBUTES), "Values that rules and people set." => |s| View::new(&CONVERSATION_ATTRIBUTES, s);
            language: Shape::Text, "BCP 47." => |s| s.facts.conversation.language.as_deref();
            sentiment: Shape::Word(SENTIMENTS), "How the contact sounded when an assistant last judged it." => |s| s.facts.conversation.sentiment.as_deref();
            summary: Shape::Text, "What it is about, as an assistant last said." => |s| s.facts.conversation.summary.as_deref();
            ai_is_on: Shape::Flag, "May the assistant answer now?" => |s| s.facts.conversation.ai.is_on(s.facts.now_ms);
            last_inbound_at: Shape::Moment, "When the contact last wrote." => |s| s.facts.conversation.last_inbound_ms.map(Moment);
            last_outbound_at: Shape::Moment, "When we last wrote." => |s| s.facts.conversation.last_outbound_ms.map(Moment);
            inbound_count: Shape::Number, "Messages from the contact so far." => |s| s.facts.conversation.inbound_count;
            outbound_count: Shape::Number, "Our public messages so far." => |s| s.facts.conversation.outbound_count;
            reopen_count: Shape::Number, "How often it was reopened." => |s| s.facts.conversation.reopen_count;
            created_at: Shape::Moment, "When it began." => |s| Moment(s.facts.conversation.created_ms);
            waiting_since: Shape::Moment, "Since when the contact waits for a person's answer." => |s| s.facts.conversation.waiting_since_ms.map(Moment);
            first_reply_at: Shape::Moment, "When a person first answered since it was opened." => |s| s.facts.conversation.first_reply_ms.map(Moment);
            archived_at: Shape::Moment, "When it was archived." => |s| s.facts.conversation.archived_ms.map(Moment);
            snoozed_until: Shape::Moment, "Hidden until then." => |s| s.facts.conversation.snoozed_until_ms.map(Moment);
            timers: Shape::List, "Names of running timers." => |s| s.facts.conversation.timers.as_slice();
        }
    };
}

static CONVERSATION: Fact = Fact {
    name: "conversation",
    doc: "The conversation after the event.",
    fields: conversation_fields!(),
    by_name: None,
    is_present: |s| s.event.conversation.is_some(),
};

static PREVIOUS: Fact = Fact {
    name: "previous",
    doc: "The conversation before the event; fields that did not change are as now.",
    fields: conversation_fields!(),
    by_name: Some(|s, name| s.facts.changes.get(name).map(|[before, _]| from_json(before))),
    is_present: |s| !s.facts.changes.is_empty(),
};

static CHANGES: Fact = Fact {
    name: "changes",
    doc: "What changed: a field's name gives [before, after], or nothing when it did not change.",
    fields: &[],
    by_name: Some(|s, name| {
        let pair = s.facts.changes.get(name);
        Some(pair.map_or(Dynamic::UNIT, |both| both.iter().map(from_json).collect::<Array>().into()))
    }),
    is_present: |s| !s.facts.changes.is_empty(),
};

static CONTACT: Fact = Fact {
    name: "contact",
    doc: "The person outside.",
    fields: fields! {
        id: Shape::Text, "Their id." => |s| s.facts.contact.id.to_string();
        name: Shape::Text, "As the vendor or an agent wrote it." => |s| s.facts.contact.name.as_deref();
        phone: Shape::Text, "E.164, when known." => |s| s.facts.contact.phone.as_deref();
        language: Shape::Text, "BCP 47." => |s| s.facts.contact.language.as_deref();
        blocked: Shape::Flag, "Do we refuse to talk to them?" => |s| s.facts.contact.blocked;
        opted_out: Shape::Flag, "Did they opt out of this kind of channel?" => |s| s.facts.contact.opted_out;
        attributes: Shape::Fields(&CONTACT_ATTRIBUTES), "Values that rules and people set." => |s| View::new(&CONTACT_ATTRIBUTES, s);
    },
    by_name: None,
    is_present: |_| true,
};

static CHANNEL: Fact = Fact {
    name: "channel",
    doc: "Where it happened.",
    fields: fields! {
        id: Shape::Text, "Its id." => |s| s.facts.channel.id.to_string();
        name: Shape::Text, "Its display name." => |s| s.facts.channel.name.as_str();
        kind: Shape::Text, "`whatsapp`, `sms`, `telegram`, `webchat`, …" => |s| s.facts.channel.kind.as_str();
        provider: Shape::Text, "The plugin that speaks to the vendor." => |s| s.facts.channel.provider.as_str();
        language: Shape::Text, "BCP 47." => |s| s.facts.channel.language.as_deref();
        default_group: Shape::Group, "Group for new conversations." => |s| s.facts.channel.default_group.map(|id| group(s, id));
        assigned_agent: Shape::Agent, "Agent for new conversations." => |s| s.facts.channel.assigned_agent.map(|id| agent(s, id));
        receive_only: Shape::Flag, "Do we only read along?" => |s| s.facts.channel.receive_only;
        capabilities: Shape::Fields(&CAPABILITIES), "What the vendor can do." => |s| View::new(&CAPABILITIES, s);
    },
    by_name: None,
    is_present: |_| true,
};

static CAPABILITIES: Fact = Fact {
    name: "channel.capabilities",
    doc: "What the vendor can do.",
    fields: fields! {
        text_max: Shape::Number, "Longest text." => |s| s.facts.channel.capabilities.text_max;
        attachments_max: Shape::Number, "Most files in one message." => |s| s.facts.channel.capabilities.attachments_max;
        templates: Shape::Flag, "Are there templates?" => |s| s.facts.channel.capabilities.templates;
        first_message_needs_template: Shape::Flag, "Must we begin with a template?" => |s| s.facts.channel.capabilities.first_message_needs_template;
        buttons_max: Shape::Number, "Most buttons." => |s| s.facts.channel.capabilities.buttons_max;
        list_rows_max: Shape::Number, "Most list rows." => |s| s.facts.channel.capabilities.list_rows_max;
        reactions: Shape::Flag, "Can we react?" => |s| s.facts.channel.capabilities.reactions;
        replies: Shape::Flag, "Can we quote?" => |s| s.facts.channel.capabilities.replies;
        read_receipts: Shape::Flag, "Can we tell that we read a message?" => |s| s.facts.channel.capabilities.read_receipts;
        delivery_reports: Shape::Text, "The furthest that the vendor reports of a message: `none`, `sent`, `delivered` or `read`." => |s| s.facts.channel.capabilities.delivery_reports.as_str();
        typing: Shape::Flag, "Can we show that we type?" => |s| s.facts.channel.capabilities.typing;
        echoes: Shape::Flag, "Do messages typed on the phone come back?" => |s| s.facts.channel.capabilities.echoes;
    },
    by_name: None,
    is_present: |_| true,
};

static WINDOW: Fact = Fact {
    name: "window",
    doc: "The messaging window; a channel without one is always open.",
    fields: fields! {
        is_open: Shape::Flag, "May we send free text now?" => |s| window_is_open(s);
        closes_at: Shape::Moment, "When it closes or closed." => |s| window_closes(s).map(Moment);
        minutes_left: Shape::Number, "Whole minutes until it closes; 0 when closed." => |s| window_closes(s).map(|ms| (ms - s.facts.now_ms).max(0) / 60_000);
    },
    by_name: None,
    is_present: |s| s.facts.channel.capabilities.window != Window::None,
};

static GROUP: Fact = Fact {
    name: "group",
    doc: "The group that has the conversation.",
    fields: fields! {
        id: Shape::Text, "Its id." => |s| s.facts.conversation.group.map(|id| id.to_string());
        name: Shape::Group, "Its name." => |s| s.facts.conversation.group.map(|id| group(s, id));
        language: Shape::Text, "BCP 47." => |s| s.facts.directory.groups.iter().find(|g| Some(g.id) == s.facts.conversation.group).and_then(|g| g.language.as_deref());
    },
    by_name: None,
    is_present: |s| s.facts.conversation.group.is_some(),
};

static CONVERSATION_ATTRIBUTES: Fact = Fact {
    name: "conversation.attributes",
    doc: "Values that rules and people set.",
    fields: &[],
    by_name: Some(|s, name| stored(&s.facts.conversation.attributes, name)),
    is_present: |s| !s.facts.conversation.attributes.is_empty(),
};

static CONTACT_ATTRIBUTES: Fact = Fact {
    name: "contact.attributes",
    doc: "Values that rules and people set.",
    fields: &[],
    by_name: Some(|s, name| stored(&s.facts.contact.attributes, name)),
    is_present: |s| !s.facts.contact.attributes.is_empty(),
};

fn actor(actor: &Actor) -> &'static str {
    match actor {
        Actor::Contact => "contact",
        Actor::User { .. } => "user",
        Actor::Key { .. } => "key",
        Actor::Rule { .. } => "rule",
        Actor::Assistant => "assistant",
        Actor::Vendor => "vendor",
        Actor::System => "system",
    }
}

/// The name that rules know it by; its id when the directory does not have it.
fn group(s: &Snapshot, id: GroupId) -> String {
    s.facts.directory.groups.iter().find(|g| g.id == id).map_or_else(|| id.to_string(), |g| g.name.clone())
}

fn agent(s: &Snapshot, id: UserId) -> String {
    s.facts.directory.agents.iter().find(|a| a.id == id).map_or_else(|| id.to_string(), |a| a.email.clone())
}

fn body_id(s: &Snapshot, name: &str) -> Option<UserId> {
    UserId::parse(&s.body(name).into_immutable_string().ok()?).ok()
}

fn body_group(s: &Snapshot) -> Option<GroupId> {
    GroupId::parse(&s.body("group").into_immutable_string().ok()?).ok()
}

fn window_closes(s: &Snapshot) -> Option<i64> {
    match s.facts.channel.capabilities.window {
        Window::SinceLastInbound { .. } => s.facts.conversation.window_closes_ms,
        Window::None | Window::AfterFirstInbound => None,
    }
}

fn window_is_open(s: &Snapshot) -> bool {
    match s.facts.channel.capabilities.window {
        Window::None => true,
        Window::SinceLastInbound { .. } => window_closes(s).is_some_and(|ms| ms > s.facts.now_ms),
        Window::AfterFirstInbound => s.facts.conversation.last_inbound_ms.is_some(),
    }
}
