//! SSH keys, private networks, firewalls and reserved addresses.

use marg_cloud::{
    Cloud as _, CloudError, DropletId, FirewallId, FirewallSpec, NewVpc, OwnedIp, Owner, Peers,
    Rule, assign_reserved_ip, ensure_firewall, ensure_reserved_ip, ensure_ssh_key, ensure_vpc,
    release_reserved_ip, wait_until_enforced,
};
use serde_json::{Value, json};

use crate::script::{action, gone, ok, owned, script};
use crate::server::{Reply, Request, Server};

const KEY: &str =
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIPpjkK8i423iFkQgp7hkEppKCIUY36s7mvvrSYXO7n9i";

#[tokio::test]
async fn tags_are_listed_whether_anything_carries_them_or_not() {
    let tag = |name: &str, count: u64| json!({"name": name, "resources": {"count": count, "droplets": {"count": count}}});
    let tags = json!({"tags": [tag("marg-env:lab", 2), tag("marg-phase:lab:2", 0)]});
    let server = Server::start(script(vec![("GET /v2/tags", vec![ok(tags)])])).await;
    let found = server.cloud().tags().await.unwrap();
    let found: Vec<_> = found
        .iter()
        .map(|tag| (&*tag.name, tag.resources))
        .collect();
    assert_eq!(found, [("marg-env:lab", 2), ("marg-phase:lab:2", 0)]);
}

#[tokio::test]
async fn a_key_is_found_by_its_fingerprint_and_never_listed() {
    let line = "GET /v2/account/keys/cb:54:61:38:3b:b5:ac:7b:89:3c:ff:46:66:8c:c5:c2";
    let key = || json!({"ssh_key": {"id": 9, "fingerprint": "cb:54", "name": "marg-lab"}});
    let taken = || Reply::refused(422, "SSH Key is already in use on your account");
    for (gets, posts, sent) in [
        (vec![ok(key())], vec![], 0),
        (vec![Reply::not_found()], vec![Reply::Json(201, key())], 1),
        // The answer is lost, the key is there, the reader lags.
        (
            vec![Reply::not_found(), Reply::not_found(), ok(key())],
            vec![Reply::HangUp, taken()],
            2,
        ),
    ] {
        let server =
            Server::start(script(vec![(line, gets), ("POST /v2/account/keys", posts)])).await;
        let found = ensure_ssh_key(&server.cloud(), "marg-lab", KEY)
            .await
            .unwrap();
        assert_eq!(found.id.0, 9);
        assert_eq!(server.count("POST /v2/account/keys"), sent);
        assert_eq!(server.count("GET /v2/account/keys"), 0);
    }
}

#[tokio::test]
async fn a_network_is_found_by_name_and_cannot_change() {
    let vpc = |range: &str| {
        json!({"id": "v-1", "name": "marg-lab", "region": "fra1", "ip_range": range,
        "description": "marg: environment lab"})
    };
    let list = |vpcs: Vec<Value>| ok(json!({ "vpcs": vpcs }));
    let new = NewVpc {
        name: "marg-lab".to_owned(),
        region: "fra1".to_owned(),
        ip_range: Some("10.10.0.0/20".to_owned()),
        description: String::new(),
    };
    let there = || list(vec![vpc("10.10.0.0/20")]);
    for (lists, posts, sent) in [
        (vec![there()], vec![], 0),
        (vec![list(vec![]), there()], vec![Reply::HangUp], 1),
        (
            vec![list(vec![])],
            vec![Reply::Json(201, json!({"vpc": vpc("10.10.0.0/20")}))],
            1,
        ),
    ] {
        let server = Server::start(script(vec![
            ("GET /v2/vpcs", lists),
            ("POST /v2/vpcs", posts),
        ]))
        .await;
        assert_eq!(
            ensure_vpc(&server.cloud(), &lab(), &new)
                .await
                .unwrap()
                .id
                .0,
            "v-1"
        );
        assert_eq!(server.count("POST /v2/vpcs"), sent);
    }
    let other = list(vec![vpc("10.99.0.0/20")]);
    let server = Server::start(script(vec![("GET /v2/vpcs", vec![other])])).await;
    let error = ensure_vpc(&server.cloud(), &lab(), &new).await.unwrap_err();
    assert!(
        error
            .to_string()
            .contains("exists with 10.99.0.0/20 in fra1"),
        "{error}"
    );
}

