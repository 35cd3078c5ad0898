//! What holds for every request: token, pages, spelling, limits.

use super::*;

#[tokio::test]
async fn only_the_token_opens_the_api() {
    let lab = Lab::new();
    let cases = [
        (None, 401),
        (Some("Bearer wrong".to_owned()), 401),
        (Some(format!("Basic {TOKEN}")), 401),
        (Some("Bearer ".to_owned()), 401),
        (Some(format!("Bearer {TOKEN}")), 200),
    ];
    for (value, status) in cases {
        for path in ["/v2/account", "/lab/faults"] {
            let mut request = Request::builder().uri(path);
            if let Some(value) = &value {
                request = request.header("authorization", value);
            }
            let reply = lab.send(request.body(Body::empty()).unwrap()).await;
            assert_eq!(reply.status, status, "{value:?} {path}");
            if status == 401 {
                assert_eq!(reply.body()["id"], "unauthorized");
                assert_eq!(reply.message(), "Unable to authenticate you.");
            }
        }
    }
}

#[tokio::test]
async fn unknown_paths_and_methods_are_not_found_in_the_apis_own_words() {
    let lab = Lab::new();
    for (method, path) in [("GET", "/v2/nothing"), ("PATCH", "/v2/sizes"), ("GET", "/")] {
        let reply = lab.ask(method, path, Value::Null).await;
        assert_eq!(
            (reply.status.as_u16(), &reply.body()["id"]),
            (404, &json!("not_found")),
            "{path}"
        );
        assert!(reply.header("x-request-id").is_some());
    }
}

#[tokio::test]
async fn a_slash_at_the_end_changes_nothing() {
    let lab = Lab::new();
    let id = lab.order("web", &["a"]).await;
    for path in [
        "/v2/droplets/",
        "/v2/droplets/?tag_name=a",
        &format!("/v2/droplets/{id}/"),
        "/v2/account/",
    ] {
        assert_eq!(lab.get(path).await.status, 200, "{path}");
    }
    assert_eq!(names(&lab.get("/v2/droplets/?name=web").await), ["web"]);
    assert_eq!(
        lab.post("/v2/tags/", json!({ "name": "b" })).await.status,
        201
    );
}

#[tokio::test]
async fn null_counts_as_absent_and_a_body_of_a_get_is_ignored() {
    let lab = Lab::new();
    let mut order = droplet("web", &[]);
    for field in [
        "vpc_uuid",
        "user_data",
        "tags",
        "ssh_keys",
        "monitoring",
        "names",
        "volumes",
    ] {
        order[field] = Value::Null;
    }
    assert_eq!(lab.post("/v2/droplets", order).await.status, 202);
    assert_eq!(
        lab.ask("GET", "/v2/droplets", json!({ "odd": 1 }))
            .await
            .status,
        200
    );
    let reply = lab
        .post(
            "/v2/vpcs",
            json!({ "name": "v", "region": "fra1", "ip_range": null }),
        )
        .await;
    assert_eq!(reply.status, 201);
}

#[tokio::test]
async fn bodies_that_cannot_be_read_are_refused_with_the_reason() {
    let lab = Lab::new();
    let cases = [json!([1]), json!({ "name": 5 }), json!({})];
    for body in cases {
        let reply = lab.post("/v2/tags", body.clone()).await;
        assert_eq!(reply.status, 422, "{body}");
        assert!(reply.message().contains("payload"), "{body}");
    }
    let request = Request::post("/v2/tags").header("authorization", format!("Bearer {TOKEN}"));
    let reply = lab.send(request.body(Body::from("{")).unwrap()).await;
    assert_eq!(
        (reply.status.as_u16(), reply.message()),
        (422, "request payload is not valid JSON")
    );
}

