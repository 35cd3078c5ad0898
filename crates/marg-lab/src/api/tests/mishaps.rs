//! Faults of machines, snapshots, and the token of the balancers.

use super::specification::Spec;
use super::*;

#[tokio::test]
async fn a_killed_machine_is_off_and_silent_until_it_is_healed() {
    let lab = Lab::new();
    let id = lab.droplet("web", &[]).await;
    let (faults, shown) = (
        format!("/lab/machines/{id}/faults"),
        format!("/v2/droplets/{id}"),
    );
    assert_eq!(
        lab.post(&faults, json!({ "fault": "kill" })).await.status,
        204
    );
    assert_eq!(lab.get(&shown).await.body()["droplet"]["status"], "off");
    assert_eq!(lab.machines.rules().silent, [id]);
    let again = lab.post(&faults, json!({ "fault": "freeze" })).await;
    assert_eq!(
        (again.status.as_u16(), again.message()),
        (422, "the machine is not running")
    );
    assert_eq!(lab.delete(&faults).await.status, 204);
    assert_eq!(lab.get(&shown).await.body()["droplet"]["status"], "active");
    assert!(lab.machines.rules().silent.is_empty());
}

#[tokio::test]
async fn machines_that_are_cut_off_or_slow_are_so_in_the_router() {
    let lab = Lab::new();
    let id = lab.droplet("web", &[]).await;
    let faults = format!("/lab/machines/{id}/faults");
    for fault in ["cut", "slow", "slow"] {
        assert_eq!(
            lab.post(&faults, json!({ "fault": fault })).await.status,
            204
        );
    }
    let rules = lab.machines.rules();
    assert_eq!((rules.silent, rules.lossy), (vec![id], vec![id]));
    lab.delete(&faults).await;
    let rules = lab.machines.rules();
    assert!(rules.silent.is_empty() && rules.lossy.is_empty());
    assert_eq!(
        lab.post(&faults, json!({ "fault": "fire" })).await.status,
        422
    );
    assert_eq!(lab.delete("/lab/machines/1/faults").await.status, 404);
}

#[tokio::test]
async fn a_droplet_is_kept_as_a_snapshot_and_others_start_from_it() {
    let Some(spec) = Spec::load("a_droplet_is_kept_as_a_snapshot_and_others_start_from_it") else {
        return;
    };
    let lab = Lab::new();
    let id = lab.droplet("web", &[]).await;
    let path = format!("/v2/droplets/{id}");
    let order = json!({ "type": "snapshot", "name": "baked" });
    assert_eq!(
        lab.post(&format!("{path}/actions"), order).await.status,
        201
    );
    let of_droplet = format!("{path}/snapshots");
    let found = lab
        .until(&of_droplet, |reply| reply.body()["meta"]["total"] == 1)
        .await;
    let image = found.body()["snapshots"][0]["id"].as_u64().unwrap();
    for path in [
        of_droplet.clone(),
        "/v2/snapshots?resource_type=droplet".to_owned(),
        format!("/v2/snapshots/{image}"),
        "/v2/images?private=true".to_owned(),
        format!("/v2/images/{image}"),
    ] {
        spec.check("GET", &path, &lab.get(&path).await);
    }
    let mut copy = droplet("copy", &[]);
    copy["image"] = json!(image);
    let mut small = copy.clone();
    small["size"] = json!("s-1vcpu-512mb-10gb");
    assert_eq!(lab.post("/v2/droplets", small).await.status, 422);
    let made = lab.post("/v2/droplets", copy).await;
    assert_eq!(made.body()["droplet"]["image"]["name"], "baked");
    let image = format!("/v2/images/{image}");
    assert_eq!(lab.delete(&image).await.status, 204);
    assert_eq!(lab.get(&image).await.status, 404);
}

#[tokio::test]
async fn the_balancers_token_moves_addresses_and_nothing_else() {
    let lab = Lab::new();
    let id = lab.droplet("lb", &[]).await;
    let made = lab
        .post("/v2/reserved_ips", json!({ "region": "fra1" }))
        .await;
    let ip = made.body()["reserved_ip"]["ip"]
        .as_str()
        .unwrap()
        .to_owned();
    let assign = json!({ "type": "assign", "droplet_id": id }).to_string();
    for (method, path, body, expected) in [
        ("GET", format!("/v2/reserved_ips/{ip}"), "", 200),
        ("GET", format!("/v2/droplets/{id}"), "", 200),
        (
            "POST",
            format!("/v2/reserved_ips/{ip}/actions"),
            &*assign,
            201,
        ),
        ("POST", "/v2/reserved_ips".to_owned(), "{}", 403),
        ("DELETE", format!("/v2/reserved_ips/{ip}"), "", 403),
        ("DELETE", format!("/v2/droplets/{id}"), "", 403),
        ("POST", format!("/v2/droplets/{id}/actions"), "{}", 403),
        ("GET", "/v2/account".to_owned(), "", 403),
        ("GET", "/lab/faults".to_owned(), "", 403),
    ] {
        let request = Request::builder()
            .method(method)
            .uri(&path)
            .header("authorization", format!("Bearer {ENTRY_TOKEN}"));
        let reply = lab
            .send(request.body(Body::from(body.to_owned())).unwrap())
            .await;
        assert_eq!(reply.status, expected, "{method} {path}");
    }
}