#[tokio::test]
async fn what_only_has_the_name_is_neither_used_nor_changed() {
    let strange = json!({"vpcs": [{"id": "v-1", "name": "marg-lab", "region": "fra1",
        "ip_range": "10.10.0.0/20", "description": "ours"}]});
    let mut other = firewall("81", "succeeded");
    other["tags"] = json!(["marg-group:lab-http:http"]);
    let server = Server::start(script(vec![
        ("GET /v2/vpcs", vec![ok(strange)]),
        (
            "GET /v2/firewalls",
            vec![ok(json!({ "firewalls": [other] }))],
        ),
    ]))
    .await;
    let new = NewVpc {
        name: "marg-lab".to_owned(),
        region: "fra1".to_owned(),
        ip_range: None,
        description: "marg: environment lab".to_owned(),
    };
    let cloud = server.cloud();
    let errors = [
        ensure_vpc(&cloud, &lab(), &new).await.unwrap_err(),
        ensure_firewall(&cloud, &lab(), &web_firewall())
            .await
            .unwrap_err(),
    ];
    for error in errors {
        assert!(matches!(error, CloudError::Stranger { .. }), "{error}");
    }
    let sent: Vec<String> = server.requests().iter().map(Request::line).collect();
    assert_eq!(sent, ["GET /v2/vpcs", "GET /v2/firewalls"]);
}

/// The environment that asks.
fn lab() -> Owner {
    Owner::new("lab").unwrap()
}

/// The address, which leads to droplet 7 and so is the environment's.
fn own_ip() -> OwnedIp {
    let droplet = json!({"id": 7, "name": "lab-http1", "tags": ["marg-env:lab"]});
    let droplet = serde_json::from_value(droplet).unwrap();
    let address = serde_json::from_value(address(Some(7), false)).unwrap();
    let owner = lab().knowing(&[droplet], &[]).unwrap();
    owner.reserved_ip(&address).unwrap()
}

fn web_firewall() -> FirewallSpec {
    FirewallSpec {
        name: "marg-lab-http".to_owned(),
        inbound: vec![Rule {
            protocol: "tcp".to_owned(),
            ports: "80".to_owned(),
            peers: Peers {
                addresses: vec!["0.0.0.0/0".to_owned()],
                ..Peers::default()
            },
        }],
        tags: vec!["marg-group:lab:http".to_owned()],
        ..FirewallSpec::default()
    }
}

fn firewall(ports: &str, status: &str) -> Value {
    json!({"id": "f-1", "name": "marg-lab-http", "status": status, "tags": ["marg-group:lab:http"],
        "inbound_rules": [{"protocol": "tcp", "ports": ports,
            "sources": {"addresses": ["0.0.0.0/0"]}}],
        "outbound_rules": [], "droplet_ids": [], "pending_changes": []})
}

#[tokio::test]
async fn a_firewall_is_made_changed_or_left_alone() {
    let list = |firewalls: Vec<Value>| ok(json!({ "firewalls": firewalls }));
    let one = |ports| json!({"firewall": firewall(ports, "waiting")});
    for (lists, posts, expected) in [
        (
            vec![list(vec![firewall("80", "succeeded")])],
            vec![],
            (0, 0, false),
        ),
        (
            vec![list(vec![firewall("81", "succeeded")])],
            vec![],
            (0, 1, true),
        ),
        (
            vec![list(vec![])],
            vec![Reply::Json(202, one("80"))],
            (1, 0, true),
        ),
        (
            vec![
                list(vec![]),
                list(vec![]),
                list(vec![firewall("80", "waiting")]),
            ],
            vec![Reply::refused(409, "duplicate name")],
            (1, 0, true),
        ),
    ] {
        let server = Server::start(script(vec![
            ("GET /v2/firewalls", lists),
            ("POST /v2/firewalls", posts),
            ("PUT /v2/firewalls/f-1", vec![ok(one("80"))]),
        ]))
        .await;
        let (found, changed) = ensure_firewall(&server.cloud(), &lab(), &web_firewall())
            .await
            .unwrap();
        assert_eq!(found.id.0, "f-1");
        let sent = (
            server.count("POST /v2/firewalls"),
            server.count("PUT /v2/firewalls/f-1"),
        );
        assert_eq!((sent.0, sent.1, changed), expected);
    }
}

