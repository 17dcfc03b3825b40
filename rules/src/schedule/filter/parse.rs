//! Reads the text of a filter. Every mistake has its column and says what may
//! stand there.

use super::{CONDITIONS_MAX, Clock, Condition, Filter, OneOf, VALUES_MAX};
use crate::duration;
use crate::facts::{Priority, Status};
use crate::ids::ChannelId;
use crate::problem::{Problem, nearest};

/// Fields that a condition can name.
const FIELDS: &[&str] = &[
    "live", "ai", "status", "priority", "channel", "group", "assignee", "label", "idle", "waiting",
    "open_for",
];

impl Filter {
    /// Reads a filter that stands at this line and column of a rule file.
    ///
    /// # Errors
    /// The first mistake; what follows it cannot be read.
    pub fn parse(text: &str, line: u32, column: u32) -> Result<Self, Problem> {
        let tokens = tokens(text, line, column)?;
        let end = Token { column: column + chars(text), line, kind: Kind::End };
        let mut reader = Reader { tokens, end, at: 0 };
        let mut conditions = vec![reader.condition()?];
        while let Some(next) = reader.take() {
            if next.kind != Kind::Word("and".to_owned()) {
                let hint = "join conditions with `and`; write two rules for an `or`";
                return Err(next.wrong("`and` is missing here").with_hint(hint));
            }
            if conditions.len() == CONDITIONS_MAX {
                return Err(next.wrong(&format!("`where` has more than {CONDITIONS_MAX} conditions")));
            }
            conditions.push(reader.condition()?);
        }
        Ok(Self { conditions })
    }
}

fn chars(text: &str) -> u32 {
    u32::try_from(text.chars().count()).unwrap_or(u32::MAX)
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Kind {
    /// `open`, `30m`, `chn_…`.
    Word(String),
    /// `"Billing"`.
    Quoted(String),
    /// `=`, `!=`, `<`, `>`, `(`, `)`, `,`.
    Sign(&'static str),
    End,
}

#[derive(Debug, Clone)]
struct Token {
    line: u32,
    column: u32,
    kind: Kind,
}

impl Token {
    fn wrong(&self, message: &str) -> Problem {
        Problem::new(self.line, self.column, "bad_filter", message)
    }

    /// As the author wrote it.
    fn shown(&self) -> String {
        match &self.kind {
            Kind::Word(text) | Kind::Quoted(text) => format!("`{text}`"),
            Kind::Sign(sign) => format!("`{sign}`"),
            Kind::End => "the end".to_owned(),
        }
    }

    fn text(&self) -> Option<&str> {
        match &self.kind {
            Kind::Word(text) | Kind::Quoted(text) => Some(text),
            Kind::Sign(_) | Kind::End => None,
        }
    }
}

fn tokens(text: &str, line: u32, column: u32) -> Result<Vec<Token>, Problem> {
    let mut found = Vec::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let column = column + chars(text) - chars(rest);
        let wrong = |message: String| Problem::new(line, column, "bad_filter", message);
        let (kind, after) = if first.is_whitespace() {
            rest = rest.trim_start();
            continue;
        } else if let Some(inner) = rest.strip_prefix('"') {
            let (name, after) =
                inner.split_once('"').ok_or_else(|| wrong("this quote is not closed".to_owned()))?;
            (Kind::Quoted(name.to_owned()), after)
        } else if let Some((sign, after)) =
            ["!=", "=", "<", ">", "(", ")", ","].iter().find_map(|s| Some((*s, rest.strip_prefix(s)?)))
        {
            (Kind::Sign(sign), after.strip_prefix('=').filter(|_| sign == "=").unwrap_or(after))
        } else {
            let is_word = |c: char| c.is_alphanumeric() || "_-.@+".contains(c);
            let end = rest.find(|c: char| !is_word(c)).unwrap_or(rest.len());
            let (word, after) = rest.split_at(end);
            if word.is_empty() {
                return Err(wrong(format!("`{first}` cannot stand in `where`")));
            }
            (Kind::Word(word.to_owned()), after)
        };
        found.push(Token { line, column, kind });
        rest = after;
    }
    Ok(found)
}

struct Reader {
    tokens: Vec<Token>,
    end: Token,
    at: usize,
}

impl Reader {
    fn take(&mut self) -> Option<Token> {
        let token = self.tokens.get(self.at).cloned();
        self.at += 1;
        token
    }

    fn next(&mut self) -> Token {
        self.take().unwrap_or_else(|| self.end.clone())
    }

    fn condition(&mut self) -> Result<Condition, Problem> {
        let field = self.next();
        let name = match &field.kind {
            Kind::Word(name) => name.as_str(),
            _ => "",
        };
        let one_of = |of: OneOf<Token>, words: &'static [&'static str]| known(&field, of, words);
        Ok(match name {
            "live" => Condition::Live(self.switch(&["true", "false"])?),
            "ai" => Condition::Ai(self.switch(&["on", "off"])?),
            "status" => Condition::Status(one_of(self.values()?, Status::WORDS)?.map(Status::from_word)),
            "priority" => {
                Condition::Priority(one_of(self.values()?, Priority::WORDS)?.map(Priority::from_word))
            }
            "channel" => Condition::Channel(self.values()?.read(|token| {
                let text = token.text().unwrap_or_default();
                let good = !text.starts_with(ChannelId::PREFIX) || ChannelId::parse(text).is_ok();
                good.then(|| text.to_owned()).ok_or_else(|| token.wrong("this is not a channel id"))
            })?),
            "group" => Condition::Group(self.values()?.read(named)?),
            "assignee" => Condition::Assignee(self.values()?.read(named)?),
            "label" => {
                Condition::Label(self.values()?.read(|t| Ok(t.text().unwrap_or_default().to_owned()))?)
            }
            other => match Clock::WORDS.iter().find(|(word, _)| *word == other) {
                Some((_, clock)) => self.since(*clock)?,
                None => return Err(unknown_field(&field)),
            },
        })
    }

    fn switch(&mut self, words: &'static [&'static str; 2]) -> Result<bool, Problem> {
        let sign = self.next();
        let negated = match sign.kind {
            Kind::Sign("=") => false,
            Kind::Sign("!=") => true,
            _ => return Err(sign.wrong(&format!("`=` is needed, not {}", sign.shown()))),
        };
        let value = self.next();
        match words.iter().position(|word| value.text() == Some(word)) {
            Some(index) => Ok((index == 0) != negated),
            None => Err(value.wrong(&format!(
                "`{}` or `{}` is needed, not {}",
                words[0],
                words[1],
                value.shown()
            ))),
        }
    }

    /// `= a`, `!= a`, `in (a, b)` or `not in (a, b)`.
    fn values(&mut self) -> Result<OneOf<Token>, Problem> {
        let sign = self.next();
        let word = |word: &str| Kind::Word(word.to_owned());
        let negated = match &sign.kind {
            Kind::Sign("=") => return Ok(OneOf { values: vec![self.value()?], negated: false }),
            Kind::Sign("!=") => return Ok(OneOf { values: vec![self.value()?], negated: true }),
            kind if *kind == word("in") => false,
            kind if *kind == word("not") && self.next().kind == word("in") => true,
            _ => {
                let message = format!("`=`, `!=`, `in` or `not in` is needed, not {}", sign.shown());
                return Err(sign.wrong(&message));
            }
        };
        let open = self.next();
        if open.kind != Kind::Sign("(") {
            return Err(open.wrong("a list in brackets is needed, e.g. `in (open, pending)`"));
        }
        let mut values = vec![self.value()?];
        loop {
            let next = self.next();
            match next.kind {
                Kind::Sign(")") => return Ok(OneOf { values, negated }),
                Kind::Sign(",") if values.len() < VALUES_MAX => values.push(self.value()?),
                Kind::Sign(",") => {
                    return Err(next.wrong(&format!("the list has more than {VALUES_MAX} values")));
                }
                _ => return Err(next.wrong(&format!("`,` or `)` is needed, not {}", next.shown()))),
            }
        }
    }

    fn value(&mut self) -> Result<Token, Problem> {
        let token = self.next();
        match token.text() {
            Some(text) if !text.trim().is_empty() => Ok(token),
            _ => Err(token.wrong(&format!("a value is needed, not {}", token.shown()))),
        }
    }

    fn since(&mut self, clock: Clock) -> Result<Condition, Problem> {
        let sign = self.next();
        let longer = match sign.kind {
            Kind::Sign(">") => true,
            Kind::Sign("<") => false,
            _ => return Err(sign.wrong(&format!("`>` or `<` is needed, not {}", sign.shown()))),
        };
        let token = self.next();
        let ms = token.text().and_then(duration::parse_ms).ok_or_else(|| {
            token
                .wrong(&format!("{} is not a duration", token.shown()))
                .with_hint("write e.g. `30m`, `2h` or `1d`")
        })?;
        Ok(Condition::Since { clock, longer, ms })
    }
}

