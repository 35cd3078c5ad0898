//! Images of the account: found by their tag, taken once, deleted only with their tag.

use std::time::Duration;

use marg_cloud::{Cloud as _, CloudError, OwnedImage, Tag, keep_snapshot, take_snapshot};
use serde_json::{Value, json};

use crate::script::{action, droplet, gone, ok, owned, script};
use crate::server::{Reply, Server};

const ACTIONS: &str = "POST /v2/droplets/7/actions";
const SNAPSHOTS: &str = "GET /v2/droplets/7/snapshots";

fn bake() -> Tag {
    Tag::bake("lab").unwrap()
}

fn image(id: u64, tags: Value) -> Value {
    json!({"id": id, "name": format!("lab-{id}"), "slug": null, "tags": tags,
    "regions": ["fra1"], "min_disk_size": 25, "size_gigabytes": 0.43,
    "created_at": "2026-11-21T10:00:00Z"})
}

fn images(images: &[Value]) -> Reply {
    ok(json!({"images": images, "links": {}, "meta": {"total": images.len()}}))
}

/// What a droplet's own list says.
fn list(images: &[(u64, &str)]) -> Reply {
    let snapshots = images.iter();
    let snapshots: Vec<Value> = snapshots
        .map(|(id, name)| json!({"id": id, "name": name}))
        .collect();
    ok(json!({"snapshots": snapshots, "links": {}, "meta": {"total": images.len()}}))
}

fn idle() -> (&'static str, Vec<Reply>) {
    let seen = droplet(7, "off", json!(["marg-env:lab"]));
    ("GET /v2/droplets/7", vec![ok(json!({ "droplet": seen }))])
}

#[tokio::test]
async fn only_images_with_the_tag_are_listed_and_deleted() {
    let mine = image(1, json!(["MARG-BAKE:lab", "marg-bake:lab:http"]));
    let server = Server::start(script(vec![
        (
            "GET /v2/images",
            vec![images(&[mine, image(2, json!(["marg-bake:other"]))])],
        ),
        ("DELETE /v2/images/1", vec![gone()]),
    ]))
    .await;
    let cloud = server.cloud();
    let images = cloud.images_tagged(&bake()).await.unwrap();
    assert_eq!(images.len(), 1, "a server may ignore the filter");
    assert_eq!(server.requests()[0].query["tag_name"], "marg-bake:lab");
    let found = &images[0];
    assert!(found.offered_in("fra1") && !found.offered_in("ams3"));
    assert_eq!((found.min_disk_size, found.size_gigabytes), (25, 0.43));
    let owned = OwnedImage::claim(found, &bake()).unwrap();
    cloud.delete_image(&owned).await.unwrap();
    assert_eq!(server.count("DELETE /v2/images/1"), 1);
}

#[tokio::test]
async fn a_snapshot_is_taken_and_found_by_its_name() {
    let server = Server::start(script(vec![
        idle(),
        (
            SNAPSHOTS,
            // Once before the order, and once more before lists have caught up.
            vec![
                list(&[(3, "baked-before")]),
                list(&[]),
                list(&[(3, "baked-before"), (8, "baked"), (9, "baked")]),
            ],
        ),
        (ACTIONS, vec![ok(action(5, "in-progress"))]),
        ("GET /v2/actions/5", vec![ok(action(5, "completed"))]),
        ("POST /v2/tags", vec![ok(json!({"tag": {"name": "x"}}))]),
        ("POST /v2/tags/marg-bake:lab/resources", vec![gone()]),
        ("POST /v2/tags/marg-bake:lab:http/resources", vec![gone()]),
        (
            "GET /v2/images",
            // Tags show one after the other.
            vec![
                images(&[]),
                images(&[image(9, json!(["marg-bake:lab"]))]),
                images(&[image(9, json!(["marg-bake:lab", "marg-bake:lab:http"]))]),
            ],
        ),
    ]))
    .await;
    let cloud = server.cloud();
    let taken = take_snapshot(&cloud, &owned(7), "baked").await.unwrap();
    assert_eq!(taken.id.0, 9, "the newest of the name");
    let group = Tag::bake_of("lab", "http").unwrap();
    let kept = keep_snapshot(&cloud, &taken, &bake(), std::slice::from_ref(&group)).await;
    assert!(kept.unwrap().has_tag(&group).unwrap());
    assert_eq!(server.count("GET /v2/images"), 3);
    let sent: Vec<Value> = server.requests().into_iter().map(|one| one.body).collect();
    assert!(sent.contains(&json!({"type": "snapshot", "name": "baked"})));
    let tagged = json!({"resources": [{"resource_id": "9", "resource_type": "image"}]});
    assert_eq!(sent.iter().filter(|body| **body == tagged).count(), 2);
}

#[tokio::test]
async fn a_snapshot_of_an_earlier_run_is_waited_for_and_not_taken_again() {
    let mut busy = droplet(7, "off", json!(["marg-env:lab"]));
    busy["locked"] = json!(true);
    let (looks, mut seen) = idle();
    seen.insert(0, ok(json!({ "droplet": busy })));
    let server = Server::start(script(vec![
        (looks, seen),
        (SNAPSHOTS, vec![list(&[(8, "baked")])]),
    ]))
    .await;
    let taken = take_snapshot(&server.cloud(), &owned(7), "baked").await;
    assert_eq!(taken.unwrap().id.0, 8);
    assert_eq!(server.count(ACTIONS), 0);
}

#[tokio::test]
async fn after_a_lost_answer_the_snapshot_is_looked_for_before_another_is_ordered() {
    for (lists, adopt_for, orders) in [
        (
            vec![list(&[]), list(&[]), list(&[(8, "baked")])],
            Duration::from_secs(60),
            1,
        ),
        // Never made: ordered again, and given up in the end.
        (vec![list(&[])], Duration::from_millis(5), 3),
    ] {
        let server = Server::start(script(vec![
            idle(),
            (SNAPSHOTS, lists),
            (ACTIONS, vec![Reply::HangUp]),
        ]))
        .await;
        let cloud = server.cloud_with(|options| options.pace.adopt_for = adopt_for);
        let taken = take_snapshot(&cloud, &owned(7), "baked").await;
        match orders {
            1 => assert_eq!(taken.unwrap().id.0, 8),
            _ => assert!(matches!(taken, Err(CloudError::Timeout { .. }))),
        }
        assert_eq!(server.count(ACTIONS), orders);
    }
}
