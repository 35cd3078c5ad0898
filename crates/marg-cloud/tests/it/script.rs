//! Answers by script, and the things they speak of.

use std::collections::BTreeMap;

use marg_cloud::{Owned, OwnedVpc, Owner, Tag};
use serde_json::{Value, json};

use crate::server::{Reply, Request};

pub fn environment() -> Tag {
    Tag::environment("lab").unwrap()
}

pub fn droplet(id: u64, status: &str, tags: Value) -> Value {
    json!({"id": id, "name": format!("lab-h{id}"), "status": status, "locked": status == "new",
    "tags": tags, "networks": {"v4": [
        {"ip_address": "198.18.9.9", "type": "public"},
        {"ip_address": format!("198.18.0.{id}"), "type": "public"},
        {"ip_address": format!("10.10.0.{id}"), "type": "private"},
    ]}})
}

pub fn owned(id: u64) -> Owned {
    let ours = json!(["marg-env:lab"]);
    let droplet = serde_json::from_value(droplet(id, "active", ours)).unwrap();
    Owned::claim(&droplet, &environment()).unwrap()
}

pub fn own_vpc() -> OwnedVpc {
    let vpc = json!({"id": "v-1", "name": "marg-lab", "region": "fra1",
        "ip_range": "10.10.0.0/20", "description": "marg: environment lab"});
    let vpc = serde_json::from_value(vpc).unwrap();
    Owner::new("lab").unwrap().vpc(&vpc).unwrap()
}

pub fn action(id: u64, status: &str) -> Value {
    json!({"action": {"id": id, "status": status, "type": "power_off", "region": null}})
}

/// Answers a request line with the next of its replies; the last one stays.
pub fn script(replies: Vec<(&'static str, Vec<Reply>)>) -> impl FnMut(&Request) -> Reply {
    let mut replies: BTreeMap<&str, Vec<Reply>> = replies.into_iter().collect();
    move |request| {
        let line = request.line();
        let Some(queue) = replies.get_mut(line.as_str()) else {
            return Reply::refused(400, &format!("unexpected {line}"));
        };
        if queue.len() > 1 {
            return queue.remove(0);
        }
        match &queue[0] {
            Reply::Json(status, body) => Reply::Json(*status, body.clone()),
            Reply::Raw(status, headers, body) => Reply::Raw(*status, headers.clone(), body.clone()),
            Reply::HangUp => Reply::HangUp,
        }
    }
}

pub fn ok(body: Value) -> Reply {
    Reply::Json(200, body)
}

pub fn gone() -> Reply {
    Reply::Raw(204, vec![], String::new())
}
