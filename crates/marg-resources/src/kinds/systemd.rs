//! How systemd's units are read: one part of the probe asks about the units of all kinds at once,
//! because every call of `systemctl` costs more than all else in a probe.

use std::collections::BTreeMap;

use crate::quote::quote;

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
    /// `active`, `inactive`, `failed`, …; nothing for a unit that does not exist.
    pub(super) active: String,
    /// `enabled`, `disabled`, `static`, …
    pub(super) file: String,
    /// Whether its unit file changed since systemd read it.
    pub(super) stale: bool,
}

/// Where systemd looks for unit files. The generators put there what comes from elsewhere.
const FOLDERS: &str = "/etc/systemd/system.control /run/systemd/system.control \
    /run/systemd/transient /run/systemd/generator.early /etc/systemd/system \
    /etc/systemd/system.attached /run/systemd/system /run/systemd/system.attached \
    /run/systemd/generator /usr/local/lib/systemd/system /usr/lib/systemd/system \
    /run/systemd/generator.late";

/// Name of a unit's file: without a type of its own it is a service. `php8.4-fpm` has none.
pub(super) fn file_name(unit: &str) -> String {
    const TYPES: [&str; 6] = ["service", "timer", "socket", "target", "path", "mount"];
    match unit.rsplit_once('.') {
        Some((_, kind)) if TYPES.contains(&kind) => unit.to_owned(),
        _ => format!("{unit}.service"),
    }
}

/// Asks about all of them. The answer has one block per unit, in order. systemd is not asked about
/// a unit that has no file and that it never started: that costs it a search of the disk each
/// time, and the shell sees as much by itself.
pub(super) fn probe(units: &[String]) -> String {
    let asked = units.iter().map(|unit| {
        let (name, file) = (quote(unit), file_name(unit));
        // What an instance such as `a@b.service` is made from.
        let template = match (file.split_once('@'), file.rsplit_once('.')) {
            (Some((name, _)), Some((_, kind))) => format!("{name}@.{kind}"),
            _ => file.clone(),
        };
        let (file, template) = (quote(&file), quote(&template));
        format!(
            "if marg_unit {file} {template}; then set -- \"$@\" {name}; else echo gone {name}; fi\n"
        )
    });
    format!(
        "marg_unit() {{
  if [ -L \"/run/systemd/units/invocation:$1\" ]; then return 0; fi
  for folder in {FOLDERS}; do
    if [ -e \"$folder/$1\" ] || [ -L \"$folder/$1\" ] || [ -e \"$folder/$2\" ]; then return 0; fi
  done
  return 1
}}
set --
{}for unit do echo \"unit $unit\"; done
[ $# -eq 0 ] ||
  systemctl show -p LoadState -p ActiveState -p UnitFileState -p NeedDaemonReload -- \"$@\"",
        asked.collect::<String>()
    )
}

/// Takes the answer about units out of the lines that a kind reads; the line that makes no sense
/// in case of an error.
pub(super) fn take(lines: &[String]) -> Result<(BTreeMap<String, Unit>, Vec<String>), String> {
    let (mut names, mut blocks, mut rest) = (Vec::new(), Vec::<Unit>::new(), Vec::new());
    let mut found = BTreeMap::new();
    let mut begins = true;
    for line in lines {
        if let Some(name) = line.strip_prefix("gone ") {
            found.insert(name.to_owned(), Unit::default());
        } else if let Some(name) = line.strip_prefix("unit ") {
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
    found.extend(names.into_iter().zip(blocks));
    Ok((found, rest))
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

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_point_in_a_name_is_no_type() {
        for (unit, file) in [
            ("nginx", "nginx.service"),
            ("php8.4-fpm", "php8.4-fpm.service"),
            ("redis-server@cache", "redis-server@cache.service"),
            ("apt-daily.timer", "apt-daily.timer"),
        ] {
            assert_eq!(file_name(unit), file);
        }
    }

    #[test]
    fn units_without_a_file_are_not_asked_about() {
        let lines = [
            "gone haproxy",
            "unit nginx",
            "LoadState=loaded",
            "ActiveState=active",
        ];
        let lines = lines.map(str::to_owned);
        let (units, rest) = take(&lines).unwrap();
        assert!(rest.is_empty() && units["nginx"].loaded);
        assert_eq!(units["haproxy"], Unit::default());
    }

    #[test]
    fn a_unit_without_an_answer_is_an_error() {
        assert!(take(&["unit nginx".to_owned()]).is_err());
    }
}
