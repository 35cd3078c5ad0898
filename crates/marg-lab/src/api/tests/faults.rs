//! Faults on demand: the cloud's bad days.

use super::*;

#[tokio::test]
async fn a_droplet_is_made_although_its_answer_never_comes() {
    let lab = Lab::new();
    lab.fault(json!({ "fault": "drop_after_create" })).await;
    let lost = lab.post("/v2/droplets", droplet("web", &["op"])).await;
    assert!(lost.body.is_none(), "the answer has to break off");
    assert_eq!(names(&lab.get("/v2/droplets?tag_name=op").await), ["web"]);
    assert_eq!(
        lab.post("/v2/droplets", droplet("web", &[])).await.status,
        202
    );
}

#[tokio::test]
async fn a_droplet_is_made_although_the_answer_is_an_error() {
    let lab = Lab::new();
    lab.fault(json!({ "fault": "error_after_create" })).await;
    let reply = lab.post("/v2/droplets", droplet("web", &[])).await;
    assert_eq!(
        (reply.status.as_u16(), &reply.body()["id"]),
        (500, &json!("server_error"))
    );
    assert_eq!(names(&lab.get("/v2/droplets?name=web").await), ["web"]);
}

#[tokio::test]
async fn other_posts_can_lose_their_answer_too() {
    let lab = Lab::new();
    lab.fault(json!({ "fault": "drop_after_create", "path": "/v2/vpcs" }))
        .await;
    assert_eq!(
        lab.post("/v2/droplets", droplet("web", &[])).await.status,
        202
    );
    let lost = lab
        .post("/v2/vpcs", json!({ "name": "v", "region": "nyc3" }))
        .await;
    assert!(lost.body.is_none());
}

#[tokio::test]
async fn requests_are_refused_with_and_without_a_time_to_come_back() {
    let lab = Lab::new();
    for (wait, header) in [(json!(7), Some("7")), (Value::Null, None)] {
        lab.fault(json!({ "fault": "rate_limited", "retry_after": wait }))
            .await;
        let reply = lab.post("/v2/droplets", droplet("web", &[])).await;
        assert_eq!(
            (reply.status.as_u16(), reply.header("retry-after")),
            (429, header)
        );
        let window = ["ratelimit-limit", "ratelimit-remaining"].map(|name| reply.header(name));
        let expected = if header.is_some() { "250" } else { "5000" };
        assert_eq!(window, [Some(expected), Some("0")]);
    }
    assert_eq!(lab.get("/v2/droplets").await.body()["meta"]["total"], 0);
}

#[tokio::test]
async fn lists_may_lag_behind_what_the_id_already_shows() {
    let lab = Lab::new();
    lab.fault(json!({ "fault": "list_lag", "seconds": 3600 }))
        .await;
    let id = lab.order("web", &["op"]).await;
    for query in ["", "?tag_name=op", "?name=web"] {
        assert!(
            names(&lab.get(&format!("/v2/droplets{query}")).await).is_empty(),
            "{query}"
        );
    }
    assert_eq!(lab.get(&format!("/v2/droplets/{id}")).await.status, 200);
    assert_eq!(lab.delete("/lab/faults").await.status, 204);
    assert_eq!(names(&lab.get("/v2/droplets").await), ["web"]);
}

#[tokio::test]
async fn a_fresh_droplet_or_action_may_be_unknown_at_first() {
    let lab = Lab::new();
    let reply = lab.post("/v2/droplets", droplet("web", &[])).await;
    let id = reply.body()["droplet"]["id"].as_u64().unwrap();
    let action = reply.body()["links"]["actions"][0]["id"].as_u64().unwrap();
    lab.fault(json!({ "fault": "not_found", "times": 2 })).await;
    lab.fault(json!({ "fault": "not_found", "path": "/v2/actions/" }))
        .await;
    let cases = [
        (format!("/v2/droplets/{id}"), 404),
        (format!("/v2/droplets/{id}"), 404),
        (format!("/v2/droplets/{id}"), 200),
        (format!("/v2/actions/{action}"), 404),
        (format!("/v2/actions/{action}"), 200),
    ];
    for (path, status) in cases {
        assert_eq!(lab.get(&path).await.status, status, "{path}");
    }
}

