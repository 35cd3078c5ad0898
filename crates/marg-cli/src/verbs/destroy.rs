//! `marg destroy`

use marg::{DestroyPreview, Project};

use crate::args::PhaseArg;
use crate::context::Context;
use crate::failure::{Failure, Kind};
use crate::output::{Question, Shape};
use crate::render;

/// Destroy an environment: its droplets and everything on them, its firewalls, network, address
///
/// Images that were baked for it go, too. Shows what would be destroyed, the hosts whose data exists nowhere else by name, and asks for
/// the environment's name to be typed. --yes is not enough; --confirm NAME is. Only what carries
/// this environment's tag is touched. Secrets and keys beside the inventory stay.
#[derive(Debug, clap::Args)]
#[command(after_long_help = EXAMPLES)]
pub struct Args {
    #[command(flatten)]
    phase: PhaseArg,

    /// The environment's name, typed in advance
    #[arg(long, value_name = "NAME")]
    confirm: Option<String>,
}

const EXAMPLES: &str = "\
Examples:
  marg destroy
  marg --lab destroy --confirm marg";

/// Shows, asks, destroys, reports.
pub async fn run(args: Args, context: &Context) -> Result<(), Failure> {
    // An environment on its way from one phase to another is destroyed all the same.
    let written = context.project()?.inventory().environment.phase;
    let phase = PhaseArg {
        phase: args.phase.phase.or(written),
    };
    let session = context.session(phase, Shape::Events).await?;
    let name = &session.blueprint.environment.name;
    if let Some(confirmed) = &args.confirm
        && confirmed != name
    {
        return Err(other_environment(confirmed, name));
    }
    let mut preview = session.engine.destroy_preview(&session.blueprint).await?;
    add_data_of_other_phases(&session.project, &mut preview);
    if preview.droplets.is_empty() && preview.others.is_empty() {
        let nothing = marg::DestroyReport::default();
        context.output.result("destroyed", &nothing)?;
        return context.output.text(&render::nothing_to_destroy(name));
    }
    context
        .output
        .aside(&render::destroy_preview(name, &preview));
    if args.confirm.is_none() {
        let option = format!("--confirm {name}");
        let text = "This cannot be undone.";
        context
            .output
            .ask(&Question {
                text,
                wanted: name,
                option: &option,
            })
            .await?;
    }
    context.output.listen(Shape::Events, false)?;
    let report = session.engine.destroy(&session.blueprint).await?;
    context.output.result("destroyed", &report)?;
    context.output.text(&render::destroyed(name, &report))
}

/// The fleet may have been made in another phase than the one that is named here: its hosts with
/// data are named all the same.
fn add_data_of_other_phases(project: &Project, preview: &mut DestroyPreview) {
    for phase in project.phases() {
        // A phase that this inventory does not fit cannot have made any host.
        let Ok(blueprint) = project.blueprint(Some(phase.number)) else {
            continue;
        };
        for host in blueprint.hosts.iter().filter(|host| host.holds_data) {
            let name = blueprint.droplet_name(&host.name);
            if preview.droplets.contains(&name) && !preview.data.contains(&name) {
                preview.data.push(name);
            }
        }
    }
}

fn other_environment(confirmed: &str, name: &str) -> Failure {
    let message = format!("--confirm names {confirmed}, but the inventory's environment is {name}");
    Failure::new(Kind::Usage, format!("{message}; nothing was changed"))
        .hint("see that --inventory is the file you mean")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::plain;

    #[test]
    fn a_name_of_another_environment_stops_it() {
        let shown = plain(&render::failure(&other_environment("staging", "marg")));
        insta::assert_snapshot!("error-other-environment", shown);
    }
}
