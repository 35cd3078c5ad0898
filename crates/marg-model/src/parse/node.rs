//! One value of a TOML text: what it must be, and where it stands when it is not.

use std::ops::{Range, RangeInclusive};

use toml::Spanned;
use toml::de::DeValue;

use super::reader::{Reader, Refusal, Rule, Table, join};
use crate::guard;

/// A value, with its place and path.
#[derive(Clone)]
pub(crate) struct Node<'a> {
    pub(super) reader: &'a Reader<'a>,
    pub(super) path: String,
    pub(super) key_place: Range<usize>,
    /// Whether the operator chose the key, as in `[apps.NAME]`.
    pub(super) named: bool,
    pub(super) value: &'a Spanned<DeValue<'a>>,
}

impl<'a> Node<'a> {
    /// The path of keys.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// Refuses the value.
    pub fn refuse(&self, message: impl Into<String>, help: impl Into<String>) {
        let refusal = Refusal::new(message, help);
        self.reader.refuse(self.value.span(), &self.path, refusal);
    }

    /// Refuses the key.
    pub fn refuse_key(&self, message: impl Into<String>, help: impl Into<String>) {
        let refusal = Refusal::new(message, help);
        self.reader
            .refuse(self.key_place.clone(), &self.path, refusal);
    }

    /// Whether the key passes a rule; refuses it otherwise.
    pub fn key_passes(&self, key: &str, rule: Rule) -> bool {
        rule(key)
            .map_err(|refusal| self.refuse_key(refusal.message, refusal.help))
            .is_ok()
    }

    /// The raw value, for kinds that only one caller knows.
    pub fn raw(&self) -> &'a DeValue<'a> {
        self.value.get_ref()
    }

    /// The child of that key, or this node when there is none: a place to point at.
    pub fn child(&self, key: &str) -> Node<'a> {
        let found = self.raw().as_table().and_then(|t| t.get_key_value(key));
        match found {
            Some((spanned, value)) => Node {
                reader: self.reader,
                path: join(&self.path, key),
                key_place: spanned.span(),
                named: false,
                value,
            },
            None => self.clone(),
        }
    }

    /// A text without control characters that passes the rule, and is no secret.
    pub fn text(&self, rule: Rule) -> Option<String> {
        let text = self.any_text(&[])?;
        if let Some(shape) = guard::shape(text) {
            self.refuse(
                format!(
                    "a secret stands in the file, which is committed and shown: {}",
                    shape.word()
                ),
                "take it out; what a program needs it finds as a variable, written \
                 NAME = { secret = \"name\" } below [env]",
            );
            return None;
        }
        match rule(text) {
            Ok(()) => Some(text.to_owned()),
            Err(refusal) => {
                self.refuse(refusal.message, refusal.help);
                None
            }
        }
    }

    /// A text in which no control characters stand but those given.
    pub fn any_text(&self, allowed: &[char]) -> Option<&'a str> {
        let Some(text) = self.raw().as_str() else {
            self.refuse_kind("a text");
            return None;
        };
        let control = |c: &char| c.is_control() && !allowed.contains(c);
        if let Some(control) = text.chars().find(control) {
            let also = match allowed.is_empty() {
                true => "",
                false => "; only newlines and tabs are allowed",
            };
            self.refuse(
                format!("control character U+{:04X} in a text", u32::from(control)),
                format!("remove it{also}"),
            );
            return None;
        }
        Some(text)
    }

    /// A whole number in a range.
    pub fn number(&self, range: RangeInclusive<u64>) -> Option<u64> {
        let Some(integer) = self.raw().as_integer() else {
            self.refuse_kind("a whole number");
            return None;
        };
        let number = u64::from_str_radix(integer.as_str(), integer.radix()).ok();
        let inside = number.filter(|number| range.contains(number));
        if inside.is_none() {
            let help = match *range.end() {
                u64::MAX => format!("write {} or more", range.start()),
                end => format!("write a number from {} to {end}", range.start()),
            };
            self.refuse(format!("{integer} is out of range"), help);
        }
        inside
    }

    /// `true` or `false`.
    pub fn boolean(&self) -> Option<bool> {
        let value = self.raw().as_bool();
        if value.is_none() {
            self.refuse_kind("true or false");
        }
        value
    }

    /// The items of a list.
    pub fn items(&self) -> Vec<Node<'a>> {
        let Some(array) = self.raw().as_array() else {
            self.refuse_kind("a list");
            return Vec::new();
        };
        let item = |(index, value): (usize, &'a Spanned<DeValue<'a>>)| Node {
            reader: self.reader,
            path: format!("{}[{index}]", self.path),
            key_place: value.span(),
            named: false,
            value,
        };
        array.iter().enumerate().map(item).collect()
    }

    /// A list of texts that all pass the rule.
    pub fn texts(&self, rule: Rule) -> Vec<String> {
        let placed = self.placed_texts(rule).into_iter();
        placed.map(|(text, _)| text).collect()
    }

    /// A list of texts that all pass the rule, each with its place.
    pub fn placed_texts(&self, rule: Rule) -> Vec<(String, Node<'a>)> {
        let items = self.items().into_iter();
        items
            .filter_map(|item| Some((item.text(rule)?, item)))
            .collect()
    }

    /// Reads a table whose keys are all known to `read`; any other key is refused.
    pub fn table<T>(&self, read: impl FnOnce(&Table<'a>) -> T) -> Option<T> {
        let Some(table) = self.raw().as_table() else {
            self.refuse_kind("a table");
            return None;
        };
        let table = Table {
            reader: self.reader,
            path: self.path.clone(),
            place: self.key_place.clone(),
            named: self.named,
            table,
            asked: Default::default(),
        };
        let value = read(&table);
        table.refuse_unknown_keys();
        Some(value)
    }

    /// The entries of a table whose keys the operator chooses, in the order of the file.
    pub fn entries(&self) -> Vec<(&'a str, Node<'a>)> {
        let Some(table) = self.raw().as_table() else {
            self.refuse_kind("a table");
            return Vec::new();
        };
        let mut entries: Vec<_> = table
            .iter()
            .map(|(key, value)| {
                let node = Node {
                    reader: self.reader,
                    path: join(&self.path, key.get_ref()),
                    key_place: key.span(),
                    named: true,
                    value,
                };
                (&**key.get_ref(), node)
            })
            .collect();
        entries.sort_by_key(|(_, node)| node.key_place.start);
        entries
    }

    /// Refuses the value because it is of another kind than expected.
    pub fn refuse_kind(&self, expected: &str) {
        let help = match (self.raw(), expected) {
            (DeValue::String(text), "a whole number") if text.parse::<u64>().is_ok() => {
                format!("write {text} without quotes")
            }
            (DeValue::String(text), "true or false") if text.parse::<bool>().is_ok() => {
                format!("write {text} without quotes")
            }
            (DeValue::String(_), kind) if kind.starts_with("a list") => {
                "write it in brackets: [\"…\"]".to_owned()
            }
            (_, "a text") => "write it in quotes".to_owned(),
            _ => format!("write {expected}"),
        };
        let found = kind_name(self.raw());
        self.refuse(format!("expected {expected}, found {found}"), help);
    }
}

fn kind_name(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a text",
        DeValue::Integer(_) => "a whole number",
        DeValue::Float(_) => "a decimal number",
        DeValue::Boolean(_) => "true or false",
        DeValue::Datetime(_) => "a date",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    }
}
