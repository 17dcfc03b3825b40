//! The classes of Meta's error codes, as product and operators think of them.

use pointsman_meta_cloud::meaning;
use pointsman_plugin::{FailureKind, Retry};

#[test]
fn every_code_of_a_class_leads_to_the_same_action() {
    let day = Retry::After(86_400_000);
    let classes: &[(&[u32], FailureKind, Option<Retry>)] = &[
        (&[131_047, 470], FailureKind::WindowClosed, Some(Retry::Never)),
        (&[4, 17, 613, 80_006, 80_007, 130_429], FailureKind::RateLimited, Some(Retry::After(0))),
        (&[131_056], FailureKind::RateLimited, Some(Retry::After(6_000))),
        (&[131_048, 131_064], FailureKind::RateLimited, Some(day)),
        (&[131_049], FailureKind::ContentRejected, Some(day)),
        (&[1, 2, 131_000, 131_016, 131_057, 133_004], FailureKind::VendorUnavailable, None),
        (&[131_026, 131_030, 551], FailureKind::RecipientUnreachable, Some(Retry::Never)),
        (&[131_021, 131_062, 137_000], FailureKind::RecipientInvalid, Some(Retry::Never)),
        // Marketing only: whoever stopped it still gets answers.
        (&[131_050, 130_472], FailureKind::ContentRejected, Some(Retry::Never)),
        (
            &[132_000, 132_001, 132_005, 132_007, 132_008, 132_012, 132_016, 132_068, 132_069, 131_063],
            FailureKind::TemplateInvalid,
            Some(Retry::Never),
        ),
        (&[132_015], FailureKind::TemplatePaused, Some(Retry::Never)),
        (&[131_052, 131_053], FailureKind::MediaInvalid, Some(Retry::Never)),
        (&[131_051, 130_501], FailureKind::Unsupported, Some(Retry::Never)),
        (&[100, 131_008, 131_009, 135_000], FailureKind::ContentRejected, Some(Retry::Never)),
        (&[0, 190], FailureKind::AuthFailed, Some(Retry::AfterOwnerActs)),
        (
            &[3, 10, 200, 299, 131_005, 368, 131_031],
            FailureKind::PermissionDenied,
            Some(Retry::AfterOwnerActs),
        ),
        (&[131_042, 131_044], FailureKind::QuotaExhausted, Some(Retry::AfterOwnerActs)),
        (
            &[131_037, 131_045, 133_000, 133_005, 133_006, 133_008, 133_009, 133_010, 133_015, 133_016, 2200],
            FailureKind::SettingsInvalid,
            Some(Retry::AfterOwnerActs),
        ),
        // One recipient's trouble must not stop the whole channel.
        (&[130_497], FailureKind::PermissionDenied, Some(Retry::Never)),
    ];
    for (codes, kind, retry) in classes {
        for code in *codes {
            let meaning = meaning(*code, None).unwrap_or_else(|| panic!("{code} is not mapped"));
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
fn pages_say_by_a_subcode_that_the_window_is_closed() {
    for subcode in [2_018_278, 2_534_022] {
        assert_eq!(meaning(10, Some(subcode)).unwrap().kind, FailureKind::WindowClosed);
    }
    assert_eq!(meaning(10, Some(1)).unwrap().kind, FailureKind::PermissionDenied);
    assert_eq!(meaning(139_999, None), None);
}
