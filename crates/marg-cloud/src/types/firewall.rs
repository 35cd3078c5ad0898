//! Cloud firewalls and what makes two of them equal.
//!
//! The cloud returns rules in its own order and spelling, so firewalls are compared as sets of
//! normalised atoms: one atom per direction, protocol, port range and peer.

use std::collections::BTreeSet;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use super::decode::null_as_default;
use super::{DropletId, FirewallId, open_enum};

open_enum! {
    /// How far the cloud has got with enforcing a firewall.
    FirewallStatus {
        /// Changes are still on their way to some droplets.
        Waiting = "waiting",
        /// Everything is enforced.
        Succeeded = "succeeded",
        /// Some droplet could not be changed.
        Failed = "failed",
    }
}

/// What a firewall should be. A `PUT` replaces everything, so this is always the whole of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FirewallSpec {
    /// Letters, digits, `-` and `.`; unique in the account.
    pub name: String,
    /// What may come in; everything else is refused.
    pub inbound: Vec<Rule>,
    /// What may go out; with no rule at all, nothing may.
    pub outbound: Vec<Rule>,
    /// Tags whose droplets it covers (at most five). They must exist.
    pub tags: Vec<String>,
    /// Droplets it covers one by one (at most ten); prefer tags.
    pub droplet_ids: Vec<DropletId>,
}

/// One rule, of either direction.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct Rule {
    /// `tcp`, `udp` or `icmp`.
    pub protocol: String,
    /// `"80"`, `"8000-9000"`, or `"0"` (also `"all"`) for every port.
    #[serde(default, deserialize_with = "null_as_default")]
    pub ports: String,
    /// Where the traffic comes from or goes to.
    #[serde(default, alias = "sources", alias = "destinations")]
    pub peers: Peers,
}

/// The other side of a rule.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Peers {
    /// Addresses and CIDR ranges.
    #[serde(
        default,
        deserialize_with = "null_as_default",
        skip_serializing_if = "Vec::is_empty"
    )]
    pub addresses: Vec<String>,
    /// Droplets by tag.
    #[serde(
        default,
        deserialize_with = "null_as_default",
        skip_serializing_if = "Vec::is_empty"
    )]
    pub tags: Vec<String>,
    /// Droplets by id.
    #[serde(
        default,
        deserialize_with = "null_as_default",
        skip_serializing_if = "Vec::is_empty"
    )]
    pub droplet_ids: Vec<DropletId>,
    /// DigitalOcean's load balancers.
    #[serde(
        default,
        deserialize_with = "null_as_default",
        skip_serializing_if = "Vec::is_empty"
    )]
    pub load_balancer_uids: Vec<String>,
    /// Kubernetes clusters.
    #[serde(
        default,
        deserialize_with = "null_as_default",
        skip_serializing_if = "Vec::is_empty"
    )]
    pub kubernetes_ids: Vec<String>,
}

/// A firewall as the cloud has it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[non_exhaustive]
pub struct Firewall {
    /// Its UUID.
    pub id: FirewallId,
    /// Its name.
    pub name: String,
    /// Whether it is enforced yet.
    pub status: FirewallStatus,
    /// What may come in.
    #[serde(default, deserialize_with = "null_as_default")]
    pub inbound_rules: Vec<Rule>,
    /// What may go out.
    #[serde(default, deserialize_with = "null_as_default")]
    pub outbound_rules: Vec<Rule>,
    /// Tags whose droplets it covers.
    #[serde(default, deserialize_with = "null_as_default")]
    pub tags: Vec<String>,
    /// Droplets it covers one by one.
    #[serde(default, deserialize_with = "null_as_default")]
    pub droplet_ids: Vec<DropletId>,
    /// Droplets that do not obey it yet.
    #[serde(default, deserialize_with = "null_as_default")]
    pub pending_changes: Vec<serde_json::Value>,
}

impl Firewall {
    /// Whether everything it says is enforced.
    pub fn is_enforced(&self) -> bool {
        self.status == FirewallStatus::Succeeded && self.pending_changes.is_empty()
    }
}

