//! Balancers are told which hosts serve.

use futures_util::future::join_all;
use marg_model::Host;
use marg_resources::{Context, Shell, Step, Traffic};

use crate::apply::run_steps;
use crate::crew::Crew;
use crate::desired::{Desired, promised};
use crate::engine::Engine;
use crate::error::EngineError;

/// How long a balancer may take to find a host well, or to let it finish, in seconds.
const PATIENCE: u64 = 180;

/// After changes: every balancer sends requests to every host that serves applications.
pub async fn let_in(engine: &Engine, crew: &mut Crew<'_>, desired: &Desired<'_>) {
    let changed = crew.reports.values().any(|report| report.changed > 0);
    if changed {
        let hosts: Vec<&Host> = desired.fleet.blueprint.hosts.iter().collect();
        tell(engine, crew, desired, &LET_IN, &hosts).await;
    }
}

/// Before hosts leave: no balancer sends them requests any more.
pub async fn take_out(
    engine: &Engine,
    crew: &mut Crew<'_>,
    desired: &Desired<'_>,
    hosts: &[&Host],
) {
    tell(engine, crew, desired, &TAKE_OUT, hosts).await;
}

/// What balancers are told.
struct Word {
    what: &'static str,
    say: fn(Traffic, &Context, &Host) -> Shell,
    /// Besides 0: the host gets what it should, although not everything is well yet.
    also: &'static [i32],
}

// A host that is not well yet is let in all the same: it gets requests when it is.
const LET_IN: Word = Word {
    what: "let in",
    say: |traffic, context, host| (traffic.ready)(context, host, None),
    also: &[Traffic::NOT_UP],
};

// One that is still at work says goodbye itself; the last one that serves is not taken out.
const TAKE_OUT: Word = Word {
    what: "take out",
    say: |traffic, context, host| (traffic.drain)(context, host, None),
    also: &[Traffic::BUSY, Traffic::LEFT_IN],
};

async fn tell(
    engine: &Engine,
    crew: &mut Crew<'_>,
    desired: &Desired<'_>,
    word: &Word,
    hosts: &[&Host],
) {
    let fleet = desired.fleet;
    let telling = crew.links.iter_mut().filter_map(|(name, linked)| {
        let balancer = fleet.blueprint.host(name)?;
        let traffic = desired.roles_of(balancer).find_map(|role| role.traffic())?;
        let machine = fleet.machine(name)?;
        let distro = promised(balancer).ok()?;
        let context = desired.context(balancer, machine, distro);
        let steps = steps(&context, traffic, word, hosts);
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

fn steps(context: &Context, traffic: Traffic, word: &Word, hosts: &[&Host]) -> Vec<Step> {
    let serves = |host: &&&Host| host.has_role("app") && host.has_role("nginx");
    let step = |host: &Host| {
        let well = word.also.iter().map(|status| format!("|{status}"));
        let well: String = well.collect();
        let body = Shell::new("status=0; (\n")
            .then((word.say)(traffic, context, host))
            .text(format!(
                "\n) || status=$?\ncase $status in 0{well}) ;; *) exit $status ;; esac"
            ));
        Step {
            name: format!("{} {}", word.what, host.name),
            body,
            deadline: std::time::Duration::from_secs(PATIENCE),
            guarded: false,
        }
    };
    hosts.iter().filter(serves).map(|host| step(host)).collect()
}
