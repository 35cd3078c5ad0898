//! Switching off in a good way, another size, and on again.

use std::time::Duration;

use marg_cloud::{CloudError, resize_and_start, shut_down};
use serde_json::{Value, json};

use crate::script::{action, droplet, ok, owned, script};
use crate::server::{Reply, Server};

const ACTIONS: &str = "POST /v2/droplets/7/actions";

fn seen(status: &str, size: &str) -> Reply {
    let mut seen = droplet(7, status, json!(["marg-env:lab"]));
    seen["size_slug"] = json!(size);
    ok(json!({ "droplet": seen }))
}

fn completed() -> (&'static str, Vec<Reply>) {
    ("GET /v2/actions/5", vec![ok(action(5, "completed"))])
}

/// What was asked of the droplet, in order.
fn asked(server: &Server) -> Vec<Value> {
    let sent = server.requests().into_iter();
    sent.filter(|request| request.method == "POST")
        .map(|request| request.body)
        .collect()
}

#[tokio::test]
async fn a_guest_that_shuts_down_keeps_its_power_until_it_is_down() {
    let states = ["active", "active", "active", "off"].map(|status| seen(status, "small"));
    let server = Server::start(script(vec![
        ("GET /v2/droplets/7", states.into()),
        (ACTIONS, vec![ok(action(5, "in-progress"))]),
        completed(),
    ]))
    .await;
    shut_down(&server.cloud(), &owned(7)).await.unwrap();
    assert_eq!(asked(&server), [json!({"type": "shutdown"})]);
}

#[tokio::test]
async fn a_guest_that_does_not_listen_loses_its_power() {
    for end in ["completed", "errored"] {
        let server = Server::start(script(vec![
            ("GET /v2/droplets/7", vec![seen("active", "small")]),
            (
                ACTIONS,
                vec![ok(action(5, "in-progress")), ok(action(6, "in-progress"))],
            ),
            ("GET /v2/actions/5", vec![ok(action(5, end))]),
            ("GET /v2/actions/6", vec![ok(action(6, "completed"))]),
        ]))
        .await;
        let cloud =
            server.cloud_with(|options| options.pace.shutdown_for = Duration::from_millis(10));
        shut_down(&cloud, &owned(7)).await.unwrap();
        let expected = [json!({"type": "shutdown"}), json!({"type": "power_off"})];
        assert_eq!(asked(&server), expected, "{end}");
    }
}

#[tokio::test]
async fn what_is_off_is_not_asked_to_shut_down() {
    let off = ("GET /v2/droplets/7", vec![seen("off", "small")]);
    let server = Server::start(script(vec![off])).await;
    shut_down(&server.cloud(), &owned(7)).await.unwrap();
    assert!(asked(&server).is_empty());
}

#[tokio::test]
async fn a_size_is_changed_once_and_the_power_comes_back() {
    let resize = json!({"type": "resize", "size": "large", "disk": false});
    let on = json!({"type": "power_on"});
    for (had, expected) in [("small", vec![resize, on.clone()]), ("large", vec![on])] {
        let server = Server::start(script(vec![
            ("GET /v2/droplets/7", vec![seen("off", had)]),
            (ACTIONS, vec![ok(action(5, "in-progress"))]),
            completed(),
        ]))
        .await;
        resize_and_start(&server.cloud(), &owned(7), "large", false)
            .await
            .unwrap();
        assert_eq!(asked(&server), expected, "{had}");
    }
}

#[tokio::test]
async fn a_refused_size_leaves_the_droplet_on() {
    let words = "Size can not decrease size of Droplet's disk image";
    let server = Server::start(script(vec![
        ("GET /v2/droplets/7", vec![seen("off", "large")]),
        (
            ACTIONS,
            vec![Reply::refused(422, words), ok(action(5, "in-progress"))],
        ),
        completed(),
    ]))
    .await;
    let error = resize_and_start(&server.cloud(), &owned(7), "small", true)
        .await
        .unwrap_err();
    assert!(matches!(&error, CloudError::Refused { message, .. } if message == words));
    assert_eq!(asked(&server).last(), Some(&json!({"type": "power_on"})));
}