impl FirewallSpec {
    /// What a firewall says now.
    pub fn of(firewall: &Firewall) -> FirewallSpec {
        FirewallSpec {
            name: firewall.name.clone(),
            inbound: firewall.inbound_rules.clone(),
            outbound: firewall.outbound_rules.clone(),
            tags: firewall.tags.clone(),
            droplet_ids: firewall.droplet_ids.clone(),
        }
    }

    /// Whether it covers, lets in or lets out what carries the tag.
    pub fn names_tag(&self, tag: &str) -> bool {
        let rules = self.inbound.iter().chain(&self.outbound);
        let peers = rules.flat_map(|rule| &rule.peers.tags);
        let mut tags = self.tags.iter().chain(peers);
        tags.any(|own| own.eq_ignore_ascii_case(tag))
    }

    /// What would change, one line each: `- ` for what the cloud has too much, `+ ` for what it
    /// lacks, sorted. Empty means equal.
    ///
    /// ```
    /// # use marg_cloud::{FirewallSpec, Firewall};
    /// # let found: Firewall = serde_json::from_str(
    /// #   r#"{"id":"f","name":"marg-lab","status":"succeeded","tags":["marg-env:lab"]}"#).unwrap();
    /// let wanted = FirewallSpec { name: "marg-lab".into(), ..Default::default() };
    /// assert_eq!(wanted.differences(&found), ["- tag marg-env:lab"]);
    /// ```
    pub fn differences(&self, found: &Firewall) -> Vec<String> {
        let wanted = atoms(&self.inbound, &self.outbound, &self.tags, &self.droplet_ids);
        let present = atoms(
            &found.inbound_rules,
            &found.outbound_rules,
            &found.tags,
            &found.droplet_ids,
        );
        let surplus = present.difference(&wanted).map(|atom| format!("- {atom}"));
        let missing = wanted.difference(&present).map(|atom| format!("+ {atom}"));
        surplus.chain(missing).collect()
    }
}

fn atoms(
    inbound: &[Rule],
    outbound: &[Rule],
    tags: &[String],
    droplets: &[DropletId],
) -> BTreeSet<String> {
    let mut atoms: BTreeSet<String> = BTreeSet::new();
    for (direction, rules) in [("in", inbound), ("out", outbound)] {
        for rule in rules {
            let head = format!(
                "{direction} {} {}",
                rule.protocol.to_lowercase(),
                normal_ports(&rule.protocol, &rule.ports)
            );
            atoms.extend(rule.peers.atoms().map(|peer| format!("{head} {peer}")));
        }
    }
    atoms.extend(tags.iter().map(|tag| format!("tag {}", tag.to_lowercase())));
    atoms.extend(droplets.iter().map(|id| format!("droplet {id}")));
    atoms
}

impl Peers {
    fn atoms(&self) -> impl Iterator<Item = String> {
        let addresses = self.addresses.iter().map(|text| normal_address(text));
        let tags = self
            .tags
            .iter()
            .map(|tag| format!("tag:{}", tag.to_lowercase()));
        let droplets = self.droplet_ids.iter().map(|id| format!("droplet:{id}"));
        let balancers = self
            .load_balancer_uids
            .iter()
            .map(|id| format!("balancer:{id}"));
        let clusters = self.kubernetes_ids.iter().map(|id| format!("cluster:{id}"));
        addresses
            .chain(tags)
            .chain(droplets)
            .chain(balancers)
            .chain(clusters)
    }
}

/// `0`, `all`, nothing and the full range are one thing; `80-80` is `80`; icmp has no ports.
fn normal_ports(protocol: &str, ports: &str) -> String {
    let ports = ports.trim().to_lowercase();
    if protocol.eq_ignore_ascii_case("icmp")
        || matches!(ports.as_str(), "" | "0" | "all" | "1-65535" | "0-65535")
    {
        return "all".to_owned();
    }
    match ports.split_once('-') {
        Some((first, last)) if first == last => first.to_owned(),
        _ => ports,
    }
}

