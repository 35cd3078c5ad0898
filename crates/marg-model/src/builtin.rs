//! The four phases that are part of the program. A folder `phases/` beside an inventory may
//! replace them; whoever reads files looks there first.

use crate::diagnostic::Diagnostics;
use crate::parse;
use crate::phase::Phase;
use crate::schema::RoleSchema;

/// File name and text of every phase, in order.
pub const PHASES: [(&str, &str); 4] = [
    (
        "phases/phase-1.toml",
        include_str!("../../../phases/phase-1.toml"),
    ),
    (
        "phases/phase-2.toml",
        include_str!("../../../phases/phase-2.toml"),
    ),
    (
        "phases/phase-3.toml",
        include_str!("../../../phases/phase-3.toml"),
    ),
    (
        "phases/phase-4.toml",
        include_str!("../../../phases/phase-4.toml"),
    ),
];

/// File name and text of phase 1 to 4; `None` for any other number.
pub fn phase_text(number: u8) -> Option<(&'static str, &'static str)> {
    let index = usize::from(number).checked_sub(1)?;
    PHASES.get(index).copied()
}

/// All four phases, parsed: what [`parse::inventory`] checks groups and hosts against.
///
/// # Errors
/// When a phase names a role that is not among `schemas`.
pub fn phases(schemas: &[RoleSchema]) -> Result<Vec<Phase>, Diagnostics> {
    PHASES
        .iter()
        .map(|(file, text)| parse::phase(text, file, schemas))
        .collect()
}
