//! `swap`: a swap file that is in use and named in `/etc/fstab`.

use crate::answer::Misread;
use crate::change::{Action, Change, Verdict, Work};
use crate::kind::{Before, Kind};
use crate::quote::quote;

/// A swap file. A container cannot have one of its own: there nothing is done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Swap {
    path: String,
    mib: u64,
}

/// What a host says of a swap file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SwapSeen {
    /// The host has not been asked whether it can swap at all.
    NotAsked,
    /// It is a container.
    NotApplicable,
    /// It may swap.
    Host {
        /// Size of the file in bytes; 0 where there is none.
        bytes: u64,
        /// Whether it is in use.
        active: bool,
        /// Whether it will be in use after the next boot.
        at_boot: bool,
    },
}

impl Swap {
    /// A swap file of that many MiB, readable by root alone.
    #[must_use]
    pub fn new(path: impl Into<String>, mib: u64) -> Self {
        Self { path: path.into(), mib }
    }

    fn bytes(&self) -> u64 {
        self.mib * 1024 * 1024
    }

    fn change(&self, action: Action, summary: String) -> Change {
        let script = format!("{SET_UP}\nswap_set_up {} {}", quote(&self.path), self.mib);
        Change { action, summary, diff: None, work: Work::Script(script.into()) }
    }
}

impl Kind for Swap {
    const NAME: &'static str = "swap";
    const RANK: u8 = 5;
    type Seen = SwapSeen;

    fn id(&self) -> String {
        self.path.clone()
    }

    fn probe(all: &[&Self]) -> String {
        let calls = all.iter().map(|swap| format!("marg_swap {}\n", quote(&swap.path)));
        format!("{LOOK}\n{}", calls.collect::<String>())
    }

    fn read(all: &[&Self], lines: &[String]) -> Result<Vec<SwapSeen>, Misread> {
        if lines.len() != all.len() {
            return Err(Self::misread(format!("{} answers about {}", lines.len(), all.len())));
        }
        lines.iter().map(|line| seen(line).ok_or_else(|| Self::misread(line))).collect()
    }

    fn fresh(&self) -> SwapSeen {
        SwapSeen::NotAsked
    }

    fn diff(&self, seen: &SwapSeen, _before: &Before) -> Verdict {
        let SwapSeen::Host { bytes, active, at_boot } = seen else {
            if *seen == SwapSeen::NotApplicable {
                return Verdict::Converged;
            }
            let change = self.change(Action::Create, format!("create {} MiB", self.mib));
            let until = "the host says whether it is a container".to_owned();
            return Verdict::Unknown { until, change };
        };
        let mut words = Vec::new();
        match *bytes {
            0 => words.push(format!("create {} MiB", self.mib)),
            other if other != self.bytes() => {
                words.push(format!("{} → {} MiB", other / 1024 / 1024, self.mib));
            }
            _ if !active => words.push("use it".to_owned()),
            _ => {}
        }
        if !at_boot {
            words.push("use it at boot".to_owned());
        }
        if words.is_empty() {
            return Verdict::Converged;
        }
        let action = if *bytes == 0 { Action::Create } else { Action::Update };
        Verdict::Will(self.change(action, words.join(", ")))
    }
}

fn seen(line: &str) -> Option<SwapSeen> {
    if line == "container" {
        return Some(SwapSeen::NotApplicable);
    }
    let yes = |word: &str| match word {
        "yes" => Some(true),
        "no" => Some(false),
        _ => None,
    };
    match line.split(' ').collect::<Vec<_>>().as_slice() {
        [bytes, active, at_boot] => Some(SwapSeen::Host {
            bytes: bytes.parse().ok()?,
            active: yes(active)?,
            at_boot: yes(at_boot)?,
        }),
        _ => None,
    }
}

/// systemd leaves that file in containers.
const LOOK: &str = r#"marg_swap() {
  if [ -e /run/systemd/container ]; then echo container; return 0; fi
  size=0; active=no; boot=no
  if [ -f "$1" ]; then size=$(stat -c %s -- "$1"); fi
  while read -r file rest; do if [ "$file" = "$1" ]; then active=yes; fi; done < /proc/swaps
  if [ -e /etc/fstab ]; then while read -r file none type rest; do
    if [ "$file $type" = "$1 swap" ]; then boot=yes; fi
  done < /etc/fstab; fi
  echo "$size $active $boot"
}"#;

/// The file is complete before it has its name, so a run that was cut off begins anew.
const SET_UP: &str = r#"swap_set_up() {
  if [ -e /run/systemd/container ]; then echo 'a container has no swap of its own'; return 0; fi
  if [ ! -f "$1" ] || [ "$(stat -c %s -- "$1")" -ne $(($2 * 1048576)) ]; then
    if grep -q "^$1 " /proc/swaps; then swapoff "$1"; fi
    rm -f -- "$1" "$1.marg-new"
    ( umask 077; : > "$1.marg-new" )
    fallocate -l "$2MiB" "$1.marg-new" || dd if=/dev/zero of="$1.marg-new" bs=1M count="$2" status=none
    mkswap "$1.marg-new"
    mv -fT -- "$1.marg-new" "$1"
  fi
  if ! grep -q "^$1 " /proc/swaps; then swapon "$1"; fi
  if ! grep -qs "^$1[[:space:]]" /etc/fstab; then printf '%s none swap sw 0 0\n' "$1" >> /etc/fstab; fi
}"#;

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn cases() {
        let swap = Swap::new("/swapfile", 1024);
        for (line, expected) in [
            ("1073741824 yes yes", None),
            ("container", None),
            ("0 no no", Some("create 1024 MiB, use it at boot")),
            ("536870912 yes yes", Some("512 → 1024 MiB")),
            ("1073741824 no yes", Some("use it")),
            ("1073741824 yes no", Some("use it at boot")),
        ] {
            let seen = Swap::read(&[&swap], &[line.to_owned()]).unwrap();
            let summary = match swap.diff(&seen[0], &Before::default()) {
                Verdict::Will(change) => Some(change.summary),
                _ => None,
            };
            assert_eq!(summary.as_deref(), expected, "{line}");
        }
        let fresh = swap.diff(&swap.fresh(), &Before::default());
        assert!(matches!(fresh, Verdict::Unknown { .. }));
    }

    #[test]
    fn junk_is_an_error() {
        let swap = Swap::new("/swapfile", 1024);
        for lines in [vec!["x yes yes"], vec!["1 yes"], vec!["1 yes maybe"], vec![], vec!["0 no no"; 2]] {
            let lines: Vec<String> = lines.into_iter().map(str::to_owned).collect();
            assert!(Swap::read(&[&swap], &lines).is_err(), "{lines:?}");
        }
    }
}
