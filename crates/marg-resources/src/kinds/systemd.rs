//! How systemd's units are read: one part of the probe asks about the units of all kinds at once.

use std::collections::BTreeMap;

use crate::quote::quote;

/// Name of that part.
pub(super) const SECTION: &str = "unit";

/// Before what systemd answers about the units' state; in the order of the units.
const STATES: &str = "states";
/// Before what it answers about how they start; in the order of the units of which the shell could
/// not tell.
const FILES: &str = "files";
/// After all of it.
const END: &str = "states end";

/// What systemd says of a unit, in its own words.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Unit {
    /// Whether it exists.
    pub(super) loaded: bool,
    /// `active`, `inactive`, `failed`, …; nothing for a unit that does not exist.
    pub(super) active: String,
    /// `enabled`, `disabled`, `static`, …
    pub(super) file: String,
    /// Whether an earlier run put a unit file in place and did not come to let systemd read it.
    pub(super) stale: bool,
}

/// Where systemd looks for unit files. The generators put there what comes from elsewhere.
const FOLDERS: &str = "/etc/systemd/system.control /run/systemd/system.control \
    /run/systemd/transient /run/systemd/generator.early /etc/systemd/system \
    /etc/systemd/system.attached /run/systemd/system /run/systemd/system.attached \
    /run/systemd/generator /usr/local/lib/systemd/system /usr/lib/systemd/system \
    /run/systemd/generator.late";

/// Name of a unit's file: without a type of its own it is a service. `php8.4-fpm` has none.
fn file_name(unit: &str) -> String {
    const TYPES: [&str; 6] = ["service", "timer", "socket", "target", "path", "mount"];
    match unit.rsplit_once('.') {
        Some((_, kind)) if TYPES.contains(&kind) => unit.to_owned(),
        _ => format!("{unit}.service"),
    }
}

