//! From the text of inventories and phases to checked types. Every error knows its line, and
//! all errors of a file are reported at once.

mod app;
mod inventory;
mod networks;
mod node;
mod overrides;
mod phase;
mod phase_overrides;
mod reader;
mod reserved;
mod rules;
#[cfg(test)]
mod tests;
mod words;

pub use inventory::inventory;
pub use phase::phase;

pub use overrides::MAX_COUNT;
pub use words::hint;

pub(crate) use reader::join;

use std::ops::Range;

use node::Node;
use toml::de::{DeTable, DeValue};

/// Where a path of keys stands in a TOML text: the innermost key of it that exists, in bytes.
pub(crate) fn locate<S: AsRef<str>>(text: &str, keys: &[S]) -> Option<Range<usize>> {
    let root = DeTable::parse(text).ok()?;
    let mut table = root.get_ref();
    let mut place = None;
    for key in keys {
        let Some((key, value)) = table.get_key_value(key.as_ref()) else {
            break;
        };
        place = Some(key.span());
        match value.get_ref() {
            DeValue::Table(inner) => table = inner,
            _ => break,
        }
    }
    place
}

/// Refuses every value that stood before; `what` names the kind.
fn refuse_repeated<'a>(what: &str, values: impl IntoIterator<Item = (String, Node<'a>)>) {
    let mut seen: Vec<(String, Node<'a>)> = Vec::new();
    for (value, node) in values {
        match seen.iter().find(|(earlier, _)| *earlier == value) {
            Some((_, first)) => node.refuse(
                format!("the {what} `{value}` is used twice"),
                format!("choose another one; {} has it already", first.path()),
            ),
            None => seen.push((value, node)),
        }
    }
}
