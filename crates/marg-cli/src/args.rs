//! Arguments that every verb shares. Those of one verb are in its own file.

use std::path::PathBuf;

use clap::{ArgAction, Args, Parser, ValueEnum};

use crate::failure;
use crate::output::{Color, Display};
use crate::verbs::Verb;

/// Infrastructure as code for Laravel on DigitalOcean: four phases, one path.
///
/// marg takes one inventory file and a phase and makes them true: droplets, network, firewalls,
/// services, secrets, applications. Run it twice and the second run changes nothing.
#[derive(Debug, Parser)]
#[command(
    name = "marg",
    version,
    max_term_width = 100,
    disable_help_subcommand = true,
    after_help = failure::EXIT_CODES,
    after_long_help = after_long_help(),
)]
pub struct Cli {
    #[command(flatten)]
    pub global: Global,
    #[command(subcommand)]
    pub verb: Verb,
}

fn after_long_help() -> String {
    format!("{EXAMPLES}\n\n{ENVIRONMENT}\n\n{}", failure::EXIT_CODES)
}

const EXAMPLES: &str = "\
Examples:
  marg --lab provision --phase 2    try everything on this machine: nothing is billed
  marg plan --phase 2               what would change, with file diffs and monthly cost
  marg provision --phase 2          make it so
  marg deploy                       bring every application to its branch's newest commit
  marg status                       every host in one table";

const ENVIRONMENT: &str = "\
Environment variables:
  DIGITALOCEAN_TOKEN    token with read and write access
  DIGITALOCEAN_API_URL  another API, for example the lab's (see `marg lab env`)
  MARG_INVENTORY        inventory file, as --inventory
  MARG_SECRET_<NAME>    a secret for this run, instead of the one in secrets.toml
  NO_COLOR              no colours";

/// Options that every verb takes.
#[derive(Clone, Debug, Args)]
pub struct Global {
    /// Inventory file [default: the only one in the nearest `inventories` folder]
    #[arg(
        long,
        short,
        global = true,
        value_name = "FILE",
        env = "MARG_INVENTORY"
    )]
    #[arg(hide_env = true, help_heading = "Global options")]
    pub inventory: Option<PathBuf>,

    /// Use the lab on this machine instead of DigitalOcean; it is started if need be
    #[arg(long, global = true, help_heading = "Global options")]
    pub lab: bool,

    /// Print JSON: events as one object per line, or one document for a verb that only looks
    #[arg(long, global = true, help_heading = "Global options")]
    pub json: bool,

    /// Do not ask before droplets are created that cost money
    #[arg(long, short, global = true, help_heading = "Global options")]
    pub yes: bool,

    /// Show results and errors only
    #[arg(long, short, global = true, conflicts_with = "verbose")]
    #[arg(help_heading = "Global options")]
    pub quiet: bool,

    /// Show more: output of steps and whole diffs; twice: what the program itself does
    #[arg(long, short, global = true, action = ArgAction::Count)]
    #[arg(help_heading = "Global options")]
    pub verbose: u8,

    /// When to use colours; auto: on a terminal, unless NO_COLOR is set
    #[arg(long, global = true, value_name = "WHEN", default_value = "auto")]
    #[arg(help_heading = "Global options")]
    pub color: ColorArg,
}

/// When to use colours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ColorArg {
    // Without words of their own the three stay on one line of the help.
    #[allow(missing_docs)]
    Auto,
    #[allow(missing_docs)]
    Always,
    #[allow(missing_docs)]
    Never,
}

/// The phase, for verbs that need to know which hosts there are.
#[derive(Clone, Copy, Debug, Args)]
pub struct PhaseArg {
    /// Phase: 1 to 4, or one of your own [default: the phase that it stands in, or else the
    /// inventory's `phase`]
    #[arg(long, short, value_name = "N", value_parser = clap::value_parser!(u8).range(1..=9))]
    pub phase: Option<u8>,
}

impl Global {
    /// How results and events are shown.
    pub fn display(&self) -> Display {
        Display {
            json: self.json,
            quiet: self.quiet,
            verbosity: self.verbose,
            color: match self.color {
                ColorArg::Auto => Color::Auto,
                ColorArg::Always => Color::Always,
                ColorArg::Never => Color::Never,
            },
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_arguments_are_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn global_options_may_stand_before_and_after_the_verb() {
        for line in [
            "marg --lab -v plan --phase 2",
            "marg plan --phase 2 -v --lab",
        ] {
            let cli = Cli::try_parse_from(line.split(' ')).unwrap();
            assert!(cli.global.lab && cli.global.verbose == 1, "{line}");
        }
    }

    /// The help of every verb is read by people: it is a snapshot.
    #[test]
    fn help() {
        let mut command = Cli::command().term_width(90);
        command.build();
        insta::assert_snapshot!("help-marg", command.render_long_help());
        for verb in command.get_subcommands_mut() {
            let name = verb.get_name().to_owned();
            let mut verb = verb.clone().term_width(90);
            insta::assert_snapshot!(format!("help-{name}"), verb.render_long_help());
            for inner in verb.get_subcommands_mut() {
                let mut inner = inner.clone().term_width(90);
                let inner_name = inner.get_name().to_owned();
                insta::assert_snapshot!(
                    format!("help-{name}-{inner_name}"),
                    inner.render_long_help()
                );
            }
        }
    }
}
