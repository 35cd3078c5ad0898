//! `marg rollback`

use crate::args::PhaseArg;
use crate::context::Context;
use crate::failure::Failure;
use crate::output::Shape;
use crate::render;

/// Make an earlier release live again
///
/// Switches every host back to the release before the live one, or to the one that is named, in
/// the order of a deploy. Where hosts differ, because a deploy was interrupted or stopped, they go
/// back to what was live on all of them last. A host that lacks the release gets it from another.
/// Migrations are never reversed: an earlier release must be able to work with today's tables.
#[derive(Debug, clap::Args)]
#[command(after_long_help = EXAMPLES)]
pub struct Args {
    /// Applications [default: all]
    #[arg(value_name = "APP")]
    apps: Vec<String>,

    /// Release to go back to, as `marg releases` names it [default: the one before]
    #[arg(long, value_name = "RELEASE")]
    to: Option<String>,

    /// Web servers that switch side by side, after the first one
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..))]
    batch: u16,

    #[command(flatten)]
    phase: PhaseArg,
}

const EXAMPLES: &str = "\
Examples:
  marg rollback flow.marg             the release before the live one
  marg releases                       which releases there are";

/// Rolls back and reports.
pub async fn run(args: Args, context: &Context) -> Result<(), Failure> {
    let session = context.session(args.phase, Shape::Events).await?;
    let to = args.to.as_deref();
    let reports = session
        .engine
        .rollback(&session.blueprint, &args.apps, to, args.batch)
        .await?;
    context.output.result("rolled_back", &reports)?;
    context.output.text(&render::deployed(&reports))
}
