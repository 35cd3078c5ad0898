//! `marg bake`

use crate::args::PhaseArg;
use crate::context::{Context, Session};
use crate::failure::Failure;
use crate::output::Shape;
use crate::render;

/// Make images from which new hosts of a group serve sooner
///
/// For each group a machine of its own is made beside the fleet. It gets the group's packages and
/// nothing else: no configuration, no secret, no release. What is its own (host keys, machine id,
/// logs) is taken away, it is switched off, kept as an image and destroyed. The group's older
/// images are removed when the new one is there. Interrupted, the same command goes on.
///
/// `marg scale` and `marg provision` start new hosts from the newest image that fits. Whatever an
/// old image lacks is made right then: it is slower, never wrong. Bake again when packages have
/// changed, or from time to time.
#[derive(Debug, clap::Args)]
#[command(after_long_help = EXAMPLES)]
pub struct Args {
    /// Groups, for example http and worker [default: those that come and go with the load]
    #[arg(value_name = "GROUP")]
    groups: Vec<String>,

    /// Show the images that there are, with their size and cost
    #[arg(long, conflicts_with_all = ["remove", "groups", "dry_run"])]
    list: bool,

    /// Remove the images of these groups, or all, and the machines of interrupted bakes
    #[arg(long, conflicts_with = "dry_run")]
    remove: bool,

    /// Show what would be made, and make nothing
    #[arg(long)]
    dry_run: bool,

    #[command(flatten)]
    phase: PhaseArg,
}

const EXAMPLES: &str = "\
Examples:
  marg bake
  marg bake http && marg scale http +2
  marg bake --list
  marg bake --remove worker";

/// Lists, removes or bakes.
pub async fn run(args: Args, context: &Context) -> Result<(), Failure> {
    let shape = match args.list || args.dry_run {
        true => Shape::Document,
        false => Shape::Events,
    };
    let session = context.session(args.phase, shape).await?;
    match (args.list, args.remove) {
        (true, _) => list(&session, context).await,
        (_, true) => remove(&args.groups, &session, context).await,
        _ => bake(&args, &session, context).await,
    }
}

async fn list(session: &Session, context: &Context) -> Result<(), Failure> {
    let bakes = session.engine.bakes(&session.blueprint).await?;
    context.output.document(&bakes)?;
    context.output.text(&render::bakes(&bakes))
}

async fn remove(groups: &[String], session: &Session, context: &Context) -> Result<(), Failure> {
    if context.asks(session) {
        let bakes = session.engine.bakes(&session.blueprint).await?;
        let shown = render::bakes_to_remove(&bakes, groups);
        if !shown.is_empty() {
            context.output.aside(&shown);
            context.agree("Remove them?").await?;
        }
    }
    context.output.listen(Shape::Events, false)?;
    let blueprint = &session.blueprint;
    let removed = session.engine.remove_bakes(blueprint, groups).await?;
    context.output.result("removed", &removed)?;
    context.output.text(&render::bakes_removed(&removed))
}

async fn bake(args: &Args, session: &Session, context: &Context) -> Result<(), Failure> {
    let (engine, blueprint) = (&session.engine, &session.blueprint);
    let preview = engine.bake_preview(blueprint, &args.groups).await?;
    let shown = render::bake_preview(&preview);
    if args.dry_run {
        context.output.document(&preview)?;
        return context.output.text(&shown);
    }
    context.output.aside(&shown);
    if context.asks(session) {
        context.agree("Make them?").await?;
    }
    context.output.listen(Shape::Events, false)?;
    let baked = engine.bake(blueprint, &args.groups).await;
    let report = baked.map_err(interrupted)?;
    context.output.result("baked", &report)?;
    context.output.text(&render::baked(&report))
}

/// A machine that was left is paid for.
fn interrupted(error: marg::EngineError) -> Failure {
    Failure::from(error).hint(
        "the machine of a bake that failed stays, and is paid for, until `marg bake` has gone on \
         with it or `marg bake --remove` has taken it away",
    )
}
