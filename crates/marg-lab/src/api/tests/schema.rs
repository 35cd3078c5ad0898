//! The lab's answers, one by one, against the official specification.

use super::specification::Spec;
use super::*;

/// A lab whose answers are all checked.
struct Checked {
    lab: Lab,
    spec: Spec,
    answers: usize,
}

impl Checked {
    /// Sends, checks and expects a status.
    async fn ask(&mut self, status: u16, method: &str, path: &str, body: Value) -> Value {
        let reply = self.lab.ask(method, path, body).await;
        assert_eq!(reply.status, status, "{method} {path}: {:?}", reply.body);
        self.spec.check(method, path, &reply);
        self.answers += 1;
        reply.body().clone()
    }

    async fn get(&mut self, path: &str) -> Value {
        self.ask(200, "GET", path, Value::Null).await
    }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap().to_owned()
}

#[tokio::test]
async fn answers_follow_the_official_specification() {
    let Some(spec) = Spec::load("answers_follow_the_official_specification") else {
        return;
    };
    let mut checked = Checked {
        lab: Lab::new(),
        spec,
        answers: 0,
    };
    account_and_catalog(&mut checked).await;
    let (one, two) = droplets(&mut checked).await;
    firewalls(&mut checked, one).await;
    reserved_ips(&mut checked, one, two).await;
    endings(&mut checked, one, two).await;
    assert!(checked.answers > 60, "{}", checked.answers);
}

async fn account_and_catalog(api: &mut Checked) {
    for path in [
        "account",
        "sizes",
        "regions",
        "images",
        "images?per_page=1",
        "images/debian-13-x64",
    ] {
        api.get(&format!("/v2/{path}")).await;
    }
    let key = json!({ "name": "k", "public_key": KEY });
    let made = api.ask(201, "POST", "/v2/account/keys", key.clone()).await;
    api.ask(422, "POST", "/v2/account/keys", key).await;
    let path = format!("/v2/account/keys/{}", made["ssh_key"]["id"]);
    api.get(&path).await;
    api.ask(200, "PUT", &path, json!({ "name": "l" })).await;
    api.get("/v2/account/keys").await;
    api.ask(201, "POST", "/v2/tags", json!({ "name": "t" }))
        .await;
    api.get("/v2/tags").await;
    api.get("/v2/tags/t").await;
    api.ask(
        201,
        "POST",
        "/v2/vpcs",
        json!({ "name": "first", "region": "fra1" }),
    )
    .await;
    let vpc =
        json!({ "name": "own", "region": "fra1", "ip_range": "10.20.0.0/20", "description": "d" });
    let made = api.ask(201, "POST", "/v2/vpcs", vpc).await;
    let path = format!("/v2/vpcs/{}", text(&made["vpc"]["id"]));
    api.get(&path).await;
    api.get("/v2/vpcs").await;
    api.ask(200, "PATCH", &path, json!({ "description": "e" }))
        .await;
    api.ask(200, "PUT", &path, json!({ "name": "owned" })).await;
}

/// Makes two droplets; gives their ids.
async fn droplets(api: &mut Checked) -> (u64, u64) {
    let vpcs = api.get("/v2/vpcs").await;
    let mut order = droplet("web", &["t", "u"]);
    order["vpc_uuid"] = vpcs["vpcs"][1]["id"].clone();
    order["monitoring"] = json!(true);
    api.lab.machines.hold();
    let made = api.ask(202, "POST", "/v2/droplets", order).await;
    let one = made["droplet"]["id"].as_u64().unwrap();
    api.get(&format!("/v2/droplets/{one}")).await;
    let action = made["links"]["actions"][0]["id"].as_u64().unwrap();
    api.get(&format!("/v2/actions/{action}")).await;
    api.ask(
        422,
        "POST",
        &format!("/v2/droplets/{one}/actions"),
        json!({ "type": "reboot" }),
    )
    .await;
    api.lab.machines.release();
    let several = json!({
        "names": ["a", "b"], "region": "fra1", "size": "s-1vcpu-1gb", "image": 190_000_013, "tags": ["t"],
    });
    let made = api.ask(202, "POST", "/v2/droplets", several).await;
    let two = made["droplets"][0]["id"].as_u64().unwrap();
    api.lab.until_active(one).await;
    api.lab.until_active(two).await;
    for path in ["", "?tag_name=t&per_page=1", "?name=web"] {
        api.get(&format!("/v2/droplets{path}")).await;
    }
    for part in [
        "",
        "/actions",
        "/firewalls",
        "/snapshots",
        "/backups",
        "/destroy_with_associated_resources",
    ] {
        api.get(&format!("/v2/droplets/{one}{part}")).await;
    }
    api.get(&format!("/v2/droplets/{one}/actions/{action}"))
        .await;
    api.get(&format!("/v2/actions/{action}")).await;
    api.get("/v2/actions").await;
    api.get("/v2/tags/t").await;
    let vpc = text(&vpcs["vpcs"][1]["id"]);
    api.get(&format!("/v2/vpcs/{vpc}/members")).await;
    api.ask(409, "DELETE", &format!("/v2/vpcs/{vpc}"), Value::Null)
        .await;
    let turned = api
        .ask(
            201,
            "POST",
            &format!("/v2/droplets/{two}/actions"),
            json!({ "type": "reboot" }),
        )
        .await;
    api.get(&format!("/v2/actions/{}", turned["action"]["id"]))
        .await;
    (one, two)
}

