//! `/lab`: what only the lab has.

use axum::extract::State;
use serde_json::json;

use super::Shared;
use super::answer::{Answer, created, no_content, ok};
use super::ask::Body;
use crate::faults::Fault;

pub(super) async fn faults(State(cloud): Shared) -> Answer {
    ok(json!({ "faults": cloud.faults.list() }))
}

pub(super) async fn arm(State(cloud): Shared, Body(fault): Body<Fault>) -> Answer {
    let answer = created(json!({ "fault": fault }));
    cloud.faults.arm(fault);
    answer
}

pub(super) async fn disarm(State(cloud): Shared) -> Answer {
    cloud.faults.clear();
    no_content()
}

/// Ends the daemon; the machines keep running until `down`.
pub(super) async fn stop(State(cloud): Shared) -> Answer {
    cloud.stop.notify_one();
    no_content()
}
