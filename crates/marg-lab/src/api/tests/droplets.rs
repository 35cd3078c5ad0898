//! The life of a droplet.

use super::*;

#[tokio::test]
async fn a_droplet_is_new_and_locked_then_active_with_addresses() {
    let lab = Lab::new();
    lab.machines.hold();
    let reply = lab.post("/v2/droplets", droplet("web", &["a"])).await;
    let made = &reply.body()["droplet"];
    assert_eq!(
        (&made["status"], &made["locked"]),
        (&json!("new"), &json!(true))
    );
    assert_eq!(made["networks"], json!({ "v4": [], "v6": [] }));
    let link = &reply.body()["links"]["actions"][0];
    let action = link["id"].as_u64().unwrap();
    assert_eq!(
        (&link["rel"], &link["href"]),
        (
            &json!("create"),
            &json!(format!("http://127.0.0.1:4050/v2/actions/{action}")),
        )
    );
    let running = lab.get(&format!("/v2/actions/{action}")).await;
    assert_eq!(running.body()["action"]["status"], "in-progress");
    assert_eq!(running.body()["action"]["completed_at"], Value::Null);

    lab.machines.release();
    let id = made["id"].as_u64().unwrap();
    lab.until_active(id).await;
    let ended = lab
        .get(&format!("/v2/droplets/{id}/actions/{action}"))
        .await;
    assert_eq!(ended.body()["action"]["status"], "completed");
    let shown = lab.get(&format!("/v2/droplets/{id}")).await;
    let v4 = shown.body()["droplet"]["networks"]["v4"]
        .as_array()
        .unwrap()
        .clone();
    let kinds: Vec<&str> = v4.iter().map(|net| net["type"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["private", "public"]);
    assert_eq!(v4[0]["ip_address"], "10.114.0.2");
    assert_eq!(v4[1]["ip_address"], "198.18.0.10");
}

#[tokio::test]
async fn one_event_at_a_time() {
    let lab = Lab::new();
    lab.machines.hold();
    let id = lab.order("web", &[]).await;
    let path = format!("/v2/droplets/{id}");
    let actions = format!("{path}/actions");
    for kind in ["power_off", "reboot", "rename", "resize"] {
        let reply = lab
            .post(&actions, json!({ "type": kind, "name": "n" }))
            .await;
        assert_eq!(
            (reply.status.as_u16(), reply.message()),
            (422, "Droplet already has a pending event.")
        );
    }
    assert_eq!(lab.delete(&path).await.status, 422);
    lab.machines.release();
    lab.until_active(id).await;
    lab.machines.hold();
    assert_eq!(
        lab.post(&actions, json!({ "type": "power_off" }))
            .await
            .status,
        201
    );
    assert!(locked(&lab.get(&path).await));
    assert_eq!(
        lab.post(&actions, json!({ "type": "power_on" }))
            .await
            .status,
        422
    );
    lab.machines.release();
    lab.until(&path, |reply| !locked(reply)).await;
}

#[tokio::test]
async fn power_is_switched_and_refused_when_it_is_so_already() {
    let lab = Lab::new();
    let id = lab.droplet("web", &[]).await;
    let path = format!("/v2/droplets/{id}");
    // The action, whether it is taken, and the status that follows.
    let cases = [
        ("power_on", Err("Droplet is already powered on"), "active"),
        ("power_off", Ok(()), "off"),
        ("power_off", Err("Droplet is already powered off"), "off"),
        ("shutdown", Err("Droplet is already powered off"), "off"),
        ("reboot", Err("Droplet is powered off"), "off"),
        ("power_on", Ok(()), "active"),
        ("reboot", Ok(()), "active"),
        ("power_cycle", Ok(()), "active"),
        ("shutdown", Ok(()), "off"),
        (
            "explode",
            Err("the lab does not know the action explode"),
            "off",
        ),
    ];
    for (kind, outcome, status) in cases {
        let reply = lab
            .post(&format!("{path}/actions"), json!({ "type": kind }))
            .await;
        match outcome {
            Ok(()) => assert_eq!(reply.status, 201, "{kind}"),
            Err(message) => assert_eq!((reply.status.as_u16(), reply.message()), (422, message)),
        }
        let settled = lab.until(&path, |reply| !locked(reply)).await;
        assert_eq!(settled.body()["droplet"]["status"], status, "{kind}");
    }
    let done = lab.get(&format!("{path}/actions")).await;
    assert_eq!(done.body()["actions"][0]["type"], "shutdown");
    assert_eq!(done.body()["meta"]["total"], 6);
}

#[tokio::test]
async fn a_machine_that_ends_by_itself_is_off() {
    let lab = Lab::new();
    let id = lab.droplet("web", &[]).await;
    lab.machines.halt(id);
    crate::lifecycle::look_after(&lab.cloud, id).await;
    assert_eq!(
        lab.get(&format!("/v2/droplets/{id}")).await.body()["droplet"]["status"],
        "off"
    );
}

#[tokio::test]
async fn a_deleted_droplet_stays_for_a_moment_and_is_then_not_found() {
    let lab = Lab::new();
    let id = lab.droplet("web", &[]).await;
    let path = format!("/v2/droplets/{id}");
    lab.machines.hold();
    assert_eq!(lab.delete(&path).await.status, 204);
    assert_eq!(lab.get(&path).await.status, 200);
    assert_eq!(lab.delete(&path).await.status, 204);
    lab.machines.release();
    lab.until_gone(id).await;
    assert_eq!(lab.delete(&path).await.status, 404);
    assert_eq!(lab.get("/v2/droplets").await.body()["meta"]["total"], 0);
}

#[tokio::test]
async fn a_machine_that_cannot_be_made_takes_its_droplet_with_it() {
    let lab = Lab::with(FakeMachines::breaking("broken"));
    let reply = lab.post("/v2/droplets", droplet("broken-1", &[])).await;
    let action = reply.body()["links"]["actions"][0]["id"].as_u64().unwrap();
    lab.until_gone(reply.body()["droplet"]["id"].as_u64().unwrap())
        .await;
    let ended = lab.get(&format!("/v2/actions/{action}")).await;
    assert_eq!(ended.body()["action"]["status"], "errored");
}

#[tokio::test]
async fn droplets_are_found_by_name_and_by_tag_and_names_may_repeat() {
    let lab = Lab::new();
    for (name, tag) in [("web", "a"), ("web", "b"), ("db", "b")] {
        lab.order(name, &[tag]).await;
    }
    let cases = [
        ("name=web", vec!["web", "web"]),
        ("name=WEB", vec!["web", "web"]),
        ("name=we", vec![]),
        ("tag_name=b", vec!["web", "db"]),
        ("tag_name=none", vec![]),
        ("type=droplets", vec!["web", "web", "db"]),
        ("type=gpus", vec![]),
    ];
    for (query, expected) in cases {
        assert_eq!(
            names(&lab.get(&format!("/v2/droplets?{query}")).await),
            expected,
            "{query}"
        );
    }
    assert_eq!(
        lab.get("/v2/droplets?tag_name=b&name=web").await.status,
        422
    );
}

#[tokio::test]
async fn several_droplets_are_made_by_one_request() {
    let lab = Lab::new();
    let mut order = droplet("", &[]);
    order["name"] = Value::Null;
    order["names"] = json!(["a", "b"]);
    let reply = lab.post("/v2/droplets", order.clone()).await;
    assert_eq!(names(&reply), ["a", "b"]);
    assert_eq!(
        reply.body()["links"]["actions"].as_array().unwrap().len(),
        2
    );
    order["name"] = json!("both");
    assert_eq!(lab.post("/v2/droplets", order).await.status, 422);
}

#[tokio::test]
async fn impossible_orders_are_refused_and_leave_nothing() {
    let lab = Lab::new();
    let cases = [
        (
            "name",
            json!("under_score"),
            "Only valid hostname characters",
        ),
        ("name", Value::Null, "exactly one of name and names"),
        ("size", json!("s-huge"), "invalid size"),
        ("image", json!("windows"), "invalid image"),
        ("region", json!("mars1"), "invalid region"),
        (
            "ssh_keys",
            json!(["aa:bb"]),
            "aa:bb are invalid key identifiers for Droplet creation.",
        ),
        ("tags", json!(["a b"]), "not a valid tag"),
        (
            "vpc_uuid",
            json!("11111111-0000-4000-8000-000000000000"),
            "VPC",
        ),
        ("user_data", json!("x".repeat(64 * 1024 + 1)), "64 KiB"),
    ];
    for (field, value, message) in cases {
        let mut order = droplet("web", &[]);
        order[field] = value;
        let reply = lab.post("/v2/droplets", order).await;
        assert_eq!(reply.status, 422, "{field}");
        assert!(
            reply.message().contains(message),
            "{field}: {}",
            reply.message()
        );
    }
    assert_eq!(lab.get("/v2/droplets").await.body()["meta"]["total"], 0);
    assert_eq!(lab.get("/v2/tags").await.body()["meta"]["total"], 0);
}

#[tokio::test]
async fn a_resize_needs_an_off_droplet_and_never_a_smaller_disk() {
    let lab = Lab::new();
    let id = lab.droplet("web", &[]).await;
    let path = format!("/v2/droplets/{id}");
    let actions = format!("{path}/actions");
    let resize = |size: &str, disk: bool| json!({ "type": "resize", "size": size, "disk": disk });
    assert_eq!(
        lab.post(&actions, resize("s-2vcpu-4gb", false))
            .await
            .status,
        422
    );
    lab.post(&actions, json!({ "type": "power_off" })).await;
    lab.until(&path, |reply| !locked(reply)).await;
    let shown = || async { lab.get(&path).await.body()["droplet"].clone() };

    assert_eq!(
        lab.post(&actions, resize("s-2vcpu-4gb", false))
            .await
            .status,
        201
    );
    let droplet = shown().await;
    assert_eq!(
        (&droplet["memory"], &droplet["disk"]),
        (&json!(4096), &json!(25))
    );
    lab.post(&actions, resize("s-2vcpu-4gb", true)).await;
    assert_eq!(shown().await["disk"], 80);
    let reply = lab.post(&actions, resize("s-1vcpu-1gb", false)).await;
    assert_eq!(
        reply.message(),
        "Size can not decrease size of Droplet's disk image"
    );
    lab.post(&actions, json!({ "type": "rename", "name": "new" }))
        .await;
    assert_eq!(shown().await["name"], "new");
}

#[tokio::test]
async fn a_droplet_can_be_destroyed_with_its_reserved_address() {
    let lab = Lab::new();
    let id = lab.droplet("web", &[]).await;
    let reserved = lab
        .post("/v2/reserved_ips", json!({ "droplet_id": id }))
        .await;
    let ip = reserved.body()["reserved_ip"]["ip"]
        .as_str()
        .unwrap()
        .to_owned();
    let path = format!("/v2/droplets/{id}/destroy_with_associated_resources");
    let found = lab.get(&path).await;
    assert_eq!(found.body()["reserved_ips"][0]["id"], ip);
    let reply = lab
        .ask(
            "DELETE",
            &format!("{path}/selective"),
            json!({ "reserved_ips": [ip] }),
        )
        .await;
    assert_eq!((reply.status.as_u16(), reply.body()), (202, &Value::Null));
    lab.until_gone(id).await;
    assert_eq!(lab.get("/v2/reserved_ips").await.body()["meta"]["total"], 0);
}

#[tokio::test]
async fn every_droplet_of_a_tag_can_be_deleted_at_once() {
    let lab = Lab::new();
    let (a, b) = (
        lab.droplet("a", &["t"]).await,
        lab.droplet("b", &["t"]).await,
    );
    lab.droplet("c", &["u"]).await;
    assert_eq!(lab.delete("/v2/droplets").await.status, 422);
    assert_eq!(lab.delete("/v2/droplets?tag_name=t").await.status, 204);
    lab.until_gone(a).await;
    lab.until_gone(b).await;
    assert_eq!(names(&lab.get("/v2/droplets").await), ["c"]);
}
