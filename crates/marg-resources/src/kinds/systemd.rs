//! How systemd's units are read: one part of the probe asks about the units of all kinds at once,
//! because every call of `systemctl` costs more than all else in a probe.

use std::collections::BTreeMap;

use crate::quote::quote_all;

/// Name of that part.
pub(super) const SECTION: &str = "unit";

const KEYS: [&str; 4] = [
    "LoadState=",
    "ActiveState=",
    "UnitFileState=",
    "NeedDaemonReload=",
];

/// What systemd says of a unit, in its own words.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Unit {
    /// Whether it exists.
    pub(super) loaded: bool,
    /// `active`, `inactive`, `failed`, …
    pub(super) active: String,
    /// `enabled`, `disabled`, `static`, …
    pub(super) file: String,
    /// Whether its unit file changed since systemd read it.
    pub(super) stale: bool,
}

/// Asks about all of them. The answer has one block per unit, in order, also for units that do
/// not exist.
pub(super) fn probe(units: &[String]) -> String {
    let names = quote_all(units);
    format!(
        "for unit in {names}; do echo \"unit $unit\"; done\n\
         systemctl show -p LoadState -p ActiveState -p UnitFileState -p NeedDaemonReload -- {names}"
    )
}

/// Takes the answer about units out of the lines that a kind reads; the line that makes no sense
/// in case of an error.
pub(super) fn take(lines: &[String]) -> Result<(BTreeMap<String, Unit>, Vec<String>), String> {
    let (mut names, mut blocks, mut rest) = (Vec::new(), Vec::<Unit>::new(), Vec::new());
    let mut begins = true;
    for line in lines {
        if let Some(name) = line.strip_prefix("unit ") {
            names.push(name.to_owned());
        } else if line.is_empty() {
            begins = true;
        } else if KEYS.iter().any(|key| line.starts_with(key)) {
            if std::mem::take(&mut begins) {
                blocks.push(Unit::default());
            }
            let block = blocks.last_mut().ok_or(line)?;
            block.set(line).ok_or(line)?;
        } else {
            rest.push(line.clone());
        }
    }
    if names.len() != blocks.len() {
        return Err(format!("{} blocks for {} units", blocks.len(), names.len()));
    }
    Ok((names.into_iter().zip(blocks).collect(), rest))
}

impl Unit {
    fn set(&mut self, line: &str) -> Option<()> {
        let (key, value) = line.split_once('=')?;
        match key {
            "LoadState" => self.loaded = value != "not-found",
            "ActiveState" => value.clone_into(&mut self.active),
            "UnitFileState" => value.clone_into(&mut self.file),
            "NeedDaemonReload" => self.stale = value == "yes",
            _ => return None,
        }
        Some(())
    }
}
