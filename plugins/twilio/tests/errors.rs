//! The classes of Twilio's error codes, as product and operators think of them.

use pointsman_plugin::{Certainty, FailureKind, Retry};
use pointsman_twilio::meaning;

#[test]
fn every_code_of_a_class_leads_to_the_same_action() {
    let day = Retry::After(86_400_000);
    let classes: &[(&[u32], FailureKind, Option<Retry>)] = &[
        (&[63016], FailureKind::WindowClosed, Some(Retry::Never)),
        (&[20429, 63017, 63018, 30022, 14107], FailureKind::RateLimited, Some(Retry::After(0))),
        (&[30001, 21611, 30017], FailureKind::RateLimited, None),
        (&[20500, 20503, 63009, 63010, 63012, 30410, 30008], FailureKind::VendorUnavailable, None),
        (&[63038, 30023, 30027], FailureKind::QuotaExhausted, Some(day)),
        (&[63049], FailureKind::ContentRejected, Some(day)),
        (
            &[63003, 63024, 21211, 21214, 21217, 21614, 30005, 30006],
            FailureKind::RecipientInvalid,
            Some(Retry::Never),
        ),
        (&[63032, 63033, 21612, 30004, 63015], FailureKind::RecipientUnreachable, Some(Retry::Never)),
        (&[21610, 63014], FailureKind::OptedOut, Some(Retry::Never)),
        (
            &[63021, 63027, 63028, 63029, 63030, 63040, 63042, 21654, 21655, 21656, 92001, 92008],
            FailureKind::TemplateInvalid,
            Some(Retry::Never),
        ),
        (&[63041], FailureKind::TemplatePaused, Some(Retry::Never)),
        (
            &[63005, 63006, 63013, 63026, 30007, 21602, 21619],
            FailureKind::ContentRejected,
            Some(Retry::Never),
        ),
        (&[21617, 21658], FailureKind::ContentTooLong, Some(Retry::Never)),
        (&[63019], FailureKind::MediaInvalid, None),
        (
            &[63034, 63037, 63043, 63044, 63045, 63047, 11751, 12300, 21620, 21621, 21622, 21623, 30019],
            FailureKind::MediaInvalid,
            Some(Retry::Never),
        ),
        (&[20003, 20005, 20006, 20008, 63001], FailureKind::AuthFailed, Some(Retry::AfterOwnerActs)),
        (
            &[63002, 63007, 63008, 63022, 21212, 21606, 21603, 21609, 21703, 21704, 21705],
            FailureKind::SettingsInvalid,
            Some(Retry::AfterOwnerActs),
        ),
        (
            &[20403, 30002, 63020, 63051, 30032, 30033, 30034, 30035],
            FailureKind::PermissionDenied,
            Some(Retry::AfterOwnerActs),
        ),
        // One recipient's trouble must not stop the whole channel.
        (&[21408, 21608, 30018], FailureKind::PermissionDenied, Some(Retry::Never)),
    ];
    for (codes, kind, retry) in classes {
        for code in *codes {
            let meaning = meaning(*code).unwrap_or_else(|| panic!("{code} is not mapped"));
            assert_eq!(&meaning.kind, kind, "{code}");
            assert!(
                retry.as_ref().is_none_or(|retry| *retry == meaning.retry),
                "{code}: {:?}",
                meaning.retry
            );
        }
    }
}

#[test]
fn only_trouble_on_the_way_leaves_the_outcome_open() {
    let open: Vec<u32> = (10_000..100_000)
        .filter(|code| meaning(*code).is_some_and(|meaning| meaning.effect == Certainty::Unknown))
        .collect();
    assert_eq!(open, [20500, 20503, 30003, 30008, 30410, 63009, 63012, 63019]);
}

#[test]
fn an_approval_is_no_failure_and_new_codes_are_not_guessed() {
    assert_eq!(meaning(63046), None);
    assert_eq!(meaning(64999), None);
}