/// Asks about all of them. systemd is asked as little as possible, since each of its answers costs
/// more than all else in a probe: not about a unit that has no file and that it never started, and
/// not how a unit starts that a target wants, which the shell sees by itself.
pub(super) fn probe(units: &[String]) -> String {
    let calls = units.iter().enumerate().map(|(place, unit)| {
        let file = file_name(unit);
        // What an instance such as `a@b.service` is made from.
        let template = match (file.split_once('@'), file.rsplit_once('.')) {
            (Some((name, _)), Some((_, kind))) => format!("{name}@.{kind}"),
            _ => file.clone(),
        };
        let (file, template) = (quote(&file), quote(&template));
        format!("marg_unit {file} {template}; unit{place}=$?\n")
    });
    let told = units.iter().enumerate().map(|(place, unit)| {
        let name = quote(unit);
        format!(
            "case $unit{place} in 0) echo unit {name} enabled ;; 1) echo unit {name} ;; *) echo gone {name} ;; esac\n\
             [ $unit{place} -eq 2 ] || set -- \"$@\" {name}\n"
        )
    });
    let doubtful = units
        .iter()
        .enumerate()
        .map(|(place, unit)| format!("[ $unit{place} -ne 1 ] || set -- \"$@\" {}\n", quote(unit)));
    format!(
        "marg_unit() {{
  for link in /etc/systemd/system/*.wants/\"$1\" /etc/systemd/system/*.requires/\"$1\"; do
    if [ -L \"$link\" ]; then return 0; fi
  done
  if [ -L \"/run/systemd/units/invocation:$1\" ]; then return 1; fi
  for folder in {FOLDERS}; do
    if [ -e \"$folder/$1\" ] || [ -L \"$folder/$1\" ] || [ -e \"$folder/$2\" ]; then return 1; fi
  done
  return 2
}}
[ ! -e /var/lib/marg/owed/units.reload ] || echo stale
{}set --
{}echo {STATES}
[ $# -eq 0 ] || systemctl is-active -- \"$@\"
set --
{}echo {FILES}
[ $# -eq 0 ] || systemctl is-enabled -- \"$@\"
echo {END}",
        calls.collect::<String>(),
        told.collect::<String>(),
        doubtful.collect::<String>()
    )
}

/// Takes the answer about units out of the lines that a kind reads; the line that makes no sense
/// in case of an error.
pub(super) fn take(lines: &[String]) -> Result<(BTreeMap<String, Unit>, Vec<String>), String> {
    let (mut asked, mut rest) = (Vec::<(String, Unit)>::new(), Vec::new());
    let (mut states, mut files) = (Vec::new(), Vec::new());
    let mut found = BTreeMap::new();
    let (mut part, mut stale) = ("", false);
    for line in lines {
        match (part, line.as_str()) {
            (_, STATES | FILES | END) => part = line,
            (STATES, word) => states.push(word),
            (FILES, word) => files.push(word),
            (_, "stale") => stale = true,
            _ => match (line.strip_prefix("gone "), line.strip_prefix("unit ")) {
                (Some(name), _) => drop(found.insert(name.to_owned(), Unit::default())),
                (_, Some(words)) => asked.push(existing(words)),
                _ => rest.push(line.clone()),
            },
        }
    }
    let doubtful = asked
        .iter()
        .filter(|(_, unit)| unit.file.is_empty())
        .count();
    if (states.len(), files.len()) != (asked.len(), doubtful) {
        let answers = states.iter().chain(&files);
        let answers = answers.copied().collect::<Vec<_>>().join(", ");
        return Err(format!("systemd says `{answers}` of {} units", asked.len()));
    }
    let mut files = files.into_iter();
    for ((name, unit), state) in asked.into_iter().zip(states) {
        let file = match unit.file.as_str() {
            "" => files.next().unwrap_or_default().to_owned(),
            _ => unit.file,
        };
        let active = state.to_owned();
        found.insert(
            name,
            Unit {
                active,
                file,
                stale,
                ..unit
            },
        );
    }
    Ok((found, rest))
}

/// A unit that exists: its name, and behind it how it starts, if the shell could tell.
fn existing(words: &str) -> (String, Unit) {
    let (name, file) = words.split_once(' ').unwrap_or((words, ""));
    let unit = Unit {
        loaded: true,
        file: file.to_owned(),
        ..Unit::default()
    };
    (name.to_owned(), unit)
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

    fn taken(lines: &str) -> Result<(BTreeMap<String, Unit>, Vec<String>), String> {
        let lines: Vec<String> = lines.lines().map(str::to_owned).collect();
        take(&lines)
    }

    #[test]
    fn only_units_that_leave_a_doubt_are_asked_about() {
        let said = "gone haproxy\nunit nginx enabled\nunit own.timer\nother\n\
            states\nactive\ninactive\nfiles\ndisabled\nstates end\nmore";
        let (units, rest) = taken(said).unwrap();
        assert_eq!(rest, ["other", "more"]);
        assert_eq!(units["haproxy"], Unit::default());
        let unit = |active: &str, file: &str| Unit {
            loaded: true,
            active: active.to_owned(),
            file: file.to_owned(),
            stale: false,
        };
        assert_eq!(units["nginx"], unit("active", "enabled"));
        assert_eq!(units["own.timer"], unit("inactive", "disabled"));
        let (units, _) = taken(&format!("stale\n{said}")).unwrap();
        assert!(units["nginx"].stale && units["own.timer"].stale);
    }

    #[test]
    fn an_answer_too_few_or_too_many_is_an_error() {
        for said in [
            "unit nginx enabled",
            "unit nginx enabled\nstates\nfiles\nstates end",
            "unit nginx\nstates\nactive\nfiles\nstates end",
            "unit nginx enabled\nstates\nSystem has not been booted\nactive\nfiles\nstates end",
        ] {
            assert!(taken(said).is_err(), "{said}");
        }
    }
}
