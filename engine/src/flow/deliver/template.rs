//! Whether a template may leave: known, approved, and every hole filled. What the
//! vendor would refuse, or fill with its own sample, is not worth a call.

use std::collections::BTreeSet;

use super::Step;
use crate::flow::content::Content;
use crate::flow::gate::Refusal;
use crate::flow::slot;
use crate::store::catalog::SendableTemplate;
use crate::store::{StoreError, Tx, catalog};

/// The vendor's id of the template that this content sends, if it has one; the content then says what the contact will
/// read. Any other content is fine as it is.
pub(super) async fn approve(
    tx: &mut Tx,
    step: &Step,
    content: &mut Content,
) -> Result<Result<Option<String>, Refusal>, StoreError> {
    let Content::Template { name, language, slots, files, text } = content else { return Ok(Ok(None)) };
    let (tenant, channel) = (step.claim.tenant, step.claim.channel);
    let found = catalog::sendable_template(tx, tenant, channel, name, language).await?;
    let given: BTreeSet<&str> = slots.keys().chain(files.keys()).map(String::as_str).collect();
    Ok(match judge(found, &given, name, language) {
        Ok(template) => {
            *text = Some(slot::fill(&template.body, slots)).filter(|text| !text.trim().is_empty());
            Ok(template.vendor_id)
        }
        Err(detail) => Err(Refusal { code: "template", detail }),
    })
}

fn judge(
    found: Option<SendableTemplate>,
    given: &BTreeSet<&str>,
    name: &str,
    language: &str,
) -> Result<SendableTemplate, String> {
    let Some(template) = found else {
        return Err(format!(
            "There is no template `{name}` in `{language}` on this channel; refresh its templates or choose another."
        ));
    };
    if template.status != "approved" {
        let status = template.status;
        return Err(format!("The template `{name}` ({language}) is {status}; choose an approved one."));
    }
    let wanted: BTreeSet<&str> = template.slots.iter().map(String::as_str).collect();
    if wanted != *given {
        let list = |names: &BTreeSet<&str>| names.iter().copied().collect::<Vec<_>>().join(", ");
        return Err(format!(
            "The template `{name}` ({language}) has the slots [{}]; given were [{}]. Fill in exactly these.",
            list(&wanted),
            list(given)
        ));
    }
    Ok(template)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(status: &str, given: &[&str]) -> Result<Option<String>, String> {
        let slots = vec!["1".to_owned(), "header.1".to_owned()];
        let (vendor_id, body) = (Some("HX1".into()), "Hi {{1}}".into());
        let template = SendableTemplate { vendor_id, status: status.into(), slots, body };
        judge(Some(template), &given.iter().copied().collect(), "t", "en").map(|it| it.vendor_id)
    }

    #[test]
    fn a_template_leaves_approved_and_filled_or_not_at_all() {
        assert_eq!(judged("approved", &["header.1", "1"]), Ok(Some("HX1".into())));
        assert!(judged("paused", &["header.1", "1"]).unwrap_err().contains("is paused"));
        assert!(judged("approved", &["1"]).unwrap_err().contains("has the slots [1, header.1]"));
        assert!(
            judged("approved", &["1", "2", "header.1"]).unwrap_err().contains("given were [1, 2, header.1]")
        );
        assert!(judge(None, &BTreeSet::new(), "t", "en").unwrap_err().contains("refresh"));
    }
}
