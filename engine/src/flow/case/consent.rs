//! Whether the contact may be written to: opting out and in, blocking, and what
//! vendors say about it. An opt-out that the vendor enforces is lifted by the
//! contact alone.

use pointsman_rules::event::EventBody;
use serde_json::json;

use super::{Case, ContactChange, Refused};
use crate::plugins::{Content, Extra, InboundMessage};
use crate::store::contacts::BY_VENDOR;

/// Words that lift a block at carriers and vendors when they are the whole message, in capitals. (`YES`, which some
/// take too, answers too many other questions.)
const START_WORDS: [&str; 2] = ["START", "UNSTOP"];
/// Plugins tell what their vendor made of a message under `<provider>.opt_out_type`: `STOP`, `START` or `HELP` (Twilio's
/// Advanced Opt-Out, `OptOutType` of its webhooks).
const OPT_OUT_TYPE: &str = "opt_out_type";

impl Case<'_> {
    /// The contact does not want messages on this kind of channel.
    ///
    /// # Errors
    /// There is no contact.
    pub fn opt_out(&mut self, source: &str) -> Result<(), Refused> {
        let now_ms = self.now_ms;
        let kind = self.channel.facts.kind.clone();
        let person = self.person.as_mut().ok_or_else(no_contact)?;
        let was_out = std::mem::replace(&mut person.facts.opted_out, true);
        if was_out && (source != BY_VENDOR || person.opted_out_by.as_deref() == Some(BY_VENDOR)) {
            return Ok(());
        }
        person.opted_out_by = Some(source.to_owned());
        let since = Some((now_ms, source.to_owned()));
        self.out.contacts.push(ContactChange::OptedOut(person.identity.id, kind.clone(), since));
        if !was_out {
            self.raise(EventBody::ContactOptedOut { channel_kind: kind });
        }
        Ok(())
    }

    /// The contact wants messages on this kind of channel again, and says so where it counts.
    ///
    /// # Errors
    /// There is no contact.
    pub fn opt_in(&mut self) -> Result<(), Refused> {
        let kind = self.channel.facts.kind.clone();
        let person = self.person.as_mut().ok_or_else(no_contact)?;
        if !std::mem::replace(&mut person.facts.opted_out, false) {
            return Ok(());
        }
        person.opted_out_by = None;
        self.out.contacts.push(ContactChange::OptedOut(person.identity.id, kind.clone(), None));
        self.raise(EventBody::ContactOptedIn { channel_kind: kind });
        Ok(())
    }

    /// Does what a message means for the contact's consent, where the vendor says so or has blocked them.
    ///
    /// # Errors
    /// There is no contact.
    pub fn heed(&mut self, word: Option<Wish>) -> Result<(), Refused> {
        match word {
            Some(Wish::Stop) => self.opt_out(BY_VENDOR),
            Some(Wish::Start) => self.opt_in(),
            Some(Wish::StartWord)
                if self.person.as_ref().is_some_and(|it| it.opted_out_by.as_deref() == Some(BY_VENDOR)) =>
            {
                self.opt_in()
            }
            Some(Wish::StartWord) | None => Ok(()),
        }
    }

    /// Blocks or unblocks the contact.
    ///
    /// # Errors
    /// There is no contact.
    pub fn set_blocked(&mut self, on: bool) -> Result<(), Refused> {
        let now_ms = self.now_ms;
        let person = self.person.as_mut().ok_or_else(no_contact)?;
        if person.facts.blocked != on {
            person.facts.blocked = on;
            self.out.contacts.push(ContactChange::Blocked(person.identity.id, on.then_some(now_ms)));
            let pair = [json!(!on), json!(on)];
            self.raise(EventBody::ContactUpdated { changes: [("blocked".to_owned(), pair)].into() });
        }
        Ok(())
    }

    /// Somebody new whom we knew until they were erased: they are not written to against their will.
    pub(super) fn remember_refusals(&mut self) {
        let (Some(known), Some(person)) = (self.suppressed.take(), self.person.as_mut()) else { return };
        let (identity, kind) = (person.identity.id, person.identity.channel_kind.clone());
        let mut facts = person.facts.clone();
        facts.blocked = known.blocked_ms.is_some();
        facts.opted_out = known.opted_out.is_some();
        person.facts = facts;
        person.opted_out_by = known.opted_out.as_ref().map(|(_, source)| source.clone());
        if let Some(new) = self.out.people.iter_mut().find(|it| it.identity.id == identity) {
            new.clone_from(person);
        }
        if known.blocked_ms.is_some() {
            self.out.contacts.push(ContactChange::Blocked(identity, known.blocked_ms));
        }
        if known.opted_out.is_some() {
            self.out.contacts.push(ContactChange::OptedOut(identity, kind, known.opted_out));
        }
    }
}

/// What a message says about consent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wish {
    /// The vendor blocked us for this contact.
    Stop,
    /// The vendor lets us write again.
    Start,
    /// The word that makes a vendor let us write again.
    StartWord,
}

/// Reads it from a contact's message.
pub fn wish(message: &InboundMessage, provider: &str) -> Option<Wish> {
    let is_about = |extra: &&Extra| {
        extra.key.strip_prefix(provider).and_then(|rest| rest.strip_prefix('.')) == Some(OPT_OUT_TYPE)
    };
    if let Some(said) = message.extras.iter().find(is_about) {
        return match said.json.trim_matches('"').to_ascii_uppercase().as_str() {
            "STOP" => Some(Wish::Stop),
            "START" => Some(Wish::Start),
            _ => None,
        };
    }
    let Content::Text(text) = &message.content else { return None };
    START_WORDS.contains(&text.trim().to_ascii_uppercase().as_str()).then_some(Wish::StartWord)
}

fn no_contact() -> Refused {
    Refused::new("no_contact", "The contact is not known.")
}
