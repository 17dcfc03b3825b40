//! Assistants and channels' consent on both databases.

use pointsman_rules::ids::{ChannelId, GroupId};

use super::super::Durability;
use super::super::channel_assistants::{self, Consent};
use super::super::testing::each_db;
use super::*;

fn row(number: u128, name: &str) -> Assistant {
    Assistant {
        id: AssistantId::new(1, number),
        plugin: "openai".into(),
        name: name.into(),
        settings: serde_json::json!({"model": "small"}),
        secrets: "sealed".into(),
        secrets_set: BTreeMap::from([("api_key".into(), 5)]),
        allow_private_egress: false,
        active: true,
        instructions: "Be brief.".into(),
        limits: Limits { answers_max: 3, tokens_per_day_max: Some(9), ..Limits::default() },
        version: 1,
        created_ms: 1,
    }
}

#[test]
fn an_assistant_is_kept_whole_under_a_name_of_its_own() {
    each_db(|db| async move {
        db.write(Durability::Hard, move |tx| {
            Box::pin(async move {
                let (ours, theirs) = (TenantId::new(1, 1), TenantId::new(1, 2));
                let one = row(1, "Ada");
                assert!(insert(tx, ours, &one).await?);
                assert!(!insert(tx, ours, &row(2, "ADA")).await?, "the name is taken");
                assert!(insert(tx, theirs, &row(2, "Ada")).await?);
                assert_eq!(get(tx, ours, one.id).await?, Some(one.clone()));
                assert_eq!(get(tx, theirs, one.id).await?, None);
                let other = Assistant { name: "Bo".into(), active: false, ..one.clone() };
                assert!(update(tx, ours, &other).await? && !update(tx, theirs, &other).await?);
                assert_eq!(list(tx, ours, None, 9).await?, [Assistant { version: 2, ..other }]);
                assert_eq!(count(tx, ours).await?, 1);
                Ok::<_, StoreError>(())
            })
        })
        .await
        .unwrap();
    });
}

#[test]
fn only_channels_that_consented_have_a_duty() {
    each_db(|db| async move {
        db.write(Durability::Hard, move |tx| {
            Box::pin(async move {
                let tenant = TenantId::new(1, 1);
                let one = row(1, "Ada");
                insert(tx, tenant, &one).await?;
                assert!(channel_assistants::duties(tx, tenant).await?.is_empty());
                let consent = Consent {
                    channel: ChannelId::new(1, 1),
                    assistant: one.id,
                    replies: true,
                    insights_at_end: false,
                    instructions: "Formal.".into(),
                    tokens_per_day_max: Some(100),
                    cost_micros_per_day_max: None,
                    version: 1,
                    created_ms: 1,
                };
                channel_assistants::set_consent(tx, tenant, &consent).await?;
                let now = Consent { replies: false, version: 2, ..consent.clone() };
                channel_assistants::set_consent(tx, tenant, &now).await?;
                assert_eq!(
                    channel_assistants::duties(tx, tenant).await?,
                    [(now.clone(), one.limits.clone())]
                );
                assert!(channel_assistants::duties(tx, TenantId::new(1, 2)).await?.is_empty());
                let readers = channel_assistants::readers(tx, tenant).await?;
                let reader = readers.get(&now.channel).map(|it| (it.name.as_str(), it.replies));
                assert_eq!((readers.len(), reader), (1, Some(("Ada", false))));
                assert!(channel_assistants::readers(tx, TenantId::new(1, 2)).await?.is_empty());
                update(tx, tenant, &Assistant { active: false, ..one.clone() }).await?;
                assert!(channel_assistants::duties(tx, tenant).await?.is_empty(), "it is switched off");
                assert!(channel_assistants::readers(tx, tenant).await?.is_empty(), "it is switched off");
                assert_eq!(channel_assistants::consent_of(tx, tenant, now.channel).await?, Some(now.clone()));
                assert!(delete(tx, tenant, one.id).await?);
                assert_eq!(channel_assistants::consent_of(tx, tenant, now.channel).await?, None);
                assert!(!channel_assistants::withdraw(tx, tenant, now.channel).await?);
                Ok::<_, StoreError>(())
            })
        })
        .await
        .unwrap();
    });
}

#[test]
fn a_group_says_what_assistants_are_told() {
    each_db(|db| async move {
        db.write(Durability::Hard, move |tx| {
            Box::pin(async move {
                let (tenant, group) = (TenantId::new(1, 1), GroupId::new(1, 1));
                assert_eq!(channel_assistants::group_instructions(tx, tenant, group).await?, None);
                for text in ["Sell.", "Help."] {
                    channel_assistants::set_group_instructions(tx, tenant, group, text).await?;
                }
                let now = channel_assistants::group_instructions(tx, tenant, group).await?;
                assert_eq!(now, Some(("Help.".to_owned(), 2)));
                Ok::<_, StoreError>(())
            })
        })
        .await
        .unwrap();
    });
}
