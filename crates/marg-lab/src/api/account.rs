//! `/v2/account`.

use axum::extract::State;
use serde_json::json;

use super::Shared;
use super::answer::{Answer, ok};
use super::droplets::limit;

pub(super) async fn show(State(cloud): Shared) -> Answer {
    let limit = cloud.store.read(|records| limit(&cloud, records));
    ok(json!({ "account": {
        "droplet_limit": limit,
        "floating_ip_limit": 5,
        "reserved_ip_limit": 5,
        "volume_limit": 10,
        "email": "operator@lab.test",
        "name": "Lab",
        "uuid": "00000000-0000-4000-8000-000000000001",
        "email_verified": true,
        "status": "active",
        "status_message": "",
        "team": { "uuid": "00000000-0000-4000-8000-000000000002", "name": "Lab" },
    }}))
}