fn unknown_field(field: &Token) -> Problem {
    let problem = field.wrong(&format!("{} is not a field of `where`", field.shown()));
    let known = || format!("known fields: {}", FIELDS.join(", "));
    let near = field.text().and_then(|name| nearest(name, FIELDS.iter().copied()));
    problem.with_hint(near.map_or_else(known, |near| format!("did you mean `{near}`?")))
}

/// Only these words may stand in the list.
fn known(
    field: &Token,
    of: OneOf<Token>,
    words: &'static [&'static str],
) -> Result<OneOf<&'static str>, Problem> {
    of.read(|token| {
        let text = token.text().unwrap_or_default();
        words.iter().find(|word| **word == text).copied().ok_or_else(|| {
            let known = format!("known words: {}", words.join(", "));
            let hint =
                nearest(text, words.iter().copied()).map_or(known, |near| format!("did you mean `{near}`?"));
            token
                .wrong(&format!("{} is not a {}", token.shown(), field.text().unwrap_or_default()))
                .with_hint(hint)
        })
    })
}

/// A name, or the word `none`.
fn named(token: &Token) -> Result<Option<String>, Problem> {
    Ok(match &token.kind {
        Kind::Word(word) if word == "none" => None,
        _ => token.text().map(str::to_owned),
    })
}

impl OneOf<Token> {
    fn read<T>(&self, read: impl Fn(&Token) -> Result<T, Problem>) -> Result<OneOf<T>, Problem> {
        let values = self.values.iter().map(read).collect::<Result<_, _>>()?;
        Ok(OneOf { values, negated: self.negated })
    }
}

impl OneOf<&'static str> {
    /// Words that were looked up before.
    fn map<T>(self, from_word: fn(&str) -> Option<T>) -> OneOf<T> {
        OneOf { values: self.values.into_iter().filter_map(from_word).collect(), negated: self.negated }
    }
}
