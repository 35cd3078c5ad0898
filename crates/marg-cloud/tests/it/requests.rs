//! Single requests: pages, limits, retries, errors.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use marg_cloud::{Cloud as _, CloudError, DropletId, NewVpc, OnWait, Tag};
use serde_json::{Value, json};

use crate::server::{Reply, Request, Server, TOKEN};

fn vpc() -> NewVpc {
    NewVpc {
        name: "marg-lab".to_owned(),
        region: "fra1".to_owned(),
        ip_range: Some("10.10.0.0/20".to_owned()),
        description: String::new(),
    }
}

fn made_vpc() -> Value {
    json!({"vpc": {"id": "v-1", "name": "marg-lab", "region": "fra1", "ip_range": "10.10.0.0/20"}})
}

fn tagged(id: u64) -> Value {
    json!({"id": id, "name": format!("lab-h{id}"), "tags": ["marg-env:lab"]})
}

#[tokio::test]
async fn every_page_is_read_from_the_own_endpoint_and_items_are_counted_once() {
    let server = Server::start(|request| {
        assert_eq!(request.query["per_page"], "200");
        assert_eq!(request.query["tag_name"], "marg-env:lab");
        let page = request.query.get("page").map_or("1", String::as_str);
        let (ids, next): (&[u64], Option<&str>) = match page {
            "1" => (&[1, 2], Some("2")),
            // Item 2 has moved to the second page meanwhile.
            "2" => (&[2, 3], Some("3")),
            _ => (&[4], None),
        };
        let links = match next {
            Some(next) => json!({"pages": {"next": format!(
                "https://api.elsewhere.test/v2/droplets?page={next}&per_page=200"
            )}}),
            None => json!({}),
        };
        let droplets: Vec<Value> = ids.iter().copied().map(tagged).collect();
        Reply::Json(
            200,
            json!({"droplets": droplets, "links": links, "meta": {"total": 4}}),
        )
    })
    .await;
    let droplets = server
        .cloud()
        .droplets_tagged(&Tag::environment("lab").unwrap())
        .await
        .unwrap();
    let ids: Vec<u64> = droplets.iter().map(|droplet| droplet.id.0).collect();
    assert_eq!(ids, [1, 2, 3, 4]);
    assert_eq!(server.count("GET /v2/droplets"), 3);
}

#[tokio::test]
async fn a_list_without_end_is_an_error() {
    let server = Server::start(|request| {
        Reply::Json(
            200,
            json!({"vpcs": [], "links": {"pages": {"next": format!("{}?per_page=200", request.path)}}}),
        )
    })
    .await;
    let error = server.cloud().vpcs().await.unwrap_err();
    assert!(matches!(error, CloudError::Decode { .. }), "{error}");
}

#[tokio::test]
async fn a_filter_that_the_server_ignores_brings_no_foreign_droplets() {
    let server = Server::start(|_| {
        let foreign = json!({"id": 9, "name": "lab-h1", "tags": ["marg-env:other"]});
        Reply::Json(200, json!({"droplets": [tagged(1), foreign]}))
    })
    .await;
    let tag = Tag::environment("lab").unwrap();
    let droplets = server.cloud().droplets_tagged(&tag).await.unwrap();
    assert_eq!(droplets.len(), 1);
    assert_eq!(droplets[0].id, DropletId(1));
}

