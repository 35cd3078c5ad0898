//! `sysctl`: a kernel setting, now and after the next boot.

use super::backed;
use crate::answer::Misread;
use crate::change::{Action, Change, Verdict, Work};
use crate::kind::{Before, Kind};
use crate::kinds::File;
use crate::kinds::file::FileSeen;
use crate::quote::quote;

/// A kernel setting. Where the kernel belongs to someone else (a container), only its file in
/// `/etc/sysctl.d` counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sysctl {
    key: String,
    value: String,
}

/// What a host says of a kernel setting.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SysctlSeen {
    file: Vec<FileSeen>,
    live: Live,
}

/// The value that holds now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Live {
    /// It can be changed.
    Value(String),
    /// It belongs to someone else.
    Foreign,
    /// The kernel does not know it.
    Unknown,
}

impl Sysctl {
    /// A key such as `vm.overcommit_memory` and its value.
    #[must_use]
    pub fn new(key: impl Into<String>, value: impl Into<String>) -> Self {
        Self { key: key.into(), value: value.into() }
    }

    /// As `sysctl` reads keys: with slashes, dots are part of a name.
    fn proc_path(&self) -> String {
        let path = if self.key.contains('/') { self.key.clone() } else { self.key.replace('.', "/") };
        format!("/proc/sys/{path}")
    }
}

impl Kind for Sysctl {
    const NAME: &'static str = "sysctl";
    type Seen = SysctlSeen;

    fn id(&self) -> String {
        self.key.clone()
    }

    fn files(&self) -> Vec<File> {
        let path = format!("/etc/sysctl.d/60-marg-{}.conf", self.key.replace('/', "-"));
        vec![File::new(path, format!("{} = {}\n", self.key, self.value))]
    }

    fn probe(all: &[&Self]) -> String {
        let calls = all.iter().enumerate().map(|(place, sysctl)| {
            format!("marg_sysctl {place} {}\n", quote(&sysctl.proc_path()))
        });
        format!("{LIVE}\n{}", calls.collect::<String>())
    }

    fn read(all: &[&Self], lines: &[String]) -> Result<Vec<SysctlSeen>, Misread> {
        backed::read(all, lines)?
            .into_iter()
            .map(|(file, own)| {
                let live = match own.as_slice() {
                    ["foreign"] => Live::Foreign,
                    ["unknown"] => Live::Unknown,
                    [line] => {
                        let value = line.strip_prefix("value ").ok_or_else(|| Self::misread(*line))?;
                        Live::Value(value.to_owned())
                    }
                    other => return Err(Self::misread(format!("live value: {other:?}"))),
                };
                Ok(SysctlSeen { file, live })
            })
            .collect()
    }

    fn fresh(&self) -> SysctlSeen {
        SysctlSeen { file: backed::missing(&self.files()), live: Live::Foreign }
    }

    fn diff(&self, seen: &SysctlSeen, _before: &Before) -> Verdict {
        let files = backed::diff(&self.files(), &seen.file, "");
        let mut reasons = files.reasons;
        let path = quote(&self.proc_path());
        let mut script = files.script;
        match &seen.live {
            Live::Foreign => {}
            Live::Unknown => {
                reasons.push("a key that this kernel does not know".to_owned());
                script = script.text(format!("echo 'this kernel does not know' {path}\nexit 1"));
            }
            Live::Value(old) if same(old, &self.value) => {}
            Live::Value(old) => reasons.push(format!("{old} → {}", self.value)),
        }
        if reasons.is_empty() {
            return Verdict::Converged;
        }
        let script = script.text(format!(
            "if [ -w {path} ]; then printf '%s\\n' {} > {path}; fi",
            quote(&self.value)
        ));
        Verdict::Will(Change {
            action: files.action.unwrap_or(Action::Update),
            summary: reasons.join(", "),
            diff: files.diff,
            work: Work::Script(script),
        })
    }
}

/// What root may not write belongs to someone else: the kernel of a container to its host.
const LIVE: &str = r#"marg_sysctl() {
  if [ -e "$2" ] && [ ! -w "$2" ]; then echo "own $1 foreign"
  elif [ -e "$2" ]; then IFS= read -r value < "$2" || :; echo "own $1 value $value"
  else echo "own $1 unknown"; fi
}"#;

/// The kernel separates several numbers by tabs.
fn same(a: &str, b: &str) -> bool {
    a.split_whitespace().eq(b.split_whitespace())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    const PATH: &str = "/etc/sysctl.d/60-marg-vm.overcommit_memory.conf";

    fn good() -> Vec<String> {
        vec![format!("s 644 root root f|{PATH}"), format!("{PATH}: OK")]
    }

    #[test]
    fn cases() {
        let overcommit = Sysctl::new("vm.overcommit_memory", "1");
        for (file, live, expected) in [
            (good(), "own 0 value 1", None),
            (good(), "own 0 foreign", None),
            (good(), "own 0 value 0", Some("0 → 1")),
            (good(), "own 0 unknown", Some("a key that this kernel does not know")),
            (vec![], "own 0 value 1", Some("create")),
            (vec![], "own 0 foreign", Some("create")),
        ] {
            let mut lines = file;
            lines.push(live.to_owned());
            let seen = Sysctl::read(&[&overcommit], &lines).unwrap();
            let summary = match overcommit.diff(&seen[0], &Before::default()) {
                Verdict::Will(change) => Some(change.summary),
                _ => None,
            };
            assert_eq!(summary.as_deref(), expected, "{lines:?}");
        }
    }

    #[test]
    fn keys_lead_to_the_kernels_files() {
        for (key, path) in [
            ("vm.swappiness", "/proc/sys/vm/swappiness"),
            ("net/ipv4/conf/eth0.1/forwarding", "/proc/sys/net/ipv4/conf/eth0.1/forwarding"),
        ] {
            assert_eq!(Sysctl::new(key, "1").proc_path(), path);
        }
        assert!(same("4096\t87380\t6291456", "4096 87380 6291456"));
    }

    #[test]
    fn junk_is_an_error() {
        let overcommit = Sysctl::new("vm.overcommit_memory", "1");
        for line in ["own 0 perhaps", "own 3 foreign", "junk"] {
            let mut lines = good();
            lines.push(line.to_owned());
            assert!(Sysctl::read(&[&overcommit], &lines).is_err(), "{line}");
        }
        assert!(Sysctl::read(&[&overcommit], &good()).is_err(), "no live value");
    }
}
