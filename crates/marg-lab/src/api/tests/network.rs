//! VPCs and reserved addresses, down to the rules that the router gets.

use std::net::Ipv4Addr;

use super::*;

#[tokio::test]
async fn a_reserved_address_moves_from_droplet_to_droplet() {
    let lab = Lab::new();
    let (one, two) = (lab.droplet("one", &[]).await, lab.droplet("two", &[]).await);
    let made = lab
        .post("/v2/reserved_ips", json!({ "droplet_id": one }))
        .await;
    assert_eq!(made.status, 202);
    assert_eq!(made.body()["links"]["actions"][0]["rel"], "assign_ip");
    let text = made.body()["reserved_ip"]["ip"]
        .as_str()
        .unwrap()
        .to_owned();
    let ip: Ipv4Addr = text.parse().unwrap();
    let path = format!("/v2/reserved_ips/{ip}");
    let leads_to = |id: u64| {
        let place = lab
            .cloud
            .store
            .read(|records| records.droplet(id).unwrap().place_public);
        lab.machines.rules().reserved == [(ip, place)]
    };
    until_rules(&lab, |_| leads_to(one)).await;
    let free = |reply: &Reply| reply.body()["reserved_ip"]["locked"] == false;
    lab.until(&path, free).await;
    let shown = lab.get(&format!("/v2/droplets/{one}")).await;
    assert_eq!(
        shown.body()["droplet"]["networks"]["v4"]
            .as_array()
            .unwrap()
            .len(),
        3
    );

    let assign = json!({ "type": "assign", "droplet_id": two });
    let moved = lab.post(&format!("{path}/actions"), assign).await;
    assert_eq!(
        (moved.status.as_u16(), &moved.body()["action"]["type"]),
        (201, &json!("assign_ip"))
    );
    assert_eq!(moved.body()["action"]["resource_type"], "reserved_ip");
    lab.until(&path, free).await;
    assert!(leads_to(two));
    let action = moved.body()["action"]["id"].as_u64().unwrap();
    let ended = lab.get(&format!("{path}/actions/{action}")).await;
    assert_eq!(ended.body()["action"]["status"], "completed");

    lab.delete(&format!("/v2/droplets/{two}")).await;
    lab.until_gone(two).await;
    assert_eq!(
        lab.get(&path).await.body()["reserved_ip"]["droplet"],
        Value::Null
    );
    until_rules(&lab, |lab| lab.machines.rules().reserved.is_empty()).await;
    let idle = lab
        .post(&format!("{path}/actions"), json!({ "type": "unassign" }))
        .await;
    assert_eq!(idle.status, 422);
    assert_eq!(lab.delete(&path).await.status, 204);
    assert_eq!(lab.get(&path).await.status, 404);
}

#[tokio::test]
async fn a_reserved_address_can_wait_for_its_droplet() {
    let lab = Lab::new();
    let made = lab
        .post("/v2/reserved_ips", json!({ "region": "fra1" }))
        .await;
    assert_eq!(
        (made.status.as_u16(), &made.body()["reserved_ip"]["droplet"]),
        (202, &Value::Null)
    );
    assert_eq!(made.body()["reserved_ip"]["region"]["slug"], "fra1");
    let path = format!(
        "/v2/reserved_ips/{}",
        made.body()["reserved_ip"]["ip"].as_str().unwrap()
    );
    let id = lab.droplet("web", &[]).await;
    let actions = format!("{path}/actions");
    let assign = json!({ "type": "assign", "droplet_id": id });
    assert_eq!(lab.post(&actions, assign.clone()).await.status, 201);
    lab.until(&path, |reply| {
        reply.body()["reserved_ip"]["locked"] == false
    })
    .await;
    assert_eq!(
        lab.get(&path).await.body()["reserved_ip"]["droplet"]["id"],
        id
    );
    // One per droplet.
    assert_eq!(
        lab.post("/v2/reserved_ips", json!({ "droplet_id": id }))
            .await
            .status,
        422
    );
    assert_eq!(
        lab.post("/v2/reserved_ips", json!({ "droplet_id": 1 }))
            .await
            .status,
        404
    );
    assert_eq!(lab.post("/v2/reserved_ips", json!({})).await.status, 422);
    assert_eq!(
        lab.post(&actions, json!({ "type": "unassign" }))
            .await
            .status,
        201
    );
    lab.until(&path, |reply| {
        reply.body()["reserved_ip"]["locked"] == false
    })
    .await;
    assert_eq!(lab.get("/v2/reserved_ips").await.body()["meta"]["total"], 1);
}

