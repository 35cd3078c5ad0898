//! The cloud as one thing: records, machines, faults, limits.

use std::sync::{Arc, Mutex};

use marg_model::Secret;
use tokio::sync::Notify;

use crate::error::{LabError, LabResult};
use crate::faults::Faults;
use crate::limits::Limits;
use crate::machines::Machines;
use crate::machines::nft::Rules;
use crate::paths;
use crate::store::{Records, Store};

/// Everything that a request to the API may need.
pub(crate) struct Cloud {
    pub store: Store,
    pub machines: Arc<dyn Machines>,
    pub faults: Faults,
    pub limits: Mutex<Limits>,
    /// The token that may do everything.
    pub token: Secret,
    /// The token that may move reserved addresses, and nothing else.
    pub entry_token: Secret,
    /// The API's port on the host, when machines may reach it.
    pub api_port: Option<u16>,
    /// Tells the server to end.
    pub stop: Notify,
    /// Rules are applied one set at a time, so that the newest is the last.
    rules_turn: tokio::sync::Mutex<()>,
    /// Snapshots are made and removed one at a time, so that none is taken for a stray.
    pub snapshots_turn: tokio::sync::Mutex<()>,
}

impl Cloud {
    pub(crate) fn new(
        store: Store,
        machines: Arc<dyn Machines>,
        (token, entry_token): (Secret, Secret),
        api_port: Option<u16>,
    ) -> Arc<Self> {
        Arc::new(Self {
            store,
            machines,
            faults: Faults::default(),
            limits: Mutex::default(),
            token,
            entry_token,
            api_port,
            stop: Notify::new(),
            rules_turn: tokio::sync::Mutex::default(),
            snapshots_turn: tokio::sync::Mutex::default(),
        })
    }

    /// Makes the router's rules those that follow from the records now.
    pub(crate) async fn apply_rules(&self) -> LabResult<()> {
        let _turn = self.rules_turn.lock().await;
        let (rules, revisions) = self.store.read(|records| {
            let revisions: Vec<(String, u64)> = records
                .firewalls
                .iter()
                .map(|firewall| (firewall.id.clone(), firewall.revision))
                .collect();
            let rules = Rules {
                api_port: self.api_port,
                ..records.rules()
            };
            (rules, revisions)
        });
        self.with_machines(move |machines| machines.apply_rules(&rules))
            .await?;
        self.store.change(|records| {
            note_applied(records, &revisions);
            Ok(())
        })
    }

    /// Runs something that blocks, away from the threads that answer requests.
    pub(crate) async fn with_machines<T: Send + 'static>(
        &self,
        work: impl FnOnce(&dyn Machines) -> LabResult<T> + Send + 'static,
    ) -> LabResult<T> {
        let machines = Arc::clone(&self.machines);
        let result = tokio::task::spawn_blocking(move || work(machines.as_ref())).await;
        result.unwrap_or_else(|error| {
            Err(LabError::Internal {
                what: error.to_string(),
                log: paths::daemon_log(),
            })
        })
    }
}

fn note_applied(records: &mut Records, revisions: &[(String, u64)]) {
    for firewall in &mut records.firewalls {
        if let Some((_, revision)) = revisions.iter().find(|(id, _)| *id == firewall.id) {
            firewall.applied = *revision;
        }
    }
}