#[tokio::test]
async fn a_port_counts_as_closed_only_when_the_firewall_is_enforced() {
    let seen = |status| ok(json!({"firewall": firewall("80", status)}));
    let replies = vec![seen("waiting"), seen("thinking"), seen("succeeded")];
    let server = Server::start(script(vec![("GET /v2/firewalls/f-1", replies)])).await;
    wait_until_enforced(&server.cloud(), &FirewallId("f-1".to_owned()))
        .await
        .unwrap();
    assert_eq!(server.requests().len(), 3);
}

fn address(droplet: Option<u64>, locked: bool) -> Value {
    let droplet = droplet.map(|id| json!({"id": id, "name": "x"}));
    json!({"ip": "198.18.9.9", "droplet": droplet, "locked": locked, "region": {"slug": "fra1"}})
}

const IP: &str = "GET /v2/reserved_ips/198.18.9.9";
const MOVE: &str = "POST /v2/reserved_ips/198.18.9.9/actions";

#[tokio::test]
async fn a_lost_answer_does_not_cost_a_second_reserved_address() {
    let list = |addresses: Vec<Value>| ok(json!({ "reserved_ips": addresses }));
    let server = Server::start(script(vec![
        (
            "GET /v2/reserved_ips",
            vec![
                list(vec![]),
                list(vec![]),
                list(vec![address(Some(7), true)]),
            ],
        ),
        (
            "POST /v2/reserved_ips",
            vec![
                Reply::HangUp,
                Reply::refused(422, "droplet already has a reserved IP"),
            ],
        ),
        (
            IP,
            vec![
                ok(json!({"reserved_ip": address(None, true)})),
                ok(json!({"reserved_ip": address(Some(7), false)})),
            ],
        ),
    ]))
    .await;
    let made = ensure_reserved_ip(&server.cloud(), &owned(7))
        .await
        .unwrap();
    assert_eq!(made.droplet, Some(DropletId(7)));
    assert_eq!(server.count(MOVE), 0);
}

#[tokio::test]
async fn an_address_is_moved_until_it_leads_there() {
    let seen = |droplet, locked| ok(json!({"reserved_ip": address(droplet, locked)}));
    let server = Server::start(script(vec![
        (
            IP,
            vec![
                seen(Some(3), true),
                seen(Some(3), false),
                seen(Some(3), false),
                seen(Some(7), true),
                seen(Some(7), false),
            ],
        ),
        (
            MOVE,
            vec![
                Reply::refused(422, "Droplet already has a pending event."),
                Reply::Json(201, action(5, "in-progress")),
            ],
        ),
        (
            "GET /v2/actions/5",
            vec![Reply::not_found(), ok(action(5, "completed"))],
        ),
    ]))
    .await;
    let moved = assign_reserved_ip(&server.cloud(), &own_ip(), &owned(7))
        .await
        .unwrap();
    assert_eq!(moved.droplet, Some(DropletId(7)));
    assert_eq!(server.count(MOVE), 2);
}

#[tokio::test]
async fn an_address_is_freed_before_it_is_given_back() {
    let seen = |droplet| ok(json!({"reserved_ip": address(droplet, false)}));
    let server = Server::start(script(vec![
        (IP, vec![seen(Some(7)), seen(None)]),
        (MOVE, vec![Reply::Json(201, action(5, "completed"))]),
        ("GET /v2/actions/5", vec![ok(action(5, "completed"))]),
        ("DELETE /v2/reserved_ips/198.18.9.9", vec![gone()]),
    ]))
    .await;
    release_reserved_ip(&server.cloud(), &own_ip())
        .await
        .unwrap();
    let lines: Vec<String> = server.requests().iter().map(Request::line).collect();
    assert_eq!(lines.last().unwrap(), "DELETE /v2/reserved_ips/198.18.9.9");
    assert_eq!(server.count(MOVE), 1);
}
