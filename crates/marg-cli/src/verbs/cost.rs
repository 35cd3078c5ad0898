//! `marg cost`

use crate::args::PhaseArg;
use crate::context::Context;
use crate::failure::Failure;
use crate::output::Shape;
use crate::render;

/// Show what a phase costs per month, what it carries, and what gives way first
///
/// Prices are the cloud's own, of today. Beside them stand the guide's budget and its figures
/// for the load.
#[derive(Debug, clap::Args)]
#[command(after_long_help = EXAMPLES)]
pub struct Args {
    #[command(flatten)]
    phase: PhaseArg,
}

const EXAMPLES: &str = "\
Examples:
  marg cost                     the inventory's phase
  marg cost --phase 3           before you grow
  marg --lab cost --phase 4     without a token: the lab knows the prices";

/// Asks for prices and prints.
pub async fn run(args: Args, context: &Context) -> Result<(), Failure> {
    let session = context.session(args.phase, Shape::Document).await?;
    let situation = session.engine.look(&session.blueprint).await?;
    let sizes = situation.found.sizes.iter();
    let prices = sizes
        .map(|size| (size.slug.clone(), size.price_monthly))
        .collect();
    let cost = session.blueprint.monthly(&prices);
    let load = session.blueprint.load();
    let images = situation.found.bakes.iter();
    let running = render::Running {
        droplets: situation.monthly.before,
        images: images.map(|bake| bake.dollars_per_month()).sum(),
    };
    context
        .output
        .document(&render::cost_document(&cost, load.as_ref(), running))?;
    context.output.text(&render::cost(
        &session.blueprint,
        &cost,
        load.as_ref(),
        running,
    ))
}
