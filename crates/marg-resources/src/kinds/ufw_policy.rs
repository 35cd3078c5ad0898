//! `ufw_policy`: the firewall is on, refuses what no rule allows, and has no rule of marg's that
//! nobody wants any more.

use std::collections::BTreeSet;

use super::ufw::{Firewall, LOOK, RESTORE, SAVE, Tuple};
use crate::answer::Misread;
use crate::change::{Action, Change, Guarded, Verdict, Work};
use crate::kind::{Before, Kind};
use crate::kinds::UfwRule;

/// The firewall as a whole. Put it after the rules, so that SSH is open before it is switched on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UfwPolicy {
    keep: Vec<UfwRule>,
}

impl UfwPolicy {
    /// Incoming connections are refused unless one of `keep` (or a rule without marg's comment)
    /// allows them; outgoing ones are allowed. Rules with marg's comment that are not in `keep`
    /// are deleted.
    #[must_use]
    pub fn new(keep: Vec<UfwRule>) -> Self {
        Self { keep }
    }

    fn kept(&self, ipv6: bool) -> BTreeSet<Tuple> {
        self.keep.iter().filter_map(|rule| rule.tuples(ipv6)).flatten().collect()
    }
}

impl Kind for UfwPolicy {
    const NAME: &'static str = "ufw_policy";
    type Seen = Firewall;

    fn id(&self) -> String {
        "incoming".to_owned()
    }

    fn probe(_all: &[&Self]) -> String {
        LOOK.to_owned()
    }

    fn read(all: &[&Self], lines: &[String]) -> Result<Vec<Firewall>, Misread> {
        let firewall = Firewall::read(lines).map_err(Self::misread)?;
        Ok(vec![firewall; all.len()])
    }

    fn fresh(&self) -> Firewall {
        Firewall::default()
    }

    fn diff(&self, seen: &Firewall, _before: &Before) -> Verdict {
        let (mut words, mut commands) = (Vec::new(), Vec::new());
        if seen.incoming != "DROP" {
            words.push("deny incoming".to_owned());
            commands.push("ufw default deny incoming".to_owned());
        }
        if seen.outgoing != "ACCEPT" {
            words.push("allow outgoing".to_owned());
            commands.push("ufw default allow outgoing".to_owned());
        }
        let kept = self.kept(seen.ipv6);
        for surplus in seen.rules.difference(&kept) {
            words.push(format!("delete {} from {}", surplus.traffic, surplus.peer()));
            commands.push(format!("ufw --force delete allow {}", surplus.words()));
        }
        let loaded = seen.is_loaded()
            && kept.intersection(&seen.rules).all(|tuple| seen.has_loaded(tuple));
        if !seen.enabled {
            words.push("enable".to_owned());
            commands.push("ufw --force enable".to_owned());
        } else if !loaded {
            words.push("load the rules".to_owned());
            commands.push("ufw reload".to_owned());
        }
        if words.is_empty() {
            return Verdict::Converged;
        }
        Verdict::Will(Change {
            action: if seen.enabled { Action::Update } else { Action::Create },
            summary: words.join(", "),
            diff: None,
            work: Work::Guarded(Guarded {
                save: SAVE.to_owned(),
                script: commands.join("\n"),
                restore: RESTORE.to_owned(),
            }),
        })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::kind::Resource;
    use crate::testing::Host;

    const ON: [&str; 6] = [
        "IPV6=no",
        "ENABLED=yes",
        "DEFAULT_INPUT_POLICY=\"DROP\"",
        "DEFAULT_OUTPUT_POLICY=\"ACCEPT\"",
        "### tuple ### allow tcp 22 0.0.0.0/0 any 0.0.0.0/0 in comment=6d617267",
        "-P INPUT DROP",
    ];
    const LOADED: &str = "-A ufw-user-input -p tcp -m tcp --dport 22 -j ACCEPT";

    fn summary(lines: &[&str]) -> Option<String> {
        let lines: Vec<String> = lines.iter().map(ToString::to_string).collect();
        let policy = UfwPolicy::new(vec![UfwRule::allow(22)]);
        let seen = UfwPolicy::read(&[&policy], &lines).unwrap();
        match policy.diff(&seen[0], &Before::default()) {
            Verdict::Will(change) => Some(change.summary),
            _ => None,
        }
    }

    #[test]
    fn cases() {
        let on = |more: &[&'static str]| [ON.as_slice(), more].concat();
        let replaced = |at: usize, line: &'static str| {
            let mut lines = on(&[LOADED]);
            lines[at] = line;
            lines
        };
        let web = "### tuple ### allow tcp 80 0.0.0.0/0 any 10.1.0.0/16 in comment=6d617267";
        let theirs = "### tuple ### allow tcp 80 0.0.0.0/0 any 0.0.0.0/0 in";
        for (lines, expected) in [
            (on(&[LOADED]), None),
            (on(&[LOADED, theirs]), None),
            (on(&[LOADED, web]), Some("delete 80/tcp from 10.1.0.0/16")),
            (on(&[]), Some("load the rules")),
            (replaced(5, "-P INPUT ACCEPT"), Some("load the rules")),
            (replaced(1, "ENABLED=no"), Some("enable")),
            (replaced(2, "DEFAULT_INPUT_POLICY=\"ACCEPT\""), Some("deny incoming")),
            (vec![], Some("deny incoming, allow outgoing, enable")),
        ] {
            assert_eq!(summary(&lines).as_deref(), expected, "{lines:?}");
        }
    }

    #[test]
    fn junk_is_an_error() {
        let policy = UfwPolicy::new(Vec::new());
        for line in ["junk", "OTHER=yes"] {
            assert!(UfwPolicy::read(&[&policy], &[line.to_owned()]).is_err(), "{line}");
        }
    }

    fn wanted(rules: &[UfwRule]) -> Vec<Resource> {
        let policy = UfwPolicy::new(rules.to_vec()).into();
        rules.iter().cloned().map(Resource::from).chain([policy]).collect()
    }

    #[test]
    fn a_real_firewall_converges_and_an_unconfirmed_change_is_undone() {
        let Some(host) = Host::named("MARG_TRY_HOST") else { return };
        host.run("ufw --force reset >/dev/null 2>&1");
        let ssh = UfwRule::allow(22).from_any();
        let sql = UfwRule::allow(3306).from("10.1.2.3/16");
        host.converge(&wanted(&[ssh.clone(), sql.clone()]));
        assert_eq!(
            host.converge(&wanted(std::slice::from_ref(&ssh))),
            ["delete 3306/tcp from 10.1.0.0/16"]
        );
        host.run("iptables -F ufw-user-input");
        assert_eq!(host.converge(&wanted(std::slice::from_ref(&ssh))), ["load the rules"]);
        let unconfirmed = host.plan(&wanted(&[sql]));
        let output = host.apply_unconfirmed(&unconfirmed);
        assert!(output.contains("putting the old state back"), "{output}");
        let left = host.plan(&wanted(&[ssh]));
        assert!(left.is_empty(), "the old rules are back: {:?}\n{output}", left.changes);
        host.run("ufw --force reset >/dev/null 2>&1");
    }
}
