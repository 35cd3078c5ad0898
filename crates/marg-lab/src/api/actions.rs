//! `/v2/actions`.

use axum::extract::{Path, State};
use serde_json::{Value, json};

use super::Shared;
use super::answer::{Answer, ApiError, ok, page};
use super::ask::Ask;
use super::catalog::region_view;
use crate::store::Action;

pub(super) async fn list(State(cloud): Shared, ask: Ask) -> Answer {
    let actions = cloud
        .store
        .read(|records| records.actions.iter().rev().map(view).collect());
    page(&ask, "actions", actions)
}

pub(super) async fn show(State(cloud): Shared, Path(id): Path<u64>) -> Answer {
    let found = cloud.store.read(|records| {
        records
            .actions
            .iter()
            .find(|action| action.id == id)
            .map(view)
    });
    ok(json!({ "action": found.ok_or_else(ApiError::not_found)? }))
}

pub(super) fn view(action: &Action) -> Value {
    json!({
        "id": action.id,
        "status": action.status,
        "type": action.kind,
        "started_at": action.started_at,
        "completed_at": action.completed_at,
        "resource_id": action.resource_id,
        "resource_type": action.resource_type,
        "region": region_view(&action.region),
        "region_slug": action.region,
    })
}