#[tokio::test]
async fn collections_come_in_pages_with_links_on_the_labs_own_host() {
    let lab = Lab::new();
    for number in 0..5 {
        lab.post("/v2/tags", json!({ "name": format!("t{number}") }))
            .await;
    }
    let base = "http://127.0.0.1:4050/v2/tags";
    let link = |page: u32| format!("{base}?page={page}&per_page=2");
    let cases = [
        (1, 2, json!({ "next": link(2), "last": link(3) })),
        (
            2,
            2,
            json!({ "first": link(1), "prev": link(1), "next": link(3), "last": link(3) }),
        ),
        (3, 1, json!({ "first": link(1), "prev": link(2) })),
    ];
    for (page, shown, links) in cases {
        let reply = lab.get(&format!("/v2/tags?per_page=2&page={page}")).await;
        assert_eq!(
            reply.body()["tags"].as_array().unwrap().len(),
            shown,
            "page {page}"
        );
        assert_eq!(reply.body()["links"]["pages"], links, "page {page}");
        assert_eq!(reply.body()["meta"]["total"], 5);
    }
    let whole = lab.get("/v2/tags").await;
    assert_eq!(whole.body()["links"], json!({}));
    assert_eq!(lab.get("/v2/tags?page=9").await.body()["tags"], json!([]));
}

#[tokio::test]
async fn links_keep_the_filter_and_pages_have_limits() {
    let lab = Lab::new();
    lab.order("a", &["x:y"]).await;
    lab.order("b", &["x:y"]).await;
    let reply = lab.get("/v2/droplets?tag_name=x:y&per_page=1").await;
    assert_eq!(
        reply.body()["links"]["pages"]["next"],
        "http://127.0.0.1:4050/v2/droplets?tag_name=x%3Ay&page=2&per_page=1"
    );
    for (query, status) in [
        ("per_page=200", 200),
        ("per_page=201", 422),
        ("per_page=0", 422),
        ("per_page=x", 422),
    ] {
        let reply = lab.get(&format!("/v2/droplets?{query}")).await;
        assert_eq!(reply.status, status, "{query}");
    }
}

#[tokio::test]
async fn the_minute_refuses_with_its_own_numbers_and_says_when_to_come_back() {
    let lab = Lab::new();
    let first = lab.get("/v2/account").await;
    let window = ["ratelimit-limit", "ratelimit-remaining"].map(|name| first.header(name));
    assert_eq!(window, [Some("5000"), Some("4999")]);
    let mut reply = first;
    for _ in 1..=250 {
        reply = lab.get("/v2/account").await;
    }
    assert_eq!(
        (reply.status.as_u16(), &reply.body()["id"]),
        (429, &json!("too_many_requests"))
    );
    let window = ["ratelimit-limit", "ratelimit-remaining"].map(|name| reply.header(name));
    assert_eq!(window, [Some("250"), Some("0")]);
    assert!(reply.header("retry-after").unwrap().parse::<u64>().unwrap() <= 60);
    assert!(reply.header("ratelimit-reset").is_some());
    // The lab's own paths are not the cloud's.
    assert_eq!(lab.get("/lab/faults").await.status, 200);
}

#[tokio::test]
async fn listing_keys_is_limited_apart_from_reading_one() {
    let lab = Lab::new();
    for _ in 0..10 {
        assert_eq!(lab.get("/v2/account/keys").await.status, 200);
    }
    let reply = lab.get("/v2/account/keys").await;
    assert_eq!(
        (reply.status.as_u16(), reply.header("ratelimit-limit")),
        (429, Some("10"))
    );
    assert_eq!(lab.get("/v2/account/keys/1").await.status, 404);
    assert_eq!(
        lab.post(
            "/v2/account/keys",
            json!({ "name": "k", "public_key": KEY })
        )
        .await
        .status,
        201
    );
}

#[tokio::test]
async fn strangers_use_nothing_up() {
    let lab = Lab::new();
    let stranger = || Request::get("/v2/account").body(Body::empty()).unwrap();
    assert_eq!(
        lab.send(stranger()).await.header("ratelimit-remaining"),
        Some("5000")
    );
    assert_eq!(
        lab.send(stranger()).await.header("ratelimit-remaining"),
        Some("5000")
    );
}

