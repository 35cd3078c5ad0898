//! `marg scale`

use std::fmt;
use std::str::FromStr;

use marg::{Blueprint, Situation};
use serde::Serialize;

use super::provision::make_true;
use crate::args::PhaseArg;
use crate::context::{Context, Session};
use crate::failure::Failure;
use crate::output::Shape;
use crate::render;

/// Give a group more hosts or fewer
///
/// Writes the number into the inventory, comments and order kept, and makes it true: a new host
/// joins with the fleet's release and gets requests when it is ready; a host that goes is taken
/// out of the traffic, finishes its jobs and is destroyed. The highest number goes first, so
/// that http2 stays http2.
///
/// Outside the lab it shows hosts, cost and plan, and asks. Groups that hold data keep the
/// number that their phase is made for.
#[derive(Debug, clap::Args)]
#[command(after_long_help = EXAMPLES)]
pub struct Args {
    /// Group, for example http or worker
    group: String,

    /// How many more (+1), how many fewer (-1), or how many in all (=5)
    #[arg(value_name = "+N|-N|=N", allow_hyphen_values = true)]
    by: By,

    /// Show hosts, cost and plan, and change nothing
    #[arg(long)]
    dry_run: bool,

    #[command(flatten)]
    phase: PhaseArg,
}

const EXAMPLES: &str = "\
Examples:
  marg scale http +1
  marg scale worker -2
  marg scale http =5 --dry-run
  marg --lab scale http +1 && marg --lab scale http -1";

/// A change of a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum By {
    /// So many more.
    More(u16),
    /// So many fewer.
    Fewer(u16),
    /// So many in all.
    InAll(u16),
}

impl By {
    /// The number after the change; it may be below one.
    fn of(self, now: usize) -> i64 {
        // Far fewer hosts than that fit into a group.
        let now = i64::try_from(now).unwrap_or(i64::MAX / 2);
        match self {
            By::More(more) => now + i64::from(more),
            By::Fewer(fewer) => now - i64::from(fewer),
            By::InAll(all) => i64::from(all),
        }
    }
}

impl FromStr for By {
    type Err = NotAChange;

    fn from_str(text: &str) -> Result<By, NotAChange> {
        let mut characters = text.chars();
        let by = match characters.next() {
            Some('+') => By::More,
            Some('-') => By::Fewer,
            Some('=') => By::InAll,
            _ => return Err(NotAChange),
        };
        let digits = characters.as_str();
        // `parse` would take a second sign.
        match digits.starts_with(|c: char| c.is_ascii_digit()) {
            true => digits.parse().map(by).map_err(|_| NotAChange),
            false => Err(NotAChange),
        }
    }
}

/// A word that is no change of a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotAChange;

impl fmt::Display for NotAChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("write +1 for one more, -1 for one fewer, =5 for five in all")
    }
}

impl std::error::Error for NotAChange {}

/// What was done, for programs.
#[derive(Debug, Serialize)]
struct Done<'a> {
    group: &'a str,
    phase: u8,
    from: usize,
    to: usize,
}

/// Shows, asks, writes, provisions.
pub async fn run(args: Args, context: &Context) -> Result<(), Failure> {
    let shape = match args.dry_run {
        true => Shape::Document,
        false => Shape::Events,
    };
    let session = context.session(args.phase, shape).await?;
    let phase = session.blueprint.phase.number;
    let from = hosts(&session.blueprint, &args.group);
    let to = args.by.of(from);
    let edited = session.project.with_count(phase, &args.group, to)?;
    let after = edited.project.blueprint(Some(phase))?;
    let scaled = render::Scaled {
        group: &args.group,
        phase,
        from,
        to: hosts(&after, &args.group),
    };
    let situation = session.engine.situation(&after).await?;
    if args.dry_run {
        return show(&scaled, &session, &after, &situation, context).await;
    }
    context.output.aside(&render::scale(
        &scaled,
        &situation.changes,
        situation.monthly,
    ));
    if context.asks(&session) {
        let plan = session.engine.plan(&after).await?;
        let plan = render::plan(&after, &plan, context.output.is_verbose());
        context.output.aside(&plan);
        context.agree("Make it so?").await?;
    }
    context.output.listen(Shape::Events, false)?;
    if from != scaled.to {
        context.save(&edited)?;
    }
    let made = make_true(&session.engine, &after, &[], context).await;
    made.map_err(|failure| kept(failure, &edited.change))?;
    let done = Done {
        group: scaled.group,
        phase,
        from,
        to: scaled.to,
    };
    context.output.result("scaled", &done)
}

/// What would be done.
async fn show(
    scaled: &render::Scaled<'_>,
    session: &Session,
    after: &Blueprint,
    situation: &Situation,
    context: &Context,
) -> Result<(), Failure> {
    let plan = session.engine.plan(after).await?;
    context.output.document(&render::plan_document(&plan))?;
    let head = render::scale(scaled, &situation.changes, situation.monthly);
    let body = render::plan(after, &plan, context.output.is_verbose());
    context.output.text(&format!("{head}\n{body}"))
}

fn hosts(blueprint: &Blueprint, group: &str) -> usize {
    let hosts = blueprint.hosts.iter();
    hosts.filter(|host| host.group == group).count()
}

/// The inventory keeps what was wished for: provisioning again goes on, scaling by `+1` again
/// would add another host.
fn kept(failure: Failure, change: &str) -> Failure {
    let hint = format!("the inventory keeps {change}; `marg provision` goes on from there");
    failure.hint(hint)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use clap::Parser as _;

    use super::*;
    use crate::args::Cli;
    use crate::failure::Kind;
    use crate::testing::plain;
    use crate::verbs::Verb;

    #[test]
    fn a_change_has_a_sign() {
        for (text, expected) in [
            ("+1", Ok(By::More(1))),
            ("-2", Ok(By::Fewer(2))),
            ("=5", Ok(By::InAll(5))),
            ("=0", Ok(By::InAll(0))),
            ("4", Err(NotAChange)),
            ("+", Err(NotAChange)),
            ("+-1", Err(NotAChange)),
            ("-70000", Err(NotAChange)),
            ("=five", Err(NotAChange)),
            ("", Err(NotAChange)),
        ] {
            assert_eq!(text.parse(), expected, "{text}");
        }
        let counts = [By::More(1), By::Fewer(4), By::InAll(5)].map(|by| by.of(3));
        assert_eq!(counts, [4, -1, 5]);
    }

    #[test]
    fn a_minus_is_no_option() {
        for (line, expected) in [
            ("marg scale http -1", By::Fewer(1)),
            ("marg scale http -1 --dry-run --phase 3", By::Fewer(1)),
            ("marg scale --phase 3 http +2", By::More(2)),
            ("marg --yes scale worker =4", By::InAll(4)),
        ] {
            let cli = Cli::try_parse_from(line.split(' ')).unwrap();
            let Verb::Scale(args) = cli.verb else {
                panic!("{line}");
            };
            assert_eq!(args.by, expected, "{line}");
        }
        let wrong = Cli::try_parse_from(["marg", "scale", "http", "4"]).unwrap_err();
        assert!(
            wrong.to_string().contains("write +1 for one more"),
            "{wrong}"
        );
    }

    #[test]
    fn after_a_failure_the_wish_stays() {
        let failure = Failure::new(Kind::Step, "http4: a step failed");
        let shown = render::failure(&kept(failure, "phases.3.groups.http.count = 4"));
        insta::assert_snapshot!("error-scale-kept", plain(&shown));
    }
}
