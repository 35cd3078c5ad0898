//! `marg resize`

use super::provision::make_true;
use crate::args::PhaseArg;
use crate::context::Context;
use crate::failure::Failure;
use crate::output::Shape;
use crate::render;

/// Give a host a larger or smaller machine
///
/// Says what stops meanwhile and asks. Then the host is taken out of the traffic, shut down,
/// resized and started; its settings that depend on memory follow, and the inventory says the
/// new size. Addresses and data stay. Memory and processors can shrink again, a disk never:
/// it grows only with --disk.
///
/// Of several hosts that replicate, resize those that follow first. When it is the turn of the
/// one that leads, another one is promoted before it is switched off, and goes on leading. Run
/// the same command again after an interruption.
#[derive(Debug, clap::Args)]
#[command(after_long_help = EXAMPLES)]
pub struct Args {
    /// Host, for example mysql1
    host: String,

    /// Size slug, for example s-2vcpu-4gb
    size: String,

    /// Let the disk grow to the size's own, which can never be undone
    #[arg(long)]
    disk: bool,

    /// Show what would stop and what it costs, and change nothing
    #[arg(long)]
    dry_run: bool,

    #[command(flatten)]
    phase: PhaseArg,
}

const EXAMPLES: &str = "\
Examples:
  marg resize mysql1 s-2vcpu-4gb
  marg resize http2 s-1vcpu-2gb --yes
  marg resize redis1 s-1vcpu-2gb --dry-run";

/// Shows, asks, resizes, writes, provisions.
pub async fn run(args: Args, context: &Context) -> Result<(), Failure> {
    let shape = match args.dry_run {
        true => Shape::Document,
        false => Shape::Events,
    };
    let session = context.session(args.phase, shape).await?;
    let Args {
        host, size, disk, ..
    } = &args;
    let engine = &session.engine;
    let preview = engine
        .resize_preview(&session.blueprint, host, size, *disk)
        .await?;
    // A file that cannot be written is told before anything stops.
    let edited = session.project.with_size(host, size)?;
    let shown = render::resize_preview(&preview);
    if args.dry_run {
        context.output.document(&preview)?;
        return context.output.text(&shown);
    }
    context.output.aside(&shown);
    if context.asks(&session) {
        context.agree("Switch it off?").await?;
    }
    context.output.listen(Shape::Events, false)?;
    let report = engine.resize(&session.blueprint, host, size, *disk).await?;
    if session
        .blueprint
        .host(host)
        .is_none_or(|own| own.size != *size)
    {
        context.save(&edited)?;
    }
    let phase = session.blueprint.phase.number;
    let after = edited.project.blueprint(Some(phase))?;
    make_true(engine, &after, &[], context).await?;
    context.output.result("resized", &report)?;
    context.output.text(&render::resized(&report))
}
