//! Request bodies, and the words of error bodies.

use serde_json::{Value, json};

use crate::new_droplet::{BootImage, NewDroplet};
use crate::ownership::Owned;
use crate::tag::Tag;
use crate::types::{DropletAction, FirewallSpec, ReservedIpPlace, Rule, Snapshot};

/// Longest part of a strange error body that is worth showing.
const SHOWN: usize = 300;

/// The words of an error body, whatever its shape; bodies of 5xx may be a CDN's HTML.
pub(super) fn error_message(body: &[u8]) -> String {
    let text = String::from_utf8_lossy(body);
    let text = text.trim();
    if let Ok(json) = serde_json::from_str::<Value>(text) {
        for key in ["message", "error", "id"] {
            if let Some(words) = json.get(key).and_then(Value::as_str) {
                return words.chars().take(SHOWN).collect();
            }
        }
    }
    if text.is_empty() {
        return "no reason given".to_owned();
    }
    if text.starts_with('<') {
        return "an HTML page instead of JSON".to_owned();
    }
    text.chars().take(SHOWN).collect()
}

pub(super) fn droplet(new: &NewDroplet, operation: &Tag) -> Value {
    let tags = new.all_tags(operation);
    json!({
        "name": new.name,
        "region": new.region,
        "size": new.size,
        "image": image(&new.image),
        "ssh_keys": new.ssh_keys,
        "tags": tags.iter().map(Tag::as_str).collect::<Vec<_>>(),
        "vpc_uuid": new.vpc,
        "user_data": new.user_data.expose(),
        "monitoring": new.monitoring,
        "ipv6": false,
        "with_droplet_agent": false,
    })
}

/// The cloud's own images are known by their slugs, snapshots only by their numbers.
fn image(image: &BootImage) -> Value {
    match image {
        BootImage::Slug(slug) => json!(slug),
        BootImage::Snapshot(id) => json!(id),
    }
}

pub(super) fn action(action: &DropletAction) -> Value {
    match action {
        DropletAction::Shutdown => json!({"type": "shutdown"}),
        DropletAction::PowerOff => json!({"type": "power_off"}),
        DropletAction::PowerOn => json!({"type": "power_on"}),
        DropletAction::PowerCycle => json!({"type": "power_cycle"}),
        DropletAction::Reboot => json!({"type": "reboot"}),
        DropletAction::Resize { size, disk } => {
            json!({"type": "resize", "size": size, "disk": disk})
        }
        DropletAction::Snapshot { name } => json!({"type": "snapshot", "name": name}),
    }
}

/// Resource ids are strings here, although droplets have numbers.
pub(super) fn tagged(droplets: &[Owned]) -> Value {
    let resources: Vec<Value> = droplets
        .iter()
        .map(|droplet| json!({"resource_id": droplet.id().to_string(), "resource_type": "droplet"}))
        .collect();
    json!({ "resources": resources })
}

/// Images have numbers, too, and are named by strings.
pub(super) fn tagged_image(snapshot: &Snapshot) -> Value {
    let id = snapshot.id.to_string();
    json!({ "resources": [{"resource_id": id, "resource_type": "image"}] })
}

pub(super) fn reserved_ip(place: &ReservedIpPlace) -> Value {
    match place {
        ReservedIpPlace::Region(region) => json!({ "region": region }),
        ReservedIpPlace::Droplet(id) => json!({ "droplet_id": id }),
    }
}

pub(super) fn firewall(spec: &FirewallSpec) -> Value {
    let rules = |rules: &[Rule], side: &str| -> Vec<Value> {
        rules.iter().map(|rule| firewall_rule(rule, side)).collect()
    };
    json!({
        "name": spec.name,
        "inbound_rules": rules(&spec.inbound, "sources"),
        "outbound_rules": rules(&spec.outbound, "destinations"),
        "tags": spec.tags,
        "droplet_ids": spec.droplet_ids,
    })
}

fn firewall_rule(rule: &Rule, side: &str) -> Value {
    let Rule {
        protocol,
        ports,
        peers,
    } = rule;
    // The API wants ports even for icmp, and gives back `0` for all of them.
    let every = matches!(ports.as_str(), "" | "all") || protocol == "icmp";
    let ports = if every { "0" } else { ports };
    json!({ "protocol": protocol, "ports": ports, side: peers })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::Peers;

    #[test]
    fn error_bodies_of_every_shape_give_words() {
        for (body, expected) in [
            (
                r#"{"id":"unprocessable_entity","message":"Name is bad","request_id":"x"}"#,
                "Name is bad",
            ),
            (r#"{"error":"second shape","messages":[]}"#, "second shape"),
            (r#"{"id":"not_found"}"#, "not_found"),
            ("", "no reason given"),
            ("<html><h1>524</h1>", "an HTML page instead of JSON"),
            ("upstream timed out", "upstream timed out"),
        ] {
            assert_eq!(error_message(body.as_bytes()), expected, "{body}");
        }
    }

    #[test]
    fn a_firewall_is_sent_whole_with_every_port_spelled_out() {
        let spec = FirewallSpec {
            name: "marg-lab".to_owned(),
            inbound: vec![Rule {
                protocol: "icmp".to_owned(),
                ports: String::new(),
                peers: Peers {
                    tags: vec!["marg-env:lab".to_owned()],
                    ..Peers::default()
                },
            }],
            tags: vec!["marg-env:lab".to_owned()],
            ..FirewallSpec::default()
        };
        assert_eq!(
            firewall(&spec),
            json!({
                "name": "marg-lab",
                "inbound_rules": [
                    {"protocol": "icmp", "ports": "0", "sources": {"tags": ["marg-env:lab"]}}
                ],
                "outbound_rules": [],
                "tags": ["marg-env:lab"],
                "droplet_ids": [],
            })
        );
    }
}
