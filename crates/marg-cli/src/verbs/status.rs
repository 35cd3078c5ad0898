//! `marg status`

use crate::args::PhaseArg;
use crate::context::Context;
use crate::failure::{Failure, Kind};
use crate::output::Shape;
use crate::render;

/// Show every host in one table: addresses, services, releases, load, memory, disk
///
/// One connection and one look per host. Exits with 5 when a host cannot be reached.
#[derive(Debug, clap::Args)]
#[command(after_long_help = EXAMPLES)]
pub struct Args {
    #[command(flatten)]
    phase: PhaseArg,
}

const EXAMPLES: &str = "\
Examples:
  marg status
  marg status --json | jq -r '.hosts[] | select(.reachable | not) | .name'";

/// Looks and prints.
pub async fn run(args: Args, context: &Context) -> Result<(), Failure> {
    let session = context.session(args.phase, Shape::Document).await?;
    let status = session.engine.status(&session.blueprint).await?;
    context.output.document(&status)?;
    context.output.text(&render::status(&status))?;
    match status.hosts.iter().filter(|host| !host.reachable).count() {
        0 => Ok(()),
        lost => Err(Failure::new(Kind::Unreachable, render::hosts_lost(lost))),
    }
}