async fn firewalls(api: &mut Checked, droplet: u64) {
    let anywhere = json!({ "addresses": ["0.0.0.0/0", "::/0"] });
    let order = json!({
        "name": "web",
        "tags": ["t"],
        "droplet_ids": [droplet],
        "inbound_rules": [
            { "protocol": "tcp", "ports": "80", "sources": anywhere },
            { "protocol": "tcp", "ports": "22", "sources": { "tags": ["u"], "droplet_ids": [droplet] } },
            { "protocol": "icmp", "ports": "0", "sources": anywhere },
        ],
        "outbound_rules": [{ "protocol": "udp", "ports": "all", "destinations": anywhere }],
    });
    let made = api.ask(202, "POST", "/v2/firewalls", order.clone()).await;
    let path = format!("/v2/firewalls/{}", text(&made["firewall"]["id"]));
    api.ask(409, "POST", "/v2/firewalls", order.clone()).await;
    api.lab
        .until(&path, |reply| {
            reply.body()["firewall"]["status"] == "succeeded"
        })
        .await;
    api.get(&path).await;
    api.get("/v2/firewalls").await;
    api.get(&format!("/v2/droplets/{droplet}/firewalls")).await;
    let rules =
        json!({ "inbound_rules": [{ "protocol": "tcp", "ports": "443", "sources": anywhere }] });
    for method in ["POST", "DELETE"] {
        api.ask(204, method, &format!("{path}/rules"), rules.clone())
            .await;
        api.ask(
            204,
            method,
            &format!("{path}/tags"),
            json!({ "tags": ["u"] }),
        )
        .await;
        api.ask(
            204,
            method,
            &format!("{path}/droplets"),
            json!({ "droplet_ids": [droplet] }),
        )
        .await;
    }
    api.ask(200, "PUT", &path, order).await;
    api.ask(204, "DELETE", &path, Value::Null).await;
    api.ask(404, "GET", &path, Value::Null).await;
}

async fn reserved_ips(api: &mut Checked, one: u64, two: u64) {
    api.lab.until_active(two).await;
    api.ask(202, "POST", "/v2/reserved_ips", json!({ "region": "fra1" }))
        .await;
    let made = api
        .ask(
            202,
            "POST",
            "/v2/reserved_ips",
            json!({ "droplet_id": one }),
        )
        .await;
    let path = format!("/v2/reserved_ips/{}", text(&made["reserved_ip"]["ip"]));
    let free = |reply: &Reply| reply.body()["reserved_ip"]["locked"] == false;
    api.lab.until(&path, free).await;
    api.get(&path).await;
    api.get(&format!("/v2/droplets/{one}")).await;
    api.get(&format!(
        "/v2/droplets/{one}/destroy_with_associated_resources"
    ))
    .await;
    let assign = json!({ "type": "assign", "droplet_id": two });
    let moved = api
        .ask(201, "POST", &format!("{path}/actions"), assign)
        .await;
    api.lab.until(&path, free).await;
    api.get(&format!("{path}/actions/{}", moved["action"]["id"]))
        .await;
    api.ask(
        201,
        "POST",
        &format!("{path}/actions"),
        json!({ "type": "unassign" }),
    )
    .await;
    api.lab.until(&path, free).await;
    api.get(&format!("{path}/actions")).await;
    api.get("/v2/reserved_ips").await;
    api.ask(204, "DELETE", &path, Value::Null).await;
}

async fn endings(api: &mut Checked, one: u64, two: u64) {
    let resources =
        json!({ "resources": [{ "resource_id": one.to_string(), "resource_type": "droplet" }] });
    for method in ["POST", "DELETE"] {
        api.ask(204, method, "/v2/tags/t/resources", resources.clone())
            .await;
    }
    let path = format!("/v2/droplets/{one}/destroy_with_associated_resources/selective");
    api.ask(202, "DELETE", &path, json!({ "reserved_ips": [] }))
        .await;
    api.ask(204, "DELETE", &format!("/v2/droplets/{two}"), Value::Null)
        .await;
    api.lab.until_gone(two).await;
    api.ask(404, "GET", &format!("/v2/droplets/{two}"), Value::Null)
        .await;
    api.ask(404, "DELETE", &format!("/v2/droplets/{two}"), Value::Null)
        .await;
    api.ask(204, "DELETE", "/v2/tags/t", Value::Null).await;
    api.ask(422, "GET", "/v2/droplets?per_page=201", Value::Null)
        .await;
    api.lab
        .fault(json!({ "fault": "rate_limited", "path": "/v2/account" }))
        .await;
    api.ask(429, "GET", "/v2/account", Value::Null).await;
    api.lab
        .fault(json!({ "fault": "error_after_create" }))
        .await;
    api.ask(500, "POST", "/v2/droplets", droplet("lost", &[]))
        .await;
    let stranger = Request::get("/v2/account").body(Body::empty()).unwrap();
    let refused = api.lab.send(stranger).await;
    api.spec.check("GET", "/v2/account", &refused);
}

#[test]
fn the_check_itself_finds_what_is_wrong() {
    let Some(spec) = Spec::load("the_check_itself_finds_what_is_wrong") else {
        return;
    };
    let declared = spec.declared("GET", "/v2/droplets/7", StatusCode::OK);
    let validator = spec.validator(&declared["content"]["application/json"]["schema"]);
    assert!(!validator.is_valid(&json!({ "droplet": { "id": 7, "name": "incomplete" } })));
    assert!(!validator.is_valid(&json!({ "droplet": { "id": "seven" } })));
}
