//! `marg promote`

use crate::args::PhaseArg;
use crate::context::Context;
use crate::failure::Failure;
use crate::output::{Question, Shape};
use crate::render;

/// Make another host the primary
///
/// For hosts of MySQL and of Redis that replicate. While the primary lives it hands over: it takes
/// no more writes, the new one waits until it has everything, and nothing is lost. A Redis that does
/// not answer is replaced by its Sentinels. When a MySQL primary does not answer, the host must be
/// the one with most of what was written; what may be lost is shown, and the host's name has to be
/// typed (--yes answers in advance). The old primary comes back as a replica, by the next `marg provision` at the
/// latest, and never as a second primary.
///
/// Interrupted? The same command goes on.
#[derive(Debug, clap::Args)]
#[command(after_long_help = EXAMPLES)]
pub struct Args {
    /// Host that is to lead, for example mysql2
    #[arg(value_name = "HOST")]
    host: String,

    #[command(flatten)]
    phase: PhaseArg,
}

const EXAMPLES: &str = "\
Examples:
  marg promote mysql2
  marg promote mysql2 --yes           also when the old primary does not answer
  marg promote redis1                 for example before a move that leaves redis2 out
  marg status                         who leads, and how far the others are behind";

/// Looks, asks where something may be lost, promotes, reports.
pub async fn run(args: Args, context: &Context) -> Result<(), Failure> {
    let session = context.session(args.phase, Shape::Events).await?;
    let (engine, blueprint) = (&session.engine, &session.blueprint);
    let preview = engine.promote_preview(blueprint, &args.host).await?;
    let risky = !preview.risks.is_empty();
    if risky {
        context.output.aside(&render::promote_preview(&preview));
        if !context.global.yes {
            let question = Question {
                text: "The old primary does not hand over.",
                wanted: &args.host,
                option: "--yes",
            };
            context.output.ask(&question).await?;
        }
    }
    context.output.listen(Shape::Events, false)?;
    let report = engine.promote(blueprint, &args.host, risky).await?;
    context.output.result("promoted", &report)?;
    context.output.text(&render::promoted(&report))
}