/// One spelling per range: a bare address gets its full prefix, host bits are cleared.
fn normal_address(text: &str) -> String {
    let (address, prefix) = match text.split_once('/') {
        Some((address, prefix)) => (address, Some(prefix)),
        None => (text, None),
    };
    let Ok(address) = address.trim().parse::<IpAddr>() else {
        return text.to_lowercase();
    };
    let full = if address.is_ipv4() { 32 } else { 128 };
    let Ok(prefix) = prefix.map_or(Ok(full), |prefix| prefix.trim().parse::<u32>()) else {
        return text.to_lowercase();
    };
    format!("{}/{prefix}", masked(address, prefix))
}

fn masked(address: IpAddr, prefix: u32) -> IpAddr {
    match address {
        IpAddr::V4(v4) => {
            let mask = u32::MAX.checked_shl(32 - prefix.min(32)).unwrap_or(0);
            IpAddr::V4((v4.to_bits() & mask).into())
        }
        IpAddr::V6(v6) => {
            let mask = u128::MAX.checked_shl(128 - prefix.min(128)).unwrap_or(0);
            IpAddr::V6((v6.to_bits() & mask).into())
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn spec(protocol: &str, ports: &str, addresses: &[&str], tags: &[&str]) -> FirewallSpec {
        FirewallSpec {
            name: "marg-lab".to_owned(),
            inbound: vec![Rule {
                protocol: protocol.to_owned(),
                ports: ports.to_owned(),
                peers: Peers {
                    addresses: addresses.iter().map(|&text| text.to_owned()).collect(),
                    tags: tags.iter().map(|&text| text.to_owned()).collect(),
                    ..Peers::default()
                },
            }],
            ..FirewallSpec::default()
        }
    }

    fn found(inbound: &str) -> Firewall {
        serde_json::from_str(&format!(
            r#"{{"id":"f","name":"marg-lab","status":"succeeded","inbound_rules":{inbound},
                "outbound_rules":null}}"#
        ))
        .unwrap()
    }

    #[test]
    fn the_clouds_spelling_is_no_difference() {
        for (wanted, inbound) in [
            (
                spec("tcp", "all", &["0.0.0.0/0", "::/0"], &[]),
                r#"[{"protocol":"tcp","ports":"0","sources":{"addresses":["::/0","0.0.0.0/0"]}}]"#,
            ),
            (
                spec("icmp", "", &["10.1.2.3/16"], &[]),
                r#"[{"protocol":"icmp","ports":"0","sources":{"addresses":["10.1.0.0/16"]}}]"#,
            ),
            (
                spec("tcp", "22-22", &["10.1.2.3"], &["Marg-Env:lab"]),
                r#"[{"protocol":"tcp","ports":"22","sources":{"tags":["marg-env:lab"]}},
                    {"protocol":"tcp","ports":"22","sources":{"addresses":["10.1.2.3/32"]}}]"#,
            ),
        ] {
            assert_eq!(wanted.differences(&found(inbound)), [""; 0], "{inbound}");
        }
    }

    #[test]
    fn differences_are_named_one_by_one() {
        let wanted = spec("tcp", "443", &["0.0.0.0/0"], &["marg-env:lab"]);
        let present =
            found(r#"[{"protocol":"tcp","ports":"80","sources":{"addresses":["0.0.0.0/0"]}}]"#);
        assert_eq!(
            wanted.differences(&present),
            [
                "- in tcp 80 0.0.0.0/0",
                "+ in tcp 443 0.0.0.0/0",
                "+ in tcp 443 tag:marg-env:lab",
            ]
        );
    }

    #[test]
    fn enforced_means_succeeded_with_nothing_pending() {
        let mut firewall = found("[]");
        assert!(firewall.is_enforced());
        firewall
            .pending_changes
            .push(serde_json::json!({"droplet_id": 1}));
        assert!(!firewall.is_enforced());
    }
}
