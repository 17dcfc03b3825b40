//! Ids as WAHA writes them: chats (`12132132130@c.us`), and messages
//! (`true_12132132130@c.us_3EB0…`, in groups with the participant behind).

use pointsman_plugin::webhook::Party;

/// E.164: at most 15 digits; no country has numbers shorter than this.
const DIGITS: std::ops::RangeInclusive<usize> = 7..=15;

/// What kind of chat an id is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Chat {
    /// Somebody, with their number or hidden (`@lid`).
    Person,
    Group,
    /// Status updates, broadcast lists and channels: nobody waits for an answer.
    Broadcast,
}

/// A chat's id in the form in which WAHA takes it; engines also write `@s.whatsapp.net`.
pub(crate) fn chat_id(raw: &str) -> String {
    match raw.strip_suffix("@s.whatsapp.net") {
        // `7922…:5@…` names a device of the account.
        Some(user) => format!("{}@c.us", user.split(':').next().unwrap_or(user)),
        None => raw.to_owned(),
    }
}

pub(crate) fn kind(chat: &str) -> Chat {
    match chat.rsplit_once('@').map(|(_, server)| server) {
        Some("g.us") => Chat::Group,
        Some("broadcast" | "newsletter") => Chat::Broadcast,
        _ => Chat::Person,
    }
}

/// The number in a chat's id. The digits before `@lid` are none.
pub(crate) fn phone(chat: &str) -> Option<String> {
    let digits = chat.strip_suffix("@c.us")?;
    let numeric = DIGITS.contains(&digits.len()) && digits.bytes().all(|c| c.is_ascii_digit());
    numeric.then(|| format!("+{digits}"))
}

/// Whom a chat is with. `number`: the chat that the engine knows them by as well, with their number.
pub(crate) fn party(chat: &str, number: Option<&str>, display_name: Option<String>) -> Party {
    Party {
        address: chat.to_owned(),
        phone: phone(chat).or_else(|| phone(&chat_id(number?))),
        scoped_id: None,
        username: None,
        display_name,
        extras: vec![],
    }
}

/// A message's id, taken apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct MessageId {
    pub(crate) from_me: bool,
    pub(crate) chat: String,
    pub(crate) bare: String,
    participant: Option<String>,
}

impl MessageId {
    /// `{fromMe}_{chat}_{id}[_{participant}]`.
    pub(crate) fn parse(id: &str) -> Option<Self> {
        let mut parts = id.splitn(4, '_');
        let (from_me, chat, bare) = (parts.next()?, parts.next()?, parts.next()?);
        let from_me = match from_me {
            "true" => true,
            "false" => false,
            _ => return None,
        };
        if !chat.contains('@') || bare.is_empty() {
            return None;
        }
        let participant = parts.next().map(chat_id);
        Some(Self { from_me, chat: chat_id(chat), bare: bare.to_owned(), participant })
    }

    /// The same message as WAHA writes it.
    pub(crate) fn full(&self) -> String {
        let start = format!("{}_{}_{}", self.from_me, self.chat, self.bare);
        match &self.participant {
            Some(participant) => format!("{start}_{participant}"),
            None => start,
        }
    }

    /// How we know it: ours by the bare id, because acks may name the chat by number or by `@lid`; others by the
    /// whole, which replies and reactions need.
    pub(crate) fn ours(&self) -> String {
        if self.from_me { self.bare.clone() } else { self.full() }
    }

    /// Another message of the same chat and sender, of which only the bare id is known.
    pub(crate) fn sibling(&self, id: &str) -> String {
        Self::parse(id).unwrap_or_else(|| Self { bare: id.to_owned(), ..self.clone() }).ours()
    }
}

/// A message that we know by `id`, as WAHA wants it named; a bare one is ours.
pub(crate) fn full(id: &str, chat: &str) -> String {
    if id.contains('_') { id.to_owned() } else { format!("true_{chat}_{id}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_of_all_engines_are_read() {
        for (id, ours) in [
            ("false_12132132130@c.us_3A01", "false_12132132130@c.us_3A01"),
            ("true_12132132130@s.whatsapp.net_3EB0", "3EB0"),
            ("true_123@lid_3EB0", "3EB0"),
            ("false_1203@g.us_3A03_12132132131@s.whatsapp.net", "false_1203@g.us_3A03_12132132131@c.us"),
        ] {
            assert_eq!(MessageId::parse(id).unwrap().ours(), ours, "{id}");
        }
        for id in ["", "3EB0", "yes_1@c.us_2", "true_1_2", "true_1@c.us", "true_1@c.us_"] {
            assert_eq!(MessageId::parse(id), None, "{id}");
        }
        assert_eq!(full("3EB0", "1@c.us"), "true_1@c.us_3EB0");
        assert_eq!(full("false_1@c.us_3A", "1@c.us"), "false_1@c.us_3A");
    }

    #[test]
    fn only_numbers_are_phones() {
        assert_eq!(phone("12132132130@c.us").as_deref(), Some("+12132132130"));
        assert_eq!(phone("12132132130@lid"), None);
        assert_eq!(phone("120363012345678901@g.us"), None);
        assert_eq!(chat_id("79222222222:5@s.whatsapp.net"), "79222222222@c.us");
        assert_eq!(kind("status@broadcast"), Chat::Broadcast);
        assert_eq!(kind("1@newsletter"), Chat::Broadcast);
    }
}
