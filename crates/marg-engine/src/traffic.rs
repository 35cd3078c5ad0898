//! Balancers are told which hosts serve.

use futures_util::future::join_all;
use marg_model::Host;
use marg_resources::{Context, Shell, Step, Traffic};

use crate::apply::run_steps;
use crate::crew::Crew;
use crate::desired::{Desired, promised};
use crate::engine::Engine;
use crate::error::EngineError;

/// How long a balancer may take to find a host well, in seconds.
const READY: u64 = 180;

/// After changes: every balancer sends requests to every host that serves applications.
pub async fn let_in(engine: &Engine, crew: &mut Crew<'_>, desired: &Desired<'_>) {
    let changed = crew.reports.values().any(|report| report.changed > 0);
    if !changed {
        return;
    }
    let fleet = desired.fleet;
    let telling = crew.links.iter_mut().filter_map(|(name, linked)| {
        let balancer = fleet.blueprint.host(name)?;
        let traffic = desired.roles_of(balancer).find_map(|role| role.traffic())?;
        let machine = fleet.machine(name)?;
        let distro = promised(balancer).ok()?;
        let context = desired.context(balancer, machine, distro);
        let steps = steps(&context, traffic);
        Some(async move {
            let told = run_steps(engine, &mut linked.link, steps).await;
            told.err()
                .map(|error| (name.clone(), EngineError::from(error)))
        })
    });
    let failed: Vec<_> = join_all(telling).await.into_iter().flatten().collect();
    for (host, error) in failed {
        crew.fail(&host, error);
    }
}

fn steps(context: &Context, traffic: Traffic) -> Vec<Step> {
    let serves = |host: &&Host| host.has_role("app") && host.has_role("nginx");
    let hosts = context.blueprint().hosts.iter().filter(serves);
    hosts
        .map(|host| {
            // A host that is not well yet is let in all the same: it gets requests when it is.
            let body = Shell::new("status=0; (\n")
                .then((traffic.ready)(context, host, None))
                .text(format!(
                    "\n) || status=$?; [ $status -eq 0 ] || [ $status -eq {} ]",
                    Traffic::NOT_UP
                ));
            Step {
                name: format!("let {} in", host.name),
                body,
                deadline: std::time::Duration::from_secs(READY),
                guarded: false,
            }
        })
        .collect()
}