/// Answers 429 twice, then as `last` says.
fn limited(headers: Vec<(&'static str, String)>, last: Value) -> impl FnMut(&Request) -> Reply {
    let mut left = 2;
    move |_| {
        if left == 0 {
            return Reply::Json(201, last.clone());
        }
        left -= 1;
        let body = json!({"id": "too_many_requests", "message": "API Rate limit exceeded."});
        Reply::Raw(429, headers.clone(), body.to_string())
    }
}

#[tokio::test]
async fn a_429_is_waited_out_for_every_method_even_creations() {
    for headers in [
        vec![
            ("retry-after", "1".to_owned()),
            ("ratelimit-remaining", "0".to_owned()),
        ],
        vec![
            ("ratelimit-limit", "5000".to_owned()),
            ("ratelimit-reset", "1".to_owned()),
        ],
        vec![],
    ] {
        let server = Server::start(limited(headers.clone(), made_vpc())).await;
        let made = server.cloud().create_vpc(&vpc()).await.unwrap();
        assert_eq!(made.id.0, "v-1", "{headers:?}");
        assert_eq!(server.count("POST /v2/vpcs"), 3);
    }
}

#[tokio::test]
async fn whoever_listens_hears_of_a_429() {
    let mut answers = vec![
        Reply::Json(201, made_vpc()),
        Reply::Raw(429, vec![], String::new()),
    ];
    let server = Server::start(move |_| answers.pop().unwrap()).await;
    let heard = Arc::new(Mutex::new(Vec::new()));
    let ears = Arc::clone(&heard);
    let cloud = server.cloud_with(|options| {
        options.rate_limit_longest = Duration::from_secs(1);
        options.on_wait = OnWait::new(move |wait| ears.lock().unwrap().push(wait.to_string()));
    });
    cloud.create_vpc(&vpc()).await.unwrap();
    let line = "the cloud's request limit is reached (429): waiting 2 s before POST /v2/vpcs";
    assert_eq!(*heard.lock().unwrap(), [line]);
}

#[tokio::test]
async fn a_429_that_does_not_end_is_given_up() {
    let server = Server::start(|_| Reply::Raw(429, vec![], String::new())).await;
    let cloud = server.cloud_with(|options| options.rate_limit_budget = Duration::from_millis(5));
    let error = cloud.account().await.unwrap_err();
    assert!(matches!(error, CloudError::RateLimited { .. }), "{error}");
}

/// Fails `times` times as `fault` says, then answers with `last`.
fn failing(times: usize, fault: fn() -> Reply, last: Value) -> impl FnMut(&Request) -> Reply {
    let mut left = times;
    move |_| {
        if left == 0 {
            return Reply::Json(200, last.clone());
        }
        left -= 1;
        fault()
    }
}

fn html() -> Reply {
    Reply::Raw(
        502,
        vec![("content-type", "text/html".to_owned())],
        "<html>1015".to_owned(),
    )
}

#[tokio::test]
async fn reads_are_repeated_through_dropped_connections_and_junk() {
    for fault in [
        html as fn() -> Reply,
        || Reply::HangUp,
        || Reply::Json(500, json!({})),
    ] {
        let account = json!({"account": {"droplet_limit": 25, "status": "on fire"}});
        let server = Server::start(failing(3, fault, account)).await;
        let account = server.cloud().account().await.unwrap();
        assert_eq!(account.droplet_limit, Some(25));
        assert_eq!(account.status.unwrap().to_string(), "on fire");
        assert_eq!(server.count("GET /v2/account"), 4);
    }
}

#[tokio::test]
async fn reads_are_not_repeated_for_ever() {
    let server = Server::start(|_| html()).await;
    let error = server.cloud().account().await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "the cloud failed at GET /v2/account (502): an HTML page instead of JSON [request r-502]. \
         The fault is on its side; look at its status page and run the same command again"
    );
    assert_eq!(server.count("GET /v2/account"), 4);
}

#[tokio::test]
async fn creations_are_sent_once_and_their_outcome_is_unknown() {
    type Fault = fn() -> Reply;
    let cases: [(&str, Fault); 5] = [
        ("dropped", || Reply::HangUp),
        ("500", || Reply::Json(500, json!({"message": "boom"}))),
        ("html 524", html),
        ("408", || Reply::Json(408, json!({}))),
        ("unreadable success", || {
            Reply::Json(201, json!({"surprise": 1}))
        }),
    ];
    for (name, fault) in cases {
        let server = Server::start(move |_| fault()).await;
        let error = server.cloud().create_vpc(&vpc()).await.unwrap_err();
        assert!(
            matches!(error, CloudError::OutcomeUnknown { .. }),
            "{name}: {error}"
        );
        assert_eq!(server.count("POST /v2/vpcs"), 1, "{name}");
    }
}

