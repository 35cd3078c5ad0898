//! `service`: a systemd unit that runs and starts at boot, or does neither; and what it owes.

use super::systemd;
use crate::answer::Misread;
use crate::change::{Action, Change, OwedAction, Verdict, Work};
use crate::kind::{Before, Kind};
use crate::quote::quote;

/// A systemd unit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Service {
    unit: String,
    running: bool,
}

/// What systemd and the ledger of owed restarts say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ServiceSeen {
    /// Whether the unit exists.
    pub loaded: bool,
    /// Whether it runs.
    pub active: bool,
    /// Whether it starts at boot (or needs no enabling).
    pub enabled: bool,
    /// Whether an earlier run put a unit file in place and did not come to let systemd read it.
    pub stale: bool,
    /// What an earlier run left undone.
    pub owed: Option<OwedAction>,
}

impl Service {
    /// The unit runs and starts at boot. Name without `.service`; timers with `.timer`.
    pub fn running(unit: impl Into<String>) -> Self {
        Self { unit: unit.into(), running: true }
    }

    /// The unit neither runs nor starts at boot.
    pub fn stopped(unit: impl Into<String>) -> Self {
        Self { unit: unit.into(), running: false }
    }

    /// Whether it is wanted to run.
    pub fn runs(&self) -> bool {
        self.running
    }

    fn start(&self, seen: &ServiceSeen, before: &Before) -> Verdict {
        let owed = seen.owed.max(before.owed.get(&self.unit).copied());
        let unit = quote(&self.unit);
        let (mut words, mut commands) = (Vec::new(), Vec::new());
        // A file put in place by this run is owed, too: what starts is always what was written.
        if seen.stale || !seen.active {
            commands.push("read_units".to_owned());
        }
        if !seen.enabled {
            words.push("enable");
            // Packages enable their units themselves, and to enable one twice costs as much as once.
            commands.push(match before.brings_files() {
                true => format!(
                    "case $(systemctl is-enabled {unit} 2>/dev/null) in\n\
                     enabled|static|alias|indirect|generated) ;;\n\
                     *) systemctl -q enable {unit} ;;\nesac"
                ),
                false => format!("systemctl -q enable {unit}"),
            });
        }
        if !seen.active {
            words.push("start");
            // A unit that gave up restarting would refuse to start.
            commands.push(format!("systemctl reset-failed {unit} 2>/dev/null || :"));
            commands.push(format!("systemctl start {unit}\npaid {unit}"));
        } else if let Some(action) = owed {
            words.push(action.word());
            commands.push(format!("settle {unit}"));
        } else if seen.stale {
            words.push("read its unit file again");
        }
        let since = if seen.owed.is_some() { " (owed by an earlier run)" } else { "" };
        let change = |summary: String, commands: Vec<String>| Change {
            action: Action::Run,
            summary,
            diff: None,
            work: Work::Script(commands.join("\n").into()),
        };
        match (words.is_empty(), before.may_owe.get(&self.unit)) {
            (false, _) => Verdict::Will(change(format!("{}{since}", words.join(", ")), commands)),
            (true, Some(action)) => {
                commands.push(format!("settle {unit}"));
                let summary = format!("{}, if something before changes", action.word());
                Verdict::May(change(summary, commands))
            }
            (true, None) => Verdict::Converged,
        }
    }

    fn stop(&self, seen: &ServiceSeen) -> Verdict {
        if !seen.loaded || !(seen.active || seen.enabled) {
            return Verdict::Converged;
        }
        let unit = quote(&self.unit);
        Verdict::Will(Change {
            action: Action::Run,
            summary: "stop, disable".to_owned(),
            diff: None,
            work: Work::Script(format!("systemctl -q disable --now {unit}\npaid {unit}").into()),
        })
    }
}

impl Kind for Service {
    const NAME: &'static str = "service";
    type Seen = ServiceSeen;

    fn id(&self) -> String {
        self.unit.clone()
    }

    fn units(&self) -> Vec<String> {
        vec![self.unit.clone()]
    }

    fn probe(_all: &[&Self]) -> String {
        "for owed in /var/lib/marg/owed/*; do [ -e \"$owed\" ] && echo \"owed ${owed##*/}\"; done; :"
            .to_owned()
    }

