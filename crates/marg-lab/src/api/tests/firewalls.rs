//! Cloud firewalls, down to the rules that the router gets.

use super::*;
use crate::machines::nft::{Pass, Protocol};

fn web_rule(tags: &[&str]) -> Value {
    json!({ "protocol": "tcp", "ports": "6379", "sources": { "tags": tags } })
}

async fn applied(lab: &Lab, firewall: &str) {
    let path = format!("/v2/firewalls/{firewall}");
    lab.until(&path, |reply| {
        reply.body()["firewall"]["status"] == "succeeded"
    })
    .await;
}

#[tokio::test]
async fn a_firewall_follows_its_tags_from_droplet_to_droplet() {
    let lab = Lab::new();
    let web = lab.droplet("web", &["web"]).await;
    let db = lab.droplet("db", &["db"]).await;
    let order = json!({ "name": "db", "tags": ["db"], "inbound_rules": [web_rule(&["WEB"])] });
    let made = lab.post("/v2/firewalls", order).await;
    assert_eq!(
        (made.status.as_u16(), &made.body()["firewall"]["status"]),
        (202, &json!("waiting"))
    );
    assert_eq!(
        made.body()["firewall"]["pending_changes"][0]["droplet_id"],
        db
    );
    assert_eq!(
        made.body()["firewall"]["inbound_rules"][0]["sources"]["tags"],
        json!(["web"])
    );
    let id = made.body()["firewall"]["id"].as_str().unwrap().to_owned();
    applied(&lab, &id).await;

    let walls = lab.machines.rules().walls;
    assert_eq!(walls.iter().map(|wall| wall.id).collect::<Vec<_>>(), [db]);
    let peers = vec![
        address(&lab, web, "public").await.into(),
        address(&lab, web, "private").await.into(),
    ];
    let ports = Some((6379, 6379));
    assert_eq!(
        walls[0].inbound,
        [Pass {
            protocol: Protocol::Tcp,
            ports,
            peers
        }]
    );
    assert!(walls[0].outbound.is_empty());

    // A droplet that comes later is under the firewall before anyone can reach it.
    let later = lab.droplet("db2", &["db"]).await;
    assert!(
        lab.machines
            .rules()
            .walls
            .iter()
            .any(|wall| wall.id == later)
    );
    assert_eq!(lab.delete(&format!("/v2/firewalls/{id}")).await.status, 204);
    until_rules(&lab, |lab| lab.machines.rules().walls.is_empty()).await;
}

#[tokio::test]
async fn rules_are_normal_when_they_come_back() {
    let lab = Lab::new();
    let anywhere = json!({ "addresses": ["::/0", "0.0.0.0/0"] });
    let order = json!({
        "name": "open",
        "inbound_rules": [
            { "protocol": "tcp", "ports": "all", "sources": anywhere },
            { "protocol": "icmp", "sources": anywhere },
            { "protocol": "udp", "ports": "8000-9000", "sources": anywhere },
        ],
        "outbound_rules": [{ "protocol": "tcp", "ports": "0", "destinations": anywhere }],
    });
    let made = lab.post("/v2/firewalls", order).await;
    let ports = |side: &str| -> Vec<String> {
        let rules = made.body()["firewall"][side].as_array().unwrap();
        rules
            .iter()
            .map(|rule| rule["ports"].as_str().unwrap().to_owned())
            .collect()
    };
    assert_eq!(ports("inbound_rules"), ["0", "0", "8000-9000"]);
    assert_eq!(ports("outbound_rules"), ["0"]);
    assert!(made.body()["firewall"]["outbound_rules"][0]["destinations"].is_object());
}

#[tokio::test]
async fn impossible_firewalls_are_refused() {
    let lab = Lab::new();
    let rule =
        json!({ "protocol": "tcp", "ports": "22", "sources": { "addresses": ["0.0.0.0/0"] } });
    let base = json!({ "name": "fw", "inbound_rules": [rule] });
    assert_eq!(lab.post("/v2/firewalls", base.clone()).await.status, 202);
    let again = lab.post("/v2/firewalls", base).await;
    assert_eq!(
        (again.status.as_u16(), again.message()),
        (409, "duplicate name")
    );
    let with = |field: &str, value: Value| {
        let mut order = json!({ "name": "gw", "inbound_rules": [rule] });
        order[field] = value;
        order
    };
    let rule_with = |field: &str, value: Value| {
        let mut changed = rule.clone();
        changed[field] = value;
        with("inbound_rules", json!([changed]))
    };
    let cases = [
        with("inbound_rules", json!([])),
        with("name", json!("under_score")),
        with("tags", json!(["unknown"])),
        with("droplet_ids", json!([1])),
        rule_with("ports", json!("99999")),
        rule_with("ports", json!("9-1")),
        rule_with("protocol", json!("sctp")),
        rule_with("sources", json!({ "tags": ["unknown"] })),
        rule_with("sources", json!({ "addresses": ["300.1.1.1"] })),
    ];
    for order in cases {
        assert_eq!(
            lab.post("/v2/firewalls", order.clone()).await.status,
            422,
            "{order}"
        );
    }
}

#[tokio::test]
async fn firewalls_are_changed_by_parts_and_as_a_whole() {
    let lab = Lab::new();
    let id = lab.droplet("db", &["db"]).await;
    let rule = |port: &str| json!({ "protocol": "tcp", "ports": port, "sources": { "addresses": ["0.0.0.0/0"] } });
    let made = lab
        .post(
            "/v2/firewalls",
            json!({ "name": "fw", "inbound_rules": [rule("22")] }),
        )
        .await;
    let path = format!(
        "/v2/firewalls/{}",
        made.body()["firewall"]["id"].as_str().unwrap()
    );
    let steps = [
        ("POST", "tags", json!({ "tags": ["db"] })),
        ("POST", "droplets", json!({ "droplet_ids": [id] })),
        (
            "POST",
            "rules",
            json!({ "inbound_rules": [rule("80"), rule("22")] }),
        ),
        ("DELETE", "rules", json!({ "inbound_rules": [rule("22")] })),
        ("DELETE", "tags", json!({ "tags": ["db"] })),
    ];
    for (method, part, body) in steps {
        let reply = lab.ask(method, &format!("{path}/{part}"), body).await;
        assert_eq!(reply.status, 204, "{method} {part}");
    }
    let shown = lab.get(&path).await;
    let firewall = &shown.body()["firewall"];
    assert_eq!(
        (&firewall["droplet_ids"], &firewall["tags"]),
        (&json!([id]), &json!([]))
    );
    assert_eq!(firewall["inbound_rules"].as_array().unwrap().len(), 1);
    assert_eq!(firewall["inbound_rules"][0]["ports"], "80");
    let of_droplet = lab.get(&format!("/v2/droplets/{id}/firewalls")).await;
    assert_eq!(of_droplet.body()["meta"]["total"], 1);

    // What a PUT leaves out is reset.
    let put = lab
        .ask(
            "PUT",
            &path,
            json!({ "name": "fw", "inbound_rules": [rule("443")] }),
        )
        .await;
    assert_eq!(
        (put.status.as_u16(), &put.body()["firewall"]["droplet_ids"]),
        (200, &json!([]))
    );
}
