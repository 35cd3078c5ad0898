//! `marg plan`

use marg::Unseen;

use crate::args::PhaseArg;
use crate::context::Context;
use crate::failure::{Failure, Kind};
use crate::output::Shape;
use crate::render;

/// Show what `provision` would change, and change nothing
///
/// Looks at the cloud and at every host that exists, compares with the inventory, and prints
/// droplets to create, the monthly cost before and after, and each host's changes in order.
#[derive(Debug, clap::Args)]
#[command(after_long_help = EXAMPLES)]
pub struct Args {
    #[command(flatten)]
    phase: PhaseArg,

    /// Plan as if nothing existed yet, without network or token
    #[arg(long)]
    offline: bool,

    /// Print the script that would run on this host, with secrets left out
    #[arg(long, value_name = "HOST")]
    script: Option<String>,
}

const EXAMPLES: &str = "\
How sure a change is:
  no words       it will happen
  only if …      only if something before it in the list changes
  known once …   its subject does not exist yet; what will run is safe in any case

Examples:
  marg plan                         the inventory's phase
  marg plan --phase 3 --offline     what another phase looks like
  marg plan --script http1 | less   read what would run
  marg plan --json | jq .summary    counts: create, destroy, will, may, unknown";

/// Plans and prints.
pub async fn run(args: Args, context: &Context) -> Result<(), Failure> {
    let (blueprint, plan, lacks) = match args.offline {
        true => {
            let project = context.project()?;
            let blueprint = project.blueprint(args.phase.phase)?;
            let plan = match context.global.lab {
                true => project.plan_offline_in_lab(&blueprint)?,
                false => project.plan_offline(&blueprint)?,
            };
            // Whoever only looks may do so without the secrets: the plan names them.
            (blueprint, plan, Ok(()))
        }
        false => {
            let session = context.session(args.phase, Shape::Document).await?;
            let plan = session.engine.plan(&session.blueprint).await?;
            let lacks = session.engine.require_secrets(&plan);
            (session.blueprint, plan, lacks)
        }
    };
    if let Some(host) = &args.script {
        let Some(plan) = plan.hosts.iter().find(|plan| plan.name == *host) else {
            unseen(plan.unseen.iter().filter(|unseen| unseen.name == *host))?;
            let known: Vec<&str> = plan.hosts.iter().map(|plan| plan.name.as_str()).collect();
            return Err(no_host(host, &known));
        };
        return context.output.raw(&marg::script(plan));
    }
    context.output.document(&render::plan_document(&plan))?;
    context.output.text(&render::plan(
        &blueprint,
        &plan,
        context.output.is_verbose(),
    ))?;
    unseen(&plan.unseen)?;
    Ok(lacks?)
}

/// A plan that says nothing of some hosts is shown, and is a failure.
fn unseen<'a>(hosts: impl IntoIterator<Item = &'a Unseen>) -> Result<(), Failure> {
    let hosts: Vec<&Unseen> = hosts.into_iter().collect();
    let Some(first) = hosts.first() else {
        return Ok(());
    };
    let names: Vec<&str> = hosts.iter().map(|host| host.name.as_str()).collect();
    let mut failure = Failure::new(
        first.kind.into(),
        format!(
            "{} could not be looked at: what would change there is not known",
            names.join(", ")
        ),
    );
    failure.causes = hosts.iter().map(|host| host.error.clone()).collect();
    Err(failure)
}

fn no_host(host: &str, known: &[&str]) -> Failure {
    Failure::new(
        Kind::Config,
        format!("there is no host `{host}` in this phase"),
    )
    .hint(format!("its hosts are: {}", known.join(", ")))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use marg::ErrorKind;

    use super::*;
    use crate::testing::plain;

    #[test]
    fn an_unknown_host_is_named_beside_the_known_ones() {
        let shown = plain(&render::failure(&no_host("htpp1", &["http1", "redis1"])));
        insta::assert_snapshot!("error-no-host", shown);
    }

    #[test]
    fn hosts_that_could_not_be_looked_at_are_a_failure() {
        let host = |name: &str| Unseen {
            name: name.to_owned(),
            error: format!("{name} did not answer within 30 s; look with `marg status`"),
            kind: ErrorKind::Unreachable,
        };
        assert!(unseen(&[]).is_ok());
        let failure = unseen(&[host("http2"), host("worker1")]).unwrap_err();
        assert_eq!(failure.kind, Kind::Unreachable);
        insta::assert_snapshot!("error-unseen", plain(&render::failure(&failure)));
    }
}
