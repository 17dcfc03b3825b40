//! The classes of Telegram's refusals, as product and operators think of them.

use pointsman_plugin::{FailureKind as K, Retry};
use pointsman_telegram::meaning;

#[test]
fn every_refusal_of_a_class_leads_to_the_same_action() {
    let (never, owner) = (Retry::Never, Retry::AfterOwnerActs);
    for (code, words, kind, retry) in [
        (401, "Unauthorized", K::AuthFailed, &owner),
        (404, "Not Found", K::AuthFailed, &owner),
        (403, "Forbidden: bot was blocked by the user", K::OptedOut, &never),
        (403, "Forbidden: user is deactivated", K::RecipientUnreachable, &never),
        (403, "Forbidden: bot was kicked from the supergroup chat", K::RecipientUnreachable, &never),
        (403, "Forbidden: bot is not a member of the channel chat", K::RecipientUnreachable, &never),
        (403, "Forbidden: bot can't initiate conversation with a user", K::RecipientUnreachable, &never),
        (403, "Forbidden: bot can't send messages to bots", K::RecipientInvalid, &never),
        (400, "Bad Request: chat not found", K::RecipientInvalid, &never),
        (400, "Bad Request: message is too long", K::ContentTooLong, &never),
        (400, "Bad Request: message text is empty", K::ContentRejected, &never),
        (400, "Bad Request: BUTTON_DATA_INVALID", K::ContentRejected, &never),
        (400, "Bad Request: REACTION_INVALID", K::ContentRejected, &never),
        (400, "Bad Request: wrong file identifier/HTTP URL specified", K::MediaInvalid, &never),
        (400, "Bad Request: failed to get HTTP URL content", K::ContentRejected, &never),
        (400, "Bad Request: IMAGE_PROCESS_FAILED", K::MediaInvalid, &never),
        (400, "Bad Request: file is too big", K::MediaInvalid, &never),
        (
            400,
            "Bad Request: not enough rights to send text messages to the chat",
            K::PermissionDenied,
            &never,
        ),
        (400, "Bad Request: bad webhook: HTTPS url must be provided for webhook", K::SettingsInvalid, &owner),
        (409, "Conflict: terminated by other getUpdates request", K::SettingsInvalid, &owner),
        (413, "Request Entity Too Large", K::MediaInvalid, &never),
    ] {
        let Some(found) = meaning(code, words) else {
            assert_eq!(kind, K::ContentRejected, "{words} is not mapped");
            continue;
        };
        assert_eq!((found.kind, &found.retry), (kind, retry), "{words}");
    }
}

#[test]
fn only_the_bots_own_trouble_stops_the_channel() {
    for words in ["", "Forbidden: whatever comes next year"] {
        assert_eq!(meaning(403, words).map(|it| it.retry), Some(Retry::Never));
    }
    assert_eq!(meaning(400, "Bad Request: whatever comes next year"), None);
    assert_eq!(meaning(500, "Internal Server Error"), None);
}