#[tokio::test]
async fn a_closed_port_is_no_unknown_outcome() {
    let server = Server::start(|_| Reply::HangUp).await;
    let cloud = server.cloud();
    drop(server);
    // The listener is gone once its aborted task has been dropped.
    tokio::task::yield_now().await;
    let error = cloud.create_vpc(&vpc()).await.unwrap_err();
    assert!(matches!(error, CloudError::Transport { .. }), "{error}");
}

#[tokio::test]
async fn refusals_are_told_apart_and_carry_the_clouds_words() {
    for (status, message, expected) in [
        (401, "Unable to authenticate you.", "Unauthorized"),
        (403, "You are not authorized", "Forbidden"),
        (404, "gone", "NotFound"),
        (409, "duplicate name", "Refused"),
        (422, "range overlaps", "Refused"),
        (302, "", "Decode"),
    ] {
        let server = Server::start(move |_| Reply::refused(status, message)).await;
        let error = server.cloud().create_vpc(&vpc()).await.unwrap_err();
        assert!(
            format!("{error:?}").starts_with(expected),
            "{status}: {error:?}"
        );
        if !matches!(status, 401 | 404 | 302) {
            assert!(error.to_string().contains(message), "{error}");
        }
        assert_eq!(server.count("POST /v2/vpcs"), 1);
    }
}

#[tokio::test]
async fn no_token_is_ever_shown() {
    let server = Server::start(|request| {
        let echoed = &request.headers["authorization"];
        Reply::refused(422, &format!("bad header {echoed} and dop_v1_abc123 too"))
    })
    .await;
    let error = server.cloud().account().await.unwrap_err();
    let shown = format!("{error} {error:?} {:?}", server.cloud());
    assert!(
        shown.contains("bad header Bearer [token] and [token] too"),
        "{shown}"
    );
    assert!(
        !shown.contains("canary") && !shown.contains("abc123"),
        "{shown}"
    );
    let sent = &server.requests()[0].headers["authorization"];
    assert_eq!(sent, &format!("Bearer {TOKEN}"));
}

#[tokio::test]
async fn what_is_gone_is_deleted_and_what_is_absent_is_none() {
    let server = Server::start(|_| Reply::not_found()).await;
    let cloud = server.cloud();
    cloud.delete_vpc(&crate::script::own_vpc()).await.unwrap();
    assert_eq!(cloud.droplet(DropletId(7)).await.unwrap(), None);
    assert_eq!(cloud.find_image("debian-13-x64").await.unwrap(), None);
}

#[tokio::test]
async fn a_slug_cannot_lead_to_another_path() {
    let server = Server::start(|_| Reply::not_found()).await;
    assert!(server.cloud().find_image("../account").await.is_err());
    assert_eq!(server.requests().len(), 0);
}

#[tokio::test]
async fn prices_come_from_the_api() {
    let server = Server::start(|_| {
        Reply::Json(
            200,
            json!({"sizes": [{"slug": "s-1vcpu-1gb", "memory": 1024, "vcpus": 1, "disk": 25,
                "transfer": 1.0, "price_monthly": 6, "price_hourly": 0.00893,
                "regions": ["fra1"], "available": true, "networking_throughput": 2000}]}),
        )
    })
    .await;
    let sizes = server.cloud().sizes().await.unwrap();
    assert_eq!((sizes[0].price_monthly, sizes[0].memory), (6.0, 1024));
    assert!(sizes[0].offered_in("fra1") && !sizes[0].offered_in("nyc3"));
}
