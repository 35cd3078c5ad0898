//! Every message of the cloud client, in one place: what failed, why, and what to do.
#![allow(clippy::unwrap_used)]

use std::fmt::Write;
use std::io::{Error, ErrorKind};
use std::time::Duration;

use super::CloudError;
use crate::types::{ActionId, DropletId, ImageId};

fn text(value: &str) -> String {
    value.to_owned()
}

fn list() -> String {
    text("GET /v2/droplets")
}

fn create() -> String {
    text("POST /v2/droplets")
}

fn request_id() -> Option<String> {
    Some(text("5b8a0c"))
}

/// The way there, and who asks.
fn ways() -> Vec<CloudError> {
    vec![
        CloudError::Endpoint {
            endpoint: text("http://api.example.com"),
            reason: text("plain http is for this machine only"),
        },
        CloudError::TokenMalformed,
        CloudError::Client {
            cause: text("no root certificates"),
        },
        CloudError::Transport {
            request: list(),
            cause: text("api.digitalocean.com: connection refused"),
        },
        CloudError::Unauthorized {
            request: list(),
            request_id: request_id(),
        },
        CloudError::Forbidden {
            request: create(),
            message: text("You are not authorized to perform this operation"),
            request_id: request_id(),
        },
        CloudError::ScopeMissing {
            field: "vpc_uuid",
            scope: "vpc:read",
        },
    ]
}

/// What the cloud answers.
fn answers() -> Vec<CloudError> {
    let refused = |message: &str, request_id| CloudError::Refused {
        request: create(),
        status: 422,
        message: text(message),
        request_id,
    };
    vec![
        CloudError::NotFound {
            request: text("GET /v2/vpcs/1"),
            request_id: None,
        },
        refused("Name is invalid", request_id()),
        refused("creating this droplet will exceed your droplet limit", None),
        CloudError::RateLimited {
            request: list(),
            waited: Duration::from_secs(612),
        },
        CloudError::Server {
            request: list(),
            status: 503,
            message: text("Service Unavailable"),
            request_id: request_id(),
        },
        CloudError::OutcomeUnknown {
            request: create(),
            cause: text("the connection was closed"),
        },
        CloudError::Decode {
            request: list(),
            cause: text("`droplets` is missing"),
        },
    ]
}

/// What became of what was asked for.
fn outcomes() -> Vec<CloudError> {
    let (id, name) = (DropletId(7), || text("marg-http1"));
    vec![
        CloudError::Timeout {
            what: text("droplet marg-http1 to be ready"),
            waited: Duration::from_secs(600),
            last_seen: text("status new"),
        },
        CloudError::ActionFailed {
            what: text("assigning 198.18.0.9 to droplet 7"),
            action: ActionId(36),
        },
        CloudError::Vanished { id, name: name() },
        CloudError::NotOurs {
            id,
            name: name(),
            tag: text("marg-env:marg"),
        },
        CloudError::ImageNotOurs {
            id: ImageId(9),
            name: text("golden"),
            tag: text("marg-bake:marg"),
        },
        CloudError::Stranger {
            what: "firewall",
            name: text("marg-shop-eu-http"),
            environment: text("shop"),
            why: text("it covers marg-group:shop-eu:http"),
            remedy: text("Rename it, or rename the environment or its group"),
        },
        CloudError::Unclaimed {
            id,
            name: name(),
            tag: text("marg-env:marg"),
        },
        CloudError::Invalid {
            what: "droplet name",
            value: text("marg_http1"),
            reason: text("only letters, digits, dots and dashes; rename the group"),
        },
        CloudError::Mismatch {
            what: "VPC",
            name: text("marg"),
            found: text("region ams3"),
            wanted: text("region fra1"),
        },
        CloudError::Journal {
            doing: "writing",
            path: "journal.json".into(),
            cause: Error::new(ErrorKind::PermissionDenied, "permission denied"),
        },
    ]
}

/// A variant that is missing here is missing above, too.
fn is_told(error: &CloudError) {
    use CloudError as E;
    match error {
        E::Endpoint { .. } | E::TokenMalformed | E::Client { .. } | E::Unauthorized { .. } => {}
        E::Forbidden { .. } | E::NotFound { .. } | E::Refused { .. } | E::RateLimited { .. } => {}
        E::Server { .. } | E::OutcomeUnknown { .. } | E::Transport { .. } | E::Decode { .. } => {}
        E::Timeout { .. } | E::ActionFailed { .. } | E::Vanished { .. } | E::NotOurs { .. } => {}
        E::Unclaimed { .. } | E::ScopeMissing { .. } | E::Invalid { .. } => {}
        E::Mismatch { .. } | E::Journal { .. } | E::ImageNotOurs { .. } => {}
        E::Stranger { .. } => {}
    }
}

#[test]
fn every_message_says_what_why_and_what_next() {
    let mut all = String::new();
    for error in [ways(), answers(), outcomes()].into_iter().flatten() {
        is_told(&error);
        writeln!(all, "{error}\n").unwrap();
    }
    insta::assert_snapshot!(all);
}
