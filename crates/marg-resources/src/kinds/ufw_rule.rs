//! `ufw_rule`: a port that the host's firewall opens to someone.

use super::ufw::{Firewall, LOOK, RESTORE, SAVE, Traffic, Tuple, everyone, network, spelled};
use crate::answer::Misread;
use crate::change::{Action, Change, Guarded, Verdict, Work};
use crate::kind::{Before, Kind};
use crate::quote::quote;

/// An open port, or VRRP let in. The rule carries the comment `marg`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UfwRule {
    traffic: Traffic,
    from: Option<String>,
}

impl UfwRule {
    /// The TCP port is open to everyone, unless [`UfwRule::from`] says otherwise.
    #[must_use]
    pub fn allow(port: u16) -> Self {
        Self { traffic: Traffic::Tcp(port), from: None }
    }

    /// The same for a UDP port.
    #[must_use]
    pub fn allow_udp(port: u16) -> Self {
        Self { traffic: Traffic::Udp(port), from: None }
    }

    /// VRRP is let in, by which several hosts agree which of them is master.
    #[must_use]
    pub fn allow_vrrp() -> Self {
        Self { traffic: Traffic::Vrrp, from: None }
    }

    /// Only this address or network (`10.1.0.0/16`) may connect. A text that is neither stands
    /// for an address that is not known yet.
    #[must_use]
    pub fn from(mut self, peer: impl Into<String>) -> Self {
        self.from = Some(peer.into());
        self
    }

    /// Everyone may connect.
    #[must_use]
    pub fn from_any(mut self) -> Self {
        self.from = None;
        self
    }

    /// ufw's rules that make it; `None` if the peer's address is not known yet.
    pub(super) fn tuples(&self, ipv6: bool) -> Option<Vec<Tuple>> {
        let networks = match &self.from {
            Some(peer) => vec![network(peer)?],
            None => everyone().into_iter().filter(|n| ipv6 && self.traffic != Traffic::Vrrp || n.addr().is_ipv4()).collect(),
        };
        let tuple = |from| Tuple { traffic: self.traffic, from };
        Some(networks.into_iter().map(tuple).collect())
    }

    fn peer(&self) -> String {
        match &self.from {
            None => "any".to_owned(),
            Some(text) => {
                let tuples = self.tuples(true).unwrap_or_default();
                tuples.first().map_or_else(|| text.clone(), Tuple::peer)
            }
        }
    }

    fn change(&self) -> Change {
        let rule = spelled(self.traffic, &quote(&self.peer()).to_string());
        let script = format!("ufw allow {rule} comment marg");
        Change {
            action: Action::Create,
            summary: "allow".to_owned(),
            diff: None,
            work: Work::Guarded(Guarded {
                save: SAVE.to_owned(),
                script,
                restore: RESTORE.to_owned(),
            }),
        }
    }
}

impl Kind for UfwRule {
    const NAME: &'static str = "ufw_rule";
    type Seen = Firewall;

    fn id(&self) -> String {
        format!("{} from {}", self.traffic, self.peer())
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
        match self.tuples(seen.ipv6) {
            None => Verdict::Unknown {
                until: format!("the address {} is known", self.peer()),
                change: self.change(),
            },
            Some(tuples) if tuples.iter().all(|tuple| seen.rules.contains(tuple)) => {
                Verdict::Converged
            }
            Some(_) => Verdict::Will(self.change()),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn outcome(desired: &UfwRule, lines: &[&str]) -> &'static str {
        let lines: Vec<String> = lines.iter().map(ToString::to_string).collect();
        let seen = UfwRule::read(&[desired], &lines).unwrap();
        match desired.diff(&seen[0], &Before::default()) {
            Verdict::Converged => "converged",
            Verdict::Will(_) => "will",
            Verdict::May(_) => "may",
            Verdict::Unknown { .. } => "unknown",
            Verdict::Refused { .. } => "refused",
        }
    }

    const V4: &str = "### tuple ### allow tcp 22 0.0.0.0/0 any 0.0.0.0/0 in comment=6d617267";
    const V6: &str = "### tuple ### allow tcp 22 ::/0 any ::/0 in comment=6d617267";
    const SQL: &str = "### tuple ### allow tcp 3306 0.0.0.0/0 any 10.1.0.0/16 in comment=6d617267";
    const ONE: &str = "### tuple ### allow tcp 3306 0.0.0.0/0 any 10.1.0.7 in comment=6d617267";
    const VRRP: &str =
        "### tuple ### allow vrrp any 0.0.0.0/0 any 169.254.112.0/24 in comment=6d617267";
    const THEIRS: &str = "### tuple ### allow tcp 22 0.0.0.0/0 any 0.0.0.0/0 OpenSSH - in";

    #[test]
    fn cases() {
        let ssh = UfwRule::allow(22).from_any();
        for (lines, expected) in [
            (vec![V4], "converged"),
            (vec!["IPV6=yes", V4, V6], "converged"),
            (vec!["IPV6=yes", V4], "will"),
            (vec!["IPV6=no", V6], "will"),
            (vec![THEIRS], "will"),
            (vec![], "will"),
        ] {
            assert_eq!(outcome(&ssh, &lines), expected, "{lines:?}");
        }
        let sql = |peer: &str| UfwRule::allow(3306).from(peer);
        assert_eq!(outcome(&sql("10.1.2.3/16"), &[SQL]), "converged");
        assert_eq!(outcome(&sql("10.1.0.7"), &[ONE]), "converged");
        assert_eq!(outcome(&sql("10.1.0.7/32"), &[ONE]), "converged");
        assert_eq!(outcome(&sql("10.1.0.7"), &[SQL]), "will");
        assert_eq!(outcome(&sql("(address of http1)"), &[SQL]), "unknown");
        let udp = UfwRule::allow_udp(3306).from("10.1.0.7");
        assert_eq!(outcome(&udp, &[ONE]), "will");
        assert_eq!(outcome(&udp, &[&ONE.replace("tcp", "udp")]), "converged");
        let vrrp = UfwRule::allow_vrrp().from("169.254.112.0/24");
        assert_eq!(outcome(&vrrp, &[VRRP]), "converged");
        assert_eq!(outcome(&vrrp, &[SQL]), "will");
    }

    #[test]
    fn names_are_normal() {
        assert_eq!(UfwRule::allow(22).id(), "22/tcp from any");
        assert_eq!(UfwRule::allow(22).from("10.1.2.3/16").id(), "22/tcp from 10.1.0.0/16");
        assert_eq!(UfwRule::allow(22).from("10.1.2.3/32").id(), "22/tcp from 10.1.2.3");
    }

    #[test]
    fn junk_is_an_error() {
        for line in [
            "junk",
            "### tuple ### deny tcp 22 0.0.0.0/0 any 0.0.0.0/0 in comment=6d617267",
            "### tuple ### allow tcp ssh 0.0.0.0/0 any 0.0.0.0/0 in comment=6d617267",
            "### tuple ### allow tcp 22 0.0.0.0/0 any nowhere in comment=6d617267",
        ] {
            let rule = UfwRule::allow(22);
            assert!(UfwRule::read(&[&rule], &[line.to_owned()]).is_err(), "{line}");
        }
    }
}
