//! What is wrong in a file, where, and what to do about it: several findings at once.

use std::fmt;
use std::ops::Range;

use annotate_snippets::{AnnotationKind, Level, Origin, Renderer, Snippet};

use crate::guard;

/// One finding in a file that an operator wrote.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// Name of the file as its reader gave it.
    pub file: String,
    /// Where it is; `None` when it concerns the file as a whole.
    pub span: Option<Span>,
    /// Path of keys, for example `apps."flow.marg".queue`; empty for a syntax error.
    pub path: String,
    /// What is wrong, without the file and the path.
    pub message: String,
    /// What to do, often the nearest valid word.
    pub help: String,
    excerpt: Option<Excerpt>,
}

/// A place in a file, as editors count.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Span {
    /// From 1.
    pub line: usize,
    /// In characters, from 1.
    pub column: usize,
}

/// The line of a finding and the bytes in it that are underlined.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Excerpt {
    line: String,
    marked: Range<usize>,
}

impl Diagnostic {
    /// A finding at a range of bytes of the file's text.
    pub fn at(
        (file, text): (&str, &str),
        range: Range<usize>,
        path: impl Into<String>,
        message: impl Into<String>,
        help: impl Into<String>,
    ) -> Diagnostic {
        let start = char_start(text, range.start);
        let line_start = text[..start].rfind('\n').map_or(0, |newline| newline + 1);
        let line = text[line_start..].lines().next().unwrap_or_default();
        let end = char_start(text, range.end)
            .clamp(start, line_start + line.len().max(start - line_start));
        Diagnostic {
            file: file.to_owned(),
            span: Some(Span {
                line: text[..line_start].matches('\n').count() + 1,
                column: text[line_start..start].chars().count() + 1,
            }),
            path: path.into(),
            message: message.into(),
            help: help.into(),
            excerpt: Some(Excerpt::new(line, start - line_start..end - line_start)),
        }
    }

    /// A finding that concerns the file as a whole.
    pub fn in_file(
        file: &str,
        path: impl Into<String>,
        message: impl Into<String>,
        help: impl Into<String>,
    ) -> Diagnostic {
        Diagnostic {
            file: file.to_owned(),
            span: None,
            path: path.into(),
            message: message.into(),
            help: help.into(),
            excerpt: None,
        }
    }

    fn render(&self, renderer: &Renderer) -> String {
        let title = Level::ERROR.primary_title(&self.message);
        let help = Level::HELP.message(&self.help);
        let report = match (&self.excerpt, self.span) {
            (Some(excerpt), Some(span)) => title.element(
                Snippet::source(&excerpt.line)
                    .line_start(span.line)
                    .path(&self.file)
                    .annotation(
                        AnnotationKind::Primary
                            .span(excerpt.marked.clone())
                            .label(&self.path),
                    ),
            ),
            _ => title
                .element(Origin::path(&self.file))
                .element(Level::NOTE.message(format!("in {}", self.path))),
        };
        renderer.render(&[report.element(help)])
    }
}

impl Excerpt {
    /// The value of something like a password is blanked out, because messages end in logs and
    /// in tickets.
    fn new(line: &str, marked: Range<usize>) -> Excerpt {
        let Some(value) = secret_value(line) else {
            return Excerpt {
                line: line.to_owned(),
                marked,
            };
        };
        let line = format!("{}•••", &line[..value]);
        let start = marked.start.min(value);
        let end = if marked.end > value {
            line.len()
        } else {
            marked.end
        };
        Excerpt {
            marked: start..end,
            line,
        }
    }
}

/// Where the first value begins in a line that may be a secret, by the name before its `=` or by
/// what it looks like. A table there only names a secret, as in `{ secret = "mail_password" }`.
fn secret_value(line: &str) -> Option<usize> {
    if guard::shape(line).is_some() {
        let value = line.find('=').map_or(0, |at| at + 1);
        let spaces = line[value..].len() - line[value..].trim_start().len();
        return Some(value + spaces);
    }
    let word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    line.match_indices('=').find_map(|(at, _)| {
        let before = line[..at].trim_end().trim_end_matches(['"', '\'']);
        let name = before.rsplit(|c| !word(c)).next().unwrap_or(before);
        let value = line[at + 1..].trim_start();
        // `secret` is a key of marg's own, behind which a name stands.
        let secret = name != "secret" && guard::is_secret_name(name) && !value.starts_with('{');
        secret.then(|| line.len() - value.len())
    })
}

