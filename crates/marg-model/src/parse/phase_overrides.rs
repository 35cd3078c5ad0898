//! What an inventory changes in one phase alone: `[phases.N.groups.NAME]`.

use std::collections::BTreeMap;

use super::node::Node;
use super::overrides::{group_count, group_size};
use super::reader::Table;
use super::words;
use crate::inventory::{GroupInPhase, PhaseOverride};
use crate::phase::Phase;

/// `[phases.N]` for every phase that there is.
pub(super) fn phases(table: &Table<'_>, phases: &[Phase]) -> BTreeMap<u8, PhaseOverride> {
    let read = |(number, node): (&str, Node<'_>)| {
        let Some(phase) = phase_of(number, phases) else {
            // No number is likelier than another: all are told, none is suggested.
            let known: Vec<String> = phases.iter().map(|one| one.number.to_string()).collect();
            node.refuse_key(
                format!("there is no phase `{}`", number.escape_debug()),
                format!("known phases: {}", known.join(", ")),
            );
            return None;
        };
        // A number has no dots that would have to stand in quotes.
        let node = Node {
            named: false,
            ..node
        };
        let groups = node.table(|table| groups(table, phase))?;
        Some((phase.number, PhaseOverride { groups }))
    };
    table
        .entries("phases")
        .into_iter()
        .filter_map(read)
        .collect()
}

/// The phase of a key. `03` is not `3`: two spellings of a number would be two tables for one
/// phase.
fn phase_of<'p>(number: &str, phases: &'p [Phase]) -> Option<&'p Phase> {
    phases
        .iter()
        .find(|phase| phase.number.to_string() == number)
}

fn groups(table: &Table<'_>, phase: &Phase) -> BTreeMap<String, GroupInPhase> {
    let read = |(name, node): (&str, Node<'_>)| {
        if !phase.groups.iter().any(|group| group.name == name) {
            let known = phase.groups.iter().map(|group| group.name.as_str());
            node.refuse_key(
                format!(
                    "phase {} has no group `{}`",
                    phase.number,
                    name.escape_debug()
                ),
                words::hint(name, "groups", known),
            );
            return None;
        }
        let read = node.table(|table| GroupInPhase {
            count: group_count(table),
            size: group_size(table),
        });
        read.map(|read| (name.to_owned(), read))
    };
    let entries = table.entries("groups").into_iter();
    entries.filter_map(read).collect()
}
