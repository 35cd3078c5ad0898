//! Waiting for droplets and actions, deleting, tagging.

use std::collections::BTreeSet;
use std::time::Duration;

use marg_cloud::{
    ActionId, Cloud as _, CloudError, DropletAction, DropletId, destroy_droplet, destroy_vpc,
    run_action, wait_for_action, wait_until_ready,
};
use serde_json::{Value, json};

use crate::script::{action, droplet, environment, gone, ok, own_vpc, owned, script};
use crate::server::{Reply, Server};

#[tokio::test]
async fn each_droplet_is_reported_when_it_is_ready_or_lost() {
    let ours = || json!(["marg-env:lab"]);
    let listed = |droplets: Vec<Value>| ok(json!({ "droplets": droplets }));
    let one = |id, status: &str| droplet(id, status, ours());
    let server = Server::start(script(vec![
        (
            "GET /v2/droplets",
            vec![
                // The list lags: the second one is known by its id only.
                listed(vec![one(1, "new")]),
                listed(vec![one(1, "new"), one(2, "active")]),
                listed(vec![one(1, "active")]),
            ],
        ),
        (
            "GET /v2/droplets/1",
            vec![ok(json!({"droplet": one(1, "active")}))],
        ),
        (
            "GET /v2/droplets/2",
            vec![ok(json!({"droplet": droplet(2, "active", json!([]))}))],
        ),
        ("GET /v2/droplets/3", vec![Reply::not_found()]),
    ]))
    .await;
    let cloud = server.cloud_with(|options| options.pace.appear_for = Duration::from_millis(50));
    let waited = [1, 2, 3].map(|id| (DropletId(id), format!("lab-h{id}")));
    let reserved = BTreeSet::from(["198.18.9.9".parse().unwrap()]);
    let mut outcomes = Vec::new();
    wait_until_ready(&cloud, &environment(), &waited, &reserved, |id, outcome| {
        let said = match outcome {
            Ok(ready) => format!("{} {}", ready.addresses.public, ready.addresses.private),
            Err(CloudError::Vanished { name, .. }) => format!("{name} vanished"),
            Err(error) => error.to_string(),
        };
        outcomes.push((id.0, said));
    })
    .await
    .unwrap();
    // When the third one is given up depends on a clock.
    outcomes.sort();
    assert_eq!(
        outcomes,
        [
            (1, "198.18.0.1 10.10.0.1".to_owned()),
            (2, "198.18.0.2 10.10.0.2".to_owned()),
            (3, "lab-h3 vanished".to_owned()),
        ]
    );
}

#[tokio::test]
async fn a_droplet_that_never_gets_ready_says_what_is_missing() {
    let body = json!({"droplet": droplet(1, "new", json!(["marg-env:lab"]))});
    let server = Server::start(script(vec![("GET /v2/droplets/1", vec![ok(body)])])).await;
    let cloud = server.cloud_with(|options| options.pace.ready_for = Duration::from_millis(10));
    let mut said = String::new();
    let waited = [(DropletId(1), "lab-h1".to_owned())];
    wait_until_ready(
        &cloud,
        &environment(),
        &waited,
        &BTreeSet::new(),
        |_, outcome| {
            said = outcome.unwrap_err().to_string();
        },
    )
    .await
    .unwrap();
    assert!(
        said.starts_with("droplet lab-h1 (1) to be ready did not happen"),
        "{said}"
    );
    assert!(said.contains("(last seen: status new)"), "{said}");
}

#[tokio::test]
async fn a_deletion_waits_for_the_running_event_and_for_the_end() {
    let seen = |status| ok(json!({"droplet": droplet(7, status, json!(["marg-env:lab"]))}));
    let server = Server::start(script(vec![
        (
            "GET /v2/droplets/7",
            vec![
                seen("new"),
                seen("active"),
                seen("active"),
                seen("active"),
                Reply::not_found(),
            ],
        ),
        (
            "DELETE /v2/droplets/7",
            vec![
                Reply::refused(422, "Droplet already has a pending event."),
                gone(),
            ],
        ),
    ]))
    .await;
    destroy_droplet(&server.cloud(), &owned(7)).await.unwrap();
    // Nothing is asked while it is locked, once in vain, once with success, never again.
    let methods: Vec<String> = server
        .requests()
        .into_iter()
        .map(|sent| sent.method)
        .collect();
    assert_eq!(
        methods,
        ["GET", "GET", "DELETE", "GET", "DELETE", "GET", "GET"]
    );
}

