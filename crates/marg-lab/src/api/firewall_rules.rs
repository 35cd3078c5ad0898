//! Firewall rules as clients send them, and as the API gives them back.

use std::net::IpAddr;

use ipnet::IpNet;
use serde::Deserialize;
use serde_json::{Value, json};

use super::answer::ApiError;
use crate::store::{Peers, Records, Rule, ports};

/// The real API's limit for one firewall.
const MOST_RULES: usize = 50;

/// Both lists of rules.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct RuleLists {
    inbound_rules: Vec<Sent>,
    outbound_rules: Vec<Sent>,
}

/// One rule as it is sent.
#[derive(Deserialize)]
struct Sent {
    protocol: String,
    ports: Option<String>,
    #[serde(alias = "destinations")]
    sources: Option<Peers>,
}

impl RuleLists {
    pub(super) fn is_empty(&self) -> bool {
        self.inbound_rules.is_empty() && self.outbound_rules.is_empty()
    }

    /// The rules, checked and in the form in which the API keeps them.
    pub(super) fn normal(&self, records: &Records) -> Result<(Vec<Rule>, Vec<Rule>), ApiError> {
        if self.inbound_rules.len() + self.outbound_rules.len() > MOST_RULES {
            return Err(ApiError::unprocessable("a firewall may have 50 rules"));
        }
        let normal = |rules: &[Sent]| -> Result<Vec<Rule>, ApiError> {
            rules.iter().map(|rule| normal(records, rule)).collect()
        };
        Ok((normal(&self.inbound_rules)?, normal(&self.outbound_rules)?))
    }
}

fn normal(records: &Records, sent: &Sent) -> Result<Rule, ApiError> {
    let port_text = sent.ports.as_deref().unwrap_or("");
    let ports = match (sent.protocol.as_str(), port_text) {
        ("icmp", _) | ("tcp" | "udp", "0" | "all") => "0".to_owned(),
        ("tcp" | "udp", text) if ports(text).is_some() => text.to_owned(),
        ("tcp" | "udp", text) => {
            return Err(ApiError::unprocessable(format!(
                "ports: `{text}` is not a port, a range or `all`"
            )));
        }
        (other, _) => {
            return Err(ApiError::unprocessable(format!(
                "protocol `{other}` is not tcp, udp or icmp"
            )));
        }
    };
    let mut peers = sent.sources.clone().unwrap_or_default();
    check_peers(records, &peers)?;
    peers.addresses.sort();
    peers.tags = peers.tags.iter().map(|tag| spelled(records, tag)).collect();
    Ok(Rule {
        protocol: sent.protocol.clone(),
        ports,
        peers,
    })
}

fn check_peers(records: &Records, peers: &Peers) -> Result<(), ApiError> {
    for address in &peers.addresses {
        if address.parse::<IpNet>().is_err() && address.parse::<IpAddr>().is_err() {
            return Err(ApiError::unprocessable(format!(
                "`{address}` is not an address or a range"
            )));
        }
    }
    for tag in &peers.tags {
        check_tag(records, tag)?;
    }
    for id in &peers.droplet_ids {
        if records.droplet(*id).is_none() {
            return Err(ApiError::unprocessable(format!("there is no droplet {id}")));
        }
    }
    Ok(())
}

/// A tag has to exist before a firewall names it.
pub(super) fn check_tag(records: &Records, tag: &str) -> Result<(), ApiError> {
    if records
        .tags
        .iter()
        .any(|known| known.eq_ignore_ascii_case(tag))
    {
        return Ok(());
    }
    Err(ApiError::unprocessable(format!(
        "the tag {tag} does not exist"
    )))
}

fn spelled(records: &Records, tag: &str) -> String {
    let known = records
        .tags
        .iter()
        .find(|known| known.eq_ignore_ascii_case(tag));
    known.cloned().unwrap_or_else(|| tag.to_owned())
}

/// Rules as the API returns them; `side` is `sources` or `destinations`.
pub(super) fn view(rules: &[Rule], side: &str) -> Vec<Value> {
    rules
        .iter()
        .map(|rule| json!({ "protocol": rule.protocol, "ports": rule.ports, side: rule.peers }))
        .collect()
}
