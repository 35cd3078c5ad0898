//! Who leads while a host is off.

use marg_model::{Blueprint, Host};
use serde::Serialize;

use super::ResizeError;
use crate::engine::Engine;
use crate::error::EngineError;

/// Another host leads while one is off, and goes on leading.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct HandOver {
    /// `mysql`, `redis`.
    pub service: String,
    /// The host that leads.
    pub to: String,
}

impl Engine {
    /// Who leads instead while the host is off, if it leads now.
    pub(super) async fn hand_over(
        &self,
        blueprint: &Blueprint,
        host: &Host,
    ) -> Result<Option<HandOver>, EngineError> {
        let Some(service) = self.led_by(blueprint, host).await? else {
            return Ok(None);
        };
        let fellows = blueprint.hosts.iter();
        let fellows = fellows.filter(|one| one.group == host.group && one.name != host.name);
        let mut reason = "it has no fellow".to_owned();
        for fellow in fellows {
            match self.promote_preview(blueprint, &fellow.name).await {
                Ok(preview) if preview.risks.is_empty() => {
                    let to = fellow.name.clone();
                    return Ok(Some(HandOver { service, to }));
                }
                Ok(preview) => reason = preview.risks.join("; "),
                Err(error) => reason = error.to_string(),
            }
        }
        let host = host.name.clone();
        Err(ResizeError::Leads {
            host,
            service,
            reason,
        }
        .into())
    }

    /// The service that the host leads and that others follow.
    async fn led_by(
        &self,
        blueprint: &Blueprint,
        host: &Host,
    ) -> Result<Option<String>, EngineError> {
        let roles = || self.roles().iter();
        let replicated = roles().any(|role| {
            let role = (role.leadership().is_some(), role.schema().name);
            role.0 && host.has_role(role.1) && blueprint.with_role(role.1).nth(1).is_some()
        });
        if !replicated {
            return Ok(None);
        }
        let status = self.status(blueprint).await?;
        let of = |service: &str| {
            let mut led = roles().filter(|role| role.leadership().is_some_and(|l| l.of == service));
            led.any(|role| host.has_role(role.schema().name))
        };
        for led in status.leaders.into_iter().filter(|led| of(&led.service)) {
            if let Some(reason) = led.error {
                return Err(ResizeError::Undecided {
                    host: host.name.clone(),
                    service: led.service,
                    reason,
                }
                .into());
            }
            if led.leader.as_ref() == Some(&host.name) {
                return Ok(Some(led.service));
            }
        }
        Ok(None)
    }
}
