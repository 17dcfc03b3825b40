//! Files that are too large for a channel: where the tenant allows it they leave
//! as a link in a text, so that a plan of forty megabytes arrives all the same.

use pointsman_rules::facts::Capabilities;
use pointsman_rules::ids::{AttachmentId, ChannelId, TenantId};

use super::command::Draft;
use super::file::File;
use super::{Flow, FlowError, gate};

/// How long such a link is good, milliseconds: a week.
pub const OFFER_MS: i64 = 7 * 24 * 3_600_000;

/// Files as they will leave by this channel: as they are, or as links where the tenant allows that; a link is for
/// everybody who gets hold of it.
///
/// # Errors
/// The store's.
pub async fn draft(
    flow: &Flow,
    tenant: TenantId,
    channel: ChannelId,
    files: Vec<File>,
) -> Result<Draft, FlowError> {
    let is_allowed = flow.catalog.view(flow, tenant).await?.settings.large_files_as_link;
    let channel = if is_allowed { flow.catalog.channel(flow, tenant, channel).await? } else { None };
    let Some(channel) = channel else { return Ok(Draft::Media { files }) };
    let until_ms = flow.clock.now_ms() + OFFER_MS;
    let link = |id: AttachmentId| flow.links.until(tenant, id, until_ms);
    Ok(offered(&channel.facts.capabilities, files, &link))
}

fn offered(capabilities: &Capabilities, files: Vec<File>, link: &dyn Fn(AttachmentId) -> String) -> Draft {
    if !files.iter().any(|file| gate::is_too_large(capabilities, file)) {
        return Draft::Media { files };
    }
    let lines = files.iter().flat_map(|file| {
        let named = file.attachment.map(|id| match &file.file_name {
            Some(name) => format!("{name}: {}", link(id)),
            None => link(id),
        });
        file.caption.clone().into_iter().chain(named)
    });
    let text = lines.collect::<Vec<_>>().join("\n");
    Draft::Linked { text, files }
}

#[cfg(test)]
mod tests {
    use pointsman_rules::case::given::usual_capabilities;
    use pointsman_rules::facts::MediaRule;

    use super::*;

    fn file(n: u128, size: u64, caption: Option<&str>) -> File {
        File {
            attachment: Some(AttachmentId::new(1, n)),
            family: "document".into(),
            content_type: Some("application/pdf".into()),
            file_name: Some(format!("plan{n}.pdf")),
            size: Some(size),
            caption: caption.map(Into::into),
            blob: Some("blb_1".into()),
        }
    }

    // S63
    #[test]
    fn what_is_too_large_leaves_as_a_link_with_its_caption() {
        let media = vec![MediaRule {
            family: "document".into(),
            content_types: vec!["application/pdf".into()],
            send_bytes_max: 100,
            receive_bytes_max: 100,
            caption_max: Some(50),
        }];
        let capabilities = Capabilities { media, ..usual_capabilities("whatsapp") };
        let link = |id: AttachmentId| format!("https://x.test/{id}");
        let fits = vec![file(1, 100, None)];
        assert_eq!(offered(&capabilities, fits.clone(), &link), Draft::Media { files: fits });
        let files = vec![file(1, 101, Some("Here it is")), file(2, 5, None)];
        let Draft::Linked { text, files: kept } = offered(&capabilities, files.clone(), &link) else {
            panic!()
        };
        let (one, two) = (AttachmentId::new(1, 1), AttachmentId::new(1, 2));
        let wanted = format!("Here it is\nplan1.pdf: https://x.test/{one}\nplan2.pdf: https://x.test/{two}");
        assert_eq!((text, kept), (wanted, files), "the files stay with the message");
    }
}
