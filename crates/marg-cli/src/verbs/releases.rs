//! `marg releases`

use crate::args::PhaseArg;
use crate::context::Context;
use crate::failure::Failure;
use crate::output::Shape;
use crate::render;

/// List every application's releases: which is live where, who deployed it and when
#[derive(Debug, clap::Args)]
#[command(after_long_help = EXAMPLES)]
pub struct Args {
    #[command(flatten)]
    phase: PhaseArg,
}

const EXAMPLES: &str = "\
Examples:
  marg releases
  marg releases --json | jq '.[].hosts[] | {name: .host, live}'";

/// Looks and prints.
pub async fn run(args: Args, context: &Context) -> Result<(), Failure> {
    let session = context.session(args.phase, Shape::Document).await?;
    let releases = session.engine.releases(&session.blueprint).await?;
    context.output.document(&releases)?;
    context.output.text(&render::releases(&releases))
}
