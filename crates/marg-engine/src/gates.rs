//! Who waits for whom: a host that serves already is changed only when the hosts that it needs
//! are as they should be. No barrier: everybody else goes on.

use std::collections::BTreeMap;

use marg_model::Host;
use tokio::sync::watch;

use crate::error::EngineError;

/// One gate for each host; it opens when the host is done.
pub struct Gates {
    hosts: BTreeMap<String, watch::Sender<Option<bool>>>,
}

impl Gates {
    /// Closed gates for these hosts.
    pub fn new<'a>(hosts: impl Iterator<Item = &'a Host>) -> Self {
        let gate = |host: &Host| (host.name.clone(), watch::Sender::new(None));
        Self {
            hosts: hosts.map(gate).collect(),
        }
    }

    /// The host is done; `well` when it is as it should be.
    pub fn open(&self, host: &str, well: bool) {
        if let Some(gate) = self.hosts.get(host) {
            gate.send_replace(Some(well));
        }
    }

    /// Waits until every host that this one needs is done.
    ///
    /// # Errors
    /// When one of them is not as it should be.
    pub async fn wait(&self, host: &Host) -> Result<(), EngineError> {
        for needed in &host.needs {
            let Some(gate) = self.hosts.get(needed) else {
                continue;
            };
            let mut gate = gate.subscribe();
            // The sender lives as long as the gates do.
            let well = match gate.wait_for(Option::is_some).await {
                Ok(well) => *well,
                Err(_) => None,
            };
            if well != Some(true) {
                return Err(EngineError::Needed {
                    host: host.name.clone(),
                    needed: needed.clone(),
                });
            }
        }
        Ok(())
    }
}
