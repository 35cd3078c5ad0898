//! What the description of an environment's private network says: whose it is, who may use it,
//! and which reserved address belongs to it. Networks and addresses have no tags, and the name of
//! a network is the only thing that the cloud keeps unique: so this text is the proof.

use std::fmt;
use std::net::Ipv4Addr;

use jiff::{SignedDuration, Timestamp};

/// How the description of every network that marg makes begins.
const BEGINNING: &str = "marg: environment ";
/// The cloud takes no longer description.
const LONGEST: usize = 255;

/// The words of a network's description.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Claim {
    /// The environment whose network it is.
    pub environment: String,
    /// MD5 fingerprint of the environment's key. Networks of earlier versions do not name it.
    pub key: Option<String>,
    /// The reserved address that leads, or led, to the environment.
    pub entry: Option<Ipv4Addr>,
    /// The run that is making the environment right now.
    pub run: Option<Run>,
}

/// A run that makes an environment and has not come to its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Run {
    /// Where it runs; another folder has another one.
    pub folder: String,
    /// Who started it: `anna@laptop`.
    pub who: String,
    /// When.
    pub since: Timestamp,
}

impl Claim {
    /// A network's description; `None` when marg did not write it.
    pub fn read(description: &str) -> Option<Claim> {
        let mut words = description.strip_prefix(BEGINNING)?.split("; ");
        let mut claim = Claim {
            environment: words.next()?.to_owned(),
            ..Claim::default()
        };
        for word in words {
            match word.split_once(' ')? {
                ("key", key) => claim.key = Some(key.to_owned()),
                ("entry", ip) => claim.entry = Some(ip.parse().ok()?),
                ("run", run) => claim.run = Some(Run::read(run)?),
                // A later version's word says nothing against the proof.
                _ => {}
            }
        }
        Some(claim)
    }
}

impl fmt::Display for Claim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = format!("{BEGINNING}{}", self.environment);
        if let Some(key) = &self.key {
            text.push_str(&format!("; key {key}"));
        }
        if let Some(entry) = &self.entry {
            text.push_str(&format!("; entry {entry}"));
        }
        if let Some(run) = &self.run {
            let room = LONGEST.saturating_sub(text.len());
            text.push_str(&run.write(room));
        }
        f.write_str(&text)
    }
}

impl Run {
    /// Whether it may still be at work: whoever makes an environment has its first host, which has
    /// a lock of its own, within `lease`.
    pub fn is_alive(&self, now: Timestamp, lease: SignedDuration) -> bool {
        now.duration_since(self.since) < lease
    }

    /// What somebody else is told.
    pub fn holder(&self) -> String {
        format!("{} since {}", self.who, instant(self.since))
    }

    fn read(text: &str) -> Option<Run> {
        let mut words = text.splitn(3, ' ');
        Some(Run {
            folder: words.next()?.to_owned(),
            since: words.next()?.parse().ok()?,
            who: words.next()?.to_owned(),
        })
    }

    /// In so many bytes: a name may be long, and the rest is what counts.
    fn write(&self, room: usize) -> String {
        let head = format!("; run {} {} ", self.folder, instant(self.since));
        let who = self
            .who
            .chars()
            .filter(|c| c.is_ascii_graphic() && *c != ';');
        let who: String = who.take(room.saturating_sub(head.len())).collect();
        head + &who
    }
}

fn instant(at: Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn claim(who: &str) -> Claim {
        Claim {
            environment: "shop".to_owned(),
            key: Some("cb:54:61".to_owned()),
            entry: Some(Ipv4Addr::new(198, 18, 240, 1)),
            run: Some(Run {
                folder: "1a2b3c4d".to_owned(),
                who: who.to_owned(),
                since: "2026-11-28T05:44:00Z".parse().unwrap(),
            }),
        }
    }

    #[test]
    fn what_is_written_is_read() {
        let text = claim("anna@laptop").to_string();
        assert_eq!(
            text,
            "marg: environment shop; key cb:54:61; entry 198.18.240.1; run 1a2b3c4d \
             2026-11-28T05:44:00Z anna@laptop"
        );
        assert_eq!(Claim::read(&text), Some(claim("anna@laptop")));
        let settled = Claim {
            run: None,
            ..claim("")
        };
        assert_eq!(Claim::read(&settled.to_string()), Some(settled));
    }

    #[test]
    fn a_long_name_breaks_nothing() {
        let text = claim(&"ä; run x y z".repeat(60)).to_string();
        assert!(text.len() <= LONGEST, "{}", text.len());
        let read = Claim::read(&text).unwrap();
        assert_eq!(read.run.unwrap().folder, "1a2b3c4d");
    }

    #[test]
    fn only_margs_own_words_are_a_claim() {
        for (text, environment) in [
            ("marg: environment shop", Some("shop")),
            ("marg: environment shop-eu", Some("shop-eu")),
            ("marg: environment shop; colour blue", Some("shop")),
            ("marg: environment shop; entry nowhere", None),
            ("marg: environment shop; key", None),
            ("the shop's own", None),
            ("", None),
        ] {
            let read = Claim::read(text).map(|claim| claim.environment);
            assert_eq!(read.as_deref(), environment, "{text}");
        }
    }

    #[test]
    fn a_run_is_alive_for_as_long_as_its_lease() {
        let run = claim("anna").run.unwrap();
        let lease = SignedDuration::from_mins(15);
        for (now, alive) in [
            ("2026-11-28T05:44:10Z", true),
            ("2026-11-28T05:40:00Z", true),
            ("2026-11-28T05:59:01Z", false),
        ] {
            assert_eq!(run.is_alive(now.parse().unwrap(), lease), alive, "{now}");
        }
    }
}
