//! The reference as a page: `docs/rules-reference.md` is this text.

use std::fmt::Write;

use super::{FieldDoc, Vocabulary};

/// The page.
pub fn page(language: &Vocabulary) -> String {
    let mut out = String::from(
        "# Rules: reference\n\nMade from the engine's own tables; `GET /api/v1/rules/vocabulary` answers with the same as JSON. \
         How to write a rule is told in [rules.md](rules.md).\n",
    );
    // Writing to a text cannot fail.
    let _ = header(&mut out, language)
        .and_then(|()| events(&mut out, language))
        .and_then(|()| facts(&mut out, language))
        .and_then(|()| functions(&mut out, language));
    out
}

fn header(out: &mut String, language: &Vocabulary) -> std::fmt::Result {
    writeln!(out, "\n## Header\n\nThe first line is the rule's name. Then, each on a line of its own:\n")?;
    writeln!(out, "| key | meaning | without it | example |\n|---|---|---|---|")?;
    for key in &language.header {
        let default = key.default.map_or_else(|| "see below".to_owned(), |default| format!("`{default}`"));
        writeln!(out, "| `{}` | {} | {default} | `{}` |", key.key, key.doc, key.example)?;
    }
    writeln!(
        out,
        "\n`on` is always needed, `cron` with `schedule.tick`; `cron`, `timezone` and `where` only then."
    )?;
    writeln!(
        out,
        "\n### `where`\n\nConditions, joined by `and`. `=`, `!=`, `in (…)` and `not in (…)` compare, `>` and `<` compare times.\n"
    )?;
    writeln!(out, "| field | meaning | example |\n|---|---|---|")?;
    for field in &language.filter {
        writeln!(out, "| `{}` | {} | `{}` |", field.field, field.doc, field.example)?;
    }
    Ok(())
}

fn events(out: &mut String, language: &Vocabulary) -> std::fmt::Result {
    writeln!(out, "\n## Events\n\n| event | when | `event` also has |\n|---|---|---|")?;
    for event in &language.events {
        let fields: Vec<_> = event.fields.iter().map(|f| format!("`{}`", f.name)).collect();
        writeln!(out, "| `{}` | {} | {} |", event.name, event.doc, fields.join(", "))?;
    }
    Ok(())
}

fn facts(out: &mut String, language: &Vocabulary) -> std::fmt::Result {
    writeln!(out, "\n## Facts\n\nWhat a rule can read. Any value may be missing: it is then `()`.")?;
    for fact in &language.facts {
        writeln!(out, "\n### `{}`\n\n{}", fact.name, fact.doc)?;
        fields(out, &fact.fields)?;
    }
    Ok(())
}

fn fields(out: &mut String, fields: &[FieldDoc]) -> std::fmt::Result {
    if fields.is_empty() {
        return Ok(());
    }
    writeln!(out, "\n| field | type | meaning |\n|---|---|---|")?;
    for field in fields {
        let words: Vec<_> = field.words.iter().map(|word| format!("`{word}`")).collect();
        let words = if words.is_empty() { String::new() } else { format!(" One of {}.", words.join(", ")) };
        writeln!(out, "| `{}` | {} | {}{words} |", field.name, field.kind, field.doc)?;
    }
    Ok(())
}

fn functions(out: &mut String, language: &Vocabulary) -> std::fmt::Result {
    let families = [
        ("intent", "What a rule can ask for"),
        ("text", "Comparing texts (case, accents and the form of digits do not matter)"),
        ("fact", "Looking something up"),
    ];
    for (family, title) in families {
        writeln!(out, "\n## {title}")?;
        for function in language.functions.iter().filter(|f| f.family == family) {
            writeln!(
                out,
                "\n### `{}`\n\n{}\n\n```rhai\n{}\n```",
                function.signature, function.doc, function.example
            )?;
            for argument in function.arguments.iter().filter(|a| !a.words.is_empty()) {
                let words: Vec<_> = argument.words.iter().map(|word| format!("`{word}`")).collect();
                writeln!(out, "\n`{}` is one of {}.", argument.name, words.join(", "))?;
            }
            fields(out, &function.fields)?;
        }
    }
    writeln!(out, "\n## Types of arguments\n\n| type | what may stand there |\n|---|---|")?;
    language.types.iter().try_for_each(|kind| writeln!(out, "| {} | {} |", kind.name, kind.doc))
}