#[tokio::test]
async fn the_accounts_droplets_are_limited() {
    let lab = Lab::new();
    lab.fault(json!({ "fault": "droplet_limit", "limit": 1 }))
        .await;
    assert_eq!(
        lab.get("/v2/account").await.body()["account"]["droplet_limit"],
        1
    );
    lab.order("one", &[]).await;
    let reply = lab.post("/v2/droplets", droplet("two", &[])).await;
    assert_eq!(reply.status, 422);
    assert_eq!(
        reply.message(),
        "creating this/these droplet(s) will exceed your droplet limit"
    );
}

#[tokio::test]
async fn actions_may_be_refused_or_end_badly() {
    let lab = Lab::new();
    let id = lab.droplet("web", &[]).await;
    let actions = format!("/v2/droplets/{id}/actions");
    lab.fault(json!({ "fault": "pending_event" })).await;
    let reply = lab.post(&actions, json!({ "type": "power_off" })).await;
    assert_eq!(
        (reply.status.as_u16(), reply.message()),
        (422, "Droplet already has a pending event.")
    );
    lab.fault(json!({ "fault": "action_errored" })).await;
    let reply = lab.post(&actions, json!({ "type": "power_off" })).await;
    let action = reply.body()["action"]["id"].as_u64().unwrap();
    let ended = lab.get(&format!("/v2/actions/{action}")).await;
    assert_eq!(ended.body()["action"]["status"], "errored");
    let shown = lab.get(&format!("/v2/droplets/{id}")).await;
    assert_eq!(shown.body()["droplet"]["status"], "active");
    assert!(!locked(&shown));
}

#[tokio::test]
async fn a_droplet_may_be_active_before_its_addresses_can_be_read() {
    let lab = Lab::new();
    lab.fault(json!({ "fault": "active_without_addresses", "seconds": 3600 }))
        .await;
    let id = lab.droplet("web", &[]).await;
    let shown = lab.get(&format!("/v2/droplets/{id}")).await;
    assert_eq!(shown.body()["droplet"]["networks"]["v4"], json!([]));
}

#[tokio::test]
async fn an_accepted_droplet_may_vanish() {
    let lab = Lab::new();
    lab.fault(json!({ "fault": "vanish_after_create" })).await;
    let id = lab.order("web", &[]).await;
    lab.until_gone(id).await;
}

#[tokio::test]
async fn deletes_may_take_long() {
    let lab = Lab::new();
    let id = lab.droplet("web", &[]).await;
    lab.fault(json!({ "fault": "slow_delete", "seconds": 3600 }))
        .await;
    assert_eq!(lab.delete(&format!("/v2/droplets/{id}")).await.status, 204);
    let shown = lab.get(&format!("/v2/droplets/{id}")).await;
    assert_eq!((shown.status.as_u16(), locked(&shown)), (200, true));
}

#[tokio::test]
async fn a_vpc_may_keep_its_members_for_a_while() {
    let lab = Lab::new();
    lab.post("/v2/vpcs", json!({ "name": "default", "region": "fra1" }))
        .await;
    let made = lab
        .post("/v2/vpcs", json!({ "name": "v", "region": "fra1" }))
        .await;
    let path = format!("/v2/vpcs/{}", made.body()["vpc"]["id"].as_str().unwrap());
    lab.fault(json!({ "fault": "vpc_delete_conflict", "times": 2 }))
        .await;
    let mut answers = Vec::new();
    for _ in 0..3 {
        answers.push(lab.delete(&path).await.status.as_u16());
    }
    assert_eq!(answers, [409, 409, 204]);
}

#[tokio::test]
async fn faults_are_listed_and_misspelt_ones_refused() {
    let lab = Lab::new();
    assert_eq!(
        lab.post("/lab/faults", json!({ "fault": "fire" }))
            .await
            .status,
        422
    );
    assert_eq!(
        lab.post("/lab/faults", json!({ "fault": "list_lag", "secs": 1 }))
            .await
            .status,
        422
    );
    lab.fault(json!({ "fault": "list_lag", "seconds": 1 }))
        .await;
    assert_eq!(
        lab.get("/lab/faults").await.body()["faults"][0]["fault"],
        "list_lag"
    );
}