/// The nearest byte at or before a place, and in the text, at which a character begins.
pub(crate) fn char_start(text: &str, place: usize) -> usize {
    let mut places = (0..=place.min(text.len())).rev();
    places.find(|at| text.is_char_boundary(*at)).unwrap_or(0)
}

/// `file:line:column: path: message (help)`, on one line.
impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:", self.file)?;
        if let Some(span) = self.span {
            write!(f, "{}:{}:", span.line, span.column)?;
        }
        if !self.path.is_empty() {
            write!(f, " {}:", self.path)?;
        }
        write!(f, " {} ({})", self.message, self.help)
    }
}

/// Everything that is wrong with a file, in the order of its lines. Never empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostics(Vec<Diagnostic>);

impl Diagnostics {
    /// The findings as an error, sorted by place; `None` when there are none.
    pub fn from_findings(findings: Vec<Diagnostic>) -> Option<Diagnostics> {
        (!findings.is_empty()).then(|| Diagnostics::from_nonempty(findings))
    }

    /// For callers that know that there are findings.
    pub(crate) fn from_nonempty(mut findings: Vec<Diagnostic>) -> Diagnostics {
        findings.sort_by_key(|finding| finding.span);
        Diagnostics(findings)
    }

    /// The findings in the order of the file.
    pub fn iter(&self) -> impl Iterator<Item = &Diagnostic> {
        self.0.iter()
    }

    /// For people: every finding with its line of the file, the place underlined, and what to
    /// do; `color` adds ANSI colours.
    pub fn render(&self, color: bool) -> String {
        let renderer = match color {
            true => Renderer::styled(),
            false => Renderer::plain(),
        };
        let findings: Vec<String> = self.iter().map(|one| one.render(&renderer)).collect();
        findings.join("\n\n")
    }
}

/// One finding per line.
impl fmt::Display for Diagnostics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, finding) in self.0.iter().enumerate() {
            if index > 0 {
                writeln!(f)?;
            }
            finding.fmt(f)?;
        }
        Ok(())
    }
}

impl std::error::Error for Diagnostics {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_counted_in_lines_and_characters() {
        let text = "a = 1\nü = \"é\" # ß\n";
        for (needle, line, column) in [("a", 1, 1), ("\"é\"", 2, 5), ("# ß", 2, 9)] {
            let start = text.find(needle).unwrap_or_default();
            let found = Diagnostic::at(("f", text), start..start + needle.len(), "p", "m", "h");
            assert_eq!(found.span, Some(Span { line, column }), "{needle}");
        }
    }

    #[test]
    fn a_range_beyond_its_line_or_the_file_is_cut() {
        let text = "a = [\n1,\n]";
        for range in [4..9, 9..400, 10..10, 5..5, 99..100] {
            let findings = vec![Diagnostic::at(("f", text), range, "a", "m", "h")];
            let rendered = Diagnostics::from_findings(findings).map(|all| all.render(false));
            assert!(rendered.is_some_and(|text| text.contains("error: m")));
        }
    }

    #[test]
    fn a_value_like_a_password_is_never_quoted() {
        for (line, quoted) in [
            ("DB_PASSWORD = \"canary\"", false),
            ("DB_PASSWORD=\"canary", false),
            ("\"DB_PASSWORD\" = \"canary secret\"", false),
            ("env.APP_KEY = \"canary\"", false),
            (
                "env = { A = 1, AWS_SECRET_ACCESS_KEY = \"canary\", B = 2 }",
                false,
            ),
            ("STRIPE_SECRET_KEY = \"canary\"", false),
            ("DATABASE_URL = \"mysql://shop:canary@db.test/shop\"", false),
            (
                "A = 1, DATABASE_URL = \"mysql://shop:canary@db.test/shop\"",
                false,
            ),
            ("\"mysql://shop:canary@db.test/shop\",", false),
            ("DB_PASSWORD = { secret = \"canary\" }", true),
            ("REVERB_APP_KEY = \"canary\"", true),
            ("MAIL_HOST = \"canary\"", true),
        ] {
            for start in 0..=line.len() {
                for range in [start..start, start..line.len(), start..line.len() + 9] {
                    let findings = vec![Diagnostic::at(("f", line), range, "a", "m", "h")];
                    let all = Diagnostics::from_nonempty(findings);
                    assert_eq!(all.render(false).contains("canary"), quoted, "{line}");
                    assert_eq!(format!("{all:?}").contains("canary"), quoted, "{line}");
                }
            }
        }
    }
}
