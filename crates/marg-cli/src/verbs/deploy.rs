//! `marg deploy`

use crate::args::PhaseArg;
use crate::context::Context;
use crate::failure::Failure;
use crate::output::Shape;
use crate::render;

/// Bring applications to a commit, one host after the other, without a failed request
///
/// The branch or tag is resolved to one commit. The release is built once, on a host of the
/// fleet, and the same bytes go to every host; servers hold no Git credentials. Migrations run
/// once. A release that fails its health check is taken back by itself.
#[derive(Debug, clap::Args)]
#[command(after_long_help = EXAMPLES)]
pub struct Args {
    /// Applications [default: all]
    #[arg(value_name = "APP")]
    apps: Vec<String>,

    /// Branch, tag or commit [default: each application's own in the inventory]
    #[arg(long = "ref", short, value_name = "REF")]
    reference: Option<String>,

    #[command(flatten)]
    phase: PhaseArg,
}

const EXAMPLES: &str = "\
Examples:
  marg deploy                         every application, its own branch
  marg deploy flow.marg --ref v2.1.0  one application, one tag
  marg releases                       what is live where";

/// Deploys and reports.
pub async fn run(args: Args, context: &Context) -> Result<(), Failure> {
    let session = context.session(args.phase, Shape::Events).await?;
    let reference = args.reference.as_deref();
    let deployed = session
        .engine
        .deploy(&session.blueprint, &args.apps, reference)
        .await?;
    context.output.result("deployed", &deployed)?;
    context.output.text(&render::deployed(&deployed))
}
