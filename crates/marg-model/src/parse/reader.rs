//! A reader of TOML that knows where everything stands and goes on after an error, so that an
//! operator sees all findings at once.

use std::cell::RefCell;
use std::ops::Range;

use toml::de::{DeTable, DeValue};

use super::node::Node;
use super::words;
use crate::diagnostic::{Diagnostic, Diagnostics};

/// Why a value is refused: what is wrong with it, and what to write instead.
#[derive(Debug)]
pub(crate) struct Refusal {
    /// What is wrong.
    pub message: String,
    /// What to do.
    pub help: String,
}

impl Refusal {
    /// Both texts.
    pub fn new(message: impl Into<String>, help: impl Into<String>) -> Refusal {
        Refusal {
            message: message.into(),
            help: help.into(),
        }
    }
}

/// What a text must be; the rules are in [`super::rules`].
pub(crate) type Rule = fn(&str) -> Result<(), Refusal>;

/// A file that is being read, and what was found wrong in it so far.
pub(crate) struct Reader<'a> {
    file: &'a str,
    text: &'a str,
    found: RefCell<Vec<Diagnostic>>,
}

impl<'a> Reader<'a> {
    /// Reads a whole document. `read` may fill in anything for values that were refused: its
    /// result counts only if nothing was.
    pub fn document<T>(
        file: &'a str,
        text: &'a str,
        read: impl FnOnce(&Table<'_>) -> T,
    ) -> Result<T, Diagnostics> {
        let (root, errors) = DeTable::parse_recoverable(text);
        if let Some(broken) = syntax_errors(file, text, &errors) {
            return Err(broken);
        }
        let reader = Reader {
            file,
            text,
            found: RefCell::default(),
        };
        let table = Table {
            reader: &reader,
            path: String::new(),
            place: 0..0,
            named: false,
            table: root.get_ref(),
            asked: RefCell::default(),
        };
        let value = read(&table);
        table.refuse_unknown_keys();
        drop(table);
        match Diagnostics::from_findings(reader.found.into_inner()) {
            Some(findings) => Err(findings),
            None => Ok(value),
        }
    }

    pub(super) fn refuse(&self, place: Range<usize>, path: &str, refusal: Refusal) {
        self.found.borrow_mut().push(Diagnostic::at(
            (self.file, self.text),
            place,
            path,
            refusal.message,
            refusal.help,
        ));
    }
}

/// Syntax errors as findings. One mistake often makes the parser stumble several times on the
/// same line, and only the first of these helps.
fn syntax_errors(file: &str, text: &str, errors: &[toml::de::Error]) -> Option<Diagnostics> {
    let finding = |error: &toml::de::Error| {
        let place = error.span().unwrap_or(text.len()..text.len());
        let help = match error.message() {
            "duplicate key" => "keep one of the two and remove the other",
            _ => "mend this line: texts stand in quotes, lists in [ ], tables begin with [name]",
        };
        Diagnostic::at((file, text), place, "", error.message(), help)
    };
    let mut findings: Vec<Diagnostic> = errors.iter().map(finding).collect();
    findings.sort_by_key(|finding| finding.span);
    findings.dedup_by_key(|finding| finding.span.map(|span| span.line));
    Diagnostics::from_findings(findings)
}

/// A table whose keys are known to its reader.
pub(crate) struct Table<'a> {
    pub(super) reader: &'a Reader<'a>,
    pub(super) path: String,
    pub(super) place: Range<usize>,
    pub(super) named: bool,
    pub(super) table: &'a DeTable<'a>,
    pub(super) asked: RefCell<Vec<&'static str>>,
}

impl<'a> Table<'a> {
    /// The value of a key, if it is there.
    pub fn optional(&self, key: &'static str) -> Option<Node<'a>> {
        self.asked.borrow_mut().push(key);
        let (spanned, value) = self.table.get_key_value(key)?;
        Some(Node {
            reader: self.reader,
            path: join(&self.path, key),
            key_place: spanned.span(),
            named: false,
            value,
        })
    }

    /// The value of a key that must be there; `example` shows how to write it.
    pub fn required(&self, key: &'static str, example: &str) -> Option<Node<'a>> {
        let node = self.optional(key);
        if node.is_none() {
            let refusal = Refusal::new(
                format!("`{key}` is missing"),
                format!("add a line such as {key} = {example}"),
            );
            let path = join(&self.path, key);
            self.reader.refuse(self.place.clone(), &path, refusal);
        }
        node
    }

    /// The table of a key that must be there; an empty place to point at stands in for it.
    pub fn required_table<T>(
        &self,
        key: &'static str,
        read: impl FnOnce(&Table<'a>) -> T,
    ) -> Option<T> {
        let node = self.optional(key);
        if node.is_none() {
            let refusal = Refusal::new(
                format!("the table [{}] is missing", join(&self.path, key)),
                "add it; the example inventories and phases show what it holds",
            );
            let path = join(&self.path, key);
            self.reader.refuse(self.place.clone(), &path, refusal);
        }
        node?.table(read)
    }

    /// The entries of an optional table whose keys the operator chooses.
    pub fn entries(&self, key: &'static str) -> Vec<(&'a str, Node<'a>)> {
        self.optional(key)
            .map(|node| node.entries())
            .unwrap_or_default()
    }

    pub(super) fn refuse_unknown_keys(&self) {
        let asked = self.asked.borrow();
        for (key, value) in self.table.iter() {
            let name: &str = key.get_ref();
            if asked.contains(&name) {
                continue;
            }
            let near = words::nearest(name, asked.iter().copied());
            let help = match (value.get_ref(), self.path.rsplit_once('.')) {
                (DeValue::Table(_), Some((parent, own))) if self.named && near.is_none() => {
                    let dotted = join(parent, &format!("{own}.{name}"));
                    format!("a name with dots stands in quotes: [{dotted}]")
                }
                _ => words::hint(name, "keys", asked.iter().copied()),
            };
            let refusal = Refusal::new(format!("unknown key `{}`", name.escape_debug()), help);
            self.reader
                .refuse(key.span(), &join(&self.path, name), refusal);
        }
    }
}

/// A path with one more key, in quotes where TOML wants them.
pub(crate) fn join(path: &str, key: &str) -> String {
    let bare = !key.is_empty()
        && key
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
    let dot = if path.is_empty() { "" } else { "." };
    match bare {
        true => format!("{path}{dot}{key}"),
        false => format!("{path}{dot}\"{}\"", key.escape_debug()),
    }
}
