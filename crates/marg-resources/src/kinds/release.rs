//! `release`: which release of an application is live. An application lies in
//! `ROOT/releases/ID/`, `ROOT/current` is a link to `releases/ID`, and `ROOT/shared/` outlives
//! releases.

use crate::answer::Misread;
use crate::change::{Action, Change, Verdict, Work};
use crate::kind::{Before, Kind};
use crate::quote::quote;
use crate::script::Shell;

/// The live release of an application.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Release {
    root: String,
    id: String,
}

/// What a host says of an application.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ReleaseSeen {
    /// The live release.
    pub live: Option<String>,
    /// All releases on the host, in the order of their names.
    pub releases: Vec<String>,
}

impl Release {
    /// `id` is the live release of the application in `root`.
    #[must_use]
    pub fn live(root: impl Into<String>, id: impl Into<String>) -> Self {
        Self { root: root.into(), id: id.into() }
    }

    /// Commands that make it live, by one rename. A deploy runs them too.
    pub fn switch(&self) -> Shell {
        let (root, id) = (quote(&self.root), quote(&self.id));
        Shell::new(format!(
            "cd {root}\n\
             if [ ! -d releases/{id} ]; then\n\
             echo 'release' {id} 'is not on this host; deploy it'\n\
             exit 1\nfi\n\
             ln -sfnT -- releases/{id} current.marg-new\n\
             mv -fT -- current.marg-new current\n\
             sync ."
        ))
    }

    fn change(&self, seen: &ReleaseSeen) -> Change {
        let summary = match &seen.live {
            Some(live) => format!("{live} → {}", self.id),
            None => format!("→ {}", self.id),
        };
        let action = if seen.live.is_some() { Action::Update } else { Action::Create };
        Change { action, summary, diff: None, work: Work::Script(self.switch()) }
    }
}

impl Kind for Release {
    const NAME: &'static str = "release";
    type Seen = ReleaseSeen;

    fn id(&self) -> String {
        self.root.clone()
    }

    fn probe(all: &[&Self]) -> String {
        let calls = all
            .iter()
            .enumerate()
            .map(|(place, release)| format!("marg_release {place} {}\n", quote(&release.root)));
        format!("{LOOK}\n{}", calls.collect::<String>())
    }

    fn read(all: &[&Self], lines: &[String]) -> Result<Vec<ReleaseSeen>, Misread> {
        let mut seen = vec![ReleaseSeen::default(); all.len()];
        let mut complete = 0;
        for line in lines {
            let misread = || Self::misread(line);
            if line == "end" {
                complete += 1;
                continue;
            }
            let (place, answer) = line.split_once(' ').ok_or_else(misread)?;
            let place: usize = place.parse().map_err(|_| misread())?;
            let seen = seen.get_mut(place).ok_or_else(misread)?;
            match answer.split_once(' ').ok_or_else(misread)? {
                ("live", target) => {
                    let id = target.strip_prefix("releases/").filter(|id| !id.contains('/'));
                    seen.live = Some(id.ok_or_else(misread)?.to_owned());
                }
                ("has", id) => seen.releases.push(id.to_owned()),
                _ => return Err(misread()),
            }
        }
        if complete != all.len() {
            return Err(Self::misread("the answer is cut off"));
        }
        Ok(seen)
    }

    fn fresh(&self) -> ReleaseSeen {
        ReleaseSeen::default()
    }

    fn diff(&self, seen: &ReleaseSeen, _before: &Before) -> Verdict {
        if !seen.releases.contains(&self.id) {
            let until = format!("release {} is on the host", self.id);
            return Verdict::Unknown { until, change: self.change(seen) };
        }
        if seen.live.as_ref() == Some(&self.id) {
            return Verdict::Converged;
        }
        Verdict::Will(self.change(seen))
    }
}

const LOOK: &str = r#"marg_release() {
  if [ -L "$2/current" ]; then echo "$1 live $(readlink "$2/current")"; fi
  for release in "$2"/releases/*/; do
    if [ -d "$release" ]; then release=${release%/}; echo "$1 has ${release##*/}"; fi
  done
  echo end
}"#;

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::kind::Resource;
    use crate::testing::Host;

    fn outcome(lines: &[&str]) -> Option<String> {
        let release = Release::live("/var/www/flow", "b");
        let mut lines: Vec<String> = lines.iter().map(ToString::to_string).collect();
        lines.push("end".to_owned());
        let seen = Release::read(&[&release], &lines).unwrap();
        match release.diff(&seen[0], &Before::default()) {
            Verdict::Converged | Verdict::Refused { .. } => None,
            Verdict::Will(change) | Verdict::May(change) => Some(change.summary),
            Verdict::Unknown { until, .. } => Some(until),
        }
    }

    #[test]
    fn cases() {
        for (lines, expected) in [
            (vec!["0 live releases/b", "0 has a", "0 has b"], None),
            (vec!["0 live releases/a", "0 has a", "0 has b"], Some("a → b")),
            (vec!["0 has b"], Some("→ b")),
            (vec!["0 live releases/a", "0 has a"], Some("release b is on the host")),
            (vec!["0 live releases/b"], Some("release b is on the host")),
            (vec![], Some("release b is on the host")),
        ] {
            assert_eq!(outcome(&lines).as_deref(), expected, "{lines:?}");
        }
    }

    #[test]
    fn junk_is_an_error() {
        let release = Release::live("/var/www/flow", "b");
        for lines in [vec![], vec!["junk", "end"], vec!["0 live /srv/x", "end"], vec!["1 has b", "end"]] {
            let lines: Vec<String> = lines.into_iter().map(str::to_owned).collect();
            assert!(Release::read(&[&release], &lines).is_err(), "{lines:?}");
        }
    }

    #[test]
    fn a_switch_converges_on_a_real_shell() {
        let folder = tempfile::tempdir().unwrap();
        let host = Host::local(folder.path());
        let root = folder.path().join("app's root");
        std::fs::create_dir_all(root.join("releases/20261121-1")).unwrap();
        std::fs::create_dir_all(root.join("releases/20261121-2")).unwrap();
        let live = |id: &str| [Resource::from(Release::live(root.display().to_string(), id))];
        assert_eq!(host.converge(&live("20261121-1")), ["→ 20261121-1"]);
        assert_eq!(host.converge(&live("20261121-2")), ["20261121-1 → 20261121-2"]);
        let target = std::fs::read_link(root.join("current")).unwrap();
        assert_eq!(target.to_str(), Some("releases/20261121-2"));
        let output = host.apply(&host.plan(&live("gone")));
        assert!(output.contains("is not on this host"), "{output}");
    }
}