#[tokio::test]
async fn a_deletion_that_does_not_happen_is_asked_for_again() {
    let seen = || ok(json!({"droplet": droplet(7, "active", json!(["marg-env:lab"]))}));
    let server = Server::start(script(vec![
        (
            "GET /v2/droplets/7",
            vec![seen(), seen(), seen(), Reply::not_found()],
        ),
        ("DELETE /v2/droplets/7", vec![gone()]),
    ]))
    .await;
    let cloud = server.cloud_with(|options| options.pace.delete_again_after = Duration::ZERO);
    destroy_droplet(&cloud, &owned(7)).await.unwrap();
    assert_eq!(server.count("DELETE /v2/droplets/7"), 3);
}

#[tokio::test]
async fn a_network_is_deleted_when_its_last_member_has_left() {
    let server = Server::start(script(vec![(
        "DELETE /v2/vpcs/v-1",
        vec![
            Reply::refused(403, "Can not delete VPC with members"),
            Reply::refused(409, "Can not delete VPC with members"),
            gone(),
        ],
    )]))
    .await;
    destroy_vpc(&server.cloud(), &own_vpc()).await.unwrap();
    assert_eq!(server.requests().len(), 3);

    let forbidden = Reply::refused(403, "You are not authorized");
    let server = Server::start(script(vec![("DELETE /v2/vpcs/v-1", vec![forbidden])])).await;
    let error = destroy_vpc(&server.cloud(), &own_vpc()).await.unwrap_err();
    assert!(matches!(error, CloudError::Forbidden { .. }), "{error}");
}

#[tokio::test]
async fn an_action_waits_for_its_turn_and_a_fresh_one_may_be_unknown() {
    let server = Server::start(script(vec![
        (
            "POST /v2/droplets/7/actions",
            vec![
                Reply::refused(422, "Droplet already has a pending event."),
                Reply::HangUp,
                Reply::Json(201, action(5, "in-progress")),
            ],
        ),
        (
            "GET /v2/actions/5",
            vec![
                Reply::not_found(),
                ok(action(5, "in-progress")),
                ok(action(5, "levitating")),
                ok(action(5, "completed")),
            ],
        ),
    ]))
    .await;
    run_action(&server.cloud(), &owned(7), &DropletAction::PowerOff)
        .await
        .unwrap();
    assert_eq!(server.count("POST /v2/droplets/7/actions"), 3);
    assert_eq!(server.count("GET /v2/actions/5"), 4);
}

#[tokio::test]
async fn actions_end_as_they_should() {
    let line = "POST /v2/droplets/7/actions";
    let already = Reply::refused(422, "Droplet is already powered off");
    let server = Server::start(script(vec![(line, vec![already])])).await;
    run_action(&server.cloud(), &owned(7), &DropletAction::PowerOff)
        .await
        .unwrap();

    // A reboot whose answer is lost must not be sent again.
    let server = Server::start(script(vec![(line, vec![Reply::HangUp])])).await;
    let error = run_action(&server.cloud(), &owned(7), &DropletAction::Reboot)
        .await
        .unwrap_err();
    assert!(
        matches!(error, CloudError::OutcomeUnknown { .. }),
        "{error}"
    );
    assert_eq!(server.count(line), 1);

    let errored = ok(action(5, "errored"));
    let server = Server::start(script(vec![("GET /v2/actions/5", vec![errored])])).await;
    let error = wait_for_action(&server.cloud(), "a resize", ActionId(5))
        .await
        .unwrap_err();
    assert!(
        error.to_string().contains("a resize failed (action 5)"),
        "{error}"
    );

    let server = Server::start(script(vec![(
        "GET /v2/actions/5",
        vec![Reply::not_found()],
    )]))
    .await;
    let cloud = server.cloud_with(|options| options.pace.appear_for = Duration::from_millis(5));
    let error = wait_for_action(&cloud, "a resize", ActionId(5))
        .await
        .unwrap_err();
    assert!(matches!(error, CloudError::Timeout { .. }), "{error}");
}

#[tokio::test]
async fn tags_travel_with_string_ids() {
    let line = "POST /v2/tags/marg-env:lab/resources";
    let server = Server::start(script(vec![(line, vec![gone()])])).await;
    server
        .cloud()
        .tag_droplets(&environment(), &[owned(7)])
        .await
        .unwrap();
    assert_eq!(
        server.requests()[0].body,
        json!({"resources": [{"resource_id": "7", "resource_type": "droplet"}]})
    );
}
