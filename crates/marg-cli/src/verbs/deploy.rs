//! `marg deploy`

use marg::Manner;

use crate::args::PhaseArg;
use crate::context::Context;
use crate::failure::Failure;
use crate::output::Shape;
use crate::render;

/// Bring applications to a commit, one host after the other, without a failed request
///
/// The branch or tag is resolved to one commit. The release is built once, on a host of the
/// fleet, and the same bytes go to every host; servers hold no Git credentials. Migrations run
/// once. The first web server takes the release alone; when it fails there, nobody else has
/// been touched. Then the others follow, out of the balancers and in again, workers after them.
/// What happens when a later host fails is the inventory's `on_failure`. A deploy that was
/// interrupted goes on by the same command, or back by `marg rollback`.
#[derive(Debug, clap::Args)]
#[command(after_long_help = EXAMPLES)]
pub struct Args {
    /// Applications [default: all]
    #[arg(value_name = "APP")]
    apps: Vec<String>,

    /// Branch, tag or commit [default: each application's own in the inventory]
    #[arg(long = "ref", short, value_name = "REF")]
    reference: Option<String>,

    /// Web servers that switch side by side, after the first one
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..))]
    batch: u16,

    /// Ask visitors to come again later (503), from before the migration until a host has the
    /// new release: for releases whose tables the old code cannot work with
    #[arg(long)]
    maintenance: bool,

    #[command(flatten)]
    phase: PhaseArg,
}

const EXAMPLES: &str = "\
Examples:
  marg deploy                         every application, its own branch
  marg deploy flow.marg --ref v2.1.0  one application, one tag
  marg deploy --batch 2               two web servers at a time
  marg deploy --maintenance           for a migration that the old code does not survive
  marg releases                       what is live where";

/// Deploys and reports.
pub async fn run(args: Args, context: &Context) -> Result<(), Failure> {
    let session = context.session(args.phase, Shape::Events).await?;
    let reference = args.reference.as_deref();
    let manner = Manner {
        batch: args.batch,
        maintenance: args.maintenance,
    };
    let deployed = session
        .engine
        .deploy(&session.blueprint, &args.apps, reference, manner)
        .await?;
    context.output.result("deployed", &deployed)?;
    context.output.text(&render::deployed(&deployed))
}