#[tokio::test]
async fn a_vpc_is_deleted_only_without_members_and_a_default_one_never() {
    let lab = Lab::new();
    let first = lab
        .post("/v2/vpcs", json!({ "name": "first", "region": "fra1" }))
        .await;
    assert_eq!(first.body()["vpc"]["default"], true);
    let order = json!({ "name": "own", "region": "fra1", "ip_range": "10.20.0.0/20" });
    let made = lab.post("/v2/vpcs", order).await;
    let vpc = made.body()["vpc"]["id"].as_str().unwrap().to_owned();
    let path = format!("/v2/vpcs/{vpc}");
    let mut order = droplet("web", &[]);
    order["vpc_uuid"] = json!(vpc);
    let id = lab.post("/v2/droplets", order).await.body()["droplet"]["id"]
        .as_u64()
        .unwrap();
    lab.until_active(id).await;
    assert_eq!(
        address(&lab, id, "private").await,
        Ipv4Addr::new(10, 20, 0, 2)
    );
    let members = lab
        .get(&format!("{path}/members?resource_type=droplet"))
        .await;
    assert_eq!(
        members.body()["members"][0]["urn"],
        format!("do:droplet:{id}")
    );

    let refused = lab.delete(&path).await;
    assert_eq!(
        (refused.status.as_u16(), refused.message()),
        (409, "Can not delete VPC with members")
    );
    lab.delete(&format!("/v2/droplets/{id}")).await;
    lab.until_gone(id).await;
    assert_eq!(lab.delete(&path).await.status, 204);
    let default = first.body()["vpc"]["id"].as_str().unwrap();
    assert_eq!(lab.delete(&format!("/v2/vpcs/{default}")).await.status, 403);
}

#[tokio::test]
async fn vpcs_have_unique_names_and_ranges_of_their_own() {
    let lab = Lab::new();
    let vpc =
        |name: &str, range: &str| json!({ "name": name, "region": "fra1", "ip_range": range });
    let cases = [
        (vpc("a", "10.20.0.0/20"), 201),
        (vpc("a", "10.30.0.0/20"), 409),
        (vpc("b", "10.20.8.0/24"), 422),
        (vpc("b", "198.18.0.0/20"), 422),
        (vpc("b", "nonsense"), 422),
        (vpc("b_c", "10.30.0.0/20"), 422),
        (vpc("b", "10.30.0.0/20"), 201),
        (json!({ "name": "c", "region": "mars1" }), 422),
    ];
    for (order, status) in cases {
        assert_eq!(
            lab.post("/v2/vpcs", order.clone()).await.status,
            status,
            "{order}"
        );
    }
    let listed = lab.get("/v2/vpcs").await;
    let path = format!(
        "/v2/vpcs/{}",
        listed.body()["vpcs"][1]["id"].as_str().unwrap()
    );
    let changed = lab
        .ask(
            "PATCH",
            &path,
            json!({ "default": true, "description": "d" }),
        )
        .await;
    assert_eq!(changed.body()["vpc"]["name"], "b");
    let defaults: Vec<Value> = lab.get("/v2/vpcs").await.body()["vpcs"]
        .as_array()
        .unwrap()
        .iter()
        .map(|vpc| vpc["default"].clone())
        .collect();
    assert_eq!(defaults, [false, true]);
    let put = lab.ask("PUT", &path, json!({ "name": "new" })).await;
    assert_eq!(
        (
            &put.body()["vpc"]["name"],
            &put.body()["vpc"]["description"]
        ),
        (&json!("new"), &json!(""))
    );
}