#[tokio::test]
async fn a_key_exists_once_and_is_found_by_its_fingerprint() {
    let lab = Lab::new();
    let made = lab
        .post(
            "/v2/account/keys",
            json!({ "name": "one", "public_key": KEY }),
        )
        .await;
    let fingerprint = made.body()["ssh_key"]["fingerprint"].as_str().unwrap();
    let again = lab
        .post(
            "/v2/account/keys",
            json!({ "name": "two", "public_key": KEY }),
        )
        .await;
    assert_eq!(
        (again.status.as_u16(), again.message()),
        (422, "SSH Key is already in use on your account")
    );
    let id = &made.body()["ssh_key"]["id"];
    for path in [
        format!("/v2/account/keys/{fingerprint}"),
        format!("/v2/account/keys/{id}"),
    ] {
        assert_eq!(
            lab.get(&path).await.body()["ssh_key"]["name"],
            "one",
            "{path}"
        );
    }
    let path = format!("/v2/account/keys/{id}");
    let renamed = lab.ask("PUT", &path, json!({ "name": "new" })).await;
    assert_eq!(renamed.body()["ssh_key"]["name"], "new");
    assert_eq!(lab.delete(&path).await.status, 204);
    assert_eq!(lab.delete(&path).await.status, 404);
    let bad = lab
        .post(
            "/v2/account/keys",
            json!({ "name": "bad", "public_key": "nonsense" }),
        )
        .await;
    assert_eq!(bad.status, 422);
}

#[tokio::test]
async fn tags_keep_their_first_spelling_and_match_in_any_case() {
    let lab = Lab::new();
    for name in ["Marg", "marg", "MARG"] {
        let reply = lab.post("/v2/tags", json!({ "name": name })).await;
        assert_eq!(
            (reply.status.as_u16(), &reply.body()["tag"]["name"]),
            (201, &json!("Marg")),
            "{name}"
        );
    }
    let id = lab.droplet("web", &["mArg"]).await;
    let shown = lab.get(&format!("/v2/droplets/{id}")).await;
    assert_eq!(shown.body()["droplet"]["tags"], json!(["Marg"]));
    assert_eq!(names(&lab.get("/v2/droplets?tag_name=marG").await), ["web"]);
    assert_eq!(
        lab.get("/v2/tags/Marg").await.body()["tag"]["resources"]["count"],
        1
    );
    // Addresses need the first spelling.
    assert_eq!(lab.get("/v2/tags/marg").await.status, 404);
    for bad in ["a b", "a.b", "a/b", "", "a=b"] {
        assert_eq!(
            lab.post("/v2/tags", json!({ "name": bad })).await.status,
            422,
            "{bad:?}"
        );
    }
}

#[tokio::test]
async fn tags_are_put_on_and_taken_off_droplets() {
    let lab = Lab::new();
    let id = lab.droplet("web", &[]).await;
    lab.post("/v2/tags", json!({ "name": "t" })).await;
    let web =
        json!({ "resources": [{ "resource_id": id.to_string(), "resource_type": "droplet" }] });
    let tagged = || async { names(&lab.get("/v2/droplets?tag_name=t").await).len() };
    assert_eq!(
        lab.post("/v2/tags/t/resources", web.clone()).await.status,
        204
    );
    assert_eq!(tagged().await, 1);
    assert_eq!(
        lab.ask("DELETE", "/v2/tags/t/resources", web.clone())
            .await
            .status,
        204
    );
    assert_eq!(tagged().await, 0);
    lab.post("/v2/tags/t/resources", web).await;
    assert_eq!(lab.delete("/v2/tags/t").await.status, 204);
    assert_eq!(tagged().await, 0);
    let nobody = json!({ "resources": [{ "resource_id": "1", "resource_type": "droplet" }] });
    assert_eq!(lab.post("/v2/tags/t/resources", nobody).await.status, 404);
}