    fn read(all: &[&Self], lines: &[String]) -> Result<Vec<ServiceSeen>, Misread> {
        let (units, rest) = systemd::take(lines).map_err(Self::misread)?;
        let owed = rest
            .iter()
            .map(|line| line.strip_prefix("owed ").ok_or_else(|| Self::misread(line)))
            .collect::<Result<Vec<&str>, Misread>>()?;
        let owes = |unit: &str, action: &OwedAction| {
            owed.contains(&format!("{unit}.{}", action.word()).as_str())
        };
        all.iter()
            .map(|service| {
                let missing = || Self::misread(format!("no answer about {}", service.unit));
                let unit = units.get(&service.unit).ok_or_else(missing)?;
                Ok(ServiceSeen {
                    loaded: unit.loaded,
                    active: matches!(unit.active.as_str(), "active" | "reloading"),
                    enabled: matches!(
                        unit.file.as_str(),
                        "enabled" | "static" | "alias" | "indirect" | "generated"
                    ),
                    stale: unit.stale,
                    owed: [OwedAction::Restart, OwedAction::Reload]
                        .into_iter()
                        .find(|action| owes(&service.unit, action)),
                })
            })
            .collect()
    }

    fn fresh(&self) -> ServiceSeen {
        ServiceSeen::default()
    }

    fn diff(&self, seen: &ServiceSeen, before: &Before) -> Verdict {
        if self.running { self.start(seen, before) } else { self.stop(seen) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn summary(lines: &str, owed: Option<OwedAction>) -> Option<String> {
        let service = Service::running("nginx");
        let lines: Vec<String> = lines.lines().map(str::to_owned).collect();
        let seen = Service::read(&[&service], &lines).expect("readable");
        let mut before = Before::default();
        before.owed.extend(owed.map(|action| ("nginx".to_owned(), action)));
        match service.diff(&seen[0], &before) {
            Verdict::Will(change) => Some(change.summary),
            _ => None,
        }
    }

    const UP: &str = "unit nginx enabled\nstates\nactive\nfiles\nstates end";

    #[test]
    fn cases() {
        let gone = "gone nginx\nstates\nfiles\nstates end";
        let owing = format!("owed nginx.reload\n{UP}");
        let both = format!("owed nginx.reload\nowed nginx.restart\n{UP}");
        let other = format!("owed redis.restart\n{UP}");
        for (lines, owed, expected) in [
            (UP, None, None),
            (UP, Some(OwedAction::Reload), Some("reload")),
            (UP, Some(OwedAction::Restart), Some("restart")),
            (gone, None, Some("enable, start")),
            (owing.as_str(), None, Some("reload (owed by an earlier run)")),
            (both.as_str(), Some(OwedAction::Reload), Some("restart (owed by an earlier run)")),
            (other.as_str(), None, None),
        ] {
            assert_eq!(summary(lines, owed).as_deref(), expected, "{lines}");
        }
    }

    #[test]
    fn what_starts_is_what_was_written() {
        let service = Service::running("nginx");
        let script = |lines: &str| {
            let lines: Vec<String> = lines.lines().map(str::to_owned).collect();
            let seen = Service::read(&[&service], &lines).expect("readable");
            match service.diff(&seen[0], &Before::default()) {
                Verdict::Will(Change { work: Work::Script(script), .. }) => script.reveal().expose().to_owned(),
                other => panic!("{other:?}"),
            }
        };
        let stopped = script(&UP.replace("\nactive", "\ninactive"));
        assert!(stopped.find("read_units") < stopped.find("systemctl start"), "{stopped}");
        assert!(stopped.contains("read_units"), "{stopped}");
        assert_eq!(script(&format!("stale\n{UP}")).trim(), "read_units");
    }

    #[test]
    fn a_missing_block_is_an_error() {
        let (a, b) = (Service::running("a"), Service::running("b"));
        let lines: Vec<String> = UP.lines().map(str::to_owned).collect();
        assert!(Service::read(&[&a, &b], &lines).is_err());
        let nginx = Service::running("nginx");
        assert!(Service::read(&[&nginx], &lines).is_ok());
        for lines in [&lines[..1], &lines[1..]] {
            assert!(Service::read(&[&nginx], lines).is_err(), "{lines:?}");
        }
        let junk = [lines, vec!["junk".to_owned()]].concat();
        assert!(Service::read(&[&nginx], &junk).is_err());
    }
}
