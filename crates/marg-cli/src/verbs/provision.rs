//! `marg provision`

use marg::{Action, Blueprint, CloudKind, Engine, Situation};

use crate::args::PhaseArg;
use crate::context::{Context, Session};
use crate::failure::{Failure, Kind};
use crate::output::Shape;
use crate::render;

/// Make the environment what the inventory says
///
/// Creates what is missing in the cloud, brings every host to its desired state, looks again to
/// verify that nothing is left over, and deploys applications that have no release yet. Run it
/// again at any time: what is as it should be is left alone.
///
/// With another --phase it moves a running environment there while it serves: new hosts first,
/// then the entry address, and only then do hosts leave that the phase no longer has. They finish
/// their jobs and are destroyed; hosts that hold data stay unless --destroy names them. `marg plan
/// --phase N` shows it in order beforehand.
///
/// Before droplets are created that cost money, or destroyed, it shows them and asks; --yes
/// answers in advance. Nothing is asked in the lab.
#[derive(Debug, clap::Args)]
#[command(after_long_help = EXAMPLES)]
pub struct Args {
    #[command(flatten)]
    phase: PhaseArg,

    /// Destroy this host, which the phase no longer has and which holds a copy of data; may be
    /// given several times, with each name in full
    #[arg(long, value_name = "HOST")]
    destroy: Vec<String>,
}

const EXAMPLES: &str = "\
Examples:
  marg --lab provision --phase 2    four real machines on this one, nothing billed
  marg provision                    the inventory's phase on DigitalOcean
  marg provision --yes --json       for pipelines: events as JSON, no questions";

/// Provisions and reports.
pub async fn run(args: Args, context: &Context) -> Result<(), Failure> {
    let session = context.session(args.phase, Shape::Events).await?;
    if context.asks(&session) {
        confirm(&session, context).await?;
    }
    context.output.listen(Shape::Events, false)?;
    make_true(&session.engine, &session.blueprint, &args.destroy, context).await
}

/// Provisions and reports; for other verbs, too, that change what there should be.
pub async fn make_true(
    engine: &Engine,
    blueprint: &Blueprint,
    destroy: &[String],
    context: &Context,
) -> Result<(), Failure> {
    let report = engine.provision(blueprint, destroy).await?;
    context.output.result("report", &report)?;
    context.output.text(&render::report(&report))?;
    match report
        .hosts
        .iter()
        .filter(|host| host.error.is_some())
        .count()
    {
        0 => Ok(()),
        failed => Err(Failure::new(Kind::Other, render::hosts_failed(failed))
            .hint("mend what is said above; the same command goes on from there")),
    }
}

/// Shows the droplets that would be billed and asks for them.
async fn confirm(session: &Session, context: &Context) -> Result<(), Failure> {
    let situation = session.engine.situation(&session.blueprint).await?;
    if !changes_droplets(&situation) {
        return Ok(());
    }
    let name = &session.blueprint.environment.name;
    context
        .output
        .aside(&render::bill(name, &situation.changes, situation.monthly));
    context.agree("Go on?").await
}

fn changes_droplets(situation: &Situation) -> bool {
    let mut changes = situation.changes.iter();
    let counts = |action| matches!(action, Action::Create | Action::Delete);
    changes.any(|c| c.kind == CloudKind::Droplet && counts(c.action))
}
