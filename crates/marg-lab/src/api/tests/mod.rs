//! The API's behaviour, with machines in memory.

#![allow(clippy::unwrap_used)]

mod droplets;
mod faults;
mod firewalls;
mod mishaps;
mod network;
mod requests;
mod restart;
mod schema;
mod specification;

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::{HeaderMap, Request, StatusCode};
use marg_model::Secret;
use serde_json::{Value, json};
use tower::ServiceExt;

use crate::cloud::Cloud;
use crate::machines::fake::FakeMachines;
use crate::store::Store;

const TOKEN: &str = "dop_v1_test";
const ENTRY_TOKEN: &str = "dop_v1_entry";
const KEY: &str =
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJjkogt/9dGygvgqkBYZAt5LSyyMUmRzqmRLYlIwCb0Z me";

/// An API with its own records and machines.
struct Lab {
    cloud: Arc<Cloud>,
    machines: Arc<FakeMachines>,
    app: Router,
}

/// One answer. A body that broke off is `None`.
struct Reply {
    status: StatusCode,
    headers: HeaderMap,
    body: Option<Value>,
}

impl Reply {
    fn body(&self) -> &Value {
        self.body.as_ref().unwrap()
    }

    fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }

    fn message(&self) -> &str {
        self.body()["message"].as_str().unwrap()
    }
}

impl Lab {
    fn new() -> Self {
        Self::with(FakeMachines::default())
    }

    fn with(machines: FakeMachines) -> Self {
        let machines = Arc::new(machines);
        let token = Secret::new(TOKEN.to_owned());
        let tokens = (token, Secret::new(ENTRY_TOKEN.to_owned()));
        let cloud = Cloud::new(Store::in_memory(), machines.clone(), tokens, Some(4050));
        let app = super::router(Arc::clone(&cloud));
        Self {
            cloud,
            machines,
            app,
        }
    }

    async fn send(&self, request: Request<Body>) -> Reply {
        let response = self.app.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let body = to_bytes(body, usize::MAX).await.ok().map(|bytes| {
            if bytes.is_empty() {
                Value::Null
            } else {
                serde_json::from_slice(&bytes).unwrap()
            }
        });
        Reply {
            status: parts.status,
            headers: parts.headers,
            body,
        }
    }

    /// Sends a request with the right token; a body of `null` is none.
    async fn ask(&self, method: &str, path: &str, body: Value) -> Reply {
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header("host", "127.0.0.1:4050")
            .header("authorization", format!("Bearer {TOKEN}"));
        let body = if body.is_null() {
            Body::empty()
        } else {
            Body::from(body.to_string())
        };
        self.send(request.body(body).unwrap()).await
    }

    async fn get(&self, path: &str) -> Reply {
        self.ask("GET", path, Value::Null).await
    }

    async fn post(&self, path: &str, body: Value) -> Reply {
        self.ask("POST", path, body).await
    }

    async fn delete(&self, path: &str) -> Reply {
        self.ask("DELETE", path, Value::Null).await
    }

    /// Orders a droplet with these tags and gives its id at once.
    async fn order(&self, name: &str, tags: &[&str]) -> u64 {
        let reply = self.post("/v2/droplets", droplet(name, tags)).await;
        assert_eq!(reply.status, StatusCode::ACCEPTED, "{:?}", reply.body);
        reply.body()["droplet"]["id"].as_u64().unwrap()
    }

    /// Orders a droplet and waits until it is active.
    async fn droplet(&self, name: &str, tags: &[&str]) -> u64 {
        let id = self.order(name, tags).await;
        self.until_active(id).await;
        id
    }

    async fn until_active(&self, id: u64) {
        self.until(&format!("/v2/droplets/{id}"), |reply| {
            reply.body()["droplet"]["status"] == "active" && !locked(reply)
        })
        .await;
    }

    /// Asks again until the answer is as wanted.
    async fn until(&self, path: &str, done: impl Fn(&Reply) -> bool) -> Reply {
        let deadline = Instant::now() + Duration::from_secs(20);
        loop {
            // The limits are tested elsewhere; waiting must not run into them.
            *self.cloud.limits.lock().unwrap() = Default::default();
            let reply = self.get(path).await;
            if done(&reply) {
                return reply;
            }
            assert!(
                Instant::now() < deadline,
                "{path}: {} {:?}",
                reply.status,
                reply.body
            );
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }

    async fn until_gone(&self, id: u64) {
        self.until(&format!("/v2/droplets/{id}"), |reply| {
            reply.status == StatusCode::NOT_FOUND
        })
        .await;
    }

    async fn fault(&self, fault: Value) {
        let reply = self.post("/lab/faults", fault).await;
        assert_eq!(reply.status, StatusCode::CREATED, "{:?}", reply.body);
    }
}

fn locked(reply: &Reply) -> bool {
    reply.body()["droplet"]["locked"] == true
}

/// The least that a droplet is ordered with.
fn droplet(name: &str, tags: &[&str]) -> Value {
    json!({
        "name": name,
        "region": "fra1",
        "size": "s-1vcpu-1gb",
        "image": "debian-13-x64",
        "tags": tags,
    })
}

/// The names in a list of droplets.
fn names(reply: &Reply) -> Vec<&str> {
    let droplets = reply.body()["droplets"].as_array().unwrap();
    droplets
        .iter()
        .map(|droplet| droplet["name"].as_str().unwrap())
        .collect()
}

/// The address of a droplet on one side.
async fn address(lab: &Lab, id: u64, side: &str) -> Ipv4Addr {
    let shown = lab.get(&format!("/v2/droplets/{id}")).await;
    let v4 = shown.body()["droplet"]["networks"]["v4"]
        .as_array()
        .unwrap()
        .clone();
    let net = v4.iter().find(|net| net["type"] == side).unwrap();
    net["ip_address"].as_str().unwrap().parse().unwrap()
}

/// Rules follow a change a moment later.
async fn until_rules(lab: &Lab, done: impl Fn(&Lab) -> bool) {
    lab.until("/v2/account", |_| done(lab)).await;
}
