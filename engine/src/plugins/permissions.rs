//! What a plugin may do beyond computing: call origins, with the channel's secrets. An upgrade that wants more needs
//! somebody's consent.

use std::collections::BTreeSet;

use super::Manifest;
use super::manifest::SettingKind;

/// What a plugin may call, in words for people: `https://api.acme.example`, `the address in setting base_url`.
pub fn asked(manifest: &Manifest) -> BTreeSet<String> {
    let own = manifest.settings.iter().filter(|setting| setting.kind == SettingKind::EgressUrl);
    let own = own.map(|setting| format!("the address in setting {}", setting.name));
    manifest.origins.iter().cloned().chain(own).collect()
}

/// What the new plugin may call and the old one could not.
pub fn added(old: &Manifest, new: &Manifest) -> Vec<String> {
    asked(new).difference(&asked(old)).cloned().collect()
}

/// What differs between two plugins of one id, one line each: what people look at before an upgrade.
pub fn differences(old: &Manifest, new: &Manifest) -> Vec<String> {
    let mut lines = Vec::new();
    if old.version != new.version {
        lines.push(format!("version {} instead of {}", new.version, old.version));
    }
    lines.extend(added(old, new).iter().map(|it| format!("+ may call {it}")));
    lines.extend(added(new, old).iter().map(|it| format!("- no longer calls {it}")));
    let settings = |it: &Manifest| {
        let name = |setting: &super::manifest::Setting| {
            format!("setting {}{}", setting.name, if setting.required { " (required)" } else { "" })
        };
        it.settings.iter().map(name).collect()
    };
    let kinds = |it: &Manifest| it.kinds.iter().map(|kind| format!("kind {}", kind.kind)).collect();
    for words in [settings as fn(&Manifest) -> BTreeSet<String>, kinds] {
        let (before, after) = (words(old), words(new));
        lines.extend(after.difference(&before).map(|it| format!("+ {it}")));
        lines.extend(before.difference(&after).map(|it| format!("- {it}")));
    }
    for kind in &new.kinds {
        if old.capabilities(&kind.kind).is_some_and(|can| *can != kind.capabilities) {
            lines.push(format!("~ kind {} can do other things", kind.kind));
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plugins::manifest::Setting;

    fn manifest(version: &str, origins: &[&str], url_setting: Option<&str>) -> Manifest {
        let setting = url_setting.map(|name| Setting {
            name: name.into(),
            label: name.into(),
            help: String::new(),
            kind: SettingKind::EgressUrl,
            required: false,
            default: None,
            pattern: None,
            example: None,
            sent_to: None,
        });
        Manifest {
            id: "acme".into(),
            name: "Acme".into(),
            version: version.into(),
            publisher: String::new(),
            docs_url: None,
            license: None,
            settings: setting.into_iter().collect(),
            kinds: Vec::new(),
            origins: origins.iter().map(|it| (*it).to_owned()).collect(),
            assistant: None,
        }
    }

    #[test]
    fn only_what_may_be_called_anew_needs_consent() {
        let old = manifest("1", &["https://a.example", "https://b.example"], None);
        let new = manifest("2", &["https://b.example", "https://c.example"], Some("base_url"));
        assert_eq!(added(&old, &new), ["https://c.example", "the address in setting base_url"]);
        assert_eq!(added(&new, &old), ["https://a.example"]);
        assert_eq!(added(&old, &manifest("3", &["https://a.example"], None)), Vec::<String>::new());
        assert_eq!(
            differences(&old, &new),
            [
                "version 2 instead of 1",
                "+ may call https://c.example",
                "+ may call the address in setting base_url",
                "- no longer calls https://a.example",
                "+ setting base_url",
            ]
        );
    }
}
