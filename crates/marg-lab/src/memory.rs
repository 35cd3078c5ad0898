//! The same API with machines that only remember what they were told: for tests of what a client
//! does in an account, without the machines.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use marg_model::Secret;
use tokio::net::TcpListener;

use crate::api;
use crate::cloud::Cloud;
use crate::endpoint::{LabEndpoint, new_token};
use crate::error::{LabError, LabResult};
use crate::machines::fake::FakeMachines;
use crate::store::Store;

/// Starts an account of its own on loopback, which ends with the runtime that it is started in.
pub async fn serve_in_memory() -> LabResult<LabEndpoint> {
    let wanted = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let refused = |source| LabError::Listen {
        address: wanted,
        source,
    };
    let listener = TcpListener::bind(wanted).await.map_err(refused)?;
    let address = listener.local_addr().map_err(refused)?;
    let tokens: (Secret, Secret) = (new_token(), new_token());
    let endpoint = LabEndpoint {
        url: format!("http://{address}"),
        token: tokens.0.clone(),
        machine_url: None,
        entry_token: None,
    };
    let machines = Arc::new(FakeMachines::default());
    let cloud = Cloud::new(Store::in_memory(), machines, tokens, None);
    tokio::spawn(async move { axum::serve(listener, api::router(cloud)).await });
    Ok(endpoint)
}
